"""Joints of people in whole photos of COCO, in boxes as labelled: how many are right, of people seen in part too.

python experiments/coco_study.py --photos LABELS IMAGES [--weights base] [--runtime auto] [--most N]

LABELS: COCO keypoints. Counted are the twelve limb joints; one is right that lies at most 0.2 torsos from its label
(mean of both diagonals between shoulders and hips; people without these four labels count where no torso is needed).
First table: everybody of at least a fifth of the photo's height. Second: those whose box ends at the photo's edge;
"outside" are hips, knees and ankles without a label of people whose box ends at the bottom (most are out of the photo),
and AUC says how well ``inside`` tells labelled joints from these. Third: what confidence is worth.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from liftwild.evaluation.metric_table import RIGHT_TORSOS
from liftwild.evaluation.reliability import bin_chances, expected_error
from liftwild.evaluation.tables import markdown_table
from liftwild.inference.estimator import Estimator
from liftwild.media.photo import read_photo
from liftwild.skeleton import COCO_17, MPII_16

MIN_HEIGHT = 0.2  # of the photo's
LIMBS = [j for j, name in enumerate(MPII_16.names) if name in COCO_17.names]
LEGS = [MPII_16.names[j].split("_")[1] in ("hip", "knee", "ankle") for j in LIMBS]
DIAGONALS = (("left_shoulder", "right_hip"), ("right_shoulder", "left_hip"))
HIDDEN, VISIBLE = 1, 2  # COCO's flags


class Joints(NamedTuple):
    """(N, 12) each, of N people: ``labelled`` COCO's flag; ``off`` in torsos, NaN without one; the rest as in ``Pose``;
    ``edge``, ``bottom``: whether the box ends there."""

    labelled: np.ndarray
    off: np.ndarray
    confidence: np.ndarray
    inside: np.ndarray
    visible: np.ndarray
    edge: np.ndarray
    bottom: np.ndarray


def predict(estimator: Estimator, labels: Path, images: Path, most: int) -> Joints:
    """Everybody who is counted."""
    data = json.loads(labels.read_text())
    names = {c["id"]: c.get("keypoints", []) for c in data["categories"]}
    people: dict[int, list[dict]] = {photo["id"]: [] for photo in data["images"]}
    for one in data["annotations"]:
        if not one.get("iscrowd") and any(one.get("keypoints", [])[2::3]):
            people[one["image_id"]].append(one)
    rows: list[tuple[np.ndarray, ...]] = []
    for photo in tqdm(data["images"][: most or None], unit="photo"):
        own = [one for one in people[photo["id"]] if one["bbox"][3] >= MIN_HEIGHT * photo["height"]]
        if not own:
            continue
        image = read_photo(images / photo["file_name"])
        cropped = estimator.crop_people(image, [tuple(one["bbox"]) for one in own])
        (poses,) = estimator.predict_crops([cropped])
        for one, crop, pose in zip(own, cropped, poses, strict=True):
            points = dict(zip(names[one["category_id"]], np.array(one["keypoints"]).reshape(-1, 3), strict=True))
            label = np.stack([points[MPII_16.names[j]] for j in LIMBS])
            ends = [(points[a], points[b]) for a, b in DIAGONALS]
            whole = all(p[2] > 0 and q[2] > 0 for p, q in ends)
            torso = np.mean([np.linalg.norm(p[:2] - q[:2]) for p, q in ends]) if whole else np.nan
            off = np.linalg.norm(pose.joints_2d[LIMBS] - label[:, :2], axis=1) / torso
            unknown = np.full(len(LIMBS), np.nan)
            rows.append(
                (
                    label[:, 2], off, pose.confidence[LIMBS],
                    unknown if pose.inside is None else pose.inside[LIMBS],
                    unknown if pose.visible is None else pose.visible[LIMBS],
                    np.full(len(LIMBS), bool(crop.edges)), np.full(len(LIMBS), "bottom" in crop.edges),
                )
            )  # fmt: skip
    if not rows:
        raise SystemExit(f"error: {labels}: nobody with a label is {MIN_HEIGHT:g} of the photo's height or more")
    return Joints(*(np.stack(column) for column in zip(*rows, strict=True)))


def auc(yes: np.ndarray, no: np.ndarray) -> float:
    """Chance that one of ``yes`` is above one of ``no``."""
    order = np.argsort(np.concatenate([yes, no]), kind="stable")
    values = np.concatenate([yes, no])[order]
    ranks = np.empty(len(order))
    first = np.searchsorted(values, values, "left")
    last = np.searchsorted(values, values, "right")
    ranks[order] = (first + last + 1) / 2
    return float((ranks[: len(yes)].sum() - len(yes) * (len(yes) + 1) / 2) / max(1, len(yes) * len(no)))


def percent(values: np.ndarray) -> str:
    """Their mean; nothing of none."""
    return f"{100 * values.mean():.1f}" if len(values) else ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", nargs=2, type=Path, metavar=("LABELS", "IMAGES"), required=True)
    parser.add_argument("--weights", default="base")
    parser.add_argument("--runtime", default="torch")
    parser.add_argument("--flip-test", action="store_true")
    parser.add_argument("--most", type=int, default=0, help="photos; 0: all")
    given = parser.parse_args()
    estimator = Estimator(given.weights, runtime=given.runtime, flip_test=given.flip_test)
    found = predict(estimator, *given.photos, given.most)
    scored = (found.labelled > 0) & np.isfinite(found.off)
    right = found.off <= RIGHT_TORSOS
    print(f"{len(found.off)} people, {scored.any(axis=1).sum()} with a torso; {estimator.runtime_name}\n")
    cases = {
        "all": scored, "labelled as visible": scored & (found.labelled == VISIBLE),
        "labelled as hidden": scored & (found.labelled == HIDDEN), "of people inside the photo": scored & ~found.edge,
        "of people whose box ends at its edge": scored & found.edge,
    }  # fmt: skip
    rows = [[name, str(which.sum()), percent(right[which])] for name, which in cases.items()]
    print(markdown_table(("limb joints", "joints", "right, %"), rows))
    outside = np.array(LEGS) & (found.labelled == 0) & found.bottom
    there = (found.labelled > 0) & found.edge
    told = {"`inside`": (found.inside, there, outside), "`confidence`": (found.confidence, there, outside)}
    told["`visible`: seen, hidden"] = (found.visible, found.labelled == VISIBLE, found.labelled == HIDDEN)
    rows = []
    for name, (values, yes, no) in told.items():
        if np.isfinite(values).all():
            own = values[yes], values[no]
            rows.append([name, str(yes.sum()), str(no.sum()), f"{auc(*own):.3f}", *map(percent, own)])
    head = ("told by", "inside", "outside", "AUC", "said of inside, %", "said of outside, %")
    print(f"\n{markdown_table(head, rows)}")
    error = expected_error(bin_chances(np.clip(found.confidence[scored], 0, 1), right[scored]))
    rows = []
    for what, flag in (("visible", VISIBLE), ("hidden", HIDDEN)):
        for where, which in (("inside the photo", ~found.edge), ("reaches its edge", found.edge)):
            these = scored & (found.labelled == flag) & which
            rows.append([f"labelled as {what}", where, str(these.sum()), percent(found.confidence[these]),
                         percent(right[these])])  # fmt: skip
    legs = percent(found.confidence[outside])
    rows.append(["legs without a label", "reaches the bottom edge", str(outside.sum()), legs, ""])
    print(f"\nConfidence: ECE {100 * error:.1f} %\n")
    print(markdown_table(("joints", "box", "joints", "stated, %", "found, %"), rows))


if __name__ == "__main__":
    main()
