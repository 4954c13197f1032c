"""Draw the figures of docs/angles.md, one an angle: PYTHONPATH=. python scripts/draw_angles.py [-o docs/angles]

Each shows a person bent by that angle, where it is 0 (dashed), and which way it grows.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch

from liftwild.kinematics.angles import KINDS, SIDED_KINDS, SIDES, angle_index, angles_of_joints
from liftwild.skeleton import MPII_16
from tests.support.angle_poses import posed

ROOT = Path(__file__).resolve().parent.parent
LEFT, RIGHT, MIDDLE, FAINT, MARK = "#0072b2", "#d55e00", "#3c3c3c", "#9aa0a8", "#b0006d"
# What is seen from the person's right, from in front, and from above: the picture's x and y in the person's axes.
VIEWS = {
    "from the right": np.array([[0, 0, 1.0], [0, 1, 0]]),
    "from the front": np.array([[1.0, 0, 0], [0, 1, 0]]),
    "from above": np.array([[-1.0, 0, 0], [0, 0, 1]]),
}


class Drawing(NamedTuple):
    """How an angle is shown: who is ``bent`` how, from where; at joint ``at`` from direction ``zero`` (two joints, or a
    vector of the person's axes) to direction ``to`` (two joints); ``radius`` m of the arc; where from the joint the
    number stands, m, or None for beside the arc."""

    bent: dict[str, float]
    view: str
    at: str
    zero: tuple[str, str] | tuple[float, float, float]
    to: tuple[str, str]
    radius: float = 0.3
    number: tuple[float, float] | None = None


DOWN, UP = ("thorax", "pelvis"), ("pelvis", "thorax")
HIPS, HEAD = ("left_hip", "right_hip"), ("upper_neck", "head_top")
DRAWINGS = {
    "hip_flexion": Drawing({"right_hip_flexion": 60, "right_knee_flexion": 70}, "from the right", "right_hip", DOWN,
                           ("right_hip", "right_knee")),
    "hip_adduction": Drawing({"right_hip_adduction": 20}, "from the front", "right_hip", (0, -1, 0),
                             ("right_hip", "right_knee")),
    "knee_flexion": Drawing({"right_hip_flexion": 35, "right_knee_flexion": 75}, "from the right", "right_knee",
                            ("right_hip", "right_knee"), ("right_knee", "right_ankle")),
    "shoulder_flexion": Drawing({"right_shoulder_flexion": 75}, "from the right", "right_shoulder", DOWN,
                                ("right_shoulder", "right_elbow")),
    "shoulder_abduction": Drawing({"right_shoulder_abduction": 75}, "from the front", "right_shoulder", DOWN,
                                  ("right_shoulder", "right_elbow")),
    "shoulder_elevation": Drawing({"right_shoulder_abduction": 120}, "from the front", "right_shoulder", DOWN,
                                  ("right_shoulder", "right_elbow")),
    "elbow_flexion": Drawing({"right_shoulder_flexion": 20, "right_elbow_flexion": 80}, "from the right", "right_elbow",
                             ("right_shoulder", "right_elbow"), ("right_elbow", "right_wrist"), 0.2),
    "pelvis_list": Drawing({"pelvis_list": 15}, "from the front", "left_hip", (-1, 0, 0), HIPS, 0.4, (-0.58, -0.04)),
    "pelvis_rotation": Drawing({"pelvis_rotation": 40}, "from above", "pelvis", (0, 0, 1), ("", ""), 0.33),
    "trunk_flexion": Drawing({"trunk_flexion": 40}, "from the right", "pelvis", (0, 1, 0), UP, 0.4),
    "trunk_bending": Drawing({"trunk_bending": 20}, "from the front", "pelvis", (0, 1, 0), UP, 0.62, (0.2, 0.7)),
    "trunk_twist": Drawing({"trunk_twist": 35}, "from above", "pelvis", HIPS,
                           ("left_shoulder", "right_shoulder"), 0.24),
    "head_flexion": Drawing({"head_flexion": 35}, "from the right", "upper_neck", UP, HEAD, 0.26, (0.34, 0.2)),
    "head_bending": Drawing({"head_bending": 25}, "from the front", "upper_neck", UP, HEAD, 0.26, (-0.32, 0.2)),
}  # fmt: skip


def main() -> None:
    """Draw all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--out", type=Path, default=ROOT / "docs" / "angles")
    parser.add_argument("--format", default="svg", choices=("svg", "png"))
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    for kind in (*SIDED_KINDS, *KINDS):
        # Text stays text, and the same figure is the same file.
        with rc_context({"svg.fonttype": "none", "svg.hashsalt": kind.name, "font.family": "DejaVu Sans"}):
            draw(kind.name, kind.positive).savefig(
                asked.out / f"{kind.name}.{asked.format}",
                dpi=100,
                metadata={"Date": None} if asked.format == "svg" else {},
            )


def draw(name: str, positive: str) -> Figure:
    """The figure of one angle."""
    drawing = DRAWINGS[name]
    joints = posed(**drawing.bent)
    view = VIEWS[drawing.view]
    flat = joints @ view.T
    figure = Figure(figsize=(2.3, 2.9))
    axes = figure.add_axes((0, 0.02, 1, 0.84))
    axes.set_axis_off()
    axes.set_aspect("equal")
    above = drawing.view == "from above"
    near = [
        j for j, joint in enumerate(MPII_16.names) if not above or joint.endswith(("hip", "shoulder", "pelvis", "top"))
    ]
    bones = sorted(MPII_16.bones, key=lambda bone: MPII_16.names[bone[0]].partition("_")[0] != "left")  # far ones first
    for child, parent in bones if not above else TOP_BONES:
        side = MPII_16.names[child].partition("_")[0]
        colour = {"left": LEFT, "right": RIGHT}.get(side, MIDDLE)
        if not above and MPII_16.names[parent] in ("pelvis", "thorax"):
            colour = MIDDLE
        axes.plot(*flat[[child, parent]].T, color=colour, linewidth=3 if not above else 4, solid_capstyle="round",
                  alpha=0.4 if side == "left" and drawing.view == "from the right" else 1.0)  # fmt: skip
    axes.plot(*flat[near].T, ".", color=MIDDLE, markersize=3)
    if above:
        faces = joints[MPII_16.index("right_hip")] - joints[MPII_16.index("left_hip")]
        ahead = np.cross((0, 1.0, 0), faces) @ view.T
        axes.annotate(
            "", 0.33 * ahead / np.linalg.norm(ahead), (0, 0), arrowprops={"arrowstyle": "->", "color": MIDDLE}
        )
    start, way = _zero(drawing, joints), _way(drawing, joints)
    corner = flat[MPII_16.index(drawing.at)]
    first, last = (each @ view.T for each in (start, way))
    first, last = first / np.linalg.norm(first), last / np.linalg.norm(last)
    axes.plot(*np.stack([corner, corner + 1.35 * drawing.radius * first]).T, "--", color=MARK, linewidth=1.2)
    begin, turn = np.arctan2(first[1], first[0]), np.arctan2(first[0] * last[1] - first[1] * last[0], first @ last)
    arc = begin + turn * np.linspace(0, 1, 40)
    points = corner + drawing.radius * np.stack([np.cos(arc), np.sin(arc)], axis=1)
    axes.plot(*points[:-3].T, color=MARK, linewidth=1.6)
    axes.add_patch(
        FancyArrowPatch(points[-5], points[-1], arrowstyle="-|>", mutation_scale=11, color=MARK, linewidth=1.2)
    )
    side = "right_" if f"right_{name}" in drawing.bent or name == "shoulder_elevation" else ""
    degrees = angles_of_joints(joints[None])[0, angle_index(side + name)]
    middle = corner + (drawing.radius + (0.15 if not above else 0.1)) * np.array([np.cos(arc[20]), np.sin(arc[20])])
    middle = middle if drawing.number is None else corner + drawing.number
    axes.text(*middle, f"+{degrees:.0f}°", color=MARK, fontsize=9, ha="center", va="center")
    low, high = (-1.02, 0.92) if not above else (-0.4, 0.5)
    axes.set_ylim(low, high)
    width = (high - low) * 2.3 / (2.9 * 0.84) / 2
    axes.set_xlim(-width, width)
    if name == "pelvis_rotation":
        axes.text(0, 0.47, "camera", color=FAINT, fontsize=8, ha="center")
    figure.text(0.5, 0.945, name.replace("_", " "), ha="center", fontsize=10, fontweight="bold")
    figure.text(0.5, 0.885, f"+ {positive}", ha="center", fontsize=8, color=MARK)
    figure.text(0.5, 0.02, drawing.view, ha="center", fontsize=7.5, color=FAINT)
    return figure


_INDEX = MPII_16.index
TOP_BONES = (
    (_INDEX("left_hip"), _INDEX("pelvis")), (_INDEX("right_hip"), _INDEX("pelvis")),
    (_INDEX("left_shoulder"), _INDEX("thorax")), (_INDEX("right_shoulder"), _INDEX("thorax")),
)  # fmt: skip


def _zero(drawing: Drawing, joints: np.ndarray) -> np.ndarray:
    if isinstance(drawing.zero[0], str):
        first, last = (joints[MPII_16.index(str(name))] for name in drawing.zero)
        return np.asarray(last - first)
    return np.array(drawing.zero, dtype=np.float64)


def _way(drawing: Drawing, joints: np.ndarray) -> np.ndarray:
    if not drawing.to[0]:  # where the pelvis faces
        hips = joints[MPII_16.index("right_hip")] - joints[MPII_16.index("left_hip")]
        return np.cross((0.0, 1.0, 0.0), hips)
    first, last = (joints[MPII_16.index(name)] for name in drawing.to)
    return np.asarray(last - first)


assert {kind.name for kind in (*KINDS, *SIDED_KINDS)} == set(DRAWINGS) and SIDES == ("left", "right")

if __name__ == "__main__":
    main()
