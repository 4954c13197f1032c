"""All files of a photo or clip, by the names of their formats. docs/files.md tells users of each."""

from __future__ import annotations

import glob
import itertools
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from liftwild.errors import LiftwildError
from liftwild.files import write_whole
from liftwild.io import bvh, npz, parquet, trc
from liftwild.io import csv_table as csv
from liftwild.io.coco_results import FORMAT as COCO_FORMAT
from liftwild.io.coco_results import coco_bytes
from liftwild.io.description import about, seen_frames, skeleton_name
from liftwild.io.json_file import is_pose_file, recording_document, to_bytes
from liftwild.joint_mapping import in_skeleton
from liftwild.kinematics import upright
from liftwild.pose import PoseTrack, Recording, hide
from liftwild.skeleton import MPII_16, Skeleton

FORMATS = ("json", "csv", "npz", "parquet", "coco", "bvh", "trc")
PER_PERSON = ("bvh", "trc")  # STEM.person0.bvh, ...
SIDE_FILE = ("csv", "bvh", "trc")  # that cannot say what they hold: STEM.about.txt does
ABOUT_MARK = "Poses by liftwild"


def write_formats(
    recording: Recording,
    out: Path,
    stem: str,
    formats: Sequence[str],
    skeleton: Skeleton = MPII_16,
    min_confidence: float = 0.0,
) -> list[Path]:
    """Write ``recording`` into the folder ``out`` in each of ``formats``.

    ``skeleton``: the joints of all files but BVH, which keeps those that were found. ``min_confidence``: joints below
    it are hidden, after the floor was found with them.

    Returns the files: STEM.json, .csv, .npz, .parquet, .coco.json with .coco-results.json, for each person
    STEM.person<id>.bvh and .trc, and STEM.about.txt where one of ``SIDE_FILE`` is among them. Each is written whole or
    not at all. BVH and TRC are levelled first (``upright.on_floor``); an already levelled recording is written as it
    is, in all formats. Of an earlier run with more people, the files of the others in the same formats are removed.
    LiftwildError on an unknown format, one whose library is missing (before anything is written), a confidence that
    there is not, and where a file cannot be written.
    """
    formats = check_formats(formats)
    floored = upright.on_floor(recording) if {*formats} & {*PER_PERSON} else recording
    recording, floored = (_hidden(given, min_confidence) for given in (recording, floored))
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LiftwildError(f"{out}: cannot be made a folder: {error.strerror or error}") from None
    rigged = floored  # BVH in the joints that were found: of others the bones would change their lengths
    floored = in_skeleton(floored, skeleton)
    recording = in_skeleton(recording, skeleton)
    written: list[Path] = []
    notes: list[str] = []

    def put(name: str, content: bytes) -> None:
        written.append(out / name)
        write_whole(written[-1], content)

    for name in formats:
        match name:
            case "json":
                put(f"{stem}.json", to_bytes(recording_document(recording, skeleton)))
            case "csv":
                put(f"{stem}.csv", csv.csv_bytes(recording, skeleton))
            case "npz":
                put(f"{stem}.npz", npz.npz_bytes(recording, skeleton))
            case "parquet":
                put(f"{stem}.parquet", parquet.parquet_bytes(recording, skeleton))
            case "coco":
                labels, results = coco_bytes(recording, skeleton)
                put(f"{stem}.coco.json", labels)
                put(f"{stem}.coco-results.json", results)
            case "bvh":
                for track in _with_frames(rigged):
                    made = bvh.write_track(track, rigged.times_s)
                    file = person_file(stem, track, "bvh")
                    put(file, made.content)
                    notes += [f"{file}: {note}" for note in made.notes()]
            case "trc":
                for track in _with_frames(floored):
                    file = person_file(stem, track, "trc")
                    put(file, trc.trc_bytes(track, floored.times_s, file))
    if any(name in SIDE_FILE for name in formats):
        text = about_text(recording, floored, skeleton, formats, [path.name for path in written], notes)
        put(f"{stem}.about.txt", text.encode("utf-8", "surrogateescape"))
    for path in _of_persons(out, stem, formats):
        if path not in written and is_ours(path):
            path.unlink(missing_ok=True)
    return written


def check_formats(formats: Sequence[str]) -> tuple[str, ...]:
    """``formats`` without doubles; LiftwildError if one is unknown, or its library is missing."""
    for name in formats:
        if name not in FORMATS:
            raise LiftwildError(f"unknown format {name!r}; known are {', '.join(FORMATS)}")
    if "parquet" in formats:
        parquet.need_pyarrow()
    return tuple(dict.fromkeys(formats))


def foreign_file(out: Path, stem: str, formats: Sequence[str]) -> Path | None:
    """A file that ``write_formats`` might write over and that is not liftwild's, or None."""
    names = [f"{stem}.{name}" for name in formats if name not in PER_PERSON and name != "coco"]
    if "coco" in formats:
        names += [f"{stem}.coco.json", f"{stem}.coco-results.json"]
    if any(name in SIDE_FILE for name in formats):
        names.append(f"{stem}.about.txt")
    paths = itertools.chain((out / name for name in names), _of_persons(out, stem, formats))
    return next((path for path in paths if os.path.lexists(path) and not is_ours(path)), None)


def is_ours(path: Path) -> bool:
    """Whether ``path`` holds what ``write_formats`` wrote, by its name's end and its content; False if unreadable."""
    try:
        with path.open("rb") as file:
            start = file.read(2000)
            if path.suffix == ".parquet":
                file.seek(max(0, path.stat().st_size - 20_000))
                start += file.read()
    except OSError:
        return False
    match "".join(path.suffixes[-2:]) if path.name.endswith((".coco.json", ".about.txt")) else path.suffix:
        case ".coco.json":
            return f'"format": "{COCO_FORMAT}"'.encode() in start
        case ".about.txt":
            return start.startswith(ABOUT_MARK.encode())
        case ".json" if path.name.endswith(".coco-results.json"):
            return start.strip() == b"[]" or b'"keypoint_scores"' in start
        case ".json":
            return is_pose_file(path)
        case ".csv":
            return start.startswith(csv.MARK.encode())
        case ".npz":
            return start.startswith(b"PK") and npz.ABOUT.encode() + b".npy" in start[:100]
        case ".parquet":
            return parquet.FORMAT.encode() in start
        case ".bvh":
            return start.startswith(b"HIERARCHY\nROOT pelvis\n") and b"JOINT to_" in start
        case ".trc":
            return start.startswith(b"PathFileType\t4\t(X/Y/Z)\t" + os.fsencode(path.name) + b"\n")
    return False


def _hidden(recording: Recording, min_confidence: float) -> Recording:
    return replace(recording, tracks=tuple(hide(track, min_confidence) for track in recording.tracks))


def person_file(stem: str, track: PoseTrack, suffix: str) -> str:
    """Name of the file of one person."""
    return f"{stem}.person{track.person_id}.{suffix}"


def _with_frames(recording: Recording) -> Iterator[PoseTrack]:
    return (track for track in recording.tracks if len(track))


def _of_persons(out: Path, stem: str, formats: Sequence[str]) -> Iterator[Path]:
    """Files of single persons that are there, in those of ``formats`` that have such."""
    for name in PER_PERSON:
        if name in formats:
            pattern = re.compile(re.escape(stem) + rf"\.person-?\d+\.{name}", re.DOTALL)
            found = glob.glob(glob.escape(str(out / stem)) + f".person*.{name}")
            yield from (Path(path) for path in sorted(found) if pattern.fullmatch(Path(path).name))


def about_text(
    recording: Recording,
    floored: Recording,
    skeleton: Skeleton,
    formats: Sequence[str],
    files: Sequence[str],
    notes: Sequence[str] = (),
) -> str:
    """The text beside ``files`` that cannot say themselves what they hold.

    ``floored``: what BVH and TRC are written of; ``notes``: sentences on single files.
    """
    facts = about(recording, skeleton)
    frame, camera = facts["frame"], facts["camera"]
    what = f"a clip of {len(recording.times_s)} frames" if recording.is_clip else "a photo"
    lines = [
        f"{ABOUT_MARK} in {recording.source}, {what}, {recording.width} x {recording.height} px upright",
        f"files: {', '.join(files)}",
        f"joints ({skeleton_name(skeleton) or 'of their own'}): {', '.join(skeleton.names)}",
        *(f"joint {name}: {note}" for name, note in facts["joint_notes"].items()),
        "left and right: the person's own",
        f"camera: {', '.join(f'{key} {value}' for key, value in camera.items()) if camera else 'not known'}",
        f"done after the network: {'; '.join(recording.steps) or 'nothing'}",
    ]
    if recording.is_clip:
        lines += [f"person {track.person_id}: in frames {seen_frames(track.frames)}" for track in recording.tracks]
    if "csv" in formats:
        lines += [
            "",
            "CSV: a row for each joint of each person in each frame; an empty cell is hidden or not known",
            "frame: index from 0; time_s: seconds from the clip's first frame",
            f"x_px, y_px: {frame['joints_2d']}",
            f"x_mm, y_mm, z_mm: unit {frame['unit']}; zero: {frame['zero']}; axes: {frame['axes']}",
            f"scale: {frame['scale']}",
            f"root_x_mm, root_y_mm, root_z_mm: {frame['root_mm']}",
            f"confidence: in [0, 1]; {facts['confidence_is'] or 'what it is was not kept'}",
            "depth_sd_mm: spread of z_mm, one standard deviation",
            "inside, visible: chances in [0, 1] that the joint lies in the photo, and that it is not hidden there",
        ]
    if "bvh" in formats or "trc" in formats:
        lines += [
            "",
            "BVH and TRC: unit m",
            f"axes: {upright.AXES}",
            f"zero: {upright.zero_of(floored)}",
        ]
        lines += [f"for BVH and TRC also done: {step}" for step in floored.steps[len(recording.steps) :]]
    if "bvh" in formats:
        lines += [
            "BVH rotations: degrees, ZXY; all zero is a T-pose that faces z; nodes to_<joint> lie on the joint before "
            "and point at that one",
            "BVH twist about a bone: not known, the least; ends of wrists, ankles and head top: drawn, not measured",
        ]
        if skeleton != MPII_16:
            lines.append("BVH joints: those of mpii16; bones of the others do not keep their lengths")
    if "trc" in formats:
        lines.append("TRC: an empty cell is a hidden joint, or a frame without the person")
    return "\n".join([*lines, *notes]) + "\n"
