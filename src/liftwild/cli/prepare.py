"""``liftwild prepare``: labelled photos and data sets into stores."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from liftwild.console import say

if TYPE_CHECKING:
    from liftwild.data.dataset import Dataset
    from liftwild.data.prepare import Prepared

Command = Callable[..., Any]
OUT = click.option("-o", "--out", required=True, type=click.Path(path_type=Path), help="The store to write, x.arrow.")
MISSING = click.option("--allow-missing", is_flag=True, help="Leave out people whose photos are not there.")


def _split(*names: str) -> Callable[[Command], Command]:
    return click.option("--split", type=click.Choice(names), default="train", show_default=True)


def _every(help: str) -> Callable[[Command], Command]:
    return click.option("--every", default=5, show_default=True, type=click.IntRange(min=1), help=help)


@click.group("prepare")
def prepare_command() -> None:
    """Turn labelled photos, or a data set, into a store that training reads.

    What is left out is counted by reason, and listed in full in OUT.skipped.txt. docs/datasets.md says where to ask for
    the data sets and what lands where.
    """


@prepare_command.command("coco")
@click.argument("labels", type=click.Path(path_type=Path))
@click.argument("images", type=click.Path(path_type=Path))
@OUT
def prepare_coco_command(labels: Path, images: Path, out: Path) -> None:
    """COCO keypoints LABELS (JSON) and the folder IMAGES."""
    from liftwild.data.prepare import prepare_labels

    _report(prepare_labels(labels, images, out, _bar("photo")), out)


@prepare_command.command("mpii")
@click.argument("source", type=click.Path(path_type=Path))
@OUT
@_split("train", "val")
@MISSING
def prepare_mpii_command(source: Path, out: Path, split: str, allow_missing: bool) -> None:
    """MPII: SOURCE holds images/ and annot/{train,valid}.json or .h5, or mpii_human_pose_v1_u12_1.mat."""
    from liftwild.data.readers.mpii import mpii

    _write(mpii(source, split, allow_missing), out)


@prepare_command.command("npz")
@click.argument("labels", type=click.Path(path_type=Path))
@click.argument("images", type=click.Path(path_type=Path))
@OUT
@MISSING
def prepare_npz_command(labels: Path, images: Path, out: Path, allow_missing: bool) -> None:
    """LABELS.npz of mmpose or SPIN (part, S, center, scale, imgname), and the folder that its names start from."""
    from liftwild.data.readers.npz_labels import npz_labels

    _write(npz_labels(labels, images, allow_missing), out)


@prepare_command.command("lsp")
@click.argument("source", type=click.Path(path_type=Path))
@OUT
@_split("train", "test")
@MISSING
def prepare_lsp_command(source: Path, out: Path, split: str, allow_missing: bool) -> None:
    """LSP or LSPET: SOURCE holds joints.mat and images/."""
    from liftwild.data.readers.lsp import lsp

    _write(lsp(source, split, allow_missing), out)


@prepare_command.command("h36m")
@click.argument("source", type=click.Path(path_type=Path))
@OUT
@_split("train", "test")
@click.option(
    "--every",
    type=click.IntRange(min=1),
    help="Take every so many of 50 pictures a second; the authors' quick test takes every 200th.  [default: 5 of "
    "videos, else all that are there]",
)
@click.option("--keep-broken", is_flag=True, help="Also S11 Directions take 2 camera 1, whose poses are wrong.")
@click.option(
    "--boxes",
    type=click.Choice(["joints", "dataset"]),
    default="joints",
    show_default=True,
    help="Of videos: cut people out by the box of their joints, or by S1/MySegmentsMat/ground_truth_bb/.",
)
@click.option(
    "--targets-2d",
    type=click.Choice(["labelled", "weak-perspective"]),
    default="labelled",
    show_default=True,
    help="2D joints as they are labelled, or as the authors' code makes them of the 3D ones.",
)
@click.option(
    "--keypoints",
    type=click.Path(path_type=Path),
    help="Of the challenge of ECCV 2018: COCO keypoints of its pictures, a file or a folder of files.",
)
def prepare_h36m_command(source: Path, out: Path, split: str, **chosen: Any) -> None:
    """Human3.6M: SOURCE holds any of these layouts (docs/datasets.md has them in full).

    \b
    S1/Videos/ ...                       the site's videos and CDF files
    processed/S1/Directions-1/ ...       of h36m-fetch
    Train/IMG/ Train/POSE/ Val/ ...      the challenge of ECCV 2018; test is Val
    s_01_act_02_subact_01_ca_01/ ...     the authors' crops, each folder with its matlab_meta.mat
    annotFullTest.h5 and those crops     the authors' annotation, or annotSampleTest.h5
    """
    from liftwild.data.readers.h36m import H36MOptions
    from liftwild.data.readers.h36m_layouts import read_h36m

    _write(read_h36m(source, split, H36MOptions(**chosen)), out)


@prepare_command.command("mpi-inf-3dhp")
@click.argument("source", type=click.Path(path_type=Path))
@OUT
@_split("train", "test")
@_every("Of the training videos, take every so many frames.")
@click.option(
    "--scale",
    type=click.Choice(["true", "universal"]),
    help="3D joints at the person's true size, or scaled to one height for all.  [default: train true, test universal]",
)
@MISSING
def prepare_mpi_inf_3dhp_command(
    source: Path, out: Path, split: str, every: int, scale: str | None, allow_missing: bool
) -> None:
    """MPI-INF-3DHP: SOURCE holds S1/Seq1/ and so on (train), or TS1/ to TS6/ (test, all valid frames).

    Of TS1 either annot_data.mat and imageSequence/, or bb_cropped_data.mat.
    """
    from liftwild.data.readers.mpi_inf_3dhp import mpi_inf_3dhp_test, mpi_inf_3dhp_train
    from liftwild.data.readers.mpi_inf_3dhp_crops import has_crops, mpi_inf_3dhp_crops

    if split == "test" and has_crops(source):
        _write(mpi_inf_3dhp_crops(source, scale or "universal"), out)
    elif split == "test":
        _write(mpi_inf_3dhp_test(source, scale or "universal", allow_missing), out)
    else:
        _write(mpi_inf_3dhp_train(source, scale or "true", every), out)


@prepare_command.command("poses")
@click.argument("motion", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("-o", "--out", required=True, type=click.Path(path_type=Path), help="The poses to write, x.npy.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(min=0), help="Of the bodies they are put on.")
def prepare_poses_command(motion: tuple[Path, ...], out: Path, seed: int) -> None:
    """Poses of motion capture, to train a lifter on: MOTION is .bvh, .amc with .asf, or folders of them."""
    from tqdm import tqdm

    from liftwild.synthetic.poses.pose_bank import write_captured_poses

    count, faults = write_captured_poses(out, motion, seed, lambda files: tqdm(files, unit="clip"))
    for fault in faults:
        say(f"left out: {fault}", err=True)
    say(f"{count} poses in {out}" + (f"; {len(faults)} of the files left out" if faults else ""))


@prepare_command.command("split")
@click.argument("stores", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("-o", "--out", required=True, help="The folder or address (s3://...) to write shards into.")
@click.option("--rows", default=4096, show_default=True, type=click.IntRange(1, 10**7), help="People in each shard.")
@click.option("--format", type=click.Choice(["arrow", "parquet"]), default="arrow", show_default=True)
def prepare_split_command(stores: tuple[Path, ...], out: str, rows: int, format: Literal["arrow", "parquet"]) -> None:
    """Split STORES into one store of shards, their people shuffled; the same command goes on after an interruption."""
    from liftwild.data.shard_writing import split_stores

    people, shards, kept = split_stores(stores, out, rows, format, _bar("shard"))
    say(f"{people} people in {shards} shards in {out}" + (f"; {kept} of them were there already" if kept else ""))


def _bar(unit: str) -> Callable[[Any, int], Any]:
    from tqdm import tqdm

    return lambda items, total: iter(tqdm(items, total=total, unit=unit))


def _write(dataset: Dataset, out: Path) -> None:
    from liftwild.data.dataset import parts_of, prepare_dataset

    try:
        done = prepare_dataset(dataset, out, _bar("part"))
    except (KeyboardInterrupt, SystemExit):
        if parts_of(out).is_dir():
            say(f"what is done waits in {parts_of(out)}; the same command goes on from there", err=True)
        raise
    _report(done, out)


def _report(done: Prepared, out: Path) -> None:
    """Say what was written, left out, and what differs from the data set as published."""
    from liftwild.data.prepare import left_out, write_skips

    listed = write_skips(done, out)
    for line in [*left_out(done), *(f"warning: {warning}" for warning in done.warnings)]:
        say(line, err=True)
    more = f"; {len(done.skips)} left out, see {listed}" if listed else ""
    say(f"{done.people} people of {done.photos} photos in {out}{more}")
