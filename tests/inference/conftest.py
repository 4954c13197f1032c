"""What the tests of exports share."""

from __future__ import annotations

import numpy as np
import pytest

from liftwild.inference import export_file as module
from tests.support.images import picture


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compares on pictures that need no rendering."""
    monkeypatch.setattr(module, "trial_crops", lambda side: np.stack([picture(side, side, seed) for seed in range(8)]))
