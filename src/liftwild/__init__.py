"""liftwild: one photo of a person in, a 3D pose out; and a way to teach it your own world.

``Estimator`` finds poses in photos, ``Pose`` is what it returns; ``Detector`` finds the people in a photo; ``record``
follows the people of a video. Heavy imports wait until one of them is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["Detector", "Estimator", "LiftwildError", "Pose", "__version__", "record"]

if TYPE_CHECKING:
    from liftwild.detection.detector import Detector
    from liftwild.errors import LiftwildError
    from liftwild.inference.estimator import Estimator
    from liftwild.pipeline.record import record
    from liftwild.pose import Pose


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used."""
    if name == "Estimator":
        from liftwild.inference.estimator import Estimator

        return Estimator
    if name == "Detector":
        from liftwild.detection.detector import Detector

        return Detector
    if name == "record":
        from liftwild.pipeline.record import record

        return record
    if name == "Pose":
        from liftwild.pose import Pose

        return Pose
    if name == "LiftwildError":
        from liftwild.errors import LiftwildError

        return LiftwildError
    raise AttributeError(f"module 'liftwild' has no attribute {name!r}")
