"""Reader of MPI-INF-3DHP: its test set, and its training set.

Test: ``TS1`` to ``TS6`` with ``annot_data.mat`` (HDF5: annot2, annot3, univ_annot3 (N, 1, 17, 2 or 3), valid_frame)
and ``imageSequence/img_000001.jpg`` and so on; only valid frames count. Training: ``S1/Seq1`` and so on with
``annot.mat`` (annot2, annot3, univ_annot3: for each of 14 cameras (n, 28*2 or 28*3)), ``camera.calibration`` and
``imageSequence/video_0.avi`` and so on. univ_annot3 is the person scaled to one height for all, annot3 the true size,
of which annot2 is the picture. The test set's cameras are fitted to these two. Coordinates are taken as px: the
documents do not say where a pixel lies.

Neck is MPII's upper neck, head top its head top; MPII's thorax is the middle of the shoulders. The joint called head
is the middle of the head and has no counterpart.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from liftwild.camera import Camera, fit_camera
from liftwild.data.dataset import Dataset, Part
from liftwild.data.labels import Skip, labelled_sample, positions
from liftwild.data.readers.common import PEOPLE_A_PART, need_folder, need_photos, photos_of
from liftwild.data.readers.file_formats import load_hdf5, load_mat, video_frames
from liftwild.errors import LiftwildError
from liftwild.sample import Sample
from liftwild.schema import understood

TEST_JOINTS = (
    "head_top", "neck", "right_shoulder", "right_elbow", "right_wrist", "left_shoulder", "left_elbow", "left_wrist",
    "right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle", "pelvis", "spine", "head",
)  # fmt: skip
TRAIN_JOINTS = (
    "spine3", "spine4", "spine2", "spine", "pelvis", "neck", "head", "head_top", "left_clavicle", "left_shoulder",
    "left_elbow", "left_wrist", "left_hand", "right_clavicle", "right_shoulder", "right_elbow", "right_wrist",
    "right_hand", "left_hip", "left_knee", "left_ankle", "left_foot", "left_toe", "right_hip", "right_knee",
    "right_ankle", "right_foot", "right_toe",
)  # fmt: skip
UNUSED = (
    "head", "spine2", "spine3", "spine4", "left_clavicle", "right_clavicle", "left_foot", "right_foot", "left_toe",
    "right_toe", "left_hand", "right_hand", "spine",
)  # fmt: skip
# Valid frames of each sequence, as the readme of the test set has them.
TEST_FRAMES = {"TS1": 603, "TS2": 540, "TS3": 505, "TS4": 553, "TS5": 276, "TS6": 452}
SEQUENCES = tuple(TEST_FRAMES)
PUBLISHED_TEST = 2929
# Frames of each sequence, as util/mpii_get_sequence_info.m has them; what is annotated after them has no picture.
TRAIN_FRAMES = {
    "S1/Seq1": 6416, "S1/Seq2": 12430, "S2/Seq1": 6502, "S2/Seq2": 6081, "S3/Seq1": 12488, "S3/Seq2": 12283,
    "S4/Seq1": 6171, "S4/Seq2": 6675, "S5/Seq1": 12820, "S5/Seq2": 12312, "S6/Seq1": 6188, "S6/Seq2": 6145,
    "S7/Seq1": 6239, "S7/Seq2": 6320, "S8/Seq1": 6468, "S8/Seq2": 6054,
}  # fmt: skip
CAMERAS = 14
EVERY = 5
SCALES = {"true": "annot3", "universal": "univ_annot3"}
VIDEO = re.compile(r"video_(\d+)\.avi")
CALIBRATION = re.compile(r"^name\s+(\d+)$.*?^\s*intrinsic\s+([^\n]*)$", re.MULTILINE | re.DOTALL)


def mpi_inf_3dhp_test(source: str | Path, scale: str = "universal", allow_missing: bool = False) -> Dataset:
    """The valid frames of TS1 to TS6; ``scale``: the 3D joints are "universal" (as the authors scored) or "true".

    LiftwildError if pictures or annotations are not where they should be. Source: Mehta et al., 3DV 2017.
    """
    source = Path(source)
    need_folder(source, "TS1 to TS6 of MPI-INF-3DHP's test set")
    if not any((source / name).is_dir() for name in SEQUENCES) and (source / "mpi_inf_3dhp_test_set").is_dir():
        source = source / "mpi_inf_3dhp_test_set"  # what its archive unpacks to
    here = [name for name in SEQUENCES if (source / name).is_dir()]
    if not here:
        raise LiftwildError(f"{source} holds no TS1 to TS6: expected TS1/annot_data.mat, TS1/imageSequence/ and so on")
    parts: list[Part] = []
    odd = []
    for name in here:
        path = source / name / "annot_data.mat"
        joints_2d, joints_3d, frames = read_test_annotations(path, SCALES[scale])
        if len(frames) != TEST_FRAMES[name]:
            odd.append(f"{name} has {len(frames)} valid frames instead of {TEST_FRAMES[name]}")
        files = [_picture(frame) for frame in frames]
        need_photos(source / name / "imageSequence", files, name, "its pictures", allow_missing)
        true_size = read_test_annotations(path, SCALES["true"])[1]
        camera = fit_camera(joints_2d[frames], true_size[frames])
        for start in range(0, len(frames), PEOPLE_A_PART):
            some = frames[start : start + PEOPLE_A_PART]
            part = partial(_read_test, source / name, some, joints_2d[some], joints_3d[some], camera)
            parts.append(Part(f"{name}-{start:06d}", part))
    settings = {"source": str(source.resolve()), "split": "test", "scale": scale}
    lacking = [name for name in SEQUENCES if name not in here]
    warnings = [f"MPI-INF-3DHP test: {', '.join(lacking)} not there"] if lacking else []
    warnings += [f"MPI-INF-3DHP test: {', '.join(odd)}"] if odd else []
    return Dataset("MPI-INF-3DHP test", parts, settings, (PUBLISHED_TEST, PUBLISHED_TEST), warnings, scale)


def read_test_annotations(path: Path, field: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Joints (N, 17, 2) in px and (N, 17, 3) in mm of an ``annot_data.mat``, and its valid frames, counted from 0."""
    joints_2d, joints_3d, valid = load_hdf5(path, "annot2", field, "valid_frame")
    with understood(path, "an annotation of MPI-INF-3DHP's test set"):
        joints_2d, joints_3d, valid = joints_2d.astype(np.float64), joints_3d.astype(np.float64), np.ravel(valid) > 0.5
    for values, size in ((joints_2d, 2), (joints_3d, 3)):
        if values.shape != (len(valid), 1, len(TEST_JOINTS), size):
            raise LiftwildError(f"{path}: annotations are {values.shape}, not (N, 1, {len(TEST_JOINTS)}, {size})")
    return joints_2d[:, 0], joints_3d[:, 0], np.flatnonzero(valid)


def _picture(frame: int) -> str:
    return f"img_{frame + 1:06d}.jpg"


def _read_test(
    folder: Path, frames: np.ndarray, joints_2d: np.ndarray, joints_3d: np.ndarray, camera: Camera | None
) -> Iterator[Sample | Skip]:
    """The people of some frames of one sequence."""
    match = positions(TEST_JOINTS, UNUSED)
    images = photos_of(folder / "imageSequence", map(_picture, frames))
    for frame, flat, space, image in zip(frames, joints_2d, joints_3d, images, strict=True):
        name = f"{folder.name}/imageSequence/{_picture(frame)}"
        if isinstance(image, Skip):
            yield Skip(name, int(frame), image.reason, image.detail)
            continue
        yield labelled_sample(
            image, match, flat, joints_3d=space, camera=camera, source=name, annotation_id=int(frame),
            subject=folder.name, group=folder.name,
        )  # fmt: skip


def mpi_inf_3dhp_train(source: str | Path, scale: str = "true", every: int = EVERY) -> Dataset:
    """Every ``every``-th frame of all videos of the training set that are there; ``scale`` as for the test set.

    LiftwildError if annotations or calibration are not where they should be. Source: Mehta et al., 3DV 2017.
    """
    source = Path(source)
    need_folder(source, "S1/Seq1 and so on of MPI-INF-3DHP's training set")
    folders = sorted(path for path in source.glob("S*/Seq*") if path.is_dir())
    if not folders:
        raise LiftwildError(
            f"{source} holds no S1/Seq1: expected S1/Seq1/annot.mat, camera.calibration and imageSequence/"
        )
    parts: list[Part] = []
    expected = 0  # people in the videos that are there
    for folder in folders:
        videos = sorted(path for path in (folder / "imageSequence").glob("video_*.avi") if VIDEO.fullmatch(path.name))
        if not videos:
            raise LiftwildError(f"{folder / 'imageSequence'} holds no video_0.avi and so on")
        for name in ("annot.mat", "camera.calibration"):
            if not (folder / name).is_file():
                raise LiftwildError(f"no file {folder / name}: the download of this sequence is not complete")
        name = f"{folder.parent.name}-{folder.name}"
        parts += [
            Part(f"{name}-{path.stem}", partial(_read_train, folder, path, SCALES[scale], every)) for path in videos
        ]
        expected += len(videos) * -(-TRAIN_FRAMES.get(_sequence(folder), 0) // every)
    settings = {"source": str(source.resolve()), "split": "train", "scale": scale, "every": every}
    warnings = [
        f"MPI-INF-3DHP train: {there} {what} are there, {published} are published"
        for what, there, published in (
            ("sequences", len(folders), len(TRAIN_FRAMES)),
            ("videos", len(parts), len(TRAIN_FRAMES) * CAMERAS),
        )
        if there != published
    ]
    return Dataset("MPI-INF-3DHP train", parts, settings, (expected, expected), warnings, scale)


def _sequence(folder: Path) -> str:
    return f"{folder.parent.name}/{folder.name}"


def _read_train(folder: Path, video: Path, field: str, every: int) -> Iterator[Sample | Skip]:
    """The people of one video."""
    number, sequence = int(video.stem.rpartition("_")[2]), _sequence(folder)
    flat, space = read_train_annotations(folder / "annot.mat", field, number)
    camera = read_calibration(folder / "camera.calibration").get(number)
    if camera is None:
        camera = fit_camera(*read_train_annotations(folder / "annot.mat", SCALES["true"], number))
    match = positions(TRAIN_JOINTS, UNUSED)
    wanted = range(0, min(len(flat), TRAIN_FRAMES.get(sequence, len(flat))), every)
    name, done = f"{sequence}/{video.name}", -1
    for done, image in video_frames(video, wanted):
        yield labelled_sample(
            image, match, flat[done], joints_3d=space[done], camera=camera, source=f"{name}#{done}",
            annotation_id=done, subject=folder.parent.name, group=sequence,
        )  # fmt: skip
    for frame in wanted:
        if frame > done:
            yield Skip(f"{name}#{frame}", frame, "video ends before its poses")


def read_train_annotations(path: Path, field: str, camera: int) -> tuple[np.ndarray, np.ndarray]:
    """Joints (n, 28, 2) in px and (n, 28, 3) in mm, camera space, of one camera in an ``annot.mat``."""
    variables = load_mat(path, names=["annot2", field])
    with understood(path, f"what MPI-INF-3DHP's training set holds for camera {camera}"):
        both = [
            np.asarray(variables[name].ravel()[camera], dtype=np.float64).reshape(-1, len(TRAIN_JOINTS), size)
            for name, size in (("annot2", 2), (field, 3))
        ]
    if len(both[0]) != len(both[1]):
        raise LiftwildError(f"{path}: camera {camera} has {len(both[0])} poses in px and {len(both[1])} in mm")
    return both[0], both[1]


def read_calibration(path: Path) -> dict[int, Camera]:
    """The cameras of a ``camera.calibration`` by number, from the 4x4 matrix that follows each name."""
    cameras = {}
    for name, numbers in CALIBRATION.findall(path.read_text(encoding="utf-8", errors="replace")):
        try:
            matrix = np.array([float(number) for number in numbers.split()]).reshape(4, 4)
        except ValueError:
            raise LiftwildError(f"{path}: camera {name} has no 4x4 intrinsic matrix") from None
        cameras[int(name)] = Camera(float(matrix[0, 0]), float(matrix[1, 1]), float(matrix[0, 2]), float(matrix[1, 2]))
    return cameras
