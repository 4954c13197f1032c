"""``POST /v1/poses``: a photo in, poses out; nothing of it is kept."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from liftwild.app.downloads import MEDIA_TYPES, accepted_format, files_response
from liftwild.app.problem import problem_responses
from liftwild.app.queries import file_wishes, known_format, photo_wishes, weights_of
from liftwild.app.state import client_of, state_of, while_client_waits
from liftwild.app.upload_name import MAX_NAME, errors_named
from liftwild.app.uploads import read_photo_body
from liftwild.app.wishes import FileWishes, Wishes

router = APIRouter(tags=["photos"], responses=problem_responses(406, 408, 413, 503, 507))
BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "image/*": {"schema": {"type": "string", "format": "binary"}},
            "multipart/form-data": {
                "schema": {"type": "object", "properties": {"photo": {"type": "string", "format": "binary"}}}
            },
        },
    }
}


@router.post(
    "/v1/poses", summary="The people of a photo and their 3D poses", openapi_extra=BODY,
    responses={200: {"content": {kind: {} for kind in dict.fromkeys(MEDIA_TYPES.values())}}},
)  # fmt: skip
async def post_poses(
    request: Request,
    wishes: Annotated[Wishes, Depends(photo_wishes)],
    files: Annotated[FileWishes, Depends(file_wishes)],
    format: Annotated[str | None, Query(description="In place of Accept: json, csv, bvh, glb, ...")] = None,
    weights: Annotated[str | None, Query(description="Names of GET /v1/models.")] = None,
    name: Annotated[str, Query(description="What the photo is called in the answer.", max_length=MAX_NAME)] = "",
) -> Response:
    """The body is the photo, or a form with one file. The answer is what ``liftwild predict`` writes of it."""
    state = state_of(request)
    chosen = known_format(format, 422) if format else accepted_format(request.headers.get("accept", ""))
    used = weights_of(state.settings.weights, weights)
    state.rate.take(client_of(request))
    with state.body_room() as hold:
        photo, given = await read_photo_body(request, state.settings.limits, hold)
        with state.photo_room(), errors_named(given):
            work = state.engine.poses(photo, given or "photo", used, wishes, replace(files, format=chosen))
            done = await while_client_waits(request, work)
    return await files_response(done.files, chosen, done.warning)
