"""CSV, Parquet and DataFrame: the same rows, one for each joint of each person in each frame."""

from __future__ import annotations

import csv
import io
import json
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given

from liftwild.errors import LiftwildError
from liftwild.io.csv_table import COLUMNS, HEADER
from liftwild.io.dataframe import to_dataframe
from liftwild.io.formats import is_ours, save, write_formats
from liftwild.io.json_file import read_json
from liftwild.io.npz import read_npz
from liftwild.joint_mapping import in_skeleton
from liftwild.skeleton import COCO_17, H36M_17, MPII_16
from tests.support.recordings import photo, portrait, random_recording, written
from tests.support.strategies import quick, seeds

# --- CSV and Parquet ---


@quick
@given(seed=seeds)
def test_the_table_has_every_joint_of_everybody(seed: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    pq = pytest.importorskip("pyarrow.parquet")
    recording = random_recording(seed)
    skeleton = recording.tracks[0].skeleton if recording.tracks else H36M_17
    out = tmp_path_factory.mktemp("table")
    write_formats(recording, out, "a", ["csv", "parquet"], skeleton)
    with (out / "a.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
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
            "score": (None if track.scores is None else track.scores[i], 0.001),
            "inside": (None if track.inside is None else track.inside[i, joint], 0.001),
            "visible": (None if track.visible is None else track.visible[i, joint], 0.001),
        }
        assert set(values) | {"frame", "person_id", "joint"} == set(row) == set(exact)
        for key, (value, step) in values.items():
            if value is None or np.isnan(value):
                assert row[key] == "" and exact[key] is None, key
            else:
                assert float(row[key]) == pytest.approx(value, abs=0.5001 * step) and exact[key] == value, key


def test_chances_are_in_every_format_and_old_files_are_read(tmp_path: Path) -> None:
    known, unknown = photo(tracks=(portrait(0.12345, 0.3),)), photo(tracks=(portrait(None),))
    legs = [name.endswith(("ankle", "knee")) for name in MPII_16.names]
    for name in ("json", "npz"):
        read = read_json if name == "json" else read_npz
        (told,) = read(written(tmp_path, known, name)).tracks
        np.testing.assert_allclose(told.inside, [np.where(legs, 0.12345, 0.9)], atol=0.0005 if name == "json" else 0)
        assert told.visible is not None and (told.visible < 0.5).sum() == 1 and told.is_outside.tolist() == [legs]
        (silent,) = read(written(tmp_path, unknown, name)).tracks
        assert silent.inside is None and silent.visible is None and not silent.is_outside.any()
    document = json.loads(written(tmp_path, known, "json").read_text(encoding="utf-8"))
    (person,) = document["people"]
    assert person["inside"][0] == 0.123 and person["visible"].count(0.8) == 15
    assert "inside under 0.5" in document["frame"]["joints_2d"]
    document = json.loads(written(tmp_path, unknown, "json").read_text(encoding="utf-8"))
    assert not {"inside", "visible"} & set(document["people"][0]) and "inside" not in document["frame"]["joints_2d"]
    row = written(tmp_path, known, "csv").read_text(encoding="utf-8").splitlines()
    assert row[0].endswith(",score,inside,visible") and row[1].endswith(",,0.123,0.800")
    assert "inside, visible: chances" in (tmp_path / "a.about.txt").read_text(encoding="utf-8")
    assert written(tmp_path, unknown, "csv").read_text(encoding="utf-8").splitlines()[1].endswith(",,,")
    # Files from before.
    path = written(tmp_path, known, "npz")
    with np.load(path) as arrays:
        assert arrays["track_has"].shape == (1, 3)
        np.savez(tmp_path / "old.npz", **{key: arrays[key] for key in arrays.files if key not in ("inside", "visible")})
    (old,) = read_npz(tmp_path / "old.npz").tracks
    assert old.inside is None and old.visible is None and old.root_mm is not None
    for header in (HEADER, HEADER.partition(",inside")[0], HEADER.partition(",score")[0]):
        (tmp_path / "old.csv").write_text(header + "\n", encoding="utf-8")
        assert is_ours(tmp_path / "old.csv")
    (tmp_path / "old.csv").write_text("frame,time_s,person\n", encoding="utf-8")
    assert not is_ours(tmp_path / "old.csv")


def test_csv_is_a_plain_table(tmp_path: Path) -> None:
    nobody = photo(0)
    assert written(tmp_path, nobody, "csv").read_bytes() == HEADER.encode() + b"\n"
    low = replace(photo(1).tracks[0], joints_3d=np.full((1, 16, 3), -0.04))
    text = written(tmp_path, photo(tracks=(low,)), "csv").read_text(encoding="utf-8")
    assert text.splitlines()[1].startswith("0,0.000000,0,right_ankle,") and ",0.0,0.0,0.0," in text
    assert "-0.0," not in text and '"' not in text and "#" not in text


def test_parquet_says_what_it_holds(tmp_path: Path) -> None:
    pq = pytest.importorskip("pyarrow.parquet")
    path = written(tmp_path, photo(), "parquet")
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


# --- DataFrame ---


def test_the_table_has_integers_and_floats(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", SimpleNamespace(DataFrame=dict))
    for recording, rows in ((photo(2), 32), (photo(0), 0)):
        columns = to_dataframe(recording)
        assert list(columns) == list(COLUMNS)
        kinds = {name: values.dtype.kind for name, values in columns.items()}
        assert [name for name, kind in kinds.items() if kind == "i"] == ["frame", "person_id"]
        assert [name for name, kind in kinds.items() if kind == "U"] == ["joint"]
        assert set(kinds.values()) == {"i", "U", "f"} and {len(values) for values in columns.values()} == {rows}


def test_a_dataframe_is_what_pandas_reads_from_the_csv(tmp_path: Path) -> None:
    pd = pytest.importorskip("pandas", reason="pandas is not installed")
    for recording in (photo(2), in_skeleton(photo(2), COCO_17)):
        frame = to_dataframe(recording)
        (path,) = save(recording, tmp_path / "a.csv")
        read = pd.read_csv(path)
        assert frame.columns.tolist() == HEADER.split(",") and (frame.dtypes == read.dtypes).all()
        pd.testing.assert_frame_equal(frame, read, check_exact=False, atol=0.051, rtol=0)
    assert len(to_dataframe(photo(0))) == 0 == len(pd.read_csv(io.StringIO(HEADER)))


def test_without_pandas_it_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(LiftwildError, match="pip install pandas"):
        to_dataframe(photo())
