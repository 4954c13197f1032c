"""The process that opens uploads and makes files and pages of recordings: it may be ended at any moment."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing, contextmanager
from itertools import islice
from pathlib import Path

import cv2
import numpy as np

from liftwild.app.answers import angles_answer, files_answer
from liftwild.app.child import Answer, Parent, serve
from liftwild.app.decoder import limited_photo
from liftwild.app.limited_video import LimitedVideo, part_of_upload
from liftwild.app.messages import Message
from liftwild.app.recording_folder import KEPT, UPLOAD
from liftwild.app.video_limits import ClipLimits
from liftwild.app.wishes import FileWishes, Wishes
from liftwild.errors import LiftwildError
from liftwild.io.formats import read_recording
from liftwild.media.encoding import jpeg_bytes
from liftwild.media.image_header import READABLE, read_header
from liftwild.media.video import Frame
from liftwild.pipeline.recordings import pictures_of
from liftwild.viz.report_html import report_page
from liftwild.viz.viewer_html import viewer_page

PICTURE_PX, PICTURE_QUALITY = 1280, 85  # longer side, most; of the JPEG
LINKED = "/viewer/"  # where the server has the viewer's files
HEAD_BYTES = 1 << 20  # of an upload, by which it is known


def inspect_upload(message: Message) -> Answer:
    """What the upload is, told by its bytes: a photo, or a clip of which size and length. LiftwildError if it is
    neither, or more than is taken."""
    with Path(UPLOAD).open("rb") as file:
        header = read_header(file.read(HEAD_BYTES))
    if header.format and not (header.format == "GIF" and _moves()):
        return {"kind": "photo"}, b""
    try:
        video = LimitedVideo(Path(UPLOAD), ClipLimits(**message.fields["limits"]))
    except LiftwildError as error:
        raise LiftwildError(f"{error}; photos are {READABLE}" if "videos are" in str(error) else str(error)) from None
    frames = round(video.lasts_s * video.rate) or None
    facts = {"width": video.width, "height": video.height, "frames": frames, "fps": round(video.rate, 3)}
    return {"kind": "clip", "facts": facts}, b""


def _moves() -> bool:
    """Whether a GIF has a second picture."""
    from liftwild.media.video_file import VideoFile

    with closing(VideoFile(Path(UPLOAD)).frames()) as frames:
        return len(list(islice(frames, 2))) == 2


def make_files(message: Message) -> Answer:
    """The recording in a format."""
    return files_answer(read_recording(KEPT), FileWishes(**message.fields["files"]))


def make_angles(message: Message) -> Answer:
    """The joint angles as a table."""
    wanted = FileWishes(**message.fields["files"])
    return angles_answer(read_recording(KEPT), wanted.person, wanted.min_confidence)


def make_view(message: Message) -> Answer:
    """The viewer's page."""
    recording = read_recording(KEPT)
    with _frames(message) as frames:
        page = viewer_page(recording, pictures_of(recording, frames, "upload"), linked=LINKED)
    return {}, page.encode()


def make_report(message: Message) -> Answer:
    """The report."""
    recording = read_recording(KEPT)
    with _frames(message) as frames:
        page = report_page(recording, pictures_of(recording, frames, "upload"), linked=LINKED)
    return {}, page.encode()


def make_picture(message: Message) -> Answer:
    """The photo, or the clip's first frame, as a JPEG."""
    with _frames(message) as frames:
        image = next((frame.image for frame in frames if frame.image is not None), None)
    if image is None:
        raise LiftwildError("video: none of its frames can be read")
    return {}, jpeg_bytes(_shrunk(image), PICTURE_QUALITY)


@contextmanager
def _frames(message: Message) -> Iterator[Iterable[Frame]]:
    """The frames that were looked at; the photo is one."""
    if message.fields["kind"] == "photo":
        photo = limited_photo(Path(UPLOAD).read_bytes(), int(message.fields["max_pixels"]))
        yield [Frame(0, 0.0, photo.image)]
        return
    wishes = Wishes.of_json(message.fields["wishes"])
    clip = part_of_upload(ClipLimits(**message.fields["limits"]), wishes.start, wishes.end, wishes.slow_motion)
    frames: Generator[Frame, None, None] = clip.frames()
    with closing(frames):
        yield frames


def _shrunk(image: np.ndarray) -> np.ndarray:
    height, width = image.shape[:2]
    factor = PICTURE_PX / max(height, width)
    if factor >= 1:
        return image
    size = max(1, round(width * factor)), max(1, round(height * factor))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)


TASKS = {
    "inspect": inspect_upload, "files": make_files, "angles": make_angles, "view": make_view, "report": make_report,
    "picture": make_picture,
}  # fmt: skip


def _answer(message: Message) -> Answer:
    os.chdir(message.fields["folder"])  # what is said of files then names no other folder
    return TASKS[message.fields["task"]](message)


if __name__ == "__main__":
    serve(Parent(), _answer, "upload")
