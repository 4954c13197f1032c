"""Reader of Human3.6M as its site gives it: videos, poses as CDF files, camera parameters.

``S1/Videos/Directions 1.54138969.mp4`` and, for each, ``S1/MyPoseFeatures/D3_Positions_mono/Directions
1.54138969.cdf`` (32 joints, mm, camera space) and ``D2_Positions/`` beside it (32 joints, px); also
``S1/Poses_D3_Positions_mono/`` as some scripts unpack it. ``metadata.xml`` (of the site's code) holds the cameras in
its ``w0``: 6 numbers for each of 4 cameras and 11 subjects, then f (2), c (2), k (3), p (2) of each camera. Row i of
the poses belongs to frame i of the video. The data set's boxes are ``S1/MySegmentsMat/ground_truth_bb/Directions
1.54138969.mat`` (HDF5): ``Masks`` (n, 1) refers to a mask (width, height) for each frame, 1 in the box.

Without D2_Positions the 3D joints are projected, lens included; without metadata.xml the camera is fitted to both.
Pixel coordinates are taken as they are: the documents do not say where a pixel lies.

Unconfirmed, as read in other people's code and never on the real files: the order of the numbers in ``w0`` and the
formula of ``project`` (mmpose, preprocess_h36m.py; 3d-pose-baseline, cameras.py), and the masks (SPIN, h36m_train.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

import numpy as np

from liftwild.boxes import Box
from liftwild.camera import Camera, fit_camera
from liftwild.crop import BOX_MARGIN
from liftwild.data.dataset import Dataset, Part
from liftwild.data.labels import Skip
from liftwild.data.readers.file_formats import load_cdf, load_mask_extents, video_frames
from liftwild.data.readers.h36m import (
    ACTIONS,
    ALIASES,
    AS_IT_IS,
    CAMERA_IDS,
    CAMERAS,
    EVERY,
    JOINTS,
    OF_32,
    RECORDED,
    SUBJECTS,
    H36MOptions,
    Key,
    h36m_sample,
    missing_videos,
    published,
    sequences,
)
from liftwild.errors import LiftwildError
from liftwild.sample import Sample

VIDEO = re.compile(rf"([A-Za-z]+)(?:[ _](\d))?\.({'|'.join(CAMERA_IDS)})\.mp4")  # not _ALL.54138969.mp4
UNNUMBERED = 99
W0 = re.compile(r"<w0>\s*\[([^\]]*)\]\s*</w0>")
INTRINSICS_AT, INTRINSICS = 6 * 4 * 11, 9


def is_official(source: Path) -> bool:
    """Whether ``source`` has folders of subjects with videos."""
    return any(source.glob("S*/Videos"))


def h36m_videos(source: str | Path, split: str, options: H36MOptions = AS_IT_IS) -> Dataset:
    """The videos of ``split`` ("train": S1 S5 S6 S7 S8, "test": S9 S11).

    LiftwildError if videos, poses, cameras or boxes are not where they should be. Source: Ionescu et al., PAMI 2014.
    """
    source = Path(source)
    options.refuse("Human3.6M's videos, which have 2D joints", "keypoints")
    wanted, every = sequences(split, options.keep_broken), options.every or EVERY
    videos = {key: path for key, path in _videos(source, split).items() if key in wanted}
    if not videos:
        raise LiftwildError(
            f"{source} holds no video of Human3.6M {split}: expected S{SUBJECTS[split][0]}/Videos/*.mp4 and so on"
        )
    lenses = _lenses(source)
    poses = {key: _pose_file(path, "D3_Positions_mono") for key, path in videos.items()}
    parts = []
    for key in sorted(videos):
        pose, flat = poses[key], _pose_file(videos[key], "D2_Positions")
        if not pose.is_file():
            raise LiftwildError(f"no poses {pose} of {videos[key].name}: ask for D3_Positions_mono, too")
        if lenses is None and not flat.is_file():
            raise LiftwildError(
                f"no cameras: expected metadata.xml of the site's code in {source}, or D2_Positions such as {flat}"
            )
        lens = None if lenses is None else lenses[key[3] - 1]
        boxes = _box_file(videos[key])
        if options.boxes == "dataset" and not boxes.is_file():
            raise LiftwildError(f"no boxes {boxes} of {videos[key].name}: ask for Segments mat gt_bb, too")
        name = f"S{key[0]}-{videos[key].stem}"
        own = flat if flat.is_file() else None
        parts.append(Part(name, partial(_read, videos[key], pose, own, lens, key, every, options)))
    count, missing = published(split, every, options.keep_broken), missing_videos(videos, wanted, "videos")
    return Dataset(f"Human3.6M {split}", parts, options.settings(source, split), count, missing)


def _videos(source: Path, split: str) -> dict[Key, Path]:
    """The videos of a split by subject, action, take, camera."""
    numbers = {name: number for number, name in ACTIONS.items()}
    found = {}
    for subject in SUBJECTS[split]:
        takes: dict[int, set[int]] = {}
        files = []
        for path in sorted((source / f"S{subject}" / "Videos").glob("*.mp4")):
            match = VIDEO.fullmatch(path.name)
            action = numbers.get(ALIASES.get(match[1], match[1])) if match else None
            if match is None or action is None:
                continue
            # The one without a number comes last: of "Directions 1" and "Directions" of S11 the latter is take 2.
            number = int(match[2] or UNNUMBERED)
            takes.setdefault(action, set()).add(number)
            files.append((action, number, CAMERAS[CAMERA_IDS.index(match[3])], path))
        for action, number, camera, path in files:
            # Also where take 1 is not there, "Directions" of S11 is take 2.
            take = 2 if number == UNNUMBERED else 1 + sorted(takes[action]).index(number)
            found[subject, action, take, camera] = path
    return found


def _pose_file(video: Path, kind: str) -> Path:
    """The CDF file of a video."""
    subject, name = video.parent.parent, f"{video.stem}.cdf"
    other = subject / f"Poses_{kind}" / name
    return other if other.is_file() else subject / "MyPoseFeatures" / kind / name


def _box_file(video: Path) -> Path:
    """The file of the data set's boxes of a video."""
    return video.parent.parent / "MySegmentsMat" / "ground_truth_bb" / f"{video.stem}.mat"


def _lenses(source: Path) -> list[np.ndarray] | None:
    """f (2), c (2), k (3), p (2) of each camera from ``metadata.xml``; None without one."""
    path = next(
        (path for path in (source / "metadata.xml", *sorted(source.glob("*/metadata.xml"))) if path.is_file()), None
    )
    if path is None:
        return None
    match = W0.search(path.read_text(encoding="utf-8", errors="replace"))
    try:
        numbers = np.array([float(number) for number in match[1].replace(",", " ").split()]) if match else np.zeros(0)
    except ValueError:
        numbers = np.zeros(0)
    if len(numbers) != INTRINSICS_AT + INTRINSICS * len(CAMERAS):
        raise LiftwildError(f"{path} does not hold the cameras of Human3.6M (300 numbers in w0)")
    return list(numbers[INTRINSICS_AT:].reshape(len(CAMERAS), INTRINSICS))


def project(lens: np.ndarray, joints: np.ndarray) -> np.ndarray:
    """Joints (..., 3) in mm, camera space, to px (..., 2) through the lens, as Human3.6M's own code distorts."""
    f, c, k, p = lens[:2], lens[2:4], lens[4:7], lens[7:9]
    xy = joints[..., :2] / joints[..., 2:]
    r2 = (xy**2).sum(axis=-1, keepdims=True)
    radial = 1 + k[0] * r2 + k[1] * r2**2 + k[2] * r2**3
    tangential = p[0] * xy[..., 1:] + p[1] * xy[..., :1]
    return f * (xy * (radial + tangential) + p[::-1] * r2) + c


def _read(
    video: Path, pose: Path, flat: Path | None, lens: np.ndarray | None, key: Key, every: int, options: H36MOptions
) -> Iterator[Sample | Skip]:
    """The people of one video."""
    joints_3d = _joints(pose, 3)
    joints_2d = _joints(flat, 2) if flat else project(lens, joints_3d)  # type: ignore[arg-type]
    if len(joints_2d) != len(joints_3d):
        raise LiftwildError(f"{flat} has {len(joints_2d)} poses, {pose} has {len(joints_3d)}: download both again")
    camera = fit_camera(joints_2d, joints_3d) if lens is None else Camera(*(float(value) for value in lens[:4]))
    wanted = range(0, len(joints_3d), every)
    boxes = read_boxes(_box_file(video), wanted) if options.boxes == "dataset" else dict.fromkeys(wanted)
    source, done = f"S{key[0]}/{video.name}", -1
    for done, image in video_frames(video, wanted):
        if options.boxes == "dataset" and boxes[done] is None:
            yield Skip(f"{source}#{done}", done, "the data set has no box")
            continue
        yield h36m_sample(
            image, JOINTS, joints_2d[done], joints_3d[done], options, source=f"{source}#{done}", annotation_id=done,
            key=key, camera=camera, box=boxes[done],
        )  # fmt: skip
    for frame in wanted:
        if frame > done:
            yield Skip(f"{source}#{frame}", frame, "video ends before its poses")


def read_boxes(path: Path, frames: Iterable[int]) -> dict[int, Box | None]:
    """By frame the box whose crop (``BOX_MARGIN`` wider) is the data set's box made square about its middle.

    None where a mask is empty, or where there is none for a frame. So the authors crop, too, but for two things: at the
    edge of the picture they cut the square and stretch what is left, and their box comes from the site's
    get_boundingbox (unconfirmed: that it is the one of the masks).
    """
    boxes: dict[int, Box | None] = dict.fromkeys(frames)
    for frame, sides in zip(boxes, load_mask_extents(path, "Masks", list(boxes)), strict=True):
        if sides is not None:
            left, right, top, bottom = sides
            side = max(right - left, bottom - top) / BOX_MARGIN
            boxes[frame] = ((left + right - side) / 2, (top + bottom - side) / 2, side, side)
    return boxes


def _joints(path: Path, size: int) -> np.ndarray:
    """The 17 joints (n, 17, size) of a CDF file of 32."""
    flat = load_cdf(path)
    if flat.size == 0 or flat.shape[-1] != size * RECORDED:
        raise LiftwildError(f"{path}: Pose is {flat.shape}, not (1, n, {size * RECORDED})")
    return flat.reshape(-1, RECORDED, size)[:, OF_32]
