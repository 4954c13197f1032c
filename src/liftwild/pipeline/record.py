"""A clip as a call from Python: its people followed and smoothed, in memory."""

from __future__ import annotations

from collections import defaultdict
from contextlib import closing
from pathlib import Path

import numpy as np

from liftwild.boxes import Box
from liftwild.errors import LiftwildError
from liftwild.inference.estimator import Estimator
from liftwild.media.video import Clip, open_clip, read_ahead
from liftwild.pose import Pose, PoseTrack, Recording
from liftwild.tracking.smoothing import smooth_recording
from liftwild.tracking.tracker import Detect, Tracker


def record(
    estimator: Estimator,
    clip: str | Path | Clip,
    detect: Detect | None = None,
    most: int | None = None,
    box: Box | None = None,
    at: tuple[float, float] | None = None,
    fps: float | None = None,
    smooth: bool = True,
) -> Recording:
    """The people of ``clip``, a video or a folder of frames: ``record(estimator, "clip.mp4",
    Detector().detect)``.

    ``detect``, ``most``, ``box`` and ``at``: whom to follow, as for ``Tracker``. ``fps``: of a folder, 30 if None.
    ``smooth``: filtered, and one skeleton for each person; without it as the network gives them. Nobody is placed in
    space. What is found is held in memory, about 1 KB for each person and frame; ``liftwild predict`` keeps it on disk,
    and leaves out who is seen in one or two frames. Broken frames are passed over. LiftwildError where the clip cannot
    be read, or none of its frames.
    """
    opened = open_clip(clip, fps) if isinstance(clip, str | Path) else clip
    follower = Tracker(estimator, detect, most, box, at)
    frames: defaultdict[int, list[int]] = defaultdict(list)
    poses: defaultdict[int, list[Pose]] = defaultdict(list)
    times: list[float] = []
    size: tuple[int, ...] | None = None
    with closing(read_ahead(opened.frames())) as stream:
        for frame in stream:
            times.append(frame.time_s)
            if frame.image is None or frame.image.shape != (size or frame.image.shape):
                continue
            size = frame.image.shape
            for seen in follower.step(frame.image, frame.time_s, name=opened.name):
                person = -1 if seen.pose.person_id is None else seen.pose.person_id
                frames[person].append(frame.number)
                poses[person].append(seen.pose)
    if size is None:
        raise LiftwildError(f"{opened.name}: none of its frames can be read")
    tracks = tuple(PoseTrack.of_poses(person, frames[person], poses[person]) for person in sorted(poses))
    found = Recording(
        opened.name,
        size[1],
        size[0],
        np.array(times),
        tracks,
        is_clip=True,
        confidence_is=estimator.confidence_is,
        computed_by=estimator.runtime_name,
    )
    return smooth_recording(found) if smooth else found
