"""From labels and photos to a store and back: exact labels, honest skips, and never half a file."""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pytest

from liftwild.camera import bone_lengths
from liftwild.data.prepare import find_photo, prepare_coco, write_skips
from liftwild.data.store import CROP_PX, DEFAULTS, SCHEMA, Store, StoreWriter, stored_row, sum_length_mm
from liftwild.errors import LiftwildError
from liftwild.sample import Sample
from liftwild.skeleton import MPII_16
from tests.data_fixtures import (
    CAMERA,
    HEIGHT,
    WIDTH,
    J,
    annotation,
    annotation_3d,
    camera_field,
    keypoints,
    labels,
    make_store,
    photo,
    pose,
    sample,
    write_labels,
    write_photo,
)


def prepare(tmp_path: Path, content: dict[str, Any], files: dict[str, np.ndarray | bytes | None] | None = None) -> Any:
    """Prepare ``content`` in a folder with ``files`` (by default one good photo of each name in the labels)."""
    (tmp_path / "photos").mkdir(exist_ok=True)
    for name, image in (files or {image["file_name"]: None for image in content["images"]}).items():
        if isinstance(image, bytes):
            (tmp_path / "photos" / name).write_bytes(image)
        else:
            write_photo(tmp_path / "photos" / name, image)
    return prepare_coco(write_labels(tmp_path / "labels.json", content), tmp_path / "photos", tmp_path / "x.arrow")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# --- round trip ---


def test_people_come_back_as_they_were(tmp_path: Path) -> None:
    entries = [annotation_3d(3, 2), annotation_3d(4, 1, x=300.0), annotation_3d(9, 2, x=-150.0)]
    entries[1]["keypoints"][3 * 4 : 3 * 4 + 3] = [0, 0, 0]
    entries[2]["keypoints_3d"][3 * 5] = None
    done = prepare(tmp_path, labels(entries, files=["a.png", "b.png"], camera=camera_field()))
    assert (done.people, done.photos, done.skips) == (3, 2, [])
    store = Store(tmp_path / "x.arrow")
    assert len(store) == 3
    by_id = {row.annotation_id: row for row in store}  # type: ignore[attr-defined]
    for key, x, file in ((3, 0.0, "b.png"), (4, 300.0, "a.png"), (9, -150.0, "b.png")):
        row, true_3d = by_id[key], pose(key, x)
        known, seen = np.ones(J, bool), np.ones(J, bool)
        known[5], seen[4] = key != 9, key != 4
        assert (
            row.source == file and np.array_equal(row.depth_valid, known) and np.array_equal(row.joints_2d_valid, seen)
        )
        assert np.array_equal(row.joints_3d[known], true_3d[known].astype(np.float32)) and np.all(
            row.joints_3d[~known] == 0
        )
        both = known & seen
        assert row.camera is not None and row.camera.skew == 0
        assert np.abs(row.camera.project(true_3d[both]) - row.joints_2d[both]).max() < 1e-4
        # Back to the photo, and to its very camera.
        crop = store._table["crop"][[r.annotation_id for r in store].index(key)].as_py()  # type: ignore[attr-defined]
        scale = row.image.shape[0] / crop[2]
        corner = np.array(crop[:2]) - crop[2] / 2
        assert np.abs(row.joints_2d[seen] / scale + corner - CAMERA.project(true_3d)[seen]).max() < 1e-4
        assert (row.camera.fx, row.camera.fy) == pytest.approx((CAMERA.fx * scale, CAMERA.fy * scale))
        joints = row.joints_2d[seen]
        low, high = joints.min(axis=0), joints.max(axis=0)
        assert np.allclose(row.box, [*low, *(high - low)], atol=1e-3)  # made from the joints


def test_without_3d(tmp_path: Path) -> None:
    prepare(tmp_path, labels([annotation()]))
    row = Store(tmp_path / "x.arrow")[0]
    assert row.camera is None and not row.has_3d and row.joints_2d_valid.all() and np.all(row.joints_3d == 0)


def test_who_and_which_group_and_how_large_the_head(tmp_path: Path) -> None:
    told = replace(sample(0, size=800), subject="S9", group="Sitting Down", head_size_px=60.0)
    store = make_store(tmp_path / "x.arrow", [told, sample(1)])
    scale = stored_row(told)["crop"][2] / CROP_PX
    assert scale > 1.5 and (store[0].subject, store[0].group) == ("S9", "Sitting Down")
    assert store[0].head_size_px == pytest.approx(60 / scale)
    assert (store[1].subject, store[1].group, store[1].head_size_px) == ("", "", None)
    assert store.column("group").tolist() == ["Sitting Down", ""] and store.column("subject").tolist() == ["S9", ""]
    assert store.column("annotation_id").tolist() == [0, 1]
    heads = store.column("head_size_px")
    assert heads[0] == pytest.approx(60 / scale) and np.isnan(heads[1])


def test_stores_from_before_these_fields_still_read(tmp_path: Path) -> None:
    older = pa.schema([field for field in SCHEMA if field.name not in DEFAULTS], SCHEMA.metadata)
    rows = [{name: stored_row(sample(i))[name] for name in older.names} for i in range(2)]
    make_rows(tmp_path / "x.arrow", older, rows)
    store = Store(tmp_path / "x.arrow")
    assert len(store) == 2 and store[1].annotation_id == 1
    assert (store[1].subject, store[1].group, store[1].head_size_px) == ("", "", None)
    assert store.column("group").tolist() == ["", ""] and np.isnan(store.column("head_size_px")).all()


def test_camera_present_and_absent_in_one_store(tmp_path: Path) -> None:
    store = make_store(tmp_path / "x.arrow", [sample(i, three=i % 2 == 1) for i in range(5)])
    assert [store[i].camera is not None for i in range(5)] == [False, True, False, True, False]
    assert [store[i].has_3d for i in range(5)] == [False, True, False, True, False]
    assert store.column("depth_valid").sum(axis=1).tolist() == [0, J, 0, J, 0]
    assert store[3].camera.fx == pytest.approx(240.0)  # type: ignore[union-attr]


def test_a_small_person_keeps_the_very_pixels_of_the_photo() -> None:
    image = np.random.default_rng(0).integers(0, 256, (200, 200, 3)).astype(np.uint8)
    joints = np.random.default_rng(1).uniform(60.3, 120.7, (J, 2))
    low, high = joints.min(axis=0), joints.max(axis=0)
    one = replace(sample(0, three=False), image=image, joints_2d=joints, box=(*low, *(high - low)))
    row = stored_row(one)
    cut = cv2.imdecode(np.frombuffer(row["image"], np.uint8), cv2.IMREAD_COLOR_RGB)
    side = int(np.ceil(max(one.box[2:]) * 1.875))
    assert cut.shape == (side, side, 3) and row["crop"][2] == side
    x, y = (round(value - side / 2) for value in row["crop"][:2])
    expected = image[y : y + side, x : x + side]
    done, jpeg = cv2.imencode(".jpg", expected[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])
    assert done and np.array_equal(cut, cv2.imdecode(jpeg, cv2.IMREAD_COLOR_RGB))
    assert np.allclose(np.reshape(row["joints_2d"], (J, 2)), joints - (x, y), atol=1e-5)


@pytest.mark.parametrize(("height", "expected"), [(1, 16), (5, 16), (100, 188), (204, 383), (205, 384), (900, 384)])
def test_crops_are_never_enlarged_nor_above_384_px(height: int, expected: int) -> None:
    one = replace(sample(0, three=False), image=photo(1000, 1000), box=(300.0, 50.0, height / 2, float(height)))
    row = stored_row(one)
    image = cv2.imdecode(np.frombuffer(row["image"], np.uint8), cv2.IMREAD_COLOR)
    assert image.shape[:2] == (expected, expected) and expected <= max(CROP_PX, 16)
    assert row["crop"][2] >= image.shape[0]


def test_a_large_person_is_scaled_down_about_the_box(tmp_path: Path) -> None:
    image = np.zeros((1200, 1200, 3), np.uint8)
    cv2.circle(image, (700, 500), 12, (255, 0, 0), -1)
    joints = np.full((J, 2), 700.5)
    joints[:, 1] = 500.5
    one = replace(sample(0, three=False), image=image, joints_2d=joints, box=(400.0, 100.0, 300.0, 800.0))
    row = make_store(tmp_path / "x.arrow", [one])[0]
    red = row.image[..., 0].astype(float) * (row.image[..., 0] > 100)
    ys, xs = np.mgrid[: red.shape[0], : red.shape[1]] + 0.5
    dot = np.array([(red * xs).sum(), (red * ys).sum()]) / red.sum()
    assert np.abs(dot - row.joints_2d[0]).max() < 0.1 and row.image[..., 2].max() < 100  # RGB, not BGR


# --- the file ---


def test_any_arrow_reader_opens_it(tmp_path: Path) -> None:
    prepare(tmp_path, labels([annotation_3d(1), annotation(2)], camera=camera_field()))
    code = """
import json, sys, pyarrow as pa
table = pa.ipc.open_file(pa.memory_map(sys.argv[1])).read_all()
assert "liftwild" not in sys.modules
print(json.dumps({"names": table.column_names, "rows": len(table), "jpeg": table["image"][0].as_py()[:3].hex(),
    "joints": json.loads(table.schema.metadata[b"joint_names"]),
    "about": table.schema.field("joints_3d").metadata[b"is"].decode(),
    "camera": table["camera"].to_pylist()[0][4], "ids": table["annotation_id"].to_pylist()}))
"""
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "x.arrow"], capture_output=True, text=True, cwd="/")
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert seen["rows"] == 2 and seen["jpeg"] == "ffd8ff" and seen["joints"] == list(MPII_16.names)
    assert seen["names"] == SCHEMA.names and "mm" in seen["about"] and seen["camera"] == 0 and seen["ids"] == [1, 2]


def test_random_access(tmp_path: Path) -> None:
    count = 150  # three chunks of rows
    store = make_store(tmp_path / "x.arrow", (sample(i, size=40) for i in range(count)))
    assert len(store) == count and store._table["image"].num_chunks == 3
    for i in [149, 0, 64, 63, 128, 7, 127, 149]:
        assert store[i].annotation_id == i and store[i].source == f"{i}.png"
        assert np.array_equal(store[i].joints_3d, pose(i).astype(np.float32))
        assert np.array_equal(store.column("joints_3d")[i], store[i].joints_3d)
        assert np.array_equal(store.column("joints_2d")[i], store[i].joints_2d)
        assert np.array_equal(store.column("box")[i], np.float32(store[i].box))
    assert store.column("joints_2d_valid").shape == (count, J) and store.column("depth_valid").all()
    assert store[-1].annotation_id == count - 1
    for beyond in (count, -count - 1):
        with pytest.raises(IndexError):
            store[beyond]


def test_a_store_travels_as_its_path(tmp_path: Path) -> None:
    store = make_store(tmp_path / "x.arrow", [sample(i) for i in range(3)])
    packed = pickle.dumps(store)
    assert len(packed) < 1000
    again = pickle.loads(packed)
    assert np.array_equal(again[2].image, store[2].image) and again.fingerprint() == store.fingerprint()
    before = pa.total_allocated_bytes()
    Store(tmp_path / "x.arrow")
    assert pa.total_allocated_bytes() - before < 10_000  # mapped, not read


def test_fingerprint(tmp_path: Path) -> None:
    people = [sample(i, three=i != 1) for i in range(3)]

    def print_of(name: str, changed: Sample | None = None) -> str:
        return make_store(tmp_path / name, [people[0], people[1], changed or people[2]]).fingerprint()

    same = print_of("a.arrow")
    assert same == print_of("b.arrow") and len(same) == 64
    joint = people[2].joints_2d.copy()
    joint[3, 1] += 0.01
    seen = people[2].joints_2d_valid.copy()
    seen[3] = False
    picture = people[2].image.copy()
    picture[80:90, 80:90] = 0
    assert people[2].camera is not None
    changes = [
        {"joints_2d": joint},
        {"joints_2d_valid": seen},
        {"joints_3d": people[2].joints_3d + 0.5},
        {"image": picture},
        {"camera": None},
        {"camera": replace(people[2].camera, fx=999.0)},
        {"source": "other.png"},
        {"annotation_id": 77},
        {"subject": "S1"},
        {"group": "TS1"},
        {"head_size_px": 20.0},
    ]
    prints = {print_of("c.arrow", replace(people[2], **change)) for change in changes}
    assert len(prints) == len(changes) and same not in prints


def test_sum_lengths(tmp_path: Path) -> None:
    part = sample(1)
    part.depth_valid[3] = False
    two, three = [sample(2, three=False)], [sample(0), part, sample(5)]
    a, b = make_store(tmp_path / "a.arrow", two), make_store(tmp_path / "b.arrow", three)
    expected = bone_lengths(np.stack([pose(0), pose(5)])).sum(axis=1)
    assert np.allclose(b.sum_lengths_mm(), expected, rtol=1e-6) and a.sum_lengths_mm().shape == (0,)
    assert sum_length_mm([a, b]) == pytest.approx(expected.mean(), rel=1e-6)
    for nothing in ([], [a]):
        with pytest.raises(LiftwildError, match="no store with complete 3D poses"):
            sum_length_mm(nothing)


def broken_store(tmp_path: Path, kind: str) -> Path:
    path = tmp_path / "x.arrow"
    if kind == "folder":
        path.mkdir()
    elif kind == "empty file":
        path.touch()
    elif kind == "text":
        path.write_text("hello")
    elif kind == "cut":
        make_store(path, [sample()])
        path.write_bytes(path.read_bytes()[:-100])
    elif kind == "overwritten":
        make_store(path, [sample()])
        content = path.read_bytes()
        path.write_bytes(content[:8] + b"\xff" * (len(content) - 300) + content[-292:])
    elif kind == "nobody":
        make_rows(path, SCHEMA, [])
    elif kind == "other":
        make_rows(path, pa.schema([pa.field("a", pa.int64())]), [{"a": 1}])
    elif kind == "version":
        make_rows(path, SCHEMA.with_metadata({**SCHEMA.metadata, b"liftwild_store": b"9"}), [])
    elif kind == "joints":
        make_rows(path, SCHEMA.with_metadata({**SCHEMA.metadata, b"joint_names": b'["nose"]'}), [])
    elif kind == "columns":
        make_rows(path, pa.schema([SCHEMA.field("image")], SCHEMA.metadata), [])
    return path


def make_rows(path: Path, schema: Any, rows: list[dict[str, Any]]) -> None:
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, schema) as writer:
        writer.write_table(pa.Table.from_pylist(rows, schema))


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("missing", "no store "),
        ("folder", "is not a store"),
        ("empty file", "is not a store"),
        ("text", "is not a store"),
        ("cut", "is not a store"),
        ("overwritten", "is not a store"),
        ("nobody", "holds nobody"),
        ("other", "not a liftwild store of version 1"),
        ("version", "not a liftwild store of version 1"),
        ("joints", "does not have the columns and joints"),
        ("columns", "does not have the columns and joints"),
    ],
)
def test_what_is_no_store(tmp_path: Path, kind: str, says: str) -> None:
    path = broken_store(tmp_path, kind)
    with pytest.raises(LiftwildError) as caught:
        Store(path)
    assert says in str(caught.value) and str(path) in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"no picture", b"\xff\xd8\xff\xe0"])
def test_a_broken_picture_in_a_store(tmp_path: Path, content: bytes) -> None:
    with StoreWriter(tmp_path / "x.arrow") as writer:
        writer.add(stored_row(sample(0)))
        writer.add({**stored_row(sample(1)), "image": content})
    store = Store(tmp_path / "x.arrow")
    assert store[0].annotation_id == 0
    with pytest.raises(LiftwildError, match="picture of row 1 is broken"):
        store[1]


# --- prepare: what is left out ---


def test_bad_photos_are_skipped_and_the_rest_is_fine(tmp_path: Path) -> None:
    good = write_photo(tmp_path / "good.jpg").read_bytes()
    files: dict[str, np.ndarray | bytes | None] = {
        "corrupt.jpg": b"\xff\xd8\xff" + bytes(range(256)) * 8,
        "cut.jpg": good[: len(good) // 2],
        "text.png": b"not a picture",
        "empty.png": b"",
        "other-size.png": photo(WIDTH - 1, HEIGHT),
        "turned.png": photo(HEIGHT, WIDTH),
        "good.jpg": good,
        "last.png": None,
    }
    listed = [*files, "missing.png"]
    entries = [annotation(10 + i, 1 + i) for i in range(len(listed))]
    entries += [annotation(30, 1 + listed.index("good.jpg")), annotation(31, 1 + listed.index("corrupt.jpg"))]
    entries[listed.index("last.png")]["bbox"] = [90, 10, 140, 200]
    done = prepare(tmp_path, labels(entries, files=listed), files)
    store = Store(tmp_path / "x.arrow")
    assert [store[i].annotation_id for i in range(len(store))] == [16, 30, 17] and (done.people, done.photos) == (3, 2)
    assert done.reasons() == {"photo cannot be read": 6, "photo has another size than its labels say": 2}
    said = {skip.annotation_id: str(skip) for skip in done.skips}
    assert said[10].startswith("corrupt.jpg, annotation 10: photo cannot be read (")
    assert "cut short" in said[11] and "empty" in said[13] and "no such file" in said[18] and 31 in said
    assert said[14].endswith(f"(photo is {WIDTH - 1}x{HEIGHT}, labels say {WIDTH}x{HEIGHT})")
    listing = write_skips(done, tmp_path / "x.arrow")
    assert listing is not None and listing.read_text().splitlines() == [str(skip) for skip in done.skips]
    assert write_skips(replace(done, skips=[]), tmp_path / "x.arrow") is None and not listing.exists()


def test_boxes_that_are_not_on_the_photo(tmp_path: Path) -> None:
    content = labels(
        [
            annotation(1, bbox=[-60, 10, 55, 80], keypoints=keypoints(np.full((J, 2), (0.0, 40.0)))),
            annotation(2, bbox=[-4000, -4000, 8400, 8300]),
            annotation(3),
        ]
    )
    done = prepare(tmp_path, content)
    assert [(skip.annotation_id, skip.reason) for skip in done.skips] == [
        (1, "bbox outside the photo"),
        (2, "bbox far larger than the photo"),
    ]
    assert done.people == 1


def test_labels_that_state_no_size_are_held_against_the_photo(tmp_path: Path) -> None:
    outside = annotation(2)
    outside["keypoints"][0:2] = [WIDTH + 9.0, 20.0]
    content = labels(
        [annotation(1), outside, annotation(3, keypoints=[1e30, 5, 2] * J, bbox=[1e30, 5, 9, 9])], width=None, height=0
    )
    done = prepare(tmp_path, content)
    assert done.people == 1 and Counter(skip.annotation_id for skip in done.skips) == {2: 1, 3: 1}
    assert str(done.skips[0]) == f"a.png, annotation 2: joint outside the photo (photo is {WIDTH}x{HEIGHT})"


def test_people_of_one_photo_are_read_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """COCO's annotations are in no order; Label Studio lists a photo once for each annotator."""
    read: list[str] = []
    monkeypatch.setattr("liftwild.data.prepare.read_photo", lambda path: (read.append(path.name), photo())[1])
    content = labels([annotation(i, 1 + i % 3) for i in range(1, 10)], files=["a.png", "b.png", "a.png"])
    done = prepare(tmp_path, content, {"a.png": None, "b.png": None})
    assert sorted(read) == ["a.png", "b.png"] and (done.people, done.photos) == (9, 2)
    store = Store(tmp_path / "x.arrow")
    assert [store[i].annotation_id for i in range(9)] == [1, 4, 7, 2, 3, 5, 6, 8, 9]
    assert [store[i].source for i in range(9)] == ["b.png"] * 3 + ["a.png"] * 6


def test_file_names_as_tools_write_them(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    for name in ("a.png", "sub/b.png", "sub/a.png", "c d.png"):
        write_photo(folder / name)
    write_photo(tmp_path / "secret.png")
    write_photo(tmp_path / "photos2" / "x.png")
    for name, found in {
        "a.png": "a.png",
        "./a.png": "a.png",
        "sub/b.png": "sub/b.png",
        "sub\\a.png": "sub/a.png",
        "photos/sub/a.png": "sub/a.png",
        "..\\..\\label-studio\\media\\upload\\4\\a.png": "a.png",
        "/data/upload/4/a.png": "a.png",
        "/data/local-files/?d=photos/a.png": "a.png",
        "https://host/bucket/c d.png": "c d.png",
        "C:\\me\\a.png": "a.png",
        "sub/../a.png": "sub/a.png",
    }.items():
        assert find_photo(folder, name) == folder / found, name
    for name in ("../secret.png", str(tmp_path / "secret.png"), "../photos2/x.png", "sub", "..", "/", ".", "b.png"):
        assert find_photo(folder, name) is None, name
    assert find_photo(folder, "x" * 5000 + ".png") is None and find_photo(folder, "a\0.png") is None


def test_two_names_for_one_photo_are_no_guess(tmp_path: Path) -> None:
    files = ["1/a.png", "2/a.png", "a.png", "9/b.png"]
    content = labels([annotation(i, i) for i in range(1, 5)], files=files)
    done = prepare(tmp_path, content, {"a.png": None, "b.png": None})
    store = Store(tmp_path / "x.arrow")
    assert [store[i].source for i in range(len(store))] == ["a.png", "9/b.png"]
    assert [skip.annotation_id for skip in done.skips] == [1, 2]
    assert "answers to several names" in done.skips[0].detail


def test_labels_cannot_reach_outside_of_the_folder(tmp_path: Path) -> None:
    write_photo(tmp_path / "secret.png")
    content = labels([annotation(1, 1), annotation(2, 2)], files=["../secret.png", str(tmp_path / "secret.png")])
    with pytest.raises(LiftwildError, match=r"nobody .* could be used, 2 left out; most of them like ../secret.png"):
        prepare(tmp_path, content, {"other.png": None})


# --- prepare: whole or not at all ---


def test_nobody_usable_leaves_no_file(tmp_path: Path) -> None:
    for content in (labels([]), labels([annotation(iscrowd=1)]), labels([annotation()], files=["missing.png"])):
        with pytest.raises(LiftwildError, match=r"nobody of .* could be used"):
            prepare(tmp_path, content, {"a.png": None})
        assert names(tmp_path) == ["labels.json", "photos"]


def test_errors_of_the_whole(tmp_path: Path) -> None:
    content = labels([annotation()])
    prepare(tmp_path, content)
    path = tmp_path / "labels.json"
    for images, out, says in (
        ("none", "y.arrow", "no folder of photos"),
        ("labels.json", "y.arrow", "no folder of photos"),
        ("photos", "no/y.arrow", "no folder .* to write y.arrow into"),
        ("photos", "photos", "is a folder, not a store"),
        ("photos", "labels.json/y.arrow", "no folder "),
        ("photos", "z" * 250 + ".arrow", "cannot write .*name too long"),
    ):
        with pytest.raises(LiftwildError, match=f"(?i){says}"):
            prepare_coco(path, tmp_path / images, tmp_path / out)
    with pytest.raises(LiftwildError, match="cannot read labels"):
        prepare_coco(tmp_path / "none.json", tmp_path / "photos", tmp_path / "y.arrow")
    assert names(tmp_path) == ["labels.json", "photos", "x.arrow"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, MemoryError, LiftwildError])
def test_an_interruption_leaves_the_older_store(tmp_path: Path, error: type[BaseException]) -> None:
    files = [f"{i}.png" for i in range(9)]
    content = labels([annotation(i + 1, i + 1) for i in range(9)], files=files)
    prepare(tmp_path, content)
    older = (tmp_path / "x.arrow").read_bytes()

    def stopped(photos: Iterator[Any], total: int) -> Iterator[Any]:
        for number, result in enumerate(photos):
            if number == 4:
                raise error("stop")
            yield result

    for output in ("x.arrow", "y.arrow"):
        with pytest.raises(error, match="stop"):
            prepare_coco(tmp_path / "labels.json", tmp_path / "photos", tmp_path / output, stopped)
    assert names(tmp_path) == ["labels.json", "photos", "x.arrow"]
    assert (tmp_path / "x.arrow").read_bytes() == older
    prepare(tmp_path, labels([annotation()], files=["0.png"]))
    assert len(Store(tmp_path / "x.arrow")) == 1


def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        def write_batch(self, batch: Any) -> None:
            raise OSError(28, "No space left on device")

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    says = r"cannot write .*x\.arrow: .*No space left"
    with pytest.raises(LiftwildError, match=says), StoreWriter(tmp_path / "x.arrow") as writer:
        writer._writer = Full()
        for i in range(64):
            writer.add(stored_row(sample(i, size=40)))
    monkeypatch.setattr("liftwild.data.store.os.fsync", full)
    with pytest.raises(LiftwildError, match=says), StoreWriter(tmp_path / "x.arrow") as writer:
        writer.add(stored_row(sample()))
    assert names(tmp_path) == []


SLOW = """
import sys, time
from liftwild.data.prepare import prepare_coco
def slow(photos, total):
    for number, result in enumerate(photos):
        yield result
        if number == 70:  # more than a batch of rows is in the file
            print("in the middle", flush=True)
            time.sleep(60)
prepare_coco(*sys.argv[1:], slow)
"""


@pytest.mark.parametrize("kill", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_real_kill_in_the_middle(tmp_path: Path, kill: signal.Signals) -> None:
    prepare(tmp_path, labels([annotation()]))
    older = (tmp_path / "x.arrow").read_bytes()
    files = [f"{i}.png" for i in range(80)]
    for name in files:
        os.link(tmp_path / "photos" / "a.png", tmp_path / "photos" / name)
    write_labels(tmp_path / "many.json", labels([annotation(i + 1, i + 1) for i in range(80)], files=files))
    args = [tmp_path / "many.json", tmp_path / "photos", tmp_path / "x.arrow"]
    with subprocess.Popen(
        [sys.executable, "-c", SLOW, *map(str, args)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None and process.stdout.readline() == "in the middle\n"
        with pytest.raises(LiftwildError, match="another process is writing"):
            prepare_coco(*args)
        process.send_signal(kill)
        process.wait(20)
    assert (tmp_path / "x.arrow").read_bytes() == older and len(Store(tmp_path / "x.arrow")) == 1
    rest = ["labels.json", "many.json", "photos", "x.arrow"]
    assert names(tmp_path) == (rest if kill == signal.SIGINT else [".x.arrow.part", *rest])
    assert prepare_coco(*args).people == 80
    assert names(tmp_path) == rest and len(Store(tmp_path / "x.arrow")) == 80


def test_the_files_mode_follows_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        make_store(tmp_path / "x.arrow", [sample()])
    finally:
        os.umask(before)
    assert (tmp_path / "x.arrow").stat().st_mode & 0o777 == 0o640


def test_memory_stays_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many photos there are, only a window of them is under way."""
    read: list[Path] = []
    monkeypatch.setattr("liftwild.data.prepare.read_photo", lambda path: (read.append(path), photo())[1])
    files = [f"{i}.png" for i in range(300)]
    (tmp_path / "photos").mkdir()
    for name in files:
        (tmp_path / "photos" / name).touch()
    write_labels(tmp_path / "labels.json", labels([annotation(i + 1, i + 1) for i in range(300)], files=files))
    ahead: list[int] = []

    def watch(photos: Iterator[Any], total: int) -> Iterator[Any]:
        assert total == 300
        for result in photos:
            ahead.append(len(read) - len(ahead))
            yield result

    done = prepare_coco(tmp_path / "labels.json", tmp_path / "photos", tmp_path / "x.arrow", watch)
    assert done.people == 300 and len(ahead) == 300 and max(ahead) <= 64
