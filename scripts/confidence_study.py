"""What confidence is worth on whole photos of another kind than it was calibrated on.

python scripts/confidence_study.py --photos LABELS IMAGES [--weights small]

LABELS: COCO keypoints. Everybody of at least 0.3 of the photo's height with five labelled limb joints, in boxes as
labelled; a joint is right that lies at most 0.2 torsos (left shoulder to right hip) from its label, and who has no such
torso counts in no "found". The table of docs/confidence.md.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from detector_study import COCO_JOINTS, read_labelled

from liftwild.evaluation.calibration import RIGHT_TORSOS, expected_error, reliability
from liftwild.predict.estimator import Estimator
from liftwild.skeleton import MPII_16

LEAST_HEIGHT, LEAST_JOINTS = 0.3, 5
LIMBS = [MPII_16.names.index(name) for name in COCO_JOINTS]
LEGS = [MPII_16.names.index(name) for name in COCO_JOINTS if name.split("_")[1] in ("hip", "knee", "ankle")]
NO_LABEL, HIDDEN, VISIBLE = 0, 1, 2  # COCO's flags


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", nargs=2, type=Path, metavar=("LABELS", "IMAGES"), required=True)
    parser.add_argument("--weights", default="small")
    given = parser.parse_args()
    estimator = Estimator(given.weights)
    stated, right, known, flags, at_edge, at_bottom = ([] for _ in range(6))
    for photo in read_labelled(*given.photos):
        wanted = (photo.heights >= LEAST_HEIGHT) & ((photo.joints[:, LIMBS, 2] > 0).sum(axis=1) >= LEAST_JOINTS)
        if not wanted.any():
            continue
        people = estimator.crop_people(photo.image, [tuple(box) for box in photo.boxes[wanted]])
        (poses,) = estimator.predict_crops([people])
        for person, pose, joints in zip(people, poses, photo.joints[wanted], strict=True):
            shoulder, hip = (joints[MPII_16.names.index(name)] for name in ("left_shoulder", "right_hip"))
            torso = np.linalg.norm(shoulder[:2] - hip[:2]) if shoulder[2] > 0 and hip[2] > 0 else np.nan
            off = np.linalg.norm(pose.joints_2d - joints[:, :2], axis=-1)
            stated.append(pose.confidence)
            right.append(off <= RIGHT_TORSOS * torso)
            known.append(np.full(len(off), torso > 0))
            flags.append(joints[:, 2])
            at_edge.append(np.full(len(off), bool(person.edges)))
            at_bottom.append(np.full(len(off), "bottom" in person.edges))
    if not stated:
        raise SystemExit(
            f"{given.photos[0]}: nobody of {LEAST_HEIGHT} of the photo's height with {LEAST_JOINTS} limb joints"
        )
    values = [np.stack(each)[:, LIMBS] for each in (stated, right, known, flags, at_edge, at_bottom)]
    chance, hit, counted, flag, edge, bottom = values
    scored = counted & (flag > 0)
    error = expected_error(reliability(chance[scored], hit[scored]))
    print(f"{len(stated)} people, {scored.sum()} joints with a label and a torso: ECE {100 * error:.1f} %\n")
    print("| joints | box | joints | stated, % | found, % |\n| --- | --- | --- | --- | --- |")
    for what, which in (("visible", VISIBLE), ("hidden", HIDDEN)):
        for where, there in (("inside the photo", ~edge), ("reaches its edge", edge)):
            these = scored & (flag == which) & there
            print(
                f"| labelled as {what} | {where} | {these.sum()} | {percent(chance[these])} | {percent(hit[these])} |"
            )
    legs = np.isin(LIMBS, LEGS) & (flag == NO_LABEL) & bottom
    print(
        f"| hips, knees, ankles without a label | reaches the bottom edge | {legs.sum()} | {percent(chance[legs])} | |"
    )


def percent(values: np.ndarray) -> str:
    """Their mean; nothing of none."""
    return f"{100 * values.mean():.0f}" if len(values) else ""


if __name__ == "__main__":
    main()
