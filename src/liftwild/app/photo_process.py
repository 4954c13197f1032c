"""The process that finds poses in photos. While the network works on one, the next ones are made ready."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from liftwild.app.answers import files_answer, recording_facts
from liftwild.app.child import Parent
from liftwild.app.messages import Message
from liftwild.app.networks import open_networks
from liftwild.app.wishes import FileWishes, Wishes
from liftwild.detection.detector import Detector
from liftwild.media.photo import LoadedPhoto
from liftwild.pipeline.photos import PhotoTask, predict_tasks


def find_poses() -> None:
    """Answer until the server ends."""
    parent = Parent()
    estimator, detector = open_networks(parent)
    parent.ready()
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
        if result.least_px:
            parent.answer(number, {"least_px": result.least_px})
            continue
        if result.recording is None:
            parent.answer(number, {"error": result.error, "kind": "input"})
            continue
        try:
            files, content = files_answer(result.recording, wanted)
            facts = recording_facts(result.recording)
        except Exception as error:
            parent.refuse(number, error, "photo")
        else:
            parent.answer(number, {**files, "warning": result.warning, "facts": facts}, content)


def _task(message: Message, detector: Detector) -> PhotoTask:
    wishes = Wishes.of_json(message.fields["wishes"])
    shape = tuple(message.fields["shape"])
    pixels = np.fromfile(Path(message.fields["pixels"]), np.uint8).reshape(shape)
    photo = LoadedPhoto(pixels, message.content, message.fields["damage"], message.fields["divisor"])
    return PhotoTask(photo, wishes.selection(detector, False), wishes.pose_options(), message.fields["name"])


if __name__ == "__main__":
    find_poses()
