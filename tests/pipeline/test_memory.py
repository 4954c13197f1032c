"""Memory does not grow while predicting; and a leak would be seen.

LIFTWILD_PREDICTIONS=10000 asks for so many, with the weights that ship.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.paths import ROOT

ASKED = int(os.environ.get("LIFTWILD_PREDICTIONS", "0"))
COUNT = ASKED or 400
BOUND_MB = 2.0
LEAK_BYTES = 5_000_000 // COUNT  # a prediction; half a crop of 128 px is 24,576


def grown_mb(weights: str | Path, *more: object) -> float:
    """By how many MB predictions make a process of their own grow, after as many to warm up."""
    script = ROOT / "benchmarks" / "memory.py"
    command = [sys.executable, script, "--weights", weights, "--predictions", COUNT, "--warm", min(COUNT, 500), *more]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run([*map(str, command)], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    if "cannot be told" in done.stdout:
        pytest.skip("this system does not tell how much memory a process holds")
    found = re.search(r": ([+-][0-9.]+) MB", done.stdout)
    assert found is not None, done.stdout
    return float(found[1])


@pytest.mark.parametrize("how", ((), ("--alone",)), ids=("stream", "alone"))
def test_memory_does_not_grow(tiny_weights: Path, how: tuple[str, ...]) -> None:
    assert grown_mb("small" if ASKED else tiny_weights, *how) < BOUND_MB


def test_a_leak_is_seen(tiny_weights: Path) -> None:
    assert grown_mb(tiny_weights, "--leak", LEAK_BYTES) > BOUND_MB
