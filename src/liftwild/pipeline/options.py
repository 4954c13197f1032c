"""What is done to poses after the network, and what is written of them: the choices of a user."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path

from liftwild.camera import Camera
from liftwild.errors import LiftwildError
from liftwild.io.formats import FORMATS, check_formats
from liftwild.placement.body_height import Heights, check_height
from liftwild.placement.photo_camera import camera_of_exif, given_camera
from liftwild.skeleton import MPII_16, Skeleton
from liftwild.tracking.filters import Butterworth, Filter

MIN_FOV_DEG, MAX_FOV_DEG = 5.0, 170.0
OVERLAY = "overlay"  # among the formats that a user names; the only one that is a picture


@dataclass(frozen=True)
class PoseOptions:
    """What is done to poses after the network.

    ``camera``: fx, fy, cx, cy px, or ``fov_deg`` across the photo's longer side, or neither: EXIF, else an assumed one.
    ``height_m`` of everybody, or by person, or None. ``smooth``: clips are mended and
    filtered over time by ``time_filter``, bones keep their lengths, feet stay where they stand; with ``free_feet``
    these stay as they are found. LiftwildError where one of them makes no sense.
    """

    camera: tuple[float, ...] | None = None
    fov_deg: float | None = None
    height_m: Heights | None = None
    smooth: bool = True
    time_filter: Filter = field(default_factory=Butterworth)
    free_feet: bool = False

    def __post_init__(self) -> None:
        if self.camera is not None and self.fov_deg is not None:
            raise LiftwildError("a camera and a field of view exclude each other: the camera has one")
        if self.fov_deg is not None and not MIN_FOV_DEG <= self.fov_deg <= MAX_FOV_DEG:
            raise LiftwildError(
                f"a camera sees {MIN_FOV_DEG:g} to {MAX_FOV_DEG:g} degrees across, not {self.fov_deg:g}"
            )
        if self.height_m is not None:
            check_height(self.height_m)

    def camera_of(self, width: int, height: int, exif: bytes = b"") -> PlacingCamera:
        """The camera of a photo or clip of ``width`` x ``height`` px; ``exif``: its block, or empty.

        LiftwildError if what was given is no camera of it.
        """
        if self.camera is not None:
            return PlacingCamera(*given_camera(self.camera, width, height), is_known=True)
        if self.fov_deg is not None:
            focal = max(width, height) / 2 / math.tan(math.radians(self.fov_deg / 2))
            camera = Camera(focal, focal, width / 2, height / 2)
            return PlacingCamera(camera, f"given, {self.fov_deg:g} degrees across", is_known=True)
        camera, origin = camera_of_exif(exif, width, height)
        return PlacingCamera(camera, origin, is_known=origin == "exif")


@dataclass(frozen=True)
class PlacingCamera:
    """The camera that places people, where it comes from (``Recording.camera_from``), and whether that is certain."""

    camera: Camera
    origin: str
    is_known: bool


@dataclass(frozen=True)
class OutputOptions:
    """What is written of each photo or clip.

    ``formats``: of ``io.formats.FORMATS``; ``figure``: STEM.png of a photo; ``vector``: "pdf" and "svg" ones;
    ``overlay``: STEM.overlay.png or .mp4; ``view``: STEM.html. ``skeleton``: the joints that are written.
    ``min_confidence`` in [0, 1]: joints below it are hidden. ``rig``: the joints of animations, of
    ``kinematics.animation.RIGS``.
    """

    formats: tuple[str, ...] = ("json",)
    figure: bool = True
    vector: tuple[str, ...] = ()
    overlay: bool = False
    view: bool = False
    skeleton: Skeleton = field(default=MPII_16)
    min_confidence: float = 0.0
    rig: str = "plain"

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

    With nothing but the overlay, JSON comes too: pictures alone do not say that they are liftwild's. LiftwildError on
    an unknown format, or one whose library is missing.
    """
    names = [name.strip().lower() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in (*FORMATS, OVERLAY):
            raise LiftwildError(f"unknown format {name!r}; known are {', '.join((*FORMATS, OVERLAY))}")
    data = tuple(dict.fromkeys(name for name in names if name != OVERLAY))
    return check_formats(data or ("json",)), OVERLAY in names
