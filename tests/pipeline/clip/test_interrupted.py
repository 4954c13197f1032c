"""Clips that are interrupted, killed, gone on with; disks that are full."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import Result

from liftwild.errors import LiftwildError
from liftwild.media.video_writer import VideoWriter
from liftwild.pipeline import spool as clip_spool
from liftwild.pipeline.frame_log import observations_of, read_log
from liftwild.pipeline.spool import Spool
from liftwild.pose import Pose
from liftwild.tracking.observation import Observation
from tests.support.commands import ENVIRONMENT
from tests.support.files import names
from tests.support.images import encode
from tests.support.interrupts import stop_at
from tests.support.videos import BOX, FRAMES, frame_of, write_frames, write_video


@pytest.mark.parametrize("from_stream", [False, True])
def test_what_was_interrupted_goes_on(
    video: Path, tmp_path: Path, predict: Callable[..., Result], monkeypatch: pytest.MonkeyPatch, from_stream: bool
) -> None:
    stdin = b"".join(encode(".png", frame_of(i)) for i in range(FRAMES)) if from_stream else None
    source, name = ("-", "stream") if from_stream else (video, "clip")
    assert predict(source, "--box", BOX, stdin=stdin, out=tmp_path / "whole").exit_code == 0
    with monkeypatch.context() as patch:
        stop_at(patch, 5, KeyboardInterrupt())
        done = predict(source, "--box", BOX, stdin=stdin)
    assert done.exit_code == 130 and done.stdout == ""
    assert "5 frames are kept in" in done.stderr and done.stderr.endswith("interrupted\n")
    assert names(tmp_path / "out") == [f"{name}.spool"]
    seen = stop_at(monkeypatch, 99, KeyboardInterrupt())
    assert predict(source, "--box", BOX, stdin=stdin).exit_code == 0
    assert len(seen) == FRAMES - 5
    one, other = (tmp_path / folder / f"{name}.json" for folder in ("whole", "out"))
    assert one.read_bytes() == other.read_bytes()


def test_killed_and_gone_on_with(tmp_path: Path, tiny_weights: Path) -> None:
    frames = write_frames(tmp_path / "frames", 120)
    command = [sys.executable, "-m", "liftwild", "predict", str(frames), "--clip", "--whole", "--box", BOX]
    command += ["--weights", str(tiny_weights), "--device", "cpu", "-o"]
    spool = tmp_path / "out" / "frames.spool"
    process = subprocess.Popen([*command, str(tmp_path / "out")], env=ENVIRONMENT, stderr=subprocess.DEVNULL)
    until = time.monotonic() + 60
    while (not spool.exists() or spool.stat().st_size < 4000) and time.monotonic() < until:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL if hasattr(signal, "SIGKILL") else signal.SIGTERM)
    process.wait(60)
    assert names(tmp_path / "out") == ["frames.spool"]
    with spool.open("ab") as file:
        file.write(b"FRAM\x10\x00")  # as if it had been ended within a write
    for folder in ("out", "whole"):
        subprocess.run([*command, str(tmp_path / folder)], env=ENVIRONMENT, check=True, capture_output=True)
    assert (tmp_path / "out" / "frames.json").read_bytes() == (tmp_path / "whole" / "frames.json").read_bytes()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_overlay_that_is_ended_leaves_no_part(
    video: Path, tmp_path: Path, predict: Callable[..., Result], monkeypatch: pytest.MonkeyPatch,
    number: signal.Signals, code: int,
) -> None:  # fmt: skip
    real, written = VideoWriter.write, list[float]()

    def write(self: VideoWriter, image: np.ndarray, time_s: float, until_s: float) -> None:
        real(self, image, time_s, until_s)
        written.append(time_s)
        if len(written) == 5:
            assert len(names(tmp_path / "out")) == 3  # the part is there
            os.kill(os.getpid(), number)

    monkeypatch.setattr(VideoWriter, "write", write)
    for _ in range(2):
        written.clear()
        done = predict(video, "--box", BOX, "--format", "overlay")
        assert done.exit_code == code and len(written) < FRAMES
        assert names(tmp_path / "out") == ["clip.json", "clip.spool"]


def some_seen(number: int, rng: np.random.Generator) -> Observation:
    joints = rng.normal(100, 50, (16, 5)).astype(np.float32).astype(np.float64)
    pose = Pose(
        joints[:, :2], joints[:, 2:], rng.random(16).astype(np.float32), (1.0, 2.0, 30.0, 40.0), None if number else 7,
        depth_sd_mm=joints[:, 0].astype(np.float32) if number else None, person_id=number,
        peak=0.375 if number else None, inside=rng.random(16).astype(np.float32) if number else None,
        visible=rng.random(16).astype(np.float32) if number else None,
    )  # fmt: skip
    return Observation(pose, rng.random(6).astype(np.float32))


def filled(path: Path, frames: int = 12) -> list[tuple[int, list[Observation]]]:
    """Frames of none, one and two people in a new spool."""
    rng = np.random.default_rng(0)
    kept = []
    with Spool(path, {"clip": "a"}) as spool:
        for number in range(frames):
            seen = [some_seen(person, rng) for person in range(number % 3)]
            spool.add(number, number / 25, None if number == 3 else (64, 48), seen, (0.25 * number, -0.5))
            kept.append((number, seen))
    return kept


def test_a_spool_gives_back_what_it_was_given(tmp_path: Path) -> None:
    kept = filled(tmp_path / "a.spool")
    with Spool(tmp_path / "a.spool", {"clip": "a"}) as spool:
        assert spool.frames == 12 and not spool.is_complete
        for frame, (number, seen) in zip(spool, kept, strict=True):
            assert frame.number == number and frame.time_s == number / 25 and (frame.width == 0) == (number == 3)
            for one, other in zip(observations_of(frame), seen, strict=True):
                assert np.array_equal(one.colours, other.colours)
                for name in (
                    "joints_2d", "joints_3d", "confidence", "box", "annotation_id", "person_id", "peak", "inside",
                    "visible",
                ):  # fmt: skip
                    assert np.array_equal(getattr(one.pose, name), getattr(other.pose, name)), name
                assert (one.pose.depth_sd_mm is None) == (other.pose.depth_sd_mm is None)
        spool.finish(3)
        found = read_log(spool)
    assert (found.width, found.height, found.broken) == (64, 48, 1)
    assert [track.person_id for track in found.tracks] == [0, 1]
    assert found.tracks[1].frames.tolist() == [2, 5, 8, 11] and found.tracks[0].annotation_ids == (7,) * 8
    assert found.background_px[[0, 2]].tolist() == [[0.0, -0.5], [0.75, -1.5]]
    assert found.tracks[0].inside is None and found.tracks[0].visible is None
    last = kept[11][1][1].pose
    assert found.tracks[1].inside is not None and np.array_equal(found.tracks[1].inside[-1], last.inside)
    assert found.tracks[1].visible is not None and np.array_equal(found.tracks[1].visible[-1], last.visible)
    with Spool(tmp_path / "a.spool", {"clip": "a"}) as spool:
        assert spool.is_complete and spool.missing == 3


def test_a_spool_cut_anywhere_keeps_its_whole_frames(tmp_path: Path) -> None:
    filled(tmp_path / "a.spool")
    data = (tmp_path / "a.spool").read_bytes()
    for cut in [*random.Random(0).sample(range(1, len(data)), 40), len(data) - 1]:
        (tmp_path / "b.spool").write_bytes(data[:cut] + b"\0" * (cut % 3))
        try:
            with Spool(tmp_path / "b.spool", {"clip": "a"}) as spool:
                held = spool.frames
                assert held <= 12 and data.startswith((tmp_path / "b.spool").read_bytes())
                spool.add(held, held / 25, (64, 48), [])
                assert [frame.number for frame in spool] == list(range(held + 1))
        except LiftwildError as error:  # its first line was cut, and something else follows
            assert cut < data.index(b"\n") and cut % 3 and "is no result of liftwild" in str(error)


def whole_frame(
    number: int = 12, time_s: float = 1.0, size: tuple[int, int] = (64, 48), people: int = 1, moved: float = 0.0
) -> bytes:
    seen = [some_seen(person, np.random.default_rng(0)) for person in range(people)]
    return clip_spool._HEAD.pack(number, time_s, *size, people, moved, 0.0) + clip_spool.records_of(seen).tobytes()


def changed(name: str, value: object) -> bytes:
    """A frame of two people, the second with other content."""
    content = whole_frame(people=2)
    people = np.frombuffer(content, clip_spool.PERSON, offset=clip_spool._HEAD.size).copy()
    people[name][1] = value
    return content[: clip_spool._HEAD.size] + people.tobytes()


@pytest.mark.parametrize(
    "blocks",
    [
        [(b"FRAM", b"")], [(b"FRAM", b"x" * 9)], [(b"FRAM", whole_frame() + b"x")], [(b"FRAM", whole_frame()[:-1])],
        [(b"FRAM", whole_frame(13))], [(b"FRAM", whole_frame(-1))], [(b"FRAM", whole_frame(time_s=0.1))],
        [(b"FRAM", whole_frame(time_s=float("nan")))], [(b"FRAM", whole_frame(moved=float("inf")))],
        [(b"FRAM", whole_frame(size=(64, 0)))],
        [(b"FRAM", whole_frame(size=(0, 0)))], [(b"FRAM", changed("person", -1))], [(b"FRAM", changed("person", 0))],
        [(b"FRAM", changed("box", np.nan))], [(b"FRAM", changed("joints_2d", np.inf))],
        [(b"END.", b"")], [(b"END.", b"x" * 9)], [(b"END.", bytes(8)), (b"FRAM", whole_frame())],
    ],
)  # fmt: skip
def test_frames_of_another_shape_are_refused(tmp_path: Path, blocks: list[tuple[bytes, bytes]]) -> None:
    path = tmp_path / "a.spool"
    filled(path)
    with path.open("ab") as file:
        for mark, content in blocks:
            file.write(clip_spool._BLOCK.pack(mark, len(content), zlib.crc32(content)) + content)
    before = path.read_bytes()
    with pytest.raises(LiftwildError, match=r"a\.spool holds frames that this liftwild did not write; delete it"):
        Spool(path, {"clip": "a"})
    assert path.read_bytes() == before


@pytest.mark.parametrize("line", [b"[" * 50_000, b"[]", b"{}", b"\xff", b'{"format": ["liftwild-spool"]}'])
def test_a_first_line_of_another_shape(tmp_path: Path, line: bytes) -> None:
    (tmp_path / "a.spool").write_bytes(line + b"\n")
    with pytest.raises(LiftwildError, match="exists and is no result of liftwild"):
        Spool(tmp_path / "a.spool", {"clip": "a"})


def test_spools_are_not_mixed(video: Path, tmp_path: Path, predict: Callable[..., Result]) -> None:
    out = tmp_path / "out"
    assert predict(video, "--box", BOX).exit_code == 0
    before = {path: path.read_bytes() for path in out.iterdir()}
    other = write_video(tmp_path / "clip.mp4", frames=5)
    for arguments, reason in (
        ((other, "--box", BOX), "another clip (clip)"),
        ((video, "--box", "10,6,30,30"), "other settings (--box)"),
        ((video, "--box", BOX, "--flip-test"), "other settings (--flip-test)"),
    ):
        done = predict(*arguments)
        assert done.exit_code == 1 and reason in done.stderr and done.stderr.count("\n") == 1, done.stderr
        assert "delete it to start anew, or use another -o" in done.stderr
    assert {path: path.read_bytes() for path in out.iterdir()} == before
    old = out / "clip.spool"
    old.write_bytes(old.read_bytes().replace(b'"version": 6', b'"version": 5', 1))
    done = predict(video, "--box", BOX)
    assert done.exit_code == 1 and "clip.spool was begun by another liftwild; delete it" in done.stderr
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "clip.spool").write_text("my own notes")
    done = predict(video, out=tmp_path / "mine")
    assert done.exit_code == 1 and "clip.spool exists and is no result of liftwild" in done.stderr
    assert (tmp_path / "mine" / "clip.spool").read_text() == "my own notes"


def test_two_at_once_are_kept_apart(tmp_path: Path) -> None:
    pytest.importorskip("fcntl")
    with (
        Spool(tmp_path / "a.spool", {"clip": "a"}),
        pytest.raises(LiftwildError, match="being written by another liftwild"),
    ):
        Spool(tmp_path / "a.spool", {"clip": "a"})


class FullDisk:
    """A file on a disk with room for so many bytes more."""

    room = 0

    def __init__(self, file: Any) -> None:
        self.file = file

    def write(self, content: memoryview) -> int:
        """As much as there is room for, then an error, as the system does it."""
        taken = content[: FullDisk.room]
        if not taken:
            raise OSError(28, "No space left on device")
        FullDisk.room -= len(taken)
        return int(self.file.write(taken))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)


def test_a_disk_that_is_full_midway(
    video: Path, tmp_path: Path, predict: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    def limited(path: Path, mode: str, **options: Any) -> Any:
        file = open(path, mode, **options)  # noqa: SIM115
        return FullDisk(file) if "a" in mode else file

    with monkeypatch.context() as patch:
        patch.setattr(clip_spool, "open", limited, raising=False)
        FullDisk.room = 4000
        done = predict(video, "--box", BOX)
    spool = tmp_path / "out" / "clip.spool"
    assert done.exit_code == 1 and done.stderr.count("\n") == 1
    kept = int(done.stderr.split("; ")[1].split(" ")[0])
    assert 0 < kept < FRAMES
    assert done.stderr == (
        f"error: {spool}: cannot be written: No space left on device; {kept} frames are kept in {spool}, "
        "the same command goes on from there\n"
    )
    assert names(tmp_path / "out") == ["clip.spool"]
    assert predict(video, "--box", BOX).exit_code == 0
    assert predict(video, "--box", BOX, out=tmp_path / "whole").exit_code == 0
    one, other = (tmp_path / folder / "clip.json" for folder in ("whole", "out"))
    assert one.read_bytes() == other.read_bytes()


def test_a_disk_that_is_full_at_the_end(
    video: Path, tmp_path: Path, predict: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = Path.write_bytes, iter([None, OSError(28, "No space left on device")])

    def write_bytes(path: Path, content: bytes) -> int:
        if error := next(calls):
            real(path, content[:10])
            raise error
        return real(path, content)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", write_bytes)
        done = predict(video, "--box", BOX, "--format", "json,npz")
    out = tmp_path / "out"
    assert done.exit_code == 1
    assert done.stderr == f"error: {out / 'clip.npz'}: cannot be written: No space left on device\n"
    assert names(out) == ["clip.json", "clip.spool"]
    assert predict(video, "--box", BOX, "--format", "json,npz").exit_code == 0
