"""How fast bytes are moved within a core's own cache, within the cache that cores share, and from memory."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from bounds import Level
from clock import Job

CACHES = Path("/sys/devices/system/cpu/cpu0/cache")
OWN, SHARED, MEMORY = "L2", "L3", "memory"
USUAL = {OWN: 1 << 20, SHARED: 32 << 20}  # bytes, where the system does not say
PASSES = 100  # over what lies in a core's own cache: one alone is too short for a clock


def cache_bytes(folder: Path = CACHES) -> dict[str, int]:
    """Bytes of a core's L2 and of the L3, which all share."""
    found = dict(USUAL)
    for index in folder.glob("index*"):
        try:
            level, size = ((index / name).read_text().strip() for name in ("level", "size"))
            found[f"L{level}"] = int(size.removesuffix("K")) << 10
        except (OSError, ValueError):
            continue
    return {name: found[name] for name in USUAL}


class Copies:
    """Copies that measure: ``jobs`` by name; ``levels`` of the seconds that they took.

    A copy reads half of its bytes and writes the others. L2: one core copies half of what its cache holds, over and
    over; each core has its own, so the rates add up. L3: all cores copy half of what it holds. Memory: four times L3.
    """

    def __init__(self) -> None:
        self.cache, self.cores = cache_bytes(), torch.get_num_threads()
        own = np.ones(self.cache[OWN] // 4, np.uint8), np.zeros(self.cache[OWN] // 4, np.uint8)
        shared, far = (
            (torch.ones(size, dtype=torch.uint8), torch.zeros(size, dtype=torch.uint8))
            for size in (self.cache[SHARED] // 4, 2 * self.cache[SHARED])
        )

        def over_and_over() -> None:
            for _ in range(PASSES):
                np.copyto(own[1], own[0])

        self.jobs: dict[str, Job] = {
            f"copy in {OWN}": over_and_over,
            f"copy in {SHARED}": lambda: shared[1].copy_(shared[0]),
            f"copy in {MEMORY}": lambda: far[1].copy_(far[0]),
        }
        self._moved = {
            OWN: 2 * PASSES * own[0].nbytes * self.cores, SHARED: 2 * len(shared[0]), MEMORY: 2 * len(far[0]),
        }  # fmt: skip

    def levels(self, seconds: Mapping[str, float]) -> list[Level]:
        """The levels, where each of ``jobs`` took so many ``seconds``."""
        holds = {OWN: self.cache[OWN] * self.cores, SHARED: self.cache[SHARED], MEMORY: math.inf}
        return [Level(name, holds[name], self._moved[name] / seconds[f"copy in {name}"]) for name in holds]


def told(levels: list[Level]) -> str:
    """A line about the levels."""
    parts = [
        f"{level.name} {level.rate / 1e9:.0f} GB/s"
        + (f" (holds {level.holds / 2**20:.0f} MiB)" if math.isfinite(level.holds) else "")
        for level in levels
    ]
    return f"bandwidth of a copy, {os.cpu_count()} cores: " + ", ".join(parts)
