"""Which files a run may write: none that is read, none of somebody else, none twice."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from liftwild.errors import LiftwildError
from liftwild.io.formats import ABOUT_SUFFIX, by_suffix, files_of, foreign_file, is_ours
from liftwild.pipeline.options import OutputOptions


@dataclass
class OutputGuard:
    """Which names in ``out`` the photos and clips of a run have taken; ``inputs``: real paths of what is read."""

    out: Path
    inputs: set[str] = field(default_factory=set)
    taken: dict[str, Path] = field(default_factory=dict)

    def claim(self, source: Path, stem: str, wanted: OutputOptions, is_clip: bool, more: Iterable[Path] = ()) -> None:
        """Take the names of the results of ``source``; LiftwildError if they belong to something else.

        ``more``: files that the caller writes and guards itself, which must not be an input.
        """
        pictures = wanted.pictures(self.out, stem, is_clip)
        files = files_of(self.out, stem, wanted.formats)
        # The stem too, which files of single people begin with.
        keys = [os.path.normcase(name) for name in (stem, *(path.name for path in (*files, *pictures, *more)))]
        other = next((self.taken[key] for key in keys if key in self.taken), None)
        if other is not None:
            raise LiftwildError(
                f"{source}: its results would have the names of those of {other}; use another -o for it"
            )
        for target in (*pictures, *more):
            if os.path.realpath(target) in self.inputs:
                what = (
                    "its picture would overwrite the photo" if not is_clip else "its result would overwrite the input"
                )
                hint = ", or --no-figure" if target.suffix == ".png" and target.stem == stem else ""
                raise LiftwildError(f"{source}: {what} {target}; use another -o{hint}")
        foreign = foreign_file(self.out, stem, wanted.formats)
        if foreign is None:
            foreign = next((path for path in pictures if os.path.lexists(path)), None)
            # A file that is liftwild's makes the pictures beside it liftwild's.
            if any(is_ours(self.out / (stem + suffix)) for suffix in (*by_suffix(), ABOUT_SUFFIX)):
                foreign = None
        if foreign is not None:
            raise LiftwildError(f"{source}: {foreign} exists and is no result of liftwild; use another -o")
        self.taken.update(dict.fromkeys(keys, source))
