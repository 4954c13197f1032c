"""The table of all formats, and the writing of files in them; docs/files.md tells users of each.

To add a format: one file beside this one that ends with its ``FORMAT``, and its name in the table.
"""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Collection, Iterator
from dataclasses import replace
from pathlib import Path

from liftwild.console import progress
from liftwild.errors import LiftwildError
from liftwild.files import make_folder, write_whole
from liftwild.io import (
    bvh,
    c3d_file,
    coco_results,
    csv_table,
    csv_wide,
    glb,
    json_file,
    mot,
    npz,
    opensim_markers,
    parquet,
    trc,
)
from liftwild.io.description import check_recording, frame_ranges, metadata, skeleton_name, skeleton_of
from liftwild.io.format import File, Format
from liftwild.joint_mapping import in_skeleton
from liftwild.kinematics import upright
from liftwild.pose import Recording, hide
from liftwild.skeleton import MPII_16, Skeleton

FORMATS: dict[str, Format] = {
    module.FORMAT.name: module.FORMAT
    for module in (
        json_file,
        csv_table,
        npz,
        parquet,
        coco_results,
        bvh,
        trc,
        mot,
        opensim_markers,
        c3d_file,
        glb,
        csv_wide,
    )
}
ABOUT_SUFFIX = ".about.txt"  # the text beside files that cannot say what they hold
ABOUT_MARK = "Poses by liftwild"
HEAD_BYTES = 2000  # what a format recognises its files by


def save(recording: Recording, path: str | Path, rig: str = "plain") -> list[Path]:
    """Write ``recording``, in its own joints, as the one file ``path``, in the format that its suffix names.

    ``rig``: of animations, see ``kinematics.animation.animate``.

    Where a file holds one person and there are several, the files are STEM.person<id>.bvh, ...; the numbers are the
    people's. An existing file is replaced in one step. Returns the files. LiftwildError on an unknown suffix, a missing
    library, nobody to write in a file that holds one person, and a file that cannot be written.
    """
    path = Path(path)
    suffix = _suffix_of(path)
    if suffix is None:
        raise LiftwildError(f"{path}: no format has this suffix; known are {', '.join(by_suffix())}")
    fmt = by_suffix()[suffix]
    fmt.check()
    parts = list(_parts(upright.on_floor(recording) if fmt.needs_floor else recording, fmt))
    if not parts:
        raise LiftwildError(f"{path}: a {suffix} file holds one person, and nobody was found")
    stem, written = path.name.removesuffix(suffix), []
    for part, person in parts:
        part_stem = stem + person if len(parts) > 1 else stem
        for file in fmt.files(part, skeleton_of(part), part_stem, rig):
            if file.name == part_stem + suffix:
                written.append(path.with_name(file.name))
                write_whole(written[-1], file.content)
    return written


def write_formats(
    recording: Recording,
    out: Path,
    stem: str,
    formats: Collection[str],
    skeleton: Skeleton = MPII_16,
    min_confidence: float = 0.0,
    rig: str = "plain",
) -> list[Path]:
    """Write ``recording`` into the folder ``out`` in each of ``formats``.

    ``skeleton``: the joints of all files but those of formats that keep the joints that were found.
    ``min_confidence``: joints below it are hidden, after the floor was found with them. ``rig``: of animations, see
    ``kinematics.animation.animate``.

    Returns the files: STEM.json, ..., for each person STEM.person<id>.bvh, ..., and STEM.about.txt beside files that
    cannot say themselves what they hold. Each is written whole or not at all. Formats that need the floor get the
    recording levelled (``upright.on_floor``). An already levelled recording is written as it is, in all formats. Of an
    earlier run with more people, the files of the others in the same formats are removed. LiftwildError on an unknown
    format, one whose library is missing (before anything is written), a confidence outside [0, 1], and where a file
    cannot be written.
    """
    files = formatted(recording, stem, formats, skeleton, min_confidence, rig)
    make_folder(out)
    written: list[Path] = []
    for file in files:
        written.append(out / file.name)
        write_whole(written[-1], file.content)
    for name in formats:
        for path in _files_of_people(out, stem, FORMATS[name]):
            if path not in written and is_ours(path):
                path.unlink(missing_ok=True)
    return written


def formatted(
    recording: Recording,
    stem: str,
    formats: Collection[str],
    skeleton: Skeleton = MPII_16,
    min_confidence: float = 0.0,
    rig: str = "plain",
) -> Iterator[File]:
    """What ``write_formats`` writes, one file at a time; arguments and errors as there."""
    chosen = [FORMATS[name] for name in check_formats(formats)]
    floored = upright.on_floor(recording) if any(fmt.needs_floor for fmt in chosen) else recording
    found = {False: _hidden(recording, min_confidence), True: _hidden(floored, min_confidence)}
    mapped = {is_floored: in_skeleton(given, skeleton) for is_floored, given in found.items()}
    return _files(found, mapped, chosen, skeleton, stem, rig)


def _files(
    found: dict[bool, Recording], mapped: dict[bool, Recording], chosen: list[Format], skeleton: Skeleton, stem: str,
    rig: str,
) -> Iterator[File]:  # fmt: skip
    """The files of the formats ``chosen``; ``found`` and ``mapped``: what they hold, by whether it is on its floor."""
    names: list[str] = []
    notes: list[str] = []
    with progress("files", len(chosen), "format") as bar:
        for fmt in chosen:
            bar.set_postfix_str(fmt.name, refresh=False)
            given = found if fmt.keeps_joints else mapped
            for part, person in _parts(given[fmt.needs_floor], fmt):
                own_stem = stem if stem.endswith(person) else stem + person  # x.person0.trc, converted, has its person
                for file in fmt.files(part, skeleton, own_stem, rig):
                    names.append(file.name)
                    notes += [f"{file.name}: {note}" for note in file.notes]
                    yield file
                bar.update(0)
            bar.update()
    if any(fmt.describe for fmt in chosen):
        text = _about_text(mapped[False], mapped[True], skeleton, chosen, names, notes)
        yield File(stem + ABOUT_SUFFIX, text.encode("utf-8", "surrogateescape"))


def read_recording(path: str | Path) -> Recording:
    """The recording in a file of a format that is read back, told by its suffix.

    LiftwildError if there is no such format, or the file cannot be read or holds something else.
    """
    path = Path(path)
    suffix = _suffix_of(path)
    read = by_suffix()[suffix].read if suffix else None
    if read is None:
        known = [fmt.suffixes[0] for fmt in FORMATS.values() if fmt.read]
        raise LiftwildError(
            f"{path}: poses are read from {', '.join(known)}, by the suffix of the name; of a photo or video "
            "'liftwild predict' makes such a file"
        )
    try:
        found = read(path)
        check_recording(found)
    except LiftwildError:
        raise
    except (ValueError, OverflowError) as error:
        raise LiftwildError(f"{path} is damaged: {error}; write it again") from None
    return found


def has_poses_suffix(path: Path) -> bool:
    """Whether ``path`` is named like a file that poses are read from, and no folder."""
    suffix = _suffix_of(path)
    return suffix is not None and by_suffix()[suffix].read is not None and not path.is_dir()


def is_recording(path: Path) -> bool:
    """Whether the file ``path`` is there and read as a recording, by its suffix; JSON and tables are ours, too."""
    suffix = _suffix_of(path)
    fmt = by_suffix()[suffix] if suffix else None
    return fmt is not None and fmt.read is not None and path.is_file() and (fmt.per_person or is_ours(path))


def check_formats(formats: Collection[str]) -> tuple[str, ...]:
    """``formats`` without doubles; LiftwildError if one is unknown, or its library is missing."""
    for name in formats:
        if name not in FORMATS:
            raise LiftwildError(f"unknown format {name!r}; known are {', '.join(FORMATS)}")
    for name in formats:
        FORMATS[name].check()
    return tuple(dict.fromkeys(formats))


def files_of(out: Path, stem: str, formats: Collection[str]) -> list[Path]:
    """The files that ``write_formats`` writes whoever is found: not those of single people."""
    chosen = [FORMATS[name] for name in formats]
    paths = [out / (stem + suffix) for fmt in chosen if not fmt.per_person for suffix in fmt.suffixes]
    return paths + ([out / (stem + ABOUT_SUFFIX)] if any(fmt.describe for fmt in chosen) else [])


def foreign_file(out: Path, stem: str, formats: Collection[str]) -> Path | None:
    """A file that ``write_formats`` might write over and that is not liftwild's, or None."""
    paths = files_of(out, stem, formats)
    for name in formats:
        paths += _files_of_people(out, stem, FORMATS[name])
    return next((path for path in paths if os.path.lexists(path) and not is_ours(path)), None)


def is_ours(path: Path) -> bool:
    """Whether ``path`` holds what ``write_formats`` wrote, by its suffix and its content; False if unreadable."""
    suffix = _suffix_of(path)
    try:
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
        if path.name.endswith(ABOUT_SUFFIX):
            return head.startswith(ABOUT_MARK.encode())
        return suffix is not None and by_suffix()[suffix].recognise(path, head)
    except OSError:
        return False


def person_path(path: Path, person_id: int) -> Path:
    """The file of one person where ``path`` would hold several: x.mot becomes x.person3.mot."""
    return path.with_name(f"{path.stem}.person{person_id}{path.suffix}")


def by_suffix() -> dict[str, Format]:
    """The formats by what comes after the stem in the names of their files."""
    return {suffix: fmt for fmt in FORMATS.values() for suffix in fmt.suffixes}


def _suffix_of(path: Path) -> str | None:
    """The suffix of a format that ``path`` ends with: the longest, as x.coco.json ends with .json too."""
    return max(filter(path.name.endswith, by_suffix()), key=len, default=None)


def _hidden(recording: Recording, min_confidence: float) -> Recording:
    return replace(recording, tracks=tuple(hide(track, min_confidence) for track in recording.tracks))


def _parts(recording: Recording, fmt: Format) -> Iterator[tuple[Recording, str]]:
    """What ``fmt`` writes at a time, and what that adds to the stem: everybody, or each person with frames."""
    if not fmt.per_person:
        yield recording, ""
        return
    for track in recording.tracks:
        if len(track):
            yield replace(recording, tracks=(track,)), f".person{track.person_id}"


def _files_of_people(out: Path, stem: str, fmt: Format) -> list[Path]:
    """Files of single persons in ``fmt`` that are there."""
    if not fmt.per_person:
        return []
    suffixes = "|".join(map(re.escape, fmt.suffixes))
    pattern = re.compile(rf"{re.escape(stem)}\.person-?\d+({suffixes})", re.DOTALL)
    found = map(Path, glob.glob(glob.escape(str(out / stem)) + ".person*"))
    own = [out / (stem + suffix) for suffix in fmt.suffixes if re.search(r"\.person-?\d+\Z", stem)]
    return sorted(path for path in found if pattern.fullmatch(path.name)) + [path for path in own if path.exists()]


def _short(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.6g}"


def _about_text(
    recording: Recording,
    floored: Recording,
    skeleton: Skeleton,
    formats: Collection[Format],
    files: Collection[str],
    notes: Collection[str],
) -> str:
    """The text beside ``files``; ``floored``: what formats that need the floor are written from."""
    facts = metadata(recording, skeleton)
    camera = facts["camera"]
    what = f"a clip of {len(recording.times_s)} frames" if recording.is_clip else "a photo"
    if recording.start_s:
        what = f"{what}, from {recording.start_s:g} s of it on"
    lines = [
        f"{ABOUT_MARK} in {recording.source}, {what}, {recording.width} x {recording.height} px upright",
        f"files: {', '.join(files)}",
        f"joints ({skeleton_name(skeleton) or 'of their own'}): {', '.join(skeleton.names)}",
        *(f"joint {name}: {note}" for name, note in facts["joint_notes"].items()),
        "left and right: the person's own",
        f"camera: {', '.join(f'{key} {_short(value)}' for key, value in camera.items()) if camera else 'not known'}",
        f"done after the network: {'; '.join(recording.steps) or 'nothing'}",
    ]
    if recording.is_clip:
        lines += [f"person {track.person_id}: in frames {frame_ranges(track.frames)}" for track in recording.tracks]
    described = [(fmt, fmt.describe) for fmt in FORMATS.values() if fmt in formats and fmt.describe]
    for fmt, describe in described:
        if not fmt.needs_floor:
            lines += ["", *describe(recording, skeleton)]
    if any(fmt.needs_floor for fmt, _ in described):
        names = " and ".join(fmt.name.upper() for fmt, _ in described if fmt.needs_floor)
        lines += ["", f"{names}: unit m", f"axes: {upright.AXES}", f"zero: {upright.zero_of(floored)}"]
        lines += [f"for {names} also done: {step}" for step in floored.steps[len(recording.steps) :]]
    for fmt, describe in described:
        if fmt.needs_floor:
            lines += describe(floored, skeleton)
    return "\n".join([*lines, *notes]) + "\n"
