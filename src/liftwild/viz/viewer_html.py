"""The viewer: one HTML file that opens offline in any browser, with the photo or clip beside the poses in space."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any, NamedTuple

import cv2
import numpy as np

from liftwild import __version__
from liftwild.files import write_whole
from liftwild.io.description import metadata
from liftwild.media.encoding import jpeg_bytes
from liftwild.pose import PoseTrack, Recording
from liftwild.tracking.track_selection import MIN_TRACK_S
from liftwild.viz.draw import LEFT, MIDDLE, RIGHT, UNSURE

FORMAT = "liftwild-view"
VERSION = 1

MAX_BYTES = 32_000_000  # of the file; pictures are left out to stay below, poses never
PHOTO_PX, CLIP_PX = 1280, 640  # longer side of pictures, most
PHOTO_QUALITY, CLIP_QUALITY = 88, 76  # of their JPEG
# What a page is made of, in the order in which it is run.
SCRIPTS = (
    "data.js", "people.js", "text.js", "trails.js", "words.js", "fit.js", "space.js", "picture.js", "app.js",
)  # fmt: skip

THREE = "three.min.js"
# Smallest steps of what is written: 0.1 mm, 0.1 px, 0.001, 0.1 ms.
MM, PX, SHARE, SECOND = 0.1, 0.1, 0.001, 0.0001


# What linked pages have besides, for the page that they stand in: people are chosen on the picture.
FRAMED_SCRIPTS, FRAMED_STYLES = ("choose.js",), ("choose.css",)
# All that a page may be made of, the report's among it: what a server offers to linked pages.
PAGE_FILES = (
    THREE, *SCRIPTS, *FRAMED_SCRIPTS, "curves.js", "report.js", "live.js", "viewer.css", "report.css", *FRAMED_STYLES,
)  # fmt: skip


class Article(NamedTuple):
    """What stands below the viewer on a page: ``html``; ``curves``, JSON's types for its ``scripts``; ``styles``."""

    html: str
    curves: dict[str, Any]
    scripts: tuple[str, ...]
    styles: tuple[str, ...]


ALONE = Article("", {}, (), ())


def write_viewer(
    path: str | Path, recording: Recording, frames: Iterable[tuple[int, np.ndarray]] | None = None
) -> None:
    """Write ``viewer_page`` as a file, whole or not at all; LiftwildError if it cannot be written."""
    write_whole(path, viewer_page(recording, frames).encode("utf-8"))


def viewer_page(
    recording: Recording,
    frames: Iterable[tuple[int, np.ndarray]] | None = None,
    article: Article = ALONE,
    linked: str = "",
) -> str:
    """``recording`` as one self-contained HTML page.

    ``frames``: index and picture (H, W, 3) uint8 RGB of the clip's frames, rising, taken one at a time; pictures may
    be smaller than the recording says, of the same shape. None: poses without pictures. The file stays under 32 MB:
    of a long clip every second, fourth, ... picture is kept, and all poses. A joint that is NaN is hidden. Where every
    track has ``root_mm`` people stand in space, else side by side. ``article``: what stands below the viewer.
    ``linked``: where a server has ``PAGE_FILES``: the page then names them, and holds no script or style itself.
    """
    page, parts = _page(article, linked)
    parts |= {
        "kind": "report" if article.html else "alone",
        "article": article.html,
        "recording": json_for_html(_document(recording)),
        "curves": json_for_html(article.curves),
        "title": escape(plain_text(recording.source)),
    }
    room = MAX_BYTES - sum(len(part.encode()) for part in (page, *parts.values()))
    return Template(page).substitute(parts, pictures=json_for_html(_pictures(recording, frames, room)))


def lasting_people(recording: Recording) -> list[int]:
    """Which of the tracks last for ``MIN_TRACK_S`` at least, by place: all of a photo's, and all where none does."""
    times = recording.times_s
    interval = float(times[-1] - times[0]) / max(len(times) - 1, 1)
    lasting = [place for place, track in enumerate(recording.tracks) if len(track) * interval >= MIN_TRACK_S]
    return lasting if recording.is_clip and lasting else list(range(len(recording.tracks)))


def plain_text(name: str) -> str:
    """The name of a file as text that can be written: what is no UTF-8 becomes question marks."""
    return name.encode("utf-8", "replace").decode()


def json_for_html(value: Any) -> str:
    """``value`` as JSON that can stand inside a <script>: ASCII, without <, > and &, so that no text ends the element.

    ValueError if it holds NaN or infinity.
    """
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def packed(values: np.ndarray, step: float) -> dict[str, Any]:
    """``values`` of any shape as whole multiples of ``step``: what data.js calls a packed array.

    NaN, infinity and what does not fit are the smallest whole number. Little-endian, 16 bits where they fit, else 32.
    """
    steps = np.round(np.asarray(values, dtype=np.float64) / step)
    known = np.isfinite(steps) & (np.abs(steps) < 2**31)
    bits = 16 if np.abs(steps[known]).max(initial=0) < 2**15 else 32
    whole = np.where(known, steps, -(2.0 ** (bits - 1))).astype(f"<i{bits // 8}")
    return {"bits": bits, "step": step, "data": base64.b64encode(whole.tobytes()).decode("ascii")}


def page_file(name: str) -> str:
    """A script or style that pages are made of, one of ``PAGE_FILES``, as text."""
    return (files("liftwild.viz") / "viewer" / name).read_text(encoding="utf-8")


def _page(article: Article, linked: str) -> tuple[str, dict[str, str]]:
    """The page's template, and its policy, styles and scripts."""
    styles, scripts = ("viewer.css", *article.styles), (THREE, *SCRIPTS, *article.scripts)
    if linked:
        styles, scripts = (*styles, *FRAMED_STYLES), (*scripts, *FRAMED_SCRIPTS)
        parts = {
            "policy": "script-src 'self'; style-src 'self'",
            "styles": "\n".join(f'<link rel="stylesheet" href="{linked}{name}">' for name in styles),
            "scripts": "\n".join(f'<script src="{linked}{name}"></script>' for name in scripts),
        }
    else:
        whole = {name: page_file(name) for name in (*styles, *scripts)}
        for name, part in whole.items():
            if "</script" in part.lower() or "<!--" in part:
                raise ValueError(f"the viewer's {name} would end or comment out its own element")
        own = "\n".join(whole[name] for name in scripts if name != THREE)
        parts = {
            "policy": "script-src 'unsafe-inline'; style-src 'unsafe-inline'",
            "styles": "<style>\n" + "\n".join(whole[name] for name in styles) + "\n</style>",
            "scripts": f"<script>\n{whole[THREE]}\n</script>\n<script>\n{own}\n</script>",
        }
    return page_file("viewer.html"), parts


def _document(recording: Recording) -> dict[str, Any]:
    """Everything but the pictures."""
    placed = bool(recording.tracks) and all(track.root_mm is not None for track in recording.tracks)
    return {
        "format": FORMAT,
        "version": VERSION,
        "liftwild": __version__,
        "source": plain_text(recording.source),
        "width": int(recording.width),
        "height": int(recording.height),
        "clip": bool(recording.is_clip or len(recording.times_s) > 1),
        "frames": len(recording.times_s),
        "times": packed(recording.times_s, SECOND),
        "placed": placed,
        "about": metadata(recording),
        "look": {"left": _css(LEFT), "right": _css(RIGHT), "middle": _css(MIDDLE), "unsure": UNSURE},
        "lasting": lasting_people(recording),
        "people": [_person(track, placed) for track in recording.tracks],
    }


def _person(track: PoseTrack, placed: bool) -> dict[str, Any]:
    def known(values: np.ndarray | None, step: float) -> dict[str, Any] | None:
        return None if values is None else packed(values, step)

    return {
        "id": int(track.person_id),
        "joints": list(track.skeleton.names),
        "parents": [int(parent) for parent in track.skeleton.parents],
        "frames": packed(track.frames, 1),
        "boxes": packed(track.boxes, PX),
        "joints2d": packed(track.joints_2d, PX),
        "joints3d": packed(track.joints_3d, MM),
        "confidence": packed(track.confidence, SHARE),
        "spread": known(track.depth_sd_mm, MM),
        "inside": known(track.inside, SHARE),
        "visible": known(track.visible, SHARE),
        "root": known(track.root_mm, MM) if placed else None,
        "contacts": known(track.contacts, 1),
        "filled": known(track.filled, 1),
    }


def _pictures(recording: Recording, frames: Iterable[tuple[int, np.ndarray]] | None, room: int) -> dict[str, Any]:
    """Every n-th picture as JPEG, n the smallest power of two with which they fit into ``room`` bytes.

    Holds no more than that, however long the clip.
    """
    every, used, kept = 1, 0, {}
    clip = len(recording.times_s) > 1
    for count, (frame, image) in enumerate(frames or ()):
        if count % every:
            continue
        kept[count] = int(frame), base64.b64encode(_jpeg(image, clip)).decode("ascii")
        used += len(kept[count][1]) + 16  # and its number, quotes and commas
        while used > room and len(kept) > 1:
            every *= 2
            kept = {number: picture for number, picture in kept.items() if number % every == 0}
            used = sum(len(data) + 16 for _, data in kept.values())
    return {
        "every": every,
        "frames": [frame for frame, _ in kept.values()],
        "data": [data for _, data in kept.values()],
    }


def _jpeg(image: np.ndarray, clip: bool) -> bytes:
    """A picture (H, W, 3) uint8 RGB, made smaller if it is large, as JPEG."""
    most, quality = (CLIP_PX, CLIP_QUALITY) if clip else (PHOTO_PX, PHOTO_QUALITY)
    height, width = image.shape[:2]
    shrink = most / max(height, width)
    if shrink < 1:
        size = max(1, round(width * shrink)), max(1, round(height * shrink))
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return jpeg_bytes(image, quality)


def _css(colour: tuple[int, int, int]) -> str:
    return "#" + "".join(f"{part:02x}" for part in colour)
