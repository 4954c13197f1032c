"""The markers of TRC files on an OpenSim model: a marker set, to scale the model and run its inverse kinematics.

Places are m in the axes of the model's bodies, on those of Rajagopal et al., IEEE Trans. Biomed. Eng. 63(10), 2016,
"Full-body musculoskeletal model for muscle-driven simulation of human gait": joints lie where that model has its joint
centres. Of models that descend from it, or share names and origins of bodies, the same file holds.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from xml.sax.saxutils import quoteattr

from liftwild.io.format import File, Format
from liftwild.pose import Recording
from liftwild.skeleton import Skeleton, canonical_name

MARK = b'<?xml version="1.0" encoding="UTF-8" ?>\n<OpenSimDocument Version="40000">\n\t<MarkerSet name="liftwild">'
HIP, SHOULDER = (-0.0563, -0.0785, 0.0773), (0.0032, 0.3715, 0.17)  # right; joint centres in pelvis and torso
# Joint -> body, place, whether the place is a joint centre of the model. Neck and head are fixed to the trunk, as they
# are in the model, where they lie in people on average: weigh them little.
PLACES: dict[str, tuple[str, tuple[float, float, float], bool]] = {
    "pelvis": ("pelvis", (*HIP[:2], 0.0), True),
    "thorax": ("torso", (*SHOULDER[:2], 0.0), True),
    "upper_neck": ("torso", (0.0032, 0.424, 0.0), False),
    "head_top": ("torso", (0.0032, 0.66, 0.0), False),
}
for _side, _letter, _sign in (("right", "r", 1.0), ("left", "l", -1.0)):
    PLACES |= {
        f"{_side}_hip": ("pelvis", (*HIP[:2], _sign * HIP[2]), True),
        f"{_side}_knee": (f"tibia_{_letter}", (0.0, 0.0, 0.0), True),
        f"{_side}_ankle": (f"talus_{_letter}", (0.0, 0.0, 0.0), True),
        f"{_side}_shoulder": ("torso", (*SHOULDER[:2], _sign * SHOULDER[2]), True),
        f"{_side}_elbow": (f"ulna_{_letter}", (0.0, 0.0, 0.0), True),
        f"{_side}_wrist": (f"hand_{_letter}", (0.0, 0.0, 0.0), True),
    }


def marker_set_bytes(skeleton: Skeleton) -> bytes:
    """The marker set of the joints of ``skeleton`` that have a place on the model, under their names in its files."""
    lines = [*MARK.decode().split("\n"), "\t\t<objects>"]
    for name in skeleton.names:
        body, place, is_centre = PLACES.get(canonical_name(name), ("", (0.0, 0.0, 0.0), False))
        if body:
            lines += [
                f"\t\t\t<Marker name={quoteattr(name)}>",
                f"\t\t\t\t<socket_parent_frame>/bodyset/{body}</socket_parent_frame>",
                f"\t\t\t\t<location>{' '.join(f'{value:g}' for value in place)}</location>",
                f"\t\t\t\t<fixed>{str(is_centre).lower()}</fixed>",
                "\t\t\t</Marker>",
            ]
    lines += ["\t\t</objects>", "\t\t<groups />", "\t</MarkerSet>", "</OpenSimDocument>"]
    return ("\n".join(lines) + "\n").encode()


def _write(recording: Recording, skeleton: Skeleton, stem: str) -> Iterator[File]:
    yield File(f"{stem}.markers.xml", marker_set_bytes(skeleton))


def _recognise(path: Path, head: bytes) -> bool:
    return head.startswith(MARK)


def _describe(recording: Recording, skeleton: Skeleton) -> list[str]:
    return [
        "markers: m on the bodies of the OpenSim model of Rajagopal et al. 2016; joints are its joint centres, neck "
        "and head (fixed: false) lie about where people have them"
    ]


FORMAT = Format(
    "markers", "the markers of trc on an OpenSim model, to scale it", (".markers.xml",), _write, _recognise, _describe
)
