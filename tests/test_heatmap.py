"""What is drawn into heatmaps is read from them again."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from liftwild.heatmap import decode
from liftwild.heatmap_torch import draw
from tests.support.strategies import between, quick, seeds


@quick
@given(st.sampled_from([(16, 64), (64, 256), (24, 96), (32, 100)]), seeds, between(0.7, 2))
def test_decode_finds_what_draw_drew(sizes: tuple[int, int], seed: int, sigma_px: float) -> None:
    size, input_px = sizes
    cell = input_px / size
    joints = np.random.default_rng(seed).uniform(2 * cell, input_px - 2 * cell, size=(2, 5, 2))
    maps = draw(torch.tensor(joints), size, input_px, sigma_px)
    assert maps.shape == (2, 5, size, size)
    found, peak = decode(maps.numpy(), input_px)
    assert np.abs(found - joints).max() <= 0.25 * cell + 1e-9
    np.testing.assert_allclose(peak, maps.amax((2, 3)).numpy())


@quick
@given(st.integers(0, 15), st.integers(0, 15), st.sampled_from([16, 64, 100]))
def test_cell_centres_are_exact_and_x_is_not_y(column: int, row: int, input_px: int) -> None:
    centre = torch.tensor([[[(column + 0.5), (row + 0.5)]]], dtype=torch.float64) * (input_px / 16)
    maps = draw(centre, 16, input_px)
    assert maps[0, 0, row, column] == pytest.approx(1)
    assert maps[0, 0].flatten().argmax() == 16 * row + column
    found, peak = decode(maps.round(decimals=9).numpy(), input_px)
    np.testing.assert_allclose(found, centre.numpy(), atol=1e-12)
    assert peak.item() == pytest.approx(1)


def test_draw_by_hand() -> None:
    """Sigma 2 cells; the joint at the centre of cell (row 3, column 5) of 8, input of 32 px."""
    maps = draw(torch.tensor([[[22.0, 14.0]]]), 8, 32, sigma_px=2.0)[0, 0]
    for row in range(8):
        for column in range(8):
            expected = np.exp(-((row - 3) ** 2 + (column - 5) ** 2) / 8)
            assert maps[row, column].item() == pytest.approx(expected, rel=1e-5)


def test_decode_by_hand() -> None:
    """A quarter cell toward the higher neighbour, in each axis by itself; none where both are equal."""
    maps = torch.zeros(1, 2, 8, 8)
    maps[0, :, 2, 6] = 1.0  # row 2, column 6
    maps[0, 0, 2, 5], maps[0, 0, 2, 7] = 0.2, 0.3  # to the right
    maps[0, 0, 1, 6], maps[0, 0, 3, 6] = 0.3, 0.2  # up
    found, peak = decode(maps.numpy(), 32)
    np.testing.assert_allclose(found[0], [[(6.75) * 4, (2.25) * 4], [6.5 * 4, 2.5 * 4]])
    np.testing.assert_array_equal(peak, [[1, 1]])


def test_decode_at_the_border_stays_in_its_cell() -> None:
    cells = [(row, column) for row in range(6) for column in range(8) if row in (0, 5) or column in (0, 7)]
    maps = torch.rand(1, len(cells), 6, 8, generator=torch.Generator().manual_seed(0))
    for joint, (row, column) in enumerate(cells):
        maps[0, joint, row, column] = 2.0
    found = decode(maps.numpy(), 24)[0][0]
    for (x, y), (row, column) in zip(found, cells, strict=True):
        # An input of 24 px: cells of 3 px across and 4 px down.
        assert abs(x - (column + 0.5) * 3) <= (0.75 if 0 < column < 7 else 0)
        assert abs(y - (row + 0.5) * 4) <= (1 if 0 < row < 5 else 0)


def test_fine_decode_undoes_draw() -> None:
    joints = 8 + 112 * torch.rand(50, 16, 2, generator=torch.Generator().manual_seed(0))
    found, peaks = decode(draw(joints, 32, 128).numpy(), 128, subpixel=True)
    np.testing.assert_allclose(found, joints.numpy(), atol=1e-3, rtol=0)
    assert (peaks > 0.77).all()  # exp(-1/4): half a cell aside in both axes


def test_fine_decode_by_hand() -> None:
    """The top of the parabola through three logs, in each axis by itself; flat, lone and negative maps stay finite."""
    maps = torch.zeros(1, 6, 8, 8)
    maps[0, 0, 2, 6] = 1.0
    maps[0, 0, 2, 5], maps[0, 0, 2, 7] = 0.2, 0.3  # to the right
    maps[0, 0, 1, 6], maps[0, 0, 3, 6] = 0.3, 0.2  # up
    maps[0, 2, 3, 4] = 1.0  # alone: no side is higher
    maps[0, 3, 3, 4], maps[0, 3, 3, 5] = 1.0, 1.0  # two alike: the border between them
    maps[0, 4] = -1.0
    maps[0, 4, 3, 4] = -0.5
    maps[0, 5, 0, 7] = 1.0  # in a corner: its cell's middle
    found, peaks = decode(maps.numpy(), 32, subpixel=True)
    aside = np.log(0.3 / 0.2) / (2 * -np.log(0.3 * 0.2))
    np.testing.assert_allclose(found[0, 0], [(6.5 + aside) * 4, (2.5 - aside) * 4], rtol=1e-6)
    assert found[0, 1:].tolist() == [[2, 2], [18, 14], [20, 14], [18, 14], [30, 2]]
    assert peaks[0].tolist() == [1, 0, 1, 1, -0.5, 1]


def test_fine_decode_stays_within_half_a_cell_of_the_peak() -> None:
    maps = torch.randn(64, 16, 16, 16, generator=torch.Generator().manual_seed(1))
    flat = maps.flatten(2).argmax(-1)
    middle = torch.stack([flat % 16, flat // 16], -1) + 0.5
    apart = np.abs(decode(maps.numpy(), 64, subpixel=True)[0] / 4 - middle.numpy())
    assert 0.4 < apart.max() <= 0.5 + 1e-6


def test_a_joint_outside_leaves_its_tail_only() -> None:
    maps = draw(torch.tensor([[[-4.0, 32.0], [1e4, 1e4]]]), 16, 64)
    assert 0 < maps[0, 0].max() < 1
    assert maps[0, 0].argmax() % 16 == 0
    assert (maps[0, 1] == 0).all()
    found, peak = decode(maps.numpy(), 64)
    assert np.isfinite(found).all() and peak[0, 1] == 0
