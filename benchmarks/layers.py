"""Each layer of the networks that ship, as OpenVINO runs it, against the least time that it could take.

python benchmarks/layers.py [--networks small,base,detector] [--batches 1,8] [--rounds 7] [--top 15]

OpenVINO's own counters say what each layer took. A layer's bound is in ``bounds.py``, the bandwidth and the peak are
measured in the same rounds. benchmarks/README.md explains the tables.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from unittest import mock

# As threads.py has it for the command line; torch reads it when it is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("GOMP_SPINCOUNT", "3000")

import numpy as np
from bandwidth import Copies, told
from bounds import Bound, Layer, Machine, bound, macs_of
from clock import Job, Times, Took, interleaved, noise
from peak import best, openvino_jobs

from liftwild import Estimator
from liftwild.detection.detector import Detector
from liftwild.evaluation.tables import markdown_table
from liftwild.inference.openvino_runtime import import_openvino, openvino_core

DEPTHWISE, POINTWISE, SPATIAL, OTHER_CONV = "depthwise", "1x1", "3x3", "other convolutions"
LINEAR, LAYOUT, REST = "linear", "layout and type changes", "others"
KINDS = (DEPTHWISE, POINTWISE, SPATIAL, OTHER_CONV, LINEAR, LAYOUT, REST)
MOVES = ("Reorder", "Transpose", "Convert", "Reshape")
FREE = ("Input", "Output", "Const", "Parameter", "Result")
NETWORKS: dict[str, Callable[[], object]] = {
    "small": lambda: Estimator("small", device="cpu", runtime="openvino"),
    "base": lambda: Estimator("base", device="cpu", runtime="openvino"),
    "detector": lambda: Detector(device="cpu", runtime="openvino"),
}


@dataclass(frozen=True)
class Shipped:
    """A network as the product compiles it: OpenVINO's ``model`` and ``options``."""

    model: Any
    options: dict[str, Any]

    @property
    def precision(self) -> str:
        """bf16 or fp32."""
        return {"f32": "fp32"}.get(self.options["INFERENCE_PRECISION_HINT"], "bf16")

    def compiled(self, batch: int, counting: bool) -> Any:
        """Compiled anew for so many pictures at once; ``counting``: with the time of each layer."""
        model = self.model.clone()
        _, *shape = model.input(0).get_partial_shape().to_shape()
        model.reshape({model.input(0): [batch, *shape]})
        return openvino_core().compile_model(model, "CPU", {**self.options, "PERF_COUNT": counting})


def shipped(name: str) -> Shipped:
    """The network ``name`` of ``NETWORKS``, caught as the product hands it to OpenVINO."""
    core_class, caught = type(openvino_core()), []
    compile_model = core_class.compile_model

    def watched(core: Any, model: Any, *arguments: Any, **named: Any) -> Any:
        options = arguments[1] if len(arguments) > 1 else named.get("config")
        caught.append(Shipped(model.clone(), dict(options)))
        return compile_model(core, model, *arguments, **named)

    nothing_kept = mock.patch.dict(os.environ, LIFTWILD_CACHE="")
    with nothing_kept, mock.patch.object(core_class, "compile_model", watched):
        NETWORKS[name]()
    return caught[-1]


class Counted:
    """A job that runs a network once; ``layers``: the seconds of each of its layers, every time."""

    def __init__(self, compiled: Any, pixels: np.ndarray) -> None:
        self.request, self.pixels = compiled.create_infer_request(), pixels
        self.layers: dict[str, list[float]] = {}

    def __call__(self) -> Took:
        """Seconds of the whole call."""
        start = time.perf_counter()
        self.request.infer({0: self.pixels}, share_inputs=True, share_outputs=True)
        took = Took(time.perf_counter() - start)
        for each in self.request.profiling_info:
            if each.real_time:
                self.layers.setdefault(each.node_name, []).append(each.real_time.total_seconds())
        return took

    def medians(self) -> dict[str, float]:
        """Of each layer, s."""
        return {name: statistics.median(seconds) for name, seconds in self.layers.items()}


def layers_of(compiled: Any) -> dict[str, Layer]:
    """What each layer of a compiled network computes and moves, by OpenVINO's name for it."""
    found = {}
    for node in compiled.get_runtime_model().get_ordered_ops():
        about = {key: str(value.astype(str)) for key, value in node.get_rt_info().items()}
        if about["layerType"] in FREE or all(_is_constant(given.get_node()) for given in _inputs(node)):
            continue
        found[node.get_friendly_name()] = _layer(node, about)
    return found


def _layer(node: Any, about: Mapping[str, str]) -> Layer:
    given = list(_inputs(node))
    constant = [each for each in given if _is_constant(each.get_node())]
    results = node.outputs()
    weighted = about["layerType"] in ("Convolution", "GroupConvolution", "FullyConnected", "MatMul", "Deconvolution")
    macs, kind = 0, LAYOUT if about["layerType"] in MOVES else REST
    result = _shape(results[0])
    if weighted and constant:
        kernel = _shape(constant[0])
        groups = len(kernel) > len(result)
        macs, kind = macs_of(result, kernel, groups), _kind(kernel, groups, "Convolution" in about["layerType"])
    size = {"bf16": 2, "f16": 2, "u8": 1, "i8": 1}.get(about["runtimePrecision"], 4)
    maps = sum(_bytes(each) for each in (*(each for each in given if each not in constant), *results))
    weights = sum(size * int(np.prod(_shape(each))) for each in constant) if weighted else 0
    return Layer(node.get_friendly_name(), kind, "x".join(map(str, result)), macs, maps, weights)


def _kind(kernel: tuple[int, ...], groups: bool, is_convolution: bool) -> str:
    if not is_convolution:
        return LINEAR
    if groups and kernel[1] == kernel[2] == 1:
        return DEPTHWISE
    return {(1, 1): POINTWISE, (3, 3): SPATIAL}.get(tuple(kernel[-2:]), OTHER_CONV)  # type: ignore[arg-type]


def _inputs(node: Any) -> Iterator[Any]:
    return (each.get_source_output() for each in node.inputs())


def _is_constant(node: Any) -> bool:
    """Whether nothing of a picture goes into it: a constant, or one that is turned or reshaped."""
    if node.get_rt_info()["layerType"].astype(str) in ("Const", "Input", "Parameter"):
        return bool(node.get_rt_info()["layerType"].astype(str) == "Const")
    return all(_is_constant(each.get_node()) for each in _inputs(node))


def _shape(output: Any) -> tuple[int, ...]:
    return tuple(output.get_partial_shape().to_shape())


def _bytes(output: Any) -> int:
    return int(np.prod(_shape(output))) * int(output.get_element_type().size)


def short(name: str) -> str:
    """OpenVINO's name for a layer in fewer words."""
    name = name.removesuffix("/WithoutBiases")
    for long, brief in (("subnetwork.", ""), ("movenet.", ""), ("trunk.", ""), ("backbone.", "")):
        name = name.replace(long, brief)
    return name if len(name) <= 44 else name[:20] + "..." + name[-21:]


def tables(
    layers: Mapping[str, Layer], took: Mapping[str, float], bounds: Mapping[str, Bound], top: int
) -> tuple[str, str]:
    """The costliest layers, and the sums by kind. All three by layer; seconds."""
    whole = sum(took.values())
    rows = []
    for name in sorted(took, key=lambda name: -took[name])[:top]:
        layer, least = layers[name], bounds[name]
        rows.append([short(name), layer.kind, layer.shape, f"{1e6 * took[name]:.0f}", f"{1e6 * least.seconds:.1f}",
                     least.why, f"{took[name] / least.seconds:.1f}", f"{100 * took[name] / whole:.1f} %"])  # fmt: skip
    head = ("layer", "kind", "gives", "us", "floor, us", "floor is of", "of the floor", "share")
    sums = []
    for kind in KINDS:
        names = [name for name in took if layers[name].kind == kind]
        if names:
            own, least_s = sum(took[n] for n in names), sum(bounds[n].seconds for n in names)
            bytes_, macs = (sum(getattr(layers[n], f) for n in names) for f in ("maps", "macs"))
            sums.append([kind, str(len(names)), f"{macs / 1e6:.0f}", f"{bytes_ / 1e6:.1f}", f"{1e3 * own:.3f}",
                         f"{1e3 * least_s:.3f}", f"{own / least_s:.1f}", f"{100 * own / whole:.1f} %"])  # fmt: skip
    kinds = ("kind", "layers", "MMAC", "maps, MB", "ms", "floor, ms", "of the floor", "share")
    return markdown_table(head, rows), markdown_table(kinds, sums)


def report(names: list[str], batches: list[int], rounds: int, top: int) -> None:
    """Measure, and print the tables."""
    networks = {name: shipped(name) for name in names}
    rng = np.random.default_rng(0)
    copies = Copies()
    jobs: dict[str, Job] = {**copies.jobs}
    for precision in {network.precision for network in networks.values()}:
        jobs |= openvino_jobs(precision)
    counted: dict[tuple[str, int], tuple[Counted, dict[str, Layer]]] = {}
    for name, network in networks.items():
        for batch in batches:
            _, *shape = network.model.input(0).get_partial_shape().to_shape()
            pixels = rng.integers(0, 256, (batch, *shape), dtype=np.uint8)
            compiled = network.compiled(batch, counting=True)
            jobs[f"{name}, batch {batch}, counted"] = job = Counted(compiled, pixels)
            counted[name, batch] = job, layers_of(compiled)
            jobs[f"{name}, batch {batch}"] = Counted(network.compiled(batch, counting=False), pixels)
    found = interleaved(jobs, rounds)
    levels = copies.levels({name: found[name].median for name in copies.jobs})
    print(f"OpenVINO {import_openvino().__version__.partition('-')[0]}; {told(levels)}")
    for (name, batch), (job, layers) in counted.items():
        precision = networks[name].precision
        peak, which = best(found, precision)
        whole = found[f"{name}, batch {batch}"]
        print(f"\n## {name}, batch {batch}, {precision}: peak {peak / 1e9:.0f} GFLOP/s ({which})\n")
        print(section(layers, job.medians(), Machine(peak, levels), whole, top))
    print(f"\n{noise(found)}")


def section(layers: Mapping[str, Layer], took: Mapping[str, float], machine: Machine, whole: Times, top: int) -> str:
    """The tables of one network at one batch, and the lines below. ``whole``: without the counters."""
    unknown = sorted(set(took) - set(layers))
    took = {name: seconds for name, seconds in took.items() if name in layers}
    weights = sum(layer.weights for layer in layers.values())
    bounds = {name: bound(layers[name], machine, weights) for name in took}
    floor, own = sum(each.seconds for each in bounds.values()), sum(took.values())
    convolutions = sum(bounds[n].seconds for n in took if layers[n].kind not in (LAYOUT, REST))
    arithmetic = sum(2 * layers[n].macs for n in took) / machine.peak
    costliest, kinds = tables(layers, took, bounds, top)
    lines = [
        kinds, "", costliest, "",
        f"the floor of the whole network: {1e3 * floor:.2f} ms ({1e3 * convolutions:.2f} of layers with weights; "
        f"arithmetic alone {1e3 * arithmetic:.2f}); measured {1e3 * whole.median:.2f} ms, {whole.median / floor:.1f} "
        f"times; {1e3 * own:.2f} in {len(took)} layers, the rest between them",
        f"weights: {weights / 1e6:.1f} MB, from {machine.level_of(weights).name}, since all of them go by in each "
        "picture; maps: from the smallest cache that holds what a layer reads and writes",
    ]  # fmt: skip
    if unknown:
        lines.append(f"not in the table: {len(unknown)} steps that OpenVINO counts and its graph does not name")
    return "\n".join(lines)


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", default=",".join(NETWORKS))
    parser.add_argument("--batches", default="1,8")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--top", type=int, default=15)
    asked = parser.parse_args()
    report(asked.networks.split(","), [int(each) for each in asked.batches.split(",")], asked.rounds, asked.top)


if __name__ == "__main__":
    main()
