"""Clips from Python: memory, people found and lost, what is a slip."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

import liftwild
from liftwild.boxes import Box
from liftwild.cli import predict as cli_predict
from liftwild.cli.main import cli
from liftwild.detection.detector import Detection
from liftwild.errors import LiftwildError
from liftwild.inference import estimator as estimator_module
from liftwild.inference.decoding import Decoded
from liftwild.inference.estimator import Estimator
from liftwild.media.video import Frame
from liftwild.pipeline.options import OutputOptions, PoseOptions
from liftwild.pipeline.output_guard import OutputGuard
from liftwild.pipeline.outputs import write_clip
from liftwild.pipeline.person_selection import PersonSelection
from liftwild.pipeline.video import VideoResult
from liftwild.pose import Pose
from tests.support.files import document, names
from tests.support.images import encode
from tests.support.poses import figure
from tests.support.videos import BOX, HEIGHT, WIDTH, encode_video, frame_of, write_frames


@pytest.fixture
def estimator(tiny_weights: Path) -> Estimator:
    return Estimator(tiny_weights, "cpu", runtime="torch")


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


def made(
    estimator: Estimator, clip: Numbered, out: Path, selection: PersonSelection | None = None, **wanted: Any
) -> VideoResult:
    selection = selection or PersonSelection(box=(10.0, 6.0, 30.0, 36.0))
    return write_clip(estimator, clip, OutputGuard(out), selection, PoseOptions(), OutputOptions(**wanted))[0]


class Detects:
    """A detector that is a function."""

    min_score = 0.35

    def __init__(self, find: Callable[[np.ndarray, int | None], Any]) -> None:
        self.find = find

    def detect(self, image: np.ndarray, most: int | None = None, min_score: float | None = None) -> Any:
        return self.find(image, most)

    def fingerprint(self) -> str:
        return "a function"


def test_a_clip_with_nobody_is_one_line(estimator: Estimator, tmp_path: Path) -> None:
    with pytest.raises(LiftwildError, match=r"^made.mp4: nobody was found in its 30 frames") as caught:
        made(estimator, Numbered(30), tmp_path, PersonSelection(detector=Detects(lambda image, most: [])))
    assert "\n" not in str(caught.value) and names(tmp_path) == ["made.spool"]


def test_memory_does_not_grow_with_the_clip(estimator: Estimator, tmp_path: Path) -> None:
    """400 frames are 92 MB; what is held at once stays far below, and the same for a clip of four times the length."""
    peaks = []
    made(estimator, Numbered(20, (240, 320)), tmp_path / "first", view=False)  # what is loaded once is no clip's
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

    def infer_crops(runtime: Any, crops: np.ndarray, flip_test: bool = False) -> Decoded:
        joints = (figure(crops.shape[1]) * 1.9 - crops.shape[1] * 0.45)[None]
        return Decoded(joints.repeat(len(crops), axis=0), np.full((len(crops), 16), 0.7), np.zeros((len(crops), 16)))

    monkeypatch.setattr(estimator_module, "infer_crops", infer_crops)
    done = made(estimator, Numbered(60), tmp_path)
    assert 3 <= done.frames_with_people < 30


def test_the_call_from_python_gives_what_the_command_writes(
    video: Path, tmp_path: Path, predict: Callable[..., Result], tiny_weights: Path
) -> None:
    """To the byte, smoothed and not, of a video and of a folder of frames."""
    own: dict[str, Any] = {"whole": True, "box": (10.0, 6.0, 30.0, 36.0), "weights": tiny_weights, "runtime": "torch"}
    frames = write_frames(tmp_path / "frames")
    for source, options, more in (
        (video, (), {}), (video, ("--raw",), {"smooth": False}),
        (frames, ("--clip", "--fps", 10), {"clip": True, "fps": 10}),
        (video, ("--height-m", 1.8, "--fov", 60), {"height_m": 1.8, "fov": 60}),
    ):  # fmt: skip
        assert predict(source, "--box", BOX, "--format", "json,npz", *options).exit_code == 0
        found = liftwild.predict(source, **own, **more)
        for suffix in (".json", ".npz"):
            found.save(tmp_path / f"mine{suffix}")
            written = tmp_path / "out" / f"{source.stem}{suffix}"
            assert (tmp_path / f"mine{suffix}").read_bytes() == written.read_bytes(), (source, options, suffix)
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "1.png").write_bytes(b"broken")
    with pytest.raises(LiftwildError, match="bad: none of its frames can be read"):
        liftwild.predict(tmp_path / "bad", clip=True, **own)


class FakeDetector:
    """Finds the same two people in every picture, or nobody in a dark one."""

    min_score = 0.35

    def detect(self, image: np.ndarray, most: int | None = None, min_score: float | None = None) -> list[Detection]:
        people = [Detection((30.0, 4.0, 30.0, 40.0), 0.7), Detection((2.0, 4.0, 24.0, 36.0), 0.9)]
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
    options: tuple[object, ...], expected: list[list[int]], tmp_path: Path, tiny_weights: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(cli_predict, "make_detector", lambda options: FakeDetector())
    (tmp_path / "photo.png").write_bytes(encode(".png", frame_of(5)))
    (tmp_path / "dark.png").write_bytes(encode(".png", frame_of(5) * 0))
    video = encode_video(tmp_path / "clip.mp4", [frame_of(5)] * 12)
    sources = [str(tmp_path / "photo.png"), str(tmp_path / "dark.png"), str(video)]
    command = ["predict", *sources, "--no-figure", "--weights", str(tiny_weights), "-o", str(tmp_path / "out")]
    done = CliRunner().invoke(cli, [*command, "--device", "cpu", *map(str, options)])
    found = [person["box"] for person in document(tmp_path / "out" / "photo.json")["people"]]
    assert found == expected
    given = "--box" in options
    scores = [None if given else {30: 0.7, 2: 0.9}[box[0]] for box in expected]
    assert [person["score"] for person in document(tmp_path / "out" / "photo.json")["people"]] == scores
    people = document(tmp_path / "out" / "dark.json")["people"]
    assert len(people) == ("--box" in options)
    if not expected:
        assert done.exit_code == 1 and "nobody was found in its" in done.stderr
        assert "2 photos: 2 done (0 people, nobody found in 2), 0 failed" in done.stdout
        return
    assert done.exit_code == 0 and ("nobody found in 1" in done.stdout) == ("--box" not in options), done.output
    tracks = document(tmp_path / "out" / "clip.json")["people"]
    assert [track["boxes"][0] for track in tracks] == expected
    assert [track["scores"][0] for track in tracks] == scores
    for track in tracks:  # it is not asked about every frame
        assert track["scores"].count(None) > 0 or len(track["frames"]) < 5
        assert len(track["scores"]) == len(track["frames"])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--whole", "--min-score", 0.5), "--whole looks for nobody"),
        (("--boxes", "x.json", "--min-score", 0.5), "--box-score is that of --boxes"),
        (("--min-score", 1.5), "not in the range"),
    ],
)
def test_a_least_score_is_for_the_detector(options: tuple[object, ...], said: str, tmp_path: Path) -> None:
    done = CliRunner().invoke(cli, ["predict", "a.jpg", "-o", str(tmp_path), *map(str, options)])
    assert done.exit_code == 2 and said in done.stderr


def test_the_least_score_reaches_the_detector(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: dict[str, object] = {}

    class Told(FakeDetector):
        def __init__(self, **options: object) -> None:
            asked.update(options)

    monkeypatch.setattr("liftwild.detection.detector.Detector", Told)
    photo = tmp_path / "photo.png"
    photo.write_bytes(encode(".png", frame_of(5)))
    command = ["predict", str(photo), "-o", str(tmp_path / "out"), "--no-figure", "--device", "cpu"]
    assert CliRunner().invoke(cli, [*command, "--min-score", "0.6", "--runtime", "torch"]).exit_code == 0
    assert asked == {"device": "cpu", "min_score": 0.6, "runtime": "torch"}


def test_given_boxes_keep_their_own_score(video: Path, tiny_weights: Path, tmp_path: Path) -> None:
    rows = [{"image_id": frame, "category_id": 1, "bbox": [10, 6, 30, 36], "score": 0.625} for frame in range(3)]
    rows += [{"image_id": "photo", "category_id": 1, "bbox": [1, 1, 9, 9], "score": 0.5}]
    rows += [{"image_id": "photo", "category_id": 1, "bbox": [2, 1, 9, 9]}]
    (tmp_path / "boxes.json").write_text(json.dumps(rows))
    (tmp_path / "photo.png").write_bytes(encode(".png", frame_of(5)))
    command = ["predict", str(tmp_path / "photo.png"), str(video), "--no-figure", "--weights", str(tiny_weights)]
    command += ["-o", str(tmp_path / "out"), "--device", "cpu", "--boxes", str(tmp_path / "boxes.json")]
    assert CliRunner().invoke(cli, command).exit_code == 0
    assert [each["score"] for each in document(tmp_path / "out" / "photo.json")["people"]] == [0.5, None]
    (track,) = document(tmp_path / "out" / "clip.json")["people"]
    assert track["scores"][:3] == [0.625] * 3 and set(track["scores"][3:]) == {None}


def test_a_track_of_a_frame_or_two_is_a_slip(estimator: Estimator, tmp_path: Path) -> None:
    calls: list[int] = []

    class Found:
        box: Box = (10.0, 6.0, 30.0, 36.0)
        score = 1.0

    def find(image: np.ndarray, most: int | None) -> list[Found]:
        calls.append(int(image[0, 0, 0]))
        return [Found()] if image[0, 0, 0] == 0 else []

    with pytest.raises(LiftwildError, match="nobody was found"):
        made(vanishing(estimator), Numbered(40), tmp_path, PersonSelection(detector=Detects(find)))
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
