"""Each data set is read as it was written: the skeletons, the pictures, who is left out."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path

import h5py
import numpy as np
import pytest

from liftwild.camera import fit_camera
from liftwild.crop import BOX_MARGIN, Crop
from liftwild.data.dataset import prepare_dataset
from liftwild.data.labels import positions
from liftwild.data.readers import h36m, lsp, mpi_inf_3dhp, mpii
from liftwild.errors import LiftwildError
from liftwild.skeleton import MPII_16, canonical_name
from tests.support.dataset_layouts import (
    CAMERA,
    CENTRE,
    HEAD_PX,
    HEIGHT,
    MADE_UP,
    SCALE,
    WIDTH,
    assert_same,
    flat,
    grey,
    picture_of,
    read,
    skipped,
    write_3dhp_test,
    write_3dhp_train,
    write_lsp,
    write_mpii,
)
from tests.support.images import write_photo
from tests.support.paths import ROOT
from tests.support.poses import pose

SHARED = Path(os.environ.get("LIFTWILD_SHARED", ROOT.parent / "shared"))
LAYOUTS = SHARED / "data" / "layouts"
real = pytest.mark.skipif(
    not LAYOUTS.is_dir(), reason=f"no real annotation files in {LAYOUTS}; LIFTWILD_SHARED says where"
)
NECK, HEAD = MPII_16.index("upper_neck"), MPII_16.index("head_top")


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
    assert "valid.json" in mpii.mpii(tmp_path, "val").title
    write_mpii(tmp_path, "mat")
    assert mpii.MAT in mpii.mpii(tmp_path, "train").title
    (tmp_path / "annot" / "valid.json").unlink()
    assert "valid.h5" in mpii.mpii(tmp_path, "val").title
    (tmp_path / "annot" / "valid.h5").unlink()
    with pytest.raises(LiftwildError, match=r"does not hold the validation split: put valid.h5 or valid.json"):
        mpii.mpii(tmp_path, "val")


def drop_heads(path: Path, *people: int) -> None:
    """Take the head top's label from some people of a json."""
    rows = json.loads(path.read_text())
    for at in people:
        rows[at]["joints_vis"][HEAD] = 0
    path.write_text(json.dumps(rows))


@pytest.mark.parametrize("other", ["h5", "mat"])
def test_mpii_head_sizes_that_the_json_lacks(tmp_path: Path, other: str) -> None:
    cast = dataclasses.replace(MADE_UP, where=lambda number: ((151.0 + number, 118.0), SCALE, HEAD_PX))
    write_mpii(tmp_path, "json", people=3, cast=cast)
    drop_heads(tmp_path / "annot" / "valid.json", 0, 2)
    alone = mpii.mpii(tmp_path, "val")
    assert [one.head_size_px is None for one in read(alone)] == [True, False, True]
    (warning,) = alone.warnings
    assert warning.startswith("2 of 3 people have no head size, as their neck or head top is not labelled: PCKh leaves")
    # The other file knows one of the two, in another order.
    write_mpii(tmp_path, other, people=2, cast=cast)
    both = mpii.mpii(tmp_path, "val")
    people = read(both)
    assert people[0].head_size_px == pytest.approx(HEAD_PX) and people[2].head_size_px is None
    neck_to_head = np.linalg.norm(flat(1)[NECK] - flat(1)[HEAD])
    assert people[1].head_size_px == pytest.approx(0.75 * neck_to_head)  # what the json tells stays
    assert not people[0].joints_2d_valid[HEAD] and both.warnings[0].startswith("1 of 3 people have no head size")
    assert both.settings != alone.settings


def test_mpii_joints_that_the_h5_cuts(tmp_path: Path) -> None:
    write_mpii(tmp_path, "h5")
    assert mpii.mpii(tmp_path, "val").warnings == []
    with h5py.File(tmp_path / "annot" / "valid.h5", "a") as file:
        file["part"][:] = np.floor(file["part"][:])
    cut = mpii.mpii(tmp_path, "val")
    assert cut.warnings == [
        f"valid.h5 holds joints cut to whole pixels, up to 1 px off; valid.json, or {mpii.MAT} beside it, has them as "
        "they were clicked"
    ]
    missed = np.stack([one.joints_2d - flat(number) for number, one in enumerate(read(cut))])
    assert -1 < missed[1].min() < -0.5 and missed[1].max() <= 0
    cast = dataclasses.replace(
        MADE_UP, where=lambda number: ((CENTRE[0], CENTRE[1] + 9 * (number % 2)), SCALE, HEAD_PX)
    )
    for layout in ("h5", "mat"):
        write_mpii(tmp_path, layout, cast=cast)
    with h5py.File(tmp_path / "annot" / "valid.h5", "a") as file:
        file["part"][:] = np.floor(file["part"][:])
    whole = mpii.mpii(tmp_path, "val")
    assert whole.warnings == [] and "valid.h5" in whole.title
    for number, one in enumerate(read(whole)):
        assert_same(one, number, CAMERA, three=False)


def test_mpii_names_that_lead_elsewhere(tmp_path: Path) -> None:
    write_mpii(tmp_path, "json")
    path = tmp_path / "annot" / "valid.json"
    for name in ("../secret.jpg", "/etc/secret.jpg", "a/../../secret.jpg", "..\\secret.jpg", "C:\\secret.jpg", ""):
        rows = json.loads(path.read_text())
        rows[0]["image"] = name
        path.write_text(json.dumps(rows))
        for allow_missing in (False, True):
            with pytest.raises(LiftwildError, match=r"MPII val \(valid.json\) names a photo outside of .*images"):
                mpii.mpii(tmp_path, "val", allow_missing)


@pytest.mark.parametrize("name", ["mpii", "lsp"])
def test_photos_that_were_made_smaller(tmp_path: Path, name: str) -> None:
    write = {"mpii": lambda: write_mpii(tmp_path, "h5", "train"), "lsp": lambda: write_lsp(tmp_path, "LSP", 2)}[name]
    write()
    for path in (tmp_path / "images").iterdir():
        write_photo(path, picture_of(0, (WIDTH // 3, HEIGHT // 3)))
    dataset = (mpii.mpii if name == "mpii" else lsp.lsp)(tmp_path, "train")
    left_out = skipped(dataset)
    assert len(left_out) == 2 and {one.reason for one in left_out} == {"joints outside the photo"}
    assert left_out[0].detail == "it is 106x80 px; labels need the photos in their first size"
    # Some people, at the top left, would still lie in their photos.
    write_photo(next((tmp_path / "images").iterdir()), picture_of(0))
    with pytest.raises(LiftwildError, match=r"1 of 2 people have joints outside the photo, the first is .*106x80 px"):
        prepare_dataset(dataset, tmp_path / "x.arrow")
    assert sorted(path.suffix for path in tmp_path.iterdir() if path.name.startswith("x")) == []


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


@real
def test_mpii_real_h5_beside_others(tmp_path: Path) -> None:
    """All joints of valid.h5 are whole px, and it knows the head sizes of people without a head label."""
    (tmp_path / "annot").mkdir()
    h5 = LAYOUTS / "mpii" / "annot" / "valid.h5"
    (tmp_path / "annot" / "valid.h5").write_bytes(h5.read_bytes())
    _, rows, beside, warnings = mpii._read(tmp_path, "val")
    assert beside == [] and "cut to whole pixels" in warnings[0]
    headless = [row for row in rows if not row.valid[[NECK, HEAD]].all()]
    assert len(headless) == 26 and all(row.head_size_px for row in headless)
    assert len(mpii._by_place(rows)) == len(rows)  # photo and centre tell everybody from everybody
    entries = json.loads((LAYOUTS / "mpii" / "annot" / "sample.json").read_text())
    for entry in entries:
        entry["joints_vis"][HEAD] = 0
    (tmp_path / "annot" / "valid.json").write_text(json.dumps(entries))
    path, some, beside, warnings = mpii._read(tmp_path, "val")
    assert path.name == "valid.json" and beside == [tmp_path / "annot" / "valid.h5"] and warnings == []
    assert [row.head_size_px for row in some] == [row.head_size_px for row in rows[:5]]


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


# --- MPI-INF-3DHP ---


@pytest.mark.parametrize(("scale", "factor"), [("true", 1.0), ("universal", 0.9)])
def test_mpi_inf_3dhp_test(tmp_path: Path, scale: str, factor: float) -> None:
    write_3dhp_test(tmp_path / "mpi_inf_3dhp_test_set", "TS2", 4)
    dataset = mpi_inf_3dhp.mpi_inf_3dhp_test(tmp_path, scale)
    assert dataset.scale == scale
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
