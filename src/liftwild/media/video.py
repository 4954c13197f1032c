"""Clips: the frames of a video file, of a folder of images, or of a stream of images, one after the other."""

from __future__ import annotations

import hashlib
import math
import os
import queue
import re
import threading
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import NamedTuple, Protocol, TypeVar

import cv2
import numpy as np

from liftwild.errors import LiftwildError
from liftwild.files import reading
from liftwild.media.image_stream import ByteSource, split_images
from liftwild.media.photo import SUFFIXES, find_photos, quiet, read_photo

# FFmpeg writes to stderr by itself, thousands of lines for one damaged file. OpenCV reads this when it first uses it.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")

VIDEO_SUFFIXES = frozenset(
    {".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".ts", ".mts", ".m2ts", ".wmv", ".flv", ".3gp"}
    | {".ogv", ".gif"}
)
FPS = 30.0  # of images, where nobody says how fast they were taken
FPS_RANGE = (0.01, 1000.0)
T = TypeVar("T")
AHEAD = 4  # frames that wait between the reader and the network
_TRIES = 10  # frames that may fail to be fetched in a row before a video is over
_SAME_STEP = 0.05  # a step in time this near to the container's is one frame


class Frame(NamedTuple):
    """``number``: place in the clip, from 0, without gaps. ``time_s``: when it is shown, s after the first frame.

    ``image`` (H, W, 3) uint8 RGB, upright, or None where the frame is broken; ``fault`` then says why.
    """

    number: int
    time_s: float
    image: np.ndarray | None
    fault: str = ""


class Clip(Protocol):
    """What ``open_clip`` gives. ``name``: for people and files; ``length``: frames that it says it has, or None."""

    name: str
    length: int | None
    rereadable: bool

    def identity(self) -> str:
        """Text that differs between different clips: to know one again after an interruption."""

    def frames(self, start: int = 0) -> Generator[Frame, None, None]:
        """The frames from number ``start`` on; those before are passed over and never decoded into pictures."""

    def path_of(self, index: int) -> Path | None:
        """The file that labels may know a frame by: its own, or for the first frame of a video the video's."""

    def missing(self) -> int:
        """Frames that the clip says it has and that could not be read, known once ``frames`` has ended."""


def open_clip(path: str | Path, fps: float | None = None) -> Clip:
    """The clip at ``path``: a video file, or a folder whose images are its frames in the order of their names' numbers.

    ``fps``: frames a second of a folder, 30 if None; a video tells its own times. LiftwildError where there is nothing
    that can be read, or ``fps`` makes no sense.
    """
    path = Path(path)
    if path.is_dir():
        return FrameFolder(path, checked_fps(fps))
    if fps is not None:
        raise LiftwildError(f"{path}: a video tells its own frame rate; --fps is for folders and streams of images")
    return VideoFile(path)


def checked_fps(fps: float | None) -> float:
    """Frames a second, ``FPS`` for None; LiftwildError if that is no frame rate."""
    if fps is None:
        return FPS
    if not (math.isfinite(fps) and FPS_RANGE[0] <= fps <= FPS_RANGE[1]):
        raise LiftwildError(f"{fps:g} frames a second make no sense; give {FPS_RANGE[0]:g} to {FPS_RANGE[1]:g}")
    return fps


class VideoFile:
    """A video, decoded by OpenCV's FFmpeg: upright as its metadata says, times from the container."""

    rereadable = True

    def __init__(self, path: Path) -> None:
        self.path, self.name = path, path.name
        with reading(path), path.open("rb") as file:
            size = path.stat().st_size
            head = file.read(1 << 20)
            file.seek(max(0, size - (1 << 20)))
            tail = file.read()
        if not size:
            raise LiftwildError(f"{path}: is empty (0 bytes)")
        self._identity = f"video {path.name} {size} {hashlib.sha256(head + tail).hexdigest()[:16]}"
        self._missing = 0
        capture = self._open()
        length = capture.get(cv2.CAP_PROP_FRAME_COUNT)
        self.length = int(length) if 0 < length < 1e9 else None
        fps = capture.get(cv2.CAP_PROP_FPS)
        self.fps = fps if FPS_RANGE[0] <= fps <= FPS_RANGE[1] else FPS
        capture.release()

    def _open(self) -> cv2.VideoCapture:
        with quiet():
            try:
                capture = cv2.VideoCapture(str(self.path), cv2.CAP_FFMPEG)
            except cv2.error:
                capture = cv2.VideoCapture()
        if not capture.isOpened():
            raise LiftwildError(
                f"{self.path}: no video in it that can be read: it is damaged, cut short, only sound, or no video"
            )
        capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 1)
        return capture

    def identity(self) -> str:
        """File name, size, and a hash of its beginning and end."""
        return self._identity

    def frames(self, start: int = 0) -> Generator[Frame, None, None]:
        """As ``Clip.frames``. A time that does not rise is made up: one frame after the one before."""
        capture = self._open()
        try:
            yield from self._frames(capture, start)
        finally:
            capture.release()

    def _frames(self, capture: cv2.VideoCapture, start: int) -> Generator[Frame, None, None]:
        step = 1 / self.fps
        index, failed, gaps, steady = 0, 0, 0, 0
        first = time_s = -math.inf
        while failed < _TRIES:
            if not capture.grab():
                failed += 1
                continue
            failed = 0
            shown = capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
            if index == 0:
                first, time_s = (shown if math.isfinite(shown) else 0.0), 0.0
            else:
                rose = shown - first - time_s
                if not (math.isfinite(rose) and rose > 1e-6):
                    rose = step
                steady += abs(rose - step) < _SAME_STEP * step
                gaps += max(0, round(rose / step) - 1)
                time_s += rose
            if index >= start:
                yield self._frame(capture, index, time_s)
            index += 1
        self._missing = 0
        # Where steps differ, the length that OpenCV names is an estimate that says nothing.
        if self.length is not None and index and steady >= 0.9 * (index - 1):
            lacking = max(0, self.length - index)
            inside = min(gaps, lacking)
            at_end = lacking - inside
            self._missing = inside + (at_end if at_end > self.fps / 2 else 0)

    def _frame(self, capture: cv2.VideoCapture, index: int, time_s: float) -> Frame:
        try:
            done, image = capture.retrieve()
        except cv2.error:
            done = False
        if not done or image is None or image.size == 0:
            return Frame(index, time_s, None, f"frame {index} of {self.path} cannot be decoded")
        if image.ndim == 2:
            return Frame(index, time_s, cv2.cvtColor(image, cv2.COLOR_GRAY2RGB))
        return Frame(index, time_s, cv2.cvtColor(image, cv2.COLOR_BGR2RGB))

    def path_of(self, index: int) -> Path | None:
        """The video, for its first frame."""
        return self.path if index == 0 else None

    def missing(self) -> int:
        """As ``Clip.missing``."""
        return self._missing


class FrameFolder:
    """The images of a folder as frames, in the order of the numbers in their names (2 before 10)."""

    rereadable = True

    def __init__(self, path: Path, fps: float) -> None:
        self.path, self.fps = path, fps
        self.name = path.resolve().name or "frames"
        self.files = sorted(find_photos([path]), key=lambda file: _by_number(file.name))
        self.length: int | None = len(self.files)

    def identity(self) -> str:
        """Names and sizes of the images, and the frame rate."""
        listed = hashlib.sha256()
        for file in self.files:
            try:
                size = file.stat().st_size
            except OSError:
                size = -1
            listed.update(f"{file.name}\0{size}\0".encode("utf-8", "surrogateescape"))
        return f"folder {self.name} {len(self.files)} images {listed.hexdigest()[:16]} {self.fps:g} frames/s"

    def frames(self, start: int = 0) -> Generator[Frame, None, None]:
        """As ``Clip.frames``."""
        for index in range(start, len(self.files)):
            try:
                yield Frame(index, index / self.fps, read_photo(self.files[index]))
            except LiftwildError as error:
                yield Frame(index, index / self.fps, None, str(error))

    def path_of(self, index: int) -> Path | None:
        """The image."""
        return self.files[index]

    def missing(self) -> int:
        """0: a broken image is a frame that is there."""
        return 0


class FrameStream:
    """JPEG and PNG images one after the other, as ``ffmpeg -f image2pipe`` writes them; it can be read once."""

    rereadable = False
    length: int | None = None

    def __init__(self, source: ByteSource, fps: float | None = None, name: str = "stream") -> None:
        self.name, self.fps = name, checked_fps(fps)
        self._images = split_images(source, name)
        self._first: tuple[bytes, str] | None = None

    def _peek(self) -> tuple[bytes, str]:
        if self._first is None:
            self._first = next(self._images, (b"", ""))
            if self._first == (b"", ""):
                raise LiftwildError(f"{self.name}: no images came; expected JPEG or PNG, one after the other")
        return self._first

    def identity(self) -> str:
        """A hash of the first image: it tells whether the same stream is sent again."""
        return f"stream {hashlib.sha256(self._peek()[0]).hexdigest()[:16]} {self.fps:g} frames/s"

    def frames(self, start: int = 0) -> Generator[Frame, None, None]:
        """As ``Clip.frames``, once."""
        images: Iterator[tuple[bytes, str]] = self._images
        index = 0
        pending: tuple[bytes, str] | None = self._peek()
        while pending is not None:
            if index >= start:
                yield self._frame(index, *pending)
            index += 1
            pending = next(images, None)

    def _frame(self, index: int, data: bytes, fault: str) -> Frame:
        image = None
        if not fault:
            try:
                with quiet():
                    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
            except (cv2.error, MemoryError):
                pass
        if image is None or image.size == 0:
            reason = fault or "is damaged"
            return Frame(index, index / self.fps, None, f"image {index} of {self.name} {reason}")
        return Frame(index, index / self.fps, cv2.cvtColor(image, cv2.COLOR_BGR2RGB))

    def path_of(self, index: int) -> Path | None:
        """None: images of a stream have no names."""
        return None

    def missing(self) -> int:
        """0: nothing says how many there should be."""
        return 0


def is_video_name(path: str | Path) -> bool:
    """Whether a path ends like that of a video."""
    return Path(path).suffix.lower() in VIDEO_SUFFIXES


def is_photo_name(path: str | Path) -> bool:
    """Whether a path ends like that of a photo."""
    return Path(path).suffix.lower() in SUFFIXES


def _by_number(name: str) -> tuple[tuple[int, int, str], ...]:
    """A name to sort by: digits count as numbers."""
    parts = re.split(r"([0-9]+)", name)
    return tuple((0, int(part), part) if i % 2 else (1, 0, part) for i, part in enumerate(parts) if part)


def read_ahead(frames: Generator[T, None, None], most: int = AHEAD) -> Generator[T, None, None]:
    """``frames``, or other things, read by a thread of their own while the caller works; at most ``most`` of them wait.

    Errors of the reader are raised here. Closing the generator ends the thread.
    """
    waiting: queue.Queue[T | BaseException | None] = queue.Queue(most)
    stop = threading.Event()

    def put(item: T | BaseException | None) -> bool:
        while not stop.is_set():
            try:
                waiting.put(item, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def work() -> None:
        try:
            for frame in frames:
                if not put(frame):
                    break
            else:
                put(None)
        except BaseException as error:  # raised where the frames are wanted
            put(error)
        finally:
            frames.close()

    thread = threading.Thread(target=work, name="liftwild-frames", daemon=True)
    thread.start()
    try:
        while (item := waiting.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stop.set()
        thread.join(2.0)  # a stream that stays silent is left to end with the program
