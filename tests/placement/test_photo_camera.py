"""The camera of a photo: what its EXIF says, what is assumed, what is given."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liftwild.camera import Camera
from liftwild.errors import LiftwildError
from liftwild.media.image_file import inspect_image
from liftwild.placement.photo_camera import ASSUMED_DEG, assumed_camera, camera_of_exif, given_camera
from tests.support.images import encode, picture, png_chunk


def tiff(entries: dict[int, tuple[int, object]], exif: dict[int, tuple[int, object]], order: str = "<") -> bytes:
    """A TIFF block with a first table of tags and EXIF's own; values are numbers, or (above, below) for type 5."""
    form = {1: "B", 3: "H", 4: "I"}
    tables = [dict(entries), dict(exif)]
    starts = [8, 8 + 2 + 12 * (len(entries) + 1) + 4]
    data_at = starts[1] + 2 + 12 * len(exif) + 4
    tables[0][0x8769] = (4, starts[1])
    body, extra = b"", b""
    for table in tables:
        body += struct.pack(order + "H", len(table))
        for tag in sorted(table):
            kind, value = table[tag]
            if kind == 5:
                content = struct.pack(order + "I", data_at + len(extra))
                extra += struct.pack(order + "II", *value)  # type: ignore[misc]
            else:
                content = struct.pack(order + form[kind], value).ljust(4, b"\0")
            body += struct.pack(order + "HHI", tag, kind, 1) + content
        body += struct.pack(order + "I", 0)
    return (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8) + body + extra


def with_exif(block: bytes, kind: str, width: int = 80, height: int = 60) -> bytes:
    """A picture file with a TIFF block inside."""
    data = encode(kind, picture(height, width))
    if kind == ".png":
        return data[:33] + png_chunk(b"eXIf", block) + data[33:]
    segment = b"Exif\0\0" + block
    other = b"\xff\xe1" + struct.pack(">H", 12) + b"http://xyz"
    return data[:2] + other + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + data[2:]


@pytest.fixture
def camera_with(tmp_path: Path) -> Callable[..., tuple[Camera, str]]:
    """The camera of a photo, upright ``size``, with these EXIF tags."""

    def camera_with(
        exif: dict[int, tuple[int, object]], size: tuple[int, int] = (80, 60), turned: int = 1, order: str = "<",
        kind: str = ".jpg",
    ) -> tuple[Camera, str]:  # fmt: skip
        path = tmp_path / f"a{kind}"
        path.write_bytes(with_exif(tiff({0x0112: (3, turned)}, exif, order), kind))
        return camera_of_exif(inspect_image(path.read_bytes())[1].exif, *size)

    return camera_with


@pytest.mark.parametrize("kind", [".jpg", ".png"])
@pytest.mark.parametrize("order", ["<", ">"])
def test_focal_length_of_35_mm_film(camera_with: Callable[..., tuple[Camera, str]], kind: str, order: str) -> None:
    camera, words = camera_with({0xA405: (3, 26)}, order=order, kind=kind)
    assert words == "exif"
    focal = 26 * 100 / math.hypot(36, 24)
    assert camera == Camera(focal, focal, 40.0, 30.0)
    # Turned on its side the same camera; the middle is that of the upright photo.
    camera, _ = camera_with({0xA405: (3, 26)}, (60, 80), turned=6, order=order, kind=kind)
    assert camera == Camera(focal, focal, 30.0, 40.0)


def test_focal_length_by_the_sensor(camera_with: Callable[..., tuple[Camera, str]]) -> None:
    # 50 mm; 800 x 600 px were shot on a sensor of 20 x 15 mm (40 px/mm), the photo is a tenth of that.
    shot = {0x920A: (5, (50, 1)), 0xA20E: (5, (400, 1)), 0xA20F: (5, (420, 1)), 0xA210: (3, 3),
            0xA002: (4, 800), 0xA003: (3, 600)}  # fmt: skip
    camera, words = camera_with(shot)
    assert words == "exif" and camera.fx == pytest.approx(200) and camera.fy == pytest.approx(210)
    camera, _ = camera_with(shot, (60, 80), turned=8)
    assert camera.fx == pytest.approx(210) and camera.fy == pytest.approx(200)
    inches = {**shot, 0xA20E: (5, (1016, 1)), 0xA20F: (5, (1016, 1))}
    del inches[0xA210]
    assert camera_with(inches)[0].fx == pytest.approx(200)


@pytest.mark.parametrize(
    "exif",
    [
        {},
        {0xA405: (3, 0)},
        {0xA405: (3, 26), 0xA002: (4, 800), 0xA003: (4, 800)},  # cropped since
        {0xA405: (3, 5000)},
        {0xA405: (3, 3)},
        {0x920A: (5, (50, 1))},
        {0x920A: (5, (50, 0)), 0xA20E: (5, (400, 1)), 0xA20F: (5, (400, 1))},
        {0x920A: (5, (50, 1)), 0xA20E: (5, (400, 1)), 0xA20F: (5, (400, 1)), 0xA210: (3, 1)},
    ],
)
def test_exif_that_does_not_say(
    camera_with: Callable[..., tuple[Camera, str]], exif: dict[int, tuple[int, object]]
) -> None:
    camera, words = camera_with(exif)
    assert words == "assumed, 55 degrees across" and camera == assumed_camera(80, 60)[0]


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_broken_exif_never_raises(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    block = bytearray(tiff({0x0112: (3, 6)}, {0xA405: (3, 26), 0x920A: (5, (50, 1))}))
    for _ in range(data.draw(st.integers(1, 6))):
        block[data.draw(st.integers(0, len(block) - 1))] = data.draw(st.integers(0, 255))
    end = data.draw(st.integers(0, len(block)))
    path = tmp_path_factory.getbasetemp() / "broken.jpg"
    path.write_bytes(with_exif(bytes(block[:end]), ".jpg"))
    camera, words = camera_of_exif(inspect_image(path.read_bytes())[1].exif, 80, 60)
    assert words in ("exif", "assumed, 55 degrees across") and camera.fx > 0


def test_an_assumed_camera_spans_its_angle() -> None:
    for width, height in ((1920, 1080), (600, 800)):
        camera, words = assumed_camera(width, height)
        assert words == f"assumed, {ASSUMED_DEG:g} degrees across"
        assert 2 * math.degrees(math.atan(max(width, height) / 2 / camera.fx)) == pytest.approx(ASSUMED_DEG)
        assert (camera.cx, camera.cy, camera.fy) == (width / 2, height / 2, camera.fx)


def test_a_given_camera() -> None:
    assert given_camera([1100, 1050, 640, 350], 1280, 720) == (Camera(1100, 1050, 640, 350), "given")
    assert given_camera([1100, 1050, -300, 350], 1280, 720)[0].cx == -300  # the photo is a crop


@pytest.mark.parametrize(
    ("numbers", "says"),
    [
        ("1100,1050,640", "four numbers fx,fy,cx,cy in px"),
        ("a,b,c,d", "four numbers"),
        ("", "four numbers"),
        ("nan,1050,640,350", "not finite"),
        ("inf,1050,640,350", "not finite"),
        ("0,1050,640,350", "between 256 and 64000 px, not mm"),
        ("-1100,1050,640,350", "between"),
        ("26,26,640,350", "between 256 and 64000 px, not mm"),
        ("1100,300,640,350", "nearly alike"),
        ("1100,1050,99999,350", "near its middle, 640,360 px"),
        ("1100,1050,640,-99999", "near its middle"),
    ],
)
def test_wrong_camera_numbers(numbers: str, says: str) -> None:
    with pytest.raises(LiftwildError) as caught:
        given_camera(numbers.split(","), 1280, 720)  # type: ignore[arg-type]
    assert says in str(caught.value) and "\n" not in str(caught.value)
