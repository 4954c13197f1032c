"""The options of a request, from its address: the same names and units as on the command line.

What FastAPI asks for is ``async``: it would start a thread for each otherwise.
"""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends, Query
from starlette.requests import HTTPConnection

from liftwild.app.downloads import MEDIA_TYPES
from liftwild.app.problem import ProblemError
from liftwild.app.wishes import FileWishes, Wishes
from liftwild.io.formats import check_formats
from liftwild.kinematics.animation import RIGS
from liftwild.media.clip_part import check_part
from liftwild.skeleton import SKELETONS
from liftwild.tracking.filters import FILTERS
from liftwild.weights_files import shipped_names


async def check_options(connection: HTTPConnection) -> None:
    """ProblemError 422 on an option in the address that the route does not have, as the OpenAPI document lists them."""
    if connection.scope["type"] != "http":
        return
    path, method = connection.scope["route"].path, connection.scope["method"].lower()
    route = connection.app.openapi()["paths"].get(path, {}).get(method)
    if route is None:  # of the page
        return
    known = [each["name"] for each in route.get("parameters", ()) if each["in"] == "query"]
    for name in connection.query_params:
        if name not in known:
            raise ProblemError(422, f"no option is called {name[:80]!r} here; there are {', '.join(known) or 'none'}")


def public_name(weights: str) -> str:
    """What clients call some weights: of a file without its folders, which are nobody's business."""
    return weights if weights in shipped_names() else Path(weights).stem


def names_of(default: str) -> list[str]:
    """The weights that clients may ask for, the server's own first."""
    return list(dict.fromkeys([public_name(default), *shipped_names()]))


def weights_of(default: str, weights: str | None) -> str:
    """The weights that are asked for; ProblemError 422 on a name of none that ship."""
    if weights in (None, public_name(default)):
        return default
    if weights not in shipped_names():
        raise ProblemError(422, f"no weights are called {weights!r}; there are {', '.join(names_of(default))}")
    return weights


async def photo_wishes(
    people: Annotated[int | None, Query(ge=1, description="The largest N people.")] = None,
    at: Annotated[str | None, Query(description="The one person under the point x,y px.")] = None,
    box: Annotated[str | None, Query(description="The one person in the box x,y,w,h px.")] = None,
    whole: Annotated[bool, Query(description="Look for nobody: one person fills the photo.")] = False,
    min_score: Annotated[
        float | None, Query(ge=0, le=1, description="Leave out whom the detector scores less.")
    ] = None,
    camera: Annotated[str | None, Query(description="The camera: fx,fy,cx,cy px.")] = None,
    fov: Annotated[float | None, Query(description="Or its field of view across the longer side, degrees.")] = None,
    height_m: Annotated[float | None, Query(description="How tall people are, m.")] = None,
) -> Wishes:
    """What is wanted of a photo."""
    if sum((at is not None, box is not None, whole)) > 1:
        raise ProblemError(422, "at, box and whole exclude each other: each says whom to look at")
    if min_score is not None and whole:
        raise ProblemError(422, "min_score is for the detector, which is not asked with whole")
    wishes = Wishes(
        people=people, at=_numbers("at", at, 2), box=_numbers("box", box, 4), whole=whole, min_score=min_score,
        camera=_numbers("camera", camera, 4), fov=fov, height_m=height_m,
    )  # fmt: skip
    if wishes.box is not None and min(wishes.box[2:]) <= 0:
        raise ProblemError(422, "box has no size: w and h must be above 0")
    wishes.pose_options()
    return wishes


async def clip_wishes(
    of_photo: Annotated[Wishes, Depends(photo_wishes)],
    min_track_s: Annotated[
        float | None, Query(ge=0, description="Of videos: leave out who is seen for a shorter time, s.")
    ] = None,
    smooth: Annotated[bool, Query(description="Of videos: smooth over time.")] = True,
    time_filter: Annotated[str, Query(description=f"How: {', '.join(FILTERS)}.")] = FILTERS[0],
    cutoff_hz: Annotated[float | None, Query(description="Of butterworth; else it is chosen.")] = None,
    start: Annotated[float | None, Query(description="Of videos: begin so many seconds after the beginning.")] = None,
    end: Annotated[float | None, Query(description="And end so many seconds after it.")] = None,
    slow_motion: Annotated[float | None, Query(description="Filmed so many times faster than it is shown.")] = None,
) -> Wishes:
    """What is wanted of a photo or video."""
    if time_filter not in FILTERS:
        raise ProblemError(422, f"no filter is called {time_filter!r}; there are {', '.join(FILTERS)}")
    wishes = replace(
        of_photo, min_track_s=min_track_s, smooth=smooth, time_filter=time_filter, cutoff_hz=cutoff_hz, start=start,
        end=end, slow_motion=slow_motion,
    )  # fmt: skip
    check_part(start, end, slow_motion)
    wishes.pose_options()
    return wishes


async def file_wishes(
    joints: Annotated[str | None, Query(description=f"Which joints are written: {', '.join(SKELETONS)}.")] = None,
    min_confidence: Annotated[float, Query(ge=0, le=1, description="Hide less sure joints.")] = 0.0,
    rig: Annotated[str, Query(description=f"Joints of animations: {', '.join(RIGS)}.")] = "plain",
    person: Annotated[int | None, Query(description="This person alone.")] = None,
) -> FileWishes:
    """How files are wanted; their format is asked for elsewhere."""
    if joints is not None and joints not in SKELETONS:
        raise ProblemError(422, f"no joints are called {joints!r}; there are {', '.join(SKELETONS)}")
    if rig not in RIGS:
        raise ProblemError(422, f"no rig is called {rig!r}; there are {', '.join(RIGS)}")
    return FileWishes(joints=joints, min_confidence=min_confidence, rig=rig, person=person)


def known_format(name: str, status: int = 404) -> str:
    """The name of a format that can be written; ProblemError ``status`` on an unknown one."""
    if name not in MEDIA_TYPES:
        raise ProblemError(status, f"no format is called {name!r}; there are {', '.join(MEDIA_TYPES)}")
    return check_formats([name])[0]


def _numbers(name: str, text: str | None, count: int) -> Any:  # a tuple of so many floats, or None
    if text is None:
        return None
    try:
        numbers = tuple(float(number) for number in text.split(","))
    except ValueError:
        numbers = ()
    if len(numbers) != count or not all(map(math.isfinite, numbers)):
        raise ProblemError(422, f"{name} is {count} numbers with commas between, not {text[:80]!r}")
    return numbers
