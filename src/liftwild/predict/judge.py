"""What PoseNet makes of whom a finder proposes: how sure it is that somebody is there, and where it sees the body."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from liftwild.boxes import Box, body_box, clipped, suppress
from liftwild.errors import LiftwildError
from liftwild.predict.estimator import Estimator
from liftwild.predict.runtime import look
from liftwild.skeleton import MPII_16
from liftwild.weights.finder import Mix

SAME = 0.6  # two boxes with a larger IoU are one person
# One person seen twice, once in part: so many of the known joints of the less sure are as near to those of the other,
# in longer sides of the smaller box.
SAME_JOINTS, NEAR = 0.6, 0.1
LEAST_COMMON = 3  # joints that both know, to be compared
KNOWN = 0.5  # joints at least so sure, against the mean of all, shape the body's box
LEAST_PX = 2.0  # a body's box with a shorter side shows nobody


class Scored(NamedTuple):
    """``boxes`` (N, 4) x, y, w, h px of one photo, with ``scores`` (N,) in [0, 1]."""

    boxes: np.ndarray
    scores: np.ndarray


class Looks(NamedTuple):
    """What PoseNet sees in N boxes of one photo.

    ``sure`` (N,) in [0, 1]: mean height of the heatmaps' peaks, which is about people and not about joints being right.
    ``boxes`` (N, 4) px: around the body that it sees, inside the photo; the box that it was shown where it sees none.
    ``joints_2d`` (N, 16, 2) px; ``known`` (N, 16) bool: those that shape the body.
    """

    sure: np.ndarray
    boxes: np.ndarray
    joints_2d: np.ndarray
    known: np.ndarray


def look_at(estimator: Estimator, image: np.ndarray, boxes: np.ndarray) -> Looks:
    """PoseNet's look at ``boxes`` (N, 4) px of ``image`` (H, W, 3) uint8 RGB, without the mirror, all in a batch.

    LiftwildError if the weights are broken.
    """
    people = estimator.crop_people(image, boxes)
    whole = (0.0, 0.0, float(image.shape[1]), float(image.shape[0]))
    peaks, joints_2d = np.zeros((len(people), len(MPII_16))), np.zeros((len(people), len(MPII_16), 2))
    for start in range(0, len(people), estimator.batch_size):
        batch = people[start : start + estimator.batch_size]
        found = look(estimator.runtime, np.stack([person.pixels for person in batch]))
        these = slice(start, start + len(batch))
        peaks[these], joints_2d[these] = found.peaks.clamp(0, 1).cpu().numpy(), found.joints_2d.cpu().numpy()
    if not (np.isfinite(peaks).all() and np.isfinite(joints_2d).all()):
        raise LiftwildError(f"the network of {estimator.weights} gives NaN or infinity; its weights are broken")
    known = peaks >= KNOWN * peaks.mean(axis=1, keepdims=True)
    bodies = np.zeros((len(people), 4))
    for i, person in enumerate(people):
        joints_2d[i] = person.crop.to_photo(joints_2d[i], estimator.input_px)
        bodies[i] = _body(joints_2d[i], known[i], whole) or person.box
    return Looks(peaks.mean(axis=1), bodies, joints_2d, known)


def _body(joints_2d: np.ndarray, known: np.ndarray, whole: Box) -> Box | None:
    """The box of the body in the photo; None if there is none to speak of."""
    box = body_box(joints_2d, known)
    inside = None if box is None else clipped(box, whole)
    return None if inside is None or min(inside[2:]) < LEAST_PX else inside


def mixed(proposed: Scored, looks: Looks, mix: Mix) -> Scored:
    """What finder and PoseNet say together, best first; of two that show one person the surer. None is left out by its
    score."""
    scores = proposed.scores ** (1 - mix.trust) * looks.sure**mix.trust
    old, new = (np.concatenate([b[:, :2], b[:, :2] + b[:, 2:]], axis=1) for b in (proposed.boxes, looks.boxes))
    corners = (1 - mix.move) * old + mix.move * new
    boxes = np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1)
    kept: list[int] = []
    for i in suppress(boxes, scores, SAME):
        if not any(_one_body(looks, boxes, i, better) for better in kept):
            kept.append(i)
    return Scored(boxes[kept], scores[kept])


def _one_body(looks: Looks, boxes: np.ndarray, i: int, better: int) -> bool:
    """Whether the joints of look ``i`` are those of a ``better`` one."""
    both = looks.known[i] & looks.known[better]
    if both.sum() < LEAST_COMMON:
        return False
    away = np.linalg.norm(looks.joints_2d[i][both] - looks.joints_2d[better][both], axis=1)
    reach = NEAR * min(boxes[i][2:].max(), boxes[better][2:].max())
    return bool((away <= reach).sum() >= SAME_JOINTS * looks.known[i].sum())


def judged(estimator: Estimator, image: np.ndarray, proposed: Scored, mix: Mix) -> Scored:
    """As ``mixed``, of the best of ``proposed``: as many, and from that score on, as ``mix`` says; the others are
    dropped without a look."""
    order = np.argsort(-proposed.scores, kind="stable")[: mix.most]
    best = order[proposed.scores[order] >= mix.proposed]
    asked = Scored(proposed.boxes[best], proposed.scores[best])
    return mixed(asked, look_at(estimator, image, asked.boxes), mix)
