"""A dozen rendered people in the layout of each dataset, and what its commands say and measure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from liftwild.camera import Camera
from liftwild.data.readers import h36m, mpi_inf_3dhp, mpii
from liftwild.data.readers.h36m_annot import FULL
from liftwild.evaluation import paper
from liftwild.evaluation.scored import open_table
from liftwild.skeleton import MPII_16
from liftwild.synthetic.render.generate import RenderedSample
from tests.support.dataset_layouts import (
    HEIGHT,
    WIDTH,
    Cast,
    write_3dhp_test,
    write_3dhp_train,
    write_lsp,
    write_mpii,
)
from tests.support.h36m_layouts import (
    write_h36m_annot,
    write_h36m_fetch,
    write_h36m_folder,
    write_h36m_video,
    write_metadata,
)

DOZEN = 12
RENDERED_PX = 128
CAMERA = Camera(300.0, 300.0, WIDTH / 2, 70.0)  # that sees all of them
J = {name: number for number, name in enumerate(MPII_16.names)}
MIDDLES = {
    "thorax": [J["left_shoulder"], J["right_shoulder"]],
    "pelvis": [J["left_hip"], J["right_hip"]],
}


def cast_of(dozen: Sequence[RenderedSample], who: Callable[[int], int] = int) -> Cast:
    """The dozen before one camera; ``who`` tells which of them a photo or frame shows."""
    samples = [one.sample for one in dozen]
    flat = [CAMERA.project(sample.joints_3d) for sample in samples]

    def picture(person: int) -> np.ndarray:
        """The rendered picture as ``CAMERA`` sees it: the same lens, a longer one."""
        own = samples[person].camera
        assert own is not None
        zoom = np.diag([CAMERA.fx / own.fx, CAMERA.fy / own.fy])
        shift = np.array([CAMERA.cx, CAMERA.cy]) - zoom @ (own.cx, own.cy)
        shift += zoom @ (0.5, 0.5) - 0.5  # cv2 counts pixel centres at 0
        return cv2.warpAffine(
            samples[person].image, np.column_stack([zoom, shift]), (WIDTH, HEIGHT), borderMode=cv2.BORDER_REPLICATE
        )

    def where(person: int) -> tuple[tuple[float, float], float, float]:
        """MPII's centre is a whole number; its head size is here what the json says."""
        low, high = flat[person].min(0), flat[person].max(0)
        head = 0.75 * np.linalg.norm(flat[person][J["upper_neck"]] - flat[person][J["head_top"]])
        x, y = np.round((low + high) / 2)
        return (float(x), float(y)), float((high - low).max() / 200), float(head)

    return Cast(
        lambda n: samples[who(n)].joints_3d, lambda n: flat[who(n)], lambda n: picture(who(n)), CAMERA,
        lambda n: where(who(n)),
    )  # fmt: skip


def crops_of(dozen: Sequence[RenderedSample], who: Callable[[int], int] = int) -> Cast:
    """The dozen in pictures of 224 px of their own, as in Human3.6M's folders."""
    zoom = 224 / RENDERED_PX
    return Cast(
        lambda n: dozen[who(n)].sample.joints_3d,
        lambda n: dozen[who(n)].sample.joints_2d * zoom,
        lambda n: cv2.resize(dozen[who(n)].sample.image, (224, 224)),
    )


def mpii_h5(source: Path, dozen: list[RenderedSample]) -> None:
    write_mpii(source, "h5", people=DOZEN, cast=cast_of(dozen))


def mpii_json(source: Path, dozen: list[RenderedSample]) -> None:
    write_mpii(source, "json", people=DOZEN, cast=cast_of(dozen))


def mpii_mat(source: Path, dozen: list[RenderedSample]) -> None:
    write_mpii(source, "mat", "train", people=DOZEN, cast=cast_of(dozen))


def lsp_photos(source: Path, dozen: list[RenderedSample]) -> None:
    write_lsp(source, "LSP", DOZEN, cast_of(dozen))


def lspet_photos(source: Path, dozen: list[RenderedSample]) -> None:
    write_lsp(source, "LSPET", DOZEN, cast_of(dozen))


FOLDERS = [(9, 2, 1, 1), (9, 4, 2, 3), (11, 12, 1, 2), (11, 16, 2, 4)]  # Directions, Eating, Photo, WalkTogether


def folders_h36m(source: Path, dozen: list[RenderedSample]) -> None:
    """Three of them in each of four folders, and two folders that are not to be read."""
    for number, key in enumerate(FOLDERS):
        write_h36m_folder(source, key, 11, crops_of(dozen, lambda frame, first=3 * number: first + frame // 5))
    write_h36m_folder(source, h36m.BROKEN, 6)
    write_h36m_folder(source, (1, 2, 1, 1), 6)


def annot_h36m(source: Path, dozen: list[RenderedSample]) -> None:
    """Three of them in each of four videos of the authors' annotation."""
    cast = crops_of(dozen, lambda frame: frame // 5)
    rows = [(key, 5 * (3 * video + at)) for video, key in enumerate(FOLDERS) for at in range(3)]
    write_h36m_annot(source, FULL, rows, cast=cast)


def fetched_h36m(source: Path, dozen: list[RenderedSample]) -> None:
    """Six of them in each of two takes."""
    for first, (subject, take, action) in zip((0, 6), ((9, "Eating-1", 4), (11, "WalkTogether-2", 16)), strict=True):
        cast = cast_of(dozen, lambda frame, first=first: first + frame // 64)
        write_h36m_fetch(source / "processed", subject, take, action, range(0, 384, 64), cameras=(2,), cast=cast)


def h36m_films(source: Path, dozen: list[RenderedSample]) -> None:
    """Six of them in each of two videos."""
    for number, (subject, stem) in enumerate(((9, "Posing.54138969"), (11, "SittingDown 1.60457274"))):
        cast = cast_of(dozen, lambda frame, first=6 * number: first + frame // 5)
        write_h36m_video(source, subject, stem, 26, cast=cast)
    write_h36m_video(source, 11, "Directions.54138969", 2)
    write_metadata(source, CAMERA)


def sequences_3dhp(source: Path, dozen: list[RenderedSample]) -> None:
    """Two of them in each of six sequences."""
    for number, name in enumerate(mpi_inf_3dhp.SEQUENCES):
        write_3dhp_test(source, name, 3, cast=cast_of(dozen, lambda frame, first=2 * number: (first + frame) % DOZEN))


def films_3dhp(source: Path, dozen: list[RenderedSample]) -> None:
    """Six of them before each of two cameras."""
    write_3dhp_train(source, (0, 3), 30, cast_of(dozen, lambda number: number // 5 % DOZEN))


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
        folders_h36m, "h36m", ("--split", "test"),
        "Human3.6M test has 12 people here, 109,867 are published: 109,855 too few", "h36m", "109,867",
        {"table1": ("Directions", "Eating", "Photo", "WalkPair", "Average"), "table2": ("PCKh@0.5",)}, ("thorax",), 1.0,
    ),
    "h36m annotation": Case(
        annot_h36m, "h36m", ("--split", "test"),
        "Human3.6M test (annotFullTest.h5) has 12 people here, 109,867 are published: 109,855 too few", "h36m",
        "109,867", {"table1": ("Directions", "Eating", "Photo", "WalkPair", "Average"), "table2": ("PCKh@0.5",)},
        ("thorax",), 1.0,
    ),
    "h36m-fetch": Case(
        fetched_h36m, "h36m", ("--split", "test"), "2 of 239 videos are there", "h36m", "109,867",
        {"table1": ("Eating", "WalkPair", "Average"), "table2": ("PCKh@0.5",)}, ("thorax",), 1.0, True,
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
