"""The layouts, each with what its people are called, counted and measured by."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from liftwild.data.readers import mpii
from liftwild.evaluation import paper
from liftwild.evaluation.scored import open_table
from liftwild.synthetic.render.generate import RenderedSample
from tests.data.readers.conftest import (
    films_3dhp,
    h36m_films,
    h36m_folders,
    lsp_photos,
    lspet_photos,
    mpii_h5,
    mpii_json,
    mpii_mat,
    sequences_3dhp,
)


@dataclass(frozen=True)
class Case:
    """A layout: what prepares it, what is said of its count, and what its people are measured by.

    ``made_up``: joints that it lacks. ``size``: of the 3D joints, 0 without any. ``filled``: columns of each table that
    get a number. ``blur``: how far compressed pictures may be off, of 256.
    """

    write: Callable[[Path, list[RenderedSample]], None]
    command: str
    options: tuple[str, ...]
    says: str
    protocol: str
    instead_of: str
    filled: dict[str, tuple[str, ...]]
    made_up: tuple[str, ...] = ()
    size: float = 0.0
    camera: bool = False
    blur: float = 4.0


MPII_ALL = {"mpii": paper.MPII_COLUMNS}
SPACE = {"open-x": open_table("open-x", "").columns}
FLAT = {"open-x": tuple(column for column in SPACE["open-x"] if "MPJPE" not in column)}
CASES = {
    "mpii h5": Case(
        mpii_h5, "mpii", ("--split", "val"),
        "MPII val (valid.h5) has 12 people here, 2,958 are published: 2,946 too few", "mpii", "2,958", MPII_ALL,
    ),
    "mpii json": Case(
        mpii_json, "mpii", ("--split", "val"), "MPII val (valid.json) has 12 people here, 2,958 are published",
        "mpii", "2,958", MPII_ALL,
    ),
    "mpii mat": Case(
        mpii_mat, "mpii", (), f"MPII train ({mpii.MAT}) has 12 people here, 28,000 to 28,999 are published",
        "mpii", "2,958", MPII_ALL,
    ),
    "lsp": Case(
        lsp_photos, "lsp", (), "LSP train has 12 people here, 1,000 are published: 988 too few", "open", "", FLAT,
        ("thorax", "pelvis"),
    ),
    "lspet": Case(
        lspet_photos, "lsp", (), "LSPET train has 12 people here, 10,000 are published: 9,988 too few", "open", "",
        FLAT, ("thorax", "pelvis"),
    ),
    "h36m folders": Case(
        h36m_folders, "h36m", ("--split", "test"),
        "Human3.6M test has 12 people here, 109,867 are published: 109,855 too few", "h36m", "109,867",
        {"table1": ("Directions", "Eating", "Photo", "WalkPair", "Average"), "table2": ("PCKh@0.5",)}, ("thorax",), 1.0,
    ),
    "h36m videos": Case(
        h36m_films, "h36m", ("--split", "test"), "2 of 239 videos are there", "h36m", "109,867",
        {"table1": ("Posing", "SittingDown", "Average"), "table2": ("PCKh@0.5",)}, ("thorax",), 1.0, True, 12.0,
    ),
    "3dhp test": Case(
        sequences_3dhp, "mpi-inf-3dhp", ("--split", "test"), "TS1 has 2 valid frames instead of 603, TS2 has 2",
        "mpi-inf-3dhp", "2,929", {"table3": ("Studio GS", "Studio no GS", "Outdoor", "All PCK", "AUC")}, ("thorax",),
        0.9, True,
    ),
    "3dhp train": Case(
        films_3dhp, "mpi-inf-3dhp", (), "MPI-INF-3DHP train has 12 people here, 2,568 are published: 2,556 too few",
        "open", "", SPACE, ("thorax",), 1.0, True,
    ),
}  # fmt: skip
