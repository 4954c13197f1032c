"""What a network's confidence is worth: the chance that a joint is right, and the spread of its depth, by its peak."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np

from liftwild.errors import LiftwildError
from liftwild.schema import ArrayOf, build
from liftwild.skeleton import MPII_16, PELVIS

# What the numbers of ``Pose.confidence`` are.
PEAK_IS = "height of the joint's peak in the heatmap, not calibrated"
CHANCE_IS = (
    "chance that the joint is right, at most 0.2 of the torso's diagonal off, calibrated on held-back labelled photos"
)
# Which edge of the photo ends a person's box; none of them: "whole". And what the json calls flip-tested peaks.
EDGES = ("whole", "bottom", "top", "side")
FLIPS = (("plain", False), ("flip_test", True))


@dataclass(frozen=True, eq=False)
class Chance:
    """The chance that joints are right, by the peaks of their heatmaps; it never falls as the peak rises.

    ``level``, ``slope`` (J,): of the log-odds, by the peak; ``stated``, ``found`` (K,), rising in [0, 1]: what the
    chances that come of it are worth, linear between.
    """

    level: np.ndarray
    slope: np.ndarray
    stated: np.ndarray
    found: np.ndarray

    def of(self, peaks: np.ndarray) -> np.ndarray:
        """Chances (..., J) of peaks (..., J)."""
        log_odds = self.level + self.slope * np.asarray(peaks, dtype=np.float64)
        return np.interp(1 / (1 + np.exp(-log_odds)), self.stated, self.found)


@dataclass(frozen=True, eq=False)
class Calibration:
    """What confidence is worth, as ``liftwild calibrate`` found it; J = 16 joints.

    ``chance``: for each ``(flip_test, edge)``: flip-tested peaks or plain ones, and one of ``EDGES``.
    ``spread``: level and slope (J,) of the log of a joint's depth spread in mm, by that chance, or with ``by_network``
    by minus the log of the spread in mm that the network states; None: not known.
    """

    chance: dict[tuple[bool, str], Chance]
    spread: tuple[np.ndarray, np.ndarray] | None = None
    by_network: bool = False

    def confidence(self, peaks: np.ndarray, flip_test: bool = False, edges: Sequence[str] = ()) -> np.ndarray:
        """Chance (..., J) in [0, 1] that joints are right, from the peaks (..., J) of their heatmaps.

        ``edges``: which edges of the photo end the person's box; of several the lowest chance counts.
        """
        return np.asarray(np.minimum.reduce([self.chance[flip_test, edge].of(peaks) for edge in edges or EDGES[:1]]))

    def depth_sd_mm(self, confidence: np.ndarray, stated_mm: np.ndarray | None = None) -> np.ndarray | None:
        """Spread (..., J) of root-relative depths, mm, from chances (..., J) or what the network states (..., J), mm;
        0 for the pelvis, whose depth is 0."""
        if self.spread is None or (self.by_network and stated_mm is None):
            return None
        level, slope = self.spread
        by = -np.log(np.maximum(stated_mm, 1e-3)) if self.by_network and stated_mm is not None else confidence
        spread = np.exp(level + slope * np.asarray(by, dtype=np.float64))
        spread[..., PELVIS] = 0.0
        return np.asarray(spread)

    def card(self) -> dict[str, Any]:
        """As the weights' json keeps it; ``calibration_of`` reads it."""

        def lists(**values: np.ndarray) -> dict[str, list[float]]:
            return {name: np.round(numbers, 4).tolist() for name, numbers in values.items()}

        chance = {name: {edge: lists(**vars(self.chance[flip, edge])) for edge in EDGES} for name, flip in FLIPS}
        depth = None if self.spread is None else lists(level=self.spread[0], slope=self.spread[1])
        return {"confidence_is": CHANCE_IS, **chance, "depth": depth, "depth_by_network": self.by_network}


Joints = Annotated[Any, ArrayOf(len(MPII_16))]


@dataclass(frozen=True)
class _Line:
    level: Joints
    slope: Joints


@dataclass(frozen=True)
class _Curve(_Line):
    stated: Annotated[Any, ArrayOf(None)]
    found: Annotated[Any, ArrayOf(None)]


@dataclass(frozen=True)
class _Card:
    """``Calibration.card`` as the json has it."""

    plain: dict[str, _Curve]
    flip_test: dict[str, _Curve]
    depth: _Line | None
    depth_by_network: bool = False
    others_allowed: ClassVar[bool] = True


def calibration_of(card: dict[str, Any], name: str) -> Calibration | None:
    """The calibration that a card holds, or None; LiftwildError names the weights ``name`` where it is broken."""
    kept = card.get("calibration")
    if kept is None:
        return None

    def line(kept: _Line, sign: int) -> tuple[np.ndarray, np.ndarray]:
        level, slope = np.array(kept.level, dtype=np.float64), np.array(kept.slope, dtype=np.float64)
        if (sign * slope < 0).any():
            raise ValueError("a slope has the wrong sign")
        return level, slope

    def chance(kept: _Curve) -> Chance:
        stated, found = np.array(kept.stated, dtype=np.float64), np.array(kept.found, dtype=np.float64)
        both = np.concatenate([stated, found])
        rising = (np.diff(stated) > 0).all() and (np.diff(found) >= 0).all()
        if not stated.shape == found.shape != (0,) or not rising or not ((both >= 0) & (both <= 1)).all():
            raise ValueError("stated and found do not rise from 0 to 1")
        return Chance(*line(kept, 1), stated, found)

    try:
        found = build(_Card, kept)
        return Calibration(
            {(flip, edge): chance(getattr(found, key)[edge]) for key, flip in FLIPS for edge in EDGES},
            None if found.depth is None else line(found.depth, -1),
            found.depth_by_network,
        )
    except (KeyError, ValueError) as error:
        raise LiftwildError(
            f"the calibration in the json of {name} is broken ({error}); make it again with 'liftwild calibrate'"
        ) from None
