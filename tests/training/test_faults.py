"""Trainings that the system or another training stands in the way of, and checkpoints that are damaged."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from liftwild import processes
from liftwild.data.mixed import MixedBatches
from liftwild.errors import LiftwildError
from liftwild.files import remove_folder
from liftwild.training import checkpoint as checkpoints
from liftwild.training.train import run_folder
from tests.support.stores import write_store
from tests.support.training import run, tiny_recipe


@pytest.mark.parametrize(
    ("file", "how"),
    [
        (checkpoints.OPTIMIZER, "one bit"),
        (checkpoints.OPTIMIZER, "gone"),
        (checkpoints.NET, "half"),
        ("state.json", "half"),
    ],
)
def test_a_damaged_checkpoint_is_replaced_by_the_older_one(
    file: str, how: str, stores: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run" / "checkpoints"
    run(tiny_recipe(*stores), tmp_path / "run", stop_after=4)
    older, newer = checkpoints.list_checkpoints(folder)
    content = bytearray((newer / file).read_bytes())
    (newer / file).unlink()
    if how == "one bit":
        content[len(content) // 2] ^= 128
    if how != "gone":
        (newer / file).write_bytes(content if how == "one bit" else content[: len(content) // 2])
    capsys.readouterr()
    trainer = run(tiny_recipe(*stores), tmp_path / "run", resume=True, stop_after=3)
    said = capsys.readouterr().err
    assert trainer.steps == int(older.name[5:]) + 3
    assert said.count("; going on from an older checkpoint\n") == 1 and str(newer) in said
    for path in checkpoints.list_checkpoints(folder):
        (path / "state.json").unlink()
    with pytest.raises(LiftwildError, match=r"none of the checkpoints in .* is whole; train into another --out"):
        run(tiny_recipe(*stores), tmp_path / "run", resume=True)


def test_two_trainings_in_one_folder(stores: tuple[Path, Path], tmp_path: Path) -> None:
    class First:
        is_global_zero = True

    with run_folder(tmp_path / "run", First()):  # type: ignore[arg-type]
        for resume in (False, True):
            with pytest.raises(LiftwildError, match=r"another process is writing .*checkpoints; wait for it"):
                run(tiny_recipe(*stores), tmp_path / "run", resume=resume)
    assert run(tiny_recipe(*stores), tmp_path / "run", stop_after=1).steps == 1


def test_few_open_files(stores: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    resource = pytest.importorskip("resource", reason="not on Windows")
    asked: list[tuple[int, int]] = []
    monkeypatch.setattr(processes.resource, "getrlimit", lambda _: (20, 100))
    monkeypatch.setattr(processes.resource, "setrlimit", lambda _, limits: asked.append(limits))
    with pytest.raises(LiftwildError, match="1 processes that load data need 104 open files, and 100 are allowed"):
        run(tiny_recipe(*stores), tmp_path / "run", workers=1)
    assert asked == [(100, 100)] and not (tmp_path / "run").exists()
    monkeypatch.setattr(processes.resource, "getrlimit", lambda _: (20, resource.RLIM_INFINITY))
    assert processes.allow_open_files(104) == 104 and asked[1] == (104, resource.RLIM_INFINITY)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_store_that_breaks_is_one_line(workers: int, tmp_path: Path) -> None:
    """A loader process would tell of it by a traceback within the message."""
    three, two = write_store(tmp_path / "three.arrow", 8, True), write_store(tmp_path / "two.arrow", 8, False)
    content = three.read_bytes()
    for at in range(len(content) - 3):  # every JPEG begins so
        if content[at : at + 3] == b"\xff\xd8\xff":
            content = content[:at] + b"\0\0\0" + content[at + 3 :]
    three.write_bytes(content)
    with pytest.raises(LiftwildError) as caught:
        run(tiny_recipe(three, two), tmp_path / "run", workers=workers)
    assert str(caught.value).startswith(str(three)) and "\n" not in str(caught.value)


def test_a_loader_process_that_ends(stores: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class NoRoom:
        def __reduce__(self) -> str:
            raise RuntimeError("unable to allocate shared memory")

    monkeypatch.setattr(MixedBatches, "__getitem__", lambda *_: {"images": NoRoom()})
    with pytest.raises(LiftwildError, match=r"a process that loads data came to its end; .* room in /dev/shm"):
        run(tiny_recipe(*stores), tmp_path / "run", workers=1)


def test_an_older_checkpoint_goes_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ended while it is removed, a run has none that is half there."""
    folder = tmp_path / "step-00000002"
    folder.mkdir()
    (folder / "a").touch()

    def end(*_: object, **__: object) -> Iterator[None]:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", end)
        with pytest.raises(KeyboardInterrupt):
            remove_folder(folder)
    assert not folder.exists()
