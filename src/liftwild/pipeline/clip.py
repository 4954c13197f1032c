"""A run over a clip: frames followed and kept on disk as they come; then smoothed and written as a whole."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from tqdm import tqdm

from liftwild import __version__
from liftwild.errors import LiftwildError
from liftwild.inference.estimator import Box, Estimator
from liftwild.media.video import Clip, Frame, read_ahead
from liftwild.pipeline.photos import PersonSelection
from liftwild.pipeline.postprocess import OutputGuard, OutputOptions, finish_clip, shaking, write_clip_files
from liftwild.pipeline.spool import Spool, Spooled, read_spool, seen_in
from liftwild.pose import PoseTrack, Recording
from liftwild.tracking.tracker import Tracker

MIN_FRAMES = 3  # a track of fewer is a detector's slip ...
OF_FRAMES = 10  # ... in a clip of at least so many


@dataclass
class ClipDone:
    """What became of a clip. ``skipped``: frames that were broken or missing; ``seen``: frames with anybody in them;
    ``shaking``: how much poses shook before and after smoothing; ``notes``: what else is to be said."""

    name: str
    frames: int
    skipped: int
    people: int
    seen: int
    shaking: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        frames = "1 frame" if self.frames == 1 else f"{self.frames} frames"
        people = "1 person" if self.people == 1 else f"{self.people} people"
        skipped = f", {self.skipped} broken or missing ones skipped" if self.skipped else ""
        return f"{self.name}: {frames} done{skipped}; {people} in {self.seen} of them"


def predict_clip(
    estimator: Estimator,
    clip: Clip,
    claims: OutputGuard,
    whom: PersonSelection,
    wanted: OutputOptions,
    source: Path | None = None,
) -> ClipDone:
    """Follow the people of ``clip`` and write what is ``wanted`` of it into ``claims.out``, named by its stem.

    What is found in the frames is kept in STEM.spool as it comes: after an interruption the same call goes on from
    there, and if nothing is left to do it only writes. ``source``: what errors call the clip. LiftwildError if no frame
    can be read, nobody is found, the file belongs to another clip or settings, or something cannot be written.
    """
    stem = Path(clip.name).stem if source is None or source.is_file() else clip.name
    called = str(source or clip.name)
    if wanted.overlay and not clip.rereadable:
        raise LiftwildError(f"{called}: an overlay reads its clip twice, and a stream comes once; keep it in a file")
    path = claims.out / f"{stem}.spool"
    claims.claim(source or Path(clip.name), stem, wanted, is_clip=True, more=[path])
    with Spool(path, {"clip": clip.identity(), **_settings(estimator, whom)}) as spool:
        fault = ""
        if not spool.is_complete:
            fault = _First(estimator, clip, whom, spool, called).go()
        found = read_spool(spool)
        frames = len(found.times_s) - found.broken
        if not frames:
            spool.remove()
            raise LiftwildError(f"{called}: none of its frames can be read" + (f": {fault}" if fault else ""))
        missing = spool.missing
    tracks = _worth_keeping(found)
    if not tracks:
        raise LiftwildError(f"{called}: nobody was found in its {frames} frames; --box says where the person is")
    recording = Recording(
        clip.name,
        found.width,
        found.height,
        found.times_s,
        tracks,
        is_clip=True,
        confidence_is=estimator.confidence_is,
        computed_by=estimator.runtime_name,
    )
    recording, before, after = finish_clip(recording, wanted)
    seen = len(np.unique(np.concatenate([track.frames for track in tracks])))
    done = ClipDone(clip.name, frames, found.broken + missing, len(tracks), seen, shaking(before, after))
    done.notes = [fault] if fault else []
    again = (lambda: _pictures(clip, found)) if clip.rereadable else None
    done.notes += write_clip_files(recording, claims.out, stem, wanted, again)
    return done


def _settings(estimator: Estimator, whom: PersonSelection) -> dict[str, str]:
    """Everything that what is found in a frame depends on, as text by name."""
    return {
        "weights": f"{estimator.runtime.fingerprint()} {estimator.confidence_is}",
        "--runtime": estimator.runtime_name,
        "--flip-test": str(estimator.flip_test),
        "--box": str(whom.box),
        **dict(whom.named),
        "liftwild": __version__,
    }


class _First:
    """The first pass: from a clip to its spool."""

    def __init__(self, estimator: Estimator, clip: Clip, whom: PersonSelection, spool: Spool, called: str) -> None:
        self.clip, self.whom, self.spool, self.called = clip, whom, spool, called
        # With labels nobody else is looked for: they say who is there.
        detect = whom.detect if whom.index is None else lambda image, most: []
        self.follower = Tracker(estimator, detect, whom.most, whom.box, whom.at)
        self.size: tuple[int, int] | None = None
        self.fault = ""

    def go(self) -> str:
        """Go through the frames that the spool does not hold; what was wrong with the first broken one."""
        for kept in self.spool:
            if kept.width:
                self.size = kept.width, kept.height
                self.follower.take(kept.time_s, seen_in(kept))
        begun = self.spool.frames
        bar = tqdm(
            desc=self.clip.name, total=self.clip.length, initial=begun, unit="frame", disable=None, file=sys.stderr
        )
        try:
            with bar, closing(read_ahead(self.clip.frames(begun))) as frames:
                for frame in frames:
                    self._take(frame)
                    bar.update()
            self.spool.finish(self.clip.missing())
        except LiftwildError as error:
            raise LiftwildError(f"{error}{self._kept()}") from None
        except KeyboardInterrupt:
            if self.spool.frames:
                print(f"{self.called}{self._kept()}", file=sys.stderr)
            raise
        return self.fault

    def _take(self, frame: Frame) -> None:
        image, size = frame.image, None
        if image is not None:
            size = image.shape[1], image.shape[0]
            self.size = self.size or size
        if image is None or size != self.size:
            fault = frame.fault or f"frame {frame.number} of {self.called} has another size than the first"
            self.fault = self.fault or fault
            self.spool.add(frame.number, frame.time_s, None, [])
            return
        seen = self.follower.step(image, frame.time_s, self._given(frame.number), self.called)
        if self.whom.index is not None:
            scores = [self.whom.index.score_of(each.pose.annotation_id) for each in seen]
            seen = [each.scored(score) for each, score in zip(seen, scores, strict=True)]
        self.spool.add(frame.number, frame.time_s, size, seen)

    def _given(self, index: int) -> list[tuple[int | None, Box]] | None:
        """The boxes that labels have for a frame; None where they have none."""
        if self.whom.index is None:
            return None
        boxes = self.whom.index.of_frame(self.clip.name, index, self.clip.path_of(index))
        return [(key, box) for key, box in boxes] or None

    def _kept(self) -> str:
        if not self.spool.frames:
            return ""
        again = "" if self.clip.rereadable else ", sent the stream again,"
        return f"; {self.spool.frames} frames are kept in {self.spool.path}, the same command{again} goes on from there"


def _worth_keeping(found: Spooled) -> tuple[PoseTrack, ...]:
    """The tracks without those of a frame or two, unless the clip is not much longer."""
    least = MIN_FRAMES if len(found.times_s) >= OF_FRAMES else 1
    return tuple(track for track in found.tracks if len(track) >= least)


def _pictures(clip: Clip, found: Spooled) -> Iterator[tuple[int, np.ndarray]]:
    """The clip's frames once more, but for the broken ones."""
    bar = tqdm(desc="pictures", total=len(found.times_s), unit="frame", disable=None, file=sys.stderr, leave=False)
    with bar, closing(read_ahead(clip.frames())) as frames:
        for frame in frames:
            bar.update()
            if frame.image is not None and frame.image.shape[:2] == (found.height, found.width):
                yield frame.number, frame.image
