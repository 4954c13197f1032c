"""Human3.6M in each of its layouts is read as it was written."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from liftwild.crop import BOX_MARGIN, Crop
from liftwild.data.labels import Skip
from liftwild.data.readers import h36m, h36m_videos
from liftwild.data.readers.h36m import JOINTS, H36MOptions, weak_perspective
from liftwild.data.readers.h36m_annot import FULL, QUICK, h36m_annot
from liftwild.data.readers.h36m_folders import h36m_folders
from liftwild.data.readers.h36m_layouts import read_h36m
from liftwild.data.store import Store
from liftwild.errors import LiftwildError
from liftwild.skeleton import MPII_16, SCALE_BONES
from tests.support.commands import liftwild
from tests.support.dataset_layouts import (
    CAMERA,
    CROP_CAMERA,
    ELSEWHERE,
    HEIGHT,
    WIDTH,
    assert_same,
    grey,
    read,
    skeleton,
    skipped,
)
from tests.support.h36m_layouts import (
    write_h36m_annot,
    write_h36m_boxes,
    write_h36m_challenge,
    write_h36m_fetch,
    write_h36m_folder,
    write_h36m_video,
    write_metadata,
)

SPINE = ELSEWHERE  # where the layouts' writers put joints that MPII lacks

# --- The authors' folders ---


def test_h36m_folders(tmp_path: Path) -> None:
    write_h36m_folder(tmp_path, (9, 12, 1, 3), 12)
    write_h36m_folder(tmp_path, (1, 2, 1, 1), 6)
    (tmp_path / "s_09_act_01_subact_01_ca_01").mkdir()  # action 1 is no action
    people = read(h36m_folders(tmp_path, "test"))
    assert [one.annotation_id for one in people] == [0, 5, 10] and len(read(h36m_folders(tmp_path, "train"))) == 2
    for one in people:
        assert_same(one, one.annotation_id, CROP_CAMERA)
        assert (one.subject, one.group, one.camera) == ("S9", "Photo", None)
        assert one.source.endswith(f"s_09_act_12_subact_01_ca_03_{one.annotation_id + 1:06d}.jpg")
        crop = Crop.around(one.box, BOX_MARGIN)
        assert crop.center_px == (112, 112) and crop.size_px == pytest.approx(224)  # the whole picture
    assert [one.annotation_id for one in read(h36m_folders(tmp_path, "test", H36MOptions(every=10)))] == [0, 10]
    with pytest.raises(LiftwildError, match="must be a multiple of 5"):
        h36m_folders(tmp_path, "test", H36MOptions(every=7))


def test_the_broken_take_is_left_out_unless_told(tmp_path: Path) -> None:
    write_h36m_folder(tmp_path, h36m.BROKEN, 1)
    write_h36m_folder(tmp_path, (11, 2, 2, 2), 1)
    assert [part.name for part in h36m_folders(tmp_path, "test").parts] == ["s_11_act_02_subact_02_ca_02"]
    assert len(h36m_folders(tmp_path, "test", H36MOptions(keep_broken=True)).parts) == 2
    assert len(h36m.sequences("train", False)) == 600 and len(h36m.sequences("test", False)) == 239


# --- The site's videos ---


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


def test_h36m_boxes_of_the_data_set(tmp_path: Path) -> None:
    stem = "Posing 1.54138969"
    write_h36m_video(tmp_path, 9, stem, 16)
    write_metadata(tmp_path)
    options = H36MOptions(boxes="dataset")
    with pytest.raises(LiftwildError, match=r"no boxes .*ground_truth_bb.* ask for Segments mat gt_bb"):
        h36m_videos.h36m_videos(tmp_path, "test", options)
    # Of every frame one, as in the real files; the last of the four frames that are read has none.
    boxes: list[tuple[int, int, int, int] | None] = [(0, 0, 1, 1)] * 11
    boxes[0], boxes[5], boxes[10] = (100, 40, 180, 200), None, (250, 50, 310, 90)
    write_h36m_boxes(tmp_path, 9, stem, boxes)
    dataset = h36m_videos.h36m_videos(tmp_path, "test", options)
    assert [str(one) for one in skipped(dataset)] == [
        f"S9/{stem}.mp4#{frame}, annotation {frame}: the data set has no box" for frame in (5, 15)
    ]
    first, third = (one for one in dataset.parts[0].read() if not isinstance(one, Skip))
    for one, centre, side in ((first, (140, 120), 160), (third, (280, 70), 60)):
        crop = Crop.around(one.box, BOX_MARGIN)
        assert crop.center_px == pytest.approx(centre) and crop.size_px == pytest.approx(side)
    # Without: the box of the joints.
    plain = read(h36m_videos.h36m_videos(tmp_path, "test"))[0]
    low, high = plain.joints_2d.min(axis=0), plain.joints_2d.max(axis=0)
    assert np.allclose(plain.box, [*low, *(high - low)], atol=1e-3)


# --- The authors' annotation ---

ROWS = [((1, 2, 1, 1), 5), ((9, 15, 2, 4), 200), ((9, 15, 2, 4), 0), ((11, 3, 1, 2), 0), (h36m.BROKEN, 0)]


@pytest.mark.parametrize("images", ["", "images"])
def test_h36m_annot(tmp_path: Path, images: str) -> None:
    write_h36m_annot(tmp_path, FULL, ROWS, images)
    dataset = h36m_annot(tmp_path, "test")
    assert [part.name for part in dataset.parts] == ["s_09_act_15_subact_02_ca_04", "s_11_act_03_subact_01_ca_02"]
    people = read(dataset)
    assert [(one.subject, one.group, one.annotation_id) for one in people] == [
        ("S9", "WalkDog", 0), ("S9", "WalkDog", 200), ("S11", "Discussion", 0),
    ]  # fmt: skip
    for one in people:
        assert_same(one, one.annotation_id, CROP_CAMERA)
        assert one.camera is None and one.spine_3d is not None and np.allclose(one.spine_3d, SPINE)
        assert Crop.around(one.box, BOX_MARGIN).size_px == pytest.approx(224)
    assert people[1].source == "s_09_act_15_subact_02_ca_04/s_09_act_15_subact_02_ca_04_000201.jpg"
    assert dataset.published == (109_867, 109_867) and "2 of 239 folders" in dataset.warnings[0]
    (train,) = read(h36m_annot(tmp_path, "train"))
    assert (train.subject, train.annotation_id) == ("S1", 5)
    assert [one.annotation_id for one in read(h36m_annot(tmp_path, "test", H36MOptions(every=200)))] == [0, 200, 0]
    assert len(read(h36m_annot(tmp_path, "test", H36MOptions(keep_broken=True)))) == 4


def test_h36m_annot_of_the_quick_test(tmp_path: Path) -> None:
    write_h36m_annot(tmp_path, QUICK, ROWS)
    dataset = h36m_annot(tmp_path, "test")
    assert dataset.published == (2874, 2874) and QUICK in dataset.title and len(read(dataset)) == 3
    assert h36m_annot(tmp_path, "train").published == h36m.published("train", 5, False)
    with pytest.raises(LiftwildError, match=r"--every 5: annotSampleTest.h5 holds every 200th picture of test, so it"):
        h36m_annot(tmp_path, "test", H36MOptions(every=5))
    write_h36m_annot(tmp_path, FULL, ROWS)
    assert FULL in h36m_annot(tmp_path, "test").title
    assert QUICK in h36m_annot(tmp_path, "test", H36MOptions(every=400)).title


def test_h36m_annot_that_is_another(tmp_path: Path) -> None:
    path = write_h36m_annot(tmp_path, FULL, ROWS)
    (tmp_path / "s_09_act_15_subact_02_ca_04" / "s_09_act_15_subact_02_ca_04_000201.jpg").unlink()
    (gone,) = skipped(h36m_annot(tmp_path, "test"))
    assert gone.annotation_id == 200 and gone.reason == "photo cannot be read"
    for folder in tmp_path.glob("s_*"):
        folder.rename(tmp_path / f"other_{folder.name}")
    with pytest.raises(
        LiftwildError, match=r"no folder .*s_09_act_15_subact_02_ca_04: expected the pictures of a video"
    ):
        h36m_annot(tmp_path, "test")
    with h5py.File(path, "a") as file:
        del file["joint_2d"]
        file["joint_2d"] = np.zeros((5, 17, 2))
    with pytest.raises(LiftwildError, match=r"joint_2d is \(5, 17, 2\), not \(5, 16, 2\)"):
        h36m_annot(tmp_path, "test")
    with h5py.File(path, "a") as file:
        del file["istrain"]
    with pytest.raises(LiftwildError, match=r"lacks a field, .*istrain"):
        h36m_annot(tmp_path, "test")


# --- All of them ---


def test_the_layout_is_told_by_its_files(tmp_path: Path) -> None:
    write_h36m_video(tmp_path / "videos", 9, "Eating.54138969", 6)
    write_h36m_fetch(tmp_path / "fetch", 9, "Eating-2", 4, (0,))
    write_h36m_folder(tmp_path / "folders", (9, 4, 1, 1), 6)
    write_h36m_annot(tmp_path / "folders", QUICK, [((9, 4, 1, 1), 0)])  # the folders hold more
    write_h36m_annot(tmp_path / "annot", QUICK, ROWS)
    keypoints = write_h36m_challenge(tmp_path / "challenge", "Val", 1)
    parts = {}
    for name in ("videos", "fetch", "folders", "annot", "challenge"):
        options = H36MOptions(keypoints=keypoints if name == "challenge" else None)
        parts[name] = [part.name for part in read_h36m(tmp_path / name, "test", options).parts]
    assert parts == {
        "videos": ["S9-Eating.54138969"],
        "fetch": ["S9-Eating-2-54138969", "S9-Eating-2-58860488"],
        "folders": ["s_09_act_04_subact_01_ca_01"],
        "annot": ["s_09_act_15_subact_02_ca_04", "s_11_act_03_subact_01_ca_02"],
        "challenge": ["people-000000"],
    }
    (tmp_path / "none").mkdir()
    with pytest.raises(LiftwildError, match=r"holds nothing of Human3.6M test: expected folders such as s_09_act_02"):
        read_h36m(tmp_path / "none", "test")
    for name, options, text in (
        ("fetch", H36MOptions(boxes="dataset"), "--boxes does not apply to h36m-fetch's pictures"),
        ("folders", H36MOptions(boxes="dataset"), "--boxes does not apply to the preprocessed folders"),
        ("annot", H36MOptions(keypoints=keypoints), "--keypoints does not apply to the authors' annotation"),
        ("videos", H36MOptions(keypoints=keypoints), "--keypoints does not apply to Human3.6M's videos"),
        ("challenge", H36MOptions(every=5), "--every does not apply to the challenge"),
        ("challenge", H36MOptions(targets_2d="weak-perspective"), "--targets-2d does not apply to the challenge"),
    ):
        with pytest.raises(LiftwildError, match=text):
            read_h36m(tmp_path / name, "test", options)


def test_weak_perspective_targets(tmp_path: Path) -> None:
    """As the authors' code draws them, in folders, annotation and videos; the box stays that of the labels."""
    write_h36m_folder(tmp_path / "folders", (9, 4, 1, 1), 6)
    write_h36m_annot(tmp_path / "annot", QUICK, [((9, 4, 1, 1), 0)])
    write_h36m_video(tmp_path / "videos", 9, "Eating 1.54138969", 6)
    write_metadata(tmp_path / "videos")
    for name in ("folders", "annot", "videos"):
        (plain, *_), (made, *_) = (
            read(read_h36m(tmp_path / name, "test", H36MOptions(targets_2d=kind)))
            for kind in ("labelled", "weak-perspective")
        )
        assert plain.box == made.box and np.array_equal(plain.joints_3d, made.joints_3d)
        # By hand: the spine stays where it is seen, and a mm is everywhere as many px as over all bones.
        px = sum(np.linalg.norm(plain.joints_2d[a] - plain.joints_2d[b]) for a, b in SCALE_BONES)
        mm = sum(np.linalg.norm(plain.joints_3d[a, :2] - plain.joints_3d[b, :2]) for a, b in SCALE_BONES)
        spine = (CAMERA if name == "videos" else CROP_CAMERA).project(SPINE)
        expected = spine + (plain.joints_3d[:, :2] - SPINE[:2]) * px / mm
        known = [i for i, joint in enumerate(MPII_16.names) if joint != "thorax"]
        assert np.allclose(made.joints_2d[known], expected[known], atol=0.05)
        shoulders = [MPII_16.index(f"{side}_shoulder") for side in ("left", "right")]
        assert np.allclose(made.joints_2d[MPII_16.index("thorax")], made.joints_2d[shoulders].mean(axis=0))
        assert np.abs(made.joints_2d - plain.joints_2d).max() > 1


def test_a_pose_seen_end_on_has_no_weak_perspective() -> None:
    joints = np.zeros((17, 3))
    joints[:, 2] = np.arange(17)
    assert np.isnan(weak_perspective(JOINTS, np.ones((17, 2)), joints)).all()


def test_prepare_h36m(tmp_path: Path) -> None:
    """The command, options and all: the store holds the spine."""
    keypoints = write_h36m_challenge(tmp_path / "challenge", "Train", 2)
    write_h36m_fetch(tmp_path / "fetch", 1, "WalkingDog-1", 15, (0, 7))
    write_h36m_annot(tmp_path / "annot", FULL, ROWS)
    for name, options, people, says in (
        ("challenge", ("--keypoints", keypoints), 2, "has 2 people here, 35,832 are published"),
        ("fetch", ("--targets-2d", "weak-perspective"), 4, "2 of 600 videos are there"),
        ("annot", ("--split", "test", "--every", "200"), 3, "has 3 people here, 2,874 are published"),
    ):
        out = tmp_path / f"{name}.arrow"
        done = liftwild("prepare", "h36m", tmp_path / name, "-o", out, *options)
        assert says in done.output and f"{people} people of {people} photos" in done.output
        store = Store(out)
        assert len(store) == people and np.isfinite(store.column("spine_3d")).all()
        assert store.column("depth_valid").all() and store.column("joints_2d_valid").all()
