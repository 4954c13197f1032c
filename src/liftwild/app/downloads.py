"""Files as answers: their media types, by what a client accepts, and several in one archive."""

from __future__ import annotations

import asyncio
import io
import zipfile
from contextlib import suppress
from functools import cache
from urllib.parse import quote

from starlette.responses import Response

from liftwild.app.problem import ProblemError
from liftwild.errors import LiftwildError
from liftwild.io.formats import ABOUT_SUFFIX, FORMATS, check_formats

# Of each format; of those with the same, the first is what a client gets who accepts it.
MEDIA_TYPES = {
    "json": "application/json",
    "csv": "text/csv",
    "csv-wide": "text/csv",
    "npz": "application/x-npz",
    "parquet": "application/vnd.apache.parquet",
    "coco": "application/json",
    "bvh": "application/x-bvh",
    "trc": "application/x-trc",
    "mot": "application/x-mot",
    "markers": "application/xml",
    "c3d": "application/x-c3d",
    "glb": "model/gltf-binary",
}
ZIP = "application/zip"


@cache
def writable_formats() -> tuple[str, ...]:
    """The formats whose libraries are there."""
    found: list[str] = []
    for name in MEDIA_TYPES:
        with suppress(LiftwildError):
            found += check_formats([name])
    return tuple(found)


def accepted_format(accept: str, default: str = "json") -> str:
    """The format that an Accept header asks for; ProblemError 406 if there is none."""
    wanted = []
    for part in filter(str.strip, accept.split(",")):
        kind, *parameters = (piece.strip().lower() for piece in part.split(";"))
        quality = next((p[2:] for p in parameters if p.startswith("q=")), "1")
        try:
            wanted.append((float(quality), kind))
        except ValueError:
            continue
    for _, kind in sorted((each for each in wanted if each[0] > 0), key=lambda each: -each[0]):
        if kind in ("*/*", "application/*", "application/problem+json"):
            return default
        for name, media_type in MEDIA_TYPES.items():
            if kind == media_type:
                return name
    if not wanted:
        return default
    raise ProblemError(406, f"poses come as {', '.join(dict.fromkeys(MEDIA_TYPES.values()))}; or name one: ?format=bvh")


async def files_response(files: list[tuple[str, bytes]], format: str, warning: str = "") -> Response:
    """Files of one format as an answer: itself where there is one, else a ZIP. The text about them is only in a ZIP.

    ProblemError 422 if there is none: nobody is in it, and the format holds one person.
    """
    data = [file for file in files if not file[0].endswith(ABOUT_SUFFIX)]
    if not data:
        raise ProblemError(422, f"nobody was found, and a {format} file holds one person")
    if len(data) == 1:
        name, content = data[0]
        media_type = MEDIA_TYPES[format]
    else:
        content = await asyncio.to_thread(_zipped, files)
        name, media_type = f"{_stem(data[0][0])}.{format}.zip", ZIP
    # Latin-1 alone may stand in a header.
    headers = {"Content-Disposition": f"attachment; filename*=UTF-8''{quote(name)}"}
    if warning:
        headers["Liftwild-Warning"] = quote(warning, safe=" :;,.()/'")
    return Response(content, headers=headers, media_type=media_type)


def _stem(name: str) -> str:
    suffix = max((s for fmt in FORMATS.values() for s in fmt.suffixes if name.endswith(s)), key=len, default="")
    return name.removesuffix(suffix).rpartition(".person")[0] or name.removesuffix(suffix)


def _zipped(files: list[tuple[str, bytes]]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, content in files:
            archive.writestr(name, content)
    return packed.getvalue()
