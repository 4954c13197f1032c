"""Photos that take much memory are refused before they are decoded; libraries do not speak; what reads HEIC."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import threading
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from liftwild.errors import LiftwildError
from liftwild.media import photo
from liftwild.media.image_header import read_header
from liftwild.media.library_noise import without_noise
from liftwild.media.photo import load_photo
from tests.support.images import encode, exif_block, picture, png_chunk

HIGH, WIDE = 60, 80


def png(width: int, height: int, depth: int, colour: int, *more: bytes) -> bytes:
    """A PNG whose header says so; its pixels are missing."""
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    pixels = png_chunk(b"IDAT", zlib.compress(bytes(1000)))
    return b"".join((b"\x89PNG\r\n\x1a\n", header, *more, pixels, png_chunk(b"IEND", b"")))


def webp(kind: bytes, content: bytes) -> bytes:
    body = b"WEBP" + kind + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def tiff(width: int, height: int, bits: int) -> bytes:
    rows = [(0x100, width), (0x101, height), (0x102, bits), (0x115, 1)]
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in rows)
    return b"II*\0" + struct.pack("<IH", 8, len(rows)) + entries + bytes(4)


def jpeg(width: int, height: int, marker: int) -> bytes:
    frame = struct.pack(">HBHHB", 17, 8, height, width, 3) + bytes(9)
    return b"\xff\xd8\xff" + bytes([marker]) + frame + b"\xff\xda\0\x02\xff\xd9"


TOO_LARGE = {
    "palette with transparency": png(20_000, 20_000, 8, 3, png_chunk(b"PLTE", bytes(3)), png_chunk(b"tRNS", b"\0")),
    "grey": png(32_000, 32_000, 8, 0),
    "RGBA of 16 bits": png(10_000, 10_000, 16, 6),
    "lossy WebP": webp(b"VP8 ", b"\0\0\0\x9d\x01\x2a" + struct.pack("<HH", 16383, 16383)),
    "lossless WebP": webp(b"VP8L", b"\x2f" + struct.pack("<I", 16382 | 16382 << 14)),
    "WebP with more": webp(b"VP8X", b"\x10\0\0\0" + (16382).to_bytes(3, "little") * 2),
    "JPEG": jpeg(65_000, 65_000, 0xC0),
    "progressive JPEG": jpeg(13_000, 13_000, 0xC2),
    "BMP": b"BM" + bytes(12) + struct.pack("<Iii", 40, 30_000, -30_000) + bytes(28),
    "TIFF": tiff(100_000, 100_000, 8),
    "TIFF of 64 bits": tiff(6_000, 6_000, 64),
    "GIF": b"GIF89a" + struct.pack("<HH", 60_000, 60_000) + bytes(20),
    "AVIF": b"\0\0\0\x14ftypavif\0\0\0\0mif1" + b"\0\0\0\x14ispe\0\0\0\0" + struct.pack(">II", 30_000, 30_000),
    "HEIC": b"\0\0\0\x14ftypheic\0\0\0\0mif1" + b"\0\0\0\x14ispe\0\0\0\0" + struct.pack(">II", 30_000, 30_000),
    "JPEG 2000": b"\0\0\0\x0cjP  \r\n\x87\n" + b"\0\0\0\x16ihdr" + struct.pack(">IIH", 30_000, 30_000, 3),
    "PNM": b"P6\n# a comment\n40000 40000\n255\n",
    "PAM": b"P7\nWIDTH 40000\nHEIGHT 40000\nDEPTH 4\n",
}


@pytest.mark.parametrize("kind", TOO_LARGE)
def test_what_takes_much_memory_is_not_decoded(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("it was decoded"))
    with pytest.raises(LiftwildError, match=r"^photo: has too many pixels \(\d+ x \d+\): such a .* make it smaller$"):
        load_photo(TOO_LARGE[kind])


def test_large_photos_of_cameras_are_read() -> None:
    """200 million px of a phone as JPEG, 108 million as PNG with transparency."""
    for width, height, content in (
        (16_320, 12_240, jpeg(16_320, 12_240, 0xC0)),
        (12_000, 9_000, png(12_000, 9_000, 8, 6)),
    ):
        header = read_header(content)
        assert (header.width, header.height) == (width, height)
        assert width * height * header.px_bytes <= photo.MAX_PIXEL_BYTES


KINDS = {
    ".jpg": "JPEG", ".png": "PNG", ".webp": "WebP", ".bmp": "BMP", ".tif": "TIFF", ".ppm": "PNM", ".gif": "GIF",
    ".avif": "AVIF", ".jp2": "JPEG 2000",
}  # fmt: skip


@pytest.mark.parametrize("suffix", KINDS)
def test_the_header_says_what_the_decoder_finds(suffix: str) -> None:
    try:
        content = encode(suffix, picture(HIGH, WIDE))
    except cv2.error:
        pytest.skip(f"this OpenCV writes no {suffix}")
    header = read_header(content)
    assert header[:3] == (KINDS[suffix], WIDE, HIGH)
    assert load_photo(content).image.shape == (HIGH, WIDE, 3)


MEASURE = """
import sys
from liftwild.media.image_file import inspect_image
from liftwild.media.photo import load_photo
def peak():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM")) * 1024
content = open(sys.argv[1], "rb").read()
header = inspect_image(content)[1]
load_photo(b"P6 1 1 255 abc")
before = peak()
load_photo(content)
print((peak() - before) / (header.width * header.height), header.px_bytes)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc")
@pytest.mark.parametrize("kind", ["rgba.png", "deep.png", "webp.webp", "progressive.jpg"])
def test_the_memory_of_a_pixel_is_not_more_than_was_said(kind: str, tmp_path: Path) -> None:
    grey = np.tile(np.arange(3000, dtype=np.uint16), (2000, 1))
    clear = np.dstack([grey * 20] * 4)
    block = exif_block(6)
    if kind.endswith(".png"):
        made = encode(
            ".png", clear if kind == "deep.png" else (clear >> 8).astype(np.uint8), cv2.IMWRITE_PNG_COMPRESSION, 1
        )
        made = made[:33] + png_chunk(b"eXIf", block) + made[33:]
    elif kind == "webp.webp":
        made = encode(".webp", (clear >> 8).astype(np.uint8))
    else:
        made = encode(".jpg", (clear >> 8).astype(np.uint8)[..., :3], cv2.IMWRITE_JPEG_PROGRESSIVE, 1)
        made = made[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 8) + b"Exif\0\0" + block + made[2:]
    (tmp_path / kind).write_bytes(made)
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(tmp_path / kind)], capture_output=True, text=True, check=True
    )
    used, said = map(float, done.stdout.split())
    assert 3 < used <= said + 0.5


def noisy_jpeg() -> bytes:
    """A JPEG that libjpeg complains about, and decodes."""
    data = encode(".jpg", picture(200, 300))
    at = data.rindex(b"\xff\xda") + 320
    return data[:at] + data[at + 40 :]


def test_a_damaged_photo_that_decodes_says_so_and_the_library_does_not(capfd: pytest.CaptureFixture[str]) -> None:
    loaded = load_photo(noisy_jpeg())
    assert loaded.image.shape == (200, 300, 3) and "Corrupt JPEG data" in loaded.damage
    assert load_photo(encode(".jpg", picture())).damage == ""
    assert capfd.readouterr().err == ""


def test_what_others_write_meanwhile_is_passed_on(capfd: pytest.CaptureFixture[str]) -> None:
    with without_noise() as noise:
        os.write(2, b"\rphotos: 3/4")
        os.write(2, b"Corrupt JPEG data: 3 extraneous bytes before marker 0xd9\n")
        os.write(2, b"libpng warning: iCCP: known incorrect sRGB profile\nmine\n")
    assert noise.damage == "Corrupt JPEG data: 3 extraneous bytes before marker 0xd9"
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "\rphotos: 3/4mine\nafter\n"


def test_many_threads_and_a_fork_leave_stderr_as_it_was(capfd: pytest.CaptureFixture[str]) -> None:
    data = noisy_jpeg()
    threads = [threading.Thread(target=lambda: [load_photo(data) for _ in range(20)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with without_noise():
        child = os.fork()
        if not child:
            os.write(2, b"child\n")
            os._exit(load_photo(data).image.shape != (200, 300, 3))
        assert os.waitpid(child, 0)[1] == 0
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "child\nafter\n"


def test_heic_without_its_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    small = TOO_LARGE["HEIC"].replace(struct.pack(">II", 30_000, 30_000), struct.pack(">II", 300, 200))
    with pytest.raises(LiftwildError, match=r"is HEIC, which needs pip install 'liftwild\[heic\]'; or convert it"):
        load_photo(small)


def test_heic(tmp_path: Path) -> None:
    heif: Any = pytest.importorskip("pillow_heif")
    path = tmp_path / "a.heic"
    heif.from_bytes(mode="RGB", size=(320, 240), data=picture(240, 320).tobytes()).save(path, quality=90)
    found = load_photo(path).image
    assert found.shape == (240, 320, 3) and np.abs(found.astype(int) - picture(240, 320)).mean() < 5
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(LiftwildError, match="is a damaged HEIC"):
        load_photo(path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"%PDF-1.7 ...", "is a PDF: save its pages as pictures first"),
        (b' {"image": 1}', "is JSON, no photo"),
        (b"<!DOCTYPE html>", "is a web page or SVG"),
        (b"PK\x03\x04zip", "is an archive"),
        (b"hello", "is no image that can be read"),
    ],
)
def test_what_is_no_photo_says_which_formats_are(content: bytes, said: str) -> None:
    with pytest.raises(LiftwildError, match=rf"^photo: {said}.*; photos are JPEG, PNG, .* and HEIC$"):
        load_photo(content)
