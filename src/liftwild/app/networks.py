"""The networks that a process of the server finds people and their poses with."""

from __future__ import annotations

from typing import NamedTuple

from liftwild.app.child import Parent
from liftwild.detection.detector import Detector
from liftwild.errors import LiftwildError
from liftwild.inference.estimator import Estimator


class Networks(NamedTuple):
    """Of the weights and the runtime that a process was started with."""

    estimator: Estimator
    detector: Detector


def open_networks(parent: Parent) -> Networks:
    """The networks that ``parent.settings`` name; if they cannot be used, the server is told why, and this ends."""
    weights, runtime = parent.settings["weights"], parent.settings["runtime"]
    try:
        return Networks(Estimator(weights, runtime=runtime), Detector(runtime=runtime))
    except LiftwildError as error:
        parent.refuse(0, error, "weights")
        raise SystemExit(0) from None
