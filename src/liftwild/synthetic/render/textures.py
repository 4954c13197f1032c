"""Surfaces made of noise: grain, blotches, planks, bricks, leaves. One bank a split, so that test pictures have their
own."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from liftwild.synthetic.render.raster import take_rows

COUNT, SIZE = 48, 256
CLOUDS, BLOTCHES, PLANKS, BRICKS, LEAVES = range(5)

# Colours of walls, ground, wood, plants, sky and stone, sRGB 0 .. 1.
NATURAL = (
    (0.55, 0.53, 0.50), (0.75, 0.74, 0.70), (0.90, 0.89, 0.86), (0.35, 0.34, 0.33), (0.42, 0.30, 0.20),
    (0.60, 0.45, 0.30), (0.25, 0.35, 0.15), (0.35, 0.45, 0.20), (0.18, 0.25, 0.12), (0.60, 0.70, 0.82),
    (0.45, 0.58, 0.75), (0.55, 0.28, 0.20), (0.45, 0.22, 0.18), (0.72, 0.62, 0.48), (0.82, 0.78, 0.66),
    (0.15, 0.15, 0.17), (0.30, 0.32, 0.38), (0.20, 0.30, 0.40), (0.65, 0.60, 0.55), (0.50, 0.42, 0.35),
)  # fmt: skip


def _noise(rng: np.random.Generator, slope: float, stretch: float) -> np.ndarray:
    """Tiling noise (SIZE, SIZE), mean 0, deviation 1, whose spectrum falls with ``slope``."""
    fy, fx = np.fft.fftfreq(SIZE)[:, None], np.fft.rfftfreq(SIZE)[None]
    radius = np.sqrt((fx * stretch) ** 2 + (fy / stretch) ** 2)
    radius[0, 0] = 1
    spectrum = rng.normal(size=radius.shape) + 1j * rng.normal(size=radius.shape)
    noise = np.fft.irfft2(spectrum / radius**slope, s=(SIZE, SIZE))
    return (noise - noise.mean()) / noise.std()


def _grey(rng: np.random.Generator, kind: int) -> np.ndarray:
    """One surface (SIZE, SIZE), mean about 0."""
    noise = _noise(rng, rng.uniform(0.7, 1.8), np.exp(rng.normal(0, 0.4)))
    if kind == BLOTCHES:
        return np.tanh(2 * (noise - rng.normal(0, 0.5)))
    if kind == PLANKS:
        count = int(rng.integers(3, 14))
        value = rng.normal(0, 0.5, count)
        across = np.arange(SIZE) * count / SIZE
        seam = np.where(across % 1 < 0.06, -1.0, 0.0)
        grain = _noise(rng, 1.1, 6.0)
        return 0.5 * grain + (value[across.astype(int)] + seam)[None, :]
    if kind == BRICKS:
        high = int(2 ** rng.integers(4, 7))
        wide = 2 * high if high <= 32 else high
        rows, columns = np.mgrid[:SIZE, :SIZE]
        row = rows // high
        shifted = columns + (row % 2) * (wide // 2)
        value = rng.normal(0, 0.4, (SIZE // high + 1, SIZE // wide))
        seam = ((rows % high) < 2) | ((shifted % wide) < 2)
        return 0.4 * noise + value[row, shifted % SIZE // wide] - seam * rng.uniform(0.3, 1.2)
    if kind == LEAVES:
        fine, coarse = _noise(rng, 0.45, 1.0), _noise(rng, 1.6, 1.0)
        return 0.75 * np.tanh(1.5 * fine) + 0.6 * coarse
    return noise


@lru_cache(maxsize=4)
def texture_bank(seed: int, device: str = "cpu") -> Tensor:
    """Tiling surfaces (COUNT, SIZE, SIZE, 3), mean about 0.5, kind ``i % 5`` of surface ``i``."""
    rng = np.random.default_rng((seed, 7))
    bank = np.zeros((COUNT, SIZE, SIZE, 3), np.float32)
    for i in range(COUNT):
        grey = _grey(rng, i % 5)
        tint = rng.normal(0, 0.03, 3) * grey[..., None] + 0.014 * _noise(rng, 1.5, 1.0)[..., None] * rng.normal(0, 1, 3)
        bank[i] = 0.5 + 0.15 * grey[..., None] + tint
    return torch.from_numpy(bank.clip(0.02, 1.2)).to(device)


def sample_bank(bank: Tensor, which: Tensor, u: Tensor, v: Tensor) -> Tensor:
    """Colours (..., 3) of surface ``which`` (...) at ``u``, ``v`` (...), one tile a unit."""
    size = bank.shape[1]
    column = (u * size).long() % size
    row = (v * size).long() % size
    return take_rows(bank.flatten(0, 2), (which * size + row) * size + column)


def natural_colour(unit: Tensor) -> Tensor:
    """Colours (..., 3) of walls, ground and props from ``unit`` (..., 8) in [0, 1); a few are as strong as paint."""
    table = torch.tensor(NATURAL, device=unit.device)
    base = table[(unit[..., 0] * len(table)).long()]
    base = base * (0.7 + 0.6 * unit[..., 1:2]) + (unit[..., 2:5] - 0.5) * 0.1
    return torch.where(unit[..., 5:6] < 0.03, unit[..., 2:5] * 0.9, base).clamp(0.02, 1)


def cloth_colour(unit: Tensor) -> Tensor:
    """Colours (..., 3) of clothes from ``unit`` (..., 4) in [0, 1): black, white, grey and muted more than loud."""
    hue, strong, light, kind = unit.unbind(-1)
    saturation = torch.where(kind < 0.4, 0.08 * strong, strong**1.5 * 0.85)
    value = 0.04 + 0.9 * (0.5 - 0.5 * torch.cos(torch.pi * light))
    wheel = (torch.tensor([5.0, 3.0, 1.0], device=unit.device) + hue[..., None] * 6) % 6
    drop = torch.minimum(wheel, 4 - wheel).clamp(0, 1)
    return value[..., None] * (1 - saturation[..., None] * drop)
