"""The process that finds poses in photos. While the network works on one, the next ones are made ready."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from liftwild.app.child import Answer, Parent
from liftwild.app.messages import Message
from liftwild.app.wishes import FileWishes, Wishes, safe_stem
from liftwild.detection.detector import Detector
from liftwild.errors import LiftwildError
from liftwild.inference.estimator import Estimator
from liftwild.io.formats import FORMATS, formatted
from liftwild.kinematics.upright import on_floor
from liftwild.media.photo import LoadedPhoto
from liftwild.pipeline.photos import PhotoTask, predict_tasks
from liftwild.pose import Recording


def find_poses() -> None:
    """Answer until the server ends."""
    parent = Parent()
    try:
        estimator = Estimator(parent.settings["weights"], runtime=parent.settings["runtime"])
        detector = Detector(runtime=parent.settings["runtime"])
    except LiftwildError as error:
        parent.refuse(0, error, "weights")
        return
    parent.ready(computed_by=estimator.runtime_name, card=_facts(estimator))
    begun: deque[tuple[int, FileWishes]] = deque()

    def tasks() -> Iterator[PhotoTask]:
        for number, message in parent.requests():
            try:
                task = _task(message, detector)
                wanted = FileWishes(**message.fields["files"])
            except Exception as error:
                parent.refuse(number, error, "photo")
                continue
            begun.append((number, wanted))
            yield task

    for result in predict_tasks(estimator, tasks()):
        number, wanted = begun.popleft()
        if result.recording is None:
            parent.answer(number, {"error": result.error, "kind": "input"})
            continue
        try:
            fields, content = files_answer(result.recording, wanted)
        except Exception as error:
            parent.refuse(number, error, "photo")
        else:
            parent.answer(number, {**fields, "warning": result.warning}, content)


def files_answer(recording: Recording, wanted: FileWishes) -> Answer:
    """The files of a recording: their names and lengths, and all of them one after the other."""
    if wanted.person is not None:
        if FORMATS[wanted.format].needs_floor:  # the one on which all of them stand
            recording = on_floor(recording)
        tracks = tuple(track for track in recording.tracks if track.person_id == wanted.person)
        if not tracks:
            raise LiftwildError(f"there is no person {wanted.person} in {recording.source}")
        recording = replace(recording, tracks=tracks)
    files = list(
        formatted(
            recording, safe_stem(recording.source), [wanted.format], wanted.skeleton, wanted.min_confidence, wanted.rig
        )
    )
    return {"files": [[file.name, len(file.content)] for file in files]}, b"".join(file.content for file in files)


def _task(message: Message, detector: Detector) -> PhotoTask:
    wishes = Wishes.of_json(message.fields["wishes"])
    shape = tuple(message.fields["shape"])
    pixels = np.fromfile(Path(message.fields["pixels"]), np.uint8).reshape(shape)
    photo = LoadedPhoto(pixels, message.content, message.fields["damage"])
    return PhotoTask(photo, wishes.selection(detector, False), wishes.pose_options(), message.fields["name"])


def _facts(estimator: Estimator) -> dict[str, Any]:
    return {"input_px": estimator.input_px, "confidence_is": estimator.confidence_is}


if __name__ == "__main__":
    find_poses()
