"""MediaPipe Pose "full" as a child process: runs in .venv-peers, which ``make bench-peers`` builds. Not with liftwild.

Reads lines of JSON and answers each with {"seconds": ..., "found": in how many pictures}:

- {"photo": path, "track": bool}: one call, the photo decoded before. Without "track" the detector looks at every photo
  anew, with it the person is followed from one call to the next, as in a video that stands still.
- {"file": path, "out": path}: a photo's file to a JSON of its landmarks.
- {"clip": path, "track": bool, "frames": N}: the mean of a frame, of the first N, all decoded before.
- {"video": path, "out": path}: the mean of a frame, decoded and followed, to a JSON of all landmarks.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from typing import Any

# What the library says of itself goes to stderr, the answers alone to stdout.
answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)

import cv2  # noqa: E402
import mediapipe  # noqa: E402

FULL = 1


class Pose:
    """The library's two ways: with its detector for every picture, and following."""

    def __init__(self) -> None:
        solutions: Any = mediapipe.solutions.pose
        self.ways = {
            track: solutions.Pose(static_image_mode=not track, model_complexity=FULL) for track in (False, True)
        }
        self.images: dict[str, Any] = {}
        self.clips: dict[tuple[str, int], list[Any]] = {}
        self.before: dict[bool, str] = {}

    def answer(self, asked: dict[str, Any]) -> dict[str, float]:
        """To one request."""
        if "photo" in asked:
            return self.photo(asked["photo"], asked["track"])
        if "file" in asked:
            return self.file(asked["file"], asked["out"])
        if "clip" in asked:
            return self.clip(asked["clip"], asked["track"], asked["frames"])
        return self.video(asked["video"], asked["out"])

    def photo(self, path: str, track: bool) -> dict[str, float]:
        """One call."""
        if path not in self.images:
            self.images[path] = decoded(path)
        if track and self.before.get(track) != path:  # so that the person of this photo is the one who is followed
            self.ways[track].reset()
            self.ways[track].process(self.images[path])
        self.before[track] = path
        start = time.perf_counter()
        result = self.ways[track].process(self.images[path])
        return {"seconds": time.perf_counter() - start, "found": int(result.pose_landmarks is not None)}

    def file(self, path: str, out: str) -> dict[str, float]:
        """From a file to a file."""
        start = time.perf_counter()
        found = landmarks(self.ways[False].process(decoded(path)))
        with open(out, "w") as file:
            json.dump(found, file)
        return {"seconds": time.perf_counter() - start, "found": int(found is not None)}

    def clip(self, path: str, track: bool, frames: int) -> dict[str, float]:
        """Frames in memory."""
        if (path, frames) not in self.clips:
            self.clips[path, frames] = [image for _, image in zip(range(frames), frames_of(path), strict=False)]
        self.before.pop(track, None)
        self.ways[track].reset()
        images, found = self.clips[path, frames], 0
        start = time.perf_counter()
        for image in images:
            found += self.ways[track].process(image).pose_landmarks is not None
        return {"seconds": (time.perf_counter() - start) / len(images), "found": found}

    def video(self, path: str, out: str) -> dict[str, float]:
        """A file, frame by frame."""
        self.before.pop(True, None)
        self.ways[True].reset()
        start = time.perf_counter()
        found = [landmarks(self.ways[True].process(image)) for image in frames_of(path)]
        with open(out, "w") as file:
            json.dump(found, file)
        return {
            "seconds": (time.perf_counter() - start) / len(found),
            "found": sum(each is not None for each in found),
        }


def decoded(path: str) -> Any:
    """A photo, RGB."""
    return cv2.cvtColor(cv2.imread(path), cv2.COLOR_BGR2RGB)


def frames_of(path: str) -> Iterator[Any]:
    """The frames of a video, RGB."""
    reader = cv2.VideoCapture(path)
    while True:
        there, image = reader.read()
        if not there:
            return
        yield cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def landmarks(result: Any) -> Any:
    """In the picture and in space, as lists; None where nobody is."""
    if result.pose_landmarks is None:
        return None
    both = (result.pose_landmarks, result.pose_world_landmarks)
    return [[[p.x, p.y, p.z, p.visibility] for p in each.landmark] for each in both]


def main() -> None:
    """Answer until stdin ends."""
    pose = Pose()
    print(json.dumps({"version": mediapipe.__version__}), file=answers, flush=True)
    for line in sys.stdin:
        print(json.dumps(pose.answer(json.loads(line))), file=answers, flush=True)


if __name__ == "__main__":
    main()
