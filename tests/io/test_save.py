"""A recording as one file of a given name, as a DataFrame, and in a format that is new."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from liftwild.errors import LiftwildError
from liftwild.io import formats as room
from liftwild.io.csv_table import COLUMNS, HEADER
from liftwild.io.dataframe import to_dataframe
from liftwild.io.format import File, Format
from liftwild.io.formats import FORMATS, check_formats, foreign_file, is_ours, save, write_formats
from liftwild.io.json_file import read_json
from liftwild.io.npz import read_npz
from liftwild.joint_mapping import in_skeleton
from liftwild.pose import Recording
from liftwild.skeleton import COCO_17, H36M_17, Skeleton
from tests.support.recordings import assert_same, photo

# --- the table ---


def test_the_table() -> None:
    assert [fmt.name for fmt in FORMATS.values()] == list(FORMATS)
    suffixes = [suffix for fmt in FORMATS.values() for suffix in fmt.suffixes]
    assert len(set(suffixes)) == len(suffixes) and all(suffix.startswith(".") for suffix in suffixes)
    for fmt in FORMATS.values():
        assert fmt.help and len(fmt.help) < 80 and "\n" not in fmt.help


def test_a_new_format_is_one_file_and_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def write(recording: Recording, skeleton: Skeleton, stem: str) -> list[File]:
        (track,) = recording.tracks
        return [File(f"{stem}.toy", f"toy {track.person_id} {len(skeleton)}\n".encode(), ("two sentences",))]

    toy = Format(
        "toy", "people as words", (".toy",), write,
        recognise=lambda path, head: head.startswith(b"toy "),
        describe=lambda recording, skeleton: [f"TOY: {len(skeleton)} joints"],
        per_person=True, needs_floor=True,
    )  # fmt: skip
    with pytest.raises(LiftwildError, match="unknown format 'toy'"):
        check_formats(["toy"])
    monkeypatch.setitem(room.FORMATS, "toy", toy)
    assert check_formats(["toy", "json", "toy"]) == ("toy", "json") and "toy" in [*FORMATS]

    written = write_formats(photo(2), tmp_path, "a", ["toy", "json"], COCO_17)
    assert [path.name for path in written] == ["a.person0.toy", "a.person1.toy", "a.json", "a.about.txt"]
    assert written[1].read_bytes() == b"toy 1 17\n" and all(map(is_ours, written))
    text = written[-1].read_text(encoding="utf-8")
    assert "TOY: 17 joints\na.person0.toy: two sentences" in text and "and TOY: unit m" in text
    assert "zero: on the floor below the camera" in text

    (tmp_path / "a.person7.toy").write_bytes(b"mine")
    assert foreign_file(tmp_path, "a", ["toy"]) == tmp_path / "a.person7.toy"
    write_formats(photo(1), tmp_path, "a", ["toy"])  # the person of before goes, what is foreign stays
    assert sorted(path.name for path in tmp_path.glob("*.toy")) == ["a.person0.toy", "a.person7.toy"]
    assert save(photo(1), tmp_path / "b.toy") == [tmp_path / "b.toy"] and is_ours(tmp_path / "b.toy")


# --- save ---


@pytest.mark.parametrize("suffix", [".json", ".csv", ".npz", ".parquet", ".coco.json", ".coco-results.json"])
def test_the_suffix_names_the_format(tmp_path: Path, suffix: str) -> None:
    if suffix == ".parquet":
        pytest.importorskip("pyarrow")
    path = tmp_path / f"a.b{suffix}"
    path.write_bytes(b"somebody else's")
    assert save(photo(), str(path)) == [path]
    assert is_ours(path) and [file.name for file in tmp_path.iterdir()] == [path.name]
    folder = tmp_path / "formats"
    written = write_formats(photo(), folder, "a.b", [name for name in FORMATS if f".{name}" == suffix] or ["coco"])
    if suffix != ".npz":  # which holds the time of writing
        assert path.read_bytes() == next(file for file in written if file.name == path.name).read_bytes()


def test_what_is_saved_can_be_read(tmp_path: Path) -> None:
    recording = in_skeleton(photo(), H36M_17)  # written in its own joints
    save(recording, tmp_path / "a.json")
    save(recording, tmp_path / "a.npz")
    assert_same(recording, read_json(tmp_path / "a.json"), exact=False)
    assert_same(recording, read_npz(tmp_path / "a.npz"), exact=True)


@pytest.mark.parametrize("name", ["bvh", "trc"])
def test_files_of_one_person(tmp_path: Path, name: str) -> None:
    assert save(photo(1), tmp_path / f"x.{name}") == [tmp_path / f"x.{name}"]
    several = save(photo(2), tmp_path / f"x.{name}")
    assert several == [tmp_path / f"x.person0.{name}", tmp_path / f"x.person1.{name}"]
    assert all(is_ours(path) for path in [tmp_path / f"x.{name}", *several])
    (one, two) = write_formats(photo(2), tmp_path / "formats", "x", [name])[:2]
    assert [path.read_bytes() for path in several] == [one.read_bytes(), two.read_bytes()]
    with pytest.raises(LiftwildError, match=f"y.{name}: a .{name} file holds one person, and nobody was found"):
        save(photo(0), tmp_path / f"y.{name}")


@pytest.mark.parametrize("name", ["x", "x.fbx", "x.JSON", "json"])
def test_unknown_suffixes_list_the_known(tmp_path: Path, name: str) -> None:
    with pytest.raises(LiftwildError, match=r"no format has this suffix; known are \.json, \.csv") as caught:
        save(photo(), tmp_path / name)
    assert "\n" not in str(caught.value) and not list(tmp_path.iterdir())


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(LiftwildError, match=r"a\.json: cannot be written"):
        save(photo(), tmp_path / "none" / "a.json")


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
