"""What all formats have in common: one table, files that are known again, hidden joints, and ``save``."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from liftwild.errors import LiftwildError
from liftwild.io import formats as room
from liftwild.io.format import File, Format
from liftwild.io.formats import FORMATS, check_formats, foreign_file, is_ours, save, write_formats
from liftwild.io.json_file import read_json
from liftwild.io.npz import read_npz
from liftwild.joint_mapping import in_skeleton
from liftwild.pose import Recording
from liftwild.skeleton import COCO_17, H36M_17, MPII_16, SKELETONS, Skeleton
from tests.support.paths import ROOT
from tests.support.recordings import assert_same, photo
from tests.support.trc import read_trc

# --- the table ---


def test_the_table() -> None:
    suffixes = [suffix for fmt in FORMATS.values() for suffix in fmt.suffixes]
    assert len(set(suffixes)) == len(suffixes) and all(suffix.startswith(".") for suffix in suffixes)
    for fmt in FORMATS.values():
        assert fmt.help and len(fmt.help) < 80 and "\n" not in fmt.help


def test_every_format_and_joint_set_is_explained() -> None:
    page = (ROOT / "docs" / "files.md").read_text(encoding="utf-8")
    assert [name for name in FORMATS if f"| `{name}` |" not in page] == []
    assert [name for name in SKELETONS if f"`{name}`" not in page] == []


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
    assert "TOY: 17 joints\na.person0.toy: two sentences" in text and "\nTOY: unit m" in text
    assert "zero: on the floor below the camera" in text

    (tmp_path / "a.person7.toy").write_bytes(b"mine")
    assert foreign_file(tmp_path, "a", ["toy"]) == tmp_path / "a.person7.toy"
    write_formats(photo(1), tmp_path, "a", ["toy"])  # the person of before goes, what is foreign stays
    assert sorted(path.name for path in tmp_path.glob("*.toy")) == ["a.person0.toy", "a.person7.toy"]
    assert save(photo(1), tmp_path / "b.toy") == [tmp_path / "b.toy"] and is_ours(tmp_path / "b.toy")


# --- write_formats ---


@pytest.mark.parametrize("skeleton", SKELETONS.values(), ids=SKELETONS)
def test_every_file_is_known_again(tmp_path: Path, skeleton: Skeleton) -> None:
    pytest.importorskip("pyarrow")
    pytest.importorskip("c3d")
    written = write_formats(photo(), tmp_path / "new" / "folder", "a.b [1]", [*FORMATS, "json"], skeleton)
    persons = {False: [""], True: [".person0", ".person1"]}
    assert [path.name.removeprefix("a.b [1]") for path in written] == [
        *(who + suffix for fmt in FORMATS.values() for who in persons[fmt.per_person] for suffix in fmt.suffixes),
        ".about.txt",
    ]
    assert sorted(written) == sorted((tmp_path / "new" / "folder").iterdir())
    assert all(is_ours(path) for path in written)
    assert foreign_file(tmp_path / "new" / "folder", "a.b [1]", FORMATS) is None
    assert_same(in_skeleton(photo(), skeleton), read_json(written[0]), exact=False)


def test_files_of_others_are_known_too(tmp_path: Path) -> None:
    others = {
        "a.json": b'{"shapes": []}', "a.csv": b"x,y\n1,2\n", "a.npz": b"PK\3\4", "a.parquet": b"PAR1PAR1",
        "a.coco.json": b'{"info": {}}', "a.coco-results.json": b'[{"image_id": 1}]', "a.about.txt": b"About me",
        "a.markers.xml": b"<x/>", "a.person0.c3d": b"\2P\x50", "a.glb": b"glTF", "a.person0.wide.csv": b"frame,x\n",
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
        "camera: fx 420, fy", "from given", "nothing" not in text and "placed",
        "x_mm, y_mm, z_mm: unit mm; zero: pelvis",
        "axes: x right, y down, z away", "BVH and TRC: unit m", "axes: x right, y up, z toward the camera",
        "BVH joints: those of mpii16", "confidence: in [0, 1]; a chance",
    ):  # fmt: skip
        assert part and part in text, part
    assert not (tmp_path / "a.person0.trc").read_text().startswith("#")
    write_formats(photo(), tmp_path / "other", "a", ["json", "npz", "coco"])
    assert not (tmp_path / "other" / "a.about.txt").exists()  # these say it themselves


def test_unsure_joints_are_hidden_in_every_format(tmp_path: Path) -> None:
    pytest.importorskip("c3d")
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
    pytest.importorskip("c3d")
    odd = b"latin-\xe9.jpg".decode("utf-8", "surrogateescape")
    written = write_formats(photo(0, source=odd), tmp_path, "a", FORMATS, H36M_17)
    whole = [suffix for fmt in FORMATS.values() if not fmt.per_person for suffix in fmt.suffixes]
    assert len(written) == len(whole) + 1 and all(is_ours(path) for path in written)
    for recording in (read_json(tmp_path / "a.json"), read_npz(tmp_path / "a.npz")):
        assert recording.source == odd and recording.tracks == ()


# --- save ---


@pytest.mark.parametrize("suffix", [".json", ".csv", ".npz", ".parquet", ".coco.json", ".coco-results.json"])
def test_the_suffix_names_the_format(tmp_path: Path, suffix: str) -> None:
    if suffix == ".parquet":
        pytest.importorskip("pyarrow")
    pytest.importorskip("c3d")
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
