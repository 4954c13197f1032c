"""From a clip to a Recording: people followed from frame to frame, then placed, smoothed and sized as a whole."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from liftwild import __version__
from liftwild.boxes import Box
from liftwild.console import progress, say
from liftwild.errors import LiftwildError
from liftwild.inference.estimator import Estimator
from liftwild.media.clip_part import ClipPart
from liftwild.media.video import Clip, Frame, read_ahead
from liftwild.pipeline.frame_log import MemoryLog, observations_of, read_log
from liftwild.pipeline.options import PoseOptions
from liftwild.pipeline.person_selection import PersonSelection, in_picture
from liftwild.pipeline.postprocess import postprocess_clip
from liftwild.pipeline.spool import Spool
from liftwild.pose import Recording
from liftwild.tracking.background import Background
from liftwild.tracking.observation import Observation, followed_box

BACK_FRAMES = 10  # before somebody is found, in which they are looked for, too: a detector looks seven times a second


@dataclass(frozen=True)
class VideoResult:
    """A clip that is done. ``frames`` that were read, ``skipped`` ones that were broken or missing; ``fault``: what was
    wrong with the first broken one, or ""; ``shaking``: how much poses shook before and after smoothing, in lines."""

    recording: Recording
    clip: Clip
    frames: int
    skipped: int
    fault: str
    shaking: tuple[str, ...]

    @property
    def frames_with_people(self) -> int:
        """Frames with anybody in them."""
        return len(np.unique(np.concatenate([track.frames for track in self.recording.tracks])))

    def pictures(self) -> Generator[tuple[int, np.ndarray], None, None]:
        """The clip's frames once more (index, picture), but for the broken ones; for a clip that is ``rereadable``."""
        size = self.recording.height, self.recording.width
        bar = progress("pictures", len(self.recording.times_s), "frame")
        with bar, closing(read_ahead(self.clip.frames())) as frames:
            for frame in frames:
                bar.update()
                if frame.image is not None and frame.image.shape[:2] == size:
                    yield frame.number, frame.image


class FrameCounter(Protocol):
    """What is told of each frame that is done; entered before the first and left after the last."""

    def update(self) -> object:
        """One more is done."""

    def __enter__(self) -> object: ...

    def __exit__(self, *_: Any) -> object: ...


def frame_bar(name: str, total: int | None, begun: int) -> FrameCounter:
    """The progress bar of a terminal, for a clip of about ``total`` frames of which ``begun`` are done."""
    return progress(name, total, "frame", begun, stays=True)


def predict_video(
    estimator: Estimator,
    clip: Clip,
    selection: PersonSelection,
    options: PoseOptions,
    log: MemoryLog | Spool | None = None,
    name: str = "",
    progress: Callable[[str, int | None, int], FrameCounter] = frame_bar,
) -> VideoResult:
    """Follow the people of ``clip``; then place, smooth and size them.

    ``log``: where what is found in the frames is kept as it comes, and gone on from; None: in memory. ``name``: what
    errors call the clip. ``progress``: called as ``frame_bar``. LiftwildError if no frame can be read, or nobody is
    found.
    """
    log = MemoryLog() if log is None else log
    name = name or clip.name
    fault = "" if log.is_complete else _FirstPass(estimator, clip, selection, log, name).run(progress)
    found = read_log(log)
    frames = len(found.times_s) - found.broken
    if not frames:
        log.remove()
        raise LiftwildError(f"{name}: none of its frames can be read" + (f": {fault}" if fault else ""))
    tracks = selection.tracks(found.tracks, found.times_s)
    if not tracks:
        raise LiftwildError(f"{name}: nobody was found in its {frames} frames; --box says where the person is")
    recording = Recording(
        clip.name, found.width, found.height, found.times_s, tracks, is_clip=True,
        confidence_is=estimator.confidence_is, computed_by=estimator.runtime_name,
        start_s=clip.start_s if isinstance(clip, ClipPart) else 0.0,
    )  # fmt: skip
    smoothed = postprocess_clip(recording, options, found.background_px)
    skipped = found.broken + log.missing
    return VideoResult(smoothed.recording, clip, frames, skipped, fault, tuple(smoothed.report()))


def log_settings(estimator: Estimator, clip: Clip, selection: PersonSelection) -> dict[str, str]:
    """Everything that what is found in a frame depends on, as text by name: a log is gone on with by the same alone."""
    return {
        "clip": clip.identity(),
        "weights": f"{estimator.runtime.fingerprint()} {estimator.confidence_is}",
        "--runtime": estimator.runtime_name,
        "--flip-test": str(estimator.flip_test),
        **selection.identity(),
        "liftwild": __version__,
    }


class _FirstPass:
    """From a clip's frames to its log."""

    def __init__(
        self, estimator: Estimator, clip: Clip, selection: PersonSelection, log: MemoryLog | Spool, name: str
    ) -> None:
        self.clip, self.selection, self.log, self.name = clip, selection, log, name
        self.tracker, self.background = selection.tracker(estimator), Background()
        self.size: tuple[int, int] | None = None
        self.late: deque[tuple[int, float, np.ndarray, list[Observation]]] = deque(
            maxlen=BACK_FRAMES if selection.detects else 0
        )
        self.fault, self.warned = "", False
        # The last frame, whose background a thread still follows while the network works on the next one.
        self.waiting: tuple[Frame, tuple[int, int], list[Observation], Future[tuple[float, float]]] | None = None

    def run(self, progress: Callable[[str, int | None, int], FrameCounter]) -> str:
        """Go through the frames that the log does not hold; what was wrong with the first broken one."""
        begun = self.log.frames
        again = max(0, begun - max(self.late.maxlen or 0, 1))  # from here on frames are read, though not looked at
        known: dict[int, list[Observation]] = {}
        for kept in self.log:
            if kept.width:
                self.size = kept.width, kept.height
                found = [each for each in observations_of(kept) if not each.ago]
                self.tracker.observe(kept.time_s, found)
                if kept.number >= again:
                    known[kept.number] = found
        bar = progress(self.clip.name, self.clip.length, begun)
        beside = ThreadPoolExecutor(1, "liftwild-background")
        with bar, beside, closing(read_ahead(self.clip.frames(again))) as frames:
            try:
                for frame in frames:
                    if frame.number < begun:
                        image, seen = frame.image if frame.number in known else None, known.get(frame.number, [])
                        if image is not None:
                            self.late.append((frame.number, frame.time_s, image, seen))
                        self._moved(image, seen)
                        continue
                    self._add(frame, beside, bar)
            finally:  # also when it is interrupted
                self._log_waiting(bar)
        self.log.finish(self.clip.missing())
        return self.fault

    def _add(self, frame: Frame, beside: ThreadPoolExecutor, bar: FrameCounter) -> None:
        image, size = frame.image, None
        if image is not None:
            size = image.shape[1], image.shape[0]
            self.size = self.size or size
        if image is None or size != self.size:
            fault = frame.fault or f"frame {frame.number} of {self.name} has another size than the first"
            self.fault = self.fault or fault
            self._log_waiting(bar)
            self._moved(None, [])
            self.log.add(frame.number, frame.time_s, None, [])
            bar.update()
            return
        begun = self.tracker.begun
        found = self.tracker.step(image, frame.time_s, self._external(frame.number, image), self.name)
        if self.selection.external is not None:
            scores = [self.selection.external.score_of(each.pose.annotation_id) for each in found]
            found = [each.scored(score) for each, score in zip(found, scores, strict=True)]
        earlier = [
            past for each in found if each.pose.person_id is not None and each.pose.person_id >= begun
            for past in self._earlier(each, frame)
        ]  # fmt: skip
        self._log_waiting(bar)
        assert size is not None
        self.late.append((frame.number, frame.time_s, image, found))
        self.waiting = frame, size, [*found, *earlier], beside.submit(self._moved, image, found)

    def _log_waiting(self, bar: FrameCounter) -> None:
        """Write down the frame before, as soon as is known how far its background has moved."""
        if self.waiting is not None:
            frame, size, found, moved = self.waiting
            self.waiting = None
            self.log.add(frame.number, frame.time_s, size, found, moved.result())
            bar.update()

    def _moved(self, image: np.ndarray | None, found: list[Observation]) -> tuple[float, float]:
        """How far the background has moved since the frame before, px; None: a frame that cannot be read."""
        if image is None:
            self.background.forget()
            return 0.0, 0.0
        return self.background.step(image, [followed_box(each.pose) for each in found])

    def _earlier(self, newcomer: Observation, frame: Frame) -> Iterator[Observation]:
        """A newcomer of ``frame`` in the frames before it."""
        late = list(self.late)[::-1]
        past = self.tracker.earlier(newcomer, frame.time_s, [(image, time_s, seen) for _, time_s, image, seen in late])
        for each, (number, *_) in zip(past, late, strict=False):
            yield each._replace(ago=frame.number - number)

    def _external(self, index: int, image: np.ndarray) -> list[tuple[int | None, Box]] | None:
        """The boxes that labels have for a frame; None where they have none."""
        if self.selection.external is None:
            return None
        boxes = self.selection.external.of_frame(self.clip.name, index, self.clip.path_of(index))
        kept, faults = in_picture(boxes, (image.shape[1], image.shape[0]), f"{self.name}, frame {index}")
        if faults and not self.warned:
            say(f"warning: {faults[0]}, as are others like it", err=True)
            self.warned = True
        return [(key, box) for key, box in kept] or None
