"""Each data set is read as it was written: the skeletons, the pictures, who is left out."""

from __future__ import annotations

import os
from pathlib import Path

import h5py
import numpy as np
import pytest

from liftwild.camera import Camera, fit_camera
from liftwild.crop import BOX_MARGIN, Crop
from liftwild.data.labels import positions
from liftwild.data.readers import h36m, h36m_videos, lsp, mpi_inf_3dhp, mpii
from liftwild.errors import LiftwildError
from liftwild.sample import Sample
from liftwild.skeleton import MPII_16, canonical_name
from tests.support.dataset_layouts import (
    CAMERA,
    CENTRE,
    CROP_CAMERA,
    HEAD_PX,
    HEIGHT,
    SCALE,
    WIDTH,
    flat,
    grey,
    picture_of,
    read,
    skeleton,
    skipped,
    write_3dhp_test,
    write_3dhp_train,
    write_h36m_folder,
    write_h36m_video,
    write_lsp,
    write_metadata,
    write_mpii,
)
from tests.support.paths import ROOT
from tests.support.poses import pose

SHARED = Path(os.environ.get("LIFTWILD_SHARED", ROOT.parent / "shared"))
LAYOUTS = SHARED / "data" / "layouts"
real = pytest.mark.skipif(
    not LAYOUTS.is_dir(), reason=f"no real annotation files in {LAYOUTS}; LIFTWILD_SHARED says where"
)
NECK, HEAD = MPII_16.index("upper_neck"), MPII_16.index("head_top")


def assert_same(one: Sample, number: int, camera: Camera | None, three: bool = True, scale: float = 1.0) -> None:
    """Whether a sample is the skeleton of that number as it was written."""
    seen = one.joints_2d_valid
    assert np.allclose(one.joints_2d[seen], flat(number, camera or CAMERA)[seen], atol=1e-4)
    assert one.has_3d == three and (one.depth_valid.all() or not three)
    if three:
        assert np.allclose(one.joints_3d, skeleton(number) * scale, atol=1e-3)
    if one.camera is not None:
        assert np.allclose(one.camera.K, (camera or CAMERA).K, atol=0.05)


# --- MPII ---


@pytest.mark.parametrize(("layout", "moved"), [("h5", True), ("h5", False), ("json", False), ("mat", False)])
def test_mpii(tmp_path: Path, layout: str, moved: bool) -> None:
    split = "train" if layout == "mat" else "val"
    people = read(mpii.mpii(write_mpii(tmp_path, layout, split, moved=moved), split))
    assert [(one.source, one.annotation_id) for one in people] == [("000000000.jpg", 0), ("000000001.jpg", 1)]
    for number, one in enumerate(people):
        assert_same(one, number, CAMERA, three=False)
        assert one.joints_2d_valid.sum() == 16 - (number == 0) and one.joints_2d_valid[1:].all()
        neck_to_head = np.linalg.norm(flat(number)[NECK] - flat(number)[HEAD])
        assert one.head_size_px == pytest.approx(0.75 * neck_to_head if layout == "json" else HEAD_PX)
        # The authors' crop: centre moved down by 15 * scale, 200 * 1.25 * scale px wide; both 1-based.
        crop = Crop.around(one.box, BOX_MARGIN)
        assert crop.center_px == pytest.approx((CENTRE[0] - 0.5, CENTRE[1] + 15 * SCALE - 0.5))
        assert crop.size_px == pytest.approx(200 * 1.25 * SCALE)
        assert one.image.shape == (HEIGHT, WIDTH, 3)
        assert np.abs(one.image.astype(int) - picture_of(number)).mean() < 5


def test_mpii_layouts_have_an_order(tmp_path: Path) -> None:
    for layout in ("json", "h5"):
        write_mpii(tmp_path, layout)
    assert "valid.h5" in mpii.mpii(tmp_path, "val").title
    write_mpii(tmp_path, "mat")
    assert mpii.MAT in mpii.mpii(tmp_path, "train").title
    (tmp_path / "annot" / "valid.h5").unlink()
    (tmp_path / "annot" / "valid.json").unlink()
    with pytest.raises(LiftwildError, match=r"does not hold the validation split: put valid.h5 or valid.json"):
        mpii.mpii(tmp_path, "val")


def test_mpii_names_as_numbers(tmp_path: Path) -> None:
    """The Torch code keeps letters as numbers, padded with 0."""
    write_mpii(tmp_path, "h5")
    with h5py.File(tmp_path / "annot" / "valid.h5", "a") as file:
        names = file["imgname"][:]
        del file["imgname"]
        file["imgname"] = np.stack([np.frombuffer(name.ljust(16, b"\0"), np.uint8) for name in names]).astype(float)
    assert [row.image for row in mpii.h5_rows(tmp_path / "annot" / "valid.h5")] == ["000000000.jpg", "000000001.jpg"]


@real
def test_mpii_real_files() -> None:
    rows = mpii.h5_rows(LAYOUTS / "mpii" / "annot" / "valid.h5")
    assert len(rows) == 2958 == mpii.PUBLISHED["val"][0]
    assert all(row.head_size_px and row.scale > 0 for row in rows)
    # The centres are MPII's own again: whole numbers.
    centres = np.stack([row.centre for row in rows])
    assert np.abs(centres - centres.round()).max() < 1e-3
    entries = mpii.json_rows(LAYOUTS / "mpii" / "annot" / "sample.json")
    assert len(entries) == 5
    for row, entry in zip(rows, entries, strict=False):
        assert row.image == entry.image and np.array_equal(row.valid, entry.valid)
        assert np.allclose(row.centre, entry.centre, atol=1e-3) and row.scale == pytest.approx(entry.scale, rel=1e-5)
        assert np.abs(row.joints - entry.joints)[row.valid].max() < 1  # the h5 holds them cut to whole numbers
        assert row.head_size_px == pytest.approx(entry.head_size_px, rel=1e-6)


# --- LSP ---


@pytest.mark.parametrize(("name", "split"), [("LSP", "train"), ("LSPET", "train")])
def test_lsp(tmp_path: Path, name: str, split: str) -> None:
    people = read(lsp.lsp(write_lsp(tmp_path, name, 3), split))
    assert len(people) == 3 and people[1].source == ("im0002.jpg" if name == "LSP" else "im00002.jpg")
    for number, one in enumerate(people):
        assert_same(one, number, CAMERA, three=False)
        assert one.annotation_id == number + 1
        # A hidden joint is labelled in LSP; a joint with flag 0 is not in LSPET.
        assert one.joints_2d_valid[0] == (name == "LSP" or number > 0) and one.joints_2d_valid[1:].all()


def test_lsp_splits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lsp, "LSP_TRAIN", 2)
    write_lsp(tmp_path, "LSP", 3)
    assert [one.annotation_id for one in read(lsp.lsp(tmp_path, "train"))] == [1, 2]
    assert [one.annotation_id for one in read(lsp.lsp(tmp_path, "test"))] == [3]
    with pytest.raises(LiftwildError, match="LSPET, which has no split 'test'"):
        lsp.lsp(write_lsp(tmp_path / "et", "LSPET", 2), "test")


@real
def test_lsp_real_files() -> None:
    name, joints, valid = lsp.read_lsp_joints(LAYOUTS / "lsp" / "joints.mat")
    assert name == "LSP" and joints.shape == (2000, 14, 2) and valid.all() and joints.min() > 0
    more, others, known = lsp.read_lsp_joints(LAYOUTS / "lspet" / "joints.mat")
    assert more == "LSPET" and others.shape == (10_000, 14, 2) and 0.87 < known.mean() < 0.89
    assert (others[~known] <= 0).any(axis=-1).mean() > 0.99 and (others[known] < 0).any(axis=-1).mean() < 1e-3
    head, ankle = lsp.JOINTS.index("head_top"), lsp.JOINTS.index("right_ankle")
    for points, both in ((joints, valid), (others, known)):  # most people stand: heads are above ankles
        use = both[:, head] & both[:, ankle]
        assert np.median((points[:, ankle] - points[:, head])[use, 1]) > 50


# --- Human3.6M ---


def test_h36m_folders(tmp_path: Path) -> None:
    write_h36m_folder(tmp_path, (9, 12, 1, 3), 12)
    write_h36m_folder(tmp_path, (1, 2, 1, 1), 6)
    (tmp_path / "s_09_act_01_subact_01_ca_01").mkdir()  # action 1 is no action
    people = read(h36m.h36m_folders(tmp_path, "test"))
    assert [one.annotation_id for one in people] == [0, 5, 10] and len(read(h36m.h36m_folders(tmp_path, "train"))) == 2
    for one in people:
        assert_same(one, one.annotation_id, CROP_CAMERA)
        assert (one.subject, one.group, one.camera) == ("S9", "Photo", None)
        assert one.source.endswith(f"s_09_act_12_subact_01_ca_03_{one.annotation_id + 1:06d}.jpg")
        crop = Crop.around(one.box, BOX_MARGIN)
        assert crop.center_px == (112, 112) and crop.size_px == pytest.approx(224)  # the whole picture
    assert [one.annotation_id for one in read(h36m.h36m_folders(tmp_path, "test", every=10))] == [0, 10]
    with pytest.raises(LiftwildError, match="must be a multiple of 5"):
        h36m.h36m_folders(tmp_path, "test", every=7)


def test_the_broken_take_is_left_out_unless_told(tmp_path: Path) -> None:
    write_h36m_folder(tmp_path, h36m.BROKEN, 1)
    write_h36m_folder(tmp_path, (11, 2, 2, 2), 1)
    assert [part.name for part in h36m.h36m_folders(tmp_path, "test").parts] == ["s_11_act_02_subact_02_ca_02"]
    assert len(h36m.h36m_folders(tmp_path, "test", keep_broken=True).parts) == 2
    assert len(h36m.sequences("train", False)) == 600 and len(h36m.sequences("test", False)) == 239


@pytest.mark.parametrize("told", ["both", "flat", "metadata"])
def test_h36m_videos(tmp_path: Path, told: str) -> None:
    write_h36m_video(tmp_path, 11, "WalkingDog 1.55011271", 11, flat_too=told != "metadata")
    if told != "flat":
        write_metadata(tmp_path)
    assert h36m_videos.is_official(tmp_path)
    people = read(h36m_videos.h36m_videos(tmp_path, "test"))
    assert [one.annotation_id for one in people] == [0, 5, 10]
    for one in people:
        if told == "metadata":  # the middle of the shoulders is not where that in space is seen
            assert np.allclose(one.joints_2d, CAMERA.project(skeleton(one.annotation_id)), atol=0.2)
        else:
            assert_same(one, one.annotation_id, CAMERA)
        assert one.camera is not None and (one.subject, one.group) == ("S11", "WalkDog")
        assert abs(one.image.mean() - grey(one.annotation_id)) < 7 and one.image.shape == (HEIGHT, WIDTH, 3)


def test_h36m_takes(tmp_path: Path) -> None:
    for stem in ("Directions 1.54138969", "Directions.54138969", "Directions.55011271", "_ALL.54138969"):
        path = tmp_path / "S11" / "Videos" / f"{stem}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    found = {key: path.stem for key, path in h36m_videos._videos(tmp_path, "test").items()}
    assert found == {
        (11, 2, 1, 1): "Directions 1.54138969",
        h36m.BROKEN: "Directions.54138969",
        (11, 2, 2, 2): "Directions.55011271",
    }
    for number in ("2", "3"):
        (tmp_path / "S9" / "Videos").mkdir(parents=True, exist_ok=True)
        (tmp_path / "S9" / "Videos" / f"Phoning {number}.60457274.mp4").touch()
    assert {key for key in h36m_videos._videos(tmp_path, "test") if key[0] == 9} == {(9, 6, 1, 4), (9, 6, 2, 4)}


def test_h36m_what_is_missing(tmp_path: Path) -> None:
    video = write_h36m_video(tmp_path, 9, "Eating 1.54138969", 6, flat_too=False)
    with pytest.raises(LiftwildError, match=r"no cameras: expected metadata.xml .* or D2_Positions"):
        h36m_videos.h36m_videos(tmp_path, "test")
    write_metadata(tmp_path)
    pose = tmp_path / "S9" / "MyPoseFeatures" / "D3_Positions_mono" / "Eating 1.54138969.cdf"
    content = pose.read_bytes()
    pose.write_bytes(content[: len(content) // 2])
    with pytest.raises(LiftwildError, match="perhaps a half download"):
        read(h36m_videos.h36m_videos(tmp_path, "test"))
    pose.unlink()
    with pytest.raises(LiftwildError, match="ask for D3_Positions_mono, too"):
        h36m_videos.h36m_videos(tmp_path, "test")
    pose.write_bytes(content)
    film = video.read_bytes()
    video.write_bytes(film[: len(film) // 3])
    with pytest.raises(LiftwildError, match="cannot be read as a video"):
        read(h36m_videos.h36m_videos(tmp_path, "test"))


def test_distortion_is_that_of_human36m() -> None:
    lens = np.array([1145.0, 1143.8, 512.5, 515.4, -0.2, 0.25, -0.007, -0.0009, -0.0014])
    x, y = 0.2, -0.1
    r2 = x * x + y * y
    factor = 1 - 0.2 * r2 + 0.25 * r2**2 - 0.007 * r2**3 + (-0.0009 * y - 0.0014 * x)
    expected = (1145.0 * (x * factor - 0.0014 * r2) + 512.5, 1143.8 * (y * factor - 0.0009 * r2) + 515.4)
    assert h36m_videos.project(lens, np.array([400.0, -200.0, 2000.0])) == pytest.approx(expected)


# --- MPI-INF-3DHP ---


@pytest.mark.parametrize(("scale", "factor"), [("true", 1.0), ("universal", 0.9)])
def test_mpi_inf_3dhp_test(tmp_path: Path, scale: str, factor: float) -> None:
    write_3dhp_test(tmp_path / "mpi_inf_3dhp_test_set", "TS2", 4)
    dataset = mpi_inf_3dhp.mpi_inf_3dhp_test(tmp_path, scale)
    people = read(dataset)
    assert [one.source for one in people] == [f"TS2/imageSequence/img_{n:06d}.jpg" for n in (1, 2, 4)]
    for one in people:
        assert_same(one, one.annotation_id, CAMERA, scale=factor)
        assert one.camera is not None and (one.subject, one.group) == ("TS2", "TS2")
    assert "TS1, TS3, TS4, TS5, TS6 not there" in dataset.warnings[0]


def test_mpi_inf_3dhp_train(tmp_path: Path) -> None:
    write_3dhp_train(tmp_path, (0, 12), 6)
    dataset = mpi_inf_3dhp.mpi_inf_3dhp_train(tmp_path)
    people = read(dataset)
    assert [one.source for one in people] == [f"S1/Seq1/video_{v}.avi#{f}" for v in (0, 12) for f in (0, 5)]
    for one in people:
        camera = 12 if "video_12" in one.source else 0
        assert_same(one, one.annotation_id + 10 * camera, CAMERA)
        assert (one.subject, one.group) == ("S1", "S1/Seq1") and one.camera is not None
        assert one.camera.fx == CAMERA.fx and abs(one.image.mean() - grey(one.annotation_id)) < 7
    assert "1 sequences are there, 16 are published" in dataset.warnings[0]
    universal = read(mpi_inf_3dhp.mpi_inf_3dhp_train(tmp_path, "universal"))
    assert np.allclose(universal[0].joints_3d, 0.9 * people[0].joints_3d)
    (tmp_path / "S1" / "Seq1" / "camera.calibration").unlink()
    with pytest.raises(LiftwildError, match=r"camera.calibration: the download of this sequence is not complete"):
        mpi_inf_3dhp.mpi_inf_3dhp_train(tmp_path)


def test_a_video_that_ends_early(tmp_path: Path) -> None:
    write_3dhp_train(tmp_path, (0,), 6)
    other = write_3dhp_train(tmp_path / "short", (0,), 3) / "imageSequence" / "video_0.avi"
    other.replace(tmp_path / "S1" / "Seq1" / "imageSequence" / "video_0.avi")
    assert [str(one) for one in skipped(mpi_inf_3dhp.mpi_inf_3dhp_train(tmp_path))] == [
        "S1/Seq1/video_0.avi#5, annotation 5: video ends before its poses"
    ]


# --- joint maps ---


@pytest.mark.parametrize(
    ("names", "unused", "made_up"),
    [
        (mpii.JOINTS, (), set()),
        (lsp.JOINTS, (), {"pelvis", "thorax"}),
        (h36m.JOINTS, (), {"thorax"}),
        (mpi_inf_3dhp.TEST_JOINTS, mpi_inf_3dhp.UNUSED, {"thorax"}),
        (mpi_inf_3dhp.TRAIN_JOINTS, mpi_inf_3dhp.UNUSED, {"thorax"}),
    ],
    ids=["mpii", "lsp", "h36m", "3dhp test", "3dhp train"],
)
def test_joint_maps(names: tuple[str, ...], unused: tuple[str, ...], made_up: set[str]) -> None:
    match = positions(names, unused)
    assert {name for name, at in zip(MPII_16.names, match, strict=True) if at is None} == made_up
    for name, at in zip(MPII_16.names, match, strict=True):
        assert at is None or canonical_name(names[at]) == name


def test_human36m_joints_in_mpii_order() -> None:
    """method.md's list, thorax aside, which it replaces."""
    match = positions(h36m.JOINTS)
    assert [9 if at is None else at for at in match] == [3, 2, 1, 4, 5, 6, 0, 9, 8, 10, 16, 15, 14, 11, 12, 13]
    assert MPII_16.names == mpii.JOINTS


def test_fit_camera() -> None:
    points = np.stack([pose(i) for i in range(3)])
    fitted = fit_camera(CAMERA.project(points), points)
    assert fitted is not None and np.allclose(fitted.K, CAMERA.K)
    assert fit_camera(np.zeros((4, 2)), np.ones((4, 3))) is None
    assert fit_camera(np.random.default_rng(0).uniform(0, 300, (16, 2)), points[0]) is None
