"""Preparing a store from labels and photos: what is left out, and whole or not at all."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from liftwild.data.prepare import find_photo, prepare_labels, write_skips
from liftwild.data.store import Store, StoreWriter, stored_row
from liftwild.errors import LiftwildError
from tests.support.images import picture, write_photo
from tests.support.label_files import HEIGHT, WIDTH, annotation, keypoints, labels, write_labels
from tests.support.poses import J
from tests.support.stores import make_store, prepare, sample


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# --- prepare: what is left out ---


def test_bad_photos_are_skipped_and_the_rest_is_fine(tmp_path: Path) -> None:
    good = write_photo(tmp_path / "good.jpg").read_bytes()
    files: dict[str, np.ndarray | bytes | None] = {
        "corrupt.jpg": b"\xff\xd8\xff" + bytes(range(256)) * 8,
        "cut.jpg": good[: len(good) // 2],
        "text.png": b"not a picture",
        "empty.png": b"",
        "other-size.png": picture(HEIGHT, WIDTH - 1),
        "turned.png": picture(WIDTH, HEIGHT),
        "good.jpg": good,
        "last.png": None,
    }
    listed = [*files, "missing.png"]
    entries = [annotation(10 + i, 1 + i) for i in range(len(listed))]
    entries += [annotation(30, 1 + listed.index("good.jpg")), annotation(31, 1 + listed.index("corrupt.jpg"))]
    entries[listed.index("last.png")]["bbox"] = [90, 10, 140, 200]
    done = prepare(tmp_path, labels(entries, files=listed), files)
    store = Store(tmp_path / "x.arrow")
    assert [store[i].annotation_id for i in range(len(store))] == [16, 30, 17] and (done.people, done.photos) == (3, 2)
    assert done.reasons() == {"photo cannot be read": 6, "photo has another size than its labels say": 2}
    said = {skip.annotation_id: str(skip) for skip in done.skips}
    assert said[10].startswith("corrupt.jpg, annotation 10: photo cannot be read (")
    assert "cut short" in said[11] and "empty" in said[13] and "no such file" in said[18] and 31 in said
    assert said[14].endswith(f"(photo is {WIDTH - 1}x{HEIGHT}, labels say {WIDTH}x{HEIGHT})")
    listing = write_skips(done, tmp_path / "x.arrow")
    assert listing is not None and listing.read_text().splitlines()[1:] == [str(skip) for skip in done.skips]
    assert write_skips(replace(done, skips=[]), tmp_path / "x.arrow") is None and not listing.exists()


def test_boxes_that_are_not_on_the_photo(tmp_path: Path) -> None:
    content = labels(
        [
            annotation(1, bbox=[-60, 10, 55, 80], keypoints=keypoints(np.full((J, 2), (0.0, 40.0)))),
            annotation(2, bbox=[-4000, -4000, 8400, 8300]),
            annotation(3),
        ]
    )
    done = prepare(tmp_path, content)
    assert [(skip.annotation_id, skip.reason) for skip in done.skips] == [
        (1, "bbox outside the photo"),
        (2, "bbox far larger than the photo"),
    ]
    assert done.people == 1


def test_labels_that_state_no_size_are_held_against_the_photo(tmp_path: Path) -> None:
    outside = annotation(2)
    outside["keypoints"][0:2] = [WIDTH + 9.0, 20.0]
    content = labels(
        [annotation(1), outside, annotation(3, keypoints=[1e30, 5, 2] * J, bbox=[1e30, 5, 9, 9])], width=None, height=0
    )
    done = prepare(tmp_path, content)
    assert done.people == 1 and Counter(skip.annotation_id for skip in done.skips) == {2: 1, 3: 1}
    assert str(done.skips[0]) == f"a.png, annotation 2: joint outside the photo (photo is {WIDTH}x{HEIGHT})"


def test_people_of_one_photo_are_read_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """COCO's annotations are in no order; Label Studio lists a photo once for each annotator."""
    read: list[str] = []
    monkeypatch.setattr("liftwild.data.prepare.read_photo", lambda path: (read.append(path.name), picture(240, 320))[1])
    content = labels([annotation(i, 1 + i % 3) for i in range(1, 10)], files=["a.png", "b.png", "a.png"])
    done = prepare(tmp_path, content, {"a.png": None, "b.png": None})
    assert sorted(read) == ["a.png", "b.png"] and (done.people, done.photos) == (9, 2)
    store = Store(tmp_path / "x.arrow")
    assert [store[i].annotation_id for i in range(9)] == [1, 4, 7, 2, 3, 5, 6, 8, 9]
    assert [store[i].source for i in range(9)] == ["b.png"] * 3 + ["a.png"] * 6


def test_file_names_as_tools_write_them(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    for name in ("a.png", "sub/b.png", "sub/a.png", "c d.png"):
        write_photo(folder / name)
    write_photo(tmp_path / "secret.png")
    write_photo(tmp_path / "photos2" / "x.png")
    for name, found in {
        "a.png": "a.png",
        "./a.png": "a.png",
        "sub/b.png": "sub/b.png",
        "sub\\a.png": "sub/a.png",
        "photos/sub/a.png": "sub/a.png",
        "..\\..\\label-studio\\media\\upload\\4\\a.png": "a.png",
        "/data/upload/4/a.png": "a.png",
        "/data/local-files/?d=photos/a.png": "a.png",
        "https://host/bucket/c d.png": "c d.png",
        "C:\\me\\a.png": "a.png",
        "sub/../a.png": "sub/a.png",
    }.items():
        assert find_photo(folder, name) == folder / found, name
    for name in ("../secret.png", str(tmp_path / "secret.png"), "../photos2/x.png", "sub", "..", "/", ".", "b.png"):
        assert find_photo(folder, name) is None, name
    assert find_photo(folder, "x" * 5000 + ".png") is None and find_photo(folder, "a\0.png") is None


def test_two_names_for_one_photo_are_no_guess(tmp_path: Path) -> None:
    files = ["1/a.png", "2/a.png", "a.png", "9/b.png"]
    content = labels([annotation(i, i) for i in range(1, 5)], files=files)
    done = prepare(tmp_path, content, {"a.png": None, "b.png": None})
    store = Store(tmp_path / "x.arrow")
    assert [store[i].source for i in range(len(store))] == ["a.png", "9/b.png"]
    assert [skip.annotation_id for skip in done.skips] == [1, 2]
    assert "answers to several names" in done.skips[0].detail


def test_labels_cannot_reach_outside_of_the_folder(tmp_path: Path) -> None:
    write_photo(tmp_path / "secret.png")
    content = labels([annotation(1, 1), annotation(2, 2)], files=["../secret.png", str(tmp_path / "secret.png")])
    with pytest.raises(LiftwildError, match=r"nobody .* could be used, 2 left out; most of them like ../secret.png"):
        prepare(tmp_path, content, {"other.png": None})


# --- prepare: whole or not at all ---


def test_nobody_usable_leaves_no_file(tmp_path: Path) -> None:
    for content in (labels([]), labels([annotation(iscrowd=1)]), labels([annotation()], files=["missing.png"])):
        with pytest.raises(LiftwildError, match=r"nobody of .* could be used"):
            prepare(tmp_path, content, {"a.png": None})
        assert names(tmp_path) == ["labels.json", "photos"]


def test_errors_of_the_whole(tmp_path: Path) -> None:
    content = labels([annotation()])
    prepare(tmp_path, content)
    path = tmp_path / "labels.json"
    for images, out, says in (
        ("none", "y.arrow", "no folder of photos"),
        ("labels.json", "y.arrow", "no folder of photos"),
        ("photos", "no/y.arrow", "no folder .* to write y.arrow into"),
        ("photos", "photos", "is a folder, not a file"),
        ("photos", "labels.json/y.arrow", "no folder "),
        ("photos", "z" * 250 + ".arrow", "cannot be written.*name too long"),
    ):
        with pytest.raises(LiftwildError, match=f"(?i){says}"):
            prepare_labels(path, tmp_path / images, tmp_path / out)
    with pytest.raises(LiftwildError, match=r"none.json: no such file"):
        prepare_labels(tmp_path / "none.json", tmp_path / "photos", tmp_path / "y.arrow")
    assert names(tmp_path) == ["labels.json", "photos", "x.arrow"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, MemoryError, LiftwildError])
def test_an_interruption_leaves_the_older_store(tmp_path: Path, error: type[BaseException]) -> None:
    files = [f"{i}.png" for i in range(9)]
    content = labels([annotation(i + 1, i + 1) for i in range(9)], files=files)
    prepare(tmp_path, content)
    older = (tmp_path / "x.arrow").read_bytes()

    def stopped(photos: Iterator[Any], total: int) -> Iterator[Any]:
        for number, result in enumerate(photos):
            if number == 4:
                raise error("stop")
            yield result

    for output in ("x.arrow", "y.arrow"):
        with pytest.raises(error, match="stop"):
            prepare_labels(tmp_path / "labels.json", tmp_path / "photos", tmp_path / output, stopped)
    assert names(tmp_path) == ["labels.json", "photos", "x.arrow"]
    assert (tmp_path / "x.arrow").read_bytes() == older
    prepare(tmp_path, labels([annotation()], files=["0.png"]))
    assert len(Store(tmp_path / "x.arrow")) == 1


def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        def write_batch(self, batch: Any, custom_metadata: Any) -> None:
            raise OSError(28, "No space left on device")

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    says = r"x\.arrow: cannot be written: No space left"
    with pytest.raises(LiftwildError, match=says), StoreWriter(tmp_path / "x.arrow") as writer:
        writer._writer = Full()
        for i in range(64):
            writer.add(stored_row(sample(i, size=40)))
    monkeypatch.setattr("liftwild.files.os.fsync", full)
    with pytest.raises(LiftwildError, match=says), StoreWriter(tmp_path / "x.arrow") as writer:
        writer.add(stored_row(sample()))
    assert names(tmp_path) == []


SLOW = """
import sys, time
from liftwild.data.prepare import prepare_labels
def slow(photos, total):
    for number, result in enumerate(photos):
        yield result
        if number == 70:  # more than a batch of rows is in the file
            print("in the middle", flush=True)
            time.sleep(60)
prepare_labels(*sys.argv[1:], slow)
"""


@pytest.mark.parametrize("kill", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_real_kill_in_the_middle(tmp_path: Path, kill: signal.Signals) -> None:
    prepare(tmp_path, labels([annotation()]))
    older = (tmp_path / "x.arrow").read_bytes()
    files = [f"{i}.png" for i in range(80)]
    for name in files:
        os.link(tmp_path / "photos" / "a.png", tmp_path / "photos" / name)
    write_labels(tmp_path / "many.json", labels([annotation(i + 1, i + 1) for i in range(80)], files=files))
    args = [tmp_path / "many.json", tmp_path / "photos", tmp_path / "x.arrow"]
    with subprocess.Popen(
        [sys.executable, "-c", SLOW, *map(str, args)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None and process.stdout.readline() == "in the middle\n"
        with pytest.raises(LiftwildError, match="another process is writing"):
            prepare_labels(*args)
        process.send_signal(kill)
        process.wait(20)
    assert (tmp_path / "x.arrow").read_bytes() == older and len(Store(tmp_path / "x.arrow")) == 1
    rest = ["labels.json", "many.json", "photos", "x.arrow"]
    hidden = [name for name in names(tmp_path) if name.startswith(".liftwild-")]
    assert names(tmp_path) == [*hidden, *rest] and len(hidden) == (kill != signal.SIGINT)
    assert prepare_labels(*args).people == 80
    assert names(tmp_path) == rest and len(Store(tmp_path / "x.arrow")) == 80


def test_the_files_mode_follows_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        make_store(tmp_path / "x.arrow", [sample()])
    finally:
        os.umask(before)
    assert (tmp_path / "x.arrow").stat().st_mode & 0o777 == 0o640


def test_memory_stays_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many photos there are, only a window of them is under way."""
    read: list[Path] = []
    monkeypatch.setattr("liftwild.data.prepare.read_photo", lambda path: (read.append(path), picture(240, 320))[1])
    files = [f"{i}.png" for i in range(300)]
    (tmp_path / "photos").mkdir()
    for name in files:
        (tmp_path / "photos" / name).touch()
    write_labels(tmp_path / "labels.json", labels([annotation(i + 1, i + 1) for i in range(300)], files=files))
    ahead: list[int] = []

    def watch(photos: Iterator[Any], total: int) -> Iterator[Any]:
        assert total == 300
        for result in photos:
            ahead.append(len(read) - len(ahead))
            yield result

    done = prepare_labels(tmp_path / "labels.json", tmp_path / "photos", tmp_path / "x.arrow", watch)
    assert done.people == 300 and len(ahead) == 300 and max(ahead) <= 64
