"""Poses as JSON; docs/using.md explains every key."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from liftwild.outputs.files import write_whole
from liftwild.pose import Pose
from liftwild.skeleton import MPII_16

FORMAT = "liftwild-pose"
VERSION = 1

FRAME = {
    "unit": "mm",
    "zero": "pelvis of each person",
    "axes": "x right, y down, z away from the camera, as seen in the photo",
    "scale": "weak perspective, size of an average person: a single photo does not tell size or distance",
    "joints_2d": "px of the upright photo, x right, y down, its top-left corner at (0, 0), pixel centres at +0.5",
}


def pose_document(file_name: str, width: int, height: int, poses: Sequence[Pose]) -> dict[str, Any]:
    """The JSON document of one photo: what ``write_json`` takes.

    ``file_name``: the photo's; ``width`` and ``height`` in px, upright. 2D is rounded to 0.01 px, 3D to 0.1 mm,
    confidence to 0.001. ``annotation_id`` is there only where a label gave the box.
    """
    skeleton = poses[0].skeleton if poses else MPII_16
    return {
        "format": FORMAT,
        "version": VERSION,
        "image": {"file": file_name, "width": int(width), "height": int(height)},
        "joint_names": list(skeleton.names),
        "frame": dict(FRAME),
        "people": [_person(pose) for pose in poses],
    }


def _person(pose: Pose) -> dict[str, Any]:
    person: dict[str, Any] = {"box": _rounded(np.array(pose.box), 2)}
    if pose.annotation_id is not None:
        person["annotation_id"] = int(pose.annotation_id)
    person["joints_2d"] = _rounded(pose.joints_2d, 2)
    person["joints_3d"] = _rounded(pose.joints_3d, 1)
    person["confidence"] = _rounded(pose.confidence, 3)
    return person


def _rounded(values: np.ndarray, digits: int) -> Any:
    """``values`` as nested lists of short numbers, without -0.0."""
    return (np.round(np.asarray(values, dtype=np.float64), digits) + 0.0).tolist()


def write_json(path: str | Path, document: dict[str, Any]) -> None:
    """Write ``document`` to ``path``, whole or not at all.

    ValueError if it holds NaN or infinity, which JSON has no words for; LiftwildError if it cannot be written.
    """
    text = json.dumps(document, indent=1, allow_nan=False, ensure_ascii=False)
    # A joint to a line. Strings hold no bare line break, so this only meets lists of numbers.
    text = re.sub(
        r"\[\n[-+.\deE,\s]+\]", lambda found: " ".join(found[0].split()).replace("[ ", "[").replace(" ]", "]"), text
    )
    # A file name that is not UTF-8 comes as lone surrogates; \udcXX is how JSON spells them.
    write_whole(path, (text + "\n").encode("utf-8", "backslashreplace"))


def is_pose_file(path: str | Path) -> bool:
    """Whether ``path`` holds JSON that ``write_json`` wrote (its first lines tell); False if it cannot be read."""
    try:
        with Path(path).open("rb") as file:
            return f'"format": "{FORMAT}"'.encode() in file.read(200)
    except OSError:
        return False
