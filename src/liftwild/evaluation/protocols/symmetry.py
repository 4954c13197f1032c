"""Left against right: mean | left - right | of arm and leg bones of the predicted poses (Table 4).

Of people with 3D labels (MPI-INF-3DHP) in mm, a pose having the summed bone length of its label; of people without
(MPII) in px of a crop of 256 px, as the network sees them.
"""

from __future__ import annotations

import numpy as np

from liftwild.evaluation import metrics
from liftwild.evaluation.measure import Measured
from liftwild.evaluation.predictions import Predictions
from liftwild.evaluation.protocols.mpi_inf_3dhp import MPI_INF_3DHP
from liftwild.evaluation.protocols.mpii import MPII
from liftwild.evaluation.protocols.protocol import Protocol, Scores, Switches, with_label_size

CROP_PX = 256


def _scores(predictions: Predictions, switches: Switches) -> Scores:
    """Means over people, in the unit of each table."""
    found: Scores = {}
    if in_mm := [store for store in predictions.stores if store.has_3d]:
        found["table4-mm"] = _means(_sized(predictions.of(*in_mm).measured))
    if in_px := [store for store in predictions.stores if not store.has_3d]:
        measured = predictions.of(*in_px).measured
        depth_px = measured.pred_depth * (measured.input_px / 2)
        pose = np.concatenate([measured.pred_2d, depth_px[..., None]], axis=-1).astype(np.float64)
        found["table4-px"] = _means(pose * (CROP_PX / measured.input_px))
    return found


def _sized(measured: Measured) -> np.ndarray:
    """Poses in mm, with the summed bone length of their labels."""
    return with_label_size(measured.pred_3d, measured)


def _means(poses: np.ndarray) -> dict[str, float]:
    """Mean differences over the people who have a pose."""
    usable = poses[np.isfinite(poses).all((1, 2))]
    if len(usable) == 0:
        return {}
    return {name: float(difference.mean()) for name, difference in metrics.bone_symmetry(usable).items()}


SYMMETRY = Protocol("symmetry", (MPII.published[0], MPI_INF_3DHP.published[1]), _scores, scale="universal")
