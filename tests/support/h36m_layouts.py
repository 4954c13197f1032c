"""Human3.6M in each of its layouts, of people known in mm with their camera (``dataset_layouts.Cast``)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import cdflib.cdfwrite
import h5py
import numpy as np
from scipy.io import savemat

from liftwild.camera import Camera
from liftwild.data.readers import h36m
from liftwild.data.readers.h36m_annot import JOINTS as ANNOT_JOINTS
from liftwild.skeleton import MPII_16
from tests.support.dataset_layouts import CAMERA, CROPPED, FILMED, HEIGHT, MADE_UP, WIDTH, Cast, skeleton
from tests.support.images import write_photo
from tests.support.videos import encode_video


def write_h36m_folder(source: Path, key: h36m.Key, frames: int, cast: Cast = CROPPED) -> Path:
    """One preprocessed folder; as in the real ones every fifth picture is there, and the columns between are 0."""
    name = h36m.folder_name(key)
    flat_2d, space = np.zeros((17 * 2, frames)), np.zeros((17 * 3, frames))
    for frame in range(0, frames, 5):
        flat_2d[:, frame] = cast.flat_in(h36m.JOINTS, frame).ravel()
        space[:, frame] = cast.space_in(h36m.JOINTS, frame).ravel()
        write_photo(source / name / f"{name}_{frame + 1:06d}.jpg", cast.picture(frame))
    meta = {"Y2d": flat_2d, "Y3d_mono": space, "bbox": np.ones((4, frames)), "num_images": frames}
    savemat(source / name / "matlab_meta.mat", meta)
    return source / name


# What the official files call their 32 joints, and what they call the 17.
NAMES_32 = (
    "Hips", "RightUpLeg", "RightLeg", "RightFoot", "RightToeBase", "Site", "LeftUpLeg", "LeftLeg", "LeftFoot",
    "LeftToeBase", "Site", "Spine", "Spine1", "Neck", "Head", "Site", "LeftShoulder", "LeftArm", "LeftForeArm",
    "LeftHand", "LeftHandThumb", "Site", "L_Wrist_End", "Site", "RightShoulder", "RightArm", "RightForeArm",
    "RightHand", "RightHandThumb", "Site", "R_Wrist_End", "Site",
)  # fmt: skip
RECORDED = {
    "pelvis": "Hips", "right_hip": "RightUpLeg", "right_knee": "RightLeg", "right_ankle": "RightFoot",
    "left_hip": "LeftUpLeg", "left_knee": "LeftLeg", "left_ankle": "LeftFoot", "spine": "Spine1", "neck": "Neck",
    "jaw": "Head", "head_top": "Site", "left_shoulder": "LeftArm", "left_elbow": "LeftForeArm",
    "left_wrist": "LeftHand", "right_shoulder": "RightArm", "right_elbow": "RightForeArm", "right_wrist": "RightHand",
}  # fmt: skip


def recorded(cast: Cast, frame: int, size: int) -> np.ndarray:
    """The 32 joints (32, size) of a frame, in px (2) or mm (3); 0 where none of the 17 is."""
    rows = np.zeros((32, size))
    known = (cast.space_in if size == 3 else cast.flat_in)(h36m.JOINTS, frame)
    for name, joint in zip(h36m.JOINTS, known, strict=True):
        places = [i for i, other in enumerate(NAMES_32) if other == RECORDED[name]]
        rows[places[2] if name == "head_top" else places[0]] = joint  # the Site after Head
    return rows


def write_h36m_video(
    source: Path, subject: int, stem: str, frames: int, flat_too: bool = True, cast: Cast = FILMED
) -> Path:
    """One official video with its poses; D2_Positions if ``flat_too``."""
    folder = source / f"S{subject}"
    video = encode_video(folder / "Videos" / f"{stem}.mp4", map(cast.picture, range(frames)), fps=50.0)
    for kind, size in (("D3_Positions_mono", 3), ("D2_Positions", 2)):
        rows = np.stack([recorded(cast, frame, size) for frame in range(frames)])
        if size == 3 or flat_too:
            write_cdf(folder / "MyPoseFeatures" / kind / f"{stem}.cdf", rows.reshape(1, frames, -1))
    return video


def write_h36m_boxes(source: Path, subject: int, stem: str, boxes: Sequence[tuple[int, int, int, int] | None]) -> Path:
    """The data set's boxes of a video: corners left, top, right, bottom in px; None: an empty mask."""
    path = source / f"S{subject}" / "MySegmentsMat" / "ground_truth_bb" / f"{stem}.mat"
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        refs = file.create_dataset("Masks", (len(boxes), 1), dtype=h5py.ref_dtype)
        for frame, box in enumerate(boxes):
            mask = np.zeros((WIDTH, HEIGHT), dtype=np.uint8)
            if box is not None:
                mask[box[0] : box[2], box[1] : box[3]] = 1
            refs[frame, 0] = file.create_dataset(f"#refs#/{frame}", data=mask).ref
    return path


def write_cdf(path: Path, values: np.ndarray) -> None:
    """A CDF file with one variable Pose (1, n, D)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with cdflib.cdfwrite.CDF(path, cdf_spec={"Compressed": 0}, delete=True) as cdf:
        spec = {"Variable": "Pose", "Data_Type": 45, "Num_Elements": 1, "Rec_Vary": True,
                "Dim_Sizes": list(values.shape[1:])}  # fmt: skip
        cdf.write_var(spec, var_data=values)


def write_metadata(source: Path, camera: Camera = CAMERA) -> None:
    """``metadata.xml`` with one camera four times, without distortion."""
    lens = [camera.fx, camera.fy, camera.cx, camera.cy, 0, 0, 0, 0, 0]
    numbers = " ".join(str(number) for number in [*range(264), *(lens * 4)])
    (source / "metadata.xml").write_text(f"<doc><mapping/><w0>[{numbers}]</w0></doc>")


def write_h36m_annot(
    source: Path, name: str, rows: Sequence[tuple[h36m.Key, int]], images: str = "", cast: Cast = CROPPED
) -> Path:
    """The authors' annotation ``name``, a row for each (video, frame from 0 on), in this order, and the crops."""
    source.mkdir(parents=True, exist_ok=True)
    keys, frames = zip(*rows, strict=True)
    with h5py.File(source / name, "w") as file:
        file["id"] = [frame + 1 for frame in frames]
        for column, values in zip(("subject", "action", "subaction", "camera"), zip(*keys, strict=True), strict=True):
            file[column] = list(values)
        file["istrain"] = [int(key[0] in h36m.SUBJECTS["train"]) for key in keys]
        file["joint_2d"] = np.stack([cast.flat_in(ANNOT_JOINTS, frame) for frame in frames])
        file["joint_3d_mono"] = np.stack([cast.space_in(ANNOT_JOINTS, frame) for frame in frames])
        file["bbox"] = np.ones((len(rows), 4))
    for key, frame in rows:
        folder = h36m.folder_name(key)
        write_photo(source / images / folder / f"{folder}_{frame + 1:06d}.jpg", cast.picture(frame))
    return source / name


def write_h36m_fetch(
    source: Path, subject: int, take: str, action: int, frames: Sequence[int], cameras: Sequence[int] = (1, 3),
    cast: Cast = MADE_UP,
) -> Path:  # fmt: skip
    """``annot.h5`` of h36m-fetch for a take such as "Directions-1", frames from 0 on, and its pictures."""
    folder = source / f"S{subject}" / take
    folder.mkdir(parents=True, exist_ok=True)
    every = [(camera, frame) for camera in cameras for frame in frames]
    lens = [cast.camera.fx, cast.camera.cx, cast.camera.fy, cast.camera.cy]
    with h5py.File(folder / "annot.h5", "w") as file:
        file["pose/2d"] = np.stack([recorded(cast, frame, 2) for _, frame in every])
        file["pose/3d"] = np.stack([recorded(cast, frame, 3) for _, frame in every])
        file["pose/3d-univ"] = file["pose/3d"][:] * 0.9
        file["frame"] = [frame + 1 for _, frame in every]
        file["camera"] = [int(h36m.CAMERA_IDS[camera - 1]) for camera, _ in every]
        for name, value in (("subject", subject), ("action", action), ("subaction", int(take[-1]))):
            file[name] = np.full(len(every), value)
        for camera in cameras:
            file[f"intrinsics/{h36m.CAMERA_IDS[camera - 1]}"] = np.array(lens)
    for camera, frame in every:
        write_photo(
            folder / "imageSequence" / h36m.CAMERA_IDS[camera - 1] / f"img_{frame + 1:06d}.jpg", cast.picture(frame)
        )
    return folder / "annot.h5"


FLAT_PX_PER_MM, FLAT_SHIFT = 0.05, np.array([150.0, 120.0])


def seen_flat(number: int) -> np.ndarray:
    """The joints (16, 2) px of a challenge's picture: x and y of the 3D ones, scaled and moved."""
    space = skeleton(number)
    return (space - space[MPII_16.root])[:, :2] * FLAT_PX_PER_MM + FLAT_SHIFT


def write_h36m_challenge(source: Path, split: str, people: int, cast: Cast = MADE_UP) -> Path:
    """The challenge of ECCV 2018, pictures numbered from 1 on, and COCO keypoints of them; the path of the latter."""
    images, annotations = [], []
    for number in range(1, people + 1):
        write_photo(source / split / "IMG" / f"{number:05d}.jpg", cast.picture(number))
        joints = cast.space_in(h36m.JOINTS, number)
        lines = [",".join(f"{value:.5g}" for value in joint) for joint in joints - joints[0]]
        pose = source / split / "POSE" / f"{number:05d}.csv"
        pose.parent.mkdir(parents=True, exist_ok=True)
        pose.write_text("\n".join(lines) + "\n")
        seen = np.concatenate([seen_flat(number), np.full((16, 1), 2)], axis=1)
        seen[10] = 0  # a wrist that nobody found
        images.append({"id": number, "file_name": f"{number:05d}.jpg"})
        small = {"id": 100 + number, "image_id": number, "category_id": 1, "bbox": [0, 0, 9, 9],
                 "keypoints": np.tile([4, 4, 2], 16).tolist()}  # fmt: skip
        whole = {"id": number, "image_id": number, "category_id": 1, "bbox": [60, 20, 170, 200],
                 "keypoints": seen.ravel().tolist()}  # fmt: skip
        annotations += [small, whole]
    labels = {"images": images, "annotations": annotations, "categories": [{"id": 1, "keypoints": MPII_16.names}]}
    path = source.parent / f"{split}.coco.json"
    path.write_text(json.dumps(labels))
    return path
