"""``liftwild export``: the network as a file for other runtimes."""

from __future__ import annotations

from pathlib import Path

import click

from liftwild.console import say, show
from liftwild.errors import LiftwildError
from liftwild.threads import wait_kindly


@click.command("export")
@click.argument("weights")
@click.option("--to", required=True, type=click.Choice(["onnx", "openvino"]), help="ONNX, or OpenVINO's .xml and .bin.")
@click.option("-o", "--out", type=click.Path(path_type=Path), help="File, .onnx or .xml.  [default: NAME of WEIGHTS]")
@click.option("--int8", type=click.Path(path_type=Path), metavar="STORE|LABELS",
              help="Compute in int8, by these labelled photos: a store, or COCO labels.")  # fmt: skip
@click.option(
    "--photos", type=click.Path(path_type=Path), help="Folder of these photos.  [default: that of the labels]"
)
@click.pass_context
def export_command(
    ctx: click.Context, weights: str, to: str, out: Path | None, int8: Path | None, photos: Path | None
) -> None:
    """Write WEIGHTS as a file that other runtimes run, with its joints, units and calibration inside.

    The file is run and compared with torch first, and not written if it differs. With --int8, the chance of a joint to
    be right may fall by half a point on photos held back; else the file is written without int8 and the exit code is
    1. docs/runtimes.md explains it.
    """
    wait_kindly()
    from liftwild.inference.export import export_weights

    if photos is not None and (int8 is None or int8.suffix == ".arrow"):
        raise LiftwildError("--photos is the folder of the photos of COCO labels that --int8 names")
    trial = None
    if int8 is not None:
        from liftwild.evaluation.quantization import int8_trial  # needs pyarrow

        trial = int8_trial(int8, photos)
    done = export_weights(weights, to, out, trial)
    show(done.table)
    if done.refused:
        say(f"error: {done.refused}; {done.files[0]} is without int8", err=True)
        ctx.exit(1)
