"""How people are found best: our small network, a search with PoseNet, or both. Measured on whole photos.

python scripts/finder_study.py --photos LABELS IMAGES --val STORE... --backgrounds DIR [--finder finder]
    [--weights small] [--only abc] [--joints] [--pictures DIR]

LABELS: COCO, with a box for every person that counts (data of docs/finder.md). People of at least a fifth of the
photo's height are to be found; finding others, or part of a crowd, is neither right nor wrong. What each candidate
leaves open (its threshold, how (c) mixes) is chosen on scenes composed of --val and --backgrounds, people and photos
that the finder was not trained on (give the folder of its training: every tenth is held back), never on LABELS.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import cv2
import numpy as np

from liftwild.boxes import body_box, clipped, ious, suppress
from liftwild.crop import Crop
from liftwild.data.photo import read_photo
from liftwild.data.pieces import People
from liftwild.data.scenes import Scenes
from liftwild.data.store import Store
from liftwild.errors import LiftwildError
from liftwild.evaluation.detection import Matched, match
from liftwild.finder_net import STRIDE
from liftwild.people.backdrops import find_backgrounds
from liftwild.pose import Pose
from liftwild.predict.estimator import Estimator
from liftwild.predict.finder import SAME, Finder
from liftwild.skeleton import MPII_16

LEAST_HEIGHT = 0.2  # of the photo's
SIZES = (0.2, 0.35, 0.6, 10.0)  # classes of height over the photo's
PROPOSED = 0.05  # score from which (c) looks at what the network proposes
WINDOWS = (1.0, 0.7, 0.45, 0.3)  # of the photo's longer side, for (b)
ROUNDS, REFINED = 2, 12  # of (b): how often, and how many windows, the best first
COCO_JOINTS = {  # of MPII-16, where COCO has the same
    f"{side}_{part}": f"{side}_{part}"
    for side in ("left", "right")
    for part in ("ankle", "knee", "hip", "wrist", "elbow", "shoulder")
}


class Labelled(NamedTuple):
    """A photo and its people: ``boxes`` (M, 4), ``counts`` (M,), ``heights`` (M,) over the photo's, crowds (K, 4),
    ``unsure``: px of the photo -> whether nobody knows if there is a person; ``joints`` (M, 16, 3): x, y, labelled."""

    image: np.ndarray
    boxes: np.ndarray
    counts: np.ndarray
    heights: np.ndarray
    crowds: np.ndarray
    unsure: np.ndarray | None
    joints: np.ndarray


class Answer(NamedTuple):
    """Boxes (N, 4) px with scores (N,)."""

    boxes: np.ndarray
    scores: np.ndarray


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
        out.append(Labelled(image, boxes, heights >= LEAST_HEIGHT, heights, crowds, None, joints))
    return out


def held_back(stores: Sequence[Path], backgrounds: Path, count: int) -> list[Labelled]:
    """Composed scenes of people and backgrounds that were held back from the finder's training."""
    people = People(tuple(Store(path) for path in stores), (1.0,) * len(stores))
    scenes = Scenes(people, find_backgrounds(backgrounds)[::10], 1, 256, (10**6, 1), 0.0)
    out = []
    for scene in (scenes.scene(0, i) for i in range(count)):
        boxes = scene.boxes.astype(np.float64)
        ones = np.ones(len(boxes), bool)
        no = np.zeros((0, 4))
        out.append(Labelled(scene.image, boxes, ones, boxes[:, 3] / 256, no, scene.weight == 0, np.zeros((0, 16, 3))))
    return out


def judge(photo: Labelled, answer: Answer) -> Matched:
    """One photo's answer against its labels."""
    ignored = photo.crowds
    if photo.unsure is not None and len(answer.boxes):
        middle = (answer.boxes[:, :2] + answer.boxes[:, 2:] / 2) / STRIDE
        x, y = middle.astype(int).clip(0, len(photo.unsure) - 1).T
        ignored = answer.boxes[photo.unsure[y, x]]
    return match(answer.boxes, answer.scores, photo.boxes, photo.counts, photo.heights, ignored)


def network(finder: Finder, image: np.ndarray) -> Answer:
    """(a) What the network says, with doubts."""
    found = finder.find(image)
    return Answer(np.array([f.box for f in found]).reshape(-1, 4), np.array([f.score for f in found]))


def sure(pose: Pose) -> float:
    """How sure PoseNet is of a person: the mean of its joints' confidences, in [0, 1]."""
    return float(np.clip(pose.confidence, 0, 1).mean())


def box_of(pose: Pose, image: np.ndarray) -> np.ndarray | None:
    """The body's box, from joints that are more than half as sure as the person's mean."""
    known = pose.confidence >= 0.5 * pose.confidence.mean()
    box = body_box(pose.joints_2d, known)
    inside = None if box is None else clipped(box, (0.0, 0.0, float(image.shape[1]), float(image.shape[0])))
    return None if inside is None or min(inside[2:]) < 2 else np.array(inside)


def search(estimator: Estimator, image: np.ndarray) -> Answer:
    """(b) Windows of a few sizes, half overlapping; the best moved to where PoseNet sees joints; duplicates dropped."""
    height, width = image.shape[:2]
    windows = []
    for share in WINDOWS:
        side = share * max(width, height)
        columns, rows = (max(1, int(np.ceil((length - side) / (side / 2) + 1))) for length in (width, height))
        for x in np.linspace(0, width - side, columns) if columns > 1 else [(width - side) / 2]:
            for y in np.linspace(0, height - side, rows) if rows > 1 else [(height - side) / 2]:
                inner = side / 1.25  # the estimator looks at 1.25 times the box
                windows.append((x + (side - inner) / 2, y + (side - inner) / 2, inner, inner))
    poses = estimator.predict(image, windows)
    poses = [poses[i] for i in np.argsort([-sure(pose) for pose in poses], kind="stable")[:REFINED]]
    boxes: list[np.ndarray] = []
    for _ in range(ROUNDS):
        boxes = [box for pose in poses if (box := box_of(pose, image)) is not None]
        poses = estimator.predict(image, boxes)
    scores = np.array([sure(pose) for pose in poses])
    moved = [box_of(pose, image) for pose in poses]
    final = np.array([new if new is not None else old for new, old in zip(moved, boxes, strict=True)]).reshape(-1, 4)
    kept = suppress(final, scores, 0.5)
    return Answer(final[kept], scores[kept])


def looked_at(estimator: Estimator, image: np.ndarray, proposed: Answer) -> tuple[np.ndarray, np.ndarray]:
    """What PoseNet makes of proposals: how sure it is (N,), and the boxes of its joints (N, 4)."""
    if not len(proposed.boxes):
        return np.zeros(0), np.zeros((0, 4))
    poses = estimator.predict(image, proposed.boxes)
    boxes = [box_of(pose, image) for pose in poses]
    moved = [old if new is None else new for new, old in zip(boxes, proposed.boxes, strict=True)]
    return np.array([sure(pose) for pose in poses]), np.array(moved)


def mixed(proposed: Answer, sure_of: np.ndarray, moved: np.ndarray, trust: float, move: float) -> Answer:
    """(c) Scores and boxes of both: ``trust`` in PoseNet's confidence, ``move`` towards its joints' box."""
    scores = proposed.scores ** (1 - trust) * sure_of**trust
    corners, others = (np.concatenate([b[:, :2], b[:, :2] + b[:, 2:]], axis=1) for b in (proposed.boxes, moved))
    both = (1 - move) * corners + move * others
    boxes = np.concatenate([both[:, :2], both[:, 2:] - both[:, :2]], axis=1)
    kept = suppress(boxes, scores, SAME)
    return Answer(boxes[kept], scores[kept])


def row(name: str, photos: list[Labelled], answers: list[Answer], threshold: float, ms: float) -> list[str]:
    """A line of the table."""
    judged = Matched.together(judge(photo, answer) for photo, answer in zip(photos, answers, strict=True))
    recall, precision = judged.at(threshold)
    found = judged.sizes[(judged.scores >= threshold) & judged.right]
    classes = []
    for low, high in itertools.pairwise(SIZES):
        wanted = ((judged.wanted >= low) & (judged.wanted < high)).sum()
        classes.append(f"{100 * ((found >= low) & (found < high)).sum() / max(1, wanted):.1f}")
    first, aside = firsts(photos, answers, threshold)
    return [
        name, f"{threshold:.2f}", f"{100 * recall:.1f}", f"{100 * precision:.1f}",
        f"{100 * judged.average_precision():.1f}", *classes, first, aside, f"{ms:.0f}",
    ]  # fmt: skip


def firsts(photos: list[Labelled], answers: list[Answer], threshold: float) -> tuple[str, str]:
    """Share of photos whose largest found person is somebody (IoU 0.5), in all with people and in those where the
    largest stands aside: the middle of the box more than a sixth of the photo's side from the photo's middle."""
    right: dict[bool, list[bool]] = {False: [], True: []}
    for photo, answer in zip(photos, answers, strict=True):
        if not photo.counts.any():
            continue
        area = np.where(photo.counts, photo.boxes[:, 2:].prod(axis=1), 0)
        x, y, w, h = photo.boxes[int(area.argmax())]
        size = np.array(photo.image.shape[1::-1])
        away = np.abs((np.array([x + w / 2, y + h / 2]) - size / 2) / size).max() > 1 / 6
        kept = answer.boxes[answer.scores >= threshold]
        hit = False
        if len(kept):
            largest = kept[int(kept[:, 2:].prod(axis=1).argmax())]
            hit = bool((ious(largest[None], photo.boxes) >= 0.5).any())
        right[bool(away)].append(hit)
    both = right[False] + right[True]
    return f"{100 * np.mean(both or [0]):.1f}", f"{100 * np.mean(right[True] or [0]):.1f}"


def joints_right(estimator: Estimator, photos: list[Labelled], answers: list[Answer] | None, threshold: float) -> float:
    """Share of labelled limb joints of people to be found that are within 0.2 torsos, %; with labelled boxes if
    ``answers`` is None. The joints of people who were not found count as wrong."""
    right, total = 0, 0
    diagonals = [
        (MPII_16.names.index(f"{a}_shoulder"), MPII_16.names.index(f"{b}_hip"))
        for a, b in (("left", "right"), ("right", "left"))
    ]
    for k, photo in enumerate(photos):
        for i in np.flatnonzero(photo.counts):
            labels, seen = photo.joints[i, :, :2], photo.joints[i, :, 2] > 0
            if not all(seen[a] and seen[b] for a, b in diagonals):
                continue
            torso = np.mean([np.linalg.norm(labels[a] - labels[b]) for a, b in diagonals])
            total += int(seen.sum())
            if answers is None:
                box = photo.boxes[i]
            else:
                kept = answers[k].boxes[answers[k].scores >= threshold]
                table = ious(kept, photo.boxes[i][None])[:, 0]
                if not len(kept) or table.max() < 0.5:
                    continue
                box = kept[int(table.argmax())]
            (pose,) = estimator.predict(photo.image, [box])
            away = np.linalg.norm(pose.joints_2d - labels, axis=1)
            right += int((away[seen] <= 0.2 * torso).sum())
    return 100 * right / max(1, total)


def answers_of(ask: Callable[[np.ndarray], Answer], photos: list[Labelled]) -> tuple[list[Answer], float]:
    """What a candidate says of all photos, and ms a photo."""
    start = time.perf_counter()
    answers = [ask(photo.image) for photo in photos]
    return answers, 1000 * (time.perf_counter() - start) / len(photos)


def best_on(photos: list[Labelled], answers: list[Answer]) -> tuple[float, float]:
    """The threshold with the best F1, and the average precision."""
    judged = Matched.together(judge(photo, answer) for photo, answer in zip(photos, answers, strict=True))
    return judged.best_threshold(), judged.average_precision()


def draw(path: Path, photos: list[Labelled], answers: list[Answer], threshold: float, count: int) -> None:
    """A page of photos with labelled boxes (white; grey where they do not count) and found ones (red)."""
    tiles = []
    for photo, answer in list(zip(photos, answers, strict=True))[:: max(1, len(photos) // count)][:count]:
        image = photo.image[..., ::-1].copy()
        scale = 320 / max(image.shape[:2])
        image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        greys = [(255,) * 3 if counts else (150,) * 3 for counts in photo.counts]
        rows = [(box, grey, 1) for box, grey in zip(photo.boxes, greys, strict=True)]
        shown = answer.scores >= threshold
        rows += [(box, (40, 40, 255), 2) for box in answer.boxes[shown]]
        for box, colour, width in rows:
            x, y, w, h = box * scale
            cv2.rectangle(image, (int(x), int(y)), (int(x + w), int(y + h)), colour, width)
        for box, score in zip(answer.boxes[shown], answer.scores[shown], strict=True):
            at = (int(box[0] * scale) + 2, int(box[1] * scale) + 12)
            cv2.putText(image, f"{score:.2f}", at, cv2.FONT_HERSHEY_SIMPLEX, 0.4, (40, 40, 255), 1, cv2.LINE_AA)
        tile = np.zeros((320, 320, 3), np.uint8)
        tile[: image.shape[0], : image.shape[1]] = image[:320, :320]
        tiles.append(tile)
    tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % 6)
    cv2.imwrite(str(path), np.vstack([np.hstack(tiles[i : i + 6]) for i in range(0, len(tiles), 6)]))


def draw_wrong(path: Path, photos: list[Labelled], answers: list[Answer], threshold: float, count: int) -> None:
    """A page of what was found where nobody is labelled, the surest first: some are people without a label."""
    wrong = []
    for photo, answer in zip(photos, answers, strict=True):
        table = ious(answer.boxes, photo.boxes).max(axis=1, initial=0)
        wrong += [
            (score, photo.image, box)
            for score, box, iou in zip(answer.scores, answer.boxes, table, strict=True)
            if score >= threshold and iou < 0.1
        ]
    wrong.sort(key=lambda one: -one[0])
    tiles = [Crop.around(tuple(box), 1.3).apply(image, 160)[..., ::-1] for _, image, box in wrong[:count]]
    tiles += [np.zeros((160, 160, 3), np.uint8)] * (-len(tiles) % 12)
    if tiles:
        cv2.imwrite(str(path), np.vstack([np.hstack(tiles[i : i + 12]) for i in range(0, len(tiles), 12)]))
    print(f"{len(wrong)} boxes of {path.stem.removesuffix('-wrong')} hardly touch a labelled person")


def main(arguments: list[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", nargs=2, type=Path, metavar=("LABELS", "IMAGES"), required=True)
    parser.add_argument("--val", nargs="+", type=Path, metavar="STORE", required=True)
    parser.add_argument("--backgrounds", type=Path, required=True)
    parser.add_argument("--finder", default="finder", help="weights of the network, or 'none'")
    parser.add_argument("--weights", default="small", help="weights of PoseNet")
    parser.add_argument("--only", default="abc", help="which candidates, such as ac")
    parser.add_argument("--scenes", type=int, default=300, help="held-back scenes that thresholds are chosen on")
    parser.add_argument("--pictures", type=Path, help="folder for pages of found people")
    parser.add_argument("--also-px", nargs="*", type=int, default=[], metavar="PX", help="(a) with larger photos too")
    parser.add_argument("--joints", action="store_true", help="also share of joints right with the boxes found")
    asked = parser.parse_args(arguments)
    cv2.setNumThreads(0)
    try:
        study(asked)
    except LiftwildError as error:
        sys.exit(f"error: {error}")


def study(asked: argparse.Namespace) -> None:
    """Ask all candidates."""
    photos, scenes = read_labelled(*asked.photos), held_back(asked.val, asked.backgrounds, asked.scenes)
    estimator = Estimator(asked.weights)
    rows: list[list[str]] = []
    kept: dict[str, tuple[list[Answer], float]] = {}

    def add(name: str, own: list[Answer], answers: list[Answer], ms: float, threshold: float | None = None) -> None:
        best = best_on(scenes, own)[0] if threshold is None else threshold
        rows.append(row(name, photos, answers, best, ms))
        kept[name] = (answers, best)

    whole = [Answer(np.array([[0.0, 0.0, p.image.shape[1], p.image.shape[0]]]), np.ones(1)) for p in photos]
    rows.append(row("the whole photo", photos, whole, 0.5, 0.0))
    if "b" in asked.only:
        print("searching with PoseNet", file=sys.stderr)
        own, _ = answers_of(lambda image: search(estimator, image), scenes)
        answers, ms = answers_of(lambda image: search(estimator, image), photos)
        add("(b) PoseNet", own, answers, ms)
    if asked.finder != "none" and set("ac") & set(asked.only):
        finder = Finder(asked.finder, least_score=PROPOSED)
        chosen = float(finder.card["threshold"])
        own, _ = answers_of(lambda image: network(finder, image), scenes)
        answers, ms = answers_of(lambda image: network(finder, image), photos)
        add("(a) network", own, answers, ms, chosen)
        for px in asked.also_px:
            larger = Finder(asked.finder, least_score=PROPOSED)
            larger.input_px = px
            larger_own, _ = answers_of(lambda image, larger=larger: network(larger, image), scenes)
            larger_answers, larger_ms = answers_of(lambda image, larger=larger: network(larger, image), photos)
            add(f"(a) network, photo at {px} px", larger_own, larger_answers, larger_ms)
    if asked.finder != "none" and "c" in asked.only:
        looks_own = [looked_at(estimator, photo.image, answer) for photo, answer in zip(scenes, own, strict=True)]
        start = time.perf_counter()
        looks = [looked_at(estimator, photo.image, answer) for photo, answer in zip(photos, answers, strict=True)]
        ms += 1000 * (time.perf_counter() - start) / len(photos)
        tried = []
        for trust in (0.0, 0.25, 0.5, 0.75):
            for move in (0.0, 0.3, 0.6, 1.0):
                mix = [mixed(a, *look, trust, move) for a, look in zip(own, looks_own, strict=True)]
                tried.append((best_on(scenes, mix)[1], trust, move, mix))
        by_scenes = max(tried, key=lambda one: one[0])
        shown = [by_scenes[1:3], (0.25, 0.0), (0.5, 0.0), (0.25, 0.3), (0.5, 0.6), (0.0, 1.0)]
        for trust, move in dict.fromkeys(shown):
            mix_own = next(mix for _, t, m, mix in tried if (t, m) == (trust, move))
            mix = [mixed(a, *look, trust, move) for a, look in zip(answers, looks, strict=True)]
            best = " best on held-back scenes" if (trust, move) == by_scenes[1:3] else ""
            add(f"(c) both, trust {trust:g} move {move:g}{best}", mix_own, mix, ms)
    head = ["", "threshold", "recall", "precision", "AP", "0.2-0.35", "0.35-0.6", "0.6+", "first", "aside", "ms"]
    print("\n".join("| " + " | ".join(cells) + " |" for cells in [head, ["---"] * len(head), *rows]))
    people = sum(int(photo.counts.sum()) for photo in photos)
    print(f"\n{len(photos)} photos, {people} people of at least {LEAST_HEIGHT:g} of the photo's height; %, IoU 0.5.")
    if asked.joints:
        print(f"limb joints within 0.2 torsos, labelled boxes: {joints_right(estimator, photos, None, 0):.1f} %")
        for name, (answers, threshold) in kept.items():
            print(f"limb joints within 0.2 torsos, {name}: {joints_right(estimator, photos, answers, threshold):.1f} %")
    if asked.pictures:
        asked.pictures.mkdir(parents=True, exist_ok=True)
        for letter in "abc":
            for answers, threshold in [what for name, what in kept.items() if name.startswith(f"({letter})")][:1]:
                draw(asked.pictures / f"{letter}.png", photos, answers, threshold, 36)
                draw_wrong(asked.pictures / f"{letter}-wrong.png", photos, answers, threshold, 60)


if __name__ == "__main__":
    main()
