"""What the finder learns from: its targets and losses, the scenes, and the training itself."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from liftwild.cli_finder import train_finder
from liftwild.data import pieces
from liftwild.data.pieces import People, Piece, cut_beside, cut_person, cut_scenery, photo_part
from liftwild.data.scenes import MOST_PEOPLE, Scene, Scenes, _Canvas
from liftwild.data.store import Store
from liftwild.errors import LiftwildError
from liftwild.finder_net import (
    STRIDE,
    FinderConfig,
    FinderNet,
    PeopleMaps,
    draw_people,
    finder_losses,
    macs,
    read_people,
)
from liftwild.predict.finder import Finder
from liftwild.weights.finder import load_finder
from tests.conftest import picture
from tests.finder.conftest import TINY
from tests.synthetic import write_store

# --- network ---


def test_the_network_is_as_small_as_said() -> None:
    config = FinderConfig()
    assert macs(config) <= 0.5e9
    assert sum(2 * value.numel() for value in FinderNet(config).state_dict().values()) <= 1e6


def test_maps_have_a_cell_for_four_px_of_any_multiple_of_64() -> None:
    maps = FinderNet(TINY).eval()(torch.zeros(2, 3, 64, 128, dtype=torch.uint8))
    assert maps.centres.shape == (2, 16, 32) and maps.sides.shape == (2, 4, 16, 32)
    assert (maps.sides > 0).all()
    with pytest.raises(ValueError, match="multiple of 64"):
        FinderConfig(input_px=200)


@given(st.lists(st.tuples(*[st.floats(1, 100)] * 2, *[st.floats(6, 27)] * 2), min_size=1, max_size=4))
@settings(max_examples=40, deadline=None)
def test_what_is_drawn_is_read_again(rows: list[tuple[float, float, float, float]]) -> None:
    boxes = torch.tensor(rows)[None]
    middles = ((boxes[0, :, :2] + boxes[0, :, 2:] / 2) / STRIDE).floor()
    apart = torch.cdist(middles, middles, p=float("inf")) + 9 * torch.eye(len(rows))
    if apart.min() < 2:  # two in neighbouring cells are one peak
        return
    target = draw_people(boxes, torch.ones(1, len(rows), dtype=torch.bool), 32, 32)
    grid = (torch.arange(32) + 0.5) * STRIDE
    x0, y0, x1, y1 = target.corners.unbind(1)
    sides = torch.stack([grid - x0, grid[:, None] - y0, x1 - grid, y1 - grid[:, None]], 1)
    found, scores = read_people(PeopleMaps(target.centres.logit(1e-6), sides))
    assert (scores[0] > 0.999).sum() == len(rows)
    got = found[0, : len(rows)]
    assert torch.cdist(got, boxes[0]).min(dim=1).values.max() < 1e-3
    assert torch.cdist(got, boxes[0]).min(dim=0).values.max() < 1e-3
    assert target.share.sum() == pytest.approx(len(rows), abs=1e-4)


def test_losses_are_least_for_what_is_true() -> None:
    boxes, valid = (
        torch.tensor([[[10.0, 12, 40, 30], [70, 60, 20, 50], [0, 0, 9, 9]]]),
        torch.tensor([[True, True, False]]),
    )
    target = draw_people(boxes, valid, 32, 32)
    assert (target.centres == 1).sum() == 2 and target.share.sum() == pytest.approx(2)
    grid = (torch.arange(32) + 0.5) * STRIDE
    x0, y0, x1, y1 = target.corners.unbind(1)
    sides = torch.stack([grid - x0, grid[:, None] - y0, x1 - grid, y1 - grid[:, None]], 1)
    sure = torch.where(target.centres == 1, 12.0, -12.0)
    everywhere = torch.ones(1, 32, 32)
    centres, box = finder_losses(PeopleMaps(sure, sides), target, everywhere)
    assert centres < 1e-4 and box == pytest.approx(0, abs=1e-5)
    _, wider = finder_losses(PeopleMaps(sure, sides + 5), target, everywhere)
    areas = np.array([(40 * 30 + 1) / (50 * 40 + 1), (20 * 50 + 1) / (30 * 60 + 1)])
    assert wider == pytest.approx(-np.log(areas).mean(), abs=1e-4)
    # A person too many costs where it is known that there is none, and only there.
    more = sure.clone()
    more[0, 30, 3] = 5.0
    assert finder_losses(PeopleMaps(more, sides), target, everywhere)[0] > centres + 1
    nowhere = everywhere.clone()
    nowhere[0, 30, 3] = 0
    assert finder_losses(PeopleMaps(more, sides), target, nowhere)[0] == pytest.approx(float(centres), abs=1e-5)


def test_nobody_is_a_target_too() -> None:
    net = FinderNet(TINY)
    for people_ in (0, 3):
        target = draw_people(torch.zeros(2, people_, 4), torch.zeros(2, people_, dtype=torch.bool), 16, 16)
        assert target.centres.sum() == 0 and target.share.sum() == 0
        centres, box = finder_losses(net(torch.rand(2, 3, 64, 64)), target, torch.ones(2, 16, 16))
        (centres + box).backward()
        assert torch.isfinite(centres) and box == 0
    assert all(p.grad is None or p.grad.isfinite().all() for p in net.parameters())


# --- scenes ---


def test_the_black_beyond_a_photo_is_no_part_of_it() -> None:
    image = np.zeros((100, 120, 3), np.uint8)
    image[20:81, 10:101] = 90
    image[30:50, 40:60] = 0
    assert photo_part(image) == (11, 21, 89, 59)
    assert photo_part(image * 0) is None


def test_a_pasted_body_is_where_it_was_put() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        canvas = _Canvas(rng, 128)
        canvas.frame = (0.0, 0.0, 128.0, 128.0)
        pixels = np.zeros((50, 40, 3), np.uint8)
        pixels[10:40, 5:25] = 255  # the body, off the middle
        canvas.paste(Piece(pixels, (5.0, 10.0, 20.0, 30.0), False), (10.0, 20.0, 80.0, 75.0), 0.0)
        bright = np.argwhere(canvas.image[..., 1] > 120)
        (box,) = canvas.finish(rng, 0.25).boxes
        low, high = bright.min(axis=0)[::-1], bright.max(axis=0)[::-1] + 1
        np.testing.assert_allclose(box[:2], low, atol=1)
        np.testing.assert_allclose(box[:2] + box[2:], high, atol=1)
        assert box[2] == pytest.approx(40) and box[3] == pytest.approx(45)  # 2 and 1.5 times


def test_what_hides_a_body_ends_its_box() -> None:
    rng = np.random.default_rng(0)
    body, wall = (
        Piece(np.full((100, 50, 3), 200, np.uint8), (5.0, 5.0, 40.0, 90.0), False),
        np.zeros((10, 10, 3), np.uint8),
    )

    def scene(place: tuple[float, float, float, float]) -> Scene:
        canvas = _Canvas(np.random.default_rng(1), 128)
        canvas.frame = (0.0, 0.0, 128.0, 128.0)
        canvas.paste(body, (40.0, 20.0, 50.0, 100.0), 0.0)
        canvas.paste(Piece(wall, None, True), place, 0.0)
        return canvas.finish(rng, 0.25)

    (x, y, w, h) = scene((0.0, 70.0, 128.0, 58.0)).boxes[0]  # the legs
    assert (y, y + h) == (25, 70) and w == 40
    (x, y, w, h) = scene((60.0, 60.0, 10.0, 10.0)).boxes[0]  # a hole in the middle changes nothing
    assert (y, h, w) == (25, 90, 40)
    hidden = scene((0.0, 35.0, 128.0, 93.0))  # the head alone is neither a person nor none
    assert len(hidden.boxes) == 0 and hidden.weight[7, 15] == 0 and hidden.weight[20, 15] == 1
    assert hidden.weight[7, 2] == 1
    seen = scene((0.0, 0.0, 4.0, 4.0))
    assert seen.weight[7, 15] == 1 and seen.weight[5, 15] == 0.25  # inside the body's box; beside it in its photo


def test_scenes_are_made_of_seed_step_and_position(scenes: Scenes) -> None:
    first, again = scenes[3], replace(scenes)[3]
    assert all(torch.equal(first[name], again[name]) for name in first)
    other = replace(scenes, seed=(6,))[3]
    assert not torch.equal(first["images"], other["images"])
    alone = scenes.scene(3, 4)
    assert np.array_equal(alone.image, first["images"][4].permute(1, 2, 0).numpy())
    assert not torch.equal(first["images"], scenes[4]["images"])


def test_scenes_are_sound(scenes: Scenes) -> None:
    shown = 0
    for step in range(12):
        batch = scenes[step]
        assert batch["images"].shape == (6, 3, 128, 128) and batch["images"].dtype == torch.uint8
        assert batch["boxes"].shape == (6, MOST_PEOPLE, 4) and batch["weight"].shape == (6, 32, 32)
        boxes = batch["boxes"][batch["valid"]]
        assert (boxes[:, :2] >= 0).all() and (boxes[:, :2] + boxes[:, 2:] <= 128).all()
        assert (boxes[:, 2:] >= 8 - 1e-4).all()
        assert batch["weight"].min() >= 0 and batch["weight"].max() <= 1
        shown += len(boxes)
    assert shown > 40  # people in most of the 72


def test_pieces_know_whether_somebody_may_be_there(people: People, backgrounds: Path) -> None:
    rng = np.random.default_rng(2)
    close, wide = cut_person(rng, people, True), cut_person(rng, people, False, 4 / 3)
    assert close.body is not None and not close.complete
    assert wide.pixels.shape[1] / wide.pixels.shape[0] == pytest.approx(4 / 3, rel=0.05)
    beside = [piece for piece in (cut_beside(rng, people) for _ in range(8)) if piece is not None]
    assert all(piece.body is None and not piece.complete for piece in beside)
    scenery = cut_scenery(rng, tuple(backgrounds.iterdir()), 0.5)
    assert scenery.body is None and scenery.complete
    assert scenery.pixels.shape[1] / scenery.pixels.shape[0] == pytest.approx(0.5, rel=0.15)


def test_what_is_cut_off_is_no_part_of_the_piece(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "CUT", 1.0)
    sides = []
    for seed in range(40):
        piece = cut_person(np.random.default_rng(seed), people, bool(seed % 2), 1.5 if seed % 3 else None)
        height, width = piece.pixels.shape[:2]
        x, y, w, h = piece.body or (0, 0, 0, 0)
        beyond = np.array([-x, -y, x + w - width, y + h - height]) / (w, h, w, h)
        assert beyond.max() > 0.07  # at least a tenth, less the piece's rounding and the photo's edge
        sides.append(int(beyond.argmax()))
    assert sides.count(3) > 20  # they stand


def test_people_without_limbs_are_not_shown(tmp_path: Path) -> None:
    path = write_store(tmp_path / "few.arrow", 2, False)
    store = Store(path)
    few = People((store,), (1.0,))
    assert cut_person(np.random.default_rng(0), few, True).body is not None
    with pytest.raises(LiftwildError, match="2 stores of people but 1 weights"):
        People((store, store), (1.0,))


# --- training ---


def run(out: Path, stores: list[Path], backgrounds: Path, *more: str) -> tuple[int, str]:
    """``liftwild train-finder`` on small things."""
    options = [f"--store={path}=2" for path in stores] + [f"--val={stores[0]}"]
    done = CliRunner().invoke(
        train_finder,
        [*options, "--out", str(out), "--backgrounds", str(backgrounds), "--images", "24", "--batch-size", "4",
         "--workers", "0", "--precision", "32-true", "--checkpoint-every", "3", *more],
    )  # fmt: skip
    error = f" {done.exception}" if done.exception and not isinstance(done.exception, SystemExit) else ""
    return done.exit_code, done.output + error


def test_training_resumed_is_training_uninterrupted(
    tmp_path: Path, backgrounds: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from liftwild.training import finder as training

    monkeypatch.setattr(training, "VAL_SCENES", 4)
    plan_of = training.FinderPlan
    monkeypatch.setattr(training, "FinderPlan", lambda *a, **k: replace(plan_of(*a, **k), network=TINY, log_every=1))
    stores = [write_store(tmp_path / "a.arrow", 3, False)]
    code, said = run(tmp_path / "whole", stores, backgrounds)
    assert code == 0 and "weights in" in said, said
    code, said = run(tmp_path / "parts", stores, backgrounds, "--stop-after", "2")
    assert code == 0 and "stopped after step 2 of 6" in said, said
    assert not (tmp_path / "parts" / "finder.safetensors").exists()
    code, said = run(tmp_path / "parts", stores, backgrounds)
    assert code == 1 and "holds a run already" in said
    code, said = run(tmp_path / "parts", stores, backgrounds, "--resume", "--lr", "0.1")
    assert code == 1 and "begun with other settings" in said
    code, said = run(tmp_path / "parts", stores, backgrounds, "--resume")
    assert code == 0, said

    (one, card), (two, _) = load_finder(tmp_path / "whole"), load_finder(tmp_path / "parts")
    assert all(map(torch.equal, one.state_dict().values(), two.state_dict().values()))
    assert card["step"] == 6 and 0 <= card["threshold"] <= 1 and card["data"]["a.arrow"]["people"] == 3
    assert "tmp" not in json.dumps(card["plan"])  # no path of a machine
    lines = [json.loads(line) for line in (tmp_path / "parts" / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if "loss" in line] == [1, 2, 3, 4, 5, 6]
    assert cv2.imread(str(tmp_path / "whole" / "found.png")) is not None
    assert len(Finder(tmp_path / "whole", "cpu", least_score=0.0).find(picture())) > 0


def test_a_plan_that_cannot_work_is_said(tmp_path: Path, backgrounds: Path) -> None:
    stores = [write_store(tmp_path / "a.arrow", 2, False)]
    for more, message in (
        (["--store", str(tmp_path / "none.arrow")], "no store"),
        (["--backgrounds", str(tmp_path / "none")], "no such folder of background photos"),
        (["--store", f"{stores[0]}=-1"], "weights of stores must be above 0"),
    ):
        code, said = run(tmp_path / "out", stores, backgrounds, *more)
        assert code == 1 and message in said, said
    assert not (tmp_path / "out").exists()


def test_a_finder_is_no_weights_of_poses(weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from liftwild import weights as of_poses
    from liftwild.weights import finder as of_finders

    for file in weights.parent.iterdir():
        shutil.copy(file, tmp_path / f"finder-open{file.suffix}")
    monkeypatch.setattr(of_poses, "SHIPPED", tmp_path)
    monkeypatch.setattr(of_finders, "SHIPPED", tmp_path)
    assert of_poses.shipped_names() == []
    with pytest.raises(LiftwildError, match="no weights named 'finder-open'"):
        of_poses.find_weights("finder-open")
    for name in ("finder", "finder-open"):
        assert of_finders.find_finder(name) == tmp_path / "finder-open.safetensors"
    with pytest.raises(LiftwildError, match="finder-open come with liftwild"):
        of_finders.find_finder("other")
