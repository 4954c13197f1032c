"""Weights of the network that finds people: ``finder-*.safetensors`` and its json, written and read like a pose's."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from liftwild.errors import LiftwildError
from liftwild.finder_net import FinderConfig, FinderNet

FORMAT = "liftwild-finder"
VERSION = 1
SHIPPED = Path(__file__).parent
SHORT_NAMES = {"finder": "finder-open"}  # of the one that is best
JUDGED = "judged"  # where a card holds a Mix


@dataclass(frozen=True)
class Mix:
    """How PoseNet judges what a finder proposes: measured for a pair of networks, and kept in the finder's json.

    PoseNet looks at what the finder proposes with a score of ``proposed`` or more, the best ``most`` of a photo.
    ``trust``: its share of the say, score = finder ** (1 - trust) * PoseNet ** trust. ``move``: how far a box goes
    toward the box of the joints. ``threshold``: the score from which a person counts as found. All but ``most`` in
    [0, 1].
    """

    trust: float
    move: float
    threshold: float
    proposed: float
    most: int

    def __post_init__(self) -> None:
        for name in ("trust", "move", "threshold", "proposed"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
                raise ValueError(f"{name} must lie between 0 and 1, not at {value!r}")
        if not isinstance(self.most, int) or isinstance(self.most, bool) or self.most < 1:
            raise ValueError(f"most must be a whole number above 0, not {self.most!r}")

    @classmethod
    def of(cls, card: dict[str, Any]) -> Mix | None:
        """The one that a finder's json holds, None if none; ValueError, TypeError or KeyError if that is broken."""
        if JUDGED not in card:
            return None
        return cls(**{each.name: card[JUDGED][each.name] for each in fields(cls)})


def save_finder(path: Path, net: FinderNet, card: dict[str, Any]) -> None:
    """Write ``path`` (.safetensors, fp16) and its .json beside it, each whole or not at all.

    ``card`` needs ``threshold``, the score in [0, 1] from which on a person counts as found, and may hold anything else
    that json can.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    state = {
        name: (tensor.half() if tensor.is_floating_point() else tensor).contiguous().cpu()
        for name, tensor in net.state_dict().items()
    }
    about = {"format": FORMAT, "version": VERSION, "network": asdict(net.config), **card}
    part = path.with_name(f".{path.name}.part")
    save_file(state, part)
    part.chmod(0o644)  # safetensors makes it private
    os.replace(part, path)
    part = path.with_name(f".{path.stem}.json.part")
    part.write_text(json.dumps(about, indent=1) + "\n")
    os.replace(part, path.with_suffix(".json"))


def find_finder(name_or_path: str | Path) -> Path:
    """Path of a finder's weights: by the name of one that ships, by its path, or by the folder of its training.

    LiftwildError if there is none.
    """
    path = Path(name_or_path)
    shipped = SHIPPED / f"{SHORT_NAMES.get(str(path), str(path))}.safetensors"
    if len(path.parts) == 1 and path.name.startswith("finder") and shipped.is_file():
        return shipped
    found = path / "finder.safetensors" if path.is_dir() else path
    if found.is_file():
        return found
    known = ", ".join(sorted(each.stem for each in SHIPPED.glob("finder*.safetensors"))) or "none"
    raise LiftwildError(
        f"no finder's weights {str(path)!r}; {known} come with liftwild, or give the path of a .safetensors file or of "
        "the folder of a 'liftwild train-finder'"
    )


def load_finder(name_or_path: str | Path) -> tuple[FinderNet, dict[str, Any]]:
    """The network (fp32, evaluation mode, on the CPU) and its card (the json).

    LiftwildError when a file is missing or broken, or when tensors and json do not agree.
    """
    path = find_finder(name_or_path)
    beside = path.with_suffix(".json")
    try:
        card = json.loads(beside.read_text())
    except FileNotFoundError:
        raise LiftwildError(f"{path} has no {beside.name} beside it; the two belong together") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise LiftwildError(f"{beside} is not json: {error}") from None
    if not isinstance(card, dict) or card.get("format") != FORMAT or card.get("version") != VERSION:
        raise LiftwildError(f"{beside} is not the json of a liftwild finder, version {VERSION}")
    threshold = card.get("threshold")
    if not isinstance(threshold, int | float) or not 0 <= threshold <= 1:
        raise LiftwildError(f"{beside} lacks a threshold between 0 and 1")
    try:
        Mix.of(card)
    except KeyError as error:
        raise LiftwildError(f"{beside} lacks {JUDGED}.{error.args[0]}") from None
    except (TypeError, ValueError) as error:
        raise LiftwildError(f"{beside}, {JUDGED}: {error}") from None
    try:
        net = FinderNet(FinderConfig(**card["network"]))
        state = {k: v.float() if v.is_floating_point() else v for k, v in load_file(path).items()}
        net.load_state_dict(state, strict=True)
    except (KeyError, TypeError, ValueError, RuntimeError, SafetensorError) as error:
        first = (str(error).strip().splitlines() or [""])[0]
        raise LiftwildError(f"{path} does not hold the network that {beside.name} describes: {first}") from None
    net.eval().requires_grad_(False)
    return net, card
