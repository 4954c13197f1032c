"""``liftwild predict`` on clips, end to end: what is written, kept, gone on with, refused."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result

import liftwild
from liftwild import cli_predict
from liftwild.boxes import Box, body_box
from liftwild.cli import cli
from liftwild.crop import BOX_MARGIN
from liftwild.errors import LiftwildError
from liftwild.outputs import clip_spool
from liftwild.outputs.clip import ClipDone, predict_clip
from liftwild.outputs.clip_spool import Spool, read_spool, seen_in
from liftwild.outputs.finish import Claims, Wanted
from liftwild.outputs.json import read_json
from liftwild.outputs.run import Whom
from liftwild.pose import Pose
from liftwild.posenet import Decoded
from liftwild.predict import estimator as estimator_module
from liftwild.predict.estimator import Estimator
from liftwild.predict.finder import Found
from liftwild.predict.person import Seen
from liftwild.predict.record import record
from liftwild.predict.track import Follower
from liftwild.predict.video import Frame
from tests.conftest import encode, picture
from tests.synthetic import STANDING
from tests.test_video import FRAMES, HEIGHT, WIDTH, frame_of, write_video

BOX = "10,6,30,36"
ENV = {**os.environ, "PYTHONPATH": str(Path(liftwild.__file__).parent.parent)}


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_video(tmp_path_factory.mktemp("clip") / "clip.mp4")


def figure(input_px: int) -> np.ndarray:
    """Joints (16, 2) px of a standing person in a network's input whose body's box is where it was looked for."""
    joints = STANDING[:, :2]
    x, y, w, h = body_box(joints, np.ones(16, dtype=bool)) or (0.0, 0.0, 1.0, 1.0)
    return (joints - (x + w / 2, y + h / 2)) * (input_px / BOX_MARGIN / max(w, h)) + input_px / 2


@pytest.fixture(autouse=True)
def seeing(monkeypatch: pytest.MonkeyPatch) -> None:
    """In place of the network: somebody stands wherever one looks, and moves with the light of the frame."""

    def look(runtime: Any, crops: np.ndarray, flip_test: bool = False) -> Decoded:
        images = torch.from_numpy(crops)
        light = images.float().mean(dim=(1, 2, 3)) / 255 - 0.4
        joints = torch.from_numpy(figure(images.shape[1]))[None].repeat(len(images), 1, 1)
        joints[:, [0, 10, 15], 0] += (8 * light)[:, None]
        depth = torch.linspace(-0.2, 0.2, 16)[None] * (1 + light)[:, None]
        return Decoded(joints, torch.full((len(images), 16), 0.7), depth)

    monkeypatch.setattr(estimator_module, "look", look)


@pytest.fixture
def predict(tiny_weights: Path, tmp_path: Path) -> Callable[..., Result]:
    """Runs ``liftwild predict --whole`` with the tiny weights and -o tmp/out."""

    def predict(*arguments: object, out: Path | None = None, stdin: bytes | None = None) -> Result:
        given = [str(argument) for argument in arguments]
        end = ["--whole", "--weights", str(tiny_weights), "--runtime", "torch", "-o", str(out or tmp_path / "out")]
        return CliRunner().invoke(cli, ["predict", *given, *end], input=stdin)

    return predict


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def document(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


def folder_of(path: Path, frames: int = FRAMES) -> Path:
    """A folder of ``frames`` numbered frames."""
    path.mkdir(parents=True)
    for number in range(frames):
        (path / f"{number}.png").write_bytes(encode(".png", frame_of(number)))
    return path


def test_a_video_end_to_end(video: Path, tmp_path: Path, predict: Callable[..., Result]) -> None:
    out = tmp_path / "out"
    done = predict(video, "--box", BOX, "--format", "json,csv,bvh,overlay", "--view")
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert lines[0] == f"clip.mp4: {FRAMES} frames done; 1 person in {FRAMES} of them; results in {out} (torch fp32)"
    assert [line.split(":")[0].strip() for line in lines[1:]] == [
        "jitter in space (mean acceleration)", "jitter in the picture", "spread of bone lengths",
    ]  # fmt: skip
    assert all(" -> " in line for line in lines[1:])
    assert names(out) == sorted(
        f"clip.{end}" for end in ("json", "csv", "about.txt", "person0.bvh", "overlay.mp4", "html", "spool")
    )
    found = document(out / "clip.json")
    assert found["format"] == "liftwild-clip" and found["clip"]["file"] == "clip.mp4"
    np.testing.assert_allclose(found["times_s"], np.arange(FRAMES) / 25, atol=1e-5)
    (person,) = found["people"]
    assert person["frames"] == list(range(FRAMES)) and person["boxes"][0] == [10, 6, 30, 36]
    steps = " ".join(found["steps"])
    assert "One-Euro" in steps and "one skeleton" in steps and lines[1].strip() in steps
    overlay = cv2.VideoCapture(str(out / "clip.overlay.mp4"))
    assert overlay.get(cv2.CAP_PROP_FRAME_COUNT) == FRAMES and overlay.get(cv2.CAP_PROP_FPS) == 25
    shown, plain = overlay.read()[1], frame_of(0)[..., ::-1]
    assert shown.shape == (HEIGHT, WIDTH, 3) and (np.abs(shown.astype(int) - plain).max(axis=2) > 60).sum() > 30


def test_raw_smooths_nothing_and_needs_no_second_look(
    video: Path, tmp_path: Path, predict: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert predict(video, "--box", BOX).exit_code == 0
    smoothed = document(tmp_path / "out" / "clip.json")
    monkeypatch.setattr(Estimator, "predict_crops", lambda *_: pytest.fail("looked again"))
    done = predict(video, "--box", BOX, "--raw")
    assert done.exit_code == 0 and "->" not in done.stdout and "jitter in space" in done.stdout
    raw = document(tmp_path / "out" / "clip.json")
    assert len(raw["steps"]) == 1 and "placed" in raw["steps"][0]
    with Spool(tmp_path / "out" / "clip.spool", {}) as spool:
        (track,) = read_spool(spool).tracks
    joints = np.array(raw["people"][0]["joints_3d"])
    np.testing.assert_allclose(joints, track.joints_3d, atol=0.06)
    assert np.abs(joints - smoothed["people"][0]["joints_3d"]).max() > 1


def test_a_folder_as_one_clip_and_as_photos(tmp_path: Path, predict: Callable[..., Result]) -> None:
    frames = folder_of(tmp_path / "frames")
    (frames / "5.png").write_bytes(b"broken")
    (frames / "7.png").write_bytes(encode(".png", picture(20, 30)))
    done = predict(frames, "--clip", "--box", BOX, "--fps", 10)
    assert done.exit_code == 0, done.output
    assert f"frames: {FRAMES - 2} done, 2 broken or missing ones skipped" not in done.stdout
    assert done.stdout.startswith(f"frames: {FRAMES - 2} frames done, 2 broken or missing ones skipped; 1 person in ")
    assert done.stderr.startswith("note: ") and "5.png" in done.stderr and done.stderr.count("\n") == 1
    found = document(tmp_path / "out" / "frames.json")
    np.testing.assert_allclose(found["times_s"], np.arange(FRAMES) / 10)
    assert set(found["people"][0]["frames"]) <= set(range(FRAMES)) - {5, 7}
    photos = predict(frames, "--no-figure", out=tmp_path / "photos")
    assert f"{FRAMES} photos: {FRAMES - 1} done" in photos.stdout and photos.exit_code == 1
    assert len(names(tmp_path / "photos")) == FRAMES - 1
    wrong = predict(frames / "1.png", "--clip")
    assert wrong.exit_code == 2 and "is a photo" in wrong.stderr
    assert predict(frames / "1.png", "--fps", 10).exit_code == 2


def test_labels_of_frames(tmp_path: Path, predict: Callable[..., Result]) -> None:
    frames = folder_of(tmp_path / "frames", 6)
    boxes = {0: [(10, [2, 2, 30, 40]), (11, [34, 4, 28, 40])], 1: [(12, [35, 4, 28, 40]), (13, [2, 2, 30, 40])]}
    labels = {
        "images": [{"id": i, "file_name": f"{i}.png"} for i in boxes],
        "categories": [{"id": 1, "name": "person"}],
        "annotations": [
            {"id": key, "image_id": i, "category_id": 1, "bbox": box} for i, own in boxes.items() for key, box in own
        ],
    }
    (tmp_path / "labels.json").write_text(json.dumps(labels))
    done = predict(frames, "--clip", "--boxes", tmp_path / "labels.json")
    assert done.exit_code == 0, done.output
    people = document(tmp_path / "out" / "frames.json")["people"]
    ids = [(person["frames"][:2], person["annotation_ids"][:2]) for person in people[:2]]
    assert ids == [([0, 1], [10, 13]), ([0, 1], [11, 12])]


def test_a_stream_of_images(tmp_path: Path, predict: Callable[..., Result]) -> None:
    images = [encode(".png" if i % 3 else ".jpg", frame_of(i)) for i in range(FRAMES)]
    done = predict("-", "--box", BOX, stdin=b"".join(images[:7]))
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("stream: 7 frames done; 1 person in 7 of them")
    np.testing.assert_allclose(document(tmp_path / "out" / "stream.json")["times_s"], np.arange(7) / 30, atol=1e-5)
    twice = predict("-", "--format", "overlay", stdin=b"".join(images), out=tmp_path / "other")
    assert twice.exit_code == 1 and twice.stderr.startswith("error: stream: an overlay reads its clip twice")
    for stdin, reason in ((b"", "no images came"), (b"words " * 20, "no stream of JPEG or PNG images")):
        done = predict("-", stdin=stdin, out=tmp_path / "none")
        assert done.exit_code == 1 and reason in done.stderr and done.stderr.count("\n") == 1
    assert not list((tmp_path / "none").iterdir())


def stop_at(monkeypatch: pytest.MonkeyPatch, frame: int, error: BaseException) -> list[float]:
    """Make the frame of that number raise; the times of those that are looked at."""
    real, seen = Follower.step, list[float]()

    def step(self: Follower, image: np.ndarray, time_s: float, *rest: Any) -> list[Seen]:
        if len(seen) == frame:
            raise error
        seen.append(time_s)
        return real(self, image, time_s, *rest)

    monkeypatch.setattr(Follower, "step", step)
    return seen


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
    frames = folder_of(tmp_path / "frames", 120)
    command = [sys.executable, "-m", "liftwild.cli", "predict", str(frames), "--clip", "--whole", "--box", BOX]
    command += ["--weights", str(tiny_weights), "--device", "cpu", "-o"]
    spool = tmp_path / "out" / "frames.spool"
    process = subprocess.Popen([*command, str(tmp_path / "out")], env=ENV, stderr=subprocess.DEVNULL)
    until = time.monotonic() + 60
    while (not spool.exists() or spool.stat().st_size < 4000) and time.monotonic() < until:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL if hasattr(signal, "SIGKILL") else signal.SIGTERM)
    process.wait(60)
    assert names(tmp_path / "out") == ["frames.spool"]
    with spool.open("ab") as file:
        file.write(b"FRAM\x10\x00")  # as if it had been ended within a write
    for folder in ("out", "whole"):
        subprocess.run([*command, str(tmp_path / folder)], env=ENV, check=True, capture_output=True)
    assert (tmp_path / "out" / "frames.json").read_bytes() == (tmp_path / "whole" / "frames.json").read_bytes()


def some_seen(number: int, rng: np.random.Generator) -> Seen:
    joints = rng.normal(100, 50, (16, 5)).astype(np.float32).astype(np.float64)
    pose = Pose(
        joints[:, :2], joints[:, 2:], rng.random(16).astype(np.float32), (1.0, 2.0, 30.0, 40.0), None if number else 7,
        depth_sd_mm=joints[:, 0].astype(np.float32) if number else None, person_id=number,
        peak=0.375 if number else None,
    )  # fmt: skip
    return Seen(pose, rng.random(6).astype(np.float32))


def filled(path: Path, frames: int = 12) -> list[tuple[int, list[Seen]]]:
    """Frames of none, one and two people in a new spool."""
    rng = np.random.default_rng(0)
    kept = []
    with Spool(path, {"clip": "a"}) as spool:
        for number in range(frames):
            seen = [some_seen(person, rng) for person in range(number % 3)]
            spool.add(number, number / 25, None if number == 4 else (64, 48), seen)
            kept.append((number, seen))
    return kept


def test_a_spool_gives_back_what_it_was_given(tmp_path: Path) -> None:
    kept = filled(tmp_path / "a.spool")
    with Spool(tmp_path / "a.spool", {"clip": "a"}) as spool:
        assert spool.frames == 12 and not spool.is_complete
        for frame, (number, seen) in zip(spool, kept, strict=True):
            assert frame.number == number and frame.time_s == number / 25 and (frame.width == 0) == (number == 4)
            for one, other in zip(seen_in(frame), seen, strict=True):
                assert np.array_equal(one.colours, other.colours)
                for name in ("joints_2d", "joints_3d", "confidence", "box", "annotation_id", "person_id", "peak"):
                    assert np.array_equal(getattr(one.pose, name), getattr(other.pose, name)), name
                assert (one.pose.depth_sd_mm is None) == (other.pose.depth_sd_mm is None)
        spool.finish(3)
        found = read_spool(spool)
    assert (found.width, found.height, found.broken) == (64, 48, 1)
    assert [track.person_id for track in found.tracks] == [0, 1]
    assert found.tracks[1].frames.tolist() == [2, 5, 8, 11] and found.tracks[0].annotation_ids == (7,) * 8
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
    old.write_bytes(old.read_bytes().replace(b'"version": 2', b'"version": 1', 1))
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


class Writer:
    """In place of cv2.VideoWriter: one that cannot encode, or whose disk is full."""

    fourcc = staticmethod(cv2.VideoWriter.fourcc)
    opened = False

    def __init__(self, *_: object) -> None:
        self.written = 0

    def isOpened(self) -> bool:  # noqa: N802
        return self.opened

    def write(self, _: np.ndarray) -> None:
        """Into nothing."""

    def release(self) -> None:
        """Nothing to let go."""


def test_without_an_encoder_the_overlay_is_pictures(
    video: Path, tmp_path: Path, predict: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cv2, "VideoWriter", Writer)
    out = tmp_path / "out"
    for _ in range(2):
        done = predict(video, "--box", BOX, "--format", "overlay")
        assert done.exit_code == 0, done.output
        assert done.stderr == (
            f"note: this OpenCV has no encoder for mp4: the overlay's frames are pictures in {out / 'clip.overlay'}\n"
        )
        assert names(out) == ["clip.json", "clip.overlay", "clip.spool"]
        assert names(out / "clip.overlay") == [f"{number:06d}.png" for number in range(FRAMES)]
    monkeypatch.setattr(Writer, "opened", True)
    done = predict(video, "--box", BOX, "--format", "overlay")
    assert done.exit_code == 1 and "clip.overlay.mp4: cannot be written whole" in done.stderr
    assert names(out) == ["clip.json", "clip.overlay", "clip.spool"]


def test_clips_with_nothing_in_them(video: Path, tmp_path: Path, predict: Callable[..., Result]) -> None:
    (tmp_path / "bad").mkdir()
    for number in range(3):
        (tmp_path / "bad" / f"{number}.png").write_bytes(b"broken")
    (tmp_path / "empty").mkdir()
    (tmp_path / "words.mp4").write_text("words")
    done = predict(tmp_path / "words.mp4", tmp_path / "bad", tmp_path / "empty", video, "--clip", "--box", BOX)
    lines = done.stderr.splitlines()
    assert done.exit_code == 1 and len(lines) == 3 and all(line.startswith("error: ") for line in lines)
    assert "words.mp4: no video in it" in lines[0]
    assert f"{tmp_path / 'bad'}: none of its frames can be read: {tmp_path / 'bad' / '0.png'}" in lines[1]
    assert f"{tmp_path / 'empty'}: no photos in this folder" in lines[2]
    assert done.stdout.startswith("clip.mp4: ") and names(tmp_path / "out") == ["clip.json", "clip.spool"]
    done = predict(video, out=tmp_path / "words.mp4")
    assert done.exit_code == 1 and "cannot be made a folder" in done.stderr and done.stderr.count("\n") == 1


@pytest.fixture
def estimator(tiny_weights: Path) -> Estimator:
    return Estimator(tiny_weights, "cpu")


class Numbered:
    """A clip of ``length`` frames of ``size`` (height, width) px that are made when they are wanted."""

    name, rereadable = "made.mp4", True

    def __init__(self, length: int, size: tuple[int, int] = (HEIGHT, WIDTH)) -> None:
        self.length, self.size = length, size

    def identity(self) -> str:
        return "made"

    def frames(self, start: int = 0) -> Generator[Frame, None, None]:
        for number in range(start, self.length):
            yield Frame(number, number / 25, np.full((*self.size, 3), number % 250, np.uint8))

    def path_of(self, index: int) -> Path | None:
        return None

    def missing(self) -> int:
        return 0


def made(estimator: Estimator, clip: Numbered, out: Path, whom: Whom | None = None, **wanted: Any) -> ClipDone:
    return predict_clip(estimator, clip, Claims(out), whom or Whom(box=(10.0, 6.0, 30.0, 36.0)), Wanted(**wanted))


def test_a_clip_with_nobody_is_one_line(estimator: Estimator, tmp_path: Path) -> None:
    with pytest.raises(LiftwildError, match=r"^made.mp4: nobody was found in its 30 frames") as caught:
        made(estimator, Numbered(30), tmp_path, Whom(find=lambda image, most: []))
    assert "\n" not in str(caught.value) and names(tmp_path) == ["made.spool"]


def test_memory_does_not_grow_with_the_clip(estimator: Estimator, tmp_path: Path) -> None:
    """400 frames are 92 MB; what is held at once stays far below, and the same for a clip of four times the length."""
    peaks = []
    for number, length in enumerate((100, 400)):
        tracemalloc.start()
        made(estimator, Numbered(length, (240, 320)), tmp_path / str(number), view=False)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[0] < 12e6 and peaks[1] < peaks[0] + 3e6, peaks


def test_a_pose_that_fills_whatever_it_is_given_is_let_go(
    estimator: Estimator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such a box would grow from frame to frame until it is larger than anything."""

    def look(runtime: Any, crops: np.ndarray, flip_test: bool = False) -> Decoded:
        joints = torch.from_numpy(figure(crops.shape[1]) * 1.9 - crops.shape[1] * 0.45)[None]
        return Decoded(joints.repeat(len(crops), 1, 1), torch.full((len(crops), 16), 0.7), torch.zeros(len(crops), 16))

    monkeypatch.setattr(estimator_module, "look", look)
    done = made(estimator, Numbered(60), tmp_path)
    assert 3 <= done.seen < 30


def test_the_call_from_python_gives_what_the_command_writes(
    video: Path, tmp_path: Path, predict: Callable[..., Result], estimator: Estimator
) -> None:
    assert predict(video, "--box", BOX).exit_code == 0
    written = read_json(tmp_path / "out" / "clip.json")
    box = (10.0, 6.0, 30.0, 36.0)
    found = record(estimator, video, box=box)
    assert (found.source, found.width, found.height, found.is_clip) == ("clip.mp4", WIDTH, HEIGHT, True)
    (one,), (other,) = found.tracks, written.tracks
    np.testing.assert_allclose(one.joints_3d, other.joints_3d, atol=0.06)
    np.testing.assert_allclose(one.joints_2d, other.joints_2d, atol=0.006)
    assert found.steps == written.steps[1:3]  # the command also places, and says how much shaking went
    raw = record(estimator, video, box=box, smooth=False)
    assert raw.steps == () and np.abs(raw.tracks[0].joints_3d - one.joints_3d).max() > 1
    (tmp_path / "frames").mkdir()
    (tmp_path / "frames" / "1.png").write_bytes(b"broken")
    with pytest.raises(LiftwildError, match="none of its frames can be read"):
        record(estimator, tmp_path / "frames")


class FakeFinder:
    """Finds the same two people in every picture, or nobody in a dark one."""

    def find(self, image: np.ndarray, most: int | None = None) -> list[Found]:
        people = [Found((30.0, 4.0, 30.0, 40.0), 0.7), Found((2.0, 4.0, 24.0, 36.0), 0.9)]
        return people[:most] if image.max() > 0 else []

    def fingerprint(self) -> str:
        return "fake"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ((), [[30, 4, 30, 40], [2, 4, 24, 36]]),
        (("--people", 1), [[30, 4, 30, 40]]),
        (("--at", "5,10"), [[2, 4, 24, 36]]),
        (("--at", "29,2"), []),
        (("--box", "1,1,9,9", "--people", "all"), [[1, 1, 9, 9]]),
    ],
)
def test_people_are_found_in_photos_and_clips(
    options: tuple[object, ...], expected: list[list[int]], video: Path, tmp_path: Path, tiny_weights: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(cli_predict, "_finder", lambda device, estimator: FakeFinder())
    (tmp_path / "photo.png").write_bytes(encode(".png", frame_of(5)))
    (tmp_path / "dark.png").write_bytes(encode(".png", frame_of(5) * 0))
    sources = [str(tmp_path / "photo.png"), str(tmp_path / "dark.png"), str(video)]
    command = ["predict", *sources, "--no-figure", "--weights", str(tiny_weights), "-o", str(tmp_path / "out")]
    done = CliRunner().invoke(cli, [*command, "--device", "cpu", *map(str, options)])
    found = [person["box"] for person in document(tmp_path / "out" / "photo.json")["people"]]
    assert found == expected
    people = document(tmp_path / "out" / "dark.json")["people"]
    assert len(people) == ("--box" in options)
    if not expected:
        assert done.exit_code == 1 and "nobody was found in its" in done.stderr
        assert "2 photos: 2 done (0 people, nobody found in 2), 0 failed" in done.stdout
        return
    assert done.exit_code == 0 and ("nobody found in 1" in done.stdout) == ("--box" not in options), done.output
    tracks = document(tmp_path / "out" / "clip.json")["people"]
    assert [track["boxes"][0] for track in tracks] == expected


def test_a_track_of_a_frame_or_two_is_a_slip(estimator: Estimator, tmp_path: Path) -> None:
    calls: list[int] = []

    class Found:
        box: Box = (10.0, 6.0, 30.0, 36.0)
        score = 1.0

    def find(image: np.ndarray, most: int | None) -> list[Found]:
        calls.append(int(image[0, 0, 0]))
        return [Found()] if image[0, 0, 0] == 0 else []

    with pytest.raises(LiftwildError, match="nobody was found"):
        made(vanishing(estimator), Numbered(40), tmp_path, Whom(find=find))
    assert calls[0] == 0 and len(calls) > 3


def vanishing(estimator: Estimator) -> Estimator:
    """One that is sure of the first frame alone."""
    real, looks = estimator.predict_crops, [0]

    def predict_crops(photos: Any) -> Any:
        for poses in real(photos):
            looks[0] += len(poses)
            yield [
                Pose(pose.joints_2d, pose.joints_3d, np.full(16, 0.8 if looks[0] == 1 else 0.01), pose.box)
                for pose in poses
            ]

    estimator.predict_crops = predict_crops  # type: ignore[method-assign]
    return estimator


def test_hidden_joints_and_other_skeletons(video: Path, tmp_path: Path, predict: Callable[..., Result]) -> None:
    done = predict(video, "--box", BOX, "--skeleton", "coco17", "--min-confidence", 1)
    assert done.exit_code == 0, done.output
    found = document(tmp_path / "out" / "clip.json")
    assert found["joint_names"][0] == "nose" and found["skeleton"] == "coco17"
    joints = found["people"][0]["joints_3d"]
    assert all(value is None for frame in joints for joint in frame for value in joint)
    photo = tmp_path / "a.png"
    photo.write_bytes(encode(".png", picture()))
    assert predict(photo, "--min-confidence", 1, "--format", "json,overlay", "--view").exit_code == 0
    assert {"a.json", "a.png", "a.overlay.png", "a.html"} <= set(names(tmp_path / "out"))
    assert document(tmp_path / "out" / "a.json")["people"][0]["joints_2d"][0] == [None, None]


def test_cameras(video: Path, tmp_path: Path, predict: Callable[..., Result]) -> None:
    for arguments, said, focal in (
        (("--camera", "80,82,32,24"), "given", 80),
        (("--fov", "90"), "given, 90 degrees across", 32),
        ((), "assumed", None),
    ):
        assert predict(video, "--box", BOX, *arguments).exit_code == 0
        camera = document(tmp_path / "out" / "clip.json")["camera"]
        assert camera["from"].startswith(said) and (focal is None or camera["fx"] == pytest.approx(focal))
    for arguments, code, reason in (
        (("--camera", "1,2,3"), 2, "four numbers"),
        (("--camera", "80,82,32,24", "--fov", "50"), 2, "exclude each other"),
        (("--fov", "200"), 2, "5 to 170 degrees"),
        (("--camera", "4,4,32,24"), 1, "fx and fy lie between"),
        (("--height-m", "180"), 1, "give the height in metres"),
        (("--format", "json,fbx"), 1, "unknown format 'fbx'"),
        (("--people", "none"), 2, "neither a number"),
        (("--at", "5"), 2, "two numbers"),
        (("--min-confidence", "2"), 2, "range"),
    ):
        done = predict(video, *(() if "--at" in arguments else ("--box", BOX)), *arguments)
        assert done.exit_code == code and reason in done.stderr, done.output


def test_names_are_claimed_once_and_nothing_foreign_is_overwritten(
    video: Path, tmp_path: Path, predict: Callable[..., Result]
) -> None:
    (tmp_path / "clip.png").write_bytes(encode(".png", picture()))
    done = predict(tmp_path / "clip.png", video, "--no-figure", "--box", BOX)
    assert done.exit_code == 1 and "1 photo: 1 done" in done.stdout
    assert f"{video}: its results would have the names of those of {tmp_path / 'clip.png'}" in done.stderr
    out = tmp_path / "mine"
    out.mkdir()
    for name in ("clip.html", "clip.overlay.mp4"):
        (out / name).write_text("my own")
        done = predict(video, "--box", BOX, "--view", "--format", "overlay", out=out)
        assert done.exit_code == 1 and f"{out / name} exists and is no result of liftwild" in done.stderr
        assert names(out) == [name]
        (out / name).unlink()
    for _ in range(2):  # the second time over our own results
        assert predict(video, "--box", BOX, "--view", "--format", "overlay", out=out).exit_code == 0
