"""Stores of shards: people come back as they were, from folders and addresses; what is wrong is one line."""

from __future__ import annotations

import json
import pickle
import threading
from collections.abc import Callable
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pyarrow.parquet as pq
import pytest

from liftwild.data import shard_folder, shard_writing
from liftwild.data.shard_writing import split_stores, write_manifest, write_shard
from liftwild.data.shards import MANIFEST, OPEN, ShardedStore, open_store
from liftwild.data.store import Store, StoreWriter, stored_row
from liftwild.errors import LiftwildError
from tests.support.commands import liftwild
from tests.support.files import mutated
from tests.support.shards import make_shards, opened, split_people
from tests.support.stores import make_store, same, sample


@pytest.fixture(params=["folder", "memory"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where shards go: a folder, or an address."""
    return str(tmp_path / "shards") if request.param == "folder" else f"memory://{tmp_path.name}/shards"


# --- round trip ---


@pytest.mark.parametrize("format", ["arrow", "parquet"])
def test_people_come_back_as_they_were(tmp_path: Path, place: str, format: str) -> None:
    a = make_store(tmp_path / "a.arrow", (sample(i, size=60) for i in range(7)))
    b = make_store(tmp_path / "b.arrow", (sample(50 + i, three=False, size=60) for i in range(4)))
    assert split_stores([a.path, b.path], place, 3, format) == (11, 4, 0)  # type: ignore[arg-type]
    store = opened(place, tmp_path / "cache")
    assert len(store) == 11 and store.shard_rows == (3, 3, 3, 2) and store.scale == ""
    whole = {row.annotation_id: row for row in [a[i] for i in range(7)] + [b[i] for i in range(4)]}
    found = [store[i] for i in range(11)]
    assert sorted(row.annotation_id for row in found) == sorted(whole)
    assert [row.annotation_id for row in found] != sorted(whole)  # shuffled over all stores
    assert all(same(row, whole[row.annotation_id]) for row in found)
    assert store.means().people == 7
    np.testing.assert_allclose(store.means().bone_lengths_mm, a.means().bone_lengths_mm, rtol=1e-9)
    np.testing.assert_allclose(store.means().pose_mm, a.means().pose_mm, atol=1e-6)
    copy = pickle.loads(pickle.dumps(store))
    assert copy.fingerprint() == store.fingerprint() and same(copy[4], store[4])
    assert len(store._open) <= OPEN and isinstance(open_store(place), ShardedStore)
    with pytest.raises(IndexError):
        store[11]


def test_shards_of_arrow_lie_where_they_are(tmp_path: Path) -> None:
    store = opened(make_shards(tmp_path / "s", [[0], [1]]), tmp_path / "cache")
    assert store[1].annotation_id == 1 and not (tmp_path / "cache").exists()
    assert opened(f"file://{tmp_path / 's'}", tmp_path / "cache")[0].annotation_id == 0
    assert Store(tmp_path / "s" / "00001.arrow")[0].annotation_id == 1  # each is a store


def test_few_shards_are_open_at_a_time(tmp_path: Path) -> None:
    store = opened(make_shards(tmp_path / "s", [[i] for i in range(OPEN + 3)]), tmp_path / "cache")
    assert [store[i].annotation_id for i in range(len(store))] == list(range(OPEN + 3)) and len(store._open) == OPEN


def test_other_programs_read_them(tmp_path: Path) -> None:
    split_people(tmp_path, 4, tmp_path / "s", 4, format="parquet")
    table = pq.read_table(tmp_path / "s" / "00000.parquet")
    assert sorted(table["annotation_id"].to_pylist()) == [0, 1, 2, 3] and table["image"][0].as_py()[:2] == b"\xff\xd8"


def test_folders_at_an_address_are_made(tmp_path: Path) -> None:
    place = f"local://{tmp_path}/new/folder"
    assert split_people(tmp_path, 4, place) and opened(place, tmp_path / "cache")[3].box
    (tmp_path / "file").touch()
    with pytest.raises(LiftwildError, match="Not a directory"):
        split_stores([tmp_path / "whole.arrow"], f"local://{tmp_path}/file/folder")


def test_a_web_server(tmp_path: Path) -> None:
    make_shards(tmp_path / "s", [[0], [1]])
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(SilentHandler, directory=tmp_path))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        address = f"http://127.0.0.1:{server.server_port}"
        store = opened(f"{address}/s/", tmp_path / "cache")
        assert [store[i].annotation_id for i in range(2)] == [0, 1]
        (tmp_path / "s" / "00001.arrow").unlink()  # a server lists nothing: it shows where it is needed
        with pytest.raises(LiftwildError, match=r"/s/00001\.arrow: no such file"):
            opened(f"{address}/s", tmp_path / "other")[1]
        with pytest.raises(LiftwildError, match=r"it has no store\.json"):
            opened(f"{address}/none", tmp_path / "cache")
    finally:
        server.shutdown()
        server.server_close()


class SilentHandler(SimpleHTTPRequestHandler):
    """Serves files and says nothing."""

    def log_message(self, *_: Any) -> None:
        pass


# --- writing ---


def test_a_split_goes_on_where_it_ended(tmp_path: Path, place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = tmp_path / "whole"
    split_people(tmp_path, 10, whole)

    def until_third(numbers: Any, total: int) -> Any:
        assert total == 4
        for number in numbers:
            if number == 2:
                raise KeyboardInterrupt
            yield number

    with pytest.raises(KeyboardInterrupt):
        split_stores([tmp_path / "whole.arrow"], place, 3, progress=until_third)
    with pytest.raises(LiftwildError, match=r"no store of shards .* written last"):
        opened(place, tmp_path / "cache")
    written = []
    write = shard_writing.write_shard
    monkeypatch.setattr(shard_writing, "write_shard", lambda *given: written.append(given[1]) or write(*given))
    assert split_stores([tmp_path / "whole.arrow"], place, 3) == (10, 4, 2) and written == [2, 3]
    assert opened(place, tmp_path / "cache").fingerprint() == opened(whole, tmp_path / "cache").fingerprint()
    # A shard that is damaged since is written anew.
    system, path = fsspec.core.url_to_fs(f"{place}/00001.arrow")
    system.pipe_file(path, system.cat_file(path)[:-1] + b"?")
    assert split_stores([tmp_path / "whole.arrow"], place, 3) == (10, 4, 3) and written == [2, 3, 1]
    assert len({opened(place, tmp_path / "cache")[i].annotation_id for i in range(10)}) == 10


def test_another_split_is_not_mixed_in(tmp_path: Path, place: str) -> None:
    split_people(tmp_path, 5, place)
    for rows, path in ((4, tmp_path / "whole.arrow"), (3, make_store(tmp_path / "b.arrow", [sample(9, size=40)]).path)):
        with pytest.raises(LiftwildError, match="another split"):
            split_stores([path], place, rows)
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "1.png").touch()
    with pytest.raises(LiftwildError, match="something else"):
        split_stores([tmp_path / "b.arrow"], str(tmp_path / "photos"))
    with pytest.raises(LiftwildError, match="is a file"):
        split_stores([tmp_path / "b.arrow"], str(tmp_path / "photos" / "1.png"))


def test_shards_of_several_workers_become_a_store(tmp_path: Path, place: str) -> None:
    for number in (2, 0):
        write_shard(place, number, [stored_row(sample(number, size=40))])
    with pytest.raises(LiftwildError, match=r"00001.json is missing: that shard is not written"):
        write_manifest(place, 3)
    write_shard(place, 1, [stored_row(sample(1, size=40))], "true")
    with pytest.raises(LiftwildError, match="another scale"):
        write_manifest(place, 3)
    write_shard(place, 1, [stored_row(sample(1, size=40))])
    assert write_manifest(place, 3) == opened(place, tmp_path / "c").fingerprint()
    first = opened(place, tmp_path / "c").fingerprint()
    write_shard(place, 3, [stored_row(sample(3, size=40))])  # it grows
    assert len(opened(place, tmp_path / "c")) == 3  # until the list is written
    write_manifest(place, 4)
    assert len(opened(place, tmp_path / "c")) == 4 and opened(place, tmp_path / "c").fingerprint() != first
    with pytest.raises(LiftwildError, match="would hold nobody"):
        write_shard(place, 4, [])


def test_stores_of_two_scales_are_no_store(tmp_path: Path) -> None:
    make_store(tmp_path / "a.arrow", [sample(0, size=40)])
    with StoreWriter(tmp_path / "b.arrow", "true") as writer:
        writer.add(stored_row(sample(1, size=40)))
    with pytest.raises(LiftwildError, match="differ in scale"):
        split_stores([tmp_path / "a.arrow", tmp_path / "b.arrow"], str(tmp_path / "s"))
    assert not (tmp_path / "s").exists()
    split_stores([tmp_path / "b.arrow"], str(tmp_path / "s"), format="parquet")
    assert (
        opened(tmp_path / "s", tmp_path / "c")[0].annotation_id == 1 and open_store(str(tmp_path / "s")).scale == "true"
    )


def test_a_damaged_picture_is_not_split(tmp_path: Path) -> None:
    path = make_store(tmp_path / "a.arrow", [sample(0, size=40), sample(1, size=40)]).path
    content = bytearray(path.read_bytes())
    content[content.rindex(b"\xff\xd8\xff") + 40] ^= 1
    path.write_bytes(content)
    with pytest.raises(LiftwildError, match="picture of row 1 is broken"):
        split_stores([path], str(tmp_path / "s"))
    assert not (tmp_path / "s" / "00000.arrow").exists()


# --- what is wrong ---


def test_what_is_no_store_of_shards(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for path, words in (
        (str(tmp_path / "empty"), "it has no store.json, which is written last"),
        ("memory://nothing/here", "it has no store.json"),
        ("nonsense://x", "cannot be read: Protocol not known: nonsense"),
        (str(tmp_path / "none"), "no store"),
    ):
        with pytest.raises(LiftwildError, match=words) as raised:
            open_store(path)
        assert path in str(raised.value) and "\n" not in str(raised.value)


def shard_of(place: str, name: str) -> tuple[Any, str]:
    return fsspec.core.url_to_fs(f"{place}/{name}")


@pytest.mark.parametrize(
    ("change", "words", "at_once"),
    [
        (lambda system, path: system.rm(path), "00001.arrow is missing, which store.json lists", True),
        (lambda system, path: system.pipe_file(path, system.cat_file(path) + b"more"), "it is damaged or was", True),
        (lambda system, path: system.pipe_file(path, system.cat_file(path)[:-9]), "bytes, store.json says", True),
        (lambda system, path: system.pipe_file(path, b"x" * system.size(path)), r"does not hold .* \(SHA-256\)", False),
    ],
)
def test_a_shard_that_is_another(
    tmp_path: Path, place: str, change: Callable[[Any, str], None], words: str, at_once: bool
) -> None:
    make_shards(place, [[0], [1], [2]])
    before = opened(place, tmp_path / "cache")
    change(*shard_of(place, "00001.arrow"))
    with pytest.raises(LiftwildError, match=words):
        opened(place, tmp_path / "cache")[1] if at_once else before[1]
    with pytest.raises(LiftwildError, match=r"00001\.arrow") as raised:
        before[1]
    assert place in str(raised.value) and "\n" not in str(raised.value)
    assert before[0].annotation_id == 0 and before[2].annotation_id == 2
    assert not list(tmp_path.glob("cache/**/*.part"))


def test_a_shard_with_the_people_of_another(tmp_path: Path) -> None:
    make_shards(tmp_path / "s", [[0], [1]])
    path = tmp_path / "s" / MANIFEST
    content = json.loads(path.read_text())
    content["shards"][1]["rows"] = 2
    path.write_text(json.dumps(content))
    with pytest.raises(LiftwildError, match="has other people than store"):
        opened(tmp_path / "s", tmp_path / "cache")[1]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda m: m.update(version=2), "version must be"),
        (lambda m: m.update(shards=[]), "lists no shards"),
        (lambda m: m.update(joint_names=["nose"]), "joints"),
        (lambda m: m.update(scale="huge"), "scale"),
        (lambda m: m["means"].update(bone_lengths_mm=[1.0]), "bone_lengths_mm"),
        (lambda m: m["means"].update(people=-1), "people"),
        (lambda m: m["shards"][0].update(name="../x.arrow"), "name must be a name as 00000.arrow"),
        (lambda m: m["shards"][0].update(name="x/y.arrow"), "name must be"),
        (lambda m: m["shards"][0].update(rows=0), "rows"),
        (lambda m: m["shards"][0].update(sha256="../../x"), "sha256 must be 64 hex digits"),
        (lambda m: m["shards"][0].update(bytes=True), "bytes"),
        (lambda m: m.pop("shards"), "shards is missing"),
    ],
)
def test_a_list_of_shards_that_cannot_be(tmp_path: Path, change: Callable[[Any], Any], words: str) -> None:
    make_shards(tmp_path / "s", [[0]])
    path = tmp_path / "s" / MANIFEST
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    with pytest.raises(LiftwildError, match=words) as raised:
        opened(tmp_path / "s", tmp_path / "cache")
    assert str(path) in str(raised.value) and "\n" not in str(raised.value)
    path.write_bytes(b"{")
    with pytest.raises(LiftwildError, match="is not JSON"):
        opened(tmp_path / "s", tmp_path / "cache")


def test_a_damaged_list_is_read_as_it_was_or_refused(tmp_path: Path) -> None:
    path = Path(make_shards(tmp_path / "s", [[0], [1]])) / MANIFEST
    rng, content, refused = np.random.default_rng(0), path.read_bytes(), 0
    for _ in range(150):
        path.write_bytes(mutated(content, rng))
        try:
            store = opened(tmp_path / "s", tmp_path / "cache")
            assert [store[i].annotation_id for i in range(len(store))] in ([0, 1], [0], [1])
        except LiftwildError as error:
            refused += 1
            assert str(tmp_path) in str(error) and "\n" not in str(error)
    assert 50 < refused <= 150


def test_what_a_network_says_is_tried_again_and_then_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = opened(make_shards("memory://tries/s", [[0], [1]]), tmp_path / "cache")
    monkeypatch.setattr(shard_folder, "WAIT_S", 0.0)
    memory, failures = type(fsspec.filesystem("memory")), [2]
    get_file = memory.get_file

    def flaky(self: Any, *given: Any, **more: Any) -> Any:
        failures[0] -= 1
        if failures[0] >= 0:
            raise RuntimeError("connection reset\nby peer")
        return get_file(self, *given, **more)

    monkeypatch.setattr(memory, "get_file", flaky)
    assert store[0].annotation_id == 0
    failures[0] = 100
    with pytest.raises(LiftwildError, match=r"memory://tries/s/00001.arrow: cannot be fetched: by peer$"):
        store[1]


def test_the_command(tmp_path: Path) -> None:
    make_store(tmp_path / "a.arrow", [sample(i, size=40) for i in range(5)])
    done = liftwild("prepare", "split", tmp_path / "a.arrow", "-o", tmp_path / "s", "--rows", 2)
    assert f"5 people in 3 shards in {tmp_path / 's'}\n" in done.output
    done = liftwild("prepare", "split", tmp_path / "a.arrow", "-o", tmp_path / "s", "--rows", 2)
    assert "; 3 of them were there already" in done.output
