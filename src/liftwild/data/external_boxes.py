"""Boxes that somebody else knows: COCO labels, or the COCO results that detectors and ``--format coco`` write."""

from __future__ import annotations

import hashlib
import os
import re
import zlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from liftwild.boxes import Box
from liftwild.data.readers.coco_file import (
    box_in,
    boxes_of,
    coco_tables,
    is_number,
    key_of,
    people_categories,
    read_document,
)
from liftwild.errors import LiftwildError
from liftwild.schema import shown

MIN_SCORE = 0.3  # of results: what a detector is less sure of is nobody
PERSON_ID = 1  # category_id of people in COCO

_NUMBERED = re.compile(r"(?:COCO_\w+_)?(\d{1,15})", re.ASCII)

Boxes = Sequence[tuple[int, Box]]


class ExternalBoxes:
    """Boxes of people, found by photo or by frame: ``ExternalBoxes.read("labels.json").of(Path("photo.jpg"))``.

    ``by_name``: (annotation id, (x, y, w, h) px) by file name: a photo belongs to the one that its absolute path ends
    in, the longest if there are several, so ``im1.jpg`` means every photo of that name and ``sub/im1.jpg`` only those
    in a folder ``sub``; a name may lack its ending. ``by_id``: by the whole number that results call a photo by, which
    is the number that its name is (``000000397133.jpg``) or the CRC-32 of its name, and of a clip the frame from 0 on.
    ``scores``: of results, by annotation id.
    """

    def __init__(
        self,
        by_name: Mapping[str, Boxes],
        by_id: Mapping[int, Boxes] | None = None,
        scores: Mapping[int, float] | None = None,
    ) -> None:
        self._ids, self._scores = dict(by_id or {}), dict(scores or {})
        self._names: defaultdict[str, list[tuple[tuple[str, ...], Boxes]]] = defaultdict(list)
        for file_name, boxes in by_name.items():
            parts = tuple(part for part in PurePosixPath(file_name.replace("\\", "/")).parts if part != ".")
            if parts:
                self._names[parts[-1]].append((parts, boxes))
        told = repr((sorted(by_name.items()), sorted(self._ids.items()), sorted(self._scores.items())))
        self.fingerprint = hashlib.sha256(told.encode("utf-8", "surrogateescape")).hexdigest()[:16]

    @classmethod
    def read(
        cls, path: str | Path, photo_ids: str | Path | None = None, least_score: float = MIN_SCORE
    ) -> ExternalBoxes:
        """The boxes in ``path``: COCO labels, or COCO results, a bare list of ``{image_id, category_id, bbox, score}``.

        Of labels crowds are left out, and what is in a category of another name than a person's where one has that
        name. Of results what has a score under ``least_score``, and what is not of category 1, unless all are of one
        category. ``photo_ids``: labels whose ``images`` and ``categories`` say what the ids of results mean; without,
        an entry belongs to its own ``file_name`` if it has one, else to the photo that its ``image_id`` calls as said
        above. A result's annotation id is its place in the list, from 1, as pycocotools counts them. Boxes are made
        of labelled keypoints where there is no bbox. LiftwildError if it is neither, or something in it is no box.
        """
        path = Path(path)
        document = read_document(path)
        if isinstance(document, list):
            known = None if photo_ids is None else read_document(Path(photo_ids))
            return _of_results(path, document, photo_ids, known, least_score)
        if photo_ids is not None:
            raise LiftwildError(f"{path} holds labels, which name their photos themselves: no need of {photo_ids}")
        if not isinstance(document, dict) or "images" not in document:
            raise LiftwildError(
                f"{path} holds neither COCO labels (it has no list 'images') nor COCO results (it is no bare list)"
            )
        return cls(boxes_of(path, document, people_categories(document)))

    def of(self, photo: Path) -> Boxes:
        """The boxes of a photo; empty if there are none."""
        return self._find(photo) or ()

    def score_of(self, annotation_id: int | None) -> float | None:
        """The score that a result came with; None of labels, and of a result without one."""
        return None if annotation_id is None else self._scores.get(annotation_id)

    def of_frame(self, clip: str, index: int, photo: Path | None = None) -> Boxes:
        """The boxes of a frame: of ``photo``, if it is an image with a name; or of what ``--format coco`` calls it,
        ``STEM/000012.jpg``, STEM being the clip's name without its ending; or of the image_id ``index``."""
        named = Path(PurePosixPath(clip).stem) / f"{index:06d}.jpg"
        for path in (photo, named):
            found = None if path is None else self._by_path(path)
            if found is not None:
                return found
        return self._ids.get(index, ())

    def check(self, photos: Iterable[Path], said: str) -> None:
        """LiftwildError if there are boxes and photos, and none is of any; ``said``: what the boxes were given as."""
        photos = list(photos)
        if not photos or not (self._names or self._ids) or any(self._find(photo) is not None for photo in photos):
            return
        names = sorted(str(PurePosixPath(*parts)) for entries in self._names.values() for parts, _ in entries)
        first = f"'{names[0]}'" if names else f"image_id {min(self._ids)}"
        hint = "" if names else "; --photo-ids labels.json says which photo an image_id is"
        raise LiftwildError(f"{said} knows none of the photos: it has {first}, not '{photos[0].name}'{hint}")

    def _find(self, photo: Path) -> Boxes | None:
        found = self._by_path(photo)
        if found is not None or not self._ids:
            return found
        number = _NUMBERED.fullmatch(photo.stem)
        if number is not None and int(number[1]) in self._ids:
            return self._ids[int(number[1])]
        return self._ids.get(zlib.crc32(photo.name.encode("utf-8", "surrogateescape")))

    def _by_path(self, photo: Path) -> Boxes | None:
        path = Path(os.path.abspath(photo)).parts
        for name in (photo.name, photo.stem):
            whole = (*path[:-1], name)
            fits = [entry for entry in self._names.get(name, ()) if whole[-len(entry[0]) :] == entry[0]]
            if fits:
                return max(fits, key=lambda entry: len(entry[0]))[1]
        return None


def _of_results(
    path: Path, rows: list[Any], photo_ids: str | Path | None, labels: Any, least_score: float
) -> ExternalBoxes:
    images = None if photo_ids is None else coco_tables(Path(photo_ids), labels, "images")[0]
    for place, row in enumerate(rows, 1):
        if not isinstance(row, dict) or not ({"image_id", "file_name"} & row.keys()):
            raise LiftwildError(f"{path}: entry {place} is no COCO result: it has no image_id")
    wanted = people_categories(labels) or _category_of(path, rows)
    by_name: defaultdict[str, list[tuple[int, Box]]] = defaultdict(list)
    by_id: defaultdict[int, list[tuple[int, Box]]] = defaultdict(list)
    scores: dict[int, float] = {}
    empty = 0
    for place, row in enumerate(rows, 1):
        where = f"{path}: result {place}"
        score = row.get("score", 1.0)
        if not is_number(score):
            raise LiftwildError(f"{where}: its score is no number: {shown(score)}")
        if score < least_score or (wanted is not None and key_of(row.get("category_id")) not in wanted):
            continue
        box = box_in(row, where)
        empty += box is None
        name = _name_of(row, images, where, photo_ids)
        to = by_name[name] if isinstance(name, str) else by_id[name]
        to += [] if box is None else [(place, box)]
        if "score" in row:
            scores[place] = min(max(float(score), 0.0), 1.0)
    if empty and not any(map(len, [*by_name.values(), *by_id.values()])):
        raise LiftwildError(f"{path}: none of its results has a bbox")
    return ExternalBoxes(by_name, by_id, scores)


def _category_of(path: Path, rows: Sequence[dict[str, Any]]) -> set[Any] | None:
    """Which category_id is people's where no labels say so; None: there is but one."""
    found = {key_of(row.get("category_id")) for row in rows}
    if len(found) < 2:
        return None
    if PERSON_ID not in found:
        some = ", ".join(sorted(map(str, found))[:5])
        raise LiftwildError(
            f"{path} has results of the categories {some}, none of them {PERSON_ID}, which are people in COCO; "
            "--photo-ids labels.json says which is called person"
        )
    return {PERSON_ID}


def _name_of(
    row: dict[str, Any], images: Mapping[Any, dict[str, Any]] | None, where: str, photo_ids: str | Path | None
) -> str | int:
    """What a result calls its photo: a file's name, or a number."""
    key = key_of(row.get("image_id"))
    if images is not None:
        if key not in images:
            raise LiftwildError(f"{where} is of image_id {row.get('image_id')}, which {photo_ids} does not have")
        return str(images[key]["file_name"])
    file_name = row.get("file_name")
    if isinstance(file_name, str) and file_name:
        return file_name
    if key is None or key == "":
        raise LiftwildError(f"{where} has no usable image_id: {row.get('image_id')!r}")
    return key if isinstance(key, int) else str(key)
