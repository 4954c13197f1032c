"""The whole slice as a user types it: labels to store, store to weights, weights to poses and scores."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.support.commands import ENVIRONMENT
from tests.support.images import write_photo
from tests.support.label_files import annotation, annotation_3d, camera_field, labels, write_labels
from tests.support.training import tiny_recipe, to_toml


def liftwild(*arguments: object, cwd: Path, code: int = 0) -> subprocess.CompletedProcess[str]:
    """Run ``liftwild`` and check its exit code; never a traceback."""
    done = subprocess.run(
        [sys.executable, "-m", "liftwild", *map(str, arguments)],
        cwd=cwd, env=ENVIRONMENT, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with photos, 2D labels (one person of them a crowd, one photo missing) and 3D labels."""
    folder = tmp_path_factory.mktemp("world")
    files = [f"{n}.png" for n in range(1, 7)]
    for file in files[:5]:
        write_photo(folder / "photos" / file)
    wild = [annotation(n, n) for n in range(1, 7)] + [annotation(7, 1, iscrowd=1)]
    write_labels(folder / "wild.json", labels(wild, files=files))
    studio = [annotation_3d(n, n) for n in range(1, 6)]
    write_labels(folder / "studio.json", labels(studio, files=files[:5], camera=camera_field()))
    return folder


def test_from_labels_to_poses(world: Path) -> None:
    done = liftwild("prepare", "coco", "wild.json", "photos", "-o", "wild.arrow", cwd=world)
    assert "5 people of 5 photos in wild.arrow; 2 left out, see wild.arrow.skipped.txt" in done.stdout
    assert "1 x crowd; the first: 1.png, annotation 7" in done.stderr
    assert "6.png" in (world / "wild.arrow.skipped.txt").read_text()
    liftwild("prepare", "coco", "studio.json", "photos", "-o", "studio.arrow", cwd=world)
    assert not (world / "studio.arrow.skipped.txt").exists()

    recipe = tiny_recipe(Path("studio.arrow"), Path("elsewhere.arrow"))
    recipe["stores"]["val"] = {"path": "studio.arrow", "use": "val"}
    (world / "recipe.toml").write_text(to_toml(recipe))
    train = ("train", "recipe.toml", "--out", "run", "--store", "two=wild.arrow")
    done = liftwild(*train, "--stop-after", 7, cwd=world)
    assert "weights" not in done.stdout
    assert "holds a run already" in liftwild(*train, cwd=world, code=1).stderr
    done = liftwild(*train, "--resume", cwd=world)
    assert "weights in run/weights.safetensors" in done.stdout
    assert {"checkpoints", "log.jsonl", "predictions.png", "tensorboard", "weights.json"} <= {
        path.name for path in (world / "run").iterdir()
    }
    card = json.loads((world / "run" / "weights.json").read_text())
    assert card["data"]["two"]["people"] == 5 and set(card["metrics"]["val"]) >= {"pck_torso", "mpjpe_mm"}

    done = liftwild("predict", "photos", "--boxes", "wild.json", "--weights", "run", "-o", "out", cwd=world)
    assert "5 photos: 5 done (5 people), 0 failed; results in out" in done.stdout
    document = json.loads((world / "out" / "3.json").read_text())
    (person,) = document["people"]
    assert person["annotation_id"] == 3 and np.array(person["joints_3d"]).shape == (16, 3)
    # Bones are together as long as the training people's.
    assert card["sum_length_mm"] == pytest.approx(4300, rel=0.2)

    options = ("-o", "p.arrow", "--card", "card.md", "--page", "page", "--batch-size", 2)
    done = liftwild("evaluate", "run", "studio.arrow", "wild.arrow", *options, cwd=world)
    assert "studio (5 people" in done.stdout and "| studio | flat depth, true 2D |" in done.stdout
    assert "| wild | " in done.stdout and "| wild | flat depth" not in done.stdout
    assert (world / "card.md").read_text().endswith(done.stdout)
    assert (world / "page" / "chosen.jpg").is_file() and (world / "page" / "worst.jpg").is_file()
    assert liftwild("report", "p.arrow", cwd=world).stdout == done.stdout


def test_errors_are_one_line(world: Path, tiny_weights: Path) -> None:
    (world / "words.txt").write_text("no labels")
    for arguments, words in (
        (("prepare", "coco", "none.json", "photos", "-o", "x.arrow"), "none.json: no such file"),
        (("prepare", "coco", "words.txt", "photos", "-o", "x.arrow"), "words.txt is not JSON"),
        (("prepare", "coco", "wild.json", "nowhere", "-o", "x.arrow"), "no folder of photos nowhere"),
        (("evaluate", tiny_weights, "words.txt"), "words.txt is not a store"),
        (("evaluate", tiny_weights, "none.arrow"), "no store none.arrow"),
        (("evaluate", tiny_weights), "no store to measure"),
        (("evaluate", "wild.arrow", tiny_weights), "wild.arrow is a store; the weights come first"),
        (("evaluate", "wild.arrow"), "wild.arrow is a store; the weights come first"),
        (("report", "words.txt"), "words.txt is not a predictions file"),
        (("report", "clip.mp4"), "clip.mp4: a report is made of its poses: 'liftwild predict clip.mp4 -o OUT'"),
        (("predict", "photos", "--weights", "none", "-o", "out"), "no weights named 'none'"),
    ):
        done = liftwild(*arguments, cwd=world, code=1)
        assert done.stderr.startswith("error: ") and words in done.stderr and done.stderr.count("\n") == 1, done.stderr
    assert not (world / "x.arrow").exists()
