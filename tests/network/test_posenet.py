"""The network's size, shapes, and that every part of it learns."""

import dataclasses

import numpy as np
import pytest
import torch

from liftwild.inference.torch_runtime import infer
from liftwild.network.posenet import PAPER, SMALL, PoseNet, PoseNetConfig, Prediction, macs
from liftwild.skeleton import MPII_16

TINY = PoseNetConfig(stacks=2, blocks=1, features=16, stem=8, input_px=64)


def test_paper_size_is_the_papers() -> None:
    net = PoseNet(PAPER)
    assert sum(p.numel() for p in net.parameters()) == pytest.approx(14.4e6, abs=0.05e6)
    assert sum(p.numel() for n, p in net.named_parameters() if not n.startswith("depth")) == pytest.approx(
        12.7e6, abs=0.06e6
    )
    assert macs(PAPER) == pytest.approx(16.2e9, abs=0.05e9)


def test_small_size_is_for_cpus() -> None:
    net = PoseNet(SMALL)
    assert sum(p.numel() for p in net.parameters()) * 2 < 8e6  # bytes in fp16
    assert macs(SMALL) < 1e9


@pytest.mark.parametrize("config", [TINY, PoseNetConfig(1, 2, 8, 4, 128, depth_norm=True)])
def test_shapes(config: PoseNetConfig) -> None:
    net = PoseNet(config).eval()
    pred = net(torch.zeros(2, 3, config.input_px, config.input_px, dtype=torch.uint8))
    assert [tuple(maps.shape) for maps in pred.heatmaps] == [
        (2, 16, config.heatmap_px, config.heatmap_px)
    ] * config.stacks
    assert pred.depth is not None and pred.depth.shape == (2, 16)


def test_uint8_and_float_are_the_same_picture() -> None:
    net = PoseNet(TINY).eval()
    image = torch.randint(0, 256, (1, 3, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(net(image).depth, net(image.float() / 255).depth)


def test_hourglass_runs_at_other_sizes_without_depth() -> None:
    pred = PoseNet(TINY).eval()(torch.zeros(1, 3, 128, 128), with_depth=False)
    assert pred.depth is None and pred.heatmaps[-1].shape[-2:] == (32, 32)


def test_every_parameter_learns() -> None:
    torch.manual_seed(0)
    net = PoseNet(TINY)
    pred = net(torch.rand(2, 3, 64, 64))
    assert pred.depth is not None
    (sum(maps.square().sum() for maps in pred.heatmaps) + pred.depth.square().sum()).backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name
        # A bias before a batch norm is taken out again by it.
        if not name.endswith(("conv1.bias", "conv2.bias")) and "stem.0.bias" not in name and "head.1.bias" not in name:
            assert parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize(
    "field, value", [("stacks", 0), ("features", 15), ("input_px", 100), ("blocks", 1.5), ("stem", True)]
)
def test_bad_sizes_are_named(field: str, value: object) -> None:
    with pytest.raises(ValueError, match=field):
        PoseNetConfig(**{field: value})  # type: ignore[arg-type]


def test_flip_test_of_an_even_handed_network_changes_nothing() -> None:
    """A stub that sees a bright dot as the right wrist where its own left is dark, and mirrors with the image."""

    class Stub(PoseNet):
        def forward(self, images: torch.Tensor, with_depth: bool = True, pretrained: object = None) -> Prediction:
            grey = images.float().mean(dim=1)[:, ::4, ::4]
            maps = torch.stack([grey if name == "pelvis" else grey * 0 for name in MPII_16.names], dim=1)
            return Prediction([maps], torch.arange(16.0).expand(len(images), 16) if with_depth else None)

    stub = Stub(TINY)

    image = torch.zeros(1, 3, 64, 64)
    image[..., 20:24, 8:12] = 1
    plain, flipped = infer(stub, image), infer(stub, image, flip_test=True)
    pelvis = MPII_16.index("pelvis")
    np.testing.assert_allclose(plain.joints_2d[:, pelvis], flipped.joints_2d[:, pelvis], rtol=1e-6)
    assert plain.joints_2d[0, pelvis].tolist() == [10.0, 22.0]
    # Depths are averaged with those of the other side.
    left, right = MPII_16.flip_pairs[0]
    assert flipped.depth is not None and flipped.depth[0, left] == flipped.depth[0, right] == (left + right) / 2


def test_log_odds_become_heatmaps_before_flips_are_averaged() -> None:
    """Adding a constant to a map of log-odds means nothing; averaged raw, it would."""

    class Stub(PoseNet):
        def forward(self, images: torch.Tensor, with_depth: bool = True, pretrained: object = None) -> Prediction:
            maps = torch.zeros(len(images), 16, 16, 16)
            maps[0, :, 3, 5], maps[1:, :, 3, 5] = 9.0, 7.0  # the mirrored image says another place, less surely
            return Prediction([maps + torch.arange(len(images)).view(-1, 1, 1, 1) * 100], None)

    found = infer(Stub(dataclasses.replace(TINY, softmax=True)), torch.zeros(1, 3, 64, 64), True, with_depth=False)
    assert np.abs(found.joints_2d[0, 0] - [22.0, 14.0]).max() <= 1  # a tie goes either way
    assert 0.9 < found.peaks[0, 0] < 1.1


def test_a_network_takes_over_one_with_fewer_stacks() -> None:
    """Its first stack and its depths then say what the smaller one said, and its last is a copy of that one's;
    everything else must be alike."""
    small, large = PoseNet(dataclasses.replace(TINY, stacks=1)), PoseNet(TINY)
    large.init_from_shallower(small)
    image = torch.rand(1, 3, 64, 64)
    before, after = small.eval()(image), large.eval()(image)
    torch.testing.assert_close(after.heatmaps[0], before.heatmaps[0])
    torch.testing.assert_close(after.depth, before.depth)
    features = small.subnetwork.stem(image - 0.5)
    torch.testing.assert_close(large.subnetwork.stacks[1](features)[0], before.heatmaps[0])
    other = PoseNet(dataclasses.replace(TINY, features=32))
    for from_, to in ((large, small), (other, large)):
        with pytest.raises(ValueError, match="cannot take"):
            to.init_from_shallower(from_)
