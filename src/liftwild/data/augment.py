"""Augmentation that keeps picture, 2D joints, 3D joints and camera consistent."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Annotated

import numpy as np

from liftwild.boxes import clipped
from liftwild.camera import Camera
from liftwild.crop import BOX_MARGIN, Crop, blackened, grown, transform
from liftwild.sample import Sample
from liftwild.schema import Between, check_fields
from liftwild.skeleton import MPII_16

Probability = Annotated[float, Between(0, 1)]


@dataclass(frozen=True)
class Augmentation:
    """How much a sample is varied. The defaults change nothing; ``PAPER_2D`` are the paper's numbers.

    ``scale_octaves`` and ``rotation_deg``: standard deviations, both cut at two of them; ``rotation_probability`` and
    ``flip_probability`` in [0, 1]; ``shift``: standard deviation of the crop's centre as a share of its side;
    ``colour``: each channel times U(1 - colour, 1 + colour); ``occlusion``: probability that a part of the picture is
    covered (``cover``), and ``cut``: that the photo ends within the person (``cut_off``), which the paper does not do.
    """

    scale_octaves: Annotated[float, Between(0, 4)] = 0.0
    rotation_deg: Annotated[float, Between(0, 360)] = 0.0
    rotation_probability: Probability = 0.0
    flip_probability: Probability = 0.0
    shift: Annotated[float, Between(0, 4)] = 0.0
    colour: Probability = 0.0
    occlusion: Probability = 0.0
    cut: Probability = 0.0

    def __post_init__(self) -> None:
        check_fields(self)


# method.md, "Augmentation of 2D data"; the authors' code does none on 3D data.
PAPER_2D = Augmentation(
    scale_octaves=0.25, rotation_deg=30.0, rotation_probability=0.4, flip_probability=0.5, colour=0.4
)


MASKS = (0.5, 4.0)  # how far ``mask`` is varied
COVER_SIDES = (0.1, 0.4)  # of what ``occlusion`` covers, as shares of the picture's


def augment(sample: Sample, rng: np.random.Generator, how: Augmentation, input_px: int, mask: float = 0.0) -> Sample:
    """A varied view of ``sample`` as the network sees it: an ``input_px`` square around the person.

    ``mask``: as in ``PoseNetConfig``; boxes are not as exact as labels, so it is varied too.

    Projecting the result's joints_3d with its camera gives its joints_2d. Turning the picture turns camera space about
    the optical axis, mirroring it mirrors x and swaps left and right; z never changes.
    """
    # Always the same draws, so that switching one of them off leaves the others as they were.
    scale, turn = np.clip(rng.standard_normal(2), -2, 2)
    shift = np.clip(rng.standard_normal(2), -2, 2)
    do_turn, do_flip = rng.random(2) < (how.rotation_probability, how.flip_probability)
    gain = 1 + how.colour * rng.uniform(-1, 1, 3)
    do_cover = rng.random() < how.occlusion
    if how.cut > 0 and rng.random() < how.cut:
        sample = cut_off(sample, rng)
    if mask > 0:
        seen = grown(sample.box, mask * rng.uniform(*MASKS))
        sample = dataclasses.replace(sample, image=blackened(sample.image, seen))
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


# Where a photo ends within a person: below, at a side, above; and how much of the box is left at least, at most.
CUTS = (("below", 0.65, 0.22, 0.9), ("left", 0.125, 0.4, 0.85), ("right", 0.125, 0.4, 0.85), ("above", 0.1, 0.5, 0.9))
MIN_LEFT = 4  # joints


def cut_off(sample: Sample, rng: np.random.Generator) -> Sample:
    """``sample`` in a photo that ends within the person, as ``end_photo`` makes it.

    Unchanged where fewer than ``MIN_LEFT`` labelled joints would be left.
    """
    side, _, least, most = CUTS[int(rng.choice(len(CUTS), p=[share for _, share, _, _ in CUTS]))]
    part = end_photo(sample, side, rng.uniform(least, most))
    return sample if (part.joints_2d_valid & is_in_photo(part)).sum() < MIN_LEFT else part


def end_photo(sample: Sample, side: str, kept: float) -> Sample:
    """``sample`` in a photo that ends within the person: black beyond, ``photo`` and box end there.

    ``side``: "below", "above", "left" or "right"; ``kept``: share of the box, in (0, 1], that is
    left. Unchanged where less than 2 px of it would be.
    """
    x, y, w, h = sample.box
    height, width = sample.image.shape[:2]
    low, high = np.zeros(2), np.array([width, height], dtype=np.float64)
    if side == "below":
        high[1] = y + kept * h
    elif side == "above":
        low[1] = y + (1 - kept) * h
    elif side == "left":
        low[0] = x + (1 - kept) * w
    else:
        high[0] = x + kept * w
    low, high = np.clip(np.round(low), 0, high), np.clip(np.round(high), 0, [width, height])
    (x0, y0), (x1, y1) = low.astype(int), high.astype(int)
    rest = (float(x0), float(y0), float(x1 - x0), float(y1 - y0))
    photo = clipped(rest, sample.photo or (0.0, 0.0, float(width), float(height)))
    box = clipped(sample.box, rest)
    if photo is None or box is None or min(box[2:]) < 2:
        return sample
    image = np.zeros_like(sample.image)
    image[y0:y1, x0:x1] = sample.image[y0:y1, x0:x1]
    return dataclasses.replace(sample, image=image, photo=photo, box=box)


def is_in_photo(sample: Sample, joints_2d: np.ndarray | None = None) -> np.ndarray:
    """Which joints, the sample's or ``joints_2d`` (J, 2) in px of its image, lie in its photo, (J,) bool."""
    height, width = sample.image.shape[:2]
    x, y, w, h = sample.photo or (0.0, 0.0, width, height)
    joints_2d = sample.joints_2d if joints_2d is None else joints_2d
    inside: np.ndarray = (joints_2d >= (x, y)) & (joints_2d < (x + w, y + h))
    return inside.all(axis=1)  # type: ignore[return-value]


def places(sample: Sample) -> tuple[np.ndarray, np.ndarray]:
    """Where joints lie, in px of the image (J, 2), those beyond its edge too where a camera and 3D labels tell, and
    which of them are known (J,)."""
    if sample.camera is None or not sample.depth_valid.any():
        return sample.joints_2d, sample.joints_2d_valid
    told = sample.depth_valid & ~sample.joints_2d_valid & (sample.joints_3d[:, 2] > 1)
    if not told.any():
        return sample.joints_2d, sample.joints_2d_valid
    joints_2d = sample.joints_2d.copy()
    joints_2d[told] = sample.camera.project(sample.joints_3d[told])
    return joints_2d, sample.joints_2d_valid | told


def _presence(sample: Sample) -> np.ndarray:
    """``Sample.presence``: which joints lie in the photo."""
    joints_2d, known = places(sample)
    return np.where(known, np.where(is_in_photo(sample, joints_2d), 2, 1), 0).astype(np.uint8)


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
    valid, depth_valid, presence = sample.joints_2d_valid, sample.depth_valid, _presence(sample)
    visibility = np.zeros(len(valid), np.uint8) if sample.visibility is None else sample.visibility
    if crop.flip:
        order = list(MPII_16.flip_index)
        joints_2d, joints_3d, valid, depth_valid, presence, visibility = (
            each[order] for each in (joints_2d, joints_3d, valid, depth_valid, presence, visibility)
        )
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
        visibility=visibility,
        presence=presence,
        spine_3d=None if sample.spine_3d is None else sample.spine_3d @ turn.T,
    )
