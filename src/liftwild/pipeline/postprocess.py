"""From what was found to files, the same for photos and clips: place, smooth, size, hide, write."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from liftwild.camera import Camera
from liftwild.errors import LiftwildError
from liftwild.io.formats import FORMATS, foreign_file, is_ours, write_formats
from liftwild.joint_mapping import in_skeleton
from liftwild.placement.root_translation import camera_of_exif, given_camera, located, sized
from liftwild.pose import Pose, Recording, hide
from liftwild.skeleton import MPII_16, Skeleton
from liftwild.tracking.smoothing import Steadiness, smooth_recording, steadiness
from liftwild.viz.figure import draw_figure, write_png
from liftwild.viz.overlay import draw_overlay, write_overlay

FOV_DEG = (5.0, 170.0)
OVERLAY = "overlay"  # among the formats that a user names; the only one that is a picture
VECTOR = ("pdf", "svg")

Frames = Callable[[], Iterable[tuple[int, np.ndarray]]]


@dataclass(frozen=True)
class OutputOptions:
    """What is written of each photo or clip, and what is done before.

    ``formats``: of ``formats.FORMATS``; ``figure``: STEM.png of a photo; ``vector``: "pdf" and "svg" ones; ``overlay``:
    STEM.overlay.png or .mp4; ``view``: STEM.html. ``camera``: fx, fy, cx, cy px, or ``fov_deg`` across the longer side,
    or neither; ``height_m`` of everybody. ``min_confidence``: less sure joints are hidden. ``raw``: nothing is
    smoothed.
    """

    formats: tuple[str, ...] = ("json",)
    figure: bool = True
    vector: tuple[str, ...] = ()
    overlay: bool = False
    view: bool = False
    skeleton: Skeleton = MPII_16
    camera: tuple[float, ...] | None = None
    fov_deg: float | None = None
    height_m: float | None = None
    min_confidence: float = 0.0
    raw: bool = False

    def pictures(self, out: Path, stem: str, is_clip: bool) -> list[Path]:
        """The files beside those of the formats."""
        names = [f"{stem}.html"] if self.view else []
        if self.overlay:
            names.append(f"{stem}.overlay.mp4" if is_clip else f"{stem}.overlay.png")
        if not is_clip:
            names += [f"{stem}.png"] if self.figure else []
            names += [f"{stem}.{kind}" for kind in self.vector]
        return [out / name for name in names]


def split_formats(text: str) -> tuple[tuple[str, ...], bool]:
    """The formats in ``json,csv,...,overlay``, and whether the overlay is one of them.

    With nothing but the overlay, JSON comes too: pictures alone do not say that they are liftwild's.
    """
    names = [name.strip().lower() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in (*FORMATS, OVERLAY):
            raise LiftwildError(f"unknown format {name!r}; known are {', '.join((*FORMATS, OVERLAY))}")
    data = tuple(dict.fromkeys(name for name in names if name != OVERLAY))
    return data or ("json",), OVERLAY in names


@dataclass
class OutputGuard:
    """Which names in ``out`` the photos and clips of a run have taken; ``inputs``: files that are read."""

    out: Path
    inputs: set[Path] = field(default_factory=set)
    taken: dict[str, Path] = field(default_factory=dict)

    def claim(self, source: Path, stem: str, wanted: OutputOptions, is_clip: bool, more: Iterable[Path] = ()) -> None:
        """Take the names of the results of ``source``; LiftwildError if they belong to something else.

        ``more``: files that the caller writes and guards itself, which must not be an input.
        """
        key = os.path.normcase(stem)
        if key in self.taken:
            raise LiftwildError(
                f"{source}: its results would have the names of those of {self.taken[key]}; use another -o for it"
            )
        pictures = wanted.pictures(self.out, stem, is_clip)
        for target in (*pictures, *more):
            if target.resolve() in self.inputs:
                what = (
                    "its picture would overwrite the photo" if not is_clip else "its result would overwrite the input"
                )
                hint = ", or --no-figure" if target.suffix == ".png" and target.stem == stem else ""
                raise LiftwildError(f"{source}: {what} {target}; use another -o{hint}")
        foreign = foreign_file(self.out, stem, wanted.formats)
        if foreign is None:
            foreign = next((path for path in pictures if os.path.lexists(path)), None)
            if foreign is not None and any(is_ours(path) for path in self._data(stem)):
                foreign = None
        if foreign is not None:
            raise LiftwildError(f"{source}: {foreign} exists and is no result of liftwild; use another -o")
        self.taken[key] = source

    def _data(self, stem: str) -> list[Path]:
        """Files whose being liftwild's makes the pictures beside them liftwild's."""
        names = [f"{stem}.{name}" for name in FORMATS] + [f"{stem}.coco.json", f"{stem}.about.txt"]
        return [self.out / name for name in names]


Placing = tuple[Camera, str, bool]  # a camera, where it comes from, whether it is known


def camera_of(wanted: OutputOptions, width: int, height: int, exif: bytes = b"") -> Placing:
    """The camera of a photo or clip, where it comes from, and whether it is known: given, or the photo's EXIF.

    ``exif``: the block that ``read_with_exif`` gives. LiftwildError if what was given is no camera of it.
    """
    if wanted.camera is not None:
        return *given_camera(wanted.camera, width, height), True
    if wanted.fov_deg is not None:
        focal = max(width, height) / 2 / math.tan(math.radians(wanted.fov_deg / 2))
        return Camera(focal, focal, width / 2, height / 2), f"given, {wanted.fov_deg:g} degrees across", True
    camera, said = camera_of_exif(exif, width, height)
    return camera, said, said == "exif"


def finish_photo(recording: Recording, wanted: OutputOptions, placing: Placing) -> Recording:
    """A photo's people placed in space by what ``camera_of`` says of it, and sized as ``wanted``."""
    return _sized(_placed(recording, placing), wanted)


def finish_clip(recording: Recording, wanted: OutputOptions) -> tuple[Recording, Steadiness, Steadiness | None]:
    """A clip's people placed, smoothed and sized, as ``wanted``; how much they shook before, and after if smoothed."""
    placed = _placed(recording, camera_of(wanted, recording.width, recording.height))
    before = steadiness(placed)
    if wanted.raw:
        return _sized(placed, wanted), before, None
    smoothed = smooth_recording(placed)
    after = steadiness(smoothed)
    said = "; ".join(shaking(before, after))
    return _sized(replace(smoothed, steps=(*smoothed.steps, said)), wanted), before, after


def shaking(before: Steadiness, after: Steadiness | None) -> list[str]:
    """What smoothing changed, a line for each measure; what was measured, if nothing was smoothed."""

    def line(name: str, unit: str, of: Callable[[Steadiness], float]) -> str:
        first = of(before)
        if math.isnan(first):
            return f"{name}: too few frames to tell"
        then = "" if after is None else f" -> {of(after):,.0f}"
        return f"{name}: {first:,.0f}{then} {unit}"

    return [
        line("jitter in space (mean acceleration)", "mm/s^2", lambda found: found.jitter_mm),
        line("jitter in the picture", "px/s^2", lambda found: found.jitter_px),
        line("spread of bone lengths", "%", lambda found: 100 * found.bone_spread),
    ]


def _placed(recording: Recording, placing: Placing) -> Recording:
    camera, said, known = placing
    # An assumed camera says about where people are; it is not let into their poses.
    return located(recording, camera, said, perspective=known)


def _sized(recording: Recording, wanted: OutputOptions) -> Recording:
    return recording if wanted.height_m is None else sized(recording, wanted.height_m)


def write_photo_files(
    recording: Recording,
    out: Path,
    stem: str,
    wanted: OutputOptions,
    shown: np.ndarray | None,
    read: Callable[[], np.ndarray],
) -> None:
    """Everything that is ``wanted`` of a photo. ``shown``: the copy for the figure; ``read`` gives the whole photo.

    The formats first: pictures without them would look like somebody else's to the next run.
    """
    write_formats(recording, out, stem, wanted.formats, wanted.skeleton, wanted.min_confidence)
    if not wanted.pictures(out, stem, is_clip=False):
        return
    visible = _shown(recording, wanted)
    poses = _poses(visible)
    size = recording.width, recording.height
    if wanted.figure and shown is not None:
        write_png(out / f"{stem}.png", draw_figure(shown, poses, size))
    for kind in wanted.vector:
        from liftwild.viz.vector import write_vector_figure  # needs matplotlib

        write_vector_figure(out / f"{stem}.{kind}", read() if shown is None else shown, poses, size)
    if wanted.overlay:
        write_png(out / f"{stem}.overlay.png", draw_overlay(read(), poses, len(poses) > 1))
    if wanted.view:
        from liftwild.viz.viewer_html import write_viewer

        write_viewer(out / f"{stem}.html", visible, [(0, read())])


def write_clip_files(
    recording: Recording, out: Path, stem: str, wanted: OutputOptions, frames: Frames | None
) -> list[str]:
    """Everything that is ``wanted`` of a clip; lines to be said about it. ``frames``: reads the clip once more."""
    write_formats(recording, out, stem, wanted.formats, wanted.skeleton, wanted.min_confidence)
    visible = _shown(recording, wanted)
    notes = []
    if wanted.overlay and frames is not None:
        notes.append(write_overlay(out / f"{stem}.overlay.mp4", visible, frames())[1])
    if wanted.view:
        from liftwild.viz.viewer_html import write_viewer

        write_viewer(out / f"{stem}.html", visible, None if frames is None else frames())
        notes.append("" if frames else f"{stem}.html shows the poses only: a stream cannot be read again for pictures")
    return [note for note in notes if note]


def _shown(recording: Recording, wanted: OutputOptions) -> Recording:
    """What pictures show: hidden joints left out, in the joints asked for."""
    tracks = tuple(hide(track, wanted.min_confidence) for track in recording.tracks)
    return in_skeleton(replace(recording, tracks=tracks), wanted.skeleton)


def _poses(recording: Recording) -> list[Pose]:
    """The poses of a photo."""
    return [track.pose(0) for track in recording.tracks]
