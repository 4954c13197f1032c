"""CSV, Parquet, TRC and BVH are read back, those of other programs too, or answer in one line."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given

from liftwild.errors import LiftwildError
from liftwild.io.formats import FORMATS, read_recording, save, write_formats
from liftwild.io.places_reader import joint_of
from liftwild.placement.floor import Levelled
from liftwild.pose import Recording
from liftwild.skeleton import H36M_17, MPII_16, Skeleton
from tests.support.recordings import photo, random_recording, random_track
from tests.support.strategies import quick, seeds
from tests.support.tracks import moving, track_of

# --- tables ---


@quick
@given(seed=seeds)
def test_tables_give_back_the_poses(seed: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    pytest.importorskip("pyarrow")
    folder = tmp_path_factory.mktemp("tables")
    recording = random_recording(seed)
    tracks = [track for track in recording.tracks if len(track)]
    for suffix, px, mm in ((".csv", 0.0051, 0.051), (".parquet", 0, 0)):
        save(recording, folder / f"a{suffix}")
        again = read_recording(folder / f"a{suffix}")
        assert [track.person_id for track in again.tracks] == [track.person_id for track in tracks]
        for own, other in zip(tracks, again.tracks, strict=True):
            assert own.skeleton == other.skeleton
            np.testing.assert_array_equal(other.frames, own.frames)
            np.testing.assert_allclose(other.joints_2d, own.joints_2d, rtol=0, atol=px)
            np.testing.assert_allclose(other.joints_3d, own.joints_3d, rtol=0, atol=mm)
            for name in ("root_mm", "depth_sd_mm", "scores", "inside", "visible"):
                first, second = getattr(own, name), getattr(other, name)
                assert (first is None or np.isnan(first).all()) == (second is None), name
                if second is not None:
                    np.testing.assert_allclose(second, first, rtol=0, atol=mm)
            np.testing.assert_allclose(again.times_s[own.frames], recording.times_s[own.frames], rtol=0, atol=1e-6)
        if suffix == ".parquet":
            assert (again.source, again.width, again.is_clip) == (recording.source, recording.width, recording.is_clip)
            assert (again.camera, again.steps) == (recording.camera, recording.steps)
            assert len(again.times_s) == len(recording.times_s) and type(again) is type(recording)


def test_wide_tables_have_a_row_a_frame(tmp_path: Path) -> None:
    pd = pytest.importorskip("pandas")
    track = random_track(np.random.default_rng(5), np.array([2, 3, 7]), 4, H36M_17)
    clip = Recording("c.mp4", 640, 480, np.arange(9) / 30, (track,), is_clip=True)
    (path, about) = write_formats(clip, tmp_path, "c", ["csv-wide"], H36M_17)
    assert path.name == "c.person4.wide.csv" and "frame: index from 0" in about.read_text()
    found = pd.read_csv(path)
    assert found["frame"].tolist() == [2, 3, 7] and len(found.columns) == 6 + 6 * 17
    np.testing.assert_allclose(found["time_s"], [2 / 30, 0.1, 7 / 30], atol=1e-6)
    knee = H36M_17.index("left_knee")
    np.testing.assert_allclose(found["left_knee_z_mm"], track.joints_3d[:, knee, 2], atol=0.051)
    np.testing.assert_allclose(found["left_knee_x_px"], track.joints_2d[:, knee, 0], atol=0.0051)


def test_a_wide_table_has_no_formula_and_no_comma_in_a_joint_s_name(tmp_path: Path) -> None:
    skeleton = Skeleton(("=1+1,2", *MPII_16.names[1:]), MPII_16.parents)
    track = random_track(np.random.default_rng(5), np.array([0]), 4, skeleton)
    clip = Recording("c.mp4", 640, 480, np.zeros(1), (track,), is_clip=True)
    (path, _) = write_formats(clip, tmp_path, "c", ["csv-wide"], skeleton)
    with path.open(newline="") as file:
        head, row = csv.reader(file)
    assert head[6] == "'=1+1,2_x_mm" and len(head) == len(row) == 6 + 6 * 16


# --- motion capture files ---


def standing(count: int = 12) -> Levelled:
    """Somebody in space, from frame 2 on with a gap."""
    frames = np.setdiff1d(np.arange(2, 2 + count), [5, 6])
    joints = moving(np.random.default_rng(2), len(frames), 0.2)
    root = np.linspace((-500, -900, 4000), (500, -950, 4000), len(frames))
    track = replace(track_of(joints, frames, root), person_id=5)
    return Levelled("c.mp4", 640, 480, np.arange(20) / 25, (track,), is_clip=True)


def places_of(recording: Recording) -> np.ndarray:
    (track,) = recording.tracks
    assert track.root_mm is not None
    return np.asarray(track.joints_3d + track.root_mm[:, None])


def test_trc_and_bvh_give_back_the_places(tmp_path: Path) -> None:
    recording = standing()
    write_formats(recording, tmp_path, "c", ["trc", "bvh"])
    again = read_recording(tmp_path / "c.person5.trc")
    assert again.tracks[0].person_id == 5 and again.tracks[0].frames.tolist() == recording.tracks[0].frames.tolist()
    np.testing.assert_allclose(places_of(again), places_of(recording), atol=0.002)
    np.testing.assert_allclose(again.times_s, recording.times_s[:14], atol=1e-6)
    moved = read_recording(tmp_path / "c.person5.bvh")
    seen = recording.tracks[0].frames - 2
    np.testing.assert_allclose(places_of(moved)[seen], places_of(recording), atol=0.02)
    # They are written again as they are: levelled, the floor where it was.
    write_formats(again, tmp_path / "again", "c", ["trc"])
    first, second = ((tmp_path / folder / "c.person5.trc").read_text() for folder in ("", "again"))
    assert first == second


def test_trc_of_another_program(tmp_path: Path) -> None:
    names = ["Hip", "RHip", "R.Knee", "right_ankle", "LHip", "LKnee", "LeftAnkle", "RBigToe"]
    places = np.arange(24).reshape(8, 3) * 10.0
    rows = "\n".join(f"{frame}\t{frame / 50}\t" + "\t".join(map(str, places.reshape(-1))) for frame in (1, 2, 3))
    (tmp_path / "walk.trc").write_text(
        "PathFileType\t4\t(X/Y/Z)\twalk.trc\nDataRate\tCameraRate\tNumFrames\tNumMarkers\tUnits\n50\t50\t3\t8\tmm\n"
        f"Frame#\tTime\t{(chr(9) * 3).join(names)}\n\t\tX1\tY1\tZ1\n{rows}\n"
    )
    found = read_recording(tmp_path / "walk.trc")
    (track,) = found.tracks
    known = {name for name, joint in zip(MPII_16.names, track.joints_3d[0], strict=True) if np.isfinite(joint).all()}
    assert known == {"pelvis", *(f"{side}_{part}" for side in ("left", "right") for part in ("hip", "knee", "ankle"))}
    np.testing.assert_allclose(places_of(found)[0, MPII_16.index("right_knee")], places[2] * (1, -1, -1))
    assert track.confidence[0, MPII_16.index("head_top")] == 0 and found.width == 0


@pytest.mark.parametrize(
    ("name", "joint"),
    [("LHip", "left_hip"), ("right_knee", "right_knee"), ("RightAnkle", "right_ankle"), ("l_wrist", "left_wrist"),
     ("Neck", "upper_neck"), ("Head", "head_top"), ("RBigToe", None), ("Nose", None), ("LEye", None), ("V1", None)],
)  # fmt: skip
def test_names_of_markers(name: str, joint: str | None) -> None:
    assert joint_of(name) == joint


def test_bvh_of_another_program_in_centimetres(tmp_path: Path) -> None:
    recording = standing()
    (path,) = save(recording, tmp_path / "c.bvh", "mixamo")
    head, motion = path.read_text().split("MOTION\n")
    lines = []
    for line in head.splitlines():
        word, *numbers = line.split() or [""]
        lines.append(f"OFFSET {' '.join(str(float(n) * 100) for n in numbers)}" if word == "OFFSET" else line)
    rows = motion.splitlines()
    rows[2:] = [" ".join(str(float(n) * (100 if i < 3 else 1)) for i, n in enumerate(r.split())) for r in rows[2:]]
    (tmp_path / "other.bvh").write_text("\n".join(["\n".join(lines), "MOTION", *rows]) + "\n")
    found = read_recording(tmp_path / "other.bvh")
    assert found.steps == ("read from other.bvh, in cm, no picture",)
    seen = recording.tracks[0].frames - 2
    away = np.linalg.norm(places_of(found)[seen] - places_of(recording), axis=-1)
    assert np.nanmax(away) < 250 and np.nanmedian(away) < 60  # Mixamo's bones keep their places, these people's do not


# --- what cannot be read ---


def test_what_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    save(photo(1), tmp_path / "a.csv")
    whole = (tmp_path / "a.csv").read_text()
    cases = {
        "a.glb": (b"", "poses are read from .json, .csv, .npz, .parquet, .bvh, .trc"),
        "a.txt": (b"", "poses are read from"),
        "b.csv": (b"x,y\n1,2\n", "has no frame, time_s"),
        "c.csv": (whole[: len(whole) // 2].encode(), "line|joints once"),
        "d.csv": (whole.replace("left_knee", "tail").encode(), "none of mpii16"),
        "e.csv": (whole.replace("left_knee,", "left_knee,x", 1).encode(), "column"),
        "a.parquet": (b"PAR1", "is no parquet file of liftwild"),
        "a.trc": (b"hello", "is no TRC file"),
        "b.trc": (b"PathFileType\t4\nUnits\nfoot\nFrame#\tTime\tHip\n\n\n1\t0\t1\t2\t3\n", "unknown Units 'foot'"),
        "c.trc": (
            b"PathFileType\t4\nUnits\nmm\nFrame#\tTime\tV1\n\n\n1\t0\t1\t2\t3\n",
            "neither a pelvis nor two hips",
        ),
        "d.trc": (b"PathFileType\t4\nUnits\nmm\nFrame#\tTime\tHip\n\n\n1\t0\ta\t2\t3\n", "line 7"),
        "e.trc": (b"PathFileType\t4\nUnits\nmm\nFrame#\tTime\tHip\n\n\n", "wants rows"),
        "a.bvh": (b"HIERARCHY\n", "line"),
    }
    for name, (content, says) in cases.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(LiftwildError, match=says) as caught:
            read_recording(tmp_path / name)
        assert name in str(caught.value) and "\n" not in str(caught.value)
    for fmt in FORMATS.values():
        if fmt.read:
            with pytest.raises(LiftwildError, match="none"):
                read_recording(tmp_path / f"none{fmt.suffixes[0]}")
