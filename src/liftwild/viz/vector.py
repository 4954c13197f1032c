"""The figure as vectors, for papers: PDF or SVG with lines that stay sharp and fonts that travel with the file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from liftwild.errors import LiftwildError
from liftwild.files import write_whole
from liftwild.pose import Pose
from liftwild.viz.draw import FINE, SHADE, Colour, Disc, Line, Mark
from liftwild.viz.figure import PANEL_PX, Panel, lay_out

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SUFFIXES = (".pdf", ".svg")
PANEL_INCHES = 2.2  # height of the panels: a photo about as wide as high makes a figure as wide as a page's text
TEXT = 1.7  # words are this much larger than in the PNG, to be read at that size
EM_PX = 29.0  # of the PNG's words at size 1
PHOTO_PX = 768  # height at which the photo is kept: 350 dots to the inch
# Fonts go into a PDF as they are (type 42), into an SVG as outlines; the same poses give the same bytes.
SETTINGS: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "pdf.fonttype": 42,
    "svg.fonttype": "path",
    "svg.hashsalt": "liftwild",
}


def write_vector_figure(
    path: str | Path, image: np.ndarray, poses: Sequence[Pose], photo_size: tuple[int, int] | None = None
) -> None:
    """Write what ``draw_figure`` shows as vectors to ``path``, a .pdf or .svg, whole or not at all.

    Arguments as for ``draw_figure``. The photo in it is a picture, 768 px high; all else is lines, discs and words.
    Needs matplotlib, which ``liftwild[figures]`` brings. LiftwildError if it is not there, ``path`` ends otherwise, or
    cannot be written.
    """
    path = Path(path)
    kind = path.suffix.lower()
    if kind not in SUFFIXES:
        raise LiftwildError(f"{path}: figures are written as .pdf or .svg, not as {kind or 'a file without a suffix'}")
    try:
        from matplotlib import rc_context
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise LiftwildError(f"{path}: figures as {kind} need {error.name}: pip install 'liftwild[figures]'") from None
    layout = lay_out(image, poses, photo_size, TEXT)
    width, height = layout.size
    inch = PANEL_PX * FINE / PANEL_INCHES  # fine px
    content = BytesIO()
    with rc_context(SETTINGS):
        figure = Figure(figsize=(width / inch, height / inch), facecolor="white")
        for panel in layout.panels:
            (x, y), (w, h) = panel.corner, panel.size
            axes = figure.add_axes((x / width, 1 - (y + h) / height, w / width, h / height))
            _draw_panel(axes, panel, inch)
        axes = figure.add_axes((0, 0, 1, 1))
        _set_up(axes, layout.size)
        _draw(axes, layout.words, inch)
        date = {"CreationDate": None} if kind == ".pdf" else {"Date": None}
        figure.savefig(content, format=kind[1:], metadata={"Title": "3D pose", **date})
    write_whole(path, content.getvalue())


def _draw_panel(axes: Axes, panel: Panel, inch: float) -> None:
    """One panel, clipped to its rectangle."""
    _set_up(axes, panel.size)
    axes.set_facecolor(_share(panel.ground))
    axes.patch.set_visible(True)
    axes.patch.set_alpha(1.0)
    if panel.photo is not None:
        photo, (x, y) = panel.photo
        high, wide = photo.shape[:2]
        if panel.size[1] > PHOTO_PX:
            shrink = PHOTO_PX / panel.size[1]
            small = max(1, round(wide * shrink)), max(1, round(high * shrink))
            photo = cv2.resize(photo, small, interpolation=cv2.INTER_AREA)
        axes.imshow(photo, extent=(x, x + wide, y + high, y), interpolation="none", aspect="auto")
        axes.set_xlim(0, panel.size[0])
        axes.set_ylim(panel.size[1], 0)
    shadow = [Line(start, end, SHADE, width) for start, end, _, width in panel.shadow]
    _draw(axes, [*shadow, *panel.below, *panel.marks], inch)


def _set_up(axes: Axes, size: tuple[int, int]) -> None:
    """Axes whose unit is the fine px of the layout, y down, without anything of their own."""
    axes.set_xlim(0, size[0])
    axes.set_ylim(size[1], 0)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.patch.set_visible(False)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _draw(axes: Axes, marks: Iterable[Mark], inch: float) -> None:
    """``marks`` in their order; ``inch``: fine px in an inch."""
    from matplotlib.patches import Circle

    points = 72 / inch
    for order, mark in enumerate(marks, start=10):
        if isinstance(mark, Line):
            (x0, y0), (x1, y1) = mark.start, mark.end
            axes.plot(
                [x0, x1], [y0, y1], color=_share(mark.colour), linewidth=mark.width * points, solid_capstyle="round",
                zorder=order, scalex=False, scaley=False,
            )  # fmt: skip
        elif isinstance(mark, Disc):
            centre = float(mark.centre[0]), float(mark.centre[1])
            axes.add_patch(Circle(centre, mark.radius, facecolor=_share(mark.colour), linewidth=0, zorder=order))
        else:
            across, up = ("center", "center_baseline") if mark.centred else ("left", "baseline")
            axes.text(
                float(mark.at[0]), float(mark.at[1]), mark.words, color=_share(mark.colour), zorder=order,
                fontsize=mark.size * FINE * EM_PX * points, horizontalalignment=across, verticalalignment=up,
            )  # fmt: skip


def _share(colour: Colour) -> tuple[float, float, float]:
    """``colour`` as matplotlib takes it."""
    red, green, blue = colour
    return red / 255, green / 255, blue / 255
