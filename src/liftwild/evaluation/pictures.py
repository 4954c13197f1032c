"""Pictures of people who were measured: a page of one run's, and those of several runs side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np

from liftwild.data.store import Store
from liftwild.errors import LiftwildError
from liftwild.evaluation.measure import Measured, network_view
from liftwild.evaluation.metric_table import swapped, torso_hits
from liftwild.evaluation.predictions import StorePredictions
from liftwild.files import check_output, make_folder, write_whole
from liftwild.media.encoding import is_marked, marked
from liftwild.pose import Pose
from liftwild.skeleton import MPII_16
from liftwild.viz.draw import (
    FAINT,
    FINE,
    INK,
    PAPER,
    ROOM,
    Colour,
    View,
    disc,
    draw_pose,
    draw_skeleton,
    side_colour,
    text,
)

PAGE = "chosen.jpg", "worst.jpg"
CHOSEN, WORST = 48, 16
WIDTH_PX = 2400
MAX_BYTES = 1_500_000
CHOSEN_COLUMNS, WORST_COLUMNS = 6, 4
BESIDE, BESIDE_PX, HEAD_PX = 8, 240, 58  # people side by side, the side of a photo, the height of the legend
WHITE: Colour = (250, 250, 250)
TITLE_PX, CAPTION_PX, GAP_PX = 44, 26, 8
TURN_DEG = 60.0
REACH_MM = 1000.0  # half of what a 3D panel shows; more for a pose that needs it


def write_people_page(folder: Path, store: Store, predictions: StorePredictions, weights: str, seed: int = 0) -> None:
    """Write ``chosen.jpg`` and ``worst.jpg`` (``PAGE``) into ``folder``, each whole and under 1.5 MB.

    ``predictions`` are those on ``store``, ``weights`` is what titles call the network. LiftwildError if they cannot be
    written.
    """
    make_folder(folder)
    people = len(predictions.source)
    pck = torso_hits(predictions.measured).per_sample()
    for name, rows, columns, which in (
        (PAGE[0], choose(people, seed), CHOSEN_COLUMNS, f"drawn by seed {seed}"),
        (PAGE[1], worst(pck, predictions.annotation_id), WORST_COLUMNS, "with the lowest PCK@0.2-torso"),
    ):
        title = f"{weights} on {predictions.name}: {len(rows)} of {people} people, {which}"
        write_whole(folder / name, marked(small_jpeg(draw_people_page(store, predictions, rows, columns, title))))


def check_page(folder: Path) -> None:
    """LiftwildError if ``write_people_page`` would write over pictures that it did not write."""
    for name in PAGE:
        check_output(folder / name, is_marked, "--page")


def choose(people: int, seed: int, most: int = CHOSEN) -> list[int]:
    """``most`` rows of ``people``, or all, drawn by ``seed``, in their order."""
    drawn = np.random.default_rng(seed).choice(people, min(most, people), replace=False)
    return sorted(drawn.tolist())


def worst(pck: np.ndarray, annotation_id: np.ndarray, most: int = WORST) -> list[int]:
    """Rows with the lowest ``pck``, the lower ``annotation_id`` first in a tie; nobody whose PCK is NaN."""
    order = np.lexsort((annotation_id, pck))
    return [int(row) for row in order if not np.isnan(pck[row])][:most]


def draw_people_page(
    store: Store, predictions: StorePredictions, rows: Sequence[int], columns: int, title: str
) -> np.ndarray:
    """The grid of ``rows``: (H, 2400, 3) uint8 RGB. Each person as the network sees it, with the predicted skeleton
    (left blue, right orange) and the labels (dots), beside the 3D pose turned by 60 degrees."""
    measured = predictions.measured
    joints_3d = measured.pred_3d
    pck, exchanged = torso_hits(measured).per_sample(), swapped(measured)
    width = WIDTH_PX // columns
    side = (width - GAP_PX) // 2
    high = side + CAPTION_PX + GAP_PX
    lines = -(-len(rows) // columns)
    canvas = np.full((TITLE_PX + high * lines, WIDTH_PX, 3), PAPER, np.uint8)
    for place, row in enumerate(rows):
        y, x = TITLE_PX + place // columns * high, place % columns * width
        score = "no torso labelled" if np.isnan(pck[row]) else f"PCK {100 * pck[row]:.0f} %"
        caption = f"{predictions.annotation_id[row]}   {score}" + ("   sides swapped" if exchanged[row] else "")
        canvas[y : y + high - GAP_PX, x : x + 2 * side] = draw_person(store, measured, joints_3d, row, side, caption)
    legend = "prediction: left blue, right orange, unsure joints hollow; dots: labels; 3D turned by 60 degrees"
    head = np.full((TITLE_PX * FINE, WIDTH_PX * FINE, 3), PAPER, np.uint8)
    text(head, title, (6 * FINE, 30 * FINE), 0.8, INK)
    text(head, legend, (WIDTH_PX // 2 * FINE, 30 * FINE), 0.7, FAINT)
    canvas[:TITLE_PX] = shrunk(head)
    return canvas


def draw_side_by_side(
    store: Store, runs: Mapping[str, StorePredictions], seed: int = 0, people: int = BESIDE
) -> np.ndarray:
    """A row for each of ``people`` drawn by ``seed``, a pair of panels for each of ``runs`` (by name): (H, W, 3) uint8
    RGB. Predictions: left blue, right orange; dots: labels; 3D turned by 60 degrees."""
    rows = choose(len(store), seed, people)
    wide, high = 2 * BESIDE_PX + GAP_PX, BESIDE_PX + CAPTION_PX + GAP_PX
    # Two runs wide at least: the legend needs the room.
    canvas = np.full((HEAD_PX + high * len(rows), max(2, len(runs)) * wide, 3), PAPER, np.uint8)
    head = np.full((HEAD_PX * FINE, canvas.shape[1] * FINE, 3), PAPER, np.uint8)
    legend = f"{store.path.stem}: left blue, right orange, unsure joints hollow; dots: labels; 3D turned by 60 degrees"
    text(head, legend, (4 * FINE, 20 * FINE), 0.5, FAINT)
    for place, (name, own) in enumerate(runs.items()):
        text(head, name, ((place * wide + 4) * FINE, 48 * FINE), 0.6, INK)
        pck, joints_3d = torso_hits(own.measured).per_sample(), own.measured.pred_3d
        for line, row in enumerate(rows):
            score = "no torso labelled" if np.isnan(pck[row]) else f"PCK@0.2-torso {100 * pck[row]:.0f} %"
            cell = draw_person(store, own.measured, joints_3d, row, BESIDE_PX, f"{own.annotation_id[row]}   {score}")
            y, x = HEAD_PX + line * high, place * wide
            canvas[y : y + cell.shape[0], x : x + cell.shape[1]] = cell
    canvas[:HEAD_PX] = shrunk(head)
    return canvas


def small_jpeg(picture: np.ndarray, most: int = MAX_BYTES) -> bytes:
    """``picture`` (H, W, 3) uint8 RGB as a JPEG of at most ``most`` bytes, as fine as fits."""
    for quality in (92, 88, 84, 80, 70, 55, 40):
        done, content = cv2.imencode(
            ".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality]
        )
        if done and len(content) <= most:
            break
    if not done:
        raise LiftwildError("the page of pictures cannot be encoded")
    return content.tobytes()


def draw_person(
    store: Store, measured: Measured, joints_3d: np.ndarray, row: int, side: int, caption: str
) -> np.ndarray:
    """One person: photo and 3D pose (row of ``joints_3d``), each ``side`` px square, over a caption."""
    fine = side * FINE
    seen = network_view(store[row], fine)
    pose = Pose(
        joints_2d=measured.pred_2d[row] * (fine / measured.input_px),
        joints_3d=joints_3d[row],
        confidence=measured.confidence[row],
        box=seen.box,
    )
    photo, room = seen.image, np.full((fine, fine, 3), ROOM, np.uint8)
    draw_skeleton(photo, pose.joints_2d, pose, side * 0.008 * FINE, np.zeros(len(MPII_16)), WHITE)
    for joint in np.flatnonzero(seen.joints_2d_valid):
        disc(photo, seen.joints_2d[joint], side * 0.019 * FINE, INK)
        disc(photo, seen.joints_2d[joint], side * 0.013 * FINE, side_colour(MPII_16, int(joint)))
    view = View((pose.joints_3d.min(axis=0) + pose.joints_3d.max(axis=0)) / 2, TURN_DEG)
    reach = max(REACH_MM, float(np.abs(view.see(pose.joints_3d)[:, :2]).max()) * 1.1)
    draw_pose(room, view, pose, fine / 2 / reach, np.array([fine / 2, fine / 2]), side * 0.012 * FINE)
    words = np.full((CAPTION_PX * FINE, 2 * fine, 3), PAPER, np.uint8)
    text(words, caption, (4 * FINE, 18 * FINE), 0.5, INK)
    return shrunk(np.concatenate([np.concatenate([photo, room], axis=1), words]))


def shrunk(drawn: np.ndarray) -> np.ndarray:
    """What was drawn fine, at its own size."""
    return cv2.resize(drawn, None, fx=1 / FINE, fy=1 / FINE, interpolation=cv2.INTER_AREA)
