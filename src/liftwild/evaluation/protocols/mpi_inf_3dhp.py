"""MPI-INF-3DHP, test set: PCK below 150 mm and AUC over 14 joints, by scene (Table 3).

Pelvis and hips are not where MPII and Human3.6M have them, so the predicted ones are moved 0.2 of the way to the neck.
The size of a person is taken as known: then a pose gets the summed bone length of its label, and both are moved to the
pelvis. Switch ``hips``, the default first:
- "together": pelvis and both hips by one vector, 0.2 of that from pelvis to neck, as the authors' code does;
- "each": each of the three 0.2 of its own way, as the paper's sentence may be read, after the size is set;
- "labels": the labels' in place of the predicted ones, each its own way; "none": nothing is moved.
"""

from __future__ import annotations

import numpy as np

from liftwild.errors import LiftwildError
from liftwild.evaluation import metrics
from liftwild.evaluation.predictions import Predictions
from liftwild.evaluation.protocols.protocol import Aligned, Protocol, Scores, Switches, known, rooted, with_label_size
from liftwild.skeleton import MPII_16, PELVIS, THORAX

PEOPLE = 2929
SCENES = {"Studio GS": ("TS1", "TS2"), "Studio no GS": ("TS3", "TS4"), "Outdoor": ("TS5", "TS6")}
NECK = MPII_16.index("upper_neck")
MOVED = [PELVIS, MPII_16.index("left_hip"), MPII_16.index("right_hip")]
SHARE = 0.2
THRESHOLD_MM = 150.0


def _toward_neck(pose: np.ndarray, together: bool) -> np.ndarray:
    """``pose`` (N, J, 3), pelvis and hips moved 0.2 of the pelvis's way to the upper neck, or each of its own."""
    moved = pose.copy()
    way_from = [PELVIS] if together else MOVED
    moved[:, MOVED] += SHARE * (pose[:, NECK : NECK + 1] - pose[:, way_from])
    return moved


def align_at_pelvis(predictions: Predictions, switches: Switches) -> Aligned:
    """Everybody's pose and label about their pelvis; pelvis and thorax are not compared."""
    measured = predictions.measured
    pred, true, valid = measured.pred_3d, measured.true_3d, measured.valid_3d.copy()
    if switches["hips"] == "together":
        pred = _toward_neck(pred, together=True)
    pred = with_label_size(pred, measured)
    if switches["hips"] == "each":
        pred = _toward_neck(pred, together=False)
    if switches["hips"] == "labels":
        true = np.where(valid[:, NECK, None, None], _toward_neck(true, together=False), np.nan)
    true = rooted(true, valid)
    valid[:, [PELVIS, THORAX]] = False
    return known(Aligned(rooted(pred), true, valid))


def scene(group: str) -> str:
    """The scene of a sequence; LiftwildError if it is none of the test set's."""
    for name, sequences in SCENES.items():
        if group.upper() in sequences:
            return name
    raise LiftwildError(
        f"protocol mpi-inf-3dhp: no sequence {group!r}; they are TS1 to TS6 (prepare the store with "
        "'liftwild prepare mpi-inf-3dhp')"
    )


def _scores(predictions: Predictions, switches: Switches) -> Scores:
    """PCK of each scene and of all frames, AUC of all, in percent; all joints of all frames count alike."""
    poses = align_at_pelvis(predictions, switches)
    scenes = {name: scene(name) for name in set(predictions.group)}
    frames = np.array([scenes[name] for name in predictions.group])
    hits = poses.hits(THRESHOLD_MM)
    found = {
        name: metrics.JointHits(hits.hits[frames == name], hits.counted[frames == name]).pooled() for name in SCENES
    }
    found["All PCK"] = hits.pooled()
    found["AUC"] = float(np.mean([poses.hits(limit).pooled() for limit in metrics.AUC_THRESHOLDS_MM]))
    return {"table3": {name: 100 * part for name, part in found.items() if np.isfinite(part)}}


MPI_INF_3DHP = Protocol(
    "mpi-inf-3dhp", (None, PEOPLE), _scores, align_at_pelvis, group=scene,
    switches={"hips": ("together", "each", "labels", "none")}, scale="universal",
)  # fmt: skip
