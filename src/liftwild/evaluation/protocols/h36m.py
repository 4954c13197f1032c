"""Human3.6M, subjects 9 and 11: MPJPE by action and PCKh@0.5 of the joints in the picture (Tables 1 and 2).

Switches, the default first.
- ``average`` of Table 1 "frames": the mean over frames, as the paper's printed averages are (the means of its fifteen
  actions differ from them); "actions": the mean of the actions' means.
- ``root`` "whole": the formula of the evaluation puts the root of the pose where that of the label is; "depth": a
  reading of the sentence beside it, which speaks of depth alone: the pose stands where the picture shows its root.
- ``thorax`` "network": as predicted and as labelled; "middle" (authors' code): the predicted one is replaced by the
  middle of pelvis and upper neck, and compared with Human3.6M's spine.
- ``head`` of Table 2: the head size is this part of the distance from upper neck to head top. 0.75 is MPII's convention
  (the median over its validation people), the paper does not say.
"""

from __future__ import annotations

import numpy as np

from liftwild.camera import bone_lengths
from liftwild.errors import LiftwildError
from liftwild.evaluation import metric_table, metrics
from liftwild.evaluation.measure import Measured
from liftwild.evaluation.paper import TABLE_1_ACTIONS
from liftwild.evaluation.predictions import Predictions
from liftwild.evaluation.protocols.protocol import Aligned, Protocol, Scores, Switches, known, rooted
from liftwild.skeleton import MPII_16, PELVIS, SCALE_BONES, THORAX

NECK = MPII_16.index("upper_neck")
# Every fifth frame of the 15 actions from four cameras, without the broken take of S11.
PEOPLE = 109_867
# Other spellings of actions, in lower-case letters.
ALIASES = {"takingphoto": "photo", "photoing": "photo", "walkingdog": "walkdog", "walktogether": "walkpair",
           "walkingtogether": "walkpair", "greet": "greeting", "phone": "phoning", "discuss": "discussion",
           "direction": "directions", "purchase": "purchases"}  # fmt: skip


def _align(predictions: Predictions, switches: Switches) -> Aligned:
    """Everybody's pose, its summed bone length that of the training people, and label, both about the label's root.

    LiftwildError with ``thorax`` "middle" where nobody's spine is known.
    """
    measured = predictions.measured
    true, valid = measured.true_3d.copy(), measured.valid_3d.copy()
    pred = measured.pred_3d
    if switches["thorax"] == "middle":
        if measured.spine_3d is None or not np.isfinite(measured.spine_3d).any():
            raise LiftwildError(
                "protocol h36m: switch thorax=middle compares with Human3.6M's spine, which these predictions do not "
                "have; prepare the store with 'liftwild prepare h36m' and evaluate it again"
            )
        pred[:, THORAX] = (pred[:, PELVIS] + pred[:, NECK]) / 2
        true[:, THORAX] = measured.spine_3d
        valid[:, THORAX] = np.isfinite(measured.spine_3d).all(1)
    if switches["root"] == "depth":
        pred = pred + _root_offset_mm(measured)[:, None]
    return known(Aligned(pred, rooted(true, valid), valid))


def _root_offset_mm(measured: Measured) -> np.ndarray:
    """How far beside the true root the predicted one lies at its depth, (N, 3) mm; NaN where nothing tells.

    A px is as many mm as in the labels: summed length of the scale bones' xy parts over that of the bones in px.
    """
    both = measured.valid_2d & measured.valid_3d
    ends = np.array(SCALE_BONES)
    bones = both[:, ends[:, 0]] & both[:, ends[:, 1]]
    px = np.where(bones, bone_lengths(measured.true_2d), 0).sum(1)
    mm = np.where(bones, bone_lengths(measured.true_3d[..., :2]), 0).sum(1)
    mm_per_px = np.divide(mm, px, out=np.full(len(px), np.nan), where=(px > 0) & both[:, PELVIS])
    offset = np.zeros((len(px), 3))
    offset[:, :2] = (measured.pred_2d[:, PELVIS] - measured.true_2d[:, PELVIS]) * mm_per_px[:, None]
    return offset


def action(group: str) -> str:
    """The paper's name of an action; LiftwildError if it is none of the 15."""
    letters = "".join(c for c in group.lower() if c.isalpha())
    letters = ALIASES.get(letters, letters)
    for name in TABLE_1_ACTIONS:
        if name.lower() == letters:
            return name
    raise LiftwildError(
        f"protocol h36m: no action {group!r}; actions are {', '.join(TABLE_1_ACTIONS)} (prepare the store with "
        "'liftwild prepare h36m')"
    )


def _scores(predictions: Predictions, switches: Switches) -> Scores:
    """MPJPE in mm of each action (mean over frames) and on average; PCKh@0.5 in percent, without pelvis and thorax, as
    MPII's script has it."""
    errors = metrics.mpjpe(*_align(predictions, switches))
    frames = {name: [action(name) == column for column in TABLE_1_ACTIONS] for name in set(predictions.group)}
    columns = np.array([frames[name] for name in predictions.group])
    usable = np.isfinite(errors)
    found = {
        name: float(errors[own].mean())
        for name, own in zip(TABLE_1_ACTIONS, columns.T & usable, strict=True)
        if own.any()
    }
    if found:
        average = errors[usable] if switches["average"] == "frames" else list(found.values())
        found["Average"] = float(np.mean(average))
    head = metric_table.head_hits(predictions.measured, float(switches["head"])).pooled()
    return {"table1": found, "table2": {"PCKh@0.5": 100 * head} if np.isfinite(head) else {}}


H36M = Protocol(
    "h36m", (None, PEOPLE), _scores, _align, group=action,
    switches={
        "average": ("frames", "actions"), "root": ("whole", "depth"), "thorax": ("network", "middle"),
        "head": ("0.75", "1.0"),
    },
)  # fmt: skip
