"""Weights files: ``NAME.safetensors`` with the tensors, ``NAME.json`` with what they are. Never a pickle.

Large ones may come in shards instead, ``NAME-00001-of-0000N.safetensors``, which the json lists under ``files``.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from liftwild.errors import LiftwildError
from liftwild.network.posenet import PoseNet, PoseNetConfig
from liftwild.skeleton import MPII_16, PELVIS

FORMAT = "liftwild-weights"
VERSION = 1
SHIPPED = Path(__file__).parent / "pretrained"

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


def calibration_of(card: dict[str, Any], name: str) -> Calibration | None:
    """The calibration that a card holds, or None; LiftwildError names the weights ``name`` where it is broken."""
    kept = card.get("calibration")
    if kept is None:
        return None

    def line(values: dict[str, Any], sign: int) -> tuple[np.ndarray, np.ndarray]:
        level, slope = (np.array(values[key], dtype=np.float64) for key in ("level", "slope"))
        whole = level.shape == slope.shape == (len(MPII_16),) and np.isfinite([level, slope]).all()
        if not whole or (sign * slope < 0).any():
            raise ValueError("not 16 numbers, or a slope of the wrong sign")
        return level, slope

    def chance(values: dict[str, Any]) -> Chance:
        stated, found = (np.array(values[key], dtype=np.float64) for key in ("stated", "found"))
        both = np.concatenate([stated, found])
        rising = (np.diff(stated) > 0).all() and (np.diff(found) >= 0).all()
        if (
            stated.ndim != 1
            or not stated.shape == found.shape != (0,)
            or not rising
            or not ((both >= 0) & (both <= 1)).all()
        ):
            raise ValueError("stated and found do not rise from 0 to 1")
        return Chance(*line(values, 1), stated, found)

    try:
        return Calibration(
            {(flip, edge): chance(kept[key][edge]) for key, flip in FLIPS for edge in EDGES},
            None if kept["depth"] is None else line(kept["depth"], -1),
            bool(kept.get("depth_by_network", False)),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise LiftwildError(
            f"the calibration in the json of {name} is broken ({error}); make it again with 'liftwild calibrate'"
        ) from None


def shipped_names() -> list[str]:
    """Names of the weights that come with the package; the detector's are not among them (``detection.weights``)."""
    return sorted(path.stem for path in SHIPPED.glob("*.json") if not path.stem.startswith("detector"))


def save_weights(
    path: Path, net: PoseNet, card: dict[str, Any], half: bool = True, shard_mb: float = 0.0
) -> list[Path]:
    """Write ``path`` (.safetensors) and its .json beside it, each whole or not at all; the files with the tensors.

    ``card`` needs ``sum_length_mm`` (mean summed length of the scale bones in the 3D training data) and may hold
    anything else that json can; ``half`` stores floats as fp16. ``shard_mb`` above 0: shards of at most so many
    million bytes instead of one file; LiftwildError if a single tensor is larger.
    """
    path = Path(path)
    state = _state(net, half)
    about = {
        "format": FORMAT,
        "version": VERSION,
        "network": asdict(net.config),
        "joint_names": list(MPII_16.names),
        **{name: value for name, value in card.items() if name != "files"},
    }
    files = {path: state}
    if shard_mb > 0:
        shards = _shards(state, int(shard_mb * 1e6))
        files = {
            path.with_name(f"{path.stem}-{number:05d}-of-{len(shards):05d}.safetensors"): shard
            for number, shard in enumerate(shards, start=1)
        }
        about["files"] = [file.name for file in files]
    path.parent.mkdir(parents=True, exist_ok=True)
    for file, tensors in files.items():
        part = file.with_name(f".{file.name}.part")
        save_file(tensors, part)
        part.chmod(0o644)  # safetensors makes it private
        os.replace(part, file)
    part = path.with_name(f".{path.stem}.json.part")
    part.write_text(json.dumps(about, indent=1) + "\n")
    os.replace(part, path.with_suffix(".json"))
    # What an earlier save left in another number of files is no part of these weights.
    of_others = re.compile(re.escape(path.stem) + r"(-\d{5}-of-\d{5})?\.safetensors")
    for other in path.parent.iterdir():
        if of_others.fullmatch(other.name) and other not in files:
            other.unlink()
    return list(files)


def check_shards(net: PoseNet, shard_mb: float) -> None:
    """LiftwildError if ``save_weights`` could not cut ``net`` into such shards; to be known before a long training."""
    if shard_mb > 0:
        _shards(_state(net, True), int(shard_mb * 1e6))


def _state(net: PoseNet, half: bool) -> dict[str, Tensor]:
    return {
        name: (tensor.half() if half and tensor.is_floating_point() else tensor).contiguous().cpu()
        for name, tensor in net.state_dict().items()
    }


def _shards(state: dict[str, Tensor], limit: int) -> list[dict[str, Tensor]]:
    """``state`` cut, in its order, into parts whose files have at most ``limit`` bytes."""
    shards: list[dict[str, Tensor]] = []
    filled = limit
    for name, tensor in state.items():
        size = tensor.nbytes + len(name) + 160  # its entry in the file's header, at most
        if size + 16 > limit:
            raise LiftwildError(f"{name} alone has {tensor.nbytes / 1e6:.2g} MB: a shard must be larger than that")
        if filled + size > limit:
            shards.append({})
            filled = 16  # the header's length and padding
        shards[-1][name] = tensor
        filled += size
    return shards


def find_weights(name_or_path: str | Path) -> Path:
    """Path of a weights file, by the name of one that ships, by its path, or by the folder of a training run.

    Of weights in shards, the path that they would have as one file. LiftwildError if there is none. A shipped name
    goes before a file of that name.
    """
    path = Path(name_or_path)
    if str(path) in shipped_names():
        return SHIPPED / f"{path}.safetensors"
    found = path / "weights.safetensors" if path.is_dir() else path
    if found.is_file() or (found.suffix == ".safetensors" and found.with_suffix(".json").is_file()):
        return found
    if found.suffix == ".safetensors" or len(path.parts) > 1:
        raise LiftwildError(f"no weights file {found}")
    raise LiftwildError(
        f"no weights named {str(path)!r}; {', '.join(shipped_names()) or 'none'} come with liftwild, "
        "or give the path of a .safetensors file or of a training run's folder"
    )


def load_weights(name_or_path: str | Path) -> tuple[PoseNet, dict[str, Any]]:
    """The network (fp32, evaluation mode, on the CPU) and its card (the json).

    LiftwildError when a file is missing or broken, or when tensors and json do not agree: nothing is guessed.
    """
    path = find_weights(name_or_path)
    beside = path.with_suffix(".json")
    try:
        card = json.loads(beside.read_text())
    except FileNotFoundError:
        raise LiftwildError(f"{path} has no {beside.name} beside it; the two belong together") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise LiftwildError(f"{beside} is not json: {error}") from None
    if not isinstance(card, dict) or card.get("format") != FORMAT or card.get("version") != VERSION:
        raise LiftwildError(f"{beside} is not the json of liftwild weights, version {VERSION}")
    if card.get("joint_names") != list(MPII_16.names) or not isinstance(card.get("sum_length_mm"), int | float):
        raise LiftwildError(f"{beside} lacks the MPII-16 joint_names or sum_length_mm")
    files = _tensor_files(path, card)
    try:
        net = PoseNet(PoseNetConfig(**card["network"]))
        state = {
            name: tensor.float() if tensor.is_floating_point() else tensor
            for file in files
            for name, tensor in load_file(file).items()
        }
        net.load_state_dict(state, strict=True)
    except (KeyError, TypeError, ValueError, RuntimeError, SafetensorError) as error:
        first = (str(error).strip().splitlines() or [""])[0]
        raise LiftwildError(f"{path} does not hold the network that {beside.name} describes: {first}") from None
    net.eval().requires_grad_(False)
    return net, card


def _tensor_files(path: Path, card: dict[str, Any]) -> list[Path]:
    """The files that hold the tensors of ``path``; LiftwildError names one that is missing."""
    names = card.get("files", [path.name])
    if not isinstance(names, list) or not all(isinstance(n, str) and n and Path(n).name == n for n in names):
        raise LiftwildError(f"{path.with_suffix('.json')}: files is not a list of file names")
    files = [path.with_name(name) for name in names]
    missing = [file for file in files if not file.is_file()]
    if missing and "files" not in card:
        raise LiftwildError(f"no weights file {path}")
    if missing:
        raise LiftwildError(
            f"{missing[0]} is missing, one of the {len(files)} files that {path.with_suffix('.json').name} lists"
        )
    return files
