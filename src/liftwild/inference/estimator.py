"""From photo to poses: crop the people, run the network in batches, decode, place the answer in the photo."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from liftwild.boxes import Box, Detected
from liftwild.camera import pose_mm
from liftwild.crop import BOX_MARGIN, Crop, blackened, grown
from liftwild.errors import LiftwildError
from liftwild.inference.confidence import CHANCE_IS, PEAK_IS, calibration_of
from liftwild.inference.runtime import infer_crops
from liftwild.inference.runtimes import open_runtime
from liftwild.media.photo import LoadedPhoto, Photo, load_photo
from liftwild.pose import Pose
from liftwild.skeleton import PELVIS

if TYPE_CHECKING:
    from liftwild.network.posenet import PoseNet

Boxes = Iterable[Sequence[float] | Detected]

# A box longer than this many photos holds nothing that can be seen.
MAX_BOX_PHOTOS = 100
# A box that ends so near to the photo's edge, in its longer sides, ends there because the photo does.
EDGE_BOXES = 0.01
# Calibrated confidence of a joint that is found where there is no photo, at most: nothing of it can be seen.
OUTSIDE_CHANCE = 0.05


class CroppedPerson(NamedTuple):
    """One person to look at: ``pixels`` (S, S, 3) uint8 RGB cut out of a photo by ``crop``; the rest as in ``Pose``.

    ``photo_px``: width and height of the photo; ``edges``: which of ``confidence.EDGES`` end a box that was given, so
    that joints may lie beyond.
    """

    pixels: np.ndarray
    crop: Crop
    box: Box
    annotation_id: int | None
    photo_px: tuple[int, int]
    edges: tuple[str, ...]


class Estimator:
    """Finds the 3D pose of people in boxes: ``Estimator().predict(photo, Detector().detect(photo))``.

    ``weights``: name of weights that come with liftwild, the path of a .safetensors file, or of one that ``liftwild
    export`` wrote. ``device``: what torch calls it ("cpu", "cuda"), or None for a GPU if there is one. ``flip_test``:
    look at the mirrored crop too and average; slower, a little better. ``batch_size``: crops of one photo that go
    through the network together, at most. ``runtime``: what computes, one of ``runtime_kinds.RUNTIME_NAMES``; "auto" is
    the fastest that is installed (docs/runtimes.md). LiftwildError if weights, device or runtime cannot be used. Calls
    do not change it.
    """

    def __init__(
        self,
        weights: str | Path = "base",
        device: str | None = None,
        flip_test: bool = False,
        batch_size: int = 16,
        runtime: str = "auto",
    ) -> None:
        if batch_size < 1:
            raise LiftwildError(f"batch_size must be 1 or more, not {batch_size}")
        self.runtime, self.card = open_runtime(weights, runtime, device)
        self.calibration = calibration_of(self.card, str(weights))
        bones = self.card.get("bone_length_mm")
        self.bone_length_mm = None if bones is None else np.array(bones, dtype=np.float64)
        self.weights = weights
        self.input_px = self.runtime.input_px
        self.mask = float(self.card.get("network", {}).get("mask", 0.0))
        self.flip_test = flip_test
        self.batch_size = batch_size

    @property
    def runtime_name(self) -> str:
        """What computes, and in which precision: "torch fp32", "openvino bf16", "onnx fp32", ..."""
        return self.runtime.name

    @property
    def net(self) -> PoseNet:
        """The network in torch; LiftwildError where another runtime computes."""
        from liftwild.inference.torch_runtime import TorchRuntime

        if not isinstance(self.runtime, TorchRuntime):
            raise LiftwildError(f"{self.weights} runs in {self.runtime_name}; this needs weights, and torch")
        return self.runtime.net

    @property
    def confidence_is(self) -> str:
        """What ``Pose.confidence`` is, in words: a calibrated chance where the weights have a calibration."""
        return PEAK_IS if self.calibration is None else CHANCE_IS

    def predict(
        self,
        photo: Photo,
        boxes: Boxes | None = None,
        annotation_ids: Sequence[int] | None = None,
        whole: bool = False,
    ) -> list[Pose]:
        """Poses of the people in one photo, one for each box, in their order.

        ``photo``: as for ``media.photo.load_photo``. ``boxes``: (x, y, w, h) each, px of the photo, tight around a
        person, or what a ``Detector`` gives, whose scores are kept; the crop is 1.25 times the longer side. ``whole``
        in place of boxes: one person fills the photo, the box is the whole photo and the crop its longer side as a
        square, no margin added, since such a photo has one already. ``annotation_ids``: one for each box, kept in the
        poses. LiftwildError when the photo cannot be read, or a box is not finite, has no size, or lies outside the
        photo. To have the people found too, use ``liftwild.predict``.
        """
        if whole == (boxes is not None):
            raise LiftwildError(
                "Estimator.predict wants boxes, of a Detector or your own, or whole=True where one person fills the "
                "photo; liftwild.predict finds the people itself"
            )
        given = None if boxes is None else list(boxes)
        poses = next(self.predict_crops([self.crop_people(photo, given, annotation_ids)]))
        scores = [each.score if isinstance(each, Detected) else None for each in ([None] if given is None else given)]
        return [replace(pose, score=score) for pose, score in zip(poses, scores, strict=True)]

    def predict_many(
        self, photos: Iterable[Photo], boxes: Iterable[Boxes | None] | None = None
    ) -> Iterator[list[Pose]]:
        """Poses of the people in many photos: one list for each photo, in their order, as soon as it is known.

        ``photos`` and ``boxes`` (one entry for each photo, as for ``predict``; None: one person fills it) are taken
        when needed and let go once cropped, so a stream of any length fits in memory. Errors as for ``predict``.
        """
        if boxes is None:
            return self.predict_crops(self.crop_people(photo) for photo in photos)
        return self.predict_crops(self.crop_people(photo, own) for photo, own in zip(photos, boxes, strict=True))

    def least_px(self, size: tuple[int, int], boxes: Sequence[Box]) -> int:
        """How many px the longer side of a photo of ``size`` (width, height) needs, so that the crop of none of these
        people has fewer than the network sees."""
        crops = [Crop.around(box).size_px for box in boxes]
        return math.ceil(max(size) * min(1.0, self.input_px / min(crops))) if crops else 0

    def crop_people(
        self,
        photo: Photo | LoadedPhoto,
        boxes: Boxes | None = None,
        annotation_ids: Sequence[int] | None = None,
        name: str | None = None,
        loose: float = 1.0,
    ) -> list[CroppedPerson]:
        """The first half of ``predict``: the people cut out of the photo; without boxes one who fills it.

        Arguments and errors as there.
        ``name``: what errors call the photo; its path where None. ``loose``: how much farther than about exact boxes
        the picture is seen about these, before it is black (``PoseNetConfig.mask``).
        """
        where = name or (str(photo) if isinstance(photo, str | Path) else "photo")
        loaded = load_photo(photo)
        width, height = loaded.size
        if boxes is None:
            if annotation_ids is not None:
                raise LiftwildError("annotation_ids need boxes")
            checked, margin = [(0.0, 0.0, float(width), float(height))], 1.0
        else:
            checked, margin = [checked_box(box, width, height, where) for box in boxes], BOX_MARGIN
        ids: Sequence[int | None] = [None] * len(checked) if annotation_ids is None else annotation_ids
        if len(ids) != len(checked):
            raise LiftwildError(f"{where}: {len(checked)} boxes but {len(ids)} annotation_ids")
        crops = [Crop.around(box, margin) for box in checked]
        return [
            CroppedPerson(
                pixels=self._pixels(loaded, crop, None if boxes is None else grown(box, loose * self.mask)),
                crop=crop,
                box=box,
                annotation_id=annotation_id,
                photo_px=(width, height),
                edges=() if boxes is None else _edges(box, width, height),
            )
            for crop, box, annotation_id in zip(crops, checked, ids, strict=True)
        ]

    def _pixels(self, photo: LoadedPhoto, crop: Crop, seen: Box | None) -> np.ndarray:
        """The crop as the network sees it: black outside the box ``seen``."""
        pixels = crop.in_smaller(photo.divisor).apply(photo.image, self.input_px)
        if seen is None or not self.mask:
            return pixels
        x, y, w, h = seen
        (left, top), (right, bottom) = crop.to_crop(np.array([[x, y], [x + w, y + h]]), self.input_px).tolist()
        return blackened(pixels, (left, top, right - left, bottom - top))

    def predict_crops(self, photos: Iterable[Sequence[CroppedPerson]]) -> Iterator[list[Pose]]:
        """The second half of ``predict``, for a stream: one list of poses for each photo's list of people, in order.

        Only people of one photo share a batch: networks answer a little differently in batches of other sizes, and
        the poses of a photo depend on no other.
        """
        for people in photos:
            batches = (people[first : first + self.batch_size] for first in range(0, len(people), self.batch_size))
            yield [pose for batch in batches for pose in self._batch(batch)]

    def _batch(self, people: Sequence[CroppedPerson]) -> list[Pose]:
        """Poses of up to ``batch_size`` people."""
        found = infer_crops(self.runtime, np.stack([person.pixels for person in people]), self.flip_test)
        assert found.depth is not None
        joints_2d, peaks, depth = found.joints_2d, found.peaks, found.depth
        if not all(np.isfinite(part).all() for part in (joints_2d, peaks, depth)):
            raise LiftwildError(f"the network of {self.weights} gives NaN or infinity; its weights are broken")
        joints_2d = joints_2d.astype(np.float64)
        inside, visible, stated = found.inside, found.visible, found.depth_spread
        joints_3d, scale = pose_mm(
            joints_2d, depth, self.input_px, self.card["sum_length_mm"], PELVIS, self.bone_length_mm, inside
        )
        in_photo = np.array(
            [person.crop.to_photo(joints, self.input_px) for person, joints in zip(people, joints_2d, strict=True)]
        )
        confidence, spread = self._confidence(
            people, peaks, in_photo, None if stated is None else stated * scale[:, None]
        )
        peak = np.clip(peaks, 0, 1).mean(axis=1).tolist()
        return [
            Pose(
                joints_2d=in_photo[i],
                joints_3d=joints_3d[i],
                confidence=confidence[i],
                box=person.box,
                annotation_id=person.annotation_id,
                depth_sd_mm=None if spread is None else spread[i],
                peak=peak[i],
                inside=None if inside is None else inside[i],
                visible=None if visible is None else visible[i],
            )
            for i, person in enumerate(people)
        ]

    def _confidence(
        self, people: Sequence[CroppedPerson], peaks: np.ndarray, joints_2d: np.ndarray, stated_mm: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """``Pose.confidence`` and ``Pose.depth_sd_mm`` (B, J) from peaks (B, J), joints in px of their photos, and the
        spread of depths that the network states (B, J), mm."""
        if self.calibration is None:
            return np.clip(peaks, 0, 1), None
        chance = np.empty(peaks.shape)
        for edges in dict.fromkeys(person.edges for person in people):
            these = [i for i, person in enumerate(people) if person.edges == edges]
            chance[these] = self.calibration.confidence(peaks[these], self.flip_test, edges)
        photo_px = np.array([person.photo_px for person in people])[:, None]
        outside = ((joints_2d < 0) | (joints_2d > photo_px)).any(axis=-1)
        chance = np.where(outside, np.minimum(chance, OUTSIDE_CHANCE), chance)
        return chance, self.calibration.depth_sd_mm(chance, stated_mm)


def _edges(box: Box, width: int, height: int) -> tuple[str, ...]:
    """Which edges of the photo end the box, as ``confidence.EDGES`` calls them."""
    x, y, w, h = box
    near = EDGE_BOXES * max(w, h)
    ends = {"bottom": y + h >= height - near, "top": y <= near, "side": x <= near or x + w >= width - near}
    return tuple(edge for edge, there in ends.items() if there)


def checked_box(given: Sequence[float] | Detected, width: int, height: int, where: str) -> Box:
    """The box as four floats; LiftwildError if it is not finite, has no size, or does not meet the photo."""
    try:
        x, y, w, h = (float(value) for value in (given.box if isinstance(given, Detected) else given))
    except (TypeError, ValueError):
        raise LiftwildError(f"{where}: a box is four numbers x, y, w, h in px, not {given!r}") from None
    said = f"{where}: box {x:g},{y:g},{w:g},{h:g}"
    if not all(map(math.isfinite, (x, y, w, h))):
        raise LiftwildError(f"{said} is not finite")
    if w <= 0 or h <= 0 or max(w, h) < 1:
        raise LiftwildError(f"{said} has no size")
    if x >= width or y >= height or x + w <= 0 or y + h <= 0:
        raise LiftwildError(f"{said} lies outside the photo ({width} x {height} px)")
    if max(w, h) > MAX_BOX_PHOTOS * max(width, height):
        raise LiftwildError(f"{said} is far larger than the photo ({width} x {height} px)")
    return x, y, w, h
