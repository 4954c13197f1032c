"""Rendered people: labels are exact, pictures repeat, subjects stay themselves, and bad input gets one clear line."""

from __future__ import annotations

import inspect
import multiprocessing
import subprocess
import sys
import time
from dataclasses import fields
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from click.testing import CliRunner

from liftwild.camera import Camera
from liftwild.cli.main import cli
from liftwild.data.readers.coco import read_labels
from liftwild.data.store import Store
from liftwild.errors import LiftwildError
from liftwild.rotation_torch import rotation_about
from liftwild.skeleton import MPII_16
from liftwild.synthetic.body.body import load_body
from liftwild.synthetic.body.layers import load_layers
from liftwild.synthetic.poses import poses, settle
from liftwild.synthetic.poses.pose_families import CONTACTS
from liftwild.synthetic.render import crowd, world
from liftwild.synthetic.render.cameras import Cameras, lab_cameras, look_at, wild_cameras
from liftwild.synthetic.render.generate import RenderedSample, render_people
from liftwild.synthetic.render.raster import fragments, z_buffer
from liftwild.synthetic.render.scene import exact_joints
from liftwild.synthetic.render.sheet import contact_sheet
from liftwild.synthetic.render.world import RenderConfig
from liftwild.synthetic.render.write import with_pictures
from liftwild.synthetic.sample_rng import SampleRng
from tests.support.puppet import puppet

LIMBS = ["right_ankle", "right_knee", "left_ankle", "left_knee", "right_wrist", "right_elbow", "left_wrist",
         "left_elbow", "right_hip", "left_hip"]  # fmt: skip


def posed_joints(seed: int, rows: int, one_body: bool = False) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Joints (rows, 16, 3) of wild poses, with what carries them and the posed bones."""
    body = load_body()
    rng = SampleRng.from_seeds([(seed, i) for i in range(rows)], crowd.BODY_COLUMNS + 8)
    which = body.sample(rng)
    rest, heads = body.shape(body.coefficients[which[:1].expand(rows) if one_body else which])
    family = poses.sample_families(rng, "wild")
    rotations = settle.sample_settled_poses(body, rng, family, heads)
    posed = body.pose_heads(heads, rotations)
    joints = body.joints(heads, posed, body.transforms(heads, posed, rotations), rest[:, body.head_top].mean(1))
    return joints, poses.contacts(family), posed


@pytest.fixture(scope="module")
def wild() -> list[RenderedSample]:
    return list(render_people("wild", 24, seed=4, size=128))


@pytest.fixture(scope="module")
def lab() -> list[RenderedSample]:
    return list(render_people("lab", 16, seed=4, size=128))


def test_projecting_the_joints_gives_their_pixels() -> None:
    worst = 0.0
    for seed in range(2):
        joints = posed_joints(seed, 1000)[0]
        joints = joints - torch.tensor([0, 0, 1.0]) * (joints[..., 2].amin(1) - 0.05)[:, None, None]
        rng = SampleRng.from_seeds([(seed, 1, i) for i in range(len(joints))], 60)
        for cameras in (wild_cameras(rng, joints, 256), lab_cameras(rng, joints, 256)):
            joints_2d, joints_3d = exact_joints(cameras, joints)
            as_drawn = cameras.to_pixels(cameras.to_camera(joints))[..., :2]  # what the rasteriser is given, float32
            for row in range(len(joints)):
                focal, (x, y) = float(cameras.focal[row]), cameras.centre[row].tolist()
                projected = Camera(focal, focal, x, y).project(joints_3d[row].numpy())
                worst = max(worst, np.abs(projected - joints_2d[row].numpy()).max())
            # Float32 keeps 1e-3 px of what lies in the picture.
            inside = ((joints_2d > 0) & (joints_2d < 256)).all(-1)
            assert (as_drawn - joints_2d)[inside].abs().max() < 1e-3
    assert worst < 1e-3


def test_the_z_buffer_puts_a_joint_where_its_label_is() -> None:
    joints = posed_joints(9, 4)[0]
    rng = SampleRng.from_seeds([(9, 2, i) for i in range(4)], 60)
    cameras = lab_cameras(rng, joints, 128)
    flat = cameras.to_pixels(cameras.to_camera(joints))  # (4, 16, 3)
    size = torch.tensor([[-0.5, -0.5, 0], [1.5, -0.5, 0], [-0.5, 1.5, 0]]) * 0.999
    for row in range(4):
        for joint in range(16):
            triangle, near = z_buffer((flat[row, joint] + size)[None], torch.zeros(1, dtype=torch.long), 1, 128)
            hit = (triangle[0] >= 0).nonzero()
            x, y = exact_joints(cameras, joints)[0][row, joint].tolist()
            assert [int(y), int(x)] in hit.tolist()
            found = fragments((flat[row, joint] + size)[None], triangle)
            assert torch.allclose(found.weights.sum(1), torch.ones(len(found)))


def test_samples_project_onto_themselves(wild: list[RenderedSample], lab: list[RenderedSample]) -> None:
    for each in wild + lab:
        sample = each.sample
        assert sample.camera is not None
        assert np.abs(sample.camera.project(sample.joints_3d) - sample.joints_2d).max() < 1e-3
        inside = ((sample.joints_2d >= 0) & (sample.joints_2d < 128)).all(-1)
        assert (sample.joints_2d_valid == inside).all() and sample.depth_valid.all()


def test_left_is_left() -> None:
    body = load_body()
    rest, heads = body.shape(body.coefficients[:4])
    still = torch.eye(3).expand(4, len(body.names), 3, 3)
    joints = body.joints(heads, heads, body.transforms(heads, heads, still), rest[:, body.head_top].mean(1))
    position = torch.tensor([[0.0, -4.0, 1.0]]).expand(4, 3)  # it faces -y, so it faces the camera
    turn, shift = look_at(position, torch.tensor([[0.0, 0.0, 0.0]]).expand(4, 3), torch.zeros(4))
    flat = exact_joints(Cameras(turn, shift, torch.full((4,), 200.0), torch.full((4, 2), 64.0)), joints)[0]
    for left, right in MPII_16.flip_pairs:
        assert (flat[:, left, 0] > flat[:, right, 0]).all()  # a person's left is at the picture's right
    up = rotation_about("y", torch.tensor([-90.0]))
    raised = poses.spread_to_all(body, {"root": torch.eye(3)[None], "upperarm01.L": up})
    for pose, higher in ((raised, "left_wrist"), (poses.mirrored(body, raised), "right_wrist")):
        posed = body.pose_heads(heads[:1], pose)
        z = body.joints(heads[:1], posed, body.transforms(heads[:1], posed, pose), rest[:1, body.head_top].mean(1))[
            0, :, 2
        ]
        lower = "right_wrist" if higher == "left_wrist" else "left_wrist"
        assert z[MPII_16.index(higher)] > z[MPII_16.index(lower)] + 0.2


def test_bones_keep_their_lengths_over_poses() -> None:
    joints = posed_joints(3, 64, one_body=True)[0]
    for child, parent in MPII_16.bones:
        if MPII_16.names[child] in LIMBS:
            length = (joints[:, child] - joints[:, parent]).norm(dim=-1)
            assert (length.max() - length.min()) < 1e-5, MPII_16.names[child]


def test_poses_stand_without_running_through_themselves() -> None:
    body = load_body()
    joints, contact, posed = posed_joints(5, 256)
    assert (settle.collisions(body, posed) == 0).float().mean() > 0.97
    on_feet, on_hands = contact == CONTACTS.index("feet"), contact == CONTACTS.index("hands")
    away = (settle.centre_of_mass(body, posed) - settle.support(body, posed, on_hands))[:, :2].norm(dim=-1)
    assert away[on_feet].median() < 0.01 and (away[on_feet] < 0.1).float().mean() > 0.95
    relative = joints - joints[:, 6:7]
    assert relative.std(0).max() > 0.25  # poses differ
    assert (relative.mean(0).norm(dim=-1) > 0.03).sum() > 8  # and their mean is a figure still
    upside_down = joints[:, MPII_16.index("head_top"), 2] < joints[:, MPII_16.index("pelvis"), 2]
    assert 0.05 < upside_down.float().mean() < 0.4


def test_the_upper_neck_lies_where_data_sets_have_it(wild: list[RenderedSample], lab: list[RenderedSample]) -> None:
    at = MPII_16.index
    shares = []
    for each in wild + lab:
        joints = each.sample.joints_2d
        up = joints[at("head_top")] - joints[at("thorax")]
        shares.append((joints[at("upper_neck")] - joints[at("thorax")]) @ up / (up @ up))
    assert 0.1 < np.median(shares) < 0.26  # MPII and LSP: 0.18


def test_joints_lie_in_the_mask_unless_hidden(wild: list[RenderedSample], lab: list[RenderedSample]) -> None:
    shown, all_inside = 0, 0
    for each in wild + lab:
        sample = each.sample
        assert not (each.visible & ~sample.joints_2d_valid).any()
        x, y = np.floor(sample.joints_2d[sample.joints_2d_valid]).astype(int).T
        in_mask = each.mask[y, x]
        assert (in_mask | ~each.visible[sample.joints_2d_valid]).all()
        shown, all_inside = shown + each.visible.sum(), all_inside + sample.joints_2d_valid.sum()
    assert 0.4 < shown / all_inside < 0.95
    nobody_before = [each for each in lab if each.mask.any()]  # in the studio only one's own chair hides anything
    missed = [~each.mask[tuple(np.floor(each.sample.joints_2d[each.sample.joints_2d_valid]).astype(int).T[::-1])]
              for each in nobody_before]  # fmt: skip
    assert np.concatenate(missed).mean() < 0.05


def test_the_mask_is_the_person(lab: list[RenderedSample]) -> None:
    for each in lab:
        rows, columns = np.nonzero(each.mask)
        x, y, w, h = each.sample.box
        # Hands, feet and hair reach beyond the joints, and not by much.
        margin = 0.25 * max(w, h)
        assert columns.min() >= x - margin and columns.max() <= x + w + margin
        assert rows.min() >= y - margin and rows.max() <= y + h + margin
        assert 0.02 < each.mask.mean() < 0.6


def test_the_box_is_that_of_the_joints_in_the_picture(wild: list[RenderedSample]) -> None:
    for each in wild:
        inner = each.sample.joints_2d.clip(0, each.sample.image.shape[0])
        low, high = inner.min(axis=0), inner.max(axis=0)
        x, y, w, h = each.sample.box
        if (high - low).min() > 0.1 * each.sample.image.shape[0]:
            np.testing.assert_allclose([x, y, x + w, y + h], [*low, *high], atol=1e-3)
        assert min(w, h) >= 0.1 * each.sample.image.shape[0] - 1e-3


def same(a: RenderedSample, b: RenderedSample) -> bool:
    """Whether two samples are equal to the last bit."""
    return (
        np.array_equal(a.sample.image, b.sample.image) and np.array_equal(a.sample.joints_3d, b.sample.joints_3d)
        and np.array_equal(a.mask, b.mask) and np.array_equal(a.visible, b.visible) and a.index == b.index
    )  # fmt: skip


def test_same_seed_same_pictures(wild: list[RenderedSample]) -> None:
    again = list(render_people("wild", 19, seed=4, size=128, processes=2))  # 2 processes, another n
    assert len(again) == 19 and all(same(a, b) for a, b in zip(wild, again, strict=False))
    other = next(render_people("wild", 1, seed=5, size=128))
    test = next(render_people("wild", 1, seed=4, size=128, split="test"))
    assert not same(wild[0], other) and not same(wild[0], test)


def test_stopping_early_ends_the_processes() -> None:
    before = set(multiprocessing.active_children())
    samples = render_people("lab", 200, size=64, processes=2)
    assert next(samples).index == 0
    workers = set(multiprocessing.active_children()) - before
    assert len(workers) == 2
    samples.close()
    until = time.monotonic() + 20
    # The pool's own thread joins them as well, and for a pose_rng the one that came second takes the dead for living.
    while any([worker.is_alive() for worker in workers]):
        assert time.monotonic() < until
        time.sleep(0.05)


ENDLESS = """
from liftwild.synthetic.render.generate import render_people
if __name__ == "__main__":
    for _ in render_people("lab", 100_000, size=64, processes=2):
        print("one", flush=True)
"""


def test_rendering_processes_end_with_a_killed_parent(tmp_path: Path) -> None:
    script = tmp_path / "endless.py"
    script.write_text(ENDLESS)
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"one\n"  # the processes work, and hold this pipe as well
        parent.kill()
        parent.communicate(timeout=20)  # ends once all of them are gone


def test_lab_subjects_stay_themselves(lab: list[RenderedSample]) -> None:
    assert [each.subject for each in lab] == [1, 2, 3, 4, 5] * 3 + [1]
    assert {each.subject for each in render_people("lab", 4, size=64, split="test")} == {6, 7}
    first, again = (world.labelled_people(RenderConfig("lab", seed, "train", 64), range(5)) for seed in (0, 1))
    for one, other in ((first.outfit, again.outfit), (first.appearance, again.appearance)):
        for field in fields(one):
            assert torch.equal(getattr(one, field.name), getattr(other, field.name)), field.name
    assert torch.equal(first.coefficients, again.coefficients)
    assert len({tuple(row) for row in first.appearance.cloth[:, 0, 0].tolist()}) == 5
    assert len(load_layers().faces) > 30_000


def test_backgrounds_and_motion_are_used(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    cv2.imwrite(str(photos / "green.png"), np.full((90, 120, 3), (0, 255, 0), np.uint8))
    pictures = [each.sample.image.astype(int) for each in render_people("wild", 16, size=64, backdrops=photos)]
    green = [(p[..., 1] > p[..., 0] + 25).mean() > 0.3 for p in pictures]
    assert sum(green) >= 5
    clip = tmp_path / "clip.bvh"
    clip.write_text(puppet(frames=40).text())
    built_in, moved, test = (
        [each.sample.joints_3d for each in render_people("wild", 3, size=64, poses=poses, split=split)]
        for poses, split in ((None, "train"), (clip, "train"), (clip, "test"))
    )
    assert not np.allclose(moved, built_in, atol=50) and not np.allclose(moved, test, atol=50)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"n": 0}, "1 or more"), ({"size": 100}, "sizes are 64 to 1024"), ({"size": 2048}, "sizes are 64 to 1024"),
        ({"backdrops": "missing"}, "no such folder"), ({"backdrops": "."}, "no background photos"),
        ({"poses": "nobody.bvh"}, "nobody.bvh"), ({"seed": -1}, "0 or more"), ({"mode": "dream"}, "no mode"),
        ({"split": "val"}, "no split"), ({"device": "teapot"}, "teapot"),
    ],
)  # fmt: skip
def test_bad_input_is_one_clear_line(
    changes: dict[str, object], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(LiftwildError, match=words) as caught:
        render_people(**({"mode": "wild", "n": 1} | changes))  # type: ignore[arg-type]  # before the first picture is asked for
    assert "\n" not in str(caught.value)


def test_the_command_writes_store_and_sheet(tmp_path: Path) -> None:
    out, sheet = tmp_path / "lab.arrow", tmp_path / "sheet.png"
    done = CliRunner().invoke(
        cli, ["render", "lab", "-n", "8", "--size", "96", "--processes", "1", "--split", "test", "-o", str(out),
              "--sheet", str(sheet), "--sheet-joints"],
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    store = Store(out)
    assert len(store) == 8 and sorted(path.name for path in tmp_path.iterdir()) == ["lab.arrow", "sheet.png"]
    expected = list(render_people("lab", 8, size=96, split="test"))
    for row, rendered in enumerate(expected):
        sample = store[row]
        assert sample.source == rendered.sample.source == f"lab-test-seed0-{row:06d}"
        assert sample.camera is not None
        valid = sample.joints_2d_valid
        assert np.abs(sample.camera.project(sample.joints_3d) - sample.joints_2d)[valid].max() < 1e-3
        assert np.abs(sample.image.astype(int) - rendered.sample.image).mean() < 4  # JPEG
    picture = cv2.imread(str(sheet))
    assert picture is not None and picture.shape == contact_sheet(expected).shape
    failed = CliRunner().invoke(cli, ["render", "wild", "-n", "2", "--size", "97", "-o", str(tmp_path / "no.arrow")])
    assert failed.exit_code == 1 and "97 px" in failed.output and not (tmp_path / "no.arrow").exists()


def test_the_generator_is_documented() -> None:
    text = inspect.getdoc(render_people) or ""
    assert all(
        name in text for name in inspect.signature(render_people).parameters if name not in ("n", "seed", "device")
    )


def test_pictures_with_labels_read_back_as_the_same_people(tmp_path: Path) -> None:
    samples = list(render_people("wild", 3, 4, size=96))
    with with_pictures(iter(samples), tmp_path / "people") as kept:
        assert list(kept) == samples and not (tmp_path / "people").exists()
    people, skips = read_labels(tmp_path / "people" / "labels.json")
    assert len(people) == 3 and not skips
    for person, rendered in zip(people, samples, strict=True):
        sample = rendered.sample
        assert (tmp_path / "people" / person.file_name).is_file()
        assert np.array_equal(person.joints_2d_valid, sample.joints_2d_valid)
        assert np.allclose(person.joints_2d[person.joints_2d_valid], sample.joints_2d[sample.joints_2d_valid])
        assert np.allclose(person.joints_3d, sample.joints_3d) and person.depth_valid.all()
    with pytest.raises(LiftwildError, match="is there already"), with_pictures(iter(samples), tmp_path / "people"):
        pass
