"""Poses as JSON, of a photo or of a clip, and back; docs/files.md explains every key."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from liftwild.errors import LiftwildError
from liftwild.io.description import POSES, metadata, skeleton_from_metadata, with_metadata
from liftwild.io.format import File, Format
from liftwild.pose import PoseTrack, Recording
from liftwild.schema import load_json, shown, understood
from liftwild.skeleton import Skeleton

PHOTO_KIND = "liftwild-pose"
CLIP_KIND = "liftwild-clip"
VERSION = 1
_OF_PHOTO = {"boxes": "box", "annotation_ids": "annotation_id", "scores": "score"}  # names of a clip's, of a photo's
_TEXT = json.JSONEncoder(ensure_ascii=False, allow_nan=False)


def recording_document(recording: Recording, skeleton: Skeleton | None = None) -> dict[str, Any]:
    """The JSON document of a photo or clip, with JSON's types and arrays: what ``to_bytes`` takes.

    2D is rounded to 0.01 px, 3D to 0.1 mm, confidence, scores and chances to 0.001, times to 1 us. ``skeleton``: as for
    ``metadata``.
    ``annotation_id``, ``depth_sd_mm``, ``inside``, ``visible`` and ``root_mm`` are there only where they are known.
    """
    source = {"file": recording.source, "width": int(recording.width), "height": int(recording.height)}
    document: dict[str, Any] = {"format": CLIP_KIND if recording.is_clip else PHOTO_KIND, "version": VERSION}
    document["clip" if recording.is_clip else "image"] = source
    document.update(metadata(recording, skeleton))
    if recording.is_clip:
        document["times_s"] = _rounded(recording.times_s, 6)
        document["people"] = [_track(track) for track in recording.tracks]
    else:
        document["people"] = [_person(track) for track in recording.tracks]
    return document


def _person(track: PoseTrack) -> dict[str, Any]:
    """A photo's person: the one pose of its track."""
    person = _track(track)
    del person["frames"]
    person = {_OF_PHOTO.get(key, key): value for key, value in person.items()}
    return {key: value if key == "person_id" else value[0] for key, value in person.items()}


def _track(track: PoseTrack) -> dict[str, Any]:
    """A clip's person."""
    person: dict[str, Any] = {
        "person_id": int(track.person_id),
        "frames": [int(frame) for frame in track.frames],
        "boxes": _rounded(track.boxes, 2),
    }
    if track.annotation_ids is not None:
        person["annotation_ids"] = [None if value is None else int(value) for value in track.annotation_ids]
    scores = np.full(len(track), np.nan) if track.scores is None else track.scores
    person["scores"] = [None if np.isnan(value) else float(value) for value in _rounded(scores, 3)]
    person["joints_2d"] = _rounded(track.joints_2d, 2)
    person["joints_3d"] = _rounded(track.joints_3d, 1)
    person["confidence"] = _rounded(track.confidence, 3)
    for name, digits in (("depth_sd_mm", 1), ("inside", 3), ("visible", 3), ("root_mm", 1)):
        if (values := getattr(track, name)) is not None:
            person[name] = _rounded(values, digits)
    for name in ("filled", "contacts"):
        if (flags := getattr(track, name)) is not None:
            person[name] = flags.astype(int)
    return person


def _rounded(values: np.ndarray, digits: int) -> np.ndarray:
    """``values`` as short numbers, without -0.0."""
    return np.asarray(values, dtype=np.float64).round(digits) + 0.0


def to_bytes(document: Any) -> bytes:
    """``document`` (JSON's types, and arrays) as text that people can read: a joint to a line, or in a clip a frame.

    NaN in an array becomes null. ValueError if there is infinity, or NaN elsewhere, which JSON has no words for.
    """
    pieces: list[str] = []
    _put(pieces, document, "\n")
    pieces.append("\n")
    # A file name that is not UTF-8 comes as lone surrogates; \udcXX is how JSON spells them.
    return "".join(pieces).encode("utf-8", "backslashreplace")


def _put(pieces: list[str], value: Any, line: str) -> None:
    """Append the text of ``value``; ``line``: what a line begins with there, its break and its indent."""
    kinds = set(map(type, value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()))
    inner = line + " "
    if kinds == {str}:  # such as names of joints, which are the same in all files of a run
        pieces.append(_words(tuple(value.items()) if isinstance(value, dict) else tuple(value), line))
    elif isinstance(value, dict) and value:
        begin = "{"
        for key, entry in value.items():
            pieces += (begin, inner, _key(key), ": ")
            _put(pieces, entry, inner)
            begin = ","
        pieces += (line, "}")
    elif isinstance(value, np.ndarray):
        pieces.append(_array(value, line))
    elif any(issubclass(kind, str | dict | list | np.ndarray) for kind in kinds):
        begin = "["
        for entry in value:
            pieces += (begin, inner)
            _put(pieces, entry, inner)
            begin = ","
        pieces += (line, "]")
    else:
        pieces.append(_TEXT.encode(value))


@lru_cache(1000)
def _key(key: str) -> str:
    return _TEXT.encode(key)


@lru_cache(100)
def _words(value: tuple[Any, ...], line: str) -> str:
    """The text of a list of str, or of a dict's items of such."""
    if isinstance(value[0], str):
        begin, end, entries = "[", "]", [_TEXT.encode(entry) for entry in value]
    else:
        begin, end, entries = "{", "}", [f"{_TEXT.encode(key)}: {_TEXT.encode(entry)}" for key, entry in value]
    return begin + f"{line} " + f",{line} ".join(entries) + line + end


def _array(values: np.ndarray, line: str) -> str:
    """An array on one line, or with more dimensions a line for each of its first."""
    # In one call, and broken into lines after: a call for each row takes several times as long.
    text = json.dumps(values.tolist()).replace("NaN", "null")
    if "Infinity" in text:
        raise ValueError("infinity is not JSON compliant")
    if values.ndim == 1 or not len(values):
        return text
    end, begin, inner = "]" * (values.ndim - 1), "[" * (values.ndim - 1), line + " "
    return "[" + inner + text[1:-1].replace(f"{end}, {begin}", f"{end},{inner}{begin}") + line + "]"


def read_json(path: str | Path) -> Recording:
    """The recording in a file of the format ``json``, equal to the rounding.

    LiftwildError if it cannot be read or holds something else.
    """
    document = load_json(path)
    found = document.get("format") if isinstance(document, dict) else None
    if found not in (PHOTO_KIND, CLIP_KIND):
        raise LiftwildError(
            f"{path} holds no poses of liftwild: its format is {shown(found)}, not {PHOTO_KIND} or {CLIP_KIND}"
        )
    if document.get("version") != VERSION:
        version = shown(document.get("version"))
        raise LiftwildError(f"{path} has version {version}; this liftwild reads version {VERSION}")
    with understood(path, POSES):
        return _recording(document, found == CLIP_KIND)


def _recording(document: dict[str, Any], is_clip: bool) -> Recording:
    source, skeleton = document["clip" if is_clip else "image"], skeleton_from_metadata(document)
    tracks = []
    for position, person in enumerate(document["people"]):
        if not is_clip:  # files from before a photo's people had numbers count them in their order
            person = {"person_id": position, "frames": [0], **_as_track(person)}
        tracks.append(_read_track(person, skeleton))
    times_s = np.array(document["times_s"] if is_clip else [0.0], dtype=np.float64)
    recording = Recording(
        source["file"], int(source["width"]), int(source["height"]), times_s, tuple(tracks), is_clip=is_clip
    )
    return with_metadata(recording, document)


def _as_track(person: dict[str, Any]) -> dict[str, Any]:
    """A photo's person with a clip's keys."""
    names = {one: many for many, one in _OF_PHOTO.items()}
    return {names.get(key, key): value if key == "person_id" else [value] for key, value in person.items()}


def _read_track(person: dict[str, Any], skeleton: Skeleton) -> PoseTrack:
    count, joints = len(person["frames"]), len(skeleton)

    def array(key: str, *shape: int) -> np.ndarray:
        return np.array(person[key], dtype=np.float64).reshape(count, *shape)

    scores = np.array(person.get("scores", [None] * count), dtype=np.float64).reshape(count)  # None becomes NaN
    ids = person.get("annotation_ids")
    if ids is not None and len(ids) != count:
        raise ValueError(f"{len(ids)} annotation_ids for {count} frames")
    return PoseTrack(
        person_id=int(person["person_id"]),
        frames=np.array(person["frames"], dtype=np.int64),
        joints_2d=array("joints_2d", joints, 2),
        joints_3d=array("joints_3d", joints, 3),
        confidence=array("confidence", joints),
        boxes=array("boxes", 4),
        root_mm=array("root_mm", 3) if "root_mm" in person else None,
        annotation_ids=None if ids is None else tuple(None if value is None else int(value) for value in ids),
        skeleton=skeleton,
        scores=None if np.isnan(scores).all() else scores,
        **{name: array(name, joints) for name in ("depth_sd_mm", "inside", "visible") if name in person},
        **{name: array(name, *shape) > 0 for name, shape in (("filled", ()), ("contacts", (2,))) if name in person},
    )


def _write(recording: Recording, skeleton: Skeleton, stem: str) -> Iterator[File]:
    yield File(f"{stem}.json", to_bytes(recording_document(recording, skeleton)))


def _recognise(path: Path, head: bytes) -> bool:
    return any(f'"format": "{kind}"'.encode() in head[:200] for kind in (PHOTO_KIND, CLIP_KIND))


FORMAT = Format("json", "everything, rounded to 0.01 px and 0.1 mm", (".json",), _write, _recognise, read=read_json)
