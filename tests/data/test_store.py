"""Stores: people come back as they were, and what is no store is said."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pytest

from liftwild.camera import bone_lengths
from liftwild.data.augment import Augmentation, augment
from liftwild.data.means import joined
from liftwild.data.store import CROP_PX, DEFAULTS, SCHEMA, Store, StoreWriter, stored_row
from liftwild.errors import LiftwildError
from liftwild.sample import Sample
from liftwild.skeleton import MPII_16, PELVIS, SCALE_BONES
from tests.support.images import picture
from tests.support.label_files import CAMERA, annotation, annotation_3d, camera_field, labels
from tests.support.poses import J, pose
from tests.support.stores import make_store, prepare, sample

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


def test_the_spine_of_human36m(tmp_path: Path) -> None:
    spine = np.array([120.0, -340.5, 3100.0])
    store = make_store(tmp_path / "x.arrow", [sample(0), replace(sample(1), spine_3d=spine), sample(2)])
    assert store[0].spine_3d is None and store[1].spine_3d is not None and np.array_equal(store[1].spine_3d, spine)
    column = store.column("spine_3d")
    assert column.shape == (3, 3) and np.array_equal(column[1], spine) and np.isnan(column[[0, 2]]).all()
    turned = augment(store[1], np.random.default_rng(0), Augmentation(rotation_deg=60, rotation_probability=1), 64)
    # It turns with the joints: as far from each of them as before.
    before = np.linalg.norm(store[1].joints_3d - spine, axis=1)
    assert turned.spine_3d is not None and not np.allclose(turned.spine_3d, spine, atol=1)
    assert np.allclose(np.linalg.norm(turned.joints_3d - turned.spine_3d, axis=1), before, atol=0.01)


def test_stores_from_before_these_fields_still_read(tmp_path: Path) -> None:
    older = pa.schema([field for field in SCHEMA if field.name not in DEFAULTS], SCHEMA.metadata)
    rows = [{name: stored_row(sample(i))[name] for name in older.names} for i in range(2)]
    make_rows(tmp_path / "x.arrow", older, rows)
    store = Store(tmp_path / "x.arrow")
    assert len(store) == 2 and store[1].annotation_id == 1
    assert (store[1].subject, store[1].group, store[1].head_size_px) == ("", "", None)
    assert store.column("group").tolist() == ["", ""] and np.isnan(store.column("head_size_px")).all()
    assert store[1].spine_3d is None and np.isnan(store.column("spine_3d")).all()


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
    cut = cv2.imdecode(np.frombuffer(row["image"], np.uint8), cv2.IMREAD_COLOR)[:, :, ::-1]
    side = int(np.ceil(max(one.box[2:]) * 1.875))
    assert cut.shape == (side, side, 3) and row["crop"][2] == side
    x, y = (round(value - side / 2) for value in row["crop"][:2])
    expected = image[y : y + side, x : x + side]
    done, jpeg = cv2.imencode(".jpg", expected[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])
    assert done and np.array_equal(cut, cv2.imdecode(jpeg, cv2.IMREAD_COLOR)[:, :, ::-1])
    assert np.allclose(np.reshape(row["joints_2d"], (J, 2)), joints - (x, y), atol=1e-5)


@pytest.mark.parametrize(("height", "expected"), [(1, 16), (5, 16), (100, 188), (204, 383), (205, 384), (900, 384)])
def test_crops_are_never_enlarged_nor_above_384_px(height: int, expected: int) -> None:
    one = replace(sample(0, three=False), image=picture(1000, 1000), box=(300.0, 50.0, height / 2, float(height)))
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
        {"visibility": np.full(16, 2, np.uint8)},
        {"photo": (1.0, 2.0, 30.0, 40.0)},
        {"spine_3d": np.array([1.0, 2.0, 3.0])},
    ]
    prints = {print_of("c.arrow", replace(people[2], **change)) for change in changes}
    assert len(prints) == len(changes) and same not in prints


def test_means(tmp_path: Path) -> None:
    part = sample(1)
    part.depth_valid[3] = False
    two, three, more = [sample(2, three=False)], [sample(0), part, sample(5)], [sample(7)]
    a, b, c = (make_store(tmp_path / f"{i}.arrow", people) for i, people in enumerate((two, three, more)))
    whole = np.stack([pose(0), pose(5), pose(7)])
    lengths = bone_lengths(whole, SCALE_BONES)
    assert b.means().people == 2 and np.allclose(b.means().bone_lengths_mm, lengths[:2].mean(axis=0), rtol=1e-6)
    together = joined(store.means() for store in (a, b, c))  # each person counts once, whichever store has them
    assert together.people == 3 and together.sum_length_mm == pytest.approx(lengths.sum(axis=1).mean(), rel=1e-6)
    assert np.allclose(together.pose_mm, (whole - whole[:, PELVIS : PELVIS + 1]).mean(axis=0), atol=1e-3)
    for nothing in ([], [a.means()]):
        with pytest.raises(LiftwildError, match="no store with complete 3D poses"):
            joined(nothing)


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
