"""Commands that are killed, ended and interrupted at random moments: no process, no half file, nothing lost."""

from __future__ import annotations

import os
import random
import shutil
import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.disturbed_commands import (
    COMMANDS,
    LONG,
    MOMENTS,
    STAGE,
    Server,
    Undisturbed,
    differences,
    half_files,
)

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)  # in turn
CODES = {signal.SIGKILL: {-9}, signal.SIGTERM: {143, -15}, signal.SIGINT: {130, 1, -2}}
COUNTS: Counter[str] = Counter()

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are looked up in /proc")


@pytest.fixture(scope="module", autouse=True)
def figures() -> Iterator[None]:
    """With many moments: what came of them."""
    yield
    if LONG:
        print("\n" + "; ".join(f"{count} {what}" for what, count in COUNTS.items()))


@pytest.mark.parametrize("name", COMMANDS)
def test_ended_at_any_moment(
    name: str, undisturbed: Callable[[str], Undisturbed], server: Server, tmp_path: Path
) -> None:
    """After the signal nothing lives on and no file is half there; the same command then leaves the same bytes as one
    that was let alone."""
    alone, chance, faults = undisturbed(name), random.Random(name), []
    for number in range(MOMENTS):
        ended_by, after_s = SIGNALS[number % len(SIGNALS)], chance.uniform(0, alone.seconds)
        folder = tmp_path / "ended"
        folder.mkdir()
        ended, said = server.run(alone.typed, folder, signal=ended_by, after_s=after_s)
        half = half_files(folder, alone.files)
        is_done = name == "render" and not differences(folder, alone.files)  # pictures that are there are kept
        again, said_again = ({"code": 0}, "") if is_done else server.run(alone.typed, folder)
        other = differences(folder, alone.files) if again["code"] == 0 else [f"the second run fails: {said_again}"]
        COUNTS.update({"runs": 1, "done before the signal": ended["code"] == 0, "orphans": len(ended["orphans"]),
                       "half files": len(half), "differences": len(other)})  # fmt: skip
        wrong = [*ended["orphans"], *half, *other]
        if ended["code"] not in {0, *CODES[ended_by]} or "Traceback" in said:
            wrong.append(f"exit code {ended['code']}: {said}")
        if not is_done and any(STAGE in file for file in os.listdir(folder)):
            wrong.append("a staging folder is left")
        if wrong:
            faults.append(f"{ended_by.name} after {after_s:.3f} s of {alone.seconds:.3f}: " + "; ".join(wrong))
        shutil.rmtree(folder)
    assert not faults, "\n".join(faults)
