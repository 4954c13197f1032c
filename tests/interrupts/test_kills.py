"""Commands that are killed, ended and interrupted at random moments: no process, no half file, nothing lost."""

from __future__ import annotations

import os
import random
import shutil
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.interrupts.runs import (
    COMMANDS,
    STAGE,
    Server,
    contents,
    differences,
    half_files,
    make_inputs,
    started_server,
)

MOMENTS = int(os.environ.get("LIFTWILD_KILLS", "3"))  # of each command, the signals in turn
LONG = MOMENTS > 3
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
CODES = {signal.SIGKILL: {-9}, signal.SIGTERM: {143, -15}, signal.SIGINT: {130, 1, -2}}
COUNTS: Counter[str] = Counter()

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are looked up in /proc")


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with started_server() as one:
        yield one


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory, server: Server) -> Path:
    folder = tmp_path_factory.mktemp("inputs")
    make_inputs(folder)
    measure = ["evaluate", str(folder / "tiny.safetensors"), str(folder / "three.arrow"), "-o", "predictions.arrow"]
    assert server.run(measure, folder)[0]["code"] == 0
    return folder


@pytest.fixture(scope="module", autouse=True)
def figures() -> Iterator[None]:
    """With many moments: what came of them."""
    yield
    if LONG:
        print("\n" + "; ".join(f"{count} {what}" for what, count in COUNTS.items()))


@pytest.mark.parametrize("name", COMMANDS)
def test_ended_at_any_moment(name: str, inputs: Path, server: Server, tmp_path: Path) -> None:
    """After the signal nothing lives on and no file is half there; the same command then leaves the same bytes as one
    that was let alone."""
    count = "9" if LONG else "4"  # for more than a batch processes are started, which takes seconds
    typed = COMMANDS[name].replace("COUNT", count).replace("IN/", f"{inputs}/").split(" ")
    (tmp_path / "whole").mkdir()
    answer, said = server.run(typed, tmp_path / "whole")
    assert answer["code"] == 0, said
    whole, chance, faults = contents(tmp_path / "whole"), random.Random(name), []
    for number in range(MOMENTS):
        ended_by, after_s = SIGNALS[number % len(SIGNALS)], chance.uniform(0, answer["seconds"])
        folder = tmp_path / "ended"
        folder.mkdir()
        ended, said = server.run(typed, folder, ended_by, after_s)
        half = half_files(folder, whole)
        again, said_again = server.run(typed, folder)
        other = differences(folder, whole) if again["code"] == 0 else [f"the second run fails: {said_again}"]
        COUNTS.update({"runs": 1, "done before the signal": ended["code"] == 0, "orphans": len(ended["orphans"]),
                       "half files": len(half), "differences": len(other)})  # fmt: skip
        wrong = [*ended["orphans"], *half, *other]
        if ended["code"] not in {0, *CODES[ended_by]} or "Traceback" in said:
            wrong.append(f"exit code {ended['code']}: {said}")
        if any(STAGE in file for file in os.listdir(folder)):
            wrong.append("a staging folder is left")
        if wrong:
            faults.append(f"{ended_by.name} after {after_s:.3f} s of {answer['seconds']:.3f}: " + "; ".join(wrong))
        shutil.rmtree(folder)
    assert not faults, "\n".join(faults)
