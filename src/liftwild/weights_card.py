"""What the json beside weights says, and weights that are not loaded yet. Loads no torch before they are."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Generic, TypeVar

from liftwild.errors import LiftwildError
from liftwild.files import reading
from liftwild.network.config import PoseNetConfig
from liftwild.schema import ArrayOf, Between, build, load_json
from liftwild.skeleton import MPII_16, SCALE_BONES
from liftwild.weights_files import find_weights

if TYPE_CHECKING:
    from torch import nn

    from liftwild.network.posenet import PoseNet

FORMAT = "liftwild-weights"
VERSION = 1
MAX_CARD_MB = 64
Network = TypeVar("Network", bound="nn.Module")
Card = TypeVar("Card")
Length = Annotated[float, Between(1, 1e6)]  # mm


@dataclass(frozen=True)
class WeightsCard:
    """What the json of pose weights says that liftwild reads; it may say more."""

    joint_names: list[str]
    sum_length_mm: Length
    network: PoseNetConfig
    name: Annotated[str, Between(1, 1000)] | None = None
    files: list[str] | None = None
    bone_length_mm: Annotated[Any, ArrayOf(len(SCALE_BONES))] | None = None
    mean_pose_mm: Annotated[Any, ArrayOf(len(MPII_16), 3)] | None = None
    calibration: Any = None  # ``inference.confidence`` checks it
    others_allowed: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.joint_names != list(MPII_16.names):
            raise ValueError("joint_names are not those of MPII-16")
        if self.files is not None and not all(name and Path(name).name == name for name in self.files):
            raise ValueError("files is not a list of file names")


def read_weights_json(path: Path, kind: str, version: int, schema: type[Card]) -> tuple[Card, dict[str, Any]]:
    """The json beside the weights ``path``, as ``schema`` and as it stands; LiftwildError unless it is there, of format
    ``kind`` and ``version``, and holds what ``schema`` says."""
    beside = path.with_suffix(".json")
    if not os.path.lexists(beside):
        raise LiftwildError(f"{path} has no {beside.name} beside it; the two belong together")
    card = load_json(beside, MAX_CARD_MB)
    if not isinstance(card, dict) or card.get("format") != kind or card.get("version") != version:
        raise LiftwildError(f"{beside} is not the json of {kind}, version {version}")
    return as_card(card, schema, beside), card


def as_card(card: dict[str, Any], schema: type[Card], where: str | Path) -> Card:
    """The json of weights as ``schema``; LiftwildError, which begins with ``where``, if it is not what that says."""
    try:
        return build(schema, card)
    except ValueError as error:
        raise LiftwildError(f"{where}: {error}") from None


@dataclass(frozen=True)
class WeightsFiles(Generic[Network, Card]):
    """Weights whose json has been read, and whose tensors have not.

    ``path``: the .safetensors file; ``about``, ``card``: its json, as its schema and as it stands; ``files``: those
    with the tensors; ``make``: makes the network, without its weights.
    """

    path: Path
    about: Card
    card: dict[str, Any]
    files: Sequence[Path]
    make: Callable[[], Network]

    def load(self) -> Network:
        """The network: fp32, evaluation mode, on the CPU. LiftwildError if tensors and json do not agree."""
        from liftwild.weights import filled

        return filled(self.make, self.path, self.files)

    def digest(self) -> str:
        """What tells them from all others: of the bytes of their files. LiftwildError if one cannot be read."""
        found = hashlib.sha256()
        for file in (self.path.with_suffix(".json"), *self.files):
            with reading(file), file.open("rb") as opened:
                found.update(hashlib.file_digest(opened, "sha256").digest())
        return found.hexdigest()


if TYPE_CHECKING:
    PoseWeights = WeightsFiles[PoseNet, WeightsCard]


def open_weights(name_or_path: str | Path) -> PoseWeights:
    """Weights for poses, not loaded yet. LiftwildError when a file is missing, or the json is broken."""
    path = find_weights(name_or_path)
    about, card = read_weights_json(path, FORMAT, VERSION, WeightsCard)

    def make() -> PoseNet:
        from liftwild.network.posenet import PoseNet

        return PoseNet(about.network)

    return WeightsFiles(path, about, card, _tensor_files(path, about.files), make)


def _tensor_files(path: Path, names: list[str] | None) -> list[Path]:
    """The files that hold the tensors of ``path``; LiftwildError names one that is missing."""
    files = [path] if names is None else [path.with_name(name) for name in names]
    missing = [file for file in files if not file.is_file()]
    if missing and names is None:
        raise LiftwildError(f"no weights file {path}")
    if missing:
        raise LiftwildError(
            f"{missing[0]} is missing, one of the {len(files)} files that {path.with_suffix('.json').name} lists"
        )
    return files
