"""liftwild: one photo of a person in, a 3D pose out; and a way to teach it your own world.

``Estimator`` finds poses in photos, ``Pose`` is what it returns. Heavy imports wait until one of them is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["Estimator", "LiftwildError", "Pose", "__version__"]

if TYPE_CHECKING:
    from liftwild.errors import LiftwildError
    from liftwild.pose import Pose
    from liftwild.predict.estimator import Estimator


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used."""
    if name == "Estimator":
        from liftwild.predict.estimator import Estimator

        return Estimator
    if name == "Pose":
        from liftwild.pose import Pose

        return Pose
    if name == "LiftwildError":
        from liftwild.errors import LiftwildError

        return LiftwildError
    raise AttributeError(f"module 'liftwild' has no attribute {name!r}")
