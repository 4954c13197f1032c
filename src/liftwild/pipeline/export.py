"""``liftwild export``: write the network for another runtime, hold it against torch, and tell what was found."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from liftwild.errors import LiftwildError
from liftwild.inference import export
from liftwild.inference.onnx_graph import graph_of
from liftwild.inference.runtime import EXPORTED, TorchRuntime, find_device
from liftwild.weights import find_weights, load_weights


class Exported(NamedTuple):
    """What ``export_weights`` did: the files, a table, and why there is no int8 in them though it was asked for."""

    files: list[Path]
    table: str
    refused: str = ""


def export_weights(
    weights: str, to: str, out: Path | None = None, int8: Path | None = None, photos: Path | None = None
) -> Exported:
    """Write ``weights`` as ``out`` (.onnx, or .xml and its .bin; NAME of the weights in this folder where None).

    ``to``: one of ``export.SUFFIX``. The file is run and compared with torch before it gets its name. ``int8``: a store
    of labelled photos, or COCO labels whose photos lie in ``photos`` (None: beside the labels): half of the photos
    give int8 its ranges, the other half show what it costs; if that is more than ``int8.MAX_LOST``, the file is
    written without. LiftwildError, and no file, if it differs too much from torch, or something is missing.
    """
    if Path(weights).suffix in EXPORTED:
        raise LiftwildError(f"{weights} is an exported file; export the weights that it was made from")
    if photos is not None and (int8 is None or int8.suffix == ".arrow"):
        raise LiftwildError("--photos is the folder of the photos of COCO labels that --int8 names")
    net, card = load_weights(weights)
    out = out or Path(find_weights(weights).stem + export.SUFFIX[to])
    export.check_out(out, to)
    graph = graph_of(net)
    refused = ""
    if int8 is not None:
        from liftwild.evaluation.quantization import MAX_LOST, measured_pck, split_people  # needs pyarrow

        shown, held_back = split_people(int8, photos, net.config.input_px, net.config.mask)
        told = export.about(net, card, "int8")
        small = export.quantised(graph, np.stack([person.image for person in shown]), to)
        with export.staged(out, small, told) as path:
            runtime = export.open_export(path, precise=False)
            torch_pck = measured_pck(TorchRuntime(net, find_device("cpu")), held_back, int8)
            pck = measured_pck(runtime, held_back, int8)
            said = (
                f"PCK@0.2-torso of {len(held_back)} held-back people: {torch_pck:.2f} in torch fp32, {pck:.2f} in "
                f"{runtime.name}; {MAX_LOST:g} may be lost"
            )
            if torch_pck - pck <= MAX_LOST:
                moved = export.difference(net, runtime, np.stack([person.image for person in held_back]))
                files = export.publish(path, out)
                return Exported(files, f"{_written(weights, files)}\n{said}\n{_table({runtime.name: moved}, False)}")
        refused = f"int8 is refused: {said}"
    crops = export.trial_crops(net.config.input_px)
    with export.staged(out, graph, export.about(net, card)) as path:
        runtime = export.open_export(path)
        found = {runtime.name: export.difference(net, runtime, crops)}
        if not found[runtime.name].is_small:
            raise LiftwildError(
                f"{out} is not written: in {runtime.name} it is off from torch by {_words(found[runtime.name])}; "
                f"{export.MAX_OFF:g} and {export.MAX_MOVED:.0%} of the joints are allowed"
            )
        quick = export.open_export(path, precise=False)
        if quick.name != runtime.name:  # as it will be run; told, not judged
            found[quick.name] = export.difference(net, quick, crops)
        files = export.publish(path, out)
    return Exported(files, f"{_written(weights, files)}\n{_table(found, True)}", refused)


def _written(weights: str, files: Sequence[Path]) -> str:
    size = sum(file.stat().st_size for file in files) / 1e6
    return f"{weights} in {' and '.join(map(str, files))}, {size:.1f} MB"


def _table(found: dict[str, export.Difference], judged: bool) -> str:
    """Differences from torch, as Markdown; ``judged``: with the bounds that the first row has kept."""
    lines = [
        "",
        "| against torch fp32 | heatmaps: largest | mean | depths: largest | mean | joints moved by more than "
        f"{export.MOVED_PX:g} px |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for name, off in found.items():
        numbers = " | ".join(f"{number:.1e}" for number in (*off.heatmaps, *off.depth))
        lines.append(f"| {name} | {numbers} | {off.moved} of {off.joints} |")
    if judged:
        lines.append(f"| allowed | {export.MAX_OFF:g} | | {export.MAX_OFF:g} | | {export.MAX_MOVED:.0%} |")
    return "\n".join(lines)


def _words(off: export.Difference) -> str:
    return (
        f"up to {off.heatmaps[0]:.1e} in heatmaps and {off.depth[0]:.1e} in depths, and moves {off.moved} of "
        f"{off.joints} joints"
    )
