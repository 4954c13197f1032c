"""liftwild: one photo of a person in, a 3D pose out; and a way to teach it your own world.

``predict`` takes a photo or a video and returns a ``Recording`` with a ``Pose`` or ``PoseTrack`` for each person.
``BatchPredictor`` does so with tables of photos; ``BatchRenderer`` makes synthetic people for tables. ``Estimator``,
``Detector`` and ``Tracker`` are the parts of ``predict``, for those who build their own. Heavy imports wait until one
of them is used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = [
    "BatchPredictor", "BatchRenderer", "Detector", "Estimator", "LiftwildError", "Pose", "PoseTrack", "Recording",
    "Tracker", "__version__", "predict",
]  # fmt: skip

if TYPE_CHECKING:
    from liftwild.detection.detector import Detector
    from liftwild.errors import LiftwildError
    from liftwild.inference.estimator import Estimator
    from liftwild.pipeline.batches import BatchPredictor
    from liftwild.pipeline.predict import predict
    from liftwild.pose import Pose, PoseTrack, Recording
    from liftwild.synthetic.render.batches import BatchRenderer
    from liftwild.tracking.tracker import Tracker

_HOMES = {
    "BatchPredictor": "pipeline.batches", "BatchRenderer": "synthetic.render.batches",
    "Detector": "detection.detector", "Estimator": "inference.estimator", "LiftwildError": "errors", "Pose": "pose",
    "PoseTrack": "pose", "Recording": "pose", "Tracker": "tracking.tracker", "predict": "pipeline.predict",
}  # fmt: skip


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used."""
    if name not in _HOMES:
        raise AttributeError(f"module 'liftwild' has no attribute {name!r}")
    from liftwild.threads import wait_kindly

    wait_kindly()  # before torch is loaded, which reads it once
    found = getattr(importlib.import_module(f"liftwild.{_HOMES[name]}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted(__all__)
