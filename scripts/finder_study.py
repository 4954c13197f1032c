"""How people are found best: our small network, a search with PoseNet, or both. Measured on whole photos.

python scripts/finder_study.py --photos LABELS IMAGES [--finder finder] [--weights small] [--runtime torch]
    [--only abc] [--most 8 4 99] [--joints] [--pictures DIR] [--write]

LABELS: COCO, with a box for every person that counts (data of docs/finder.md). People of at least a fifth of the
photo's height are to be found; finding others, or part of a crowd, is neither right nor wrong. What a candidate leaves
open (its threshold, how (c) mixes) is chosen on every other photo and measured on those between, and the other way
round: the table's rows pool the two. (c) looks at the best proposals of a photo, so many as --most says, one row each.
--write: the mix of (c) that is best on all photos goes into the json of --finder, which liftwild reads.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import NamedTuple

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import cv2
import numpy as np

from liftwild.boxes import ious, suppress
from liftwild.crop import Crop
from liftwild.data.photo import read_photo
from liftwild.errors import LiftwildError
from liftwild.evaluation.detection import Matched, match
from liftwild.outputs.files import write_whole
from liftwild.predict.estimator import Estimator
from liftwild.predict.finder import Finder
from liftwild.predict.judge import Looks, Scored, look_at, mixed
from liftwild.skeleton import MPII_16
from liftwild.weights.finder import JUDGED, Mix, find_finder

LEAST_HEIGHT = 0.2  # of the photo's
SIZES = (0.2, 0.35, 0.6, 10.0)  # classes of height over the photo's
PROPOSED = 0.05  # score from which (c) looks at what the network proposes
TRUSTS, MOVES = (0.0, 0.25, 0.4, 0.5, 0.6, 0.75), (0.0, 0.3, 0.6, 0.8, 1.0)  # mixes of (c) to choose from
WINDOWS = (1.0, 0.7, 0.45, 0.3)  # of the photo's longer side, for (b)
ROUNDS, REFINED = 2, 12  # of (b): how often, and how many windows, the best first
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
        out.append(Labelled(image, boxes, heights >= LEAST_HEIGHT, heights, crowds, joints))
    return out


def judge(photo: Labelled, answer: Scored) -> Matched:
    """One photo's answer against its labels."""
    return match(answer.boxes, answer.scores, photo.boxes, photo.counts, photo.heights, photo.crowds)


def network(finder: Finder, image: np.ndarray) -> Scored:
    """(a) What the network says, with doubts, best first."""
    found = sorted(finder.find(image), key=lambda each: -each.score)
    return Scored(np.array([f.box for f in found]).reshape(-1, 4), np.array([f.score for f in found]))


def search(estimator: Estimator, image: np.ndarray) -> Scored:
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
    looks = look_at(estimator, image, np.array(windows))
    looks = Looks(*(part[np.argsort(-looks.sure, kind="stable")[:REFINED]] for part in looks))
    for _ in range(ROUNDS):
        looks = look_at(estimator, image, looks.boxes)
    kept = suppress(looks.boxes, looks.sure, 0.5)
    return Scored(looks.boxes[kept], looks.sure[kept])


def row(name: str, photos: list[Labelled], answers: list[Scored], threshold: float, ms: float) -> list[str]:
    """A line of the table."""
    matched = Matched.together(map(judge, photos, answers))
    recall, precision = matched.at(threshold)
    found = matched.sizes[(matched.scores >= threshold) & matched.right]
    classes = []
    for low, high in itertools.pairwise(SIZES):
        wanted = ((matched.wanted >= low) & (matched.wanted < high)).sum()
        classes.append(f"{100 * ((found >= low) & (found < high)).sum() / max(1, wanted):.1f}")
    first, aside = firsts(photos, answers, threshold)
    return [
        name, f"{100 * recall:.1f}", f"{100 * precision:.1f}", f"{100 * matched.average_precision():.1f}",
        *classes, first, aside, f"{ms:.0f}",
    ]  # fmt: skip


def firsts(photos: list[Labelled], answers: list[Scored], threshold: float) -> tuple[str, str]:
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


def joints_right(estimator: Estimator, photos: list[Labelled], answers: list[Scored] | None, threshold: float) -> float:
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


def answers_of(ask: Callable[[np.ndarray], Scored], photos: list[Labelled]) -> tuple[list[Scored], float]:
    """What a candidate says of all photos, and ms of processor time a photo."""
    start = time.process_time()
    answers = [ask(photo.image) for photo in photos]
    return answers, 1000 * (time.process_time() - start) / len(photos)


def best_of(photos: list[Labelled], candidates: Mapping[str, list[Scored]], of: slice) -> tuple[str, float]:
    """Of ``candidates``, each an answer to every photo, the one with the best average precision on the photos ``of``,
    and its threshold with the best F1 there."""
    best = (-1.0, "", 1.0)
    for name, answers in candidates.items():
        matched = Matched.together(map(judge, photos[of], answers[of]))
        best = max(best, (matched.average_precision(), name, matched.best_threshold()), key=lambda each: each[0])
    return best[1:]


def crossed(photos: list[Labelled], candidates: Mapping[str, list[Scored]]) -> tuple[list[Scored], str]:
    """Answers to every photo, chosen on the half of the photos that it is not in, with scores over the threshold (so
    that 1 is the threshold); and what was chosen."""
    halves = (slice(0, None, 2), slice(1, None, 2))
    answers: list[Scored] = [Scored(np.zeros((0, 4)), np.zeros(0))] * len(photos)
    said = []
    for own, other in (halves, halves[::-1]):
        name, threshold = best_of(photos, candidates, other)
        answers[own] = [Scored(boxes, scores / threshold) for boxes, scores in candidates[name][own]]
        said.append(f"{name} from {threshold:.3f}")
    return answers, " and ".join(dict.fromkeys(said))


def mixes(proposed: list[Scored], looks: list[Looks], most: int) -> dict[str, tuple[Mix, list[Scored]]]:
    """What each mix of (c) makes of the best ``most`` proposals, best first, and PoseNet's looks at them."""
    found = {}
    for trust, move in itertools.product(TRUSTS, MOVES):
        mix = Mix(trust, move, 0.0, PROPOSED, most)
        answers = [
            mixed(Scored(*(part[:most] for part in own)), Looks(*(part[:most] for part in look)), mix)
            for own, look in zip(proposed, looks, strict=True)
        ]
        found[f"trust {trust:g} move {move:g}"] = (mix, answers)
    return found


def draw(path: Path, photos: list[Labelled], answers: list[Scored], threshold: float, count: int) -> None:
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


def draw_wrong(path: Path, photos: list[Labelled], answers: list[Scored], threshold: float, count: int) -> None:
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


def keep_mix(asked: argparse.Namespace, mix: Mix, photos: int) -> None:
    """Write ``mix`` into the finder's json."""
    path = find_finder(asked.finder).with_suffix(".json")
    card = json.loads(path.read_text())
    card[JUDGED] = {**asdict(mix), "weights": asked.weights, "chosen_on": f"{photos} photos of COCO"}
    write_whole(path, (json.dumps(card, indent=1) + "\n").encode())
    print(f"the mix is in {path}", file=sys.stderr)


def main(arguments: list[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", nargs=2, type=Path, metavar=("LABELS", "IMAGES"), required=True)
    parser.add_argument("--finder", default="finder", help="weights of the network, or 'none'")
    parser.add_argument("--weights", default="small", help="weights of PoseNet")
    parser.add_argument("--runtime", help="what computes PoseNet, and with it (c)")
    parser.add_argument("--only", default="abc", help="which candidates, such as ac")
    parser.add_argument("--most", nargs="+", type=int, default=[4], help="proposals that (c) looks at")
    parser.add_argument("--pictures", type=Path, help="folder for pages of found people")
    parser.add_argument("--joints", action="store_true", help="also share of joints right with the boxes found")
    parser.add_argument("--write", action="store_true", help="keep the best mix, of the first --most, in the json")
    asked = parser.parse_args(arguments)
    cv2.setNumThreads(0)
    try:
        study(asked)
    except LiftwildError as error:
        sys.exit(f"error: {error}")


def study(asked: argparse.Namespace) -> None:
    """Ask all candidates."""
    photos = read_labelled(*asked.photos)
    estimator = Estimator(asked.weights, runtime=asked.runtime)
    rows: list[list[str]] = []
    kept: dict[str, tuple[list[Scored], float]] = {}

    def add(name: str, answers: list[Scored], threshold: float, ms: float) -> None:
        rows.append(row(name, photos, answers, threshold, ms))
        kept[name] = (answers, threshold)

    def add_crossed(name: str, candidates: Mapping[str, list[Scored]], ms: float) -> None:
        answers, said = crossed(photos, candidates)
        print(f"{name}: {said}")
        add(name, answers, 1.0, ms)

    whole = [Scored(np.array([[0.0, 0.0, p.image.shape[1], p.image.shape[0]]]), np.ones(1)) for p in photos]
    rows.append(row("the whole photo", photos, whole, 0.5, 0.0))
    if "b" in asked.only:
        print("searching with PoseNet", file=sys.stderr)
        answers, ms = answers_of(lambda image: search(estimator, image), photos)
        add_crossed("(b) PoseNet", {"": answers}, ms)
    if asked.finder != "none" and set("ac") & set(asked.only):
        finder = Finder(asked.finder, least_score=PROPOSED)
        proposed, ms = answers_of(lambda image: network(finder, image), photos)
        add("(a) network", proposed, float(finder.card["threshold"]), ms)
        add_crossed("(a) network, threshold from these photos too", {"": proposed}, ms)
    if asked.finder != "none" and "c" in asked.only:
        start = time.process_time()
        looks = [look_at(estimator, photo.image, own.boxes) for photo, own in zip(photos, proposed, strict=True)]
        ms_a_look = 1000 * (time.process_time() - start) / sum(len(each.sure) for each in looks)
        chosen: list[Mix] = []
        for most in asked.most:
            tried = mixes(proposed, looks, most)
            answers_by = {name: answers for name, (_, answers) in tried.items()}
            best, threshold = best_of(photos, answers_by, slice(None))
            chosen.append(replace(tried[best][0], threshold=round(threshold, 3)))
            count = sum(min(most, len(own.scores)) for own in proposed) / len(photos)
            more = ms + count * ms_a_look
            add_crossed(f"(c) both, at most {most} looks", answers_by, more)
            print(f"chosen on all photos, {count:.1f} looks a photo: {chosen[-1]}")
            add(f"(c) with the mix chosen on all photos, at most {most} looks", tried[best][1], threshold, more)
        if asked.write:
            keep_mix(asked, chosen[0], len(photos))
    head = ["", "recall", "precision", "AP", "0.2-0.35", "0.35-0.6", "0.6+", "first", "aside", "ms"]
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
