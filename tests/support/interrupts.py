"""A tracker that is interrupted at a frame."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from liftwild.tracking.observation import Observation
from liftwild.tracking.tracker import Tracker


def stop_at(monkeypatch: pytest.MonkeyPatch, frame: int, error: BaseException) -> list[float]:
    """Make the frame of that number raise; the times of those that are looked at."""
    real, seen = Tracker.step, list[float]()

    def step(self: Tracker, image: np.ndarray, time_s: float, *rest: Any) -> list[Observation]:
        if len(seen) == frame:
            raise error
        seen.append(time_s)
        return real(self, image, time_s, *rest)

    monkeypatch.setattr(Tracker, "step", step)
    return seen
