"""The open protocol: any labelled store, measured in the picture, in space where it has 3D labels, and in symmetry.

docs/evaluation.md says what each number is.
"""

from __future__ import annotations

import numpy as np

from liftwild.evaluation.measure import Measured
from liftwild.evaluation.metric_table import METRICS, head_hits, partly_known, symmetry, torso_hits
from liftwild.evaluation.predictions import Predictions
from liftwild.evaluation.protocols.mpi_inf_3dhp import align_at_pelvis
from liftwild.evaluation.protocols.protocol import Aligned, Protocol, Scores, Switches
from liftwild.evaluation.tables import markdown_table, markdown_text
from liftwild.skeleton import MPII_16, SYMMETRIC_BONES

# In the order of the table; a name without a side stands for the left and the right joint.
JOINTS = ("ankle", "knee", "hip", "wrist", "elbow", "shoulder", "upper_neck", "head_top")


def _tables(predictions: Predictions) -> str:
    """All tables as Markdown, fit to be pasted into a model card."""
    stores = [(each.name, each.measured) for each in predictions.stores]
    parts = [
        _about(predictions),
        "### Joints in the picture",
        markdown_table(("store", *_columns("2d"), "headless"), (picture_row(*each) for each in stores)),
        *[
            f"PCK@0.2-torso by joint, {markdown_text(name)}:\n\n{markdown_table(BY_JOINT, joint_rows(own))}"
            for name, own in stores
        ],
    ]
    space = [row for name, own in stores for row in space_rows(name, own, predictions.mean_pose_mm)]
    if space:
        parts += ["### Poses in space", markdown_table(("store", "pose", *_columns("3d")), space)]
    symmetric = [row for each in stores for row in symmetry_rows(*each)]
    parts += ["### Left against right", markdown_table(BY_BONE, symmetric)]
    return "\n\n".join(parts) + "\n"


def _about(predictions: Predictions) -> str:
    """Where the numbers come from."""
    about, weights = predictions.about, predictions.about["weights"]
    stores = ", ".join(f"{s.name} ({len(s.source)} people, sha256 {s.fingerprint[:12]})" for s in predictions.stores)
    flip = "with" if about["flip_test"] else "no"
    return markdown_text(
        f"Weights {weights['name']} (sha256 {weights['sha256'][:12]}), protocol {about['protocol']}, {flip} flip test, "
        f"liftwild {about['liftwild']}. Stores: {stores}. In brackets: the people that a number is over."
    )


def _columns(needs: str) -> list[str]:
    return [metric.column for metric in METRICS.values() if metric.needs == needs]


def _measures(measured: Measured, needs: str) -> list[str]:
    return [_cell(*metric.function(measured)) for metric in METRICS.values() if metric.needs == needs]


def picture_row(name: str, measured: Measured) -> list[str]:
    """A store's row of the table about the picture; ``headless``: people without both labels of the head."""
    with_head = int(head_hits(measured).counted.any(axis=1).sum())
    return [name, *_measures(measured, "2d"), str(len(measured) - with_head)]


BY_JOINT = ("joint", "left, %", "right, %", "mean, %")


def joint_rows(measured: Measured) -> list[list[str]]:
    """PCK@0.2-torso of each joint: left, right, and the mean of the two."""
    hits = torso_hits(measured)
    part, people = 100 * hits.per_joint(), hits.counted.sum(axis=0)
    rows = []
    for name in JOINTS:
        if name in MPII_16.names:
            joint = MPII_16.index(name)
            rows.append([name, "", "", _cell(part[joint], people[joint])])
            continue
        left, right = MPII_16.index(f"left_{name}"), MPII_16.index(f"right_{name}")
        either = int(hits.counted[:, [left, right]].any(axis=1).sum())
        known = [part[side] for side in (left, right) if people[side]]
        mean = float(np.mean(known)) if known else np.nan
        rows.append([name, *(_cell(part[s], people[s]) for s in (left, right)), _cell(mean, either)])
    return rows


def space_rows(name: str, measured: Measured, mean_pose_mm: np.ndarray | None) -> list[list[str]]:
    """The errors in space of the network and of what needs less; no row for a store without 3D labels."""
    poses = partly_known(measured, mean_pose_mm)
    return [[name, pose, *_measures(own, "3d")] for pose, own in poses.items()]


BY_BONE = ("store", "poses", *SYMMETRIC_BONES, "mean")


def symmetry_rows(name: str, measured: Measured) -> list[list[str]]:
    """How unlike left and right bones are, of the network's poses and of the 3D labels where there are any."""
    rows = []
    for what, found in (
        ("network", symmetry(measured.pred_3d)),
        ("labels", symmetry(measured.true_3d, measured.valid_3d)),
    ):
        if found:
            cells = (f"{found[f'{bone} mm']:.1f} mm, {found[f'{bone} %']:.1f} %" for bone in BY_BONE[2:])
            rows.append([name, what, *(f"{cell} ({found['people']:.0f})" for cell in cells)])
    return rows


def _cell(number: float, people: int) -> str:
    """A number and how many people it is over."""
    return f"{number:.1f} ({people})" if people else "- (0)"


def _scores(predictions: Predictions, switches: Switches) -> Scores:
    """Every metric of each store, its name after "open/", in the columns of ``METRICS``."""
    found: Scores = {}
    for store in predictions.stores:
        values = ((metric.column, metric.function(store.measured)) for metric in METRICS.values())
        found[f"open/{store.name}"] = {column: value.number for column, value in values if value.people}
    return found


def _align(predictions: Predictions, switches: Switches) -> Aligned:
    """As MPI-INF-3DHP's, with the hips as predicted and as labelled."""
    return align_at_pelvis(predictions, {"hips": "none"})


OPEN = Protocol("open", (0, 0), _scores, _align, per_store=True, tables=_tables)
