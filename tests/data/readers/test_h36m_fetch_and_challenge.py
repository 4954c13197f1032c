"""Human3.6M as h36m-fetch leaves it, and the challenge of ECCV 2018, are read as they were written."""

from __future__ import annotations

import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

from liftwild.data.readers.h36m import H36MOptions
from liftwild.data.readers.h36m_challenge import h36m_challenge
from liftwild.data.readers.h36m_fetch import h36m_fetch
from liftwild.errors import LiftwildError
from liftwild.skeleton import MPII_16
from tests.support.dataset_layouts import (
    CAMERA,
    ELSEWHERE,
    assert_same,
    picture_of,
    read,
    skeleton,
    skipped,
)
from tests.support.h36m_layouts import (
    FLAT_PX_PER_MM,
    seen_flat,
    write_h36m_challenge,
    write_h36m_fetch,
)

SPINE = ELSEWHERE  # where the layouts' writers put joints that MPII lacks

# --- h36m-fetch ---


@pytest.mark.parametrize("below", ["", "processed"])
def test_h36m_fetch(tmp_path: Path, below: str) -> None:
    write_h36m_fetch(tmp_path / below, 11, "Directions-2", 2, (0, 64), cameras=(1, 3))
    write_h36m_fetch(tmp_path / below, 1, "WalkingDog-1", 15, (0, 7, 10))
    dataset = h36m_fetch(tmp_path, "test")
    people = read(dataset)
    assert [part.name for part in dataset.parts] == ["S11-Directions-2-58860488"]  # camera 1 is the broken one
    assert [one.source for one in people] == [
        f"S11/Directions-2/imageSequence/58860488/img_{number:06d}.jpg" for number in (1, 65)
    ]
    for one in people:
        assert_same(one, one.annotation_id, CAMERA)
        assert one.camera is not None and (one.subject, one.group) == ("S11", "Directions")
        assert one.spine_3d is not None and np.allclose(one.spine_3d, SPINE)
        assert np.abs(one.image.astype(int) - picture_of(one.annotation_id)).mean() < 5
    assert dataset.published is None and "1 of 239 videos are there" in dataset.warnings[0]
    assert len(read(h36m_fetch(tmp_path, "test", H36MOptions(keep_broken=True)))) == 4
    train = h36m_fetch(tmp_path, "train")
    assert [one.annotation_id for one in read(train)] == [0, 7, 10] * 2
    assert [one.annotation_id for one in read(h36m_fetch(tmp_path, "train", H36MOptions(every=5)))] == [0, 10] * 2


def test_h36m_fetch_that_is_another(tmp_path: Path) -> None:
    path = write_h36m_fetch(tmp_path, 9, "Posing-1", 7, (0,))
    with pytest.raises(LiftwildError, match=r"holds nobody of Human3.6M train, only of other subjects"):
        h36m_fetch(tmp_path, "train")
    write_h36m_fetch(tmp_path / "processed", 9, "Posing-1", 7, (0,))
    with pytest.raises(LiftwildError, match="holds S9-Posing-1-54138969 twice: leave one of the two folders in it"):
        h36m_fetch(tmp_path, "test")
    shutil.rmtree(tmp_path / "processed")
    with h5py.File(path, "a") as file:
        file["camera"][:] = 12
    with pytest.raises(LiftwildError, match=r"annot.h5 is not h36m-fetch's annotation of Human3.6M: cameras \[12\]"):
        h36m_fetch(tmp_path, "test")
    with h5py.File(path, "a") as file:
        file["camera"][:] = 54138969
        del file["pose/3d"]  # as its first versions wrote it
    with pytest.raises(LiftwildError, match=r"annot.h5 .* lacks a field, .*3d"):
        read(h36m_fetch(tmp_path, "test"))


# --- The challenge of ECCV 2018 ---


@pytest.mark.parametrize("below", ["", "ECCV18_Challenge"])
def test_h36m_challenge(tmp_path: Path, below: str) -> None:
    root = tmp_path / "data"
    keypoints = write_h36m_challenge(root / below, "Val", 2)
    with pytest.raises(
        LiftwildError, match=r"has no 2D joints and no boxes: make some with 'liftwild predict .*Val/IMG"
    ):
        h36m_challenge(root, "test")
    dataset = h36m_challenge(root, "test", H36MOptions(keypoints=keypoints))
    people = read(dataset)
    assert [one.source for one in people] == ["Val/IMG/00001.jpg", "Val/IMG/00002.jpg"]
    assert dataset.published == (19_312, 19_312)
    for one in people:
        space = skeleton(one.annotation_id)
        root_mm = space[MPII_16.root]
        assert np.allclose(one.joints_3d, space - root_mm, atol=0.2) and one.depth_valid.all()
        # The wrist that the keypoints lack is there, too: all are the 3D ones, scaled and moved.
        assert one.joints_2d_valid.all() and np.allclose(one.joints_2d, seen_flat(one.annotation_id), atol=0.05)
        assert one.spine_3d is not None and np.allclose(one.spine_3d, SPINE - root_mm, atol=0.2)
        assert one.camera is None and (one.subject, one.group) == ("", "")
        assert one.box == (60, 20, 170, 200)  # of the larger of two in the keypoints
        scale = np.linalg.norm(one.joints_2d[0] - one.joints_2d[1]) / np.linalg.norm((space[0] - space[1])[:2])
        assert scale == pytest.approx(FLAT_PX_PER_MM, rel=1e-3)
    with pytest.raises(LiftwildError, match=r"Train holds no POSE/00001.csv"):
        h36m_challenge(root, "train", H36MOptions(keypoints=keypoints))


def test_h36m_challenge_that_is_not_whole(tmp_path: Path) -> None:
    root = tmp_path / "data"
    keypoints = write_h36m_challenge(root, "Val", 3)
    (tmp_path / "folder").mkdir()
    keypoints.rename(tmp_path / "folder" / "all.coco.json")
    for other in ("all.coco-results.json", "00001.json"):  # of 'predict --format json,coco'
        (tmp_path / "folder" / other).write_text("[]")
    options = H36MOptions(keypoints=tmp_path / "folder")
    assert len(read(h36m_challenge(root, "test", options))) == 3
    (tmp_path / "empty").mkdir()
    with pytest.raises(LiftwildError, match=r"empty holds nobody: COCO keypoints of the pictures are expected there"):
        h36m_challenge(root, "test", H36MOptions(keypoints=tmp_path / "empty"))
    pose = root / "Val" / "POSE" / "00002.csv"
    whole = pose.read_text()
    pose.write_text(whole[: len(whole) // 2])
    with pytest.raises(LiftwildError, match=r"00002.csv is not a pose, perhaps a half download"):
        read(h36m_challenge(root, "test", options))
    pose.write_text(whole)
    image = root / "Val" / "IMG" / "00003.jpg"
    image.rename(root / "Val" / "IMG" / "00009.jpg")
    with pytest.raises(
        LiftwildError, match=r"lacks 1 of the 3 photos of challenge of Human3.6M Val, such as 00003.jpg"
    ):
        h36m_challenge(root, "test", options)
    image.write_bytes((root / "Val" / "IMG" / "00009.jpg").read_bytes())
    (root / "Val" / "POSE" / "00009.csv").write_text(whole)
    (alone,) = skipped(h36m_challenge(root, "test", options))
    assert str(alone) == "00009.jpg, annotation 9: nobody in the keypoints"
