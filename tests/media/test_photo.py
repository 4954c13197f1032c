"""Reading photos: every kind gives the right picture, every broken one a clear line."""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest

from liftwild.errors import LiftwildError
from liftwild.media.photo import find_photos, read_photo
from tests.support.images import encode, exif_block, jpeg_with_exif, picture, png_chunk, png_with_exif

# How a picture lies in the file when its EXIF orientation says n: undoing it gives the upright picture.
STORED = {
    1: lambda image: image,
    2: lambda image: image[:, ::-1],
    3: lambda image: image[::-1, ::-1],
    4: lambda image: image[::-1],
    5: lambda image: image.swapaxes(0, 1),
    6: lambda image: np.rot90(image, 1),  # turned 90 degrees counter-clockwise
    7: lambda image: image[::-1, ::-1].swapaxes(0, 1),
    8: lambda image: np.rot90(image, -1),
}


def read(folder: Path, name: str, content: bytes) -> np.ndarray:
    path = folder / name
    path.write_bytes(content)
    image = read_photo(path)
    assert image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3 and image.flags.c_contiguous
    return image


def close(a: np.ndarray, b: np.ndarray) -> bool:
    return a.shape == b.shape and float(np.abs(a.astype(int) - b).mean()) < 4


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif"])
def test_colours_are_exact(tmp_path: Path, suffix: str) -> None:
    assert np.array_equal(read(tmp_path, "a" + suffix, encode(suffix, picture())), picture())


@pytest.mark.parametrize("suffix", [".jpg", ".webp"])
def test_colours_are_close(tmp_path: Path, suffix: str) -> None:
    assert close(read(tmp_path, "a" + suffix, encode(suffix, picture())), picture())


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif"])
def test_grey_becomes_rgb(tmp_path: Path, suffix: str) -> None:
    grey = picture()[..., 1]
    assert close(read(tmp_path, "a" + suffix, encode(suffix, grey)), np.repeat(grey[..., None], 3, axis=2))


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_16_bits_keep_their_range(tmp_path: Path, suffix: str, channels: int) -> None:
    deep = (picture().astype(np.uint16) * 257)[..., : max(channels, 1)]
    deep[0, 0], deep[0, 1] = 0, 65535
    if channels == 1:
        deep = deep[..., 0]
    if channels == 4:
        deep = np.dstack([deep, np.full(deep.shape[:2], 65535, np.uint16)])
    want = np.broadcast_to((deep / 257).reshape(60, 80, -1)[..., : min(channels, 3)], (60, 80, 3))
    got = read(tmp_path, "a" + suffix, encode(suffix, deep))
    assert np.abs(got - want).max() <= 1


@pytest.mark.parametrize("suffix", [".png", ".webp", ".tif"])
def test_transparent_lies_on_white(tmp_path: Path, suffix: str) -> None:
    image = np.dstack([picture(), np.full((60, 80), 255, np.uint8)])
    image[:, :20, 3] = 0
    image[:, 20:40, 3] = 128
    options = (64, 101) if suffix == ".webp" else ()  # 64: IMWRITE_WEBP_QUALITY, above 100 is lossless
    got = read(tmp_path, "a" + suffix, encode(suffix, image, *options))
    half = np.round((picture()[:, 20:40] * 128.0 + 255 * 127.0) / 255)
    assert (got[:, :20] == 255).all()
    assert np.abs(got[:, 20:40] - half).max() <= 1
    assert np.array_equal(got[:, 40:], picture()[:, 40:])


@pytest.mark.parametrize("orientation", [1, 2, 3, 4, 5, 6, 7, 8])
def test_exif_turns_a_jpeg_upright(tmp_path: Path, orientation: int) -> None:
    stored = STORED[orientation](picture())
    assert close(read(tmp_path, "a.jpg", jpeg_with_exif(stored, orientation)), picture())


@pytest.mark.parametrize("orientation", [1, 2, 3, 4, 5, 6, 7, 8])
@pytest.mark.parametrize("order", ["<", ">"])
def test_exif_turns_a_png_upright(tmp_path: Path, orientation: int, order: str) -> None:
    stored = STORED[orientation](picture())
    assert np.array_equal(read(tmp_path, "a.png", png_with_exif(stored, orientation, order)), picture())
    clear = np.dstack([picture(), np.full((60, 80), 255, np.uint8)])
    clear[:10, :30, 3] = 0
    want = picture()
    want[:10, :30] = 255
    stored = STORED[orientation](clear)
    assert np.array_equal(read(tmp_path, "b.png", png_with_exif(stored, orientation, order)), want)


def test_nonsense_exif_is_ignored(tmp_path: Path) -> None:
    clear = np.dstack([picture(), np.full((60, 80), 255, np.uint8)])
    data = encode(".png", clear)
    for block in (b"", b"II*\0", b"II*\0\xff\xff\xff\xff", exif_block(99), b"II*\0" + struct.pack("<IH", 8, 9999)):
        assert np.array_equal(read(tmp_path, "a.png", data[:33] + png_chunk(b"eXIf", block) + data[33:]), picture())


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".bmp", ".tif"])
def test_one_pixel(tmp_path: Path, suffix: str) -> None:
    one = np.full((1, 1, 3), 200, np.uint8)
    assert close(read(tmp_path, "a" + suffix, encode(suffix, one)), one)


def test_the_content_decides_not_the_name(tmp_path: Path) -> None:
    assert np.array_equal(read(tmp_path, "a.jpg", encode(".png", picture())), picture())


def fault(folder: Path, name: str, content: bytes | None) -> str:
    """The error line for a file, without its path."""
    path = folder / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(LiftwildError) as caught:
        read_photo(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ") and "\n" not in message
    return message.removeprefix(f"{path}: ")


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".bmp", ".tif"])
@pytest.mark.parametrize("part", [0.02, 0.3, 0.7, 0.97])
def test_cut_short(tmp_path: Path, capfd: pytest.CaptureFixture[str], suffix: str, part: float) -> None:
    data = encode(suffix, picture(200, 300))
    fault(tmp_path, "a" + suffix, data[: int(len(data) * part)])
    assert capfd.readouterr().err == ""  # nor does a C library speak


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
def test_cut_short_is_named(tmp_path: Path, suffix: str) -> None:
    data = encode(suffix, picture(200, 300))
    assert "cut short" in fault(tmp_path, "a" + suffix, data[:-100])
    assert "cut short" in fault(tmp_path, "b" + suffix, data[: len(data) // 2] + bytes(10)) or suffix == ".png"


def test_the_end_of_a_thumbnail_is_not_the_end(tmp_path: Path) -> None:
    thumbnail = b"Exif\0\0" + encode(".jpg", picture(20, 30))
    data = encode(".jpg", picture(200, 300))
    whole = data[:2] + b"\xff\xe1" + struct.pack(">H", len(thumbnail) + 2) + thumbnail + data[2:]
    assert close(read(tmp_path, "a.jpg", whole), picture(200, 300))
    assert close(read(tmp_path, "b.jpg", whole + b"\0" * 100 + thumbnail), picture(200, 300))
    assert "cut short" in fault(tmp_path, "c.jpg", whole[: len(whole) * 2 // 3])


@pytest.mark.parametrize("option", [2, 4])  # IMWRITE_JPEG_PROGRESSIVE, IMWRITE_JPEG_RST_INTERVAL
def test_progressive_and_restarts(tmp_path: Path, option: int) -> None:
    data = encode(".jpg", picture(200, 300), option, 1)
    assert close(read(tmp_path, "a.jpg", data), picture(200, 300))
    assert "cut short" in fault(tmp_path, "b.jpg", data[:-2])


def test_a_damaged_png(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    data = bytearray(encode(".png", picture(200, 300)))
    data[len(data) // 2] ^= 255
    assert "checksum" in fault(tmp_path, "a.png", bytes(data))
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    "content", [b"hello", b"\0" * 1000, b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF\0\0\0\0WEBP"]
)
def test_no_image(tmp_path: Path, capfd: pytest.CaptureFixture[str], content: bytes) -> None:
    fault(tmp_path, "a.png", content)
    assert capfd.readouterr().err == ""


def test_too_large(tmp_path: Path) -> None:
    header = struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0)
    pixels = png_chunk(b"IDAT", zlib.compress(bytes(1000)))
    bomb = b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + pixels + png_chunk(b"IEND", b"")
    assert "too many pixels" in fault(tmp_path, "a.png", bomb)


def test_files_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert fault(tmp_path, "a.jpg", b"") == "is empty (0 bytes)"
    assert fault(tmp_path, "none.jpg", None) == "no such file"
    (tmp_path / "folder.jpg").mkdir()
    assert fault(tmp_path, "folder.jpg", None) == "is a folder, not a photo"
    os.mkfifo(tmp_path / "pipe.jpg")
    assert fault(tmp_path, "pipe.jpg", None) == "is not a regular file"
    assert "too long" in fault(tmp_path, "x" * 300, None)

    def refuse(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "read_bytes", refuse)  # root may read everything
    assert fault(tmp_path, "a.jpg", None) == "cannot be read: Permission denied"


def test_find_photos(tmp_path: Path) -> None:
    for name in ("b.JPG", "a.png", "c.webp", ".hidden.png", "labels.json", "sub/d.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "e.png").mkdir()
    assert find_photos([tmp_path]) == [tmp_path / name for name in ("a.png", "b.JPG", "c.webp")]
    missing, odd = tmp_path / "missing.jpg", tmp_path / "labels.json"
    again = [tmp_path / "c.webp", missing, tmp_path, odd, tmp_path / "sub" / ".." / "a.png"]
    assert find_photos(again) == [tmp_path / "c.webp", missing, tmp_path / "a.png", tmp_path / "b.JPG", odd]


def test_a_folder_without_photos(tmp_path: Path) -> None:
    with pytest.raises(LiftwildError, match=r"no photos in this folder \(avif, bmp, heic"):
        find_photos([tmp_path])
