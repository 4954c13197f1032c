"""The npz files of mmpose and SPIN, and MPI-INF-3DHP's crops of 368 px, are read as they were written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from liftwild.crop import BOX_MARGIN, Crop
from liftwild.data.augment import Augmentation
from liftwild.data.mixed import MixedBatches, Source
from liftwild.data.readers.mpi_inf_3dhp_crops import has_crops, mpi_inf_3dhp_crops
from liftwild.data.readers.npz_labels import npz_labels, photo_origin
from liftwild.data.store import Store
from liftwild.errors import LiftwildError
from liftwild.skeleton import MPII_16
from tests.support.commands import liftwild
from tests.support.dataset_layouts import (
    CAMERA,
    ELSEWHERE,
    assert_same,
    flat,
    picture_of,
    read,
    skeleton,
    skipped,
    write_3dhp_test,
)
from tests.support.npz_layouts import CENTRE, RECTANGLE, SCALE, write_3dhp_crops, write_npz

MMPOSE_H36M = [
    "S1/S1_Directions_1.54138969/S1_Directions_1.54138969_000001.jpg",
    "S1/S1_Directions_1.54138969/S1_Directions_1.54138969_000006.jpg",
    "S9/S9_WalkingDog.60457274/S9_WalkingDog.60457274_000011.jpg",
]
MMPOSE_3DHP = ["S2_Seq1_Cam4_000001.jpg", "TS3_000017.jpg"]
SPIN_H36M = ["images/S1_Sitting_1.58860488_000001.jpg", "images/S11_TakingPhoto.55011271_000006.jpg"]
SPIN_3DHP = ["S1/Seq2/imageFrames/video_8/frame_000001.jpg", "mpi_inf_3dhp_test_set/TS4/imageSequence/img_000009.jpg"]
ROOT = MPII_16.root


@pytest.mark.parametrize(
    ("kind", "names", "told"),
    [
        ("mmpose h36m", MMPOSE_H36M, [("S1", "Directions")] * 2 + [("S9", "WalkDog")]),
        ("mmpose 3dhp", MMPOSE_3DHP, [("S2", "S2/Seq1"), ("TS3", "TS3")]),
        ("spin", SPIN_H36M, [("S1", "Sitting"), ("S11", "Photo")]),
        ("spin", SPIN_3DHP, [("S1", "S1/Seq2"), ("TS4", "TS4")]),
        ("spin", ["im0001.jpg", "im0002.jpg"], [("", "")] * 2),
    ],
)
def test_npz(tmp_path: Path, kind: str, names: list[str], told: list[tuple[str, str]]) -> None:
    path = write_npz(tmp_path / "labels.npz", kind, names)
    people = read(npz_labels(path, tmp_path / "images"))
    people.sort(key=lambda one: one.annotation_id)
    assert [one.source for one in people] == names and [(one.subject, one.group) for one in people] == told
    for number, one in enumerate(people):
        space = skeleton(number)
        if kind == "spin":  # the pelvis at 0, and no camera
            assert np.allclose(one.joints_3d, space - space[ROOT], atol=1e-3) and one.camera is None
            assert np.allclose(one.joints_2d, flat(number), atol=1e-6) and one.depth_valid.all()
        else:
            assert_same(one, number, CAMERA)
            assert one.camera is not None
        is_h36m = "h36m" in kind or names is SPIN_H36M
        spine = ELSEWHERE - (space[ROOT] if kind == "spin" else 0)
        assert (one.spine_3d is not None) == is_h36m and (not is_h36m or np.allclose(one.spine_3d, spine, atol=1e-6))
        crop = Crop.around(one.box, BOX_MARGIN)
        assert crop.center_px == pytest.approx(CENTRE) and crop.size_px == pytest.approx(200 * SCALE)
        assert np.abs(one.image.astype(int) - picture_of(number)).mean() < 5


def test_npz_with_joints_that_are_not_labelled(tmp_path: Path) -> None:
    path = write_npz(tmp_path / "labels.npz", "spin", ["a.jpg", "b.jpg"])
    part, points = (np.load(path)[name] for name in ("part", "S"))
    wrist, elbow, own_head, other_head = 6, 7, 13, 18  # SPIN's numbers
    part[0, wrist, 2] = points[0, elbow, 3] = 0
    part[1, own_head], part[1, other_head] = (33, 44, 1), (0, 0, 0)
    write_npz(path, "spin", ["a.jpg", "b.jpg"], part=part, S=points)
    first, second = read(npz_labels(path, tmp_path / "images"))
    names = MPII_16.names
    assert [names[i] for i in np.flatnonzero(~first.joints_2d_valid)] == ["right_wrist"]
    assert [names[i] for i in np.flatnonzero(~first.depth_valid)] == ["right_elbow"]
    assert second.joints_2d[names.index("head_top")].tolist() == [33, 44]  # the one that this person has
    assert np.allclose(first.joints_2d[names.index("head_top")], flat(0)[names.index("head_top")])


@pytest.mark.parametrize(("gone", "flat_too", "three"), [("S", True, False), ("part", False, True)])
def test_npz_with_one_kind_of_joints(tmp_path: Path, gone: str, flat_too: bool, three: bool) -> None:
    without: dict[str, Any] = {gone: None}
    path = write_npz(tmp_path / "h36m_valid_protocol1.npz", "spin", SPIN_H36M, **without)
    out = tmp_path / "x.arrow"
    done = liftwild("prepare", "npz", path, tmp_path / "images", "-o", out)
    assert "2 people of 2 photos" in done.output
    store = Store(out)
    assert store.column("joints_2d_valid").all() == flat_too == store.column("joints_2d_valid").any()
    assert store.column("depth_valid").all() == three == store.column("depth_valid").any()
    assert store[0].camera is None and np.isfinite(store.column("spine_3d")).all() == three
    # Without the one or the other nothing is learned of it, and nothing is not a number.
    source = Source([store], [1.0], Augmentation())
    batch = MixedBatches(source, source, 0.5, (0, 4), 64, (0,))[0]
    assert batch["joints_2d_valid"].any().item() == flat_too and not batch["depth_valid"].any()
    assert all(values.isfinite().all() for values in batch.values())


def test_npz_that_is_another(tmp_path: Path) -> None:
    path = tmp_path / "labels.npz"
    images = tmp_path / "images"

    def refused(kind: str, names: list[str], text: str, **changed: Any) -> None:
        write_npz(path, kind, names, **changed)
        with pytest.raises(LiftwildError) as caught:
            npz_labels(path, images)
        assert text in str(caught.value) and "\n" not in str(caught.value) and "labels.npz" in str(caught.value)

    refused("spin", ["a.jpg"], "lacks center; it holds imgname", center=None)
    refused("spin", ["a.jpg"], "has neither part nor S", part=None, S=None)
    refused("spin", ["a.jpg"], "not (N,), (N, 2) and (N,)", center=np.zeros((2, 2)))
    refused("spin", ["a.jpg"], "S is (1, 17, 4), not (1, K, 4)", S=np.zeros((1, 17, 4)))
    refused("spin", ["a.jpg"], "part is (1, 24, 2)", part=np.zeros((1, 24, 2)))
    refused("spin", ["a.jpg"], "19 joints, neither 17 as of mmpose nor 24", part=np.zeros((1, 19, 3)), S=None)
    refused("mmpose h36m", ["a.jpg"], "17 joints, but names such as a.jpg are neither mmpose's of Human3.6M")
    in_mm = np.random.default_rng(0).normal(0, 800, (1, 24, 4))
    refused("spin", ["a.jpg"], "S is not in m: people span ", S=np.abs(in_mm))
    objects = np.empty(1, dtype=object)
    objects[0] = "a.jpg"
    refused("spin", ["a.jpg"], "imgname holds Python objects, which are never unpickled", imgname=objects)
    content = path.read_bytes()
    for left in (0, len(content) // 2):
        path.write_bytes(content[:left])
        with pytest.raises(LiftwildError, match=r"is no .npz file, or damaged"):
            npz_labels(path, images)
    with pytest.raises(LiftwildError, match=r"nothing.npz: no such file"):
        npz_labels(tmp_path / "nothing.npz", images)


def test_npz_photos(tmp_path: Path) -> None:
    path = write_npz(tmp_path / "labels.npz", "mmpose h36m", MMPOSE_H36M)
    images = tmp_path / "images"
    (images / MMPOSE_H36M[2]).unlink()
    with pytest.raises(LiftwildError, match=r"images lacks 1 of the 3 photos of labels.npz, such as S9/S9_WalkingDog"):
        npz_labels(path, images)
    assert [one.reason for one in skipped(npz_labels(path, images, allow_missing=True))] == ["photo cannot be read"]
    with pytest.raises(LiftwildError, match=r"holds none of the 3 photos of labels.npz"):
        npz_labels(path, images / "S9", allow_missing=True)
    (tmp_path / "secret.jpg").write_bytes((images / MMPOSE_H36M[0]).read_bytes())
    write_npz(path, "spin", ["a.jpg"], imgname=np.array(["../secret.jpg"]))
    with pytest.raises(LiftwildError, match=r"labels.npz names a photo outside of .*images: '../secret.jpg'"):
        npz_labels(path, images, allow_missing=True)


def test_who_is_in_a_photo() -> None:
    assert photo_origin("x/S5_SittingDown.54138969_002061.jpg").group == "SittingDown"
    assert photo_origin("S5_Dancing.54138969_002061.jpg").group == ""  # no action of Human3.6M
    assert photo_origin("S1/Seq1/imageFrames/video_0/frame_000001.jpg").camera == "S1 Seq1 video_0"
    for other in ("im0001.jpg", "S1_Seq1_000001.jpg", "TS3.jpg", "000000397133.jpg"):
        assert photo_origin(other).data_set == ""


# --- MPI-INF-3DHP in crops ---


@pytest.mark.parametrize("told", ["cells", "array", ""])
def test_3dhp_crops(tmp_path: Path, told: str) -> None:
    write_3dhp_crops(tmp_path, "TS2", 4, flat=told)
    assert has_crops(tmp_path)
    dataset = mpi_inf_3dhp_crops(tmp_path)
    people = read(dataset)
    assert [one.source for one in people] == [f"TS2/bb_cropped_data.mat#{frame}" for frame in (0, 1, 3)]
    for one in people:
        assert np.allclose(one.joints_3d, skeleton(one.annotation_id), atol=1e-3) and one.depth_valid.all()
        assert (one.subject, one.group, one.camera, one.spine_3d) == ("TS2", "TS2", None, None)
        crop = Crop.around(one.box, BOX_MARGIN)
        assert crop.center_px == (184, 184) and crop.size_px == pytest.approx(368)
        assert one.joints_2d_valid.all() == bool(told) == one.joints_2d_valid.any()
        if told:
            x, y, w, h = RECTANGLE
            expected = (flat(one.annotation_id) - (x + w / 2, y + h / 2)) * 368 / h + 184
            known = [i for i, name in enumerate(MPII_16.names) if name != "thorax"]
            assert np.allclose(one.joints_2d[known], expected[known], atol=1e-6)
        assert one.image.shape == (368, 368, 3) and not one.image[:10].any()
        assert one.image[200, 100].tolist() == [13, 26, 230]  # red, green, blue: blue is 0.9
        assert one.image[200, 300].tolist() == [166, 166, 166]
    said = " ".join(dataset.warnings)
    assert "TS1, TS3, TS4, TS5, TS6 not there" in said and "TS2 has 3 valid frames instead of 540" in said
    assert ("no 2D joints of TS2: " in said) == (not told) and dataset.published == (2929, 2929)


def test_3dhp_crops_that_are_others(tmp_path: Path) -> None:
    folder = write_3dhp_crops(tmp_path, "TS1", 2)
    with pytest.raises(LiftwildError, match=r"--scale true: bb_cropped_data.mat holds the universal scale alone"):
        mpi_inf_3dhp_crops(tmp_path, "true")
    out = tmp_path / "x.arrow"
    done = liftwild("prepare", "mpi-inf-3dhp", tmp_path, "--split", "test", "-o", out)
    assert "2 people of 2 photos" in done.output and set(Store(out).column("group").tolist()) == {"TS1"}
    with h5py.File(folder / "bb_cropped_data.mat", "a") as file:
        file["images"][0, 1] = file.create_dataset("#refs#/other", data=np.zeros((1, 3, 368, 368))).ref
    with pytest.raises(LiftwildError, match=r"a frame of images is \(1, 3, 368, 368\), not \(2 or more, 3, 368, 368\)"):
        read(mpi_inf_3dhp_crops(tmp_path))
    (tmp_path / "MPI-INF-3DHP_crop_info" / "TS1_crop_info.mat").write_bytes(b"half")
    with pytest.raises(LiftwildError, match=r"TS1_crop_info.mat cannot be read, perhaps a half download"):
        mpi_inf_3dhp_crops(tmp_path)
    write_3dhp_test(tmp_path / "both", "TS1", 2)
    (tmp_path / "both" / "TS1" / "bb_cropped_data.mat").touch()
    assert not has_crops(tmp_path / "both")  # the released layout holds more
