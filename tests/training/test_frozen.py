"""Frozen layers in OpenVINO give what torch gives."""

from __future__ import annotations

import pytest
import torch

from liftwild.network.posenet import PoseNet, PoseNetConfig
from liftwild.training.frozen import FrozenLayers, frozen_layers
from liftwild.training.stage import Stage

TINY = PoseNetConfig(subnetwork="mobilenet", width=0.25, features=16, input_px=64, softmax=True, lifter=32)


@pytest.mark.parametrize("blocks", [0, 13, 15])
@torch.no_grad()
def test_they_are_the_same(blocks: int) -> None:
    pytest.importorskip("openvino")
    torch.manual_seed(0)
    net = PoseNet(TINY).eval()
    images = torch.randint(0, 256, (3, 3, 64, 64), dtype=torch.uint8)
    plain, other = net(images), net(images, pretrained=FrozenLayers(net, blocks, bf16=False)(images))
    torch.testing.assert_close(other.heatmaps[0], plain.heatmaps[0], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(other.depth, plain.depth, atol=1e-4, rtol=1e-4)


def test_they_are_used_where_they_are_frozen() -> None:
    pytest.importorskip("openvino")
    net, cpu = PoseNet(TINY), torch.device("cpu")

    def blocks(train: str, last: int = 4) -> int | None:
        found = frozen_layers(net, Stage("x", 1, 1.0, train=train, last_blocks=last), cpu, False)  # type: ignore[arg-type]
        return None if found is None else found.blocks

    assert [blocks("heads"), blocks("last"), blocks("last", 2), blocks("last", 9), blocks("all")] == [
        0,
        13,
        15,
        None,
        None,
    ]
    hourglass = PoseNet(PoseNetConfig(1, 1, 8, 4, 64))
    assert frozen_layers(hourglass, Stage("x", 1, 1.0, train="heads"), cpu, False) is None
    assert frozen_layers(net, Stage("x", 1, 1.0, train="heads"), torch.device("cuda"), False) is None
