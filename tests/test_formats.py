"""Files of a photo or clip: every format written and read back, joint sets by name, and what each says of itself."""

from __future__ import annotations

import csv as stdlib_csv
import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liftwild.camera import Camera
from liftwild.data.coco import boxes_of, read_document, read_labels
from liftwild.data.h36m import JOINTS as H36M_JOINTS
from liftwild.errors import LiftwildError
from liftwild.outputs import formats as room
from liftwild.outputs.coco import COCO_LINES, image_id
from liftwild.outputs.csv import HEADER
from liftwild.outputs.formats import FORMATS, foreign_file, is_ours, write_formats
from liftwild.outputs.json import read_json, recording_document, write_json
from liftwild.outputs.npz import read_npz, write_npz
from liftwild.outputs.skeletons import convert, in_skeleton, joint_notes
from liftwild.pose import PoseTrack, Recording
from liftwild.predict.floor import Levelled
from liftwild.skeleton import COCO_17, H36M_17, MPII_16, SKELETONS, Skeleton
from tests.data_fixtures import COCO_17 as COCO_NAMES
from tests.data_fixtures import RAISED_RIGHT_HAND

CAMERA = Camera(420.0, 380.0, 150.5, 118.25)
quick = settings(max_examples=25, deadline=None, derandomize=True)
seeds = st.integers(0, 2**32 - 1)


def random_track(rng: np.random.Generator, frames: np.ndarray, person_id: int, skeleton: Skeleton) -> PoseTrack:
    """Somebody anywhere, with joints hidden, and with or without all that a track may lack."""
    count, joints = len(frames), len(skeleton)
    hidden = rng.random((count, joints)) < rng.choice([0.0, 0.2])
    spread = np.where(hidden, np.nan, rng.uniform(1, 200, (count, joints)))
    ids = tuple(None if rng.random() < 0.3 else int(rng.integers(-5, 2**40)) for _ in frames)
    return PoseTrack(
        person_id=person_id,
        frames=frames,
        joints_2d=np.where(hidden[..., None], np.nan, rng.normal(100, 300, (count, joints, 2))),
        joints_3d=np.where(hidden[..., None], np.nan, rng.normal(0, 500, (count, joints, 3))),
        confidence=rng.random((count, joints)).astype(np.float32),
        boxes=rng.uniform(1, 500, (count, 4)),
        depth_sd_mm=spread if rng.random() < 0.5 else None,
        root_mm=rng.normal((0, 0, 4000), 500, (count, 3)) if rng.random() < 0.5 else None,
        annotation_ids=ids if rng.random() < 0.5 and any(value is not None for value in ids) else None,
        skeleton=skeleton,
    )


def random_recording(seed: int) -> Recording:
    """A photo or clip of nobody or up to three people, some frames without them."""
    rng = np.random.default_rng(seed)
    is_clip, skeleton = bool(rng.random() < 0.6), list(SKELETONS.values())[rng.integers(3)]
    length = int(rng.integers(1, 12)) if is_clip else 1
    people = int(rng.integers(4))
    seen = [np.flatnonzero(rng.random(length) < 0.7) if is_clip else np.zeros(1, int) for _ in range(people)]
    ids = rng.permutation(9)[:people] if is_clip else np.arange(people)
    tracks = tuple(random_track(rng, own, int(i), skeleton) for own, i in zip(seen, ids, strict=True))
    times = np.cumsum(rng.uniform(0.01, 0.1, length)) if is_clip else np.zeros(1)
    camera = CAMERA if rng.random() < 0.5 else Camera(*rng.uniform(100, 900, 5)) if rng.random() < 0.5 else None
    steps = tuple(f"step {i}, with a comma" for i in range(rng.integers(3)))
    recording = Recording(
        "päth 1.mp4",
        640,
        480,
        times,
        tracks,
        camera,
        "" if camera is None else "assumed",
        steps,
        is_clip,
        "" if rng.random() < 0.3 else "chance of being right",
    )
    if rng.random() < 0.3:
        turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
        return Levelled(**vars(recording), turn=turn, camera_height_mm=float(rng.normal(1500, 100)))
    return recording


def photo(count: int = 2, **changes: object) -> Recording:
    """A photo of ``count`` people who raise the right hand, seen by CAMERA and placed."""
    root = np.array([0.0, 30.0, 4000.0])
    tracks = []
    for i in range(count):
        place = root + np.array([150.0 * i, 0, 0])
        joints = RAISED_RIGHT_HAND + np.random.default_rng(i).normal(0, 25, (16, 3))
        joints[6] = 0
        joints_2d = CAMERA.project(joints + place)
        low, high = joints_2d.min(axis=0), joints_2d.max(axis=0)
        track = PoseTrack(
            i, np.zeros(1, int), joints_2d[None], joints[None], np.full((1, 16), 0.8),
            np.array([[*low, *(high - low)]]), np.full((1, 16), 40.0), place[None],
        )  # fmt: skip
        tracks.append(track)
    recording = Recording("000012.jpg", 320, 240, np.zeros(1), tuple(tracks), CAMERA, "given", ("placed",))
    return replace(recording, **changes)


def hide(track: PoseTrack, joint: str) -> PoseTrack:
    """The track with a joint hidden, as on request."""
    gone = np.arange(len(track.skeleton)) == track.skeleton.index(joint)
    spread = track.depth_sd_mm
    return replace(
        track, joints_2d=np.where(gone[:, None], np.nan, track.joints_2d),
        joints_3d=np.where(gone[:, None], np.nan, track.joints_3d),
        depth_sd_mm=None if spread is None else np.where(gone, np.nan, spread),
    )  # fmt: skip


def assert_same(first: Recording, second: Recording, exact: bool) -> None:
    """Two recordings are equal, or to the rounding of JSON; None is not NaN."""
    assert type(first) is type(second)
    for name in ("source", "width", "height", "camera", "camera_from", "steps", "is_clip", "confidence_is"):
        assert getattr(first, name) == getattr(second, name), name
    steps = {
        "times_s": 1e-6, "joints_2d": 0.01, "joints_3d": 0.1, "confidence": 0.001, "boxes": 0.01, "depth_sd_mm": 0.1,
        "root_mm": 0.1, "turn": 0, "camera_height_mm": 0, "frames": 0,
    }  # fmt: skip

    def same(a: object, b: object, name: str) -> None:
        values, others = getattr(a, name), getattr(b, name)
        assert (values is None) == (others is None), name
        if values is not None:
            assert np.shape(values) == np.shape(others), name
            np.testing.assert_allclose(others, values, rtol=0, atol=0 if exact else 0.5001 * steps[name], err_msg=name)

    same(first, second, "times_s")
    if isinstance(first, Levelled):
        same(first, second, "turn")
        same(first, second, "camera_height_mm")
    assert len(first.tracks) == len(second.tracks)
    for own, other in zip(first.tracks, second.tracks, strict=True):
        assert (own.person_id, own.annotation_ids, own.skeleton) == (
            other.person_id, other.annotation_ids, other.skeleton,
        )  # fmt: skip
        for name in ("frames", "joints_2d", "joints_3d", "confidence", "boxes", "depth_sd_mm", "root_mm"):
            same(own, other, name)


# --- json and npz, and back ---


@quick
@given(seed=seeds)
def test_json_and_npz_give_back_what_was_written(seed: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("round")
    recording = random_recording(seed)
    write_json(folder / "a.json", recording_document(recording))
    write_npz(folder / "a.npz", recording)
    assert_same(recording, read_json(folder / "a.json"), exact=False)
    assert_same(recording, read_npz(folder / "a.npz"), exact=True)


def test_a_clip_has_a_frame_to_a_line(tmp_path: Path) -> None:
    track = random_track(np.random.default_rng(0), np.arange(3), 5, MPII_16)
    clip = Recording("c.mp4", 640, 480, np.array([0, 0.04, 0.1]), (track,), is_clip=True)
    write_json(tmp_path / "c.json", recording_document(clip))
    text = (tmp_path / "c.json").read_text(encoding="utf-8")
    document = json.loads(text)
    assert (document["format"], document["version"]) == ("liftwild-clip", 1)
    assert document["clip"] == {"file": "c.mp4", "width": 640, "height": 480}
    assert document["times_s"] == [0, 0.04, 0.1] and document["people"][0]["frames"] == [0, 1, 2]
    row = json.dumps(document["people"][0]["joints_3d"][1])
    assert f"\n    {row},\n" in text


def test_a_photo_from_before_there_were_more_keys(tmp_path: Path) -> None:
    recording = photo()
    document = json.loads(_written(tmp_path, recording, "json").read_text(encoding="utf-8"))
    for key in ("skeleton", "parents", "joint_notes", "levelled", "confidence_is", "camera", "steps"):
        del document[key]
    for person in document["people"]:
        del person["person_id"], person["root_mm"], person["depth_sd_mm"]
    (tmp_path / "old.json").write_text(json.dumps(document), encoding="utf-8")
    old = read_json(tmp_path / "old.json")
    assert [track.person_id for track in old.tracks] == [0, 1] and old.camera is None and old.steps == ()
    np.testing.assert_allclose(old.tracks[1].joints_3d, recording.tracks[1].joints_3d, atol=0.051)


def _written(folder: Path, recording: Recording, name: str) -> Path:
    return write_formats(recording, folder, "a", [name])[0]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is not JSON"),
        (b"\xff\xfe", "is not JSON"),
        (b"[1, 2]", "holds no poses of liftwild"),
        (b'{"format": "liftwild-pose", "version": 2}', "has version 2"),
        (b'{"format": "liftwild-pose", "version": 1}', "is damaged: KeyError"),
        (b'{"format": "liftwild-clip", "version": 1, "clip": 3, "joint_names": [], "parents": []}', "is damaged"),
    ],
)
def test_json_of_something_else_is_one_line(tmp_path: Path, content: bytes, says: str) -> None:
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(LiftwildError, match=says) as caught:
        read_json(tmp_path / "a.json")
    assert str(tmp_path / "a.json") in str(caught.value) and "\n" not in str(caught.value)


def test_json_cut_short_or_with_a_joint_too_few_is_one_line(tmp_path: Path) -> None:
    whole = _written(tmp_path, photo(), "json").read_text(encoding="utf-8")
    document = json.loads(whole)
    document["people"][1]["joints_3d"].pop()
    for content in (whole[:2000], json.dumps(document)):
        (tmp_path / "b.json").write_text(content, encoding="utf-8")
        with pytest.raises(LiftwildError, match=r"not JSON|damaged"):
            read_json(tmp_path / "b.json")


def test_npz_holds_no_objects_and_unpickles_none(tmp_path: Path) -> None:
    path = _written(tmp_path, photo(), "npz")
    with np.load(path, allow_pickle=False) as arrays:
        assert arrays.files[0] == "liftwild"
        about = json.loads(str(arrays["liftwild"]))
        assert about["frame"]["unit"] == "mm" and about["joint_names"] == arrays["joint_names"].tolist()
        assert arrays["joints_3d"].shape == (2, 16, 3) and arrays["person_id"].tolist() == [0, 1]
    np.savez(tmp_path / "evil.npz", liftwild=np.array([{"a": 1}], dtype=object))
    np.savez(tmp_path / "other.npz", x=np.zeros(3))
    np.save(tmp_path / "single.npy", np.zeros(3))
    (tmp_path / "empty.npz").write_bytes(b"")
    (tmp_path / "cut.npz").write_bytes(path.read_bytes()[:900])
    for name in ("evil.npz", "other.npz", "single.npy", "empty.npz", "cut.npz", "none.npz"):
        with pytest.raises(LiftwildError) as caught:
            read_npz(tmp_path / name)
        assert name in str(caught.value) and "\n" not in str(caught.value)


# --- tables ---


@quick
@given(seed=seeds)
def test_the_table_has_every_joint_of_everybody(seed: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    pq = pytest.importorskip("pyarrow.parquet")
    recording = random_recording(seed)
    skeleton = recording.tracks[0].skeleton if recording.tracks else H36M_17
    out = tmp_path_factory.mktemp("table")
    write_formats(recording, out, "a", ["csv", "parquet"], skeleton)
    with (out / "a.csv").open(encoding="utf-8", newline="") as file:
        rows = list(stdlib_csv.DictReader(file))
    table = pq.read_table(out / "a.parquet").to_pylist()
    expected = [
        (track.frames[i], track.person_id, name, i, joint, track)
        for track in recording.tracks
        for i in range(len(track))
        for joint, name in enumerate(skeleton.names)
    ]
    assert len(rows) == len(table) == len(expected)
    for row, exact, (frame, person, name, i, joint, track) in zip(rows, table, expected, strict=True):
        assert (int(row["frame"]), int(row["person_id"]), row["joint"]) == (frame, person, name)
        assert (exact["frame"], exact["person_id"], exact["joint"]) == (frame, person, name)
        root = [None] * 3 if track.root_mm is None else track.root_mm[i].tolist()
        values = {
            "time_s": (recording.times_s[frame], 1e-6),
            **{key: (track.joints_2d[i, joint, axis], 0.01) for axis, key in enumerate(("x_px", "y_px"))},
            **{key: (track.joints_3d[i, joint, axis], 0.1) for axis, key in enumerate(("x_mm", "y_mm", "z_mm"))},
            "confidence": (float(track.confidence[i, joint]), 0.001),
            "depth_sd_mm": (None if track.depth_sd_mm is None else track.depth_sd_mm[i, joint], 0.1),
            **{key: (root[axis], 0.1) for axis, key in enumerate(("root_x_mm", "root_y_mm", "root_z_mm"))},
        }
        assert set(values) | {"frame", "person_id", "joint"} == set(row) == set(exact)
        for key, (value, step) in values.items():
            if value is None or np.isnan(value):
                assert row[key] == "" and exact[key] is None, key
            else:
                assert float(row[key]) == pytest.approx(value, abs=0.5001 * step) and exact[key] == value, key


def test_csv_is_a_plain_table(tmp_path: Path) -> None:
    nobody = photo(0)
    assert _written(tmp_path, nobody, "csv").read_bytes() == HEADER.encode() + b"\n"
    low = replace(photo(1).tracks[0], joints_3d=np.full((1, 16, 3), -0.04))
    text = _written(tmp_path, photo(tracks=(low,)), "csv").read_text(encoding="utf-8")
    assert text.splitlines()[1].startswith("0,0.000000,0,right_ankle,") and ",0.0,0.0,0.0," in text
    assert "-0.0," not in text and '"' not in text and "#" not in text


def test_parquet_says_what_it_holds(tmp_path: Path) -> None:
    pq = pytest.importorskip("pyarrow.parquet")
    path = _written(tmp_path, photo(), "parquet")
    about = json.loads(pq.read_schema(path).metadata[b"liftwild"])
    assert about["file"] == "000012.jpg" and about["frame"]["unit"] == "mm" and about["camera"]["from"] == "given"
    assert about["joint_names"] == list(MPII_16.names) and about["steps"] == ["placed"]


def test_parquet_without_pyarrow_is_one_line_and_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(LiftwildError, match=r"pip install 'liftwild\[parquet\]'"):
        write_formats(photo(), tmp_path / "out", "a", ["json", "parquet"])
    assert not (tmp_path / "out").exists()


# --- coco ---


def test_coco_labels_are_read_by_liftwild(tmp_path: Path) -> None:
    recording = photo()
    labels, results = write_formats(recording, tmp_path, "a", ["coco"])
    assert (labels.name, results.name) == ("a.coco.json", "a.coco-results.json")
    boxes = boxes_of(labels, read_document(labels))
    assert list(boxes) == ["000012.jpg"] and [key for key, _ in boxes["000012.jpg"]] == [1, 2]
    np.testing.assert_allclose(boxes["000012.jpg"][1][1], recording.tracks[1].boxes[0], atol=0.006)
    people, skips = read_labels(labels)
    assert skips == [] and len(people) == 2
    for person, track in zip(people, recording.tracks, strict=True):
        assert person.joints_2d_valid.all() and person.depth_valid.all() and person.camera == CAMERA
        np.testing.assert_allclose(person.joints_2d, track.joints_2d[0], atol=0.006)
        np.testing.assert_allclose(person.joints_3d, (track.joints_3d + track.root_mm)[0], atol=0.06)
    document = json.loads(labels.read_text(encoding="utf-8"))
    assert document["info"]["frame"]["unit"] == "mm" and document["images"][0]["id"] == 12
    found = json.loads(results.read_text(encoding="utf-8"))
    assert [entry["image_id"] for entry in found] == [12, 12] and found[0]["category_id"] == 1
    assert found[0]["score"] == 0.8 and found[0]["keypoints"][2::3] == [1] * 16


def test_coco17_is_what_coco_calls_it(tmp_path: Path) -> None:
    recording = photo()
    recording = replace(recording, tracks=(hide(recording.tracks[0], "left_knee"), recording.tracks[1]))
    labels, results = write_formats(recording, tmp_path, "a", ["coco"], COCO_17)
    document = json.loads(labels.read_text(encoding="utf-8"))
    (category,) = document["categories"]
    assert category["keypoints"] == COCO_NAMES and category["skeleton"] == [list(line) for line in COCO_LINES]
    first = document["annotations"][0]
    flags = dict(zip(COCO_NAMES, first["keypoints"][2::3], strict=True))
    assert {name for name, flag in flags.items() if flag == 0} == {*COCO_NAMES[:5], "left_knee"}
    assert first["num_keypoints"] == 11 and first["keypoints"][:3] == [0, 0, 0]
    assert first["keypoint_scores"][:5] == [0] * 5
    assert json.loads(results.read_text(encoding="utf-8"))[0]["keypoints"][2::3].count(1) == 11
    people, skips = read_labels(labels)
    assert skips == [] and not people[0].joints_2d_valid[MPII_16.index("left_knee")]
    assert people[1].joints_2d_valid[[MPII_16.index("pelvis"), MPII_16.index("thorax")]].all()  # made up by the reader


@quick
@given(seed=seeds)
def test_coco_of_anything_can_be_read(seed: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    recording = random_recording(seed)
    out = tmp_path_factory.mktemp("coco")
    labels, results = write_formats(recording, out, "a", ["coco"], MPII_16)
    document = json.loads(labels.read_text(encoding="utf-8"))
    found = json.loads(results.read_text(encoding="utf-8"))
    poses = sum(map(len, recording.tracks))
    assert len(document["images"]) == len(recording.times_s) and len(found) == poses == len(document["annotations"])
    assert {entry["image_id"] for entry in found} <= {image["id"] for image in document["images"]}
    assert sum(map(len, boxes_of(labels, document).values())) == poses
    for skip in read_labels(labels)[1]:  # random joints lie anywhere, but nothing is misunderstood
        assert skip.reason in ("joint outside the photo, left out", "no joint labelled") or "do not fit" in skip.reason
        assert "camera" not in skip.reason and "keypoints_3d" not in skip.reason


def test_keypoints_3d_only_where_they_are_camera_space(tmp_path: Path) -> None:
    turned = replace(photo().tracks[0], root_mm=np.array([[0.0, 1500.0, 4000.0]]))
    for changes in ({"tracks": (turned,)}, {"camera": None, "camera_from": ""}):
        document = json.loads(_written(tmp_path, photo(**changes), "coco").read_text(encoding="utf-8"))
        assert "camera" not in document["images"][0]
        assert not any("keypoints_3d" in annotation for annotation in document["annotations"])


def test_image_ids() -> None:
    assert image_id(photo()) == 12
    names = ("a.jpg", "b.jpg", "12 .jpg", "9" * 40 + ".jpg", "٣.jpg")
    found = [image_id(photo(source=name)) for name in names]
    assert len(set(found)) == len(names) and all(0 <= value < 2**32 for value in found)
    assert image_id(photo(source="7.mp4", is_clip=True), 3) == 3


# --- trc ---


def read_trc(path: Path) -> tuple[dict[str, str], list[str], np.ndarray, np.ndarray, list[int]]:
    """Header, marker names, places (T, J, 3), times (T,), frame numbers of a TRC file, told by its layout alone."""
    lines = path.read_text(encoding="utf-8").split("\n")
    assert lines[0] == f"PathFileType\t4\t(X/Y/Z)\t{path.name}" and lines[5] == "" and lines[-1] == ""
    header = dict(zip(lines[1].split("\t"), lines[2].split("\t"), strict=True))
    labels, axes = lines[3].split("\t"), lines[4].split("\t")
    assert labels[:2] == ["Frame#", "Time"]
    names = [name for name in labels[2:] if name]
    assert labels[2::3] == [*names, ""] and axes[:2] == ["", ""]
    assert axes[2:-1] == [f"{axis}{i}" for i in range(1, len(names) + 1) for axis in "XYZ"]
    rows = [line.split("\t") for line in lines[6:-1]]
    assert all(len(row) == 3 * len(names) + 3 and row[-1] == "" for row in rows)  # a tab after every cell
    values = np.array([[float(cell) if cell else np.nan for cell in row[2:-1]] for row in rows])
    return header, names, values.reshape(len(rows), -1, 3), np.array([float(row[1]) for row in rows]), [
        int(row[0]) for row in rows
    ]  # fmt: skip


@quick
@given(seed=seeds)
def test_trc_has_the_markers_where_the_joints_are(seed: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    out = tmp_path_factory.mktemp("trc")
    recording = random_recording(seed)
    recording = Levelled(**{name: getattr(recording, name) for name in Recording.__dataclass_fields__})
    skeleton = recording.tracks[0].skeleton if recording.tracks else MPII_16
    written = write_formats(recording, out, "a", ["trc"], skeleton)
    seen = [track for track in recording.tracks if len(track)]
    assert [path.name for path in written] == [*(f"a.person{track.person_id}.trc" for track in seen), "a.about.txt"]
    for path, track in zip(written, seen, strict=False):
        header, names, places, times, numbers = read_trc(path)
        first, last = track.frames[0], track.frames[-1]
        assert header["Units"] == "m" and int(header["NumMarkers"]) == len(names) == len(skeleton)
        assert int(header["NumFrames"]) == int(header["OrigNumFrames"]) == len(places) == last - first + 1
        assert int(header["OrigDataStartFrame"]) == numbers[0] == first + 1 and float(header["DataRate"]) > 0
        assert tuple(names) == skeleton.names
        np.testing.assert_allclose(times, recording.times_s[first : last + 1], atol=1e-6)
        expected = np.full(places.shape, np.nan)
        if track.root_mm is not None:  # by hand: y and z change their signs, mm become m
            expected[track.frames - first] = (track.joints_3d + track.root_mm[:, None]) * (1e-3, -1e-3, -1e-3)
            np.testing.assert_allclose(places, expected, atol=1e-6)
        else:
            expected[track.frames - first] = track.joints_3d * (1e-3, -1e-3, -1e-3)
            height = places[..., 1] - expected[..., 1]
            assert np.nanmax(height) - np.nanmin(height) < 3e-6  # one height for all
            np.testing.assert_allclose(places[..., [0, 2]], expected[..., [0, 2]], atol=1e-6)


def test_who_has_no_place_stands_on_the_floor(tmp_path: Path) -> None:
    track = replace(photo(1).tracks[0], root_mm=None)
    path = _written(tmp_path, photo(tracks=(track,), camera=None, camera_from=""), "trc")
    _, names, places, _, _ = read_trc(path)
    assert 0.05 < places[..., 1].min() < 0.1  # an ankle, above its sole
    assert places[0, names.index("head_top"), 1] > 1.4
    # The person faces the camera, so the left side is at larger x, and what is nearer to the camera at larger z.
    assert places[0, names.index("left_hip"), 0] > places[0, names.index("right_hip"), 0]
    assert places[0, names.index("right_wrist"), 1] > places[0, names.index("left_wrist"), 1]
    assert places[0, names.index("right_wrist"), 2] > 0.05


def test_placed_people_are_put_on_their_floor(tmp_path: Path) -> None:
    _, names, places, _, _ = read_trc(_written(tmp_path, photo(1), "trc"))
    assert 0 < places[0, names.index("left_ankle"), 1] < 0.2  # the sole is on it
    assert places[0, names.index("pelvis"), 2] == pytest.approx(-4, abs=1e-3)
    text = (tmp_path / "a.about.txt").read_text(encoding="utf-8")
    assert "zero: on the floor below the camera" in text and "for BVH and TRC also done: not levelled" in text
    # Once levelled it is written as it is, in every format.
    levelled = Levelled(**vars(photo(1)), camera_height_mm=900.0)
    _, _, same, _, _ = read_trc(_written(tmp_path, levelled, "trc"))
    np.testing.assert_allclose(same[0, names.index("pelvis")], (0, -0.03, -4), atol=1e-6)
    document = json.loads(_written(tmp_path, levelled, "json").read_text(encoding="utf-8"))
    assert document["levelled"]["camera_height_mm"] == 900 and "y is down in the room" in document["frame"]["axes"]


# --- joint sets ---


def test_joint_sets_are_those_of_the_field() -> None:
    assert COCO_17.names == tuple(COCO_NAMES)
    assert H36M_17.names == H36M_JOINTS
    for skeleton in SKELETONS.values():
        assert skeleton.parents.count(-1) == 1 and len(skeleton.flip_pairs) in (6, 8)
        for joint in range(len(skeleton)):  # every joint hangs on the root, without a circle
            steps = 0
            while skeleton.parents[joint] >= 0:
                joint, steps = skeleton.parents[joint], steps + 1
                assert steps < len(skeleton)
    lines = {frozenset(line) for line in COCO_LINES}
    assert all(frozenset((child + 1, parent + 1)) in lines for child, parent in COCO_17.bones)


@pytest.mark.parametrize("target", SKELETONS.values(), ids=SKELETONS)
@pytest.mark.parametrize("source", SKELETONS.values(), ids=SKELETONS)
def test_joints_are_mapped_by_name(source: Skeleton, target: Skeleton) -> None:
    track = random_track(np.random.default_rng(3), np.arange(4), 1, source)
    track = replace(track, depth_sd_mm=np.random.default_rng(4).uniform(1, 90, (4, len(source))))
    other = convert(track, target)
    assert other.skeleton == target and other.joints_3d.shape == (4, len(target), 3)
    neck = {"neck": "upper_neck", "upper_neck": "neck"}
    for joint, name in enumerate(target.names):
        own = next((alias for alias in (name, neck.get(name)) if alias in source.names), None)
        if own is not None:
            at = source.index(own)
            for array in ("joints_2d", "joints_3d", "confidence", "depth_sd_mm"):
                np.testing.assert_array_equal(getattr(other, array)[:, joint], getattr(track, array)[:, at])
        elif np.isnan(other.joints_3d[:, joint]).all() and name not in ("pelvis", "thorax"):
            assert (other.confidence[:, joint] == 0).all() and np.isnan(other.joints_2d[:, joint]).all()
        else:
            assert name in ("pelvis", "thorax", "spine")
    assert other.boxes is track.boxes and other.root_mm is track.root_mm


def test_made_up_joints_are_means_and_say_so() -> None:
    track = photo(1).tracks[0]
    track = replace(track, confidence=np.linspace(0, 1, 16)[None], depth_sd_mm=np.arange(16.0)[None])
    other = convert(track, H36M_17)
    at, own = H36M_17.index, MPII_16.index
    middle = (track.joints_3d[0, own("pelvis")] + track.joints_3d[0, own("upper_neck")]) / 2
    np.testing.assert_allclose(other.joints_3d[0, at("spine")], middle)
    assert other.confidence[0, at("spine")] == track.confidence[0, own("pelvis")]  # the lower of the two
    assert other.depth_sd_mm is not None and other.depth_sd_mm[0, at("spine")] == 7.0
    assert np.isnan(other.joints_3d[0, at("jaw")]).all() and other.confidence[0, at("jaw")] == 0
    assert joint_notes(H36M_17) == {
        "spine": "made up: the middle of pelvis and upper_neck", "jaw": "not known: always empty, with confidence 0",
    }  # fmt: skip
    assert set(joint_notes(COCO_17)) == {"nose", "left_eye", "right_eye", "left_ear", "right_ear"}
    assert joint_notes(MPII_16) == {}
    hidden = convert(hide(track, "upper_neck"), H36M_17)
    assert np.isnan(hidden.joints_3d[0, at("spine")]).all()


# --- all together ---


@pytest.mark.parametrize("skeleton", SKELETONS.values(), ids=SKELETONS)
def test_every_file_is_known_again(tmp_path: Path, skeleton: Skeleton) -> None:
    pytest.importorskip("pyarrow")
    written = write_formats(photo(), tmp_path / "new" / "folder", "a.b [1]", [*FORMATS, "json"], skeleton)
    assert [path.name.removeprefix("a.b [1]") for path in written] == [
        ".json", ".csv", ".npz", ".parquet", ".coco.json", ".coco-results.json", ".person0.bvh", ".person1.bvh",
        ".person0.trc", ".person1.trc", ".about.txt",
    ]  # fmt: skip
    assert sorted(written) == sorted((tmp_path / "new" / "folder").iterdir())
    assert all(is_ours(path) for path in written)
    assert foreign_file(tmp_path / "new" / "folder", "a.b [1]", FORMATS) is None
    assert_same(in_skeleton(photo(), skeleton), read_json(written[0]), exact=False)


def test_files_of_others_are_known_too(tmp_path: Path) -> None:
    others = {
        "a.json": b'{"shapes": []}', "a.csv": b"x,y\n1,2\n", "a.npz": b"PK\3\4", "a.parquet": b"PAR1PAR1",
        "a.coco.json": b'{"info": {}}', "a.coco-results.json": b'[{"image_id": 1}]', "a.about.txt": b"About me",
        "a.person3.bvh": b"HIERARCHY\nROOT Hips\n", "a.person0.trc": b"PathFileType\t4\t(X/Y/Z)\twalk.trc\n",
    }  # fmt: skip
    for name, content in others.items():
        (tmp_path / name).write_bytes(content)
        assert not is_ours(tmp_path / name), name
        assert foreign_file(tmp_path, "a", FORMATS) == tmp_path / name
        (tmp_path / name).unlink()
    (tmp_path / "a.personal.bvh").write_bytes(b"mine")
    assert foreign_file(tmp_path, "a", FORMATS) is None and not is_ours(tmp_path / "none.csv")


def test_people_of_an_earlier_run_go(tmp_path: Path) -> None:
    write_formats(photo(3), tmp_path, "a", ["bvh", "trc"])
    (tmp_path / "a.person7.bvh").write_bytes(b"HIERARCHY\nROOT Hips\n")
    write_formats(photo(1), tmp_path, "a", ["bvh"])
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left == [
        "a.about.txt", "a.person0.bvh", "a.person0.trc", "a.person1.trc", "a.person2.trc", "a.person7.bvh",
    ]  # fmt: skip


def test_what_the_side_file_says(tmp_path: Path) -> None:
    write_formats(photo(confidence_is="a chance"), tmp_path, "a", ["json", "csv", "bvh", "trc"], COCO_17)
    text = (tmp_path / "a.about.txt").read_text(encoding="utf-8")
    for part in (
        "000012.jpg, a photo, 320 x 240 px", "a.person1.trc", "joints (coco17): nose", "joint nose: not known",
        "camera: fx 420.0", "from given", "nothing" not in text and "placed", "x_mm, y_mm, z_mm: unit mm; zero: pelvis",
        "axes: x right, y down, z away", "BVH and TRC: unit m", "axes: x right, y up, z toward the camera",
        "BVH joints: those of mpii16", "confidence: in [0, 1]; a chance",
    ):  # fmt: skip
        assert part and part in text, part
    assert not (tmp_path / "a.person0.trc").read_text().startswith("#")
    write_formats(photo(), tmp_path / "other", "a", ["json", "npz", "coco"])
    assert not (tmp_path / "other" / "a.about.txt").exists()  # these say it themselves


def test_unsure_joints_are_hidden_in_every_format(tmp_path: Path) -> None:
    pq = pytest.importorskip("pyarrow.parquet")
    sure = np.where(np.arange(16) == MPII_16.index("left_wrist"), 0.29, 0.31)[None]
    recording = photo(1)
    recording = replace(recording, tracks=(replace(recording.tracks[0], confidence=sure),))
    write_formats(recording, tmp_path, "a", FORMATS, H36M_17, min_confidence=0.3)
    wrist, elbow = H36M_17.index("left_wrist"), H36M_17.index("left_elbow")
    for again in (read_json(tmp_path / "a.json"), read_npz(tmp_path / "a.npz")):
        (track,) = again.tracks
        gone = {name for name, joint in zip(H36M_17.names, track.joints_3d[0], strict=True) if np.isnan(joint).all()}
        assert gone == {"left_wrist", "jaw"} and track.root_mm is not None
        assert track.confidence[0, [wrist, elbow]].tolist() == [0.29, 0.31]
    rows = (tmp_path / "a.csv").read_text().splitlines()[1:]
    assert rows[wrist].startswith("0,0.000000,0,left_wrist,,,,,,0.290,,")
    assert pq.read_table(tmp_path / "a.parquet").to_pylist()[wrist]["x_mm"] is None
    (label,) = json.loads((tmp_path / "a.coco.json").read_text())["annotations"]
    assert label["keypoints"][3 * wrist : 3 * wrist + 3] == [0, 0, 0] and label["num_keypoints"] == 15
    assert label["keypoints_3d"][3 * wrist] is None and label["keypoints_3d"][3 * elbow] is not None
    assert b"JOINT thorax" in (tmp_path / "a.person0.bvh").read_bytes()  # MPII's, whose bones keep their lengths
    assert b"left_elbow" in (tmp_path / "a.person0.bvh").read_bytes()
    assert b"left_wrist" not in (tmp_path / "a.person0.bvh").read_bytes()
    places = read_trc(tmp_path / "a.person0.trc")[2][0]
    assert np.isnan(places[wrist]).all() and np.isfinite(places[elbow]).all()
    with pytest.raises(LiftwildError, match="between 0 and 1"):
        write_formats(recording, tmp_path, "b", ["json"], min_confidence=1.5)


def test_unknown_formats_and_folders_that_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(LiftwildError, match="unknown format 'fbx'; known are json, csv"):
        write_formats(photo(), tmp_path / "out", "a", ["json", "fbx"])
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(LiftwildError, match="cannot be made a folder"):
        write_formats(photo(), tmp_path / "file" / "out", "a", ["json"])
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_full_disk_leaves_what_is_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = room.write_whole

    def full(path: Path, content: bytes) -> None:
        if path.suffix == ".csv":
            raise LiftwildError(f"{path}: cannot be written: No space left on device")
        whole(path, content)

    monkeypatch.setattr(room, "write_whole", full)
    with pytest.raises(LiftwildError, match="No space left"):
        write_formats(photo(), tmp_path, "a", ["json", "csv", "npz"])
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]
    read_json(tmp_path / "a.json")


def test_nobody_and_file_names_that_are_no_text(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    odd = b"latin-\xe9.jpg".decode("utf-8", "surrogateescape")
    written = write_formats(photo(0, source=odd), tmp_path, "a", FORMATS, H36M_17)
    assert len(written) == 7 and all(is_ours(path) for path in written)
    for recording in (read_json(tmp_path / "a.json"), read_npz(tmp_path / "a.npz")):
        assert recording.source == odd and recording.tracks == ()
