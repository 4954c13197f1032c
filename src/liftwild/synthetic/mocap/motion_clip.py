"""A motion capture clip: joints, how each is turned in every frame, and which way is up and forward.

Rotations are world-space and relative to the file's own rest pose: a joint's rotation takes rest directions, in the
file's axes, to where they point in a frame. Lengths are in the file's units.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from liftwild.errors import LiftwildError
from liftwild.rotation import matrix_between
from liftwild.synthetic.mocap.joint_names import REQUIRED, Parts, find_parts

# A body stands if its legs point away from its trunk and its hips lie across it, within these cosines.
STANDING_COS, ACROSS_COS = 0.7, 0.5
# An axis of the file is up, or sideways, if it lies this near.
NEAR_AXIS_COS = 0.94
# A rest pose that stands along one axis while the motion stands along another: share of frames, and how upright.
TURNED_SHARE, TURNED_COS = 0.9, 0.8
SAMPLED_FRAMES = 300


@dataclass(frozen=True, eq=False)
class Axes:
    """Which way is up in a clip, and the turns from its axes to the body's (x to the person's left, y back, z up).

    ``up``, ``facing``: unit vectors (3,) in the file's axes: away from the ground, and where the rest pose looks.
    ``rest``, ``world`` (3, 3): from the axes of the rest pose, and of the frames, to the body's; nearly always equal.
    ``reference``: the frame that serves as rest pose where the file's own is no standing person, else None.
    """

    up: np.ndarray
    facing: np.ndarray
    rest: np.ndarray
    world: np.ndarray
    reference: int | None


@dataclass(frozen=True, eq=False)
class Motion:
    """A clip of F frames of J joints; see the module for what rotations mean. Parents precede their children.

    ``offsets`` (J, 3): from the parent, at rest; 0 for the root. ``ends`` (J, 3): to the bone's own end, at rest, NaN
    where the file has none. ``rotations`` (F, J, 3, 3). ``root_positions`` (F, 3). ``shifts`` (F, J, 3): what joints
    move away from their offsets, or None if none does. ``source``: the file, for messages.
    """

    source: str
    names: tuple[str, ...]
    parents: tuple[int, ...]
    offsets: np.ndarray
    ends: np.ndarray
    rotations: np.ndarray
    root_positions: np.ndarray
    frame_time_s: float
    shifts: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.rotations)

    def positions(self, frames: Sequence[int] | np.ndarray | slice | None = None) -> np.ndarray:
        """Joint positions (F, J, 3) by forward kinematics, of all frames or of ``frames``, in the file's units."""
        chosen = slice(None) if frames is None else frames
        rotations = self.rotations[chosen]
        out = np.empty(rotations.shape[:3])
        out[:, 0] = self.root_positions[chosen]
        offsets = (
            np.broadcast_to(self.offsets, out.shape) if self.shifts is None else self.offsets + self.shifts[chosen]
        )
        for joint, parent in enumerate(self.parents[1:], 1):
            out[:, joint] = out[:, parent] + (rotations[:, parent] @ offsets[:, joint, :, None])[..., 0]
        return out

    @cached_property
    def rest_positions(self) -> np.ndarray:
        """Joint positions (J, 3) of the rest pose, the root at 0, in the file's units."""
        out = np.zeros_like(self.offsets)
        for joint, parent in enumerate(self.parents[1:], 1):
            out[joint] = out[parent] + self.offsets[joint]
        return out

    @cached_property
    def parts(self) -> Parts:
        """Which joint is which part of the body; LiftwildError if the names are unknown."""
        return find_parts(self.names, self.parents, self.source)

    @cached_property
    def axes(self) -> Axes:
        """Which way is up and forward; LiftwildError if nobody stands in the rest pose nor in any frame."""
        return _guess_axes(self)


def spread_frames(motion: Motion, step_s: float = 0.1, min_change_deg: float = 15.0) -> np.ndarray:
    """Indices (K,) of frames that differ: at least ``step_s`` apart, and from every frame kept before, a limb, spine
    or neck joint bent or the body tilted by ``min_change_deg`` or more. Heading and place do not count."""
    step = max(1, round(step_s / motion.frame_time_s))
    candidates = np.arange(0, len(motion), step)
    parts = motion.parts
    joints = [*parts.spine, *parts.neck, *(parts.limbs[name] for name in REQUIRED)]
    rotations = motion.rotations[candidates]
    above = [motion.parents[joint] for joint in joints]
    local = np.swapaxes(rotations[:, above], -1, -2) @ rotations[:, joints]
    local = local.reshape(len(candidates), len(joints), 9).astype(np.float32)
    upright = motion.axes.up @ rotations[:, parts.root]  # up, as the pelvis sees it
    limit = float(np.cos(np.radians(min_change_deg)))
    kept = 0  # those kept are moved to the front of the arrays
    for frame in range(len(candidates)):
        traces = np.einsum("kjn,jn->kj", local[:kept], local[frame])
        same = ((traces - 1) / 2 > limit).all(axis=1) & (upright[:kept] @ upright[frame] > limit)
        if not same.any():
            local[kept], upright[kept], candidates[kept] = local[frame], upright[frame], candidates[frame]
            kept += 1
    return candidates[:kept]


def _unit(vectors: np.ndarray) -> np.ndarray:
    """Vectors (..., 3) of length 1; 0 where they have no length."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)


@dataclass(frozen=True, eq=False)
class _Build:
    """Unit directions (..., 3) in poses: from hips to shoulders, from right to left, and along the legs (2, ..., 3)."""

    trunk: np.ndarray
    across: np.ndarray
    legs: np.ndarray

    @classmethod
    def of(cls, positions: np.ndarray, parts: Parts) -> _Build:
        """The directions in poses of joints (..., J, 3)."""
        at = {name: positions[..., joint, :] for name, joint in parts.limbs.items()}
        hips = (at["left thigh"] + at["right thigh"]) / 2
        shoulders = (at["left upper arm"] + at["right upper arm"]) / 2
        across = at["left thigh"] - at["right thigh"] + at["left upper arm"] - at["right upper arm"]
        legs = np.stack([at[f"{side} shin"] - at[f"{side} thigh"] for side in ("left", "right")])
        return cls(_unit(shoulders - hips), _unit(across), _unit(legs))

    def standing(self) -> np.ndarray:
        """Whether each pose (...) is one of standing."""
        legs = (-self.legs * self.trunk).sum(-1).min(axis=0) > STANDING_COS
        across = np.abs((self.across * self.trunk).sum(-1)) < ACROSS_COS
        return legs & across & (np.linalg.norm(self.across, axis=-1) > 0.5)

    def upright(self, up: np.ndarray) -> np.ndarray:
        """How upright each pose (...) is along ``up``: 1 if trunk and legs are straight, mean cosine."""
        return (self.trunk @ up - self.legs.mean(axis=0) @ up) / 2


def _nearest_axis(direction: np.ndarray) -> np.ndarray:
    """The coordinate axis, with its sign, next to a direction (3,)."""
    axis = int(np.abs(direction).argmax())
    return np.sign(direction[axis]) * np.eye(3)[axis]


def _guess_axes(motion: Motion) -> Axes:
    """Axes from the rest pose, or from a standing frame if the rest pose is no standing person."""
    parts = motion.parts
    rest = _Build.of(motion.rest_positions, parts)
    sampled = np.unique(np.linspace(0, len(motion) - 1, SAMPLED_FRAMES).round().astype(int))
    builds = _Build.of(motion.positions(sampled), parts)
    if rest.standing():
        rest_up = _nearest_axis(rest.trunk)
        turn, facing = _to_body(rest_up, rest.across)
        up = _turned_up(motion, builds, sampled, rest_up)
        back = matrix_between(up, rest_up)
        return Axes(up, back.T @ facing, turn, turn @ back, None)
    up = _nearest_axis(builds.trunk.mean(axis=0))
    # Some exporters write all bones along one axis, so zero rotations are no pose of a person.
    score = np.where(builds.standing(), builds.upright(up), -1)
    best = int(score.argmax())
    if score[best] < STANDING_COS:
        raise LiftwildError(
            f"{motion.source}: neither its rest pose (all rotations zero) nor any frame is a standing person, so what "
            f"its rotations mean is unknown; export it with a T-pose as rest pose or first frame"
        )
    turn, facing = _to_body(up, builds.across[best])
    return Axes(up, facing, turn, turn, int(sampled[best]))


def _to_body(up: np.ndarray, across: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(turn (3, 3) to the body's axes, facing (3,)) of a person with ``up`` and a direction from right to left."""
    left = _unit(across - (across @ up) * up)
    nearest = _nearest_axis(left)
    left = nearest if nearest @ left > NEAR_AXIS_COS else left
    facing = np.cross(left, up)
    return np.stack([left, -facing, up]), facing


def _turned_up(motion: Motion, builds: _Build, sampled: np.ndarray, rest_up: np.ndarray) -> np.ndarray:
    """Which axis is up in the frames: the rest pose's, unless nearly all frames stand along another one.

    Such files come of putting motion from a z-up world on a y-up skeleton. A clip of someone who only lies looks like
    them, but the hips then are not a leg's length above the ground.
    """
    mean = _nearest_axis((builds.trunk - builds.legs.mean(axis=0)).mean(axis=0))
    if (builds.upright(rest_up) > STANDING_COS).mean() > 1 - TURNED_SHARE or mean @ rest_up > 0.5:
        return rest_up
    rest = motion.rest_positions
    root, low = rest[motion.parts.root] @ rest_up, (rest @ rest_up).min()
    height = float(np.median(motion.root_positions[sampled] @ mean)) / max(root - low, 1e-12)
    standing = (builds.upright(mean) > TURNED_COS).mean() > TURNED_SHARE
    return mean if standing and 0.6 < height < 1.4 else rest_up
