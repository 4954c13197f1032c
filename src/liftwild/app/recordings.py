"""``/v1/recordings``: photos and videos that are kept for a while, with all that is made of them."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from liftwild.app.downloads import files_response
from liftwild.app.incoming import Incoming, queue_is_full
from liftwild.app.job_store import DONE, FAILED, QUEUED, Job
from liftwild.app.problem import ProblemError, problem_responses
from liftwild.app.queries import clip_wishes, file_wishes, known_format, weights_of
from liftwild.app.recording_folder import KEPT
from liftwild.app.state import State, client_of, owner_of, state_of
from liftwild.app.upload_name import MAX_NAME, errors_named
from liftwild.app.uploads import save_body
from liftwild.app.wishes import FileWishes, Wishes
from liftwild.app.worker import WorkerFaultError

router = APIRouter(
    prefix="/v1/recordings", tags=["recordings"],
    responses=problem_responses(404, 408, 409, 413, 503, 507),
)  # fmt: skip
FILE = {"schema": {"type": "string", "format": "binary"}}
BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "video/*": FILE,
            "image/*": FILE,
            "multipart/form-data": {"schema": {"type": "object", "properties": {"file": FILE["schema"]}}},
        },
    }
}
ANGLES, ANGLES_CONFIDENCE = "angles", 0.5  # as for 'liftwild angles'
EVENT_GAP_S, EVENT_SILENCE_S = 0.2, 15.0
EVENTS_RETRY_S = 5.0
KINDS = {"photo": "photo", "clip": "video"}  # what an upload without a name is called


@router.post("", status_code=202, summary="A photo or video, to be worked on", openapi_extra=BODY)
async def post_recording(
    request: Request,
    wishes: Annotated[Wishes, Depends(clip_wishes)],
    weights: Annotated[str | None, Query(description="Names of GET /v1/models.")] = None,
    name: Annotated[str, Query(description="What it is called.", max_length=MAX_NAME)] = "",
) -> Response:
    """The body is the photo or video, or a form with one file. What it is, is told by its bytes. A photo is done at
    once, a video waits in a queue."""
    state, client = state_of(request), client_of(request)
    used = weights_of(state.settings.weights, weights)
    state.rate.take(client)
    limits, digest = state.settings.limits, hashlib.sha256(client.encode()).hexdigest()[:32]
    length = int(request.headers.get("content-length") or 0)
    if length > limits.photo_bytes + limits.fields_bytes or request.headers.get("content-type", "")[:6] == "video/":
        await state.incoming.check_queue(digest)  # before it is sent in vain
    async with state.incoming.begin(client) as incoming:
        given = await save_body(request, incoming.path, limits, incoming.grow)
        with errors_named(given):
            found = await state.files.inspect(incoming.id)
        kind = found["kind"]
        job = Job(
            incoming.id, owner_of(request), digest, given or KINDS[kind], kind, QUEUED, used, time.time(),
            wishes.as_json(), found.get("facts", {}),
        )  # fmt: skip
        if kind == "photo":
            job = await _photo(state, incoming, job, wishes)
        incoming.is_kept = await state.jobs.add(job)
        if not incoming.is_kept:
            raise queue_is_full()
    job = await state.jobs.find(job.id, job.owner)
    return JSONResponse(await state.jobs.document(job), 202, {"Location": f"/v1/recordings/{job.id}"})


async def _photo(state: State, incoming: Incoming, job: Job, wishes: Wishes) -> Job:
    """The photo, done."""
    limits = state.settings.limits
    if incoming.size > limits.photo_bytes:
        raise ProblemError(413, f"the photo is too large: up to {limits.photo_bytes / 2**20:,.0f} MiB are taken")
    if (wishes.start, wishes.end, wishes.slow_motion) != (None, None, None):
        raise ProblemError(422, "start, end and slow_motion are for videos; a photo has no times")
    with state.photo_room(incoming.size):
        content = await asyncio.to_thread(incoming.path.read_bytes)
        with errors_named(job.name):
            done = await state.engine.poses(content, job.name, job.weights, wishes, FileWishes("npz"))
    await asyncio.to_thread(state.jobs.folders.write, job.id, KEPT, done.files[0][1])
    notes = [done.warning] if done.warning else []
    return replace(job, state=DONE, finished=time.time(), facts=done.facts, notes=notes)


@router.get("", summary="Your recordings, newest first")
async def get_recordings(
    request: Request, limit: Annotated[int, Query(ge=1, le=1000, description="At most so many.")] = 100
) -> dict[str, Any]:
    """Documents as of ``GET /v1/recordings/{id}``."""
    state = state_of(request)
    found = await asyncio.to_thread(state.jobs.store.of_owner, owner_of(request), limit)
    return {"recordings": [await state.jobs.document(job) for job in found]}


@router.get("/{id}", summary="How far it is, what was found, where the files are")
async def get_recording(request: Request, id: str) -> dict[str, Any]:
    """``state``: queued, working, done or failed; then ``error`` says why."""
    state = state_of(request)
    return await state.jobs.document(await state.jobs.find(id, owner_of(request)))


@router.delete("/{id}", status_code=204, summary="Forget it, whether it is done or not")
async def delete_recording(request: Request, id: str) -> Response:
    """Work on it ends, its files are removed."""
    state = state_of(request)
    job = await state.jobs.find(id, owner_of(request))
    await state.jobs.remove(job.id)
    return Response(status_code=204)


@router.get(
    "/{id}/events", summary="Its document, whenever it changes", response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {}}}},
)  # fmt: skip
async def get_events(request: Request, id: str) -> Response:
    """Server-sent events called ``state``; the last one comes when it is done or failed."""
    state, owner = state_of(request), owner_of(request)
    await state.jobs.find(id, owner)
    if state.listeners >= state.settings.limits.events_at_once:
        raise ProblemError(429, "enough clients are told of progress; ask for the recording itself", EVENTS_RETRY_S)
    headers = {"X-Accel-Buffering": "no"}
    return StreamingResponse(_events(state, id, owner), 200, headers, media_type="text/event-stream")


async def _events(state: State, id: str, owner: str) -> AsyncIterator[str]:
    state.listeners += 1
    try:
        with state.jobs.changes.follow(id) as changed:
            before = ""
            while True:
                changed.clear()
                try:
                    job = await state.jobs.find(id, owner)
                except ProblemError:  # it was removed
                    return
                content = json.dumps(await state.jobs.document(job))
                if content != before:
                    yield f"event: state\ndata: {content}\n\n"
                    before = content
                if job.is_over or state.jobs.changes.is_closed:
                    return
                try:
                    await asyncio.wait_for(changed.wait(), EVENT_SILENCE_S)
                    await asyncio.sleep(EVENT_GAP_S)
                except TimeoutError:
                    yield ": still there\n\n"
    finally:
        state.listeners -= 1


@router.get("/{id}/files/{format}", summary="It in a format; of a video also angles")
async def get_files(
    request: Request, id: str, format: str, files: Annotated[FileWishes, Depends(file_wishes)]
) -> Response:
    """As ``POST /v1/poses`` answers: a file, or several in a ZIP."""
    state = state_of(request)
    job = await _done(state, id, owner_of(request))
    if format == ANGLES:
        if job.kind != "clip":
            raise ProblemError(404, "angles over time are of a video; the report of a photo is its view")
        sure = files.min_confidence if "min_confidence" in request.query_params else ANGLES_CONFIDENCE
        async with _while_kept(state, job):
            made = await state.files.files(job, replace(files, min_confidence=sure), ANGLES)
            return await files_response(made, "csv")
    wanted = replace(files, format=known_format(format))
    async with _while_kept(state, job):
        return await files_response(await state.files.files(job, wanted), wanted.format)


@router.get("/{id}/view", summary="The viewer's page", response_class=Response)
async def get_view(request: Request, id: str) -> Response:
    """HTML that names scripts of this server."""
    return await _page(request, id, "view")


@router.get("/{id}/report", summary="The report on a video", response_class=Response)
async def get_report(request: Request, id: str) -> Response:
    """HTML that names scripts of this server."""
    return await _page(request, id, "report")


async def _page(request: Request, id: str, kind: str) -> Response:
    state = state_of(request)
    job = await _done(state, id, owner_of(request))
    if kind == "report" and job.kind != "clip":
        raise ProblemError(404, "a report is of a video; a photo has its view")
    return await _made(state, job, kind, "text/html")


@router.get("/{id}/picture", summary="The photo, or the video's first frame, as a JPEG", response_class=Response)
async def get_picture(request: Request, id: str) -> Response:
    """Upright, longer side up to 1280 px."""
    state = state_of(request)
    job = await state.jobs.find(id, owner_of(request))
    return await _made(state, job, "picture", "image/jpeg")


async def _made(state: State, job: Job, kind: str, media_type: str) -> Response:
    """A page or picture of a recording."""
    async with _while_kept(state, job):
        path = await state.files.page(job, kind)
        return Response(await asyncio.to_thread(path.read_bytes), media_type=media_type)


@asynccontextmanager
async def _while_kept(state: State, job: Job) -> AsyncIterator[None]:
    """Work on a recording's files; ProblemError 404 where it fails since the recording was removed meanwhile."""
    try:
        yield
    except (OSError, WorkerFaultError):
        await state.jobs.find(job.id, job.owner)
        raise


async def _done(state: State, id: str, owner: str) -> Job:
    job = await state.jobs.find(id, owner)
    if job.state == FAILED:
        raise ProblemError(409, f"nothing came of it: {job.error}")
    if job.state != DONE:
        raise ProblemError(409, "it is not done yet")
    return job
