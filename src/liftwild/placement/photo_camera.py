"""The camera of a photo: given, told by its EXIF, or assumed."""

from __future__ import annotations

import math
from collections.abc import Sequence

from liftwild.camera import Camera
from liftwild.errors import LiftwildError
from liftwild.media.exif import focal_of

# Across a photo's longer side, where nothing is known of its camera: between a phone's main camera (about 67) and a
# portrait lens (about 40).
ASSUMED_DEG = 55.0
FOCAL_PHOTOS = (0.2, 50.0)  # focal lengths that cameras have, in longer sides of the photo
CENTRE_PHOTOS = 3.0  # how many photos away from the photo a principal point may lie: crops have such


def assumed_camera(width: int, height: int) -> tuple[Camera, str]:
    """A camera for a photo or clip of ``width`` x ``height`` px of which nothing is known, and the words for it."""
    focal = max(width, height) / 2 / math.tan(math.radians(ASSUMED_DEG / 2))
    return Camera(focal, focal, width / 2, height / 2), f"assumed, {ASSUMED_DEG:g} degrees across"


def camera_of_exif(exif: bytes, width: int, height: int) -> tuple[Camera, str]:
    """The camera of a photo of ``width`` x ``height`` px when upright, and where it comes from.

    ``exif``: its block, as ``media.photo.load_photo`` gives it. ("exif": its focal length, the principal point in the
    photo's middle; or an assumed one, which says so.) Photos that were cropped, or whose EXIF gives a focal length that
    no camera has, get an assumed one.
    """
    focal = focal_of(exif, width, height)
    longer = max(width, height)
    if focal is None or not FOCAL_PHOTOS[0] <= min(focal) / longer <= max(focal) / longer <= FOCAL_PHOTOS[1]:
        return assumed_camera(width, height)
    return Camera(focal[0], focal[1], width / 2, height / 2), "exif"


def given_camera(numbers: Sequence[float], width: int, height: int) -> tuple[Camera, str]:
    """The camera that a user gave as fx, fy, cx, cy in px of the upright photo, ``width`` x ``height`` px.

    LiftwildError if these are not four numbers, or no camera of such a photo.
    """
    try:
        fx, fy, cx, cy = values = [float(value) for value in numbers]
    except (TypeError, ValueError):
        raise LiftwildError(f"a camera is four numbers fx,fy,cx,cy in px, not {numbers!r}") from None
    said, photo = f"camera {fx:g},{fy:g},{cx:g},{cy:g}", f"a photo of {width} x {height} px"
    if not all(map(math.isfinite, values)):
        raise LiftwildError(f"{said} is not finite")
    longer = max(width, height)
    low, high = FOCAL_PHOTOS[0] * longer, FOCAL_PHOTOS[1] * longer
    if not low <= min(fx, fy) <= max(fx, fy) <= high:
        raise LiftwildError(f"{said}: for {photo} fx and fy lie between {low:.0f} and {high:.0f} px, not mm")
    if not 0.5 <= fx / fy <= 2:
        raise LiftwildError(f"{said}: fx and fy are nearly alike in any camera")
    for value, size in ((cx, width), (cy, height)):
        if not -CENTRE_PHOTOS * size <= value <= (1 + CENTRE_PHOTOS) * size:
            raise LiftwildError(f"{said}: for {photo} cx and cy lie near its middle, {width / 2:g},{height / 2:g} px")
    return Camera(fx, fy, cx, cy), "given"
