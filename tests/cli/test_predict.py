"""``liftwild predict`` for photos, as a user types it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

import liftwild
from liftwild.cli.main import cli
from liftwild.pipeline import outputs
from liftwild.pipeline.photos import PhotoResult
from tests.support.commands import ENVIRONMENT
from tests.support.images import encode, picture


@pytest.fixture
def predict(tiny_weights: Path, tmp_path: Path) -> Callable[..., Result]:
    """Runs ``liftwild predict --whole`` with the tiny weights and -o tmp/out."""

    def predict(*arguments: object, out: Path | None = None) -> Result:
        given = [str(argument) for argument in arguments]
        end = ["--whole", "--weights", str(tiny_weights), "--device", "cpu", "-o", str(out or tmp_path / "out")]
        end += ["--runtime", "torch"]
        return CliRunner().invoke(cli, ["predict", *given, *end])

    return predict


def write(path: Path, image: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode(path.suffix, image))
    return path


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def people(path: Path) -> list[dict]:
    return json.loads(path.read_text(encoding="utf-8"))["people"]


def test_help_and_version() -> None:
    assert liftwild.__version__ in CliRunner().invoke(cli, ["--version"]).output
    assert "--flip-test" in CliRunner().invoke(cli, ["predict", "--help"]).output
    code = "import sys, liftwild.cli.main; print([m for m in ('torch', 'cv2', 'numpy') if m in sys.modules])"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=ENVIRONMENT).stdout == "[]\n"
    )


def test_one_run_over_every_kind_of_file(tmp_path: Path, tiny_weights: Path) -> None:
    photos, image = tmp_path / "photos", picture(300, 400)
    jpeg, png = encode(".jpg", image), encode(".png", image)
    for name in ("colour.jpg", "tiff.TIFF", "bmp.bmp", "webp.webp"):
        write(photos / name, image)
    write(photos / "grey.png", image[..., 0])
    write(photos / "clear.png", np.dstack([image, image[..., 0]]))
    write(photos / "deep.png", image.astype(np.uint16) * 257)
    write(photos / "pixel.png", image[:1, :1])
    write(photos / "huge.jpg", np.zeros((6000, 9000, 3), np.uint8))
    bad = {
        "empty.jpg": b"", "cut.jpg": jpeg[: len(jpeg) // 2], "cut.png": png[: len(png) // 2], "text.webp": b"hello",
        "cut2.webp": encode(".webp", image)[:-50], "cut3.tif": encode(".tif", image)[:-50],
    }  # fmt: skip
    for name, content in bad.items():
        (photos / name).write_bytes(content)
    (photos / "sub").mkdir()
    command = [sys.executable, "-m", "liftwild", "predict", "--whole", str(photos), str(photos / "none.jpg")]
    done = subprocess.run(
        [*command, "-o", str(tmp_path / "out"), "--weights", str(tiny_weights), "--runtime", "torch"],
        capture_output=True, text=True, env=ENVIRONMENT,
    )  # fmt: skip
    note, *lines = done.stderr.splitlines()
    assert done.returncode == 1 and "passed over 1 folder" in note
    assert done.stdout == f"16 photos: 9 done (9 people), 7 failed; results in {tmp_path / 'out'} (torch fp32)\n"
    assert len(lines) == 7 and all(line.startswith("error: ") for line in lines), done.stderr
    for name in [*bad, "none.jpg"]:
        assert sum(str(photos / name) + ": " in line for line in lines) == 1
    good = ("colour", "tiff", "bmp", "webp", "grey", "clear", "deep", "pixel", "huge")
    assert names(tmp_path / "out") == sorted(f"{stem}.{kind}" for stem in good for kind in ("json", "png"))
    huge = json.loads((tmp_path / "out" / "huge.json").read_text())
    assert huge["image"] == {"file": "huge.jpg", "width": 9000, "height": 6000}
    for stem in good:
        (person,) = people(tmp_path / "out" / f"{stem}.json")
        assert np.array(person["joints_2d"]).shape == (16, 2) and np.array(person["joints_3d"]).shape == (16, 3)
        assert len(person["confidence"]) == 16 and 0 <= min(person["confidence"]) <= max(person["confidence"]) <= 1


def test_box_and_no_figure(tmp_path: Path, predict: Callable[..., Result]) -> None:
    photos = [write(tmp_path / name, picture()) for name in ("a.png", "b.png")]
    done = predict(*photos, "--box", "-5,10,20,30.5", "--no-figure", "--flip-test", "--batch-size", 1)
    assert done.exit_code == 0, done.output
    assert done.stdout == f"2 photos: 2 done (2 people), 0 failed; results in {tmp_path / 'out'} (torch fp32)\n"
    assert names(tmp_path / "out") == ["a.json", "b.json"]
    (person,) = people(tmp_path / "out" / "b.json")
    assert person["box"] == [-5, 10, 20, 30.5] and "annotation_id" not in person


@pytest.mark.parametrize("box", ["1,2,3", "1,2,3,x", "0,0,0,5", "0,0,nan,5", ""])
def test_a_bad_box_is_wrong_usage(tmp_path: Path, predict: Callable[..., Result], box: str) -> None:
    done = predict(write(tmp_path / "a.png", picture()), "--box", box)
    assert done.exit_code == 2 and "--box" in done.stderr and not (tmp_path / "out").exists()


def test_boxes_from_labels(tmp_path: Path, predict: Callable[..., Result]) -> None:
    for name in ("photos/sub/im1.png", "photos/im2.png", "photos/im3.png", "photos/im4.png"):
        write(tmp_path / name, picture())
    entries = [(1, "sub/im1.png"), (2, "im2.png"), (3, "im3.png"), (4, "im4.png")]
    boxes = [(11, 1, [10, 5, 20, 40]), (12, 1, [40, 5, 20, 40]), (13, 2, [0, 0, 80, 60]), (14, 4, [500, 0, 9, 9])]
    labels = {
        "images": [{"id": key, "file_name": name, "width": 80, "height": 60} for key, name in entries],
        "categories": [{"id": 1, "name": "person"}],
        "annotations": [{"id": a, "image_id": i, "category_id": 1, "bbox": box} for a, i, box in boxes],
    }
    (tmp_path / "labels.json").write_text(json.dumps(labels))
    done = predict(tmp_path / "photos" / "sub", tmp_path / "photos", "--boxes", tmp_path / "labels.json")
    out = tmp_path / "out"
    assert done.exit_code == 1
    assert done.stdout == f"4 photos: 3 done (3 people, 1 without a box), 1 failed; results in {out} (torch fp32)\n"
    where = tmp_path / "photos" / "im4.png"
    assert done.stderr == f"error: {where}: box 500,0,9,9 lies outside the photo (80 x 60 px)\n"
    assert [(person["annotation_id"], person["box"]) for person in people(out / "im1.json")] == [
        (11, [10, 5, 20, 40]),
        (12, [40, 5, 20, 40]),
    ]
    assert [person["annotation_id"] for person in people(out / "im2.json")] == [13]
    assert people(out / "im3.json") == [] and (out / "im3.png").exists()
    both = predict(tmp_path / "photos", "--boxes", tmp_path / "labels.json", "--box", "0,0,5,5")
    assert both.exit_code == 2 and "exclude each other" in both.stderr
    # One of two lies outside: the other is done all the same.
    labels["annotations"].append({"id": 99, "image_id": 4, "category_id": 1, "bbox": [10, 5, 20, 40]})
    (tmp_path / "labels.json").write_text(json.dumps(labels))
    done = predict(where, "--boxes", tmp_path / "labels.json")
    assert done.exit_code == 0 and [person["annotation_id"] for person in people(out / "im4.json")] == [99]
    assert f"warning: {where}: box 500,0,9,9 lies outside the photo (80 x 60 px); left out\n" in done.stderr
    (tmp_path / "labels.json").write_text("[")
    done = predict(tmp_path / "photos", "--boxes", tmp_path / "labels.json")
    assert done.exit_code == 1 and f"\nerror: {tmp_path / 'labels.json'} is not JSON" in done.stderr


def test_boxes_from_a_detector(tmp_path: Path, predict: Callable[..., Result]) -> None:
    for name in ("photos/000012.png", "photos/b.png", "photos/c.png"):
        write(tmp_path / name, picture())
    rows = [(12, 0.9, [10, 5, 20, 40]), (12, 0.2, [40, 5, 20, 40]), ("b", 0.4, [0, 0, 80, 60])]
    results = [{"image_id": key, "category_id": 1, "bbox": box, "score": score} for key, score, box in rows]
    given, ids, out = tmp_path / "results.json", tmp_path / "ids.json", tmp_path / "out"
    given.write_text(json.dumps(results))
    done = predict(tmp_path / "photos", "--boxes", given)
    assert done.exit_code == 0 and "3 done (2 people, 1 without a box)" in done.stdout, done.output
    assert [person["annotation_id"] for person in people(out / "000012.json")] == [1]
    assert [person["box"] for person in people(out / "b.json")] == [[0, 0, 80, 60]]
    assert "3 people" in predict(tmp_path / "photos", "--boxes", given, "--box-score", 0.1).stdout
    none = predict(tmp_path / "photos" / "c.png", "--boxes", given, out=tmp_path / "none")
    assert none.exit_code == 1 and "knows none of the photos: it has 'b', not 'c.png'" in none.stderr
    assert not (tmp_path / "none").exists()
    given.write_text(json.dumps([{**results[0], "image_id": 7}]))
    ids.write_text(json.dumps({"images": [{"id": 7, "file_name": "photos/c.png"}]}))
    done = predict(tmp_path / "photos" / "c.png", "--boxes", given, "--photo-ids", ids)
    assert "1 done (1 person)" in done.stdout, done.output
    alone = predict(tmp_path / "photos", "--photo-ids", ids)
    assert alone.exit_code == 2 and "--photo-ids is for --boxes" in alone.stderr


def test_the_same_stem_twice(tmp_path: Path, predict: Callable[..., Result]) -> None:
    first, second = write(tmp_path / "a" / "im.png", picture()), write(tmp_path / "b" / "im.jpg", picture(seed=1))
    done = predict(first, second)
    assert done.exit_code == 1 and str(first) in done.stderr and done.stderr.startswith(f"error: {second}: ")
    assert "2 photos: 1 done (1 person), 1 failed" in done.stdout
    assert json.loads((tmp_path / "out" / "im.json").read_text())["image"]["file"] == "im.png"


def test_nothing_of_the_users_is_overwritten(tmp_path: Path, predict: Callable[..., Result]) -> None:
    photo, other, third = (write(tmp_path / name, picture()) for name in ("a.png", "b.jpg", "c.jpg"))
    (tmp_path / "c.json").write_text('{"shapes": []}')  # as labelling tools leave it
    write(tmp_path / "d.png", picture())
    fourth = write(tmp_path / "d.jpg", picture())
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    for _ in range(2):  # the second time over our own results
        done = predict(photo, other, third, fourth, out=tmp_path)
        lines = done.stderr.splitlines()
        assert done.exit_code == 1 and "4 photos: 1 done (1 person), 3 failed" in done.stdout
        assert (
            lines[0] == f"error: {photo}: its picture would overwrite the photo {photo}; use another -o, or --no-figure"
        )
        assert f"{tmp_path / 'c.json'} exists and is no result of liftwild" in lines[1]
        assert f"{tmp_path / 'd.png'} exists and is no result of liftwild" in lines[2]
        assert all(path.read_bytes() == content for path, content in before.items())
        assert set(names(tmp_path)) == {path.name for path in before} | {"b.json", "b.png"}
    assert predict(photo, "--no-figure", out=tmp_path).exit_code == 0


def test_errors_of_the_whole_run_are_one_line(tmp_path: Path, predict: Callable[..., Result]) -> None:
    photo = write(tmp_path / "a.png", picture())
    (tmp_path / "empty").mkdir()
    for done in (
        predict(photo, out=photo),
        predict(tmp_path / "empty"),
        predict(photo, "--boxes", tmp_path / "none.json"),
        CliRunner().invoke(cli, ["predict", str(photo), "-o", str(tmp_path / "out"), "--weights", "none"]),
    ):
        assert done.exit_code == 1 and done.stdout == ""
        assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1
    assert CliRunner().invoke(cli, ["predict", str(photo)]).exit_code == 2


def test_a_full_disk_fails_the_photo_only(
    tmp_path: Path, predict: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    photos = [write(tmp_path / f"{stem}.png", picture()) for stem in "abc"]
    real = Path.write_bytes
    calls = iter([None, None, OSError(28, "No space left on device")] + [None] * 9)

    def write_bytes(path: Path, content: bytes) -> int:
        if error := next(calls):
            real(path, content[:10])
            raise error
        return real(path, content)

    monkeypatch.setattr(Path, "write_bytes", write_bytes)
    done = predict(*photos)
    assert done.exit_code == 1 and "3 photos: 2 done (2 people), 1 failed" in done.stdout
    assert done.stderr == f"error: {tmp_path / 'out' / 'b.json'}: cannot be written: No space left on device\n"
    assert names(tmp_path / "out") == ["a.json", "a.png", "c.json", "c.png"]


def test_interrupted(tmp_path: Path, predict: Callable[..., Result], monkeypatch: pytest.MonkeyPatch) -> None:
    photos = [write(tmp_path / f"{stem}.png", picture()) for stem in "abc"]
    real = outputs.predict_photos

    def predict_photos(*arguments: Any) -> Iterator[PhotoResult]:
        for number, result in enumerate(real(*arguments)):
            if number == 1:
                raise KeyboardInterrupt
            yield result

    monkeypatch.setattr(outputs, "predict_photos", predict_photos)
    done = predict(*photos)
    assert done.exit_code == 130 and done.stderr == "interrupted\n" and done.stdout == ""
    assert names(tmp_path / "out") == ["a.json", "a.png"]  # what was done is written all the same


def test_really_interrupted(tmp_path: Path, tiny_weights: Path) -> None:
    content = encode(".png", picture())
    (tmp_path / "photos").mkdir()
    for i in range(300):
        (tmp_path / "photos" / f"{i}.png").write_bytes(content)
    out = tmp_path / "out"
    command = [sys.executable, "-m", "liftwild", "predict", "--whole", str(tmp_path / "photos"), "-o", str(out)]
    process = subprocess.Popen(
        [*command, "--weights", str(tiny_weights), "--device", "cpu"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT,
    )  # fmt: skip
    until = time.monotonic() + 60
    while not list(out.glob("*.png")) and time.monotonic() < until:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=60)
    assert (process.returncode, stdout, stderr) == (130, "", "interrupted\n")
    assert 0 < len(list(out.iterdir())) < 600
    assert {file.suffix for file in out.iterdir()} <= {".json", ".png"}
    for file in out.glob("*.json"):
        assert len(people(file)) == 1
