"""benchmarks/bounds.py: the least time of a layer; what a compiled network's layers compute and move."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from liftwild.network.posenet import SIZES, macs

KIB = 1024


def test_a_bound_is_the_larger_of_arithmetic_and_memory() -> None:
    from bounds import ARITHMETIC, Layer, Level, Machine, bound, floor_s

    near, far = Level("near", 100.0, 50.0), Level("far", math.inf, 10.0)
    machine = Machine(1000.0, (near, far))
    computes = Layer("a", "1x1", "", macs=5000, maps=100, weights=0)
    moves = Layer("b", "depthwise", "", macs=500, maps=101, weights=20)
    least = bound(computes, machine, 20)
    assert (least.seconds, least.why) == (pytest.approx(10.0), ARITHMETIC)
    least = bound(moves, machine, 20)  # maps from far, which alone holds them; weights from near
    assert (least.seconds, least.why) == (pytest.approx(101 / 10 + 20 / 50), "far")
    assert bound(moves, machine, 1000).seconds == pytest.approx(101 / 10 + 20 / 10)  # all weights are more than near
    assert floor_s([computes, moves], machine) == pytest.approx(10.0 + 10.5)


@pytest.mark.parametrize(
    ("result", "kernel", "groups", "expected"),
    [
        ((2, 8, 5, 5), (8, 3, 3, 3), False, 2 * 8 * 25 * 27),
        ((1, 8, 5, 5), (8, 1, 1, 3, 3), True, 8 * 25 * 9),  # depthwise
        ((1, 8, 5, 5), (2, 4, 3, 1, 1), True, 8 * 25 * 3),
        ((4, 10), (10, 7), False, 4 * 70),
    ],
)
def test_macs(result: tuple[int, ...], kernel: tuple[int, ...], groups: bool, expected: int) -> None:
    from bounds import macs_of

    assert macs_of(result, kernel, groups) == expected


def test_cache_sizes(tmp_path: Path) -> None:
    from bandwidth import USUAL, cache_bytes

    assert cache_bytes(tmp_path) == USUAL
    for number, (level, size) in enumerate([("1", "48K"), ("2", "512K"), ("3", "odd")]):
        folder = tmp_path / f"index{number}"
        folder.mkdir()
        (folder / "level").write_text(f"{level}\n")
        (folder / "size").write_text(f"{size}\n")
    assert cache_bytes(tmp_path) == {"L2": 512 * KIB, "L3": USUAL["L3"]}


def test_the_layers_of_a_compiled_network_are_all_of_its_arithmetic() -> None:
    pytest.importorskip("openvino")
    pytest.importorskip("onnx")
    from layers import DEPTHWISE, POINTWISE, layers_of, shipped

    network = shipped("small")
    layers = layers_of(network.compiled(2, counting=False)).values()
    assert sum(layer.macs for layer in layers) == pytest.approx(2 * macs(SIZES["small"]), rel=0.01)
    kinds = [layer.kind for layer in layers]
    assert kinds.count(DEPTHWISE) == 25 and kinds.count(POINTWISE) > 50
