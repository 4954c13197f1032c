"""COCO's JSON: tables, ids, boxes and keypoints, checked."""

from __future__ import annotations

import math
from collections.abc import Container, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from liftwild.boxes import Box, joints_box
from liftwild.errors import LiftwildError
from liftwild.schema import load_json, shown

PEOPLE = {"person", "people", "human", "pedestrian"}  # as labels call their category


class UnusableError(Exception):
    """The reason why one person cannot be used."""


def read_document(path: Path) -> Any:
    """What a JSON file holds; LiftwildError if it cannot be read or is no JSON."""
    return load_json(path)


def coco_tables(path: Path, labels: Any, *names: str) -> list[dict[Any, dict[str, Any]]]:
    """The lists called ``names``, by id, with ids present and unique, and every image with a file_name."""
    tables = []
    for name in names:
        rows = labels.get(name) if isinstance(labels, dict) else None
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise LiftwildError(f"{path} is not COCO JSON: it has no list {name!r}")
        table: dict[Any, dict[str, Any]] = {}
        for row in rows:
            key = key_of(row.get("id"))
            if key is None:
                raise LiftwildError(f"{path}: an entry of {name!r} has no usable id: {shown(row.get('id'))}")
            if name == "annotations" and not (isinstance(key, int) and abs(key) < 2**63):
                raise LiftwildError(f"{path}: annotation id {shown(key)} is not a whole number of 64 bits")
            if key in table:
                raise LiftwildError(f"{path}: id {key} is used twice in {name!r}")
            file_name = row.get("file_name")
            if name == "images" and not (isinstance(file_name, str) and file_name and _is_text(file_name)):
                raise LiftwildError(f"{path}: image {key} has no usable file_name: {shown(file_name)}")
            table[key] = row
        tables.append(table)
    return tables


def key_of(value: Any) -> Any:
    """An id as a key: 1, 1.0 and "1" are the same; None if it is no id."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    if isinstance(value, float):
        return int(value) if value.is_integer() else None
    return int(value) if isinstance(value, str) and value.isdecimal() and len(value) < 19 else value


def people_categories(labels: Any, among: Iterable[Any] | None = None) -> set[Any] | None:
    """Ids of the categories (``among`` these) whose name is that of people; None if none has such a name."""
    categories = labels.get("categories") if isinstance(labels, dict) else None
    rows = [row for row in categories if isinstance(row, dict)] if isinstance(categories, list) else []
    found = {key_of(row.get("id")) for row in rows if str(row.get("name")).strip().lower() in PEOPLE}
    return (found if among is None else found & set(among)) or None


def boxes_of(path: Path, labels: Any, people: Container[Any] | None = None) -> dict[str, list[tuple[int, Box]]]:
    """Photo file name -> [(annotation id, box (x, y, w, h) in px)] of ``labels``, read from ``path``; joints need not
    be labelled.

    ``people``: the categories' ids that count, None for all. Where there is no bbox, or one without size, it is made
    from the labelled joints. Crowds, and annotations with neither, are left out. LiftwildError if these are no COCO
    labels, or if a bbox is not four numbers.
    """
    images, annotations = coco_tables(path, labels, "images", "annotations")
    boxes: dict[str, list[tuple[int, Box]]] = {image["file_name"]: [] for image in images.values()}
    for key, annotation in annotations.items():
        if annotation.get("iscrowd") or (people is not None and key_of(annotation.get("category_id")) not in people):
            continue
        image = images.get(key_of(annotation.get("image_id")))
        if image is None:
            raise LiftwildError(
                f"{path}: annotation {key} names image_id {shown(annotation.get('image_id'))}, which is not there"
            )
        box = box_in(annotation, f"{path}: annotation {key} of {image['file_name']}")
        if box is not None:
            boxes[image["file_name"]].append((key, box))
    return boxes


def box_in(entry: dict[str, Any], where: str) -> Box | None:
    """The bbox of an annotation or result, or the box around its labelled joints, or None.

    LiftwildError, which ``where`` begins, if one of them is not what it should be.
    """
    try:
        box = bbox_of(entry)
        if box is None and isinstance(entry.get("keypoints"), list):
            labelled = keypoints_of(entry, len(entry["keypoints"]) // 3)
            box = joints_box(labelled[labelled[:, 2] > 0, :2])
    except UnusableError as unusable:
        raise LiftwildError(f"{where}: {unusable}") from None
    return box


def bbox_of(annotation: dict[str, Any]) -> Box | None:
    """The annotation's bbox (x, y, w, h); None if it has none, or one of no size."""
    values = annotation.get("bbox")
    if values is None or values == []:
        return None
    if not isinstance(values, list) or len(values) != 4 or not all(map(is_number, values)):
        raise UnusableError(f"bbox is not four numbers x, y, w, h: {shown(values)}")
    x, y, w, h = (float(value) for value in values)
    if w < 0 or h < 0:
        raise UnusableError(f"bbox has a size below 0: {shown(values)}")
    return (x, y, w, h) if min(w, h) > 0 and max(w, h) >= 1 else None


def keypoints_of(annotation: dict[str, Any], count: int) -> np.ndarray:
    """x, y and visibility (count, 3); what is not labelled may be null."""
    given = annotation["keypoints"]
    if isinstance(given, list):  # FiftyOne writes NaN for null
        given = [None if isinstance(value, float) and math.isnan(value) else value for value in given]
    labelled = triples_of(given, count, "keypoints")
    if not np.isin(labelled[:, 2], (0, 1, 2)).all():
        raise UnusableError("keypoint visibility is not 0, 1 or 2")
    if not np.isfinite(labelled[labelled[:, 2] > 0]).all():
        raise UnusableError("keypoints holds something that is no number: null or NaN for a labelled joint")
    return labelled


def triples_of(values: Any, count: int, field: str) -> np.ndarray:
    """(count, 3) floats, nulls as NaN; anything else that is no finite number is unusable."""
    if not isinstance(values, list) or len(values) != 3 * count:
        length = len(values) if isinstance(values, list) else "no list"
        raise UnusableError(f"wrong count in {field}: {length} numbers for {count} joints")
    for value in values:
        if value is not None and not is_number(value):
            raise UnusableError(f"{field} holds something that is no number: {shown(value)}")
    return np.array([math.nan if value is None else float(value) for value in values]).reshape(count, 3)


def is_number(value: Any) -> bool:
    """Whether ``value`` is a number that a float holds."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return math.isfinite(value) if isinstance(value, float) else abs(value) < 1e300


def _is_text(value: str) -> bool:
    """Whether ``value`` can be written as UTF-8; JSON can hold what cannot."""
    return value.encode("utf-8", "ignore").decode() == value
