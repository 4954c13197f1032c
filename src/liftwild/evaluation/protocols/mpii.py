"""MPII, validation people: PCKh@0.5 of the joints in the picture."""

from __future__ import annotations

import numpy as np

from liftwild.errors import LiftwildError
from liftwild.evaluation import metrics
from liftwild.evaluation.metric_table import scored_joints
from liftwild.evaluation.predictions import Predictions
from liftwild.evaluation.protocols.protocol import Protocol, Scores, Switches
from liftwild.skeleton import MPII_16

PEOPLE = 2958
THRESHOLD = 0.5
# The columns of MPII's own tables; ``Mean`` is over all joints but pelvis and thorax.
COLUMNS = {
    "Head": ("upper_neck", "head_top"),
    **{name.title(): (f"left_{name}", f"right_{name}") for name in
       ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")},
}  # fmt: skip


def _scores(predictions: Predictions, switches: Switches) -> Scores:
    """Percent of labelled joints at most half a head size off; all joints of all people count alike.

    LiftwildError where nobody's head size is known. Source: Andriluka et al. 2014.
    """
    measured, sizes = predictions.measured, predictions.head_size_px
    if not (sizes > 0).any():
        raise LiftwildError(
            "protocol mpii: no head sizes in the predictions; prepare the store with 'liftwild prepare mpii' and "
            "evaluate it again"
        )
    limit = THRESHOLD * np.where(sizes > 0, sizes, np.nan)
    hits = metrics.joint_hits(measured.pred_2d, measured.true_2d, scored_joints(measured), limit=limit, inclusive=True)
    found = {}
    for name, joints in COLUMNS.items():
        own = [MPII_16.index(joint) for joint in joints]
        found[name] = metrics.JointHits(hits.hits[:, own], hits.counted[:, own]).pooled()
    found["Mean"] = hits.pooled()
    return {"mpii": {name: 100 * part for name, part in found.items() if np.isfinite(part)}}


MPII = Protocol("mpii", (PEOPLE, PEOPLE), _scores, needs_head_size=True)
