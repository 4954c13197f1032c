"""What a file of liftwild holds, in lines: recordings, weights, stores."""

from __future__ import annotations

import glob
from pathlib import Path
from typing import Any

from liftwild.errors import LiftwildError
from liftwild.pipeline.recordings import recording_lines
from liftwild.schema import understood

NOT_SAID = "not said"


def describe_file(name: str) -> list[str]:
    """What is in the file ``name``: a recording, a store, or weights (a file, a run's folder, a name that ships).

    LiftwildError if it cannot be read or is none of these.
    """
    from liftwild.weights_files import shipped_names

    path = Path(name)
    if path.suffix == ".arrow":
        return _store_lines(path)
    if name in shipped_names() or path.is_dir() or path.suffix == ".safetensors":
        return _weights_lines(name)
    if not path.exists():
        raise LiftwildError(
            f"{name}: no such file; nor do weights of this name come with liftwild ({', '.join(shipped_names())})"
        )
    return recording_lines(path)


def _weights_lines(name: str) -> list[str]:
    from liftwild.weights_card import FORMAT, VERSION, WeightsCard, read_weights_json
    from liftwild.weights_files import find_weights

    path = find_weights(name)
    _, card = read_weights_json(path, FORMAT, VERSION, WeightsCard)
    size = sum(file.stat().st_size for file in path.parent.glob(f"{glob.escape(path.stem)}*.safetensors"))
    with understood(path.with_suffix(".json"), "the json of weights"):
        return _card_lines(path, card, size)


def _card_lines(path: Path, card: dict[str, Any], size: int) -> list[str]:
    return [
        f"{path}: weights {card.get('name', path.stem)}, {size / 1e6:.1f} MB",
        f"licence: {card.get('licence') or NOT_SAID}",
        f"made: {card.get('made') or NOT_SAID}, step {card.get('step', NOT_SAID)}",
        f"joints: {len(card.get('joint_names', []))}, input {card.get('network', {}).get('input_px', NOT_SAID)} px",
        f"data: {', '.join(card.get('data') or {}) or NOT_SAID}",
        f"confidence: {(card.get('calibration') or {}).get('confidence_is', 'not calibrated')}",
        *(f"measured on {store}: {_numbers(values)}" for store, values in (card.get("metrics") or {}).items()),
    ]


def _numbers(values: Any) -> str:
    if not isinstance(values, dict):
        return str(values)
    return ", ".join(
        f"{key} {value:.4g}" for key, value in values.items() if key != "step" and isinstance(value, int | float)
    )


def _store_lines(path: Path) -> list[str]:
    from liftwild.data.store import Store  # needs pyarrow

    store = Store(path)
    depth, labelled = store.column("depth_valid"), store.column("joints_2d_valid")
    photos, groups = len(set(store.column("source").tolist())), set(store.column("group").tolist()) - {""}
    grouped = f", {len(groups)} groups" if groups else ""
    return [
        f"{path}: a store of {len(store)} people in {photos} photos{grouped}, {path.stat().st_size / 1e6:.1f} MB",
        f"with 3D joints: {int(depth.any(axis=1).sum())} people",
        f"2D joints known: {labelled.mean():.0%}",
        *([f"3D joints at the {store.scale} scale"] if store.scale else []),
    ]
