"""Recordings already made: their page, other formats, what they hold; and what the command line says of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from liftwild.cli.main import cli
from liftwild.errors import LiftwildError
from liftwild.io.formats import read_recording, save
from liftwild.pipeline import recordings
from liftwild.pipeline.options import OutputOptions
from liftwild.pipeline.output_guard import OutputGuard
from liftwild.pipeline.recordings import convert_recording, recording_lines, report_recording, view_recording
from liftwild.pose import Recording
from liftwild.skeleton import COCO_17
from tests.support.images import picture, write_photo
from tests.support.recordings import photo
from tests.support.tracks import moving, track_of
from tests.support.videos import FPS, number_of, write_video


def run(*arguments: object, code: int = 0) -> Result:
    """The command as a user types it."""
    done = CliRunner().invoke(cli, [*map(str, arguments)])
    assert done.exit_code == code, done.output
    assert "Traceback" not in done.output and (done.exception is None or isinstance(done.exception, SystemExit))
    return done


def clip() -> Recording:
    """Two people, one of them in some frames only."""
    rng = np.random.default_rng(0)
    tracks = (track_of(moving(rng, 10)), replace(track_of(moving(rng, 3), np.array([2, 3, 6])), person_id=4))
    return Recording("clip.mp4", 64, 48, np.arange(10) / 25, tracks, is_clip=True)


# --- view ---


def test_a_part_of_a_clip_is_shown_with_its_own_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a recording of ``--start`` the pictures are those of the part, read from the whole clip."""
    video, start = write_video(tmp_path / "a.mp4"), 4 / FPS
    track = track_of(moving(np.random.default_rng(0), 5))
    part = Recording("a.mp4", 64, 48, np.arange(5) / FPS, (track,), is_clip=True, start_s=start)
    for suffix in (".json", ".npz"):
        (source,) = save(part, tmp_path / f"part{suffix}")
        assert read_recording(source).start_s == start
        shown: list[tuple[int, int]] = []
        monkeypatch.setattr(
            recordings, "write_viewer",
            lambda page, recording, frames, shown=shown: shown.extend((at, number_of(image)) for at, image in frames),
        )  # fmt: skip
        view_recording(source, source=video)
        assert shown == [(frame, frame + 4) for frame in range(5)]
        assert "from 0.16 s of it on" in recording_lines(source)[0]


# --- convert ---


def convert(path: Path, out: Path, *formats: str, rig: str = "plain") -> list[str]:
    guard = OutputGuard(out, {str(path.resolve())})
    return [file.name for file in convert_recording(path, guard, OutputOptions(formats, rig=rig))]


def test_any_recording_becomes_any_format(tmp_path: Path) -> None:
    for suffix in (".json", ".npz", ".csv"):
        (source,) = save(clip(), tmp_path / f"clip{suffix}")
        files = convert(source, tmp_path / suffix[1:], "bvh", "glb", "trc")
        assert files == [
            "clip.person0.bvh", "clip.person4.bvh", "clip.glb", "clip.person0.trc", "clip.person4.trc",
            "clip.about.txt",
        ]  # fmt: skip
    # A file of one person keeps its name, and the others beside it.
    convert(tmp_path / "json" / "clip.person4.trc", tmp_path / "json", "bvh", rig="mixamo")
    assert b"mixamorig:Hips" in (tmp_path / "json" / "clip.person4.bvh").read_bytes()
    assert (tmp_path / "json" / "clip.person0.bvh").exists() and not list(tmp_path.rglob("*person4.person4*"))


def test_no_input_and_nothing_of_others_is_replaced(tmp_path: Path) -> None:
    (source,) = save(clip(), tmp_path / "clip.json")
    before = source.read_bytes()
    with pytest.raises(LiftwildError, match=r"overwrite the input .*clip\.json"):
        convert(source, tmp_path, "json", "bvh")
    assert source.read_bytes() == before and len(list(tmp_path.iterdir())) == 1
    (motion,) = save(photo(1), tmp_path / "clip.person4.trc")
    (tmp_path / "clip.person4.bvh").write_text("somebody else's")
    with pytest.raises(LiftwildError, match="is no result of liftwild"):
        convert(motion, tmp_path, "bvh")
    with pytest.raises(LiftwildError, match="overwrite the input"):
        convert(motion, tmp_path, "trc")


def test_joints_and_confidence_are_those_asked_for(tmp_path: Path) -> None:
    (source,) = save(photo(1), tmp_path / "a.json")
    done = run("convert", source, "--format", "csv,json", "--skeleton", "coco17", "-o", tmp_path / "out")
    assert [Path(line).name for line in done.stdout.splitlines()] == ["a.csv", "a.json", "a.about.txt"]
    assert read_recording(tmp_path / "out" / "a.json").tracks[0].skeleton == COCO_17
    # Without a choice, the joints stay those of the file.
    run("convert", tmp_path / "out" / "a.json", "--format", "npz", "--min-confidence", 1, "-o", tmp_path / "out")
    (track,) = read_recording(tmp_path / "out" / "a.npz").tracks
    assert track.skeleton == COCO_17 and np.isnan(track.joints_3d).all()


def test_one_file_that_fails_does_not_stop_the_others(tmp_path: Path) -> None:
    (tmp_path / "bad.json").write_text("{}")
    (tmp_path / "nobody.json").write_bytes(save(replace(photo(1), tracks=()), tmp_path / "x.json")[0].read_bytes())
    (good,) = save(photo(1), tmp_path / "good.json")
    sources = [tmp_path / "bad.json", tmp_path / "nobody.json", tmp_path / "none.bvh", good]
    done = run("convert", *sources, "--format", "bvh", "-o", tmp_path / "out", code=1)
    assert "bad.json holds no poses" in done.stderr and "none.bvh: no such file" in done.stderr
    assert len(done.stderr.splitlines()) == 2
    assert [path.name for path in (tmp_path / "out").glob("*.bvh")] == ["good.person0.bvh"]
    assert "unknown format 'fbx'" in run("convert", good, "--format", "fbx", "-o", tmp_path, code=2).stderr


# --- view ---


def test_the_page_of_a_recording(tmp_path: Path) -> None:
    (source,) = save(clip(), tmp_path / "clip.json")
    page, note = view_recording(source)
    assert page == tmp_path / "clip.html" and "--source PATH of clip.mp4" in note
    alone = page.stat().st_size
    frames = tmp_path / "frames"
    frames.mkdir()
    for index in range(10):
        write_photo(frames / f"{index}.png", picture(48, 64))
    page, note = view_recording(source, source=frames)
    assert not note and page.stat().st_size > alone
    with pytest.raises(LiftwildError, match="pictures are 48 x 64 px"):
        write_photo(tmp_path / "high.png", picture(64, 48))
        view_recording(source, source=tmp_path / "high.png")
    with pytest.raises(LiftwildError, match="exists and was not written by this command"):
        view_recording(source, out=source)


def test_a_photo_beside_its_recording_is_shown(tmp_path: Path) -> None:
    recording = replace(photo(1), source="a.png")
    write_photo(tmp_path / "a.png", picture(recording.height, recording.width))
    (source,) = save(recording, tmp_path / "a.json")
    done = run("view", source, "--no-open", "-o", tmp_path / "page.html")
    assert done.stdout.strip() == str(tmp_path / "page.html") and not done.stderr
    assert (
        "data:image/jpeg" in (tmp_path / "page.html").read_text() or '"data":["' in (tmp_path / "page.html").read_text()
    )


# --- report ---


def test_a_report_is_written_beside_the_file_or_where_it_is_told(tmp_path: Path) -> None:
    (source,) = save(clip(), tmp_path / "clip.json")
    page, note = report_recording(source)
    assert page == tmp_path / "clip.report.html" and "--source PATH of clip.mp4" in note
    assert "Ranges of motion" in page.read_text(encoding="utf-8")
    frames = tmp_path / "clip.mp4"
    for i in range(10):
        write_photo(frames / f"{i}.png", picture(48, 64))
    done = run("report", source, "-o", tmp_path / "page.html", "--min-confidence", "0.2")
    assert done.stdout.strip() == str(tmp_path / "page.html") and done.stderr == ""
    assert (tmp_path / "page.html").stat().st_size > page.stat().st_size + 3000  # with the pictures beside it
    for suffix in (".bvh", ".trc", ".csv", ".npz"):
        (other, *_) = save(replace(clip(), tracks=clip().tracks[:1]), tmp_path / f"other{suffix}")
        assert "knee flexion" in report_recording(other, tmp_path / f"other{suffix}.html")[0].read_text("utf-8")


def test_a_report_is_of_one_recording_or_of_predictions(tmp_path: Path) -> None:
    (source,) = save(clip(), tmp_path / "clip.json")
    for arguments, words in (
        ((source, "--card", "x.md"), "--card is not an option here: "),
        (("preds.arrow", "--source", "x.mp4"), "--source is not an option here: these are predictions"),
        ((source, source), "a page is of one recording"),
        (("preds.arrow", source), "a page is of one recording"),
    ):
        assert words in run("report", *arguments, code=2).stderr
    assert "no such file" in run("report", tmp_path / "none.json", code=1).stderr
    text = run("report", "--help").stdout
    assert (
        text.index("Of a recording:\n")
        < text.index("--source")
        < text.index("Of predictions:\n")
        < text.index("--card")
    )


# --- info, and predict of a recording ---


def test_what_a_recording_holds(tmp_path: Path) -> None:
    (source,) = save(clip(), tmp_path / "clip.json")
    lines = recording_lines(source)
    assert lines[0].endswith("poses in clip.mp4, a clip of 10 frames, 0.40 s at 25 frames/s, 64 x 48 px")
    assert "  person 4: 3 poses in frames 2-3, 6, 0% of joints unsure (under 0.3)" in lines
    assert "camera: not known" in lines
    done = run("info", save(photo(1), tmp_path / "a.npz")[0], "small")
    assert "a photo, 320 x 240 px" in done.stdout and "placed in space" in done.stdout
    assert "weights small, " in done.stdout and "licence: " in done.stdout
    assert "no such file" in run("info", tmp_path / "none.json", code=1).stderr


def test_predict_says_what_to_do_with_a_recording(tmp_path: Path) -> None:
    (source,) = save(photo(1), tmp_path / "a.json")
    done = run("predict", source, "-o", tmp_path / "out", code=1)
    assert f"'liftwild view {source}'" in done.stderr and "'liftwild convert" in done.stderr
    assert not (tmp_path / "out").exists()
