"""Reader of MPII Human Pose: ``images/`` and the annotation in any of the three layouts in use.

- ``annot/{train,valid}.h5``: as the hourglass code has it. Head sizes are there. Joints are cut to whole pixels, up to
  1 px off (all of valid.h5); the .mat beside it gives them as they were clicked. An unlabelled joint is (0, 0);
  ``visible`` is MPII's own flag, 0 where a labelled joint is hidden. In the files in use the centre is already moved
  down by 15 * scale and the scale widened by 1.25 (2,958 of 2,958 rows of valid.h5), which the centres' fractions
  tell.
- ``annot/{train,valid}.json``: ``joints_vis`` is 0 where a joint is not labelled. MPII's head box has the neck and
  head top on its diagonal, 0.8 of it apart, so the head size (0.6 of the diagonal) is 0.75 of their distance; so it
  is, to 1e-6, in all rows where both layouts could be compared. 26 of the 2,958 validation people have a head size but
  no neck or no head top: theirs come from the h5 or the .mat beside it.
- ``mpii_human_pose_v1_u12_1.mat``: the original; it knows nothing of the split of Tompson et al., so it gives all
  2D-labelled people of the training photos.

Joints and centres are 1-based in all three: MATLAB's pixel 1 is the first, and its middle lies at 0.5 px here.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from liftwild.boxes import Box
from liftwild.camera import FARTHEST_PX
from liftwild.data.dataset import Dataset
from liftwild.data.labels import Skip, labelled_sample, positions
from liftwild.data.readers.common import blocks, need_folder, need_photos, photos_of
from liftwild.data.readers.file_formats import load_hdf5, load_mat
from liftwild.errors import LiftwildError
from liftwild.sample import Sample
from liftwild.schema import checked, load_json, understood
from liftwild.skeleton import MPII_16

JOINTS = MPII_16.names  # of all three layouts (ids 0 to 15 of the .mat)
FILES = {"train": "train", "val": "valid"}
MAT = "mpii_human_pose_v1_u12_1.mat"
# Both train.h5 and train.json leave out the other people of the photos with validation people.
PUBLISHED = {"train": (22_246, 22_246), "val": (2958, 2958)}
PUBLISHED_MAT = (28_000, 28_999)  # "28k" labelled people on the training photos, those of the validation split too
ONE_BASED = 0.5  # taken off a 1-based coordinate
PERSON_PX = 200.0  # a person's height is 200 px times its scale
DOWN_PX, WIDER = 15.0, 1.25  # the authors' crop: the centre so far down (times scale), the side so much wider
HEAD_OF_BOX, HEAD_OF_NECK = 0.6, 0.75  # head size over the head box's diagonal, over neck to head top
WHAT = "MPII's annotation"
EXPECTED = f"MPII's images/ and one of annot/{{train,valid}}.h5, annot/{{train,valid}}.json, {MAT}"


@dataclass(frozen=True, eq=False)
class Row:
    """One person as MPII labels them: ``joints`` (16, 2), ``valid`` (16,), ``centre`` (2,), ``scale``; px, 1-based.

    Centre and scale are not yet moved or widened. ``number`` of the annotation in its file, from 0 on.
    """

    image: str
    joints: np.ndarray
    valid: np.ndarray
    centre: np.ndarray
    scale: float
    head_size_px: float | None
    number: int


def mpii(source: str | Path, split: str, allow_missing: bool = False) -> Dataset:
    """MPII's people of ``split`` ("train" or "val"); several layouts at once: json before h5 before mat, and each gets
    from those after it what it lacks: head sizes the json, joints that are not cut to whole pixels the h5.

    LiftwildError if photos or annotation are not where they should be, or are not MPII's. ``allow_missing``: people of
    missing photos are left out. Source: Andriluka et al., CVPR 2014; split of Tompson et al., CVPR 2015.
    """
    source = Path(source)
    need_folder(source, EXPECTED)
    path, rows, beside, warnings = _read(source, split)
    images = source / "images"
    title = f"MPII {split} ({path.name})"
    need_photos(images, (row.image for row in rows), title, "MPII's photos", allow_missing)

    def read(some: Sequence[Row]) -> Iterator[Sample | Skip]:
        for row, image in zip(some, photos_of(images, (row.image for row in some)), strict=True):
            yield (
                Skip(row.image, row.number, image.reason, image.detail)
                if isinstance(image, Skip)
                else _sample(row, image)
            )

    rows.sort(key=lambda row: (row.image, row.number))  # people of one photo follow each other, and read it once
    settings = {"annotation": [str(each.resolve()) for each in (path, *beside)], "split": split, "people": len(rows)}
    published = PUBLISHED_MAT if path.name == MAT else PUBLISHED[split]
    return Dataset(title, blocks("people", rows, read), settings, published, warnings)


def box(centre: np.ndarray, scale: float) -> Box:
    """The box whose crop (``BOX_MARGIN`` wider) is the authors': centre 15 * scale down, 200 * 1.25 * scale px wide."""
    side = PERSON_PX * scale
    x, y = centre - ONE_BASED + (0, DOWN_PX * scale)
    return float(x - side / 2), float(y - side / 2), side, side


def _sample(row: Row, image: np.ndarray) -> Sample | Skip:
    if not ((np.abs(row.centre) < FARTHEST_PX).all() and 0 < row.scale < FARTHEST_PX):
        return Skip(row.image, row.number, "no centre or scale")
    return labelled_sample(
        image, positions(JOINTS), row.joints - ONE_BASED, valid=row.valid, source=row.image, annotation_id=row.number,
        box=box(row.centre, row.scale), head_size_px=row.head_size_px,
    )  # fmt: skip


def _read(source: Path, split: str) -> tuple[Path, list[Row], list[Path], list[str]]:
    """The annotation file that is read, its people, the files beside it that add to them, and what is still wrong."""
    mat = next((path for path in (source / MAT, *sorted(source.glob(f"*/{MAT}"))) if path.is_file()), None)
    for folder in (source / "annot", source):
        h5, own_json = (folder / f"{FILES[split]}{suffix}" for suffix in (".h5", ".json"))
        if own_json.is_file():
            return _json_and_heads(own_json, h5 if h5.is_file() else mat)
        if h5.is_file():
            return _h5_and_joints(h5, mat)
    if mat is None:
        raise LiftwildError(f"no annotation of MPII {split} in {source}: expected {EXPECTED}")
    if split == "val":
        raise LiftwildError(f"{mat} does not hold the validation split: put valid.h5 or valid.json into {source}/annot")
    return mat, mat_rows(mat), [], []


def _json_and_heads(path: Path, other: Path | None) -> tuple[Path, list[Row], list[Path], list[str]]:
    """The people of a json, with the head sizes of an h5 or mat where it has none."""
    rows, beside = json_rows(path), []
    if other is not None and any(row.head_size_px is None for row in rows):
        known = _by_place(h5_rows(other) if other.suffix == ".h5" else mat_rows(other))
        rows = [
            replace(row, head_size_px=known[place].head_size_px)
            if row.head_size_px is None and (place := _place(row)) in known else row
            for row in rows
        ]  # fmt: skip
        beside = [other]
    headless = sum(row.head_size_px is None for row in rows)
    if not headless:
        return path, rows, beside, []
    return path, rows, beside, [
        f"{headless:,} of {len(rows):,} people have no head size, as their neck or head top is not labelled: PCKh "
        f"leaves them out; {path.with_suffix('.h5').name} or {MAT} beside {path.name} has it"
    ]  # fmt: skip


def _h5_and_joints(path: Path, mat: Path | None) -> tuple[Path, list[Row], list[Path], list[str]]:
    """The people of an h5, with the joints of the mat."""
    rows, beside = h5_rows(path), []
    if mat is not None:
        exact = _by_place(mat_rows(mat))
        rows = [
            replace(row, joints=np.where(row.valid[:, None], own.joints, 0.0), valid=row.valid & own.valid)
            if (own := exact.get(_place(row))) is not None else row
            for row in rows
        ]  # fmt: skip
        beside = [mat]
    cut = sum(_whole(row.joints[row.valid]) == 1.0 for row in rows if row.valid.any())
    if cut < len(rows) / 2:
        return path, rows, beside, []
    return path, rows, beside, [
        f"{path.name} holds joints cut to whole pixels, up to 1 px off; {path.with_suffix('.json').name}, or {MAT} "
        "beside it, has them as they were clicked"
    ]  # fmt: skip


def _place(row: Row) -> tuple[str, int, int]:
    """Who a person is in all layouts: the photo, and the centre, which MPII has in whole px."""
    return row.image, round(float(row.centre[0])), round(float(row.centre[1]))


def _by_place(rows: Iterable[Row]) -> dict[tuple[str, int, int], Row]:
    return {_place(row): row for row in rows if np.isfinite(row.centre).all()}


def h5_rows(path: Path) -> list[Row]:
    """The people of ``{train,valid}.h5``."""
    with understood(path, WHAT):
        return _h5_rows(path, *load_hdf5(path, "imgname", "part", "center", "scale", "normalize"))


def _h5_rows(
    path: Path, names: np.ndarray, joints: np.ndarray, centres: np.ndarray, scales: np.ndarray, heads: np.ndarray
) -> list[Row]:
    if joints.shape[1:] != (len(JOINTS), 2):
        raise LiftwildError(f"{path}: part is {joints.shape}, not (N, 16, 2)")
    if names.dtype.kind in "uif":  # letters as numbers, as the Torch code writes text
        names = np.array([bytes(row[row > 0].astype(np.uint8)) for row in names])
    if _whole(centres[:, 1] - DOWN_PX * scales / WIDER) > 0.9:
        scales = scales / WIDER
        centres = centres - np.stack([np.zeros_like(scales), DOWN_PX * scales], axis=1)
    elif _whole(centres[:, 1]) <= 0.9:
        raise LiftwildError(f"{path}: centres are neither MPII's own nor those moved down by 15 * scale")
    valid = (joints != 0).any(axis=-1)
    return [
        Row(_text(name), joints[at], valid[at], centres[at], float(scales[at]), _positive(heads[at]), at)
        for at, name in enumerate(names)
    ]


def _text(name: Any) -> str:
    return name.decode() if isinstance(name, bytes) else str(name)


def _positive(value: Any) -> float | None:
    return float(value) if value > 0 else None


def _whole(values: np.ndarray) -> float:
    """The share of whole numbers in ``values``; MPII's own centres are all whole."""
    return float(np.mean(np.abs(values - np.round(values)) < 1e-3))


def json_rows(path: Path) -> list[Row]:
    """The people of ``{train,valid}.json``."""
    entries = load_json(path)
    with understood(path, WHAT):
        if not entries:
            raise ValueError("it holds nobody")
        return [_json_row(entry, at) for at, entry in enumerate(entries)]


def _json_row(entry: dict[str, Any], number: int) -> Row:
    joints = np.array(entry["joints"], dtype=np.float64).reshape(len(JOINTS), 2)
    valid = np.array(entry["joints_vis"]).reshape(len(JOINTS)) > 0
    centre = np.array(entry["center"], dtype=np.float64).reshape(2)
    return Row(
        checked(str, entry["image"], "image"),
        joints,
        valid,
        centre,
        float(entry["scale"]),
        _head_size(joints, valid),
        number,
    )


def _head_size(joints: np.ndarray, valid: np.ndarray) -> float | None:
    """Head size from the two joints on the head box's diagonal."""
    ends = [JOINTS.index("upper_neck"), JOINTS.index("head_top")]
    return HEAD_OF_NECK * math.dist(*joints[ends]) if valid[ends].all() else None


def mat_rows(path: Path) -> list[Row]:
    """The 2D-labelled people of the training photos in MPII's own file."""
    variables = load_mat(path, structs=True)
    with understood(path, WHAT):
        release = variables["RELEASE"]
        annolist, train = np.atleast_1d(release.annolist), np.atleast_1d(release.img_train)
        rows: list[Row] = []
        for annotation, is_train in zip(annolist, train, strict=True):
            for rect in np.atleast_1d(annotation.annorect) if is_train else ():
                row = _mat_row(str(annotation.image.name), rect, len(rows))
                if row is not None:
                    rows.append(row)
        return rows


def _mat_row(name: str, rect: Any, number: int) -> Row | None:
    """One person of the .mat; None without joints, centre or scale, as some people at the edge of a photo are."""
    points = getattr(getattr(rect, "annopoints", None), "point", None)
    if points is None or not hasattr(getattr(rect, "objpos", None), "x") or not np.size(getattr(rect, "scale", ())):
        return None
    joints, valid = np.zeros((len(JOINTS), 2)), np.zeros(len(JOINTS), dtype=bool)
    for point in np.atleast_1d(points):
        joints[int(point.id)], valid[int(point.id)] = (point.x, point.y), True
    centre = np.array([rect.objpos.x, rect.objpos.y], dtype=np.float64)
    head = HEAD_OF_BOX * math.hypot(float(rect.x2) - float(rect.x1), float(rect.y2) - float(rect.y1))
    return Row(name, joints, valid, centre, float(rect.scale), head, number)
