"""Shards of other machines as Arrow files of this one: fetched once, shared by all processes, of a limited size."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from liftwild.errors import LiftwildError
from liftwild.files import atomic_path, locked, make_folder, writing

MOST_GB = 20.0


def cache_folder() -> Path:
    """Where shards are kept if no folder is named: beside what other programs can fetch again."""
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local")) / "liftwild" / "shards"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "liftwild" / "shards"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "liftwild" / "shards"


@dataclass(frozen=True)
class ShardCache:
    """Files in ``folder``, of at most ``most_gb`` GB together: what was used longest ago goes first.

    What a process has open stays usable after it went, and takes room until the process lets it go.
    """

    folder: Path = field(default_factory=cache_folder)
    most_gb: float = MOST_GB

    def file(self, sha256: str, size: int, make: Callable[[Path], None]) -> Path:
        """The file of the shard with this checksum, perhaps gone again soon; ``make`` writes it, of about ``size`` B.

        One process makes it, others wait. LiftwildError if there is no room for it.
        """
        target = self.folder / f"{sha256}.arrow"
        make_folder(self.folder)
        with writing(target):
            if not target.exists():
                with locked(self.folder / f"lock-{sha256[:2]}"):
                    if not target.exists():
                        self._make_room(size)
                        with atomic_path(target, durable=True) as part:
                            make(part)
                        self._make_room(0, target)
            with suppress(FileNotFoundError):
                os.utime(target)  # used now
        return target

    def _make_room(self, size: int, kept: Path | None = None) -> None:
        """Remove what was used longest ago until there is room for ``size`` bytes, but not ``kept``."""
        most = int(self.most_gb * 1e9)
        if size > most:
            raise LiftwildError(
                f"the cache {self.folder} may take {self.most_gb:g} GB, and one shard has {size / 1e9:.3g}: "
                "allow it more (--cache-gb)"
            )
        found = []
        for path in self.folder.glob("*.arrow"):
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
