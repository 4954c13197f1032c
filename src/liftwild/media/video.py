"""Clips: the frames of a video file, of a folder of images, or of a stream of images, one after the other."""

from __future__ import annotations

import hashlib
import math
import queue
import re
import threading
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import NamedTuple, Protocol, TypeVar

import cv2
import numpy as np

from liftwild.errors import LiftwildError
from liftwild.media.image_stream import ByteSource, split_images
from liftwild.media.photo import SUFFIXES, find_photos, quiet, read_photo

VIDEO_SUFFIXES = frozenset(
    {".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".ts", ".mts", ".m2ts", ".wmv", ".flv", ".3gp"}
    | {".ogv", ".gif"}
)
FPS = 30.0  # of images, where nobody says how fast they were taken
FPS_RANGE = (0.01, 1000.0)
T = TypeVar("T")
AHEAD = 4  # frames that wait between the reader and the network


class Frame(NamedTuple):
    """``number``: place in the clip, from 0, without gaps. ``time_s``: when it is shown, s after the first frame.

    ``image`` (H, W, 3) uint8 RGB, upright, or None where the frame is broken; ``fault`` then says why.
    """

    number: int
    time_s: float
    image: np.ndarray | None
    fault: str = ""


class Clip(Protocol):
    """What ``open_clip`` gives. ``name``: for people and files; ``length``: about how many frames, or None."""

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
        """Frames that the clip says it has and that could not be read, as far as ``frames`` has come."""


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
    from liftwild.media.video_file import VideoFile  # loads FFmpeg, which photos do not need

    return VideoFile(path)


def checked_fps(fps: float | None) -> float:
    """Frames a second, ``FPS`` for None; LiftwildError if that is no frame rate."""
    if fps is None:
        return FPS
    if not (math.isfinite(fps) and FPS_RANGE[0] <= fps <= FPS_RANGE[1]):
        raise LiftwildError(f"{fps:g} frames a second make no sense; give {FPS_RANGE[0]:g} to {FPS_RANGE[1]:g}")
    return fps


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
