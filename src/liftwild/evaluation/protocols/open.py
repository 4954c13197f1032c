"""The open protocol: any labelled store, measured in the picture, in space where it has 3D labels, and in symmetry.

docs/evaluation.md says what each number is.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from liftwild.evaluation import measure, metrics
from liftwild.evaluation.measure import Measured
from liftwild.evaluation.predictions import Predictions
from liftwild.evaluation.protocols.protocol import Aligned, Protocol, Scores, Switches, known, rooted
from liftwild.skeleton import MPII_16, PELVIS, SYMMETRIC_BONES, THORAX

# In the order of the table; a name without a side stands for the left and the right joint.
JOINTS = ("ankle", "knee", "hip", "wrist", "elbow", "shoulder", "upper_neck", "head_top")


def tables(predictions: Predictions) -> str:
    """All tables as Markdown, fit to be pasted into a model card."""
    stores = [(each.name, each.measured) for each in predictions.stores]
    parts = [
        _about(predictions),
        "### Joints in the picture",
        _markdown(PICTURE, (picture_row(*each) for each in stores)),
        *[f"PCK@0.2-torso by joint, {name}:\n\n{_markdown(BY_JOINT, joint_rows(own))}" for name, own in stores],
    ]
    space = [row for name, own in stores for row in space_rows(name, own, predictions.mean_pose_mm)]
    if space:
        parts += ["### Poses in space", _markdown(SPACE, space)]
    symmetric = [row for each in stores for row in symmetry_rows(*each)]
    parts += ["### Left against right", _markdown(SYMMETRY, symmetric)]
    return "\n\n".join(parts) + "\n"


def _about(predictions: Predictions) -> str:
    """Where the numbers come from."""
    about, weights = predictions.about, predictions.about["weights"]
    stores = ", ".join(f"{s.name} ({len(s.source)} people, sha256 {s.fingerprint[:12]})" for s in predictions.stores)
    flip = "with" if about["flip_test"] else "no"
    return (
        f"Weights {weights['name']} (sha256 {weights['sha256'][:12]}), protocol {about['protocol']}, {flip} flip test, "
        f"liftwild {about['liftwild']}. Stores: {stores}. In brackets: the people that a number is over."
    )


PICTURE = ("store", "PCK@0.2-torso, %", "sides ignored, %", "sides swapped, % of people", "PCKh@0.5, %", "headless")


def picture_row(name: str, measured: Measured) -> list[str]:
    """A store's row of the table about the picture; ``headless``: people without both labels of the head."""
    scores, torso, head = measure.scores_2d(measured), measure.torso_hits(measured), measure.head_hits(measured)
    with_torso, with_head = (int(hits.counted.any(axis=1).sum()) for hits in (torso, head))
    people = len(measured.pred_2d)
    return [
        name,
        _number(scores["pck_torso"] if with_torso else np.nan, with_torso),
        _number(scores["pck_torso_sides_ignored"] if with_torso else np.nan, with_torso),
        _number(scores["sides_swapped"], people),
        _number(100 * head.pooled(), with_head),
        str(people - with_head),
    ]


BY_JOINT = ("joint", "left, %", "right, %", "mean, %")


def joint_rows(measured: Measured) -> list[list[str]]:
    """PCK@0.2-torso of each joint: left, right, and the mean of the two."""
    hits = measure.torso_hits(measured)
    part, people = 100 * hits.per_joint(), hits.counted.sum(axis=0)
    rows = []
    for name in JOINTS:
        if name in MPII_16.names:
            joint = MPII_16.index(name)
            rows.append([name, "", "", _number(part[joint], people[joint])])
            continue
        left, right = MPII_16.index(f"left_{name}"), MPII_16.index(f"right_{name}")
        either = int(hits.counted[:, [left, right]].any(axis=1).sum())
        known = [part[side] for side in (left, right) if people[side]]
        mean = float(np.mean(known)) if known else np.nan
        rows.append([name, *(_number(part[s], people[s]) for s in (left, right)), _number(mean, either)])
    return rows


SPACE = ("store", "pose", "MPJPE, bone-sum scaled, mm", "PA-MPJPE, mm")


def space_rows(name: str, measured: Measured, mean_pose_mm: np.ndarray | None) -> list[list[str]]:
    """The errors in space of the network and of what needs less; no row for a store without 3D labels."""
    scores = measure.scores_3d(measured, mean_pose_mm)
    return [
        [name, pose, _number(row["mpjpe_mm"], row["people"]), _number(row["pa_mpjpe_mm"], row["people"])]
        for pose, row in scores.items()
    ]


SYMMETRY = ("store", "poses", *SYMMETRIC_BONES, "mean")


def symmetry_rows(name: str, measured: Measured) -> list[list[str]]:
    """How unlike left and right bones are, of the network's poses and of the 3D labels where there are any."""
    found = measured.pose(measured.pred_2d, measured.pred_depth)
    rows = []
    for what, poses, valid in (
        ("network", found, np.ones(found.shape[:2], dtype=bool)),
        ("labels", measured.true_3d, measured.valid_3d),
    ):
        scores = measure.symmetry(poses, valid)
        if scores:
            cells = (f"{scores[f'{bone} mm']:.1f} mm, {scores[f'{bone} %']:.1f} %" for bone in SYMMETRY[2:])
            rows.append([name, what, *(f"{cell} ({scores['people']:.0f})" for cell in cells)])
    return rows


def _number(value: float, people: float) -> str:
    """A measure and how many people it is over."""
    return f"{value:.1f} ({people:.0f})" if people else "- (0)"


def _markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table with a head."""
    return "\n".join("| " + " | ".join(row) + " |" for row in (head, ["---"] * len(head), *rows))


def scores(predictions: Predictions, switches: Switches) -> Scores:
    """The main numbers of each store, its name after "open/": of the network alone, in the columns of ``MAIN``."""
    found: Scores = {}
    for store in predictions.stores:
        row = {}
        if measure.torso_hits(store.measured).counted.any():
            picture = measure.scores_2d(store.measured)
            row = {name: picture[key] for name, key in MAIN.items() if key in picture}
        space = measure.scores_3d(store.measured).get("network", {})
        row |= {name: space[key] for name, key in MAIN.items() if key in space}
        pose = store.measured.pose(store.measured.pred_2d, store.measured.pred_depth)
        even = measure.symmetry(pose, np.ones(pose.shape[:2], dtype=bool))
        found[f"open/{store.name}"] = row | {name: even[key] for name, key in MAIN.items() if key in even}
    return found


MAIN = {
    "PCK@0.2-torso, %": "pck_torso", "sides ignored, %": "pck_torso_sides_ignored", "sides swapped, %": "sides_swapped",
    "MPJPE, mm": "mpjpe_mm", "PA-MPJPE, mm": "pa_mpjpe_mm", "left - right, mm": "mean mm",
}  # fmt: skip


def aligned(predictions: Predictions, switches: Switches) -> dict[str, Aligned]:
    """Poses with the summed bone length of their labels, and these, about the pelvis; by store with 3D labels. Pelvis
    and thorax are not compared, as in MPI-INF-3DHP."""
    found = {}
    for store in predictions.stores:
        if store.has_3d:
            own = store.measured
            pred = metrics.scale_to_bone_sum(own.pose(own.pred_2d, own.pred_depth), own.true_3d, own.valid_3d)
            true, valid = rooted(own.true_3d, own.valid_3d), own.valid_3d.copy()
            valid[:, [PELVIS, THORAX]] = False
            found[store.name] = known(Aligned(pred, true, valid))
    return found


OPEN = Protocol("open", (0, 0), scores, aligned, tables=tables)
