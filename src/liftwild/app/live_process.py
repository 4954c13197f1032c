"""The process that follows the people before cameras: one for all sessions, on as many threads as there are cores."""

from __future__ import annotations

import threading
import time
from collections import Counter
from queue import SimpleQueue
from typing import Any

import cv2
import numpy as np
import torch

from liftwild.app.child import Answer, Parent
from liftwild.app.messages import Message
from liftwild.detection.detector import Detector
from liftwild.errors import LiftwildError
from liftwild.inference.estimator import Estimator
from liftwild.media.image_header import read_header
from liftwild.media.photo import load_photo
from liftwild.pipeline.live import LivePeople
from liftwild.pipeline.options import PoseOptions
from liftwild.pose import Pose
from liftwild.threads import usable_cores

WHERE = "picture"  # what errors call the input
FORMATS = ("JPEG", "WebP")


class LiveCameras:
    """The sessions of one thread. ``settings``: ``weights`` that are ready at once, ``runtime``, ``max_pixels``."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self.runtime, self.max_pixels = settings["runtime"], int(settings["max_pixels"])
        self.detector = Detector(runtime=self.runtime)
        self._estimators: dict[str, Estimator] = {}
        self._sessions: dict[str, LivePeople] = {}
        self._estimator(settings["weights"])

    def answer(self, message: Message) -> Answer:
        """The people in a picture (``content``) of a session, which begins with its first one; or the end of one."""
        fields = message.fields
        session = str(fields["session"])
        if fields.get("ends"):
            self._sessions.pop(session, None)
            return {}, b""
        if session not in self._sessions:
            options = PoseOptions(fov_deg=fields["fov"], height_m=fields["height_m"])
            estimator = self._estimator(fields["weights"])
            self._sessions[session] = LivePeople(estimator, self.detector, int(fields["people"]), options)
        begun = time.perf_counter()
        image = self._decode(message.content)
        poses = self._sessions[session].step(image, float(fields["t"]))
        ms = round(1000 * (time.perf_counter() - begun), 1)
        return {
            "width": image.shape[1], "height": image.shape[0], "ms": ms, "people": [_as_json(pose) for pose in poses]
        }, b""  # fmt: skip

    def _estimator(self, weights: str) -> Estimator:
        if weights not in self._estimators:
            self._estimators[weights] = Estimator(weights, runtime=self.runtime)
        return self._estimators[weights]

    def _decode(self, content: bytes) -> np.ndarray:
        header = read_header(content)
        if header.format not in FORMATS:
            raise LiftwildError(f"{WHERE}: is no {' or '.join(FORMATS)} that can be read")
        if header.width * header.height > self.max_pixels:
            raise LiftwildError(
                f"{WHERE}: has {header.width} x {header.height} px; a camera's may have up to "
                f"{self.max_pixels / 1e6:.0f} million: make it smaller"
            )
        return load_photo(content).image


def _as_json(pose: Pose) -> dict[str, Any]:
    """``pose`` as clients get it; NaN is null."""
    joints = np.concatenate([pose.joints_2d, pose.confidence[:, None]], axis=1)
    assert pose.root_mm is not None
    placed = bool(np.isfinite(pose.root_mm).all())
    return {
        "id": pose.person_id,
        "score": None if pose.score is None else round(pose.score, 3),
        "joints": [[round(x, 1), round(y, 1), round(sure, 3)] for x, y, sure in joints.tolist()],
        "mm": np.round(pose.joints_3d, 1).tolist(),
        "root": np.round(pose.root_mm, 1).tolist() if placed else None,
    }


class _Lanes:
    """Threads that each have networks of their own: a session stays with the thread that had the fewest when it began,
    so that sessions do not wait for each other."""

    def __init__(self, parent: Parent, first: LiveCameras) -> None:
        self.parent = parent
        self.queues: list[SimpleQueue[tuple[int, Message]]] = []
        self.sessions: dict[str, int] = {}
        self.most = min(int(parent.settings["sessions"]), usable_cores())
        self._begin(first)

    def put(self, number: int, message: Message) -> None:
        """Have a request answered."""
        session = str(message.fields["session"])
        ends = message.fields.get("ends")
        lane = self.sessions.pop(session, None)
        if lane is None and ends:  # it began in a process before this one
            self.parent.answer(number, {})
            return
        if lane is None:
            counts = Counter(self.sessions.values())
            lane = min(range(self.most), key=lambda each: counts[each])
            if lane == len(self.queues):
                self._begin(None)
        if not ends:
            self.sessions[session] = lane
        self.queues[lane].put((number, message))

    def _begin(self, cameras: LiveCameras | None) -> None:
        waiting: SimpleQueue[tuple[int, Message]] = SimpleQueue()
        self.queues.append(waiting)
        threading.Thread(target=self._work, args=(cameras, waiting), daemon=True).start()

    def _work(self, cameras: LiveCameras | None, waiting: SimpleQueue[tuple[int, Message]]) -> None:
        while True:
            number, message = waiting.get()
            try:
                cameras = cameras or LiveCameras(self.parent.settings)
                fields, content = cameras.answer(message)
            except Exception as error:
                self.parent.refuse(number, error, WHERE)
            else:
                self.parent.answer(number, fields, content)


def follow_cameras() -> None:
    """Answer until the server ends."""
    parent = Parent()
    # One crop is too little for two threads: they mostly wait for each other, which beside other programs takes three
    # times as long (docs/results/serve.md). Each lane has one.
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    try:
        cameras = LiveCameras(parent.settings)
    except LiftwildError as error:
        parent.refuse(0, error, "weights")
        return
    lanes = _Lanes(parent, cameras)
    parent.ready()
    for number, message in parent.requests():
        lanes.put(number, message)


if __name__ == "__main__":
    follow_cameras()
