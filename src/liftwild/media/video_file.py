"""Video files, decoded by FFmpeg (PyAV): upright, deinterlaced, at the times of the container."""

from __future__ import annotations

import hashlib
import math
import os
import stat
from collections.abc import Collection, Generator, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import NoReturn

import av
import numpy as np
from av.codec.context import ThreadType
from av.container import InputContainer
from av.filter import Graph
from av.sidedata.sidedata import Type
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from liftwild.errors import LiftwildError
from liftwild.files import reading
from liftwild.media.exif import turned_upright
from liftwild.media.video import FPS, FPS_RANGE, Frame

# FFmpeg may open nothing by itself: no playlist, description or reference leads it to another file or to the network.
MAX_PIXELS = 2**26  # of a frame, 8192 x 8192; a decoder may hold 17 of them
OPTIONS = {"protocol_whitelist": "none", "max_pixels": str(MAX_PIXELS)}
READABLE = "videos are MP4, MOV, MKV, WebM, AVI and the like, coded in H.264, H.265, AV1, VP9 and the like"
# EXIF's numbers for the eight ways a picture may lie: rows and columns exchanged, then flipped in x, then in y.
ORIENTATIONS = {
    (False, False, False): 1, (False, True, False): 2, (False, True, True): 3, (False, False, True): 4,
    (True, False, False): 5, (True, True, False): 6, (True, True, True): 7, (True, False, True): 8,
}  # fmt: skip


def _guessed_rate(stream: VideoStream) -> Fraction | None:
    """The rate where the file says none; None where nothing but the unit of its times is known, 1/1000 s in WebM as a
    browser records it."""
    rate, unit = stream.guessed_rate, stream.time_base
    return None if rate is None or unit is None or rate * unit == 1 else rate


class VideoFile:
    """The clip of a video file. LiftwildError where it has no video that can be decoded."""

    rereadable = True

    def __init__(self, path: Path) -> None:
        self.path, self.name = path, path.name
        with reading(path):
            found = path.stat()
            if not stat.S_ISREG(found.st_mode):
                raise LiftwildError(f"{path}: is not a regular file")
            with path.open("rb") as file:
                head = file.read(1 << 20)
                file.seek(max(0, found.st_size - (1 << 20)))
                tail = file.read()
        if not found.st_size:
            raise LiftwildError(f"{path}: is empty (0 bytes)")
        self._identity = f"video {path.name} {found.st_size} {hashlib.sha256(head + tail).hexdigest()[:16]}"
        self._missing = 0
        self._to_rgb = VideoReformatter()  # one for all frames: it is slow to make
        with self._open() as (container, stream):
            self.width, self.height = stream.width, stream.height  # as it says, before a turn
            fps = float(stream.average_rate or _guessed_rate(stream) or FPS)
            self.fps = fps if FPS_RANGE[0] <= fps <= FPS_RANGE[1] else FPS
            about = round(_duration_s(container, stream) * self.fps)
            self.length: int | None = about or stream.frames or None

    @contextmanager
    def _open(self) -> Iterator[tuple[InputContainer, VideoStream]]:
        # As an open file, whose name FFmpeg does not see: it may not be UTF-8, or look like an address.
        with reading(self.path):
            file = open(os.open(self.path, os.O_RDONLY), "rb")  # noqa: SIM115  (closed below)
        with file:
            try:
                container = av.open(file, "r", options=OPTIONS, io_open=_refuse, metadata_errors="replace")
            except (av.FFmpegError, PermissionError):  # the latter from _refuse
                raise LiftwildError(
                    f"{self.path}: no video in it that can be read: it is damaged, cut short or no video; {READABLE}"
                ) from None
            with container:
                yield container, self._stream(container)

    def _stream(self, container: InputContainer) -> VideoStream:
        stream = container.streams.best("video")
        if not isinstance(stream, VideoStream) or stream.disposition & Disposition.attached_pic:
            raise LiftwildError(
                f"{self.path}: no video in it that can be read: it is only sound, or cut short; {READABLE}"
            )
        if stream.codec_context is None:
            raise LiftwildError(f"{self.path}: its video is coded in a way that is not known here; {READABLE}")
        if stream.width * stream.height > MAX_PIXELS:
            raise LiftwildError(
                f"{self.path}: frames of {stream.width} x {stream.height} px are too large; "
                f"at most {MAX_PIXELS:,} px are read"
            )
        stream.codec_context.options = OPTIONS
        # One thread: with several a damaged clip may give other pictures each time.
        stream.thread_type, stream.thread_count = ThreadType.NONE, 1
        return stream

    def identity(self) -> str:
        """File name, size, and a hash of its beginning and end."""
        return self._identity

    def frames(self, start: int = 0, wanted: Collection[int] | None = None) -> Generator[Frame, None, None]:
        """As ``Clip.frames``, of these only those ``wanted``, all if None.

        A time that does not rise is made up: one frame after the one before. Frames that cannot be decoded are
        ``missing`` and have no number.
        """
        self._missing = 0
        with reading(self.path), self._open() as (container, stream):
            first = time_s = 0.0
            for index, frame in enumerate(_deinterlaced(self._decoded(container, stream))):
                shown = math.nan if frame.pts is None or frame.time is None else float(frame.time)
                if index == 0:
                    first = shown if math.isfinite(shown) else 0.0
                else:
                    rose = shown - first - time_s
                    time_s += rose if rose > 1e-6 else 1 / self.fps
                if index >= start and (wanted is None or index in wanted):
                    yield self._frame(frame, index, time_s)

    def _decoded(self, container: InputContainer, stream: VideoStream) -> Iterator[VideoFrame]:
        """All frames that can be decoded, and the count of those that cannot."""
        packets, end_s = 0, -math.inf
        packets_of = container.demux(stream)
        while True:
            try:
                packet = next(packets_of, None)
            except av.FFmpegError:  # nothing more can be read; what the decoder holds comes out
                self._missing += 1
                yield from stream.decode(None)
                break
            if packet is None:
                break
            packets += packet.size > 0
            try:
                frames = packet.decode()
            except av.FFmpegError:
                self._missing += 1
                continue
            for frame in frames:
                yield frame
                if frame.time is not None:
                    end_s = max(end_s, frame.time + 1 / self.fps)
        if container.format.name.startswith("mov"):  # its index leaves out what is trimmed away
            self._missing += max(0, len(stream.index_entries) - packets)
        elif stream.frames:
            self._missing += max(0, stream.frames - packets)
        elif math.isfinite(end_s) and (declared_s := _matroska_end_s(stream)):
            lacking_s = declared_s - end_s
            self._missing += round(lacking_s * self.fps) if lacking_s > 0.5 else 0

    def _frame(self, frame: VideoFrame, index: int, time_s: float) -> Frame:
        try:
            image = self._to_rgb.reformat(frame, format="rgb24", threads=1).to_ndarray()
        except (av.FFmpegError, ValueError):
            return Frame(index, time_s, None, f"frame {index} of {self.path} cannot be decoded")
        orientation = _orientation(frame)
        if orientation != 1:
            image = np.ascontiguousarray(turned_upright(image, orientation))
        return Frame(index, time_s, image)

    def path_of(self, index: int) -> Path | None:
        """The video, for its first frame."""
        return self.path if index == 0 else None

    def missing(self) -> int:
        """As ``Clip.missing``."""
        return self._missing


def _refuse(url: str, *_: object) -> NoReturn:
    raise PermissionError(f"a video does not open {url!r}")


def _duration_s(container: InputContainer, stream: VideoStream) -> float:
    """How long the video says it is, s, or 0; with the sound after its end, if that is all that is said."""
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    begin_s = float(stream.start_time * stream.time_base) if stream.start_time and stream.time_base else 0.0
    end_s = _matroska_end_s(stream) or (container.duration or 0) / av.time_base
    return max(0.0, end_s - begin_s)


def _matroska_end_s(stream: VideoStream) -> float:
    """When the video ends, s, as Matroska and WebM may say in words, or 0."""
    try:
        hours, minutes, seconds = stream.metadata.get("DURATION", "").split(":")
        end_s = int(hours) * 3600 + int(minutes) * 60 + float(seconds)
    except ValueError:
        return 0.0
    return end_s if math.isfinite(end_s) else 0.0


def _orientation(frame: VideoFrame) -> int:
    """How the frame lies, as EXIF counts it, from its display matrix: to the nearest quarter of a turn."""
    matrix = frame.side_data.get(Type.DISPLAYMATRIX)  # type: ignore[call-overload]  # by its type, says the container
    if matrix is None:
        return 1
    # A point (x, y) of the frame is shown at (a x + c y, b x + d y).
    (a, b, _), (c, d, _), _ = np.frombuffer(bytes(matrix), "=i4").astype(np.int64).reshape(3, 3)
    turned = abs(b) + abs(c) > abs(a) + abs(d)
    x, y = (c, b) if turned else (a, d)
    return ORIENTATIONS[bool(turned), bool(x < 0), bool(y < 0)]


def _deinterlaced(frames: Iterator[VideoFrame]) -> Iterator[VideoFrame]:
    """``frames``, those that are interlaced with the lines of one moment; others as they are."""
    graph, shape = None, None
    for frame in frames:
        found = (frame.width, frame.height, frame.format.name)
        if graph is not None and found != shape:
            yield from _through(graph, None)
            graph = None
        if graph is None and not frame.interlaced_frame:
            yield frame
            continue
        if graph is None:
            graph, shape = _deinterlacer(frame), found
        yield from _through(graph, frame)
    if graph is not None:
        yield from _through(graph, None)


def _deinterlacer(frame: VideoFrame) -> Graph:
    graph = Graph()
    graph.threads = 1
    source = graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base)
    filtered = graph.add("bwdif", "mode=send_frame:deint=interlaced")
    graph.link_nodes(source, filtered, graph.add("buffersink")).configure()
    return graph


def _through(graph: Graph, frame: VideoFrame | None) -> Iterator[VideoFrame]:
    """What comes out of the filter when ``frame`` goes in, or its end (None)."""
    graph.push(frame)
    while True:
        try:
            found = graph.pull()
        except (av.BlockingIOError, av.EOFError):
            return
        assert isinstance(found, VideoFrame)
        yield found
