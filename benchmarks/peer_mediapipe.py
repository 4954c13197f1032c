"""MediaPipe Pose "full" as a child process: runs in .venv-peers, which ``make bench-peers`` builds. Not with liftwild.

Reads lines of JSON, {"photo": path, "track": bool}, and answers each with {"seconds": of one call, "found": bool}. The
photo is decoded before; without "track" the detector looks at every photo anew, with it the person is followed from
one call to the next, as in a video that stands still.
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

# What the library says of itself goes to stderr, the answers alone to stdout.
answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)

import cv2  # noqa: E402
import mediapipe  # noqa: E402

FULL = 1


def main() -> None:
    """Answer until stdin ends."""
    solutions: Any = mediapipe.solutions.pose
    pose = {track: solutions.Pose(static_image_mode=not track, model_complexity=FULL) for track in (False, True)}
    images: dict[str, Any] = {}
    before: dict[bool, str] = {}
    print(json.dumps({"version": mediapipe.__version__}), file=answers, flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        path, track = asked["photo"], asked["track"]
        if path not in images:
            images[path] = cv2.cvtColor(cv2.imread(path), cv2.COLOR_BGR2RGB)
        if track and before.get(track) != path:  # so that the person of this photo is the one who is followed
            pose[track].reset()
            pose[track].process(images[path])
        before[track] = path
        start = time.perf_counter()
        result = pose[track].process(images[path])
        seconds = time.perf_counter() - start
        print(json.dumps({"seconds": seconds, "found": result.pose_landmarks is not None}), file=answers, flush=True)


if __name__ == "__main__":
    main()
