"""``POST /v1/poses``: what comes back of a photo."""

from __future__ import annotations

import asyncio
import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from liftwild.media.photo import read_photo
from tests.support.commands import liftwild
from tests.support.images import encode, picture
from tests.support.server import PHOTO, asked, settings_of

PHOTO_BYTES = PHOTO.read_bytes()


def post(folder: Path, *requests: Mapping[str, Any], **changes: Any) -> list[httpx.Response]:
    """The answers to photos that are posted one after the other; of each the ``content``, ``params``, ``headers``."""

    async def ask() -> list[httpx.Response]:
        async with asked(settings_of(folder, **changes)) as client:
            return [await client.post("/v1/poses", **{"content": PHOTO_BYTES, **request}) for request in requests]

    return asyncio.run(ask())


def test_answers_are_what_predict_writes(tmp_path: Path) -> None:
    out = tmp_path / "out"
    liftwild("predict", PHOTO, "-o", out, "--weights", "small", "--runtime", "torch", "--format", "json,csv,bvh,npz")
    name = {"params": {"name": "person.jpg"}}
    accepts = ["*/*", "text/csv", "application/x-bvh", "text/html;q=0.9, application/x-npz"]
    answers = post(tmp_path / "data", *({**name, "headers": {"accept": accept}} for accept in accepts))
    files = ["person.json", "person.csv", "person.person0.bvh", "person.npz"]
    for answer, file in zip(answers, files, strict=True):
        assert answer.status_code == 200, answer.text
        assert answer.content == (out / file).read_bytes(), file
        assert answer.headers["content-disposition"] == f"attachment; filename*=UTF-8''{file}"
        assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("box", ["150,40,1200,1700", "200,60,120,180"])
def test_large_photos_are_what_predict_writes(box: str, tmp_path: Path) -> None:
    """They are decoded no larger than their people need."""
    photo = tmp_path / "large.jpg"
    photo.write_bytes(encode(".jpg", np.kron(read_photo(PHOTO), np.ones((4, 4, 1), np.uint8))))
    liftwild("predict", photo, "-o", tmp_path / "out", "--weights", "small", "--runtime", "torch", "--box", box)
    request = {"content": photo.read_bytes(), "params": {"name": "large.jpg", "box": box}}
    (answer,) = post(tmp_path / "data", request)
    assert answer.content == (tmp_path / "out" / "large.json").read_bytes()


def test_options_and_the_form(tmp_path: Path) -> None:
    out = tmp_path / "out"
    options = ["--whole", "--fov", "60", "--height-m", "1.8", "--skeleton", "coco17"]
    liftwild("predict", PHOTO, "-o", out, "--weights", "small", "--runtime", "torch", *options)
    params = {"whole": "true", "fov": "60", "height_m": "1.8", "joints": "coco17"}
    form = {"content": None, "files": {"photo": ("../me/person.jpg", PHOTO_BYTES, "text/html")}, "params": params}
    (answer,) = post(tmp_path / "data", form)
    found = json.loads(answer.content)
    assert found["image"].pop("file") == "../me/person.jpg"
    expected = json.loads((out / "person.json").read_bytes())
    del expected["image"]["file"]
    assert found == expected
    # A name from elsewhere is no path.
    assert answer.headers["content-disposition"] == "attachment; filename*=UTF-8''person.json"


def test_nobody_in_a_photo(tmp_path: Path) -> None:
    empty = encode(".png", picture(300, 300))
    found, refused = post(tmp_path, {"content": empty}, {"content": empty, "params": {"format": "bvh"}})
    assert found.json()["people"] == []
    assert refused.status_code == 422
    assert "nobody was found" in refused.json()["detail"]


@pytest.mark.parametrize(
    ("request_", "status", "said"),
    [
        ({"content": b""}, 400, "no file came"),
        ({"content": b"<svg xmlns='http://www.w3.org/2000/svg'/>"}, 422, "photo: "),
        ({"content": PHOTO_BYTES[:200]}, 422, "photo: "),
        ({"params": {"people": "0"}}, 422, "people: "),
        ({"params": {"at": "1"}}, 422, "at is 2 numbers"),
        ({"params": {"at": "1,2", "whole": "true"}}, 422, "exclude each other"),
        ({"params": {"weights": "../../etc/passwd"}}, 422, "no weights are called"),
        ({"params": {"format": "docx"}}, 422, "no format is called"),
        ({"params": {"heigth_m": "1.8"}}, 422, "called 'heigth_m' here; there are format, weights, name,"),
        ({"content": PHOTO_BYTES[:200], "params": {"name": "hol\niday.jpg"}}, 422, "hol\\niday.jpg: "),
        (
            {"content": None, "files": {"photo": ("a.jpg", PHOTO_BYTES)}, "data": {"height_m": "1.8"}},
            422, "'height_m' is in the form; options go into the address",
        ),
        ({"headers": {"accept": "image/png"}}, 406, "poses come as"),
        ({"headers": {"host": "evil.example"}}, 421, "not called so"),
        ({"headers": {"origin": "http://evil.example"}}, 403, "another site"),
    ],
)  # fmt: skip
def test_errors_are_one_clear_line(tmp_path: Path, request_: dict[str, object], status: int, said: str) -> None:
    (answer,) = post(tmp_path, request_)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == status
    assert said in problem["detail"] and "\n" not in problem["detail"]
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_people_of_a_photo_come_as_files_in_a_zip(tmp_path: Path) -> None:
    one = read_photo(PHOTO)
    both = encode(".jpg", np.concatenate([one, one[:, ::-1]], axis=1))
    ask: dict[str, Any] = {"content": both, "params": {"format": "bvh", "name": "pair.jpg", "people": "2"}}
    zipped, alone = post(tmp_path, ask, {**ask, "params": {**ask["params"], "person": "1"}})
    assert zipped.headers["content-type"] == "application/zip"
    assert "pair.bvh.zip" in zipped.headers["content-disposition"]
    with zipfile.ZipFile(io.BytesIO(zipped.content)) as archive:
        names = archive.namelist()
        assert names[:2] == ["pair.person0.bvh", "pair.person1.bvh"]
        assert alone.content == archive.read("pair.person1.bvh")


def test_own_weights_have_a_name_and_no_folder(tmp_path: Path, tiny_weights: Path) -> None:
    async def ask() -> tuple[httpx.Response, httpx.Response]:
        async with asked(settings_of(tmp_path, weights=str(tiny_weights))) as client:
            models = await client.get("/v1/models")
            named = {"weights": tiny_weights.stem, "whole": "true"}
            return models, await client.post("/v1/poses", params=named, content=PHOTO_BYTES)

    models, found = asyncio.run(ask())
    assert models.json()["default"] == tiny_weights.stem == models.json()["models"][0]["name"]
    assert str(tiny_weights.parent) not in models.text
    assert found.status_code == 200 and len(found.json()["people"]) == 1
