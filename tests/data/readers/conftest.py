"""A dozen rendered people, and all that is needed to write them in the layout of each data set."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner, Result

from liftwild.camera import Camera
from liftwild.cli.main import cli
from liftwild.data.readers import h36m, mpi_inf_3dhp
from liftwild.skeleton import MPII_16
from liftwild.synthetic.render.generate import RenderedSample, render_people
from tests.data.readers.layouts import (
    HEIGHT,
    WIDTH,
    Cast,
    write_3dhp_test,
    write_3dhp_train,
    write_h36m_folder,
    write_h36m_video,
    write_lsp,
    write_metadata,
    write_mpii,
)

DOZEN = 12
RENDERED_PX = 128
CAMERA = Camera(300.0, 300.0, WIDTH / 2, 70.0)  # that sees all of them
J = {name: number for number, name in enumerate(MPII_16.names)}
MIDDLES = {
    "thorax": [J["left_shoulder"], J["right_shoulder"]],
    "pelvis": [J["left_hip"], J["right_hip"]],
}


def liftwild(*arguments: object, code: int = 0) -> Result:
    """What the command says; never a traceback."""
    done = CliRunner().invoke(cli, [str(argument) for argument in arguments])
    assert done.exit_code == code, done.output
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done


@pytest.fixture(scope="module")
def dozen() -> list[RenderedSample]:
    """Twelve people in a studio; all joints are in the picture."""
    people = list(render_people("lab", DOZEN, seed=4, size=RENDERED_PX))
    assert all(one.sample.joints_2d_valid.all() for one in people)
    return people


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


def h36m_folders(source: Path, dozen: list[RenderedSample]) -> None:
    """Three of them in each of four folders, and two folders that are not to be read."""
    for number, key in enumerate(FOLDERS):
        write_h36m_folder(source, key, 11, crops_of(dozen, lambda frame, first=3 * number: first + frame // 5))
    write_h36m_folder(source, h36m.BROKEN, 6)
    write_h36m_folder(source, (1, 2, 1, 1), 6)


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
