"""A calibration of the chances that joints are right."""

from __future__ import annotations

import numpy as np

from liftwild.inference.confidence import EDGES, Calibration, Chance
from tests.support.poses import J


def calibration(spread: bool = True, slope: float = 5.0) -> Calibration:
    """Some calibration, unlike for each of its uses."""
    lines = {
        (flip, edge): Chance(
            np.linspace(-3, -2, J) + flip - number,
            np.full(J, slope),
            np.array([0.0, 0.5, 1.0]),
            np.array([0, 0.6, 1.0]),
        )
        for flip in (False, True)
        for number, edge in enumerate(EDGES)
    }
    return Calibration(lines, (np.full(J, np.log(300.0)), np.full(J, -1.0)) if spread else None)
