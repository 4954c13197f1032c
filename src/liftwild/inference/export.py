"""``liftwild export``: write the network for another runtime, hold it against torch, and tell what was found."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from liftwild.errors import LiftwildError
from liftwild.inference import export_file
from liftwild.inference.onnx_graph import graph_of
from liftwild.inference.runtime import Runtime, find_device
from liftwild.inference.runtime_kinds import EXPORTED
from liftwild.inference.torch_runtime import TorchRuntime
from liftwild.network.posenet import PoseNetConfig
from liftwild.weights import load_weights
from liftwild.weights_files import find_weights


class Exported(NamedTuple):
    """What ``export_weights`` did: the files, a table, and why there is no int8 in them though it was asked for."""

    files: list[Path]
    table: str
    refused: str = ""


class Int8Trial(NamedTuple):
    """Labelled photos to try int8 on. ``shown`` (B, S, S, 3) uint8: crops that give it its ranges; ``held_back``
    (N, S, S, 3): crops of others; ``pck``: PCK@0.2-torso of a runtime on these, %; ``max_lost``: points that may be
    lost."""

    shown: np.ndarray
    held_back: np.ndarray
    pck: Callable[[Runtime], float]
    max_lost: float


def export_weights(
    weights: str, to: str, out: Path | None = None, int8: Callable[[PoseNetConfig], Int8Trial] | None = None
) -> Exported:
    """Write ``weights`` as ``out`` (.onnx, or .xml and its .bin; NAME of the weights in this folder where None).

    ``to``: one of ``export_file.SUFFIX``. The file is run and compared with torch before it gets its name. ``int8``:
    makes the trial for a network's crops; if int8 loses more than its ``max_lost``, the file is written without.
    LiftwildError, and no file, if it differs too much from torch, or something is missing.
    """
    if Path(weights).suffix in EXPORTED:
        raise LiftwildError(f"{weights} is an exported file; export the weights that it was made from")
    net, card = load_weights(weights)
    out = out or Path(find_weights(weights).stem + export_file.SUFFIX[to])
    export_file.check_out(out, to)
    graph = graph_of(net)
    refused = ""
    if int8 is not None:
        trial = int8(net.config)
        small = export_file.quantised(graph, trial.shown, to)
        with export_file.staged(out, small, export_file.description_of(net, card, "int8")) as path:
            runtime = export_file.open_export(path, precise=False)
            torch_pck, pck = trial.pck(TorchRuntime(net, find_device("cpu"))), trial.pck(runtime)
            said = (
                f"PCK@0.2-torso of {len(trial.held_back)} held-back people: {torch_pck:.2f} in torch fp32, {pck:.2f} "
                f"in {runtime.name}; {trial.max_lost:g} may be lost"
            )
            if torch_pck - pck <= trial.max_lost:
                moved = export_file.difference(net, runtime, trial.held_back)
                files = export_file.publish(path, out)
                return Exported(files, f"{_written(weights, files)}\n{said}\n{_table({runtime.name: moved}, False)}")
        refused = f"int8 is refused: {said}"
    crops = export_file.trial_crops(net.config.input_px)
    with export_file.staged(out, graph, export_file.description_of(net, card)) as path:
        runtime = export_file.open_export(path)
        found = {runtime.name: export_file.difference(net, runtime, crops)}
        if not found[runtime.name].is_small:
            raise LiftwildError(
                f"{out} is not written: in {runtime.name} it is off from torch by {_words(found[runtime.name])}; "
                f"{export_file.MAX_OFF:g} and {export_file.MAX_MOVED:.0%} of the joints are allowed"
            )
        quick = export_file.open_export(path, precise=False)
        if quick.name != runtime.name:  # as it will be run; told, not judged
            found[quick.name] = export_file.difference(net, quick, crops)
        files = export_file.publish(path, out)
    return Exported(files, f"{_written(weights, files)}\n{_table(found, True)}", refused)


def _written(weights: str, files: Sequence[Path]) -> str:
    size = sum(file.stat().st_size for file in files) / 1e6
    return f"{weights} in {' and '.join(map(str, files))}, {size:.1f} MB"


def _table(found: dict[str, export_file.Difference], judged: bool) -> str:
    """Differences from torch, as Markdown; ``judged``: with the bounds that the first row has kept."""
    lines = [
        "",
        "| against torch fp32 | heatmaps: largest | mean | depths: largest | mean | joints moved by more than "
        f"{export_file.MOVED_PX:g} px |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for name, off in found.items():
        numbers = " | ".join(f"{number:.1e}" for number in (*off.heatmaps, *off.depth))
        lines.append(f"| {name} | {numbers} | {off.moved} of {off.joints} |")
    if judged:
        lines.append(
            f"| allowed | {export_file.MAX_OFF:g} | | {export_file.MAX_OFF:g} | | {export_file.MAX_MOVED:.0%} |"
        )
    return "\n".join(lines)


def _words(off: export_file.Difference) -> str:
    return (
        f"up to {off.heatmaps[0]:.1e} in heatmaps and {off.depth[0]:.1e} in depths, and moves {off.moved} of "
        f"{off.joints} joints"
    )
