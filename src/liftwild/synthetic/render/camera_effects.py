"""Camera effects: exposure, contrast, colour, blur, noise, JPEG."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, conv2d, interpolate, pad

from liftwild.synthetic.sample_rng import SampleRng

_NOISE_PX = 1400
_BLOCK = 8
# JPEG's example tables (ITU-T T.81, annex K).
_LUMA = (
    (16, 11, 10, 16, 24, 40, 51, 61), (12, 12, 14, 19, 26, 58, 60, 55), (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62), (18, 22, 37, 56, 68, 109, 103, 77), (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101), (72, 92, 95, 98, 112, 100, 103, 99),
)  # fmt: skip
_CHROMA_FLAT, _CHROMA_LOW = 99, ((17, 18, 24, 47), (18, 21, 26, 66), (24, 26, 56, 99), (47, 66, 99, 99))


@lru_cache(maxsize=2)
def _noise_tile(device: torch.device) -> Tensor:
    """Normal noise (_NOISE_PX, _NOISE_PX) that every channel of a picture takes its own part of."""
    tile = np.random.default_rng(20170).standard_normal((_NOISE_PX, _NOISE_PX), dtype=np.float32)
    return torch.from_numpy(tile).to(device)


@lru_cache(maxsize=2)
def _jpeg_tables(device: torch.device) -> tuple[Tensor, Tensor]:
    """The DCT (8, 8), and the quantisation tables (3, 8, 8)."""
    k = np.arange(_BLOCK)
    dct = np.cos((2 * k[None] + 1) * k[:, None] * np.pi / (2 * _BLOCK)) * np.sqrt(2 / _BLOCK)
    dct[0] /= np.sqrt(2)
    chroma = np.full((_BLOCK, _BLOCK), _CHROMA_FLAT)
    chroma[:4, :4] = _CHROMA_LOW
    tables = np.stack([np.array(_LUMA), chroma, chroma])
    return torch.tensor(dct, dtype=torch.float32).to(device), torch.tensor(tables, dtype=torch.float32).to(device)


def apply_camera_effects(rng: SampleRng, image: Tensor, wild: bool) -> Tensor:
    """Pictures (B, 3, S, S) uint8 from light (B, 3, S, S), S a multiple of 16."""

    def each(values: Tensor) -> Tensor:
        return values[:, None, None, None]

    mean = image.mean((1, 2, 3))
    target = rng.uniform(0.28, 0.58) if wild else rng.uniform(0.42, 0.46)
    image = image * each((target / mean.clamp(min=0.05)).clamp(0.5, 2.4))
    image = 1.18 * image / (1 + 0.25 * image.clamp(min=0))
    contrast = rng.uniform(0.8, 1.5) if wild else rng.uniform(0.97, 1.03)
    image = (image - 0.45) * each(contrast) + 0.45
    strength = rng.uniform(0.5, 1.2) if wild else rng.uniform(0.93, 0.97)
    grey = image.mean(1, keepdim=True)
    image = grey + (image - grey) * each(torch.where(rng.chance(0.03 if wild else 0.0), 0.0, strength))
    if wild:
        image = image + rng.normal(0, 0.02, 3)[:, :, None, None]
    image = _blurred(rng, image, wild)
    image = image + _grain(rng, image) * each(rng.unit() ** 2 * (0.04 if wild else 0.01))
    if wild:
        image = torch.where(each(rng.chance(0.6)), jpeg_artifacts(image, rng.uniform(25, 90)), image)
    return (image.clamp(0, 1) * 255 + 0.5).to(torch.uint8)


def _blurred(rng: SampleRng, image: Tensor, wild: bool) -> Tensor:
    """Defocus, and sometimes motion: one 7x7 kernel a picture, by its rows and columns."""
    rows = len(image)
    soft = torch.where(rng.chance(0.6), rng.uniform(0.42, 0.65), rng.uniform(0.65, 1.5) if wild else 0.5)
    moved = torch.where(rng.chance(0.08 if wild else 0.0), rng.uniform(1.2, 2.6), soft)
    upright = rng.chance(0.5)
    sigma = torch.stack([torch.where(upright, soft, moved), torch.where(upright, moved, soft)], dim=1)
    place = torch.arange(-3, 4, device=image.device)
    kernel = torch.exp(-(place**2) / (2 * sigma[..., None] ** 2))
    kernel = (kernel / kernel.sum(-1, keepdim=True)).repeat_interleave(3, 0)  # (3 B, 2, 7)
    flat = pad(image.reshape(1, rows * 3, *image.shape[2:]), (3, 3, 3, 3), mode="replicate")
    flat = conv2d(flat, kernel[:, None, None, 0], groups=rows * 3)
    return conv2d(flat, kernel[:, None, 1, :, None], groups=rows * 3).view_as(image)


def _grain(rng: SampleRng, image: Tensor) -> Tensor:
    """Noise (B, 3, S, S): parts of the tile."""
    tile, size = _noise_tile(image.device), image.shape[-1]
    corners = rng.index(_NOISE_PX - size, 3, 2).tolist()
    parts = [[tile[row : row + size, column : column + size] for row, column in channels] for channels in corners]
    return torch.stack([torch.stack(channels) for channels in parts])


def jpeg_artifacts(image: Tensor, quality: Tensor) -> Tensor:
    """``image`` (B, 3, S, S) in 0 .. 1 after JPEG of ``quality`` (B,), 1 to 100, with chroma at half resolution."""
    dct, tables = _jpeg_tables(image.device)
    scale = torch.where(quality < 50, 50 / quality, 2 - quality / 50)
    red, green, blue = (image.clamp(0, 1) * 255).unbind(1)
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    chroma = torch.stack([(blue - luma) * 0.564, (red - luma) * 0.713], dim=1)
    luma = _quantised(luma[:, None] - 128, dct, tables[:1], scale)[:, 0] + 128
    chroma = _quantised(avg_pool2d(chroma, 2), dct, tables[1:], scale)
    blue_less, red_less = interpolate(chroma, scale_factor=2, mode="nearest").unbind(1)
    red, blue = luma + red_less / 0.713, luma + blue_less / 0.564
    green = (luma - 0.299 * red - 0.114 * blue) / 0.587
    return torch.stack([red, green, blue], dim=1) / 255


def _quantised(planes: Tensor, dct: Tensor, tables: Tensor, scale: Tensor) -> Tensor:
    """Planes (B, C, H, W) after rounding the cosine coefficients of their 8x8 blocks."""
    b, c, h, w = planes.shape
    blocks = planes.view(b, c, h // _BLOCK, _BLOCK, w // _BLOCK, _BLOCK).transpose(3, 4)
    step = (tables[None] * scale[:, None, None, None]).clamp(min=1)[:, :, None, None]
    rounded = (dct @ blocks @ dct.T / step).round() * step
    return (dct.T @ rounded @ dct).transpose(3, 4).reshape(b, c, h, w)
