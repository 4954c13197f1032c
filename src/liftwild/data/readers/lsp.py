"""Reader of Leeds Sports Pose (LSP) and its extended training set (LSPET): ``joints.mat`` and ``images/``.

They differ in the order of axes, (3, 14, 2000) and (14, 3, 10000), and in what the third number means: in LSP 1 says
that a joint is hidden, and all are labelled; in LSPET 0 says that it is not labelled, and its coordinates mean nothing
(in the real files 7 % of LSP's flags are 1 and none of these joints has a coordinate below 1; 12 % of LSPET's are 0
and 99 % of these joints have a coordinate below 0). The documents do not say where a pixel lies: coordinates are taken
as px.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from liftwild.data.dataset import Dataset
from liftwild.data.labels import Skip, labelled_sample, positions
from liftwild.data.readers.common import blocks, need_folder, need_photos, photos_of
from liftwild.data.readers.file_formats import load_mat
from liftwild.errors import LiftwildError
from liftwild.sample import Sample

JOINTS = (
    "right_ankle", "right_knee", "right_hip", "left_hip", "left_knee", "left_ankle", "right_wrist", "right_elbow",
    "right_shoulder", "left_shoulder", "left_elbow", "left_wrist", "neck", "head_top",
)  # fmt: skip
EXPECTED = "joints.mat and images/ of LSP or LSPET"
LSP_TRAIN = 1000  # of LSP's 2,000 photos the first
PUBLISHED = {("LSP", "train"): 1000, ("LSP", "test"): 1000, ("LSPET", "train"): 10_000}


def lsp(source: str | Path, split: str, allow_missing: bool = False) -> Dataset:
    """LSP's photos of ``split`` ("train": 1 to 1000, "test": 1001 to 2000), or LSPET's 10,000, all "train".

    LiftwildError if photos or joints are not where they should be. Source: Johnson & Everingham, BMVC 2010, CVPR 2011.
    """
    source = Path(source)
    need_folder(source, EXPECTED)
    name, joints, valid = read_lsp_joints(source / "joints.mat")
    if (name, split) not in PUBLISHED:
        raise LiftwildError(f"{source / 'joints.mat'} is of LSPET, which has no split {split!r}, only 'train'")
    digits = 4 if name == "LSP" else 5
    numbers = range(1, len(joints) + 1)
    if name == "LSP":
        numbers = numbers[:LSP_TRAIN] if split == "train" else numbers[LSP_TRAIN:]
    files = {number: f"im{number:0{digits}d}.jpg" for number in numbers}
    images, title = source / "images", f"{name} {split}"
    need_photos(images, files.values(), title, f"{name}'s photos", allow_missing)

    def read(some: Sequence[int]) -> Iterator[Sample | Skip]:
        for number, image in zip(some, photos_of(images, (files[number] for number in some)), strict=True):
            if isinstance(image, Skip):
                yield Skip(image.file_name, number, image.reason, image.detail)
                continue
            yield labelled_sample(
                image, positions(JOINTS), joints[number - 1], valid=valid[number - 1], source=files[number],
                annotation_id=number,
            )  # fmt: skip

    settings = {"source": str(source.resolve()), "split": split}
    count = PUBLISHED[name, split]
    return Dataset(title, blocks("photos", numbers, read), settings, (count, count))


def read_lsp_joints(path: Path) -> tuple[str, np.ndarray, np.ndarray]:
    """ "LSP" or "LSPET" by the order of axes, joints (N, 14, 2) in px, and which are labelled (N, 14)."""
    joints = np.asarray(load_mat(path, names=["joints"]).get("joints"))
    shape = joints.shape
    if joints.dtype.kind not in "iuf" or len(shape) != 3 or shape[:2] not in ((3, len(JOINTS)), (len(JOINTS), 3)):
        raise LiftwildError(f"{path} does not hold joints of LSP (3, 14, N) or LSPET (14, 3, N), but {shape}")
    if shape[0] == 3:
        people = np.transpose(joints, (2, 1, 0)).astype(np.float64)
        return "LSP", people[..., :2], np.ones(people.shape[:2], dtype=bool)
    people = np.transpose(joints, (2, 0, 1)).astype(np.float64)
    return "LSPET", people[..., :2], people[..., 2] > 0
