"""How well people are found: AP, recall and precision on whole photos whose people are all labelled.

python experiments/detector_study.py --photos LABELS IMAGES [--weights detector] [--input-px 320 416] [--runtime torch]
    [--min-score S] [--empty DIR] [--pictures FILE]

LABELS: COCO, with a box for every person that counts. People of at least a fifth of the photo's height are to be found;
to find a smaller one, or part of a crowd, is neither right nor wrong, and a found box of less than that height is not
wrong where nobody is labelled (COCO's own rule; the column "all boxes" is the precision without it). A row for each
--input-px. "chosen": precision where the threshold is chosen on every other photo, so that precision is 88 % there, and
measured on those between, and the other way round. --empty: of photos of nobody, in how many somebody is found.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import sys
import time
from pathlib import Path
from typing import NamedTuple

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import cv2
import numpy as np

from liftwild.detection.detector import Detection, Detector
from liftwild.errors import LiftwildError
from liftwild.evaluation.detection import Matched, match
from liftwild.evaluation.tables import markdown_table
from liftwild.media.photo import find_photos, read_photo
from liftwild.skeleton import MPII_16

MIN_HEIGHT = 0.2  # of the photo's
LOWEST = 0.05  # score from which on precision and recall are known
WANTED_PRECISION = 0.88
CLASSES = (0.2, 0.35, 0.6, 10.0)  # of height over the photo's
COCO_JOINTS = {  # of MPII-16, where COCO has the same
    f"{side}_{part}": f"{side}_{part}"
    for side in ("left", "right")
    for part in ("ankle", "knee", "hip", "wrist", "elbow", "shoulder")
}


class Labelled(NamedTuple):
    """A photo and its people: ``boxes`` (M, 4), ``counts`` (M,), ``heights`` (M,) over the photo's, crowds (K, 4),
    ``joints`` (M, 16, 3): x, y, labelled."""

    image: np.ndarray
    boxes: np.ndarray
    counts: np.ndarray
    heights: np.ndarray
    crowds: np.ndarray
    joints: np.ndarray


def read_labelled(labels: Path, images: Path) -> list[Labelled]:
    """Photos of a COCO file."""
    data = json.loads(labels.read_text())
    names = {c["id"]: c.get("keypoints", []) for c in data["categories"]}
    people: dict[int, list[dict]] = {photo["id"]: [] for photo in data["images"]}
    for one in data["annotations"]:
        people[one["image_id"]].append(one)
    out = []
    for photo in data["images"]:
        image = read_photo(images / photo["file_name"])
        own = [one for one in people[photo["id"]] if not one.get("iscrowd")]
        boxes = np.array([one["bbox"] for one in own], dtype=np.float64).reshape(-1, 4)
        heights = boxes[:, 3] / image.shape[0]
        crowds = np.array([one["bbox"] for one in people[photo["id"]] if one.get("iscrowd")]).reshape(-1, 4)
        joints = np.zeros((len(own), len(MPII_16), 3))
        for i, one in enumerate(own):
            points = np.array(one.get("keypoints", [])).reshape(-1, 3)
            for ours, theirs in COCO_JOINTS.items():
                if len(points) and theirs in names[one["category_id"]]:
                    joints[i, MPII_16.names.index(ours)] = points[names[one["category_id"]].index(theirs)]
        out.append(Labelled(image, boxes, heights >= MIN_HEIGHT, heights, crowds, joints))
    return out


def matched(photo: Labelled, found: list[Detection], every_box: bool = False) -> Matched:
    """One photo's detections against its labels."""
    boxes = np.array([each.box for each in found]).reshape(-1, 4)
    scores = np.array([each.score for each in found])
    small = np.zeros(len(boxes), bool) if every_box else boxes[:, 3] < MIN_HEIGHT * photo.image.shape[0]
    return match(boxes, scores, photo.boxes, photo.counts, photo.heights, photo.crowds, optional=small)


def threshold_for(many: Matched, precision: float) -> float:
    """The lowest score that is kept where precision is still as high as that; 1 if it never is."""
    order = np.argsort(-many.scores, kind="stable")
    kept = np.cumsum(many.right[order]) / np.arange(1, len(order) + 1)
    fits = np.flatnonzero(kept >= precision)
    return float(many.scores[order][fits[-1]]) if len(fits) else 1.0


def row(name: str, photos: list[Labelled], answers: list[list[Detection]], min_score: float, ms: float) -> list[str]:
    """A line of the table."""
    each = [matched(*one) for one in zip(photos, answers, strict=True)]
    many = Matched.together(each)
    every = Matched.together(matched(*one, every_box=True) for one in zip(photos, answers, strict=True))
    recall, precision = many.at(min_score)
    halves = [Matched.together(each[i::2]) for i in (0, 1)]
    chosen = [own.at(threshold_for(other, WANTED_PRECISION)) for own, other in (halves, halves[::-1])]
    cells = [recall, precision, every.at(min_score)[1], *np.mean(chosen, axis=0)]
    found = many.sizes[(many.scores >= min_score) & many.right]
    for low, high in itertools.pairwise(CLASSES):
        wanted = ((many.wanted >= low) & (many.wanted < high)).sum()
        cells.append(((found >= low) & (found < high)).sum() / max(1, wanted))
    best = threshold_for(many, 0.9)
    cells.append(many.at(best)[0])
    numbers = [f"{100 * cell:.1f}" for cell in cells]
    lowest = f"{threshold_for(many, WANTED_PRECISION):.3f}"
    return [name, f"{100 * many.average_precision():.1f}", *numbers, lowest, f"{ms:.1f}"]


HEAD = [
    "", "AP", "recall", "precision", "all boxes", "chosen: recall", "precision", "0.2-0.35", "0.35-0.6", "0.6+",
    "recall at 90 %", "score for 88 %", "ms",
]  # fmt: skip


def draw(path: Path, photos: list[Labelled], answers: list[list[Detection]], min_score: float, count: int = 24) -> None:
    """A page of photos with labelled boxes (white; grey where they do not count) and found ones (red)."""
    tiles = []
    for photo, found in list(zip(photos, answers, strict=True))[:: max(1, len(photos) // count)][:count]:
        image = photo.image[..., ::-1].copy()
        scale = 320 / max(image.shape[:2])
        image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        rows = [
            (box, (255,) * 3 if counts else (150,) * 3, 1, "")
            for box, counts in zip(photo.boxes, photo.counts, strict=True)
        ]
        rows += [(each.box, (40, 40, 255), 2, f"{each.score:.2f}") for each in found if each.score >= min_score]
        for box, colour, width, text in rows:
            x, y, w, h = (np.array(box) * scale).astype(int).tolist()
            cv2.rectangle(image, (x, y), (x + w, y + h), colour, width)
            cv2.putText(image, text, (x + 2, y + 12), cv2.FONT_HERSHEY_SIMPLEX, 0.4, colour, 1, cv2.LINE_AA)
        tile = np.zeros((320, 320, 3), np.uint8)
        tile[: image.shape[0], : image.shape[1]] = image[:320, :320]
        tiles.append(tile)
    tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % 6)
    cv2.imwrite(str(path), np.vstack([np.hstack(tiles[i : i + 6]) for i in range(0, len(tiles), 6)]))


def study(asked: argparse.Namespace) -> None:
    """Print the table."""
    photos = read_labelled(*asked.photos)
    empty = [read_photo(path) for path in find_photos([asked.empty])] if asked.empty else []
    empty = empty[:: max(1, len(empty) // 200)][:200]
    rows, notes = [], []
    for side in asked.input_px or [None]:
        detector = Detector(asked.weights, asked.device, LOWEST, runtime=asked.runtime, input_px=side)
        min_score = detector.card["min_score"] if asked.min_score is None else asked.min_score
        detector.detect(photos[0].image)
        start = time.process_time()
        answers = [detector.detect(photo.image) for photo in photos]
        ms = 1000 * (time.process_time() - start) / len(photos)
        rows.append(row(f"{detector.input_px} px, from {min_score:g}", photos, answers, min_score, ms))
        if empty:
            somebody = [any(each.score >= min_score for each in detector.detect(image)) for image in empty]
            notes.append(f"{detector.input_px} px: somebody in {sum(somebody)} of {len(empty)} photos of nobody")
        if asked.pictures:
            draw(asked.pictures, photos, answers, min_score)
    print(markdown_table(HEAD, rows))
    people = sum(int(photo.counts.sum()) for photo in photos)
    print(
        f"\n{len(photos)} photos, {people} people of at least {MIN_HEIGHT:g} of the photo's height; %, IoU 0.5; ms of"
    )
    print(f"processor time a photo ({detector.runtime_name}).", *notes, sep="\n")


def main(arguments: list[str] | None = None) -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", nargs=2, type=Path, metavar=("LABELS", "IMAGES"), required=True)
    parser.add_argument("--weights", default="detector", help="the detector that ships, or a .safetensors file")
    parser.add_argument("--input-px", nargs="+", type=int, help="longer side of the photo for the network")
    parser.add_argument("--runtime", help="what computes")
    parser.add_argument("--device", help="what torch calls it")
    parser.add_argument("--min-score", type=float, help="threshold; that of the weights without")
    parser.add_argument("--empty", type=Path, help="folder of photos of nobody; 200 of them")
    parser.add_argument("--pictures", type=Path, help="page of 24 photos with the boxes found")
    asked = parser.parse_args(arguments)
    cv2.setNumThreads(0)
    try:
        study(asked)
    except LiftwildError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
