"""How torch's threads wait for each other. Set before torch is loaded, which reads it once."""

from __future__ import annotations

import os

# Turns of the waiting loop before a thread sleeps. On two idle cores a person then takes 15 ms, with endless waiting
# 14, with none 35; beside two busy programs 0.1 s, up to seconds, and 0.06 s (docs/log.md).
TURNS = 3000


def wait_kindly() -> None:
    """Have threads that wait for others sleep soon, so that another busy program does not slow this one down.

    Does nothing where ``OMP_WAIT_POLICY`` says how to wait.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
        os.environ.setdefault("GOMP_SPINCOUNT", str(TURNS))
