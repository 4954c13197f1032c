"""Outputs of every command: no input, and nothing that liftwild did not write, is replaced."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from liftwild.data.store import Store
from liftwild.media.encoding import is_marked, marked, png_bytes, write_png
from tests.support.commands import liftwild
from tests.support.images import picture
from tests.support.stores import write_store
from tests.support.training import tiny_recipe, to_toml, write_labelled_photos

RENDER = ("render", "wild", "-n", "1", "--size", "64", "--processes", "1", "-o")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with labels, photos, a store, a recipe, and files of somebody else."""
    folder = tmp_path_factory.mktemp("outputs")
    write_labelled_photos(folder, 2)
    store = write_store(folder / "three.arrow", 2, with_3d=True)
    (folder / "tiny.toml").write_text(to_toml(tiny_recipe(store, store)))
    for name in ("thesis.txt", "x.arrow.skipped.txt", "page/chosen.jpg", "run/weights.safetensors", "full/notes.txt",
                 "logs/log.jsonl", "stages/stages/a.safetensors"):  # fmt: skip
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"somebody else's")
    return folder


@pytest.mark.parametrize(
    ("command", "file"),
    [
        (("prepare", "coco", "labels.json", "photos", "-o", "labels.json"), "labels.json"),
        (("prepare", "coco", "labels.json", "photos", "-o", "thesis.txt"), "thesis.txt"),
        (("prepare", "coco", "labels.json", "photos", "-o", "x.arrow"), "x.arrow.skipped.txt"),
        (("prepare", "poses", "thesis.txt", "-o", "thesis.txt"), "thesis.txt"),
        (("prepare", "split", "three.arrow", "-o", "photos"), "photos"),
        (("prepare", "split", "three.arrow", "-o", "thesis.txt"), "thesis.txt"),
        ((*RENDER, "photos/1.png"), "photos/1.png"),
        ((*RENDER, "y.arrow", "--sheet", "photos/1.png"), "photos/1.png"),
        ((*RENDER, "y.arrow", "--pictures", "photos"), "photos"),
        ((*RENDER, "y.arrow", "--pictures", "thesis.txt"), "thesis.txt"),
        (("evaluate", "WEIGHTS", "three.arrow", "-o", "three.arrow"), "three.arrow"),
        (("evaluate", "WEIGHTS", "three.arrow", "--page", "page"), "page/chosen.jpg"),
        (("evaluate", "WEIGHTS", "three.arrow", "--card", "thesis.txt"), "thesis.txt"),
        (("calibrate", "WEIGHTS", "three.arrow", "-o", "photos/1.png"), "photos/1.png"),
        (("train", "tiny.toml", "--out", "run"), "run/weights.safetensors"),
        (("train", "tiny.toml", "--out", "stages", "--resume"), "stages/stages/a.safetensors"),
        (("train", "tiny.toml", "--out", "logs"), "logs/log.jsonl"),
        (("train", "tiny.toml", "--out", "thesis.txt"), "thesis.txt"),
        (("export", "WEIGHTS", "--to", "onnx", "-o", "thesis.onnx"), "thesis.onnx"),
    ],
)
def test_what_liftwild_did_not_write_stays(
    world: Path, tiny_weights: Path, command: tuple[str, ...], file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(world)
    (world / "thesis.onnx").write_bytes(b"somebody else's")
    before = {path: path.read_bytes() for path in world.rglob("*") if path.is_file()}
    done = liftwild(*(str(tiny_weights) if word == "WEIGHTS" else word for word in command), code=1)
    assert f"error: {file}" in done.stderr and ("choose another" in done.stderr or "made a folder" in done.stderr)
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert {path: path.read_bytes() for path in world.rglob("*") if path.is_file()} == before


def test_what_liftwild_wrote_is_replaced(world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "people").mkdir()
    for seed in ("1", "2"):
        liftwild(*RENDER, "y.arrow", "--sheet", "y.png", "--seed", seed, *(["--pictures", "people"] * (seed == "1")))
        assert f"seed{seed}" in Store(tmp_path / "y.arrow")[0].source
    liftwild(*RENDER, "y.arrow", "--sheet", "y.arrow", code=2)


def test_a_marked_picture_shows_the_same(tmp_path: Path) -> None:
    image = picture(40, 30, 0)
    write_png(tmp_path / "a.png", image)
    assert np.array_equal(cv2.imread(str(tmp_path / "a.png"))[..., ::-1], image) and is_marked(tmp_path / "a.png")
    jpeg = cv2.imencode(".jpg", image)[1].tobytes()
    (tmp_path / "a.jpg").write_bytes(marked(jpeg))
    assert np.array_equal(cv2.imread(str(tmp_path / "a.jpg")), cv2.imdecode(np.frombuffer(jpeg, np.uint8), 1))
    assert is_marked(tmp_path / "a.jpg")
    (tmp_path / "plain.png").write_bytes(png_bytes(image))
    assert not is_marked(tmp_path / "plain.png")
