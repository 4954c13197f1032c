"""``liftwild.predict``: whatever holds a photo or a video in, ``Recording`` out."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from liftwild.boxes import Box
from liftwild.data.external_boxes import ExternalBoxes
from liftwild.detection.detector import Detector
from liftwild.errors import LiftwildError
from liftwild.inference.estimator import Estimator
from liftwild.media.clip_part import part_of
from liftwild.media.photo import ACCEPTED, Photo, find_photos
from liftwild.media.video import Clip, is_video_name, open_clip
from liftwild.pipeline.options import PoseOptions
from liftwild.pipeline.person_selection import PersonSelection
from liftwild.pipeline.photos import predict_photos
from liftwild.pipeline.shared_networks import shared_detector, shared_estimator
from liftwild.pipeline.video import predict_video
from liftwild.placement.body_height import Heights
from liftwild.pose import Recording
from liftwild.tracking.filters import filter_of


def predict(
    source: Photo | Iterable[Photo] | Clip,
    *,
    people: int | None = None,
    at: tuple[float, float] | None = None,
    box: Sequence[float] | None = None,
    boxes: str | Path | None = None,
    whole: bool = False,
    clip: bool = False,
    fps: float | None = None,
    start: float | None = None,
    end: float | None = None,
    slow_motion: float | None = None,
    camera: Sequence[float] | None = None,
    fov: float | None = None,
    height_m: Heights | None = None,
    smooth: bool = True,
    time_filter: str = "butterworth",
    cutoff_hz: float | None = None,
    free_feet: bool = False,
    min_score: float | None = None,
    weights: str | Path = "base",
    runtime: str = "auto",
    device: str | None = None,
    flip_test: bool = False,
) -> Any:
    """The people of a photo or video and their 3D poses: ``liftwild.predict("photo.jpg")``.

    ``source``: a photo (a path, the bytes of an image file, a PIL image, an (H, W, 3) uint8 RGB array; see
    ``media.photo.load_photo``) or the path of a video: a ``Recording``. A list or folder of photos: a list of
    Recordings; a generator or other iterator: an iterator of them, each as soon as it is known. ``clip``: a folder is
    one clip, its images are the frames, ``fps`` a second (30 if None). ``start``, ``end`` (s): a part of a clip;
    ``slow_motion``: so many times slower than life it is shown.

    Whom: all whom the detector finds, with a score of ``min_score`` or more (None: what its weights say); the
    ``people`` largest; who is under the point ``at`` (x, y px); who is in ``box`` (x, y, w, h px); those in the COCO
    file ``boxes``; ``whole``: one person fills the photo or the first frame.
    ``camera`` (fx, fy, cx, cy px), ``fov`` (degrees across the longer side), ``height_m``: as in ``PoseOptions``.
    ``smooth``: of videos, filtered over time, one skeleton a person, feet that do not slide; ``time_filter``:
    "butterworth", with ``cutoff_hz`` or chosen by residual analysis, or "one-euro"; ``free_feet``: feet that stand are
    not held, but left as they are found. ``weights``, ``runtime``, ``device``, ``flip_test``: as for ``Estimator``;
    networks are kept for the next call.

    It is what ``liftwild predict`` does with the same options. LiftwildError if something cannot be read, in one clear
    line; in an iterator the error is raised when its photo is due.
    """
    options = PoseOptions(
        None if camera is None else tuple(camera), fov, height_m, smooth, filter_of(time_filter, cutoff_hz), free_feet
    )
    video = _as_video(source, clip, fps)
    photos = _as_photos(source) if video is None else None
    if video is None and (fps is not None or clip):
        raise LiftwildError("fps and clip are for a folder of frames; a video tells its own rate, and a photo has none")
    if video is None and (start, end, slow_motion) != (None, None, None):
        raise LiftwildError("start, end and slow_motion are for clips; a photo has no times")
    video = None if video is None else part_of(video, start, end, slow_motion)
    if min_score is not None and (whole or boxes is not None):
        raise LiftwildError("min_score is for the detector, which is not asked with boxes or whole")
    # A photo's own box needs no detector; whoever is followed through a clip may be lost and looked for.
    needs_detector = not whole and boxes is None and (box is None or video is not None)
    detector = shared_detector(device, min_score, runtime) if needs_detector else None
    selection = _selection(people, at, box, boxes, whole, detector)
    estimator = shared_estimator(weights, device, flip_test, runtime)
    if video is not None:
        name = str(source) if isinstance(source, str | Path) else video.name
        return predict_video(estimator, video, selection, options, name=name).recording
    if photos is None:
        return next(_recordings(estimator, [source], selection, options, keep_picture=True))
    recordings = _recordings(estimator, photos, selection, options, keep_picture=False)
    return list(recordings) if isinstance(photos, list) else recordings


def _recordings(
    estimator: Estimator, photos: Iterable[Photo], selection: PersonSelection, options: PoseOptions, keep_picture: bool
) -> Iterator[Recording]:
    for result in predict_photos(estimator, photos, selection, options, keep_picture):
        if result.recording is None:
            raise LiftwildError(result.error)
        if result.warning:
            warnings.warn(result.warning, stacklevel=2)
        yield replace(result.recording, picture=result.picture)


def _as_video(source: Any, clip: bool, fps: float | None) -> Clip | None:
    """The clip that ``source`` is or names, or None for photos."""
    if isinstance(source, str | Path):
        is_folder = os.path.isdir(source)
        if clip or (is_video_name(source) and not is_folder):
            return open_clip(source, fps)
        return None
    is_clip = all(hasattr(source, name) for name in ("frames", "identity", "rereadable"))
    return source if is_clip else None


def _as_photos(source: Any) -> list[Photo] | Iterator[Photo] | None:
    """Several photos as a list or an iterator; None where ``source`` is one photo."""
    if isinstance(source, str | Path):
        return list(find_photos([source])) if os.path.isdir(source) else None
    if isinstance(source, bytes | bytearray | memoryview | np.ndarray) or hasattr(source, "getexif"):
        return None
    if isinstance(source, list | tuple):
        return list(source)
    if isinstance(source, Iterable):
        return iter(source)
    raise LiftwildError(f"{ACCEPTED}, or a video's path, or a list or generator of photos, not {type(source).__name__}")


def _selection(
    people: int | None, at: tuple[float, float] | None, box: Sequence[float] | None, boxes: str | Path | None,
    whole: bool, detector: Detector | None,
) -> PersonSelection:  # fmt: skip
    given = {"at": at is not None, "box": box is not None, "boxes": boxes is not None, "whole": whole}
    chosen = [name for name, is_given in given.items() if is_given]
    if len(chosen) > 1 and chosen != ["box", "whole"]:
        raise LiftwildError(f"{' and '.join(chosen)} exclude each other: each says whom to look at")
    external = None if boxes is None else ExternalBoxes.read(boxes)
    own: Box | None = None
    if box is not None:
        if len(box) != 4:
            raise LiftwildError(f"a box is four numbers x, y, w, h in px, not {box!r}")
        own = tuple(float(value) for value in box)  # type: ignore[assignment]
    return PersonSelection(own, external, detector, people, at)
