"""Reading joints from heatmaps, and lifting them."""

from __future__ import annotations

import torch

from liftwild.heatmap_torch import draw
from liftwild.network.lifter import Lifter, Reading, read_joints
from liftwild.skeleton import DEPTH_ROOT


def test_a_gaussian_is_read_where_it_is() -> None:
    at = torch.tensor([[[100.0, 60.0], [30.0, 200.0]]])
    maps = draw(at, 64, 256, 1.5).clamp(min=1e-9).log()
    reading, share = read_joints(maps)
    torch.testing.assert_close(reading.joints, at / 128 - 1, atol=1e-3, rtol=0)
    torch.testing.assert_close(reading.mass, torch.ones(1, 2), atol=2e-3, rtol=0)
    # sigma 1.5 cells of 2 / 64 each, in x and in y
    torch.testing.assert_close(reading.spread, torch.full((1, 2), 1.5 * 2**0.5 / 32), atol=2e-3, rtol=0)
    torch.testing.assert_close(share.sum((2, 3)), torch.ones(1, 2))
    assert share.shape == (1, 2, 16, 16) and reading.second_mass.max() < 2e-3


def test_of_two_peaks_the_larger_comes_first() -> None:
    both = torch.tensor([[[64.0, 64.0], [192.0, 128.0]]])
    first, second = draw(both, 64, 256, 1.0)[0]
    reading, _ = read_joints((0.7 * first + 0.3 * second).clamp(min=1e-9).log()[None, None])
    torch.testing.assert_close(reading.joints[0, 0], both[0, 0] / 128 - 1, atol=2e-3, rtol=0)
    torch.testing.assert_close(reading.second[0, 0], both[0, 1] / 128 - 1, atol=2e-3, rtol=0)
    assert abs(reading.mass.item() - 0.7) < 0.01 and abs(reading.second_mass.item() - 0.3) < 0.01


def test_reading_passes_gradients_on() -> None:
    maps = torch.randn(2, 3, 64, 64, requires_grad=True)
    reading, share = read_joints(maps)
    sum(each.sum() for each in (*reading, share)).backward()
    assert maps.grad is not None and maps.grad.isfinite().all() and maps.grad.abs().sum() > 0


def some_reading() -> Reading:
    rng = torch.Generator().manual_seed(0)
    place = torch.rand(5, 16, 2, generator=rng) - 0.5
    mass, second = torch.rand(5, 16, generator=rng), torch.rand(5, 16, 2, generator=rng)
    return Reading(place, mass, mass * 0.05, second, 0.2 * mass)


@torch.no_grad()
def test_lifting_does_not_care_where_and_how_large() -> None:
    torch.manual_seed(0)
    net, reading, shift = Lifter(16, 32), some_reading(), torch.tensor([0.3, -0.2])
    moved = reading._replace(
        joints=0.5 * reading.joints + shift, second=0.5 * reading.second + shift, spread=0.5 * reading.spread
    )
    one, other = net(reading)[0], net(moved)[0]
    torch.testing.assert_close(other.depth, 0.5 * one.depth)
    torch.testing.assert_close(other.log_spread, one.log_spread + torch.tensor(0.5).log())
    torch.testing.assert_close(other.joints, 0.5 * one.joints + shift)
    assert not one.depth[:, DEPTH_ROOT].any()
