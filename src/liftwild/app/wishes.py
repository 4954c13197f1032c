"""What a request wants: the options of ``liftwild predict``, as JSON holds them."""

from __future__ import annotations

import copy
import re
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from liftwild.boxes import Box
from liftwild.pipeline.options import PoseOptions
from liftwild.skeleton import MPII_16, SKELETONS, Skeleton
from liftwild.tracking.filters import filter_of
from liftwild.tracking.track_selection import MIN_TRACK_S

if TYPE_CHECKING:
    from liftwild.pipeline.person_selection import PersonDetector, PersonSelection

DEVICE = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\.|$)", re.IGNORECASE)  # no files on Windows, whatever their ending


@dataclass(frozen=True)
class Wishes:
    """Of whom poses are wanted, and what is done to them; names, units and meaning as for ``liftwild.predict``."""

    people: int | None = None
    at: tuple[float, float] | None = None
    box: Box | None = None
    whole: bool = False
    min_score: float | None = None
    min_track_s: float | None = None
    camera: tuple[float, float, float, float] | None = None
    fov: float | None = None
    height_m: float | None = None
    smooth: bool = True
    time_filter: str = "butterworth"
    cutoff_hz: float | None = None
    start: float | None = None
    end: float | None = None
    slow_motion: float | None = None

    def as_json(self) -> dict[str, Any]:
        """What ``of_json`` reads: what differs from the defaults."""
        return {key: value for key, value in asdict(self).items() if value != getattr(Wishes, key, None)}

    @classmethod
    def of_json(cls, found: dict[str, Any]) -> Wishes:
        """The wishes that ``as_json`` wrote."""
        known = {each.name for each in fields(cls)}
        given: dict[str, Any] = {
            key: tuple(v) if isinstance(v, list) else v for key, v in found.items() if key in known
        }
        return cls(**given)

    def pose_options(self) -> PoseOptions:
        """What is done to poses; LiftwildError where it makes no sense."""
        time_filter = filter_of(self.time_filter, self.cutoff_hz)
        return PoseOptions(self.camera, self.fov, self.height_m, self.smooth, time_filter)

    def selection(self, detector: PersonDetector | None, is_clip: bool) -> PersonSelection:
        """Whom to look at, found by ``detector``; LiftwildError where it makes no sense."""
        from liftwild.pipeline.person_selection import PersonSelection  # loads torch, which the server does not need

        needed = not self.whole and (self.box is None or is_clip)
        used = detector if needed else None
        if used is not None and self.min_score is not None:
            used = copy.copy(used)
            used.min_score = self.min_score
        least = MIN_TRACK_S if self.min_track_s is None else self.min_track_s
        return PersonSelection(self.box, None, used, self.people, self.at, least)


@dataclass(frozen=True)
class FileWishes:
    """In which format files are wanted, a name of ``io.formats.FORMATS``.

    ``joints``: a name of ``SKELETONS``, or None for those of the recording; ``min_confidence``, ``rig``: as for
    ``write_formats``; ``person``: of one person alone.
    """

    format: str = "json"
    joints: str | None = None
    min_confidence: float = 0.0
    rig: str = "plain"
    person: int | None = None

    @property
    def skeleton(self) -> Skeleton:
        """Of the joints that are written of poses that the network found."""
        return MPII_16 if self.joints is None else SKELETONS[self.joints]


def safe_stem(name: str) -> str:
    """What files made of an upload called ``name`` begin with: never a path, never a name that acts somewhere."""
    from liftwild.console import file_stem

    base = Path(name.replace("\\", "/").replace("\0", "")).name
    stem = file_stem(Path(base).stem) or "pose"
    return f"_{stem}" if DEVICE.match(stem) else stem
