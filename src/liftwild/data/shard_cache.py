"""Shards of other machines as Arrow files of this one: fetched once, shared by all processes, of a limited size."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from liftwild.errors import LiftwildError
from liftwild.files import atomic_path, cache_folder, locked, make_folder, writing

MOST_GB = 20.0


@dataclass(frozen=True)
class ShardCache:
    """Files in ``folder`` (None: one in the user's cache folder), of at most ``most_gb`` GB together: what was used
    longest ago goes first.

    What a process has open stays usable after it went, and takes room until the process lets it go.
    """

    folder: Path | None = None
    most_gb: float = MOST_GB

    def place(self) -> Path:
        """The folder; LiftwildError if the user has none."""
        if self.folder is not None:
            return self.folder
        folder = cache_folder()
        if folder is None:
            raise LiftwildError("there is no folder to keep shards in: name one with --cache, or in LIFTWILD_CACHE")
        return folder / "shards"

    def file(self, sha256: str, size: int, make: Callable[[Path], None]) -> Path:
        """The file of the shard with this checksum, perhaps gone again soon; ``make`` writes it, of about ``size`` B.

        One process makes it, others wait. LiftwildError if there is no room for it.
        """
        folder = self.place()
        target = folder / f"{sha256}.arrow"
        make_folder(folder)
        with writing(target):
            if not target.exists():
                with locked(folder / f"lock-{sha256[:2]}"):
                    if not target.exists():
                        self._make_room(folder, size)
                        with atomic_path(target, durable=True) as part:
                            make(part)
                        self._make_room(folder, 0, target)
            with suppress(FileNotFoundError):
                os.utime(target)  # used now
        return target

    def _make_room(self, folder: Path, size: int, kept: Path | None = None) -> None:
        """Remove what was used longest ago until there is room for ``size`` bytes, but not ``kept``."""
        most = int(self.most_gb * 1e9)
        if size > most:
            raise LiftwildError(
                f"the cache {folder} may take {self.most_gb:g} GB, and one shard has {size / 1e9:.3g}: "
                "allow it more (--cache-gb)"
            )
        found = []
        for path in folder.glob("*.arrow"):
            if not re.fullmatch(r"[0-9a-f]{64}", path.stem):
                continue  # somebody's store
            with suppress(FileNotFoundError):
                about = path.stat()
                found.append((about.st_mtime, about.st_size, path))
        total = sum(each for _, each, _ in found)
        for _, each, path in sorted(found):
            if total + size <= most:
                return
            if path != kept:
                with suppress(OSError):  # another process was first, or Windows has it open
                    path.unlink()
                    total -= each
