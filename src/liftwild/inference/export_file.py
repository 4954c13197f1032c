"""The network as a file that runs without torch: written, and held against torch by running what was written."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from liftwild import __version__
from liftwild.crop import BOX_MARGIN, Crop
from liftwild.errors import LiftwildError, reason_of
from liftwild.files import staging, writing
from liftwild.inference.graph_names import CROPS, INSIDE, JOINTS, LOG_SPREAD, VISIBLE
from liftwild.inference.openvino_runtime import import_openvino, openvino_core
from liftwild.inference.runtime import Runtime, find_device, infer_crops
from liftwild.inference.runtimes import FORMAT, VERSION, open_runtime
from liftwild.inference.torch_runtime import TorchRuntime
from liftwild.network.posenet import PoseNet
from liftwild.skeleton import MPII_16, SCALE_BONES

SUFFIX = {"onnx": ".onnx", "openvino": ".xml"}
MAX_OFF = 1e-3  # of heatmaps, whose peaks are about 1, and of depths, whose unit is half the crop
MAX_MOVED = 0.01  # of all joints, by more than MOVED_PX of the crop: where two cells are equally high, rounding decides
MOVED_PX = 1.0
RENDERED, NOISE = 12, 4


class Difference(NamedTuple):
    """How far a runtime is from torch in fp32: largest and mean difference of heatmaps and depths, and how many of
    ``joints`` lie more than ``MOVED_PX`` of the crop elsewhere."""

    heatmaps: tuple[float, float]
    depth: tuple[float, float]
    moved: int
    joints: int

    @property
    def is_small(self) -> bool:
        """Whether it is within the bounds: ``MAX_OFF`` and ``MAX_MOVED``."""
        return max(self.heatmaps[0], self.depth[0]) <= MAX_OFF and self.moved <= MAX_MOVED * self.joints


def trial_crops(input_px: int) -> np.ndarray:
    """Crops (B, S, S, 3) uint8 to compare runtimes on: rendered people, and noise."""
    from liftwild.synthetic.render.generate import render_people

    people = (each.sample for each in render_people("wild", RENDERED, split="test", size=256))
    crops = [Crop.around(person.box, BOX_MARGIN).apply(person.image, input_px) for person in people]
    noise = np.random.default_rng(0).integers(0, 256, (NOISE, input_px, input_px, 3), dtype=np.uint8)
    return np.concatenate([np.stack(crops), noise])


def difference(net: PoseNet, runtime: Runtime, crops: np.ndarray) -> Difference:
    """How far ``runtime`` is from ``net`` in torch, on ``crops`` (B, S, S, 3) uint8, some of them alone."""
    torch_runtime = TorchRuntime(net, find_device("cpu"))
    wanted, found = torch_runtime(crops), runtime(crops)
    alone = runtime(crops[:1])  # another batch size, which some runtimes compile for
    moved = (
        np.linalg.norm(infer_crops(runtime, crops).joints_2d - infer_crops(torch_runtime, crops).joints_2d, axis=-1)
        > MOVED_PX
    )
    off = []
    for one, other, single in zip(wanted[:2], found[:2], alone[:2], strict=True):
        assert one is not None and other is not None and single is not None
        # NaN is no small difference
        apart = np.nan_to_num(np.abs(one - other), nan=np.inf)
        of_one = np.nan_to_num(np.abs(one[:1] - single), nan=np.inf)
        off.append((float(max(apart.max(), of_one.max())), float(apart.mean())))
    return Difference(off[0], off[1], int(moved.sum()), moved.size)


def description_of(net: PoseNet, card: Mapping[str, Any], precision: str = "fp32") -> dict[str, str]:
    """What an exported file says of itself, as text by name; lists and the card are JSON."""
    side, cells = net.config.input_px, net.config.heatmap_px
    of_lifter = {
        LOG_SPREAD: "(people, 16) fp32: log of the expected error of depth, in its unit, not calibrated",
        INSIDE: "(people, 16) fp32: log-odds that the joint lies in the photo",
        VISIBLE: "(people, 16) fp32: log-odds that nothing hides it",
        JOINTS: "(people, 16, 2) fp32: x and y in half sides of the crop from its middle, where the joint is taken to "
        "be if it is rather outside",
    }
    return {
        **(of_lifter if net.config.lifter else {}),
        "format": FORMAT,
        "version": VERSION,
        "liftwild": __version__,
        "precision": precision,
        "joint_names": json.dumps(MPII_16.names),
        "flip_pairs": json.dumps(MPII_16.flip_pairs),
        "input_px": str(side),
        CROPS: f"(people, {side}, {side}, 3) uint8, RGB, rows from the top: squares around the middle of a person's "
        f"box, {BOX_MARGIN} times as long as its longer side"
        + (f"; black farther from the box than {net.config.mask:g} of that side" if net.config.mask else ""),
        "normalisation": f"inside the graph: x / 255 {'* 2 - 1' if net.config.subnetwork == 'mobilenet' else '- 0.5'}",
        "heatmaps": f"(people, 16, {cells}, {cells}) fp32, row and column: a joint lies at the middle of the highest "
        f"cell, cells are {side // cells} px of the crop; docs/runtimes.md finds it within the cell",
        "depth": "(people, 16) fp32: away from the camera, relative to the thorax, 1 is half the crop's side",
        "units": "x and y in half sides of the crop, and depth, times one number for each person are mm: that by which "
        "the bones of scale_bones are together as long as sum_length_mm",
        "scale_bones": json.dumps(SCALE_BONES),
        "sum_length_mm": json.dumps(card["sum_length_mm"]),
        "card": json.dumps(card),
    }


@contextmanager
def staged(out: Path, graph: bytes, told: Mapping[str, str]) -> Iterator[Path]:
    """The export as it will be named ``out`` (.onnx, or .xml with its .bin), in a folder beside it that is gone
    afterwards; ``publish`` moves it from there. ``graph``: an ONNX file. LiftwildError if it cannot be written."""
    with writing(out), staging(out) as folder:
        path = folder / out.name
        (_write_onnx if out.suffix == ".onnx" else _write_openvino)(path, graph, told)
        yield path


def publish(path: Path, out: Path) -> list[Path]:
    """Move what ``staged`` wrote to ``path`` to where it belongs; the files.

    The .xml comes first: it says of itself that it is ours, and which .bin it needs.
    """
    suffixes = [".xml", ".bin"] if out.suffix == ".xml" else [out.suffix]
    for suffix in suffixes:
        os.replace(path.with_suffix(suffix), out.with_suffix(suffix))
    return [out.with_suffix(suffix) for suffix in suffixes]


def check_out(out: Path, to: str) -> None:
    """LiftwildError if ``out`` is no place for an export ``to`` one of ``SUFFIX``: nothing but exports is replaced."""
    if out.suffix != SUFFIX[to]:
        raise LiftwildError(f"{out}: an export to {to} is named x{SUFFIX[to]}")
    if not out.parent.is_dir():
        raise LiftwildError(f"no folder {out.parent} to write {out.name} into")
    beside = out.with_suffix(".bin")
    foreign = out.exists() and not (out.is_file() and FORMAT.encode() in out.read_bytes())
    if foreign or (to == "openvino" and beside.exists() and not out.exists()):
        raise LiftwildError(f"{out if foreign else beside} exists and is no export of liftwild; choose another -o")


def open_export(path: Path, precise: bool = True) -> Runtime:
    """An exported file in the runtime that it was made for; ``precise``: in fp32 where there is a choice."""
    if path.suffix == ".onnx":
        return open_runtime(path, "onnx")[0]
    return open_runtime(path, "openvino-fp32" if precise else "openvino")[0]


def quantised(graph: bytes, crops: np.ndarray, to: str) -> bytes:
    """``graph`` with convolutions in int8, their ranges those that ``crops`` (B, S, S, 3) uint8 give.

    The first convolution and the heatmaps stay in fp32. LiftwildError without ONNX Runtime.
    """
    try:
        import onnx
        from onnxruntime import quantization
    except ImportError as error:
        raise LiftwildError(f"--int8 needs ONNX Runtime ({error}): pip install 'liftwild[onnx]'") from None
    model = onnx.load_from_string(graph)
    convs = [node for node in model.graph.node if node.op_type == "Conv"]
    # Convolutions of no layer smooth heatmaps.
    kept = [convs[0].name, *(each.name for each in convs if each.name.endswith("to_heatmaps") or "." not in each.name)]
    batches = iter([{CROPS: crops[i : i + 16]} for i in range(0, len(crops), 16)])

    class Reader(quantization.CalibrationDataReader):
        def get_next(self) -> dict[str, np.ndarray] | None:
            return next(batches, None)

    # ONNX Runtime fuses a convolution only with its output in int8 too. OpenVINO is slower with it, and less exact.
    options = {"OpTypesToExcludeOutputQuantization": ["Conv"]} if to == "openvino" else {}
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)  # advice to its developers
    try:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "int8.onnx"
            quantization.quantize_static(
                model, str(path), Reader(), op_types_to_quantize=["Conv"], nodes_to_exclude=kept, per_channel=True,
                activation_type=quantization.QuantType.QUInt8, weight_type=quantization.QuantType.QInt8,
                extra_options=options,
            )  # fmt: skip
            return path.read_bytes()
    finally:
        logging.disable(level)


def _write_onnx(path: Path, graph: bytes, told: Mapping[str, str]) -> None:
    import onnx

    model = onnx.load_from_string(graph)
    onnx.helper.set_model_props(model, dict(told))
    path.write_bytes(model.SerializeToString())


def _write_openvino(path: Path, graph: bytes, told: Mapping[str, str]) -> None:
    openvino = import_openvino()
    model = openvino_core().read_model(graph)
    try:
        openvino.save_model(model, path, compress_to_fp16=False)
        digest = hashlib.sha256(path.with_suffix(".bin").read_bytes()).hexdigest()
        model.set_rt_info({**told, "bin_sha256": digest}, "liftwild")
        openvino.save_model(model, path, compress_to_fp16=False)
    except RuntimeError as error:
        raise LiftwildError(f"{path.name}: cannot be written: {reason_of(error)}; is the disk full?") from None
