"""MobileNet, MoveNet and our head on it: sizes, padding, and what MoveNet itself says."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
import torch

from liftwild.media.photo import read_photo
from liftwild.network.config import MobileNetConfig
from liftwild.network.joint_head import MobileJoints
from liftwild.network.mobilenet import MobileNet, MoveNet, SameConv, distances
from liftwild.network.posenet import BASE, SMALL, PoseNet, PoseNetConfig
from liftwild.skeleton import COCO_17, MPII_16
from liftwild.weights import load_weights
from tests.support.paths import ROOT

TINY = PoseNetConfig(subnetwork="mobilenet", width=0.25, features=16, input_px=64, softmax=True, lifter=32)
REFERENCE = json.loads((ROOT / "tests" / "golden" / "movenet.json").read_text())


@pytest.mark.parametrize(("width", "parameters"), [(1.0, 2.31e6), (1.75, 6.22e6)])
def test_sizes_are_movenets(width: float, parameters: float) -> None:
    """With the heads that we use; its own offsets are left out."""
    net = MoveNet(MobileNetConfig(width))
    assert sum(each.numel() for each in net.parameters()) == pytest.approx(parameters, rel=2e-3)


def test_channels_are_rounded_as_mobilenet_does() -> None:
    config = MobileNetConfig(1.75)
    found = [config.channels(base) for base in (32, 16, 24, 32, 64, 96, 160, 320)]
    assert found == [56, 32, 40, 56, 112, 168, 280, 560]


def test_feature_maps_have_their_sizes() -> None:
    net = MobileNet(MobileNetConfig(0.5))
    found = net(torch.zeros(2, 3, 64, 96))
    sides = {"fine": 4, "middle": 16, "coarse": 32}
    for name, each in found._asdict().items():
        assert each.shape == (2, getattr(net.channels, name), 64 // sides[name], 96 // sides[name])


def test_stride_two_pads_right_and_below_only() -> None:
    conv = SameConv(1, 1, 3, 2, bias=False)
    torch.nn.init.ones_(conv.weight)
    image = torch.zeros(1, 1, 4, 4)
    image[..., 0, 0] = 1
    assert conv(image)[0, 0].tolist() == [[1, 0], [0, 0]]
    image = torch.zeros(1, 1, 4, 4)
    image[..., 3, 3] = 1
    assert conv(image)[0, 0].tolist() == [[0, 0], [0, 1]]


def test_distances_are_euclidean() -> None:
    away = distances(torch.tensor([[[1.0, 2.0]]]), 4, 3)[0, 0]
    assert away.shape == (4, 3) and away[2, 1] < 1e-5
    assert away[2, 0].item() == pytest.approx(1) and away[0, 2].item() == pytest.approx(5**0.5)


def movenet(name: str) -> MoveNet:
    """What came with the weights that ship: MoveNet stays as it was while ``base`` and ``small`` were trained."""
    net, _ = load_weights({"movenet-thunder": "base", "movenet-lightning": "small"}[name])
    assert isinstance(net.subnetwork, MobileJoints)
    return net.subnetwork.movenet


@pytest.mark.parametrize("name", ["movenet-lightning", "movenet-thunder"])
@torch.inference_mode()
def test_movenet_says_what_tensorflow_says(name: str) -> None:
    """The published graph run by TensorFlow; tests/golden/movenet.json says how."""
    kept = REFERENCE[name]
    side = kept["input_px"]
    photo = cv2.resize(read_photo(ROOT / "examples" / "person.jpg"), (side, side), interpolation=cv2.INTER_AREA)
    net = movenet(name)
    _, keypoints = net(torch.from_numpy(photo).permute(2, 0, 1)[None].float() / 127.5 - 1)
    np.testing.assert_allclose(keypoints.regressed[0].numpy(), kept["regressed"], atol=1e-3)
    rows, columns = np.array(kept["cells"]).T
    every = np.arange(len(COCO_17))
    np.testing.assert_allclose(keypoints.heatmaps[0, every, rows, columns].numpy(), kept["log_odds"], atol=1e-3)
    score = net.log_likelihood(keypoints)[0].exp()
    np.testing.assert_allclose(score[every, rows, columns].numpy(), kept["scores"], atol=1e-3)
    best = score.flatten(1).argmax(dim=1)
    assert (best.numpy() == rows * (side // 4) + columns).all()


@torch.inference_mode()
def test_our_head_begins_with_movenets_own_joints() -> None:
    """Of joints that both have, the likeliest cell is MoveNet's."""
    torch.manual_seed(0)
    head = MobileJoints(TINY).eval()
    images = torch.rand(4, 3, 64, 64)
    log_odds, _ = head(images)
    _, keypoints = head.movenet(images * 2 - 1)
    own = head.movenet.log_likelihood(keypoints).flatten(2).argmax(-1)
    found = log_odds.flatten(2).argmax(-1)
    for joint, name in enumerate(MPII_16.names):
        if name in COCO_17.names:
            assert (found[:, joint] == own[:, COCO_17.index(name)]).all(), name
    assert torch.allclose(head.place.weight.sum(1), torch.ones(16), atol=1e-6)  # places move with the person


def test_every_parameter_learns() -> None:
    torch.manual_seed(0)
    net = PoseNet(TINY)
    for part in (net.depth.out, net.subnetwork.out):  # they begin at zero, and hand nothing back then
        torch.nn.init.normal_(part.weight, std=0.1)
    for module in net.modules():
        if type(module).__name__ == "PlainResidual":
            torch.nn.init.normal_(module.leave.weight, std=0.1)
    pred = net(torch.rand(2, 3, 64, 64))
    told = [pred.depth, pred.log_spread, pred.inside, pred.visible, pred.joints]
    (pred.heatmaps[0].square().mean() + sum(each.square().mean() for each in told)).backward()
    for name, parameter in net.named_parameters():
        if ".centre." in name:  # the likeliest centre is chosen, which has no gradient
            assert parameter.grad is None or not parameter.grad.any()
            continue
        assert parameter.grad is not None and parameter.grad.isfinite().all() and parameter.grad.any(), name


def test_pretrained_modules_are_left_alone() -> None:
    net = PoseNet(TINY)
    whole = {id(p) for part in net.pretrained_modules() for p in part.parameters()}
    first = {id(p) for part in net.pretrained_modules(4) for p in part.parameters()}
    assert first < whole == {id(p) for p in net.subnetwork.movenet.parameters()}
    last = [name for name, p in net.subnetwork.movenet.trunk.named_parameters() if id(p) not in first]
    assert {name.split(".")[0] for name in last} == {"blocks", "last", "laterals", "smooths"}
    assert {name.split(".")[1] for name in last if name.startswith("blocks")} == {"13", "14", "15", "16"}


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"subnetwork": "resnet"}, "subnetwork"), ({"subnetwork": "mobilenet"}, "softmax"), ({"lifter": 8}, "lifter"),
        ({"width": 9}, "width"),
    ],
)  # fmt: skip
def test_bad_kinds_are_named(values: dict[str, object], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        PoseNetConfig(**values)  # type: ignore[arg-type]


def test_files_are_small() -> None:
    for config, most_mb in ((SMALL, 8), (BASE, 20)):
        assert sum(each.numel() for each in PoseNet(config).parameters()) * 2 < most_mb * 1e6
