"""Motion capture that users bring: BVH and ASF/AMC files read as clips, and turned into poses of the body.

``docs/motion.md`` says which files work and how their joints are recognised.
"""

from __future__ import annotations

from pathlib import Path

from liftwild.errors import LiftwildError
from liftwild.synthetic.mocap.asf import find_asf, read_asf_amc
from liftwild.synthetic.mocap.bvh import read_bvh
from liftwild.synthetic.mocap.motion_clip import Motion, spread_frames
from liftwild.synthetic.mocap.retarget import retarget

__all__ = [
    "Motion", "motion_files", "read_asf_amc", "read_bvh", "read_clip", "read_motion", "retarget", "spread_frames",
]  # fmt: skip


def read_motion(path: str | Path) -> list[Motion]:
    """The clips of ``motion_files(path)``. LiftwildError if there is none or one of them is faulty."""
    return [read_clip(each) for each in motion_files(path)]


def motion_files(path: str | Path) -> list[Path]:
    """A .bvh or .amc file, or all of them in a folder, by name; subfolders and hidden files are left alone.

    LiftwildError if a folder has none.
    """
    path = Path(path)
    if not path.is_dir():
        return [path]
    files = sorted(
        each
        for each in path.iterdir()
        if each.suffix.lower() in (".bvh", ".amc") and not each.name.startswith(".") and each.is_file()
    )
    if not files:
        raise LiftwildError(f"{path}: the folder has no .bvh or .amc files; name one that has")
    return files


def read_clip(path: Path) -> Motion:
    """The clip of a .bvh file, or of an .amc file with its .asf beside it; LiftwildError if it is faulty."""
    if not path.exists():
        raise LiftwildError(f"{path}: no such file or folder")
    if path.suffix.lower() == ".bvh":
        return read_bvh(path)
    if path.suffix.lower() == ".amc":
        return read_asf_amc(find_asf(path), path)
    raise LiftwildError(f"{path}: motion is read from .bvh files, .amc files with an .asf beside them, and folders")
