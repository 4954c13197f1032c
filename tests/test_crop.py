"""A point and a pixel land in the crop where the crop says, and come back."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from liftwild.crop import BOX_MARGIN, Crop
from tests.support.strategies import between, crops, quick, seeds


@quick
@given(crops, st.integers(16, 512), seeds)
def test_to_photo_inverts_to_crop(crop: Crop, output_px: int, seed: int) -> None:
    points = np.random.default_rng(seed).uniform(-500, 3000, size=(3, 5, 2))
    np.testing.assert_allclose(crop.to_photo(crop.to_crop(points, output_px), output_px), points, atol=1e-6)
    centre = crop.to_crop(np.array(crop.center_px), output_px)
    np.testing.assert_allclose(centre, [output_px / 2] * 2, atol=1e-6)


def test_crop_corners_by_hand() -> None:
    """The square (10, 20) to (30, 40): its corners in the order of a clock."""
    corners = np.array([[10.0, 20], [30, 20], [30, 40], [10, 40]])
    out = np.array([[0.0, 0], [100, 0], [100, 100], [0, 100]])
    np.testing.assert_allclose(Crop((20, 30), 20).to_crop(corners, 100), out)
    np.testing.assert_allclose(Crop((20, 30), 20, flip=True).to_crop(corners, 100), out[[1, 0, 3, 2]])
    # Clockwise as seen: the top left corner goes to the top right. The mirror comes after the turn.
    turned = Crop((20, 30), 20, rotation_rad=np.pi / 2)
    np.testing.assert_allclose(turned.to_crop(corners, 100), out[[1, 2, 3, 0]], atol=1e-9)
    both = Crop((20, 30), 20, rotation_rad=np.pi / 2, flip=True)
    np.testing.assert_allclose(both.to_crop(corners, 100), out[[0, 3, 2, 1]], atol=1e-9)


def test_crop_around_a_box() -> None:
    assert Crop.around((10, 20, 30, 80), margin=1.0) == Crop((25.0, 60.0), 80.0)
    assert Crop.around((10, 20, 80, 30)).size_px == 80 * BOX_MARGIN


@pytest.mark.parametrize(
    ("center", "size"),
    [
        ((0, 0), 0),
        ((0, 0), -1),
        ((0, 0), np.nan),
        ((0, 0), np.inf),
        ((np.nan, 0), 10),
        ((0, -np.inf), 10),
    ],
)
def test_crops_of_no_size_or_place_raise(center: tuple[float, float], size: float) -> None:
    with pytest.raises(ValueError, match="a crop needs"):
        Crop(center, size)
    with pytest.raises(ValueError, match="a crop needs"):
        Crop.around((5, 5, 0, 0))


def centroid(image: np.ndarray) -> np.ndarray:
    """Centre of the light (x, y) in px, a pixel's centre at +0.5."""
    light = image[..., 0].astype(np.float64)
    assert light.sum() > 0, "no light in the crop"
    rows, columns = np.indices(light.shape) + 0.5
    return np.array([(light * columns).sum(), (light * rows).sum()]) / light.sum()


def bright_pixel(width: int, height: int, x: int, y: int, around: int = 0) -> np.ndarray:
    """A black photo with pixel (x, y) lit, and those within ``around`` of it."""
    image = np.zeros((height, width, 3), dtype=np.float32)
    image[y - around : y + around + 1, x - around : x + around + 1] = 1000
    return image


@quick
@given(
    between(0.05, 8),
    st.one_of(st.just(0.0), between(-3, 3)),
    st.booleans(),
    between(0.1, 0.9),
    between(0.1, 0.9),
    seeds,
)
def test_a_pixel_lands_where_to_crop_says(
    scale: float, rotation: float, flip: bool, u: float, v: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    width, height, output_px = 301, 211, 64
    # A turned crop of 0.5 to 0.7 times the size has bilinear samples more than a px from some pixels: light nine then.
    around = 0 if rotation == 0 else 1
    x, y = rng.integers(around, width - around), rng.integers(around, height - around)
    # Choose the crop so that the pixel lies at about (u, v) of it.
    size = output_px / scale
    margin = 2 * max(1, scale) * (1 + around)
    assume(margin < min(u, v, 1 - u, 1 - v) * output_px)
    aim = Crop((0.0, 0.0), size, rotation, flip).to_photo(np.array([u, v]) * output_px, output_px)
    crop = Crop((x + 0.5 - aim[0], y + 0.5 - aim[1]), size, rotation, flip)
    expected = crop.to_crop(np.array([x + 0.5, y + 0.5]), output_px)
    np.testing.assert_allclose(expected, np.array([u, v]) * output_px, atol=1e-6)
    found = centroid(crop.apply(bright_pixel(width, height, x, y, around), output_px))
    # Half a px along each of the photo's axes: at the rim of its block (scale to 0.5), midway between samples (above).
    assert np.abs(found - expected).max() < (0.6 if rotation == 0 else 0.75)


@pytest.mark.parametrize("size_px", [64, 32, 100, 640, 1000])
@pytest.mark.parametrize("flip", [False, True])
def test_a_bright_disc_lands_where_to_crop_says(size_px: int, flip: bool) -> None:
    """Something larger than a pixel of the crop must lie right to a small part of one, whatever the scale."""
    y, x = np.mgrid[:500, :400] + 0.5
    radius = size_px / 10
    place = np.array([190.0, 240.0])
    disc = np.clip(radius - np.hypot(x - place[0], y - place[1]) + 0.5, 0, 1)
    image = np.repeat((disc[..., None] * 200).astype(np.uint8), 3, axis=2)
    crop = Crop((200.0, 230.0), size_px, rotation_rad=0.3, flip=flip)
    out = crop.apply(image, 64)
    assert out.shape == (64, 64, 3) and out.dtype == np.uint8
    np.testing.assert_allclose(centroid(out), crop.to_crop(place, 64), atol=0.05)


def test_a_crop_of_the_same_size_is_a_copy() -> None:
    image = np.random.default_rng(0).integers(0, 256, size=(50, 60, 3), dtype=np.uint8)
    np.testing.assert_array_equal(Crop((30.0, 25.0), 20).apply(image, 20), image[15:35, 20:40])
    np.testing.assert_array_equal(Crop((30.0, 25.0), 20, flip=True).apply(image, 20), image[15:35, 20:40][:, ::-1])


def test_half_size_skips_no_pixel() -> None:
    """Centred on a pixel, samples of a spacing of 2 px would hit every other pixel alone."""
    crop = Crop((100.5, 60.5), 128)
    for x, y in ((100, 60), (101, 60), (100, 61), (101, 61)):
        found = centroid(crop.apply(bright_pixel(200, 120, x, y), 64))
        expected = crop.to_crop(np.array([x + 0.5, y + 0.5]), 64)
        assert np.abs(found - expected).max() < 0.3


def test_shrinking_to_half_and_less_takes_the_mean() -> None:
    image = np.random.default_rng(0).integers(0, 256, size=(80, 80, 3)).astype(np.float32)
    blocks = image.reshape(20, 4, 20, 4, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(Crop((40.0, 40.0), 80).apply(image, 20), blocks, atol=1e-3)


@pytest.mark.parametrize("size_px", [30, 100, 170, 700])
def test_outside_is_black_and_inside_is_kept(size_px: int) -> None:
    """A white photo of 101 x 67: the crop is white inside it, black outside, and holds its area."""
    image = np.full((67, 101, 3), 255, dtype=np.uint8)
    output_px = 64
    crop = Crop((95.0, 60.0), size_px)
    out = crop.apply(image, output_px)[..., 0]
    corner = crop.to_crop(np.array([101.0, 67.0]), output_px)
    start = crop.to_crop(np.array([0.0, 0.0]), output_px)
    columns, rows = np.meshgrid(np.arange(output_px) + 0.5, np.arange(output_px) + 0.5)
    away = np.minimum(
        np.minimum(columns - start[0], corner[0] - columns), np.minimum(rows - start[1], corner[1] - rows)
    )
    soft = 0.5 + max(1.0, output_px / size_px) / 2  # bilinear sampling blends over one px of photo or crop
    assert (out[away > soft] == 255).all()
    assert (out[away < -soft] == 0).all()
    inside = np.minimum(corner, output_px) - np.maximum(start, 0)
    assert out.sum() / 255 == pytest.approx(inside.prod(), rel=0.06)


def test_a_crop_beside_the_photo_is_black() -> None:
    image = np.full((50, 50, 3), 255, dtype=np.uint8)
    for center in ((-500.0, 25.0), (25.0, 5000.0), (1e6, 1e6)):
        for size_px in (20, 400):
            assert not Crop(center, size_px).apply(image, 32).any()


@pytest.mark.parametrize("shape", [(200_000, 1), (1, 200_000), (40_000, 3)])
def test_a_line_takes_no_more_memory_than_it_has_pixels(shape: tuple[int, int]) -> None:
    """Whole blocks of a picture of a pixel's width would be a thousand times as large as itself."""
    image = np.full((*shape, 3), 200, np.uint8)
    crop = Crop.around((0.0, 0.0, float(shape[1]), float(shape[0])))
    tracemalloc.start()
    try:
        seen = crop.apply(image, 64)
        assert tracemalloc.get_traced_memory()[1] < 20 * image.nbytes
    finally:
        tracemalloc.stop()
    assert seen.shape == (64, 64, 3)
    near = Crop((shape[1] / 2, shape[0] / 2), 64.0).apply(image, 64)  # as large as it is
    assert near.max() >= 100
