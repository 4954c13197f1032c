"""What any runtime gives of crops, read as joints, depths and chances."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from liftwild.heatmap import decode
from liftwild.skeleton import MPII_16


class Outputs(NamedTuple):
    """What any runtime gives of B crops, fp32: ``heatmaps`` (B, J, H, W) and the rest as in ``Prediction``."""

    heatmaps: np.ndarray
    depth: np.ndarray | None
    log_spread: np.ndarray | None = None
    inside: np.ndarray | None = None
    visible: np.ndarray | None = None
    joints: np.ndarray | None = None


class Decoded(NamedTuple):
    """What the network found, fp32.

    ``joints_2d`` (B, J, 2) px of the input; ``peaks`` (B, J) of the heatmaps, times ``inside``; ``depth`` (B, J) as in
    ``Prediction``. Of a network with a lifter: ``depth_spread`` (B, J): expected error of ``depth``, in its unit;
    ``inside``, ``visible`` (B, J): chances that the joint lies in the photo, and that nothing hides it. Where a joint
    is rather outside, ``joints_2d`` is where the lifter puts it.
    """

    joints_2d: np.ndarray
    peaks: np.ndarray
    depth: np.ndarray | None
    depth_spread: np.ndarray | None = None
    inside: np.ndarray | None = None
    visible: np.ndarray | None = None


def decode_outputs(found: Outputs, input_px: int, subpixel: bool, flip_test: bool = False) -> Decoded:
    """Decode what a network gave of an input of ``input_px``.

    ``subpixel``: as for ``heatmap.decode``; networks with ``softmax`` are read so. ``flip_test``: the second half of
    the batch are the mirrored images of the first, and is averaged with it.
    """
    if flip_test:
        found = _averaged(found)
    joints_2d, peaks = decode(found.heatmaps, input_px, subpixel)
    if found.inside is None or found.visible is None or found.joints is None or found.log_spread is None:
        return Decoded(joints_2d, peaks, found.depth)
    inside = _chance(found.inside)
    beyond = (found.joints + 1) * (input_px / 2)
    joints_2d = np.where((inside < 0.5)[..., None], beyond, joints_2d)
    return Decoded(joints_2d, peaks * inside, found.depth, np.exp(found.log_spread), inside, _chance(found.visible))


def _chance(log_odds: np.ndarray) -> np.ndarray:
    # Of minus its size, so that no exponential is too large.
    small = np.exp(-np.abs(log_odds))
    return np.where(log_odds >= 0, 1, small) / (1 + small)


def _averaged(found: Outputs) -> Outputs:
    """The mean of a batch's first half and its second, the mirrored images of the first; a mirror changes no depth."""
    swap = list(MPII_16.flip_index)

    def mean(name: str, each: np.ndarray | None) -> np.ndarray | None:
        if each is None:
            return None
        plain, mirrored = np.split(each, 2)
        mirrored = mirrored[:, swap]
        if name == "heatmaps":
            mirrored = mirrored[..., ::-1]
        if name == "joints":
            mirrored = mirrored * np.array([-1, 1], each.dtype)
        return (plain + mirrored) / 2

    return Outputs(*(mean(name, each) for name, each in zip(Outputs._fields, found, strict=True)))  # type: ignore[arg-type]
