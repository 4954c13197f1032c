"""What liftwild reads: for each kind of file small seeds and the commands that read them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from contextlib import chdir, suppress
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import cv2
import numpy as np
import torch

from liftwild.data.dataset import Dataset  # noqa: F401 - so that a missing extra is found at once
from liftwild.network.posenet import PoseNet
from liftwild.tracking.tracker import Tracker
from liftwild.weights import save_weights
from tests.support.commands import liftwild
from tests.support.dataset_layouts import write_3dhp_test, write_3dhp_train, write_lsp, write_mpii
from tests.support.h36m_layouts import (
    write_h36m_annot,
    write_h36m_challenge,
    write_h36m_fetch,
    write_h36m_folder,
    write_h36m_video,
    write_metadata,
)
from tests.support.images import encode, jpeg_with_exif, picture, png_with_exif, write_photo
from tests.support.label_files import CAMERA, annotation, annotation_3d, labels, write_labels
from tests.support.motion_files import AMC, ASF
from tests.support.networks import TINY as TINY_NETWORK
from tests.support.npz_layouts import write_3dhp_crops, write_npz
from tests.support.placed_clips import recording as clip_recording
from tests.support.poses import STANDING
from tests.support.recordings import photo as photo_recording
from tests.support.stores import write_store
from tests.support.training import tiny_recipe, to_toml
from tests.support.videos import encode_video, frame_of

Seeds = Callable[[Path], None]
OUT = "../out"  # beside the folder that a case runs in
QUICK = ("--weights", "tiny.safetensors", "--runtime", "torch", "--device", "cpu", "--whole", "--no-figure", "-o", OUT)


@dataclass(frozen=True)
class Kind:
    """``write``: fills a folder; ``file``: what of it is damaged; ``form``: as ``mutate.damaged``; ``command``: what
    reads it, run in that folder. ``renamed``: the name of the file is damaged at times. ``keeps``: the folder changes.
    """

    write: Seeds
    file: str
    command: tuple[str, ...]
    form: str = ""
    renamed: bool = False
    keeps: bool = False


def _weights(folder: Path) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = PoseNet(TINY_NETWORK).eval()
    save_weights(folder / "tiny.safetensors", net, {"sum_length_mm": 4000.0})


def _photo(name: str, content: Callable[[], bytes]) -> Seeds:
    def write(folder: Path) -> None:
        _weights(folder)
        (folder / "photos").mkdir()
        (folder / "photos" / name).write_bytes(content())

    return write


def _animation(suffix: str) -> bytes:
    done, content = cv2.imencodeanimation(suffix, _frames()) if hasattr(cv2, "imencodeanimation") else (False, None)
    assert done and content is not None
    return bytes(content)


def _frames() -> cv2.Animation:
    animation = cv2.Animation()
    animation.frames = [cv2.cvtColor(frame_of(number), cv2.COLOR_RGB2BGR) for number in range(3)]
    animation.durations = np.full(3, 40)
    return animation


def _grey_alpha() -> np.ndarray:
    return np.dstack([picture(), picture()[..., :1]])


PHOTOS = {
    "jpeg": _photo("a.jpg", lambda: encode(".jpg", picture())),
    "jpeg-exif": _photo("a.jpg", lambda: jpeg_with_exif(picture(), 6)),
    "jpeg-progressive": _photo("a.jpg", lambda: encode(".jpg", picture(), cv2.IMWRITE_JPEG_PROGRESSIVE, 1)),
    "png": _photo("a.png", lambda: encode(".png", picture())),
    "png-exif": _photo("a.png", lambda: png_with_exif(picture(), 6)),
    "png-alpha": _photo("a.png", lambda: encode(".png", _grey_alpha())),
    "webp": _photo("a.webp", lambda: encode(".webp", picture())),
    "bmp": _photo("a.bmp", lambda: encode(".bmp", picture(20, 30))),
    "tiff": _photo("a.tif", lambda: encode(".tif", picture(20, 30))),
}


def _clip(folder: Path) -> None:
    _weights(folder)
    encode_video(folder / "clip.mp4", map(frame_of, range(6)))


def _avi(folder: Path) -> None:
    _weights(folder)
    encode_video(folder / "clip.avi", map(frame_of, range(4)), "mjpeg")


def _gif(folder: Path) -> None:
    _weights(folder)
    (folder / "clip.gif").write_bytes(_animation(".gif"))


def _spool(folder: Path) -> None:
    """What a run leaves that was interrupted after four frames."""
    _clip(folder)
    real, seen = Tracker.step, [0]

    def step(self: Tracker, *rest: object) -> object:
        seen[0] += 1
        if seen[0] == 5:
            raise KeyboardInterrupt
        return real(self, *rest)  # type: ignore[arg-type]

    with mock.patch.object(Tracker, "step", step), chdir(folder):
        liftwild("predict", "clip.mp4", *QUICK[:-1], "out", code=130)


def _labels(three: bool) -> Seeds:
    def write(folder: Path) -> None:
        _weights(folder)
        person = annotation_3d if three else annotation
        content = labels([person(1, 1), person(2, 2, iscrowd=1), person(3, 2)], files=["1.png", "2.png"])
        for image in content["images"] if three else ():
            image["camera"] = {"fx": CAMERA.fx, "fy": CAMERA.fy, "cx": CAMERA.cx, "cy": CAMERA.cy}
        write_labels(folder / "labels.json", content)
        for name in ("1.png", "2.png"):
            write_photo(folder / "photos" / name)

    return write


def _results(folder: Path) -> None:
    """Labels, and what a detector would give for their photos."""
    _labels(False)(folder)
    rows = [{"image_id": n, "category_id": 1, "bbox": [40.0, 20.0, 150.0, 200.0], "score": 0.9} for n in (1, 2)]
    (folder / "results.json").write_text(json.dumps(rows))


def _store(folder: Path) -> None:
    _weights(folder)
    write_store(folder / "x.arrow", 3, True)


def _predictions(folder: Path) -> None:
    _store(folder)
    liftwild(
        "evaluate", folder / "tiny.safetensors", folder / "x.arrow", "-o", folder / "kept.arrow", "--device", "cpu"
    )


def _recipe(folder: Path) -> None:
    write_store(folder / "three.arrow", 4, True)
    write_store(folder / "two.arrow", 4, False)
    (folder / "tiny.toml").write_text(to_toml(tiny_recipe(Path("three.arrow"), Path("two.arrow"))))


def _checkpoint(folder: Path) -> None:
    _recipe(folder)
    options = ("--workers", "0", "--accelerator", "cpu", "--precision", "32-true", "--stop-after", "2")
    with chdir(folder):
        liftwild("train", "tiny.toml", "--out", "run", *options)


def _recording(suffix: str) -> Seeds:
    def write(folder: Path) -> None:
        photo_recording().save(folder / f"r{suffix}")

    return write


def _nothing(_: object) -> None:
    """What a lambda gives that writes."""


def _bvh(folder: Path) -> None:
    joints = STANDING + np.random.default_rng(0).normal(0, 15, (4, *STANDING.shape))
    clip_recording(joints, np.tile([0.0, 0.0, 3000.0], (4, 1)), np.arange(4) / 25).save(folder / "x.bvh")


def _trc(folder: Path) -> None:
    joints = STANDING + np.random.default_rng(0).normal(0, 15, (4, *STANDING.shape))
    clip_recording(joints, np.tile([0.0, 0.0, 3000.0], (4, 1)), np.arange(4) / 25).save(folder / "x.trc")


def _asf(folder: Path) -> None:
    (folder / "x.asf").write_text(ASF)
    (folder / "x.amc").write_text(AMC)


def _poses(folder: Path) -> None:
    np.save(folder / "x.npy", np.zeros((3, 16, 3), np.float16))


def _cost(folder: Path) -> None:
    _predictions(folder)
    cost = {"format": "liftwild-cost", "machine": "a", "forward_ms": 30.0, "step_ms": 100.0, "steps": 4000}
    (folder / "cost.json").write_text(json.dumps(cost))


def _exported(folder: Path) -> None:
    _photo("a.jpg", lambda: encode(".jpg", picture()))(folder)
    liftwild("export", folder / "tiny.safetensors", "--to", "onnx", "-o", folder / "tiny.onnx")


def _h36m_videos(folder: Path) -> None:
    write_h36m_video(folder, 9, "Directions.54138969", 4)
    write_metadata(folder)


def _3dhp_train(folder: Path) -> None:
    write_3dhp_train(folder, (0,), 3)


def _npz(kind: str) -> Seeds:
    names = [f"S1/S1_Directions_1.54138969/S1_Directions_1.54138969_00000{number}.jpg" for number in (1, 6)]
    return lambda folder: _nothing(write_npz(folder / "labels.npz", kind, names))


def _prepare(*arguments: str) -> tuple[str, ...]:
    return ("prepare", *arguments, "-o", f"{OUT}/x.arrow")


def _converted(name: str) -> tuple[str, ...]:
    return ("convert", name, "--format", "json", "-o", OUT)


RESUME = (
    "train",
    "tiny.toml",
    "--out",
    "run",
    "--resume",
    "--workers",
    "0",
    "--accelerator",
    "cpu",
    "--stop-after",
    "3",
)
CALIBRATED = ("evaluate", "tiny.safetensors", "x.arrow", "--device", "cpu")
TRAIN = ("train", "tiny.toml", "--out", f"{OUT}/run", "--workers", "0", "--accelerator", "cpu", "--stop-after", "1")
CHECKPOINT = "run/checkpoints/step-00000002"
H36M_KEY = (9, 2, 1, 1)

KINDS: dict[str, Kind] = {
    **{
        name: Kind(write, "photos/a" + {"jpe": ".jpg", "png": ".png", "tif": ".tif"}.get(name[:3], f".{name}"),
                   ("predict", "photos", *QUICK), "png" if name.startswith("png") else "", renamed=True)
        for name, write in PHOTOS.items()
    },
    "mp4": Kind(_clip, "clip.mp4", ("predict", "clip.mp4", *QUICK)),
    "avi": Kind(_avi, "clip.avi", ("predict", "clip.avi", *QUICK)),
    "gif": Kind(_gif, "clip.gif", ("predict", "clip.gif", *QUICK)),
    "spool": Kind(_spool, "out/clip.spool", ("predict", "clip.mp4", *QUICK[:-1], "out"), keeps=True),
    "coco": Kind(_labels(False), "labels.json", _prepare("coco", "labels.json", "photos"), "json"),
    "open": Kind(_labels(True), "labels.json", _prepare("coco", "labels.json", "photos"), "json"),
    "boxes": Kind(_labels(False), "labels.json", ("predict", "photos", "--boxes", "labels.json",
                                                  *(option for option in QUICK if option != "--whole")), "json"),
    "results": Kind(_results, "results.json",
                    ("predict", "photos", "--boxes", "results.json", "--photo-ids", "labels.json",
                     *(option for option in QUICK if option != "--whole")), "json"),
    "mpii-json": Kind(lambda folder: _nothing(write_mpii(folder, "json")), "annot/valid.json",
                      _prepare("mpii", ".", "--split", "val", "--allow-missing"), "json"),
    "mpii-h5": Kind(lambda folder: _nothing(write_mpii(folder, "h5")), "annot/valid.h5",
                    _prepare("mpii", ".", "--split", "val", "--allow-missing")),
    "mpii-mat": Kind(lambda folder: _nothing(write_mpii(folder, "mat", "train")), "mpii_human_pose_v1_u12_1.mat",
                     _prepare("mpii", ".", "--allow-missing")),
    "lsp-mat": Kind(lambda folder: _nothing(write_lsp(folder, "LSP", 2)), "joints.mat",
                    _prepare("lsp", ".", "--allow-missing")),
    "h36m-mat": Kind(lambda folder: _nothing(write_h36m_folder(folder, H36M_KEY, 6)),
                     "s_09_act_02_subact_01_ca_01/matlab_meta.mat", _prepare("h36m", ".", "--split", "test")),
    "h36m-cdf": Kind(_h36m_videos, "S9/MyPoseFeatures/D3_Positions_mono/Directions.54138969.cdf",
                     _prepare("h36m", ".", "--split", "test", "--every", "2")),
    "h36m-xml": Kind(_h36m_videos, "metadata.xml", _prepare("h36m", ".", "--split", "test", "--every", "2"), "words"),
    "h36m-fetch": Kind(lambda folder: _nothing(write_h36m_fetch(folder, 9, "Directions-1", 2, [0, 5])),
                       "S9/Directions-1/annot.h5", _prepare("h36m", ".", "--split", "test")),
    "h36m-annot": Kind(
        lambda folder: _nothing(write_h36m_annot(folder, "annotSampleTest.h5", [(H36M_KEY, 0), (H36M_KEY, 5)])),
        "annotSampleTest.h5", _prepare("h36m", ".", "--split", "test")),
    "h36m-csv": Kind(lambda folder: _nothing(write_h36m_challenge(folder, "Val", 2)), "Val/POSE/00001.csv",
                     _prepare("h36m", ".", "--split", "test", "--keypoints", "../Val.coco.json"), "words"),
    "3dhp-test": Kind(lambda folder: _nothing(write_3dhp_test(folder, "TS1", 3)), "TS1/annot_data.mat",
                      _prepare("mpi-inf-3dhp", ".", "--split", "test")),
    "3dhp-train": Kind(_3dhp_train, "S1/Seq1/annot.mat", _prepare("mpi-inf-3dhp", ".", "--every", "1")),
    "3dhp-camera": Kind(_3dhp_train, "S1/Seq1/camera.calibration", _prepare("mpi-inf-3dhp", ".", "--every", "1"),
                        "words"),
    "npz-mmpose": Kind(_npz("mmpose h36m"), "labels.npz", _prepare("npz", "labels.npz", "images", "--allow-missing"),
                       "zip"),
    "npz-spin": Kind(_npz("spin"), "labels.npz", _prepare("npz", "labels.npz", "images", "--allow-missing"), "zip"),
    "3dhp-crops": Kind(lambda folder: _nothing(write_3dhp_crops(folder, "TS1", 1)), "TS1/bb_cropped_data.mat",
                       _prepare("mpi-inf-3dhp", ".", "--split", "test")),
    "store": Kind(_store, "x.arrow", CALIBRATED),
    "predictions": Kind(_predictions, "kept.arrow", ("report", "kept.arrow", "--any-count")),
    "weights": Kind(_store, "tiny.safetensors", CALIBRATED, "safetensors"),
    "weights-json": Kind(_store, "tiny.json", CALIBRATED, "json"),
    "recipe": Kind(_recipe, "tiny.toml", TRAIN, "toml"),
    "checkpoint-state": Kind(_checkpoint, f"{CHECKPOINT}/state.json", RESUME, "json", keeps=True),
    "checkpoint-optimizer": Kind(_checkpoint, f"{CHECKPOINT}/optimizer.safetensors", RESUME, "safetensors", keeps=True),
    "checkpoint-net": Kind(_checkpoint, f"{CHECKPOINT}/net.safetensors", RESUME, "safetensors", keeps=True),
    "training-log": Kind(_checkpoint, "run/log.jsonl", RESUME, "words", keeps=True),
    "recording-json": Kind(_recording(".json"), "r.json", _converted("r.json"), "json"),
    "recording-npz": Kind(_recording(".npz"), "r.npz", _converted("r.npz"), "zip"),
    "recording-csv": Kind(_recording(".csv"), "r.csv", _converted("r.csv"), "words"),
    "recording-parquet": Kind(_recording(".parquet"), "r.parquet", _converted("r.parquet")),
    "recording-bvh": Kind(_bvh, "x.bvh", _converted("x.bvh"), "words"),
    "recording-trc": Kind(_trc, "x.trc", _converted("x.trc"), "words"),
    "info-json": Kind(_recording(".json"), "r.json", ("info", "r.json"), "json"),
    "info-weights": Kind(_store, "tiny.json", ("info", "tiny.safetensors"), "json"),
    "info-store": Kind(_store, "x.arrow", ("info", "x.arrow")),
    "view": Kind(_recording(".json"), "r.json", ("view", "r.json", "--no-open", "-o", f"{OUT}/r.html"), "json"),
    "angles": Kind(_recording(".json"), "r.json", ("angles", "r.json", "-o", f"{OUT}/r.csv"), "json"),
    "bvh": Kind(_bvh, "x.bvh", ("prepare", "poses", "x.bvh", "-o", f"{OUT}/x.npy"), "words"),
    "asf": Kind(_asf, "x.asf", ("prepare", "poses", "x.amc", "-o", f"{OUT}/x.npy"), "words"),
    "amc": Kind(_asf, "x.amc", ("prepare", "poses", "x.amc", "-o", f"{OUT}/x.npy"), "words"),
    "poses": Kind(_poses, "x.npy", ("read_poses", "x.npy")),
    "cost": Kind(_cost, "cost.json", ("report", "kept.arrow", "--any-count", "--bench", "cost.json"), "json"),
    "onnx": Kind(_exported, "tiny.onnx",
                 ("predict", "photos", "--weights", "tiny.onnx", "--runtime", "onnx", "--whole", "--no-figure",
                  "-o", OUT)),
}  # fmt: skip


def write_seeds(folder: Path, names: tuple[str, ...] = ()) -> None:
    """The seeds of each kind in ``folder/NAME/in``."""
    written: dict[Seeds, str] = {}
    for name in names or KINDS:
        kind = KINDS[name]
        if kind.write in written:
            shutil.copytree(folder / written[kind.write], folder / name)
        else:
            (folder / name / "in").mkdir(parents=True)
            kind.write(folder / name / "in")
            written[kind.write] = name
        assert (folder / name / "in" / kind.file).is_file(), f"{name}: no {kind.file}"


def fresh(seeds: Path, kind: str, work: Path) -> Path:
    """The folder of a case, filled anew: ``work/in``; its output goes into ``work/out``."""
    with suppress(FileNotFoundError):
        shutil.rmtree(work)
    shutil.copytree(seeds / kind, work)
    (work / "out").mkdir()
    return work / "in"
