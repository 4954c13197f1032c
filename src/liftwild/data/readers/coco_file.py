"""COCO's JSON: tables, ids, boxes and keypoints, checked."""

from __future__ import annotations

import json
import math
from collections.abc import Container
from pathlib import Path
from typing import Any

import numpy as np

from liftwild.boxes import Box, joints_box
from liftwild.errors import LiftwildError


class UnusableError(Exception):
    """The reason why one person cannot be used."""


def read_document(path: Path) -> Any:
    """What a JSON file holds; LiftwildError if it cannot be read or is no JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise LiftwildError(f"cannot read labels {path}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:  # JSON and UTF-8 both
        raise LiftwildError(f"{path} is not JSON: {error}") from None


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
                raise LiftwildError(f"{path}: an entry of {name!r} has no usable id: {row.get('id')}")
            if name == "annotations" and not (isinstance(key, int) and abs(key) < 2**63):
                raise LiftwildError(f"{path}: annotation id {key!r} is not a whole number of 64 bits")
            if key in table:
                raise LiftwildError(f"{path}: id {key} is used twice in {name!r}")
            file_name = row.get("file_name")
            if name == "images" and not (isinstance(file_name, str) and file_name and _is_text(file_name)):
                raise LiftwildError(f"{path}: image {key} has no usable file_name: {file_name!r}")
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
                f"{path}: annotation {key} names image_id {annotation.get('image_id')}, which is not there"
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
    if not isinstance(values, list) or len(values) != 4 or not all(map(_is_number, values)):
        raise UnusableError(f"bbox is not four numbers x, y, w, h: {values}")
    x, y, w, h = (float(value) for value in values)
    if w < 0 or h < 0:
        raise UnusableError(f"bbox has a size below 0: {values}")
    return (x, y, w, h) if min(w, h) > 0 and max(w, h) >= 1 else None


def keypoints_of(annotation: dict[str, Any], count: int) -> np.ndarray:
    """x, y and visibility (count, 3); what is not labelled may be null."""
    labelled = triples_of(annotation["keypoints"], count, "keypoints")
    if not np.isin(labelled[:, 2], (0, 1, 2)).all():
        raise UnusableError("keypoint visibility is not 0, 1 or 2")
    if not np.isfinite(labelled[labelled[:, 2] > 0]).all():
        raise UnusableError("keypoints holds something that is no number: null for a labelled joint")
    return labelled


def triples_of(values: Any, count: int, field: str) -> np.ndarray:
    """(count, 3) floats, nulls as NaN; anything else that is no finite number is unusable."""
    if not isinstance(values, list) or len(values) != 3 * count:
        length = len(values) if isinstance(values, list) else "no list"
        raise UnusableError(f"wrong count in {field}: {length} numbers for {count} joints")
    for value in values:
        if value is not None and not _is_number(value):
            raise UnusableError(f"{field} holds something that is no number: {value}")
    return np.array([math.nan if value is None else float(value) for value in values]).reshape(count, 3)


def _is_number(value: Any) -> bool:
    """Whether ``value`` is a number that a float holds."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return math.isfinite(value) if isinstance(value, float) else abs(value) < 1e300


def _is_text(value: str) -> bool:
    """Whether ``value`` can be written as UTF-8; JSON can hold what cannot."""
    return value.encode("utf-8", "ignore").decode() == value
