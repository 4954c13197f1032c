"""A run over many photos: read ahead by a thread, written in order, whatever goes wrong."""

from __future__ import annotations

import gc
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from liftwild import Estimator
from liftwild.detection.detector import Detection
from liftwild.errors import LiftwildError
from liftwild.inference.decoding import Outputs
from liftwild.inference.estimator import CroppedPerson
from liftwild.io.json_file import read_json
from liftwild.media.photo import LoadedPhoto
from liftwild.pipeline import outputs
from liftwild.pipeline.options import OutputOptions, PoseOptions
from liftwild.pipeline.output_guard import OutputGuard
from liftwild.pipeline.outputs import Counts, write_photos
from liftwild.pipeline.person_selection import PersonSelection
from liftwild.pipeline.photos import PhotoTask, predict_photos, predict_tasks
from liftwild.pose import Recording

JSON = OutputOptions(figure=False)
BATCH = 3


class Slow:
    """A runtime that does something before each look."""

    def __init__(self, estimator: Estimator, before: Callable[[int], object]) -> None:
        self.runtime, self.before, self.looks = estimator.runtime, before, 0
        self.name, self.input_px, self.subpixel = self.runtime.name, self.runtime.input_px, self.runtime.subpixel

    def __call__(self, crops: np.ndarray) -> Outputs:
        self.before(self.looks)
        self.looks += 1
        return self.runtime(crops)

    def fingerprint(self) -> str:
        return self.runtime.fingerprint()


@pytest.fixture
def estimator(tiny_weights: Path) -> Estimator:
    return Estimator(tiny_weights, device="cpu", batch_size=BATCH, runtime="torch")


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    yield
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("liftwild")] == []


def photos(folder: Path, count: int) -> list[Path]:
    """``count`` photos, each of a width of its own."""
    paths = [folder / f"{number}.png" for number in range(count)]
    for number, path in enumerate(paths):
        cv2.imwrite(str(path), np.full((40, 30 + number, 3), 10 * number % 256, np.uint8))
    return paths


class Finds:
    """A detector that is a function of the picture."""

    min_score = 0.35

    def __init__(self, people_in: Callable[[np.ndarray], list[Detection]]) -> None:
        self.people_in = people_in

    def detect(self, image: np.ndarray, most: int | None = None, min_score: float | None = None) -> list[Detection]:
        return self.people_in(image)

    def fingerprint(self) -> str:
        return "a function"


def run(
    estimator: Estimator, paths: list[Path], selection: PersonSelection | None = None, poses: PoseOptions | None = None
) -> Counts:
    out = paths[0].parent / "out"
    out.mkdir()
    return write_photos(
        estimator, paths, OutputGuard(out), selection or PersonSelection(), poses or PoseOptions(), JSON
    )


def stems(folder: Path) -> set[str]:
    return {path.name.removesuffix(".json") for path in (folder / "out").iterdir()}


def test_results_and_errors_come_in_order(
    estimator: Estimator, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = photos(tmp_path, 10)
    for number in (0, 4, 9):
        paths[number].write_bytes(b"no photo")
    written: list[str] = []
    real = Path.write_bytes

    def write_bytes(path: Path, content: bytes) -> int:
        written.append(content.partition(b'"file": "')[2].partition(b'"')[0].decode())
        return real(path, content)

    monkeypatch.setattr(Path, "write_bytes", write_bytes)
    counts = run(estimator, paths)
    assert str(counts) == "10 photos: 7 done (7 people), 3 failed"
    lines = capsys.readouterr().err.splitlines()
    assert [line.partition(": ")[2].partition(": ")[0] for line in lines] == [str(paths[n]) for n in (0, 4, 9)]
    assert written == [f"{number}.png" for number in (1, 2, 3, 5, 6, 7, 8)]
    for number in (1, 2, 3, 5, 6, 7, 8):  # each got its own photo's answer
        recording = read_json(tmp_path / "out" / f"{number}.json")
        (pose,) = estimator.predict(paths[number], whole=True)
        assert recording.width == 30 + number and recording.computed_by == "torch fp32"
        np.testing.assert_allclose(recording.tracks[0].joints_2d[0], pose.joints_2d, atol=0.02)


def test_the_next_batch_is_read_while_the_network_looks(estimator: Estimator, tmp_path: Path) -> None:
    paths, read, enough = photos(tmp_path, 20), [], threading.Event()

    def people_in(image: np.ndarray) -> list[Detection]:
        read.append(image.shape[1] - 30)
        if len(read) >= BATCH + 2:
            enough.set()
        return [Detection((0.0, 0.0, 30.0, 40.0), 0.9)]

    seen: list[int] = []

    def before(look: int) -> None:
        if look == 0:
            assert enough.wait(20)  # for ever, if nobody read meanwhile
            time.sleep(0.3)
        seen.append(len(read))

    estimator.runtime = Slow(estimator, before)
    assert run(estimator, paths, PersonSelection(detector=Finds(people_in))).done == 20
    assert read == list(range(20))
    # A photo is with the network, a batch waits, and one more is being handed over; one is just read.
    assert BATCH + 2 <= seen[0] <= BATCH + 3
    assert all(count <= look + BATCH + 3 for look, count in enumerate(seen))


def test_an_error_of_the_network_ends_the_run(estimator: Estimator, tmp_path: Path) -> None:
    def before(look: int) -> None:
        if look == 1:
            raise LiftwildError("its weights are broken")

    estimator.runtime = Slow(estimator, before)
    with pytest.raises(LiftwildError, match="broken"):
        run(estimator, photos(tmp_path, 30))
    assert stems(tmp_path) == {"0"}


def test_an_interruption_ends_the_run(estimator: Estimator, tmp_path: Path) -> None:
    def before(look: int) -> None:
        if look == 1:
            raise KeyboardInterrupt

    estimator.runtime = Slow(estimator, before)
    with pytest.raises(KeyboardInterrupt):
        run(estimator, photos(tmp_path, 30))
    assert stems(tmp_path) == {"0"}


def test_whatever_fails_is_one_line_and_the_other_photos_are_done(
    estimator: Estimator, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def people_in(image: np.ndarray) -> list[Detection]:
        if image.shape[1] == 34:
            raise ZeroDivisionError("slip")
        if image.shape[1] == 31:
            raise LiftwildError("this photo cannot be looked at")
        return [Detection((0.0, 0.0, 30.0, 40.0), 0.9)]

    once = [MemoryError()]

    def before(look: int) -> None:
        if look == 2 and once:  # photo 3: 1 is not looked at
            raise once.pop()

    real = outputs.write_formats

    def write_formats(recording: Recording, *others: object) -> object:
        if recording.source == "5.png":
            raise RuntimeError("no\nway")
        return real(recording, *others)  # type: ignore[arg-type]

    monkeypatch.setattr(outputs, "write_formats", write_formats)
    estimator.runtime = Slow(estimator, before)
    paths = photos(tmp_path, 8)
    counts = run(estimator, paths, PersonSelection(detector=Finds(people_in)))
    assert str(counts) == "8 photos: 4 done (4 people), 4 failed" and stems(tmp_path) == {"0", "2", "6", "7"}
    fails = "liftwild fails on it, please report this"
    assert capsys.readouterr().err.splitlines() == [
        "error: this photo cannot be looked at",
        f"error: {paths[3]}: there is not enough memory for it",
        f"error: {paths[4]}: {fails} (ZeroDivisionError: slip)",
        f"error: {paths[5]}: {fails} (RuntimeError: way)",
    ]


def test_people_of_one_photo_go_in_batches_that_fit_in_memory(
    estimator: Estimator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """2,000 people of a photo at once would be 400 MB of crops."""
    held: list[int] = []
    real = Estimator.crop_people

    def crop_people(self: Estimator, *arguments: object, **named: object) -> object:
        people = real(self, *arguments, **named)  # type: ignore[arg-type]
        held.append(len(people))
        return people

    monkeypatch.setattr(Estimator, "crop_people", crop_people)
    (path,) = photos(tmp_path, 1)
    everybody = [Detection((3.0 * n, 0.0, 10.0, 40.0), 0.9) for n in range(10)]
    said: list[str] = []
    (result,) = predict_photos(
        estimator, [path], PersonSelection(detector=Finds(lambda image: everybody)), PoseOptions(), False, said.append
    )
    assert result.recording is not None and len(result.recording.tracks) == 10
    assert held == [3, 3, 3, 1]
    assert said == ["3 of 10 people", "6 of 10 people", "9 of 10 people", ""]


def test_photos_that_wait_hold_no_pixels(estimator: Estimator) -> None:
    """People are cut out when a photo is read: of all that wait for the network only these are kept."""
    alive: list[weakref.ref[np.ndarray]] = []
    enough, counts = threading.Event(), []

    def tasks() -> Iterator[PhotoTask]:
        for _ in range(BATCH + 3):
            image = np.zeros((40, 30, 3), np.uint8)
            alive.append(weakref.ref(image))
            if len(alive) == BATCH + 2:
                enough.set()
            yield PhotoTask(LoadedPhoto(image, b""), PersonSelection(), PoseOptions())

    def before(look: int) -> None:
        if not look:
            assert enough.wait(20)
            gc.collect()
            counts.append(sum(each() is not None for each in alive))

    estimator.runtime = Slow(estimator, before)  # type: ignore[assignment]
    assert len(list(predict_tasks(estimator, tasks()))) == BATCH + 3
    assert counts[0] <= 2  # the one that is read, and the one before it


def test_a_photo_that_fails_twice_has_one_result(
    estimator: Estimator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The network on its first people, and then its next people: what follows is of the next photo."""
    real_crop, real_predict = Estimator.crop_people, Estimator.predict_crops

    def crop_people(
        self: Estimator, photo: LoadedPhoto, boxes: object = None, *rest: object, **named: object
    ) -> object:
        if photo.size[0] == 31 and boxes[0][0] >= 9:  # type: ignore[index]
            raise RuntimeError("crop")
        return real_crop(self, photo, boxes, *rest, **named)  # type: ignore[arg-type]

    def predict_crops(self: Estimator, crops: list[list[CroppedPerson]]) -> object:
        if crops[0][0].photo_px[0] == 31:
            raise RuntimeError("network")
        return real_predict(self, crops)

    monkeypatch.setattr(Estimator, "crop_people", crop_people)
    monkeypatch.setattr(Estimator, "predict_crops", predict_crops)
    paths = photos(tmp_path, 3)
    people = [Detection((3.0 * n, 0.0, 10.0, 40.0), 0.9) for n in range(6)]
    selection = PersonSelection(detector=Finds(lambda image: people))
    results = list(predict_photos(estimator, paths, selection, PoseOptions()))
    assert [result.path for result in results] == paths
    assert [bool(result.error) for result in results] == [False, True, False]
    assert "network" in results[1].error


def test_a_photo_is_answered_alike_whatever_came_before(estimator: Estimator, tmp_path: Path) -> None:
    """Networks answer a little differently in batches of other sizes: no photo shares one with another."""

    class ByBatch(Slow):
        def __call__(self, crops: np.ndarray) -> Outputs:
            found = super().__call__(crops)
            return found._replace(depth=found.depth * len(crops))

    estimator.runtime = ByBatch(estimator, lambda look: None)
    paths = photos(tmp_path, 5)
    alone, among, again = (tmp_path / name for name in ("alone", "among", "again"))
    for out, some in ((alone, paths[2:3]), (among, paths), (again, paths[2:])):
        out.mkdir()
        write_photos(estimator, some, OutputGuard(out), PersonSelection(), PoseOptions(), JSON)
    assert (alone / "2.json").read_bytes() == (among / "2.json").read_bytes() == (again / "2.json").read_bytes()


def test_a_camera_that_does_not_fit_fails_the_photo_only(
    estimator: Estimator, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = photos(tmp_path, 3)
    cv2.imwrite(str(paths[1]), np.zeros((4000, 40, 3), np.uint8))
    counts = run(estimator, paths, poses=PoseOptions(camera=(60, 60, 15, 20)))
    assert str(counts) == "3 photos: 2 done (2 people), 1 failed" and stems(tmp_path) == {"0", "2"}
    assert "camera 60,60,15,20: for a photo of 40 x 4000 px" in capsys.readouterr().err
