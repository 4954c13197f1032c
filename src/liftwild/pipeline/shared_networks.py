"""Networks that all calls in one process share: ``liftwild.predict``, and copies of a ``BatchPredictor``."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from liftwild.detection.detector import Detector
from liftwild.errors import LiftwildError
from liftwild.inference.estimator import Estimator
from liftwild.inference.runtime_kinds import EXPORTED
from liftwild.weights_files import find_weights


def shared_estimator(weights: str | Path, device: str | None, flip_test: bool, runtime: str) -> Estimator:
    """The estimator of these weights as they are now; opened once. Errors as of ``Estimator``."""
    return _estimator(str(weights), _last_change(weights), device, flip_test, runtime)


@lru_cache(maxsize=2)
def shared_detector(device: str | None, min_score: float | None, runtime: str) -> Detector:
    """The detector that ships; opened once. Errors as of ``Detector``."""
    return Detector(device=device, min_score=min_score, runtime=runtime)


@lru_cache(maxsize=4)
def _estimator(weights: str, last_change: int, device: str | None, flip_test: bool, runtime: str) -> Estimator:
    return Estimator(weights, device, flip_test, runtime=runtime)


def _last_change(weights: str | Path) -> int:
    """When the file of ``weights`` last changed: weights that were trained on are other weights. 0 if there is none."""
    path = Path(weights)
    try:
        return (path if path.suffix in EXPORTED else find_weights(weights)).stat().st_mtime_ns
    except (LiftwildError, OSError):  # opening it says what is wrong
        return 0
