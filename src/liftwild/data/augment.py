"""Augmentation that keeps picture, 2D joints, 3D joints and camera consistent."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from liftwild.camera import Camera
from liftwild.crop import BOX_MARGIN, Crop, transform
from liftwild.sample import Sample
from liftwild.skeleton import MPII_16


@dataclass(frozen=True)
class Augmentation:
    """How much a sample is varied. The defaults change nothing; ``PAPER_2D`` are the paper's numbers.

    ``scale_octaves`` and ``rotation_deg``: standard deviations, both cut at two of them; ``rotation_probability`` and
    ``flip_probability`` in [0, 1]; ``shift``: standard deviation of the crop's centre as a share of its side;
    ``colour``: each channel times U(1 - colour, 1 + colour); ``occlusion``: probability that a part of the picture is
    covered (``cover``), which the paper does not do.
    """

    scale_octaves: float = 0.0
    rotation_deg: float = 0.0
    rotation_probability: float = 0.0
    flip_probability: float = 0.0
    shift: float = 0.0
    colour: float = 0.0
    occlusion: float = 0.0

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value < np.inf:
                raise ValueError(f"{field.name} must be a number of 0 or more, not {value!r}")
        for name in ("rotation_probability", "flip_probability", "colour", "occlusion"):
            if getattr(self, name) > 1:
                raise ValueError(f"{name} must lie between 0 and 1, not {getattr(self, name)}")


# method.md, "Augmentation of 2D data"; the authors' code does none on 3D data.
PAPER_2D = Augmentation(
    scale_octaves=0.25, rotation_deg=30.0, rotation_probability=0.4, flip_probability=0.5, colour=0.4
)


COVER_SIDES = (0.1, 0.4)  # of what ``occlusion`` covers, as shares of the picture's


def augment(sample: Sample, rng: np.random.Generator, how: Augmentation, input_px: int) -> Sample:
    """A varied view of ``sample`` as the network sees it: an ``input_px`` square around the person.

    Projecting the result's joints_3d with its camera gives its joints_2d. Turning the picture turns camera space about
    the optical axis, mirroring it mirrors x and swaps left and right; z never changes.
    """
    # Always the same draws, so that switching one of them off leaves the others as they were.
    scale, turn = np.clip(rng.standard_normal(2), -2, 2)
    shift = np.clip(rng.standard_normal(2), -2, 2)
    do_turn, do_flip = rng.random(2) < (how.rotation_probability, how.flip_probability)
    gain = 1 + how.colour * rng.uniform(-1, 1, 3)
    do_cover = rng.random() < how.occlusion
    base = Crop.around(sample.box, BOX_MARGIN)
    centre = np.array(base.center_px) + how.shift * base.size_px * shift
    crop = Crop(
        (float(centre[0]), float(centre[1])),
        base.size_px * 2.0 ** (how.scale_octaves * scale),
        float(np.deg2rad(how.rotation_deg) * turn * do_turn),
        bool(do_flip),
    )
    varied = view(sample, crop, input_px)
    image = varied.image
    if how.colour > 0:
        table = np.clip(np.arange(256)[:, None] * gain, 0, 255).round().astype(np.uint8)
        image = np.stack([table[:, c][image[..., c]] for c in range(3)], axis=-1)
    if do_cover:
        image = cover(image, rng)  # last: how much it draws is its own affair
    return varied if image is varied.image else dataclasses.replace(varied, image=image)


def cover(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A copy of ``image`` (H, W, 3) uint8 with a random rectangle or ellipse covered, 10 to 40 % of its sides large.

    By a flat colour, noise, or a piece from elsewhere of the picture. Labels stay: hidden joints are labelled too.
    """
    sides = np.array(image.shape[:2])
    height, width = np.maximum(1, np.round(sides * rng.uniform(*COVER_SIDES, 2))).astype(int)
    (top, left), (from_top, from_left) = (rng.integers(0, sides - (height, width) + 1) for _ in range(2))
    kind = rng.integers(3)
    if kind == 0:
        piece = np.broadcast_to(rng.integers(0, 256, 3, dtype=np.uint8), (height, width, 3))
    elif kind == 1:
        piece = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    else:
        piece = image[from_top : from_top + height, from_left : from_left + width]
    covered = np.ones((height, width), dtype=bool)
    if rng.random() < 0.5:
        y, x = ((np.arange(n) + 0.5) / n * 2 - 1 for n in (height, width))
        covered = y[:, None] ** 2 + x**2 <= 1
    out = image.copy()
    out[top : top + height, left : left + width][covered] = piece[covered]
    return out


def view(sample: Sample, crop: Crop, input_px: int) -> Sample:
    """``sample`` seen through ``crop``: picture, joints and camera in px of an ``input_px`` square."""
    affine = crop.affine(input_px)
    # Without a camera only the turn matters, and that does not depend on which.
    camera, turn = (sample.camera or Camera(1.0, 1.0, 0.0, 0.0)).warped(affine)
    joints_2d, joints_3d = transform(affine, sample.joints_2d), sample.joints_3d @ turn.T
    valid, depth_valid = sample.joints_2d_valid, sample.depth_valid
    if crop.flip:
        order = list(MPII_16.flip_index)
        joints_2d, joints_3d, valid, depth_valid = (a[order] for a in (joints_2d, joints_3d, valid, depth_valid))
    x, y, w, h = sample.box
    corners = transform(affine, np.array([[x, y], [x + w, y], [x, y + h], [x + w, y + h]]))
    low, high = corners.min(axis=0), corners.max(axis=0)
    return Sample(
        image=crop.apply(sample.image, input_px),
        joints_2d=np.where(valid[:, None], joints_2d, 0.0),
        joints_2d_valid=valid,
        joints_3d=np.where(depth_valid[:, None], joints_3d, 0.0),
        depth_valid=depth_valid,
        camera=camera if sample.camera else None,
        box=(float(low[0]), float(low[1]), float(high[0] - low[0]), float(high[1] - low[1])),
        source=sample.source,
        annotation_id=sample.annotation_id,
        subject=sample.subject,
        group=sample.group,
        head_size_px=None if sample.head_size_px is None else sample.head_size_px * input_px / crop.size_px,
    )
