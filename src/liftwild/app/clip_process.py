"""The process that follows the people of one video; ended at any moment, another goes on from what it kept."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from liftwild.app.answers import recording_facts
from liftwild.app.child import Parent
from liftwild.app.limited_video import part_of_upload
from liftwild.app.messages import Message
from liftwild.app.networks import open_networks
from liftwild.app.recording_folder import KEPT, SPOOL
from liftwild.app.video_limits import ClipLimits
from liftwild.app.wishes import Wishes
from liftwild.detection.detector import Detector
from liftwild.inference.estimator import Estimator
from liftwild.io.formats import save
from liftwild.pipeline.spool import Spool
from liftwild.pipeline.video import log_settings, predict_video

TELL_EVERY_S = 0.1


def follow_clips() -> None:
    """Answer until the server ends."""
    parent = Parent()
    estimator, detector = open_networks(parent)
    parent.ready()
    for number, message in parent.requests():
        try:
            fields = _follow(parent, number, message, estimator, detector)
        except Exception as error:
            parent.refuse(number, error, "video")
        else:
            parent.answer(number, fields)


def _follow(parent: Parent, number: int, message: Message, estimator: Estimator, detector: Detector) -> dict[str, Any]:
    os.chdir(message.fields["folder"])  # what is said of files then names no other folder
    wishes = Wishes.of_json(message.fields["wishes"])
    selection = wishes.selection(detector, True)
    clip = part_of_upload(ClipLimits(**message.fields["limits"]), wishes.start, wishes.end, wishes.slow_motion)

    def counted(name: str, total: int | None, begun: int) -> _Counter:
        return _Counter(parent, number, total, begun)

    with Spool(Path(SPOOL), log_settings(estimator, clip, selection)) as spool:
        done = predict_video(estimator, clip, selection, wishes.pose_options(), spool, "video", counted)
    recording = replace(done.recording, source=message.fields["name"])
    save(recording, KEPT)
    notes = [done.fault] if done.fault else []
    notes += [f"{done.skipped} broken or missing frames were skipped"] if done.skipped else []
    return {"facts": recording_facts(recording), "notes": notes}


class _Counter:
    """Tells the server how many frames are done, and when all are."""

    def __init__(self, parent: Parent, number: int, total: int | None, begun: int) -> None:
        self._parent, self._number, self.total, self.done = parent, number, total, begun
        self._told_s = 0.0

    def update(self) -> None:
        """One more is done."""
        self.done += 1
        if time.monotonic() - self._told_s >= TELL_EVERY_S:
            self._tell("frames")

    def __enter__(self) -> _Counter:
        self._tell("frames")
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            self._tell("finishing")

    def _tell(self, stage: str) -> None:
        self._told_s = time.monotonic()
        total = None if self.total is None else max(self.total, self.done)  # its head only says about how many
        self._parent.tell(self._number, stage=stage, done=self.done, total=total)


if __name__ == "__main__":
    follow_clips()
