"""What a predictions file says of itself, with the types and ranges that ``schema`` checks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal

from liftwild.schema import ArrayOf, Between
from liftwild.skeleton import MPII_16, SCALE_BONES
from liftwild.weights_card import Length

Name = Annotated[str, Between(1, 1000)]


@dataclass(frozen=True)
class WeightsNote:
    """Which weights predicted."""

    name: Name
    sha256: str


@dataclass(frozen=True)
class StoreNote:
    """A store that was predicted on."""

    name: Name
    people: Annotated[int, Between(1, 1e9)]
    fingerprint: str
    scale: Literal["", "true", "universal"] = ""


@dataclass(frozen=True)
class About:
    """What a predictions file says of itself."""

    liftwild: Name
    weights: WeightsNote
    protocol: Name
    flip_test: bool
    input_px: Annotated[int, Between(64, 2048)]
    sum_length_mm: Length
    bone_length_mm: Annotated[Any, ArrayOf(len(SCALE_BONES))] | None
    mean_pose_mm: Annotated[Any, ArrayOf(len(MPII_16), 3)] | None
    stores: list[StoreNote]
    switches: dict[str, str] = field(default_factory=dict)
    any_count: bool = False
    others_allowed: ClassVar[bool] = True
