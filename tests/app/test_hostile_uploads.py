"""Uploads that mean harm, or are broken: each gets the right answer in time, the server lives, others are served."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterator

import av
import pytest

from tests.support.hostile import (
    FILE,
    FORM,
    JPEG,
    POSES,
    HostileServer,
    answer,
    asked_all,
    attacked_server,
    endless_gif,
    form,
    head,
    jpeg_header,
    packed_rows,
    png_header,
    post,
    serves_others,
    webp_header,
)
from tests.support.images import picture
from tests.support.server import CLIP

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc, and limits processes")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HostileServer]:
    with attacked_server(tmp_path_factory.mktemp("hostile") / "data") as started:
        yield started


@pytest.fixture(autouse=True)
def check_that_others_are_served(server: HostileServer) -> Iterator[None]:
    """After each test."""
    yield
    serves_others(server)


@pytest.mark.parametrize(
    ("photo", "said"),
    [
        pytest.param(png_header(50_000, 50_000), "50000 x 50000 px", id="png"),
        pytest.param(jpeg_header(50_000, 50_000), "50000 x 50000 px", id="jpeg"),
        pytest.param(webp_header(50_000, 50_000), "50000 x 50000 px", id="webp"),
        pytest.param(png_header(2**31 - 1, 2**31 - 1), "2147483647 x 2147483647 px", id="png-largest"),
        pytest.param(png_header(7000, 7000, packed_rows(10, 10)), "is damaged", id="png-lies"),
        pytest.param(png_header(10, 10, packed_rows(5000, 5000)), "photo", id="png-more-than-said"),
        pytest.param(endless_gif(100_000), "photo", id="gif-endless"),
        pytest.param(b"<svg xmlns='http://www.w3.org/2000/svg'><script>1</script></svg>", "web page or SVG", id="svg"),
        pytest.param(b"<!doctype html><script>alert(1)</script>", "web page or SVG", id="html"),
        pytest.param(b"GIF89a<script>alert(1)</script>" + b" " * 99, "photo", id="html-as-gif"),
        pytest.param(b"PK\3\4" + JPEG, "archive", id="zip-first"),
        pytest.param(JPEG[:300], "photo", id="cut"),
        pytest.param(b"\0" * 100_000, "photo", id="zeros"),
    ],
)  # fmt: skip
def test_photos_that_are_none(server: HostileServer, photo: bytes, said: str) -> None:
    found = answer(server, post(server.port, photo))
    if found.status == 200:  # a picture after all, whatever follows it
        assert photo == png_header(10, 10, packed_rows(5000, 5000))
    else:
        assert found.status == 422, found
        assert said in found.detail
    assert found.seconds < 20


def test_a_real_bomb_is_decoded_where_it_harms_nobody(server: HostileServer) -> None:
    bomb = png_header(4000, 4000, packed_rows(4000, 4000))  # 48 MB of 0.05
    assert len(bomb) < 200_000
    found = asked_all(server.port, [post(server.port, bomb), *[post(server.port, JPEG)] * 3])
    assert [each.status for each in found] == [200] * 4


@pytest.mark.parametrize("tail", [b"<script>alert(1)</script>", b"PK\5\6" + bytes(18)], ids=["html", "zip"])
def test_polyglots_are_photos_and_come_back_as_data(server: HostileServer, tail: bytes) -> None:
    found = answer(server, post(server.port, JPEG + tail, f"{POSES}&name=x.html"))
    assert found.status == 200
    assert found.headers["content-type"] == "application/json"
    assert found.headers["x-content-type-options"] == "nosniff"
    assert found.headers["content-disposition"].startswith("attachment")


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (form(FILE, end=False), 400, "cut short"),
        (form(FILE, FILE), 400, "several files"),
        (form((b'name="x"', b"y" * 100_000), FILE), 413, "fields of the form"),
        (form((b"x" * 40_000, b""), FILE), 400, "no multipart"),
        (form(*[(b'name="x"', b"")] * 2000), 413, "fields of the form"),
        (form((b'name="photo"', JPEG)), 400, "no file came"),
        (form((FILE[0], form(FILE, boundary=b"inner"))), 422, "photo"),
        (form((FILE[0], b"")), 400, "no file came"),
        (b"--bound--\r\n", 400, "no file came"),
        (b"no form at all", 400, "no multipart"),
        (b"--bound\r\nContent-Disposition\r\n\r\n", 400, "no multipart"),
        (b"--bound\r\n" + b"A: b\r\n" * 2000 + b"\r\n", 400, "no multipart"),
        (b"", 400, "cut short"),
    ],
)
def test_broken_forms(server: HostileServer, body: bytes, status: int, said: str) -> None:
    found = answer(server, post(server.port, body, POSES, FORM))
    assert (found.status, said in found.detail) == (status, True), found


@pytest.mark.parametrize("boundary", ["", "; boundary=", f"; boundary={'b' * 5000}", '; boundary="' + ';\\"' * 4000])
def test_forms_without_a_boundary(server: HostileServer, boundary: str) -> None:
    found = answer(server, post(server.port, form(FILE), POSES, f"Content-Type: multipart/form-data{boundary}"))
    assert (found.status, "boundary" in found.detail) == (400, True), found
    assert found.seconds < 2


def test_what_follows_a_form_counts(server: HostileServer) -> None:
    chunk = b"100000\r\n" + b"z" * 0x100000 + b"\r\n"
    first = form(FILE)
    begin = head("POST", POSES, server.port, FORM, "Transfer-Encoding: chunked") + b"%x\r\n%s\r\n" % (len(first), first)
    found = answer(server, begin, *[chunk] * 60)
    assert (found.status, "too large" in found.detail) == (413, True), found


def test_bodies_that_lie_about_their_length(server: HostileServer) -> None:
    found = answer(server, post(server.port, JPEG, length=len(JPEG) + 1000), closes=True)
    assert (found.status, "cut short" in found.detail) == (400, True), found
    found = answer(server, post(server.port, JPEG, length=10**15))
    assert (found.status, "too large" in found.detail) == (413, True), found
    found = answer(server, post(server.port, JPEG, length=100))  # the rest is no request
    assert found.status == 422, found


@pytest.mark.parametrize(
    "name",
    ["../../etc/passwd", "..\\..\\x", "a\0b", "CON", "nul.txt", "x" * 4000, "\u202egpj.exe", '"; filename="y',
     "a\r\nSet-Cookie: a=b", "\udcff\udc80", ""],
)  # fmt: skip
def test_names_of_files(server: HostileServer, name: str) -> None:
    named = b'name="photo"; filename="%s"' % name.encode("utf-8", "surrogateescape")
    found = answer(server, post(server.port, form((named, JPEG)), f"{POSES}&format=csv", FORM))
    if "\r\n" in name:  # it is a header of the part, then
        assert found.status in (200, 400)
    else:
        assert found.status == 200, found
    assert "set-cookie" not in found.headers
    if found.status == 200:
        file = found.headers["content-disposition"].removeprefix("attachment; filename*=UTF-8''")
        assert file.endswith(".csv") and len(file) < 200
        assert not set(file) & set("/\\\"'; \r\n\0") and file.split(".")[0].upper() not in ("CON", "NUL", "")


def clip_that_lasts(seconds: int) -> bytes:
    """A video of two frames, the second one after so long."""
    file = io.BytesIO()
    with av.open(file, "w", format="matroska") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height = 160, 120
        for number in (0, 25 * seconds):
            image = av.VideoFrame.from_ndarray(picture(120, 160), format="rgb24")
            image.pts = number
            container.mux(stream.encode(image))
        container.mux(stream.encode())
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "status", "said"),
    [
        pytest.param(clip_that_lasts(36_000), 422, "../../x: lasts", id="ten-hours"),
        pytest.param(CLIP.read_bytes()[:3000], 422, "", id="cut"),
        pytest.param(endless_gif(200_000), 422, "../../x: lasts", id="gif-endless"),
        pytest.param(png_header(50_000, 50_000), 422, "50000 x 50000 px", id="png"),
        pytest.param(b"<svg/>", 422, "", id="svg"),
        pytest.param(b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", 422, "", id="playlist"),
        pytest.param(b"ffconcat version 1.0\nfile /etc/passwd\n", 422, "", id="concat"),
        pytest.param(b"", 400, "no file came", id="empty"),
    ],
)
def test_recordings_that_are_none(server: HostileServer, content: bytes, status: int, said: str) -> None:
    found = answer(server, post(server.port, content, "/v1/recordings?name=../../x"))
    assert (found.status, said in found.detail) == (status, True), found
    assert "passwd" not in found.detail and "root:" not in found.detail
    listed = json.loads(answer(server, head("GET", "/v1/recordings", server.port)).body)
    assert listed == {"recordings": []}


@pytest.mark.parametrize("id", ["..", "%2e%2e", "..%2f..%2fetc%2fpasswd", "a" * 10_000, "%00", "'%20or%201=1--"])
def test_ids_are_no_paths(server: HostileServer, id: str) -> None:
    for path in (f"/v1/recordings/{id}", f"/v1/recordings/{id}/picture", f"/page/{id}", f"/viewer/{id}"):
        assert answer(server, head("GET", path, server.port)).status == 404
