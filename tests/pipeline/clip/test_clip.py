"""``liftwild predict`` for a video, a folder of frames and a stream, as a user types it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import Result

from liftwild.inference import estimator as estimator_module
from liftwild.inference.decoding import Decoded
from liftwild.inference.estimator import Estimator
from liftwild.io.json_file import read_json
from liftwild.io.npz import read_npz
from liftwild.media.video import open_clip
from liftwild.media.video_writer import VideoWriter
from liftwild.pipeline.frame_log import read_log
from liftwild.pipeline.spool import Spool
from liftwild.tracking.tracker import Tracker
from tests.support.files import document, names
from tests.support.images import encode, picture
from tests.support.videos import BOX, FRAMES, HEIGHT, WIDTH, frame_of, write_frames


def test_a_video_end_to_end(video: Path, tmp_path: Path, predict: Callable[..., Result]) -> None:
    out = tmp_path / "out"
    done = predict(video, "--box", BOX, "--format", "json,csv,bvh,overlay", "--view")
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert lines[0] == f"clip.mp4: {FRAMES} frames done; 1 person in {FRAMES} of them; results in {out} (torch fp32)"
    assert [line.split(":")[0].strip() for line in lines[1:]] == [
        "jitter in space (mean acceleration)", "jitter in the picture", "spread of bone lengths",
        "feet slide in 2 contacts",
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
    assert "Butterworth" in steps and "one skeleton" in steps and lines[1].strip() in steps
    overlay = list(open_clip(out / "clip.overlay.mp4").frames())
    np.testing.assert_allclose([frame.time_s for frame in overlay], np.arange(FRAMES) / 25, atol=1e-5)
    shown = overlay[0].image
    assert shown is not None and shown.shape == (HEIGHT, WIDTH, 3)
    assert (np.abs(shown.astype(int) - frame_of(0)).max(axis=2) > 60).sum() > 30


def test_chances_of_a_video_are_in_its_files(
    video: Path, tmp_path: Path, predict: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = estimator_module.infer_crops
    inside = torch.linspace(0, 1, 16)

    def infer_crops(runtime: Any, crops: np.ndarray, flip_test: bool = False) -> Decoded:
        found = plain(runtime, crops, flip_test)
        return found._replace(inside=inside.repeat(len(crops), 1), visible=1 - inside.repeat(len(crops), 1))

    monkeypatch.setattr(estimator_module, "infer_crops", infer_crops)
    done = predict(video, "--box", BOX, "--format", "json,npz,csv,coco,overlay", "--view")
    assert done.exit_code == 0, done.output
    out = tmp_path / "out"
    for path, read in ((out / "clip.json", read_json), (out / "clip.npz", read_npz)):
        (track,) = read(path).tracks
        assert track.inside is not None and track.visible is not None and len(track) == FRAMES
        np.testing.assert_allclose(track.inside, np.tile(inside, (FRAMES, 1)), atol=0.00051)
        np.testing.assert_allclose(track.visible, 1 - np.tile(inside, (FRAMES, 1)), atol=0.00051)
    assert (out / "clip.csv").read_text(encoding="utf-8").splitlines()[16].endswith(",1.000,0.000")
    flags = [label["keypoints"][2::3] for label in document(out / "clip.coco.json")["annotations"]]
    assert flags == [[0] * 8 + [1] * 8] * FRAMES


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
        (track,) = read_log(spool).tracks
    joints = np.array(raw["people"][0]["joints_3d"])
    np.testing.assert_allclose(joints, track.joints_3d, atol=0.06)
    assert np.abs(joints - smoothed["people"][0]["joints_3d"]).max() > 1


def test_a_folder_as_one_clip_and_as_photos(tmp_path: Path, predict: Callable[..., Result]) -> None:
    frames = write_frames(tmp_path / "frames")
    (frames / "5.png").write_bytes(b"broken")
    (frames / "7.png").write_bytes(encode(".png", picture(20, 30)))
    done = predict(frames, "--clip", "--box", BOX, "--fps", 10)
    assert done.exit_code == 0, done.output
    assert f"frames: {FRAMES - 2} done, 2 broken or missing ones skipped" not in done.stdout
    assert done.stdout.startswith(f"frames: {FRAMES - 2} frames done, 2 broken or missing ones skipped; 1 person in ")
    assert done.stderr.startswith("note: ") and "5.png" in done.stderr and done.stderr.count("\n") == 1
    found = document(tmp_path / "out" / "frames.json")
    np.testing.assert_allclose(found["times_s"], np.arange(FRAMES) / 10)
    (person,) = found["people"]
    filled = {frame for frame, flag in zip(person["frames"], person["filled"], strict=True) if flag}
    assert {5, 7} <= filled and {person["scores"][5], person["confidence"][7][0]} == {None, 0}  # marked as not seen
    photos = predict(frames, "--no-figure", out=tmp_path / "photos")
    assert f"{FRAMES} photos: {FRAMES - 1} done" in photos.stdout and photos.exit_code == 1
    assert len(names(tmp_path / "photos")) == FRAMES - 1
    wrong = predict(frames / "1.png", "--clip")
    assert wrong.exit_code == 2 and "is a photo" in wrong.stderr
    assert predict(frames / "1.png", "--fps", 10).exit_code == 2


def write_boxes(path: Path, boxes: dict[int, list[tuple[int, list[float]]]]) -> Path:
    """Labels of frames, (id, box) by number."""
    labels = {
        "images": [{"id": i, "file_name": f"{i}.png"} for i in boxes],
        "categories": [{"id": 1, "name": "person"}],
        "annotations": [
            {"id": key, "image_id": i, "category_id": 1, "bbox": box} for i, own in boxes.items() for key, box in own
        ],
    }
    path.write_text(json.dumps(labels))
    return path


def test_labels_of_frames(tmp_path: Path, predict: Callable[..., Result]) -> None:
    frames = write_frames(tmp_path / "frames", 6)
    boxes: dict[int, Any] = {
        0: [(10, [2, 2, 30, 40]), (11, [34, 4, 28, 40])], 1: [(12, [35, 4, 28, 40]), (13, [2, 2, 30, 40])],
    }  # fmt: skip
    done = predict(frames, "--clip", "--boxes", write_boxes(tmp_path / "labels.json", boxes))
    assert done.exit_code == 0, done.output
    people = document(tmp_path / "out" / "frames.json")["people"]
    ids = [(person["frames"][:2], person["annotation_ids"][:2]) for person in people[:2]]
    assert ids == [([0, 1], [10, 13]), ([0, 1], [11, 12])]


def test_boxes_that_are_given_are_taken(
    tmp_path: Path, predict: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = write_frames(tmp_path / "frames", FRAMES)
    monkeypatch.setattr(Tracker, "_followed", lambda *_: {})  # seen in no other frame
    boxes: dict[int, Any] = {3: [(10, [2, 2, 30, 40])], 9: [(11, [34, 4, 28, 40])]}
    labels = write_boxes(tmp_path / "labels.json", boxes)
    done = predict(frames, "--clip", "--boxes", labels, "--fps", 0.1)
    assert done.exit_code == 0, done.output
    found = document(tmp_path / "out" / "frames.json")["people"]
    assert sorted(key for person in found for key in person["annotation_ids"]) == [10, 11]
    done = predict(frames, "--clip", "--box", BOX, "--fps", 0.1, out=tmp_path / "box")
    assert done.exit_code == 0 and "1 person in 1 of them" in done.stdout, done.output


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


def test_an_overlay_that_cannot_be_written(
    video: Path, tmp_path: Path, predict: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(VideoWriter, "write", full)
    out = tmp_path / "out"
    done = predict(video, "--box", BOX, "--format", "overlay")
    assert done.exit_code == 1
    assert done.stderr == f"error: {out / 'clip.overlay.mp4'}: cannot be written: No space left on device\n"
    assert names(out) == ["clip.json", "clip.spool"]


def test_a_name_that_is_not_utf8(video: Path, tmp_path: Path, predict: Callable[..., Result]) -> None:
    clip = tmp_path / os.fsdecode(b"caf\xe9.mp4")
    clip.write_bytes(video.read_bytes())
    done = predict(clip, video, "--box", BOX, "--format", "overlay", "--view")
    assert done.exit_code == 0, done.output
    ends = ("html", "json", "overlay.mp4", "spool")
    assert names(tmp_path / "out") == sorted(f"{stem}.{end}" for end in ends for stem in ("clip", clip.stem))


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
        (("--height-m", "180"), 2, "give the height in metres"),
        (("--format", "json,fbx"), 2, "unknown format 'fbx'"),
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
