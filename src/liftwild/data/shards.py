"""A store in shards: a folder, here or at an address, of files with the columns of a store, and ``store.json`` that
lists them."""

from __future__ import annotations

import hashlib
import os
import threading
from bisect import bisect_right
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Annotated, Any, Literal

from liftwild.data.means import Means
from liftwild.data.shard_cache import ShardCache
from liftwild.data.shard_folder import ShardFolder, is_address
from liftwild.data.shard_order import WINDOW
from liftwild.data.shard_parquet import arrow_of_parquet
from liftwild.data.store import Scale, Store, fingerprint
from liftwild.errors import LiftwildError
from liftwild.sample import Sample
from liftwild.schema import Between, Matching, build, parse_json, understood
from liftwild.skeleton import MPII_16

MANIFEST = "store.json"
FORMAT = "liftwild-shards"
VERSION = 1
OPEN = 2 * WINDOW  # shards at a time: a batch may straddle two windows


# No path, so that no list reaches out of its folder.
SHARD_NAME = Matching(r"[\w-]{1,60}\.(arrow|parquet)", "a name as 00000.arrow or 00000.parquet")
SHA256 = Matching(r"[0-9a-f]{64}", "64 hex digits")


@dataclass(frozen=True)
class Shard:
    """A file of a store: its ``rows``, ``bytes`` and SHA-256."""

    name: Annotated[str, SHARD_NAME]
    rows: Annotated[int, Between(1, 1e8)]
    bytes: Annotated[int, Between(1, 1e12)]
    sha256: Annotated[str, SHA256]


@dataclass(frozen=True)
class Manifest:
    """What ``store.json`` says; ``scale`` as in ``Store``, ``means`` over all shards."""

    format: Literal["liftwild-shards"]
    version: Literal[1]
    scale: Scale
    joint_names: list[str]
    means: Means
    shards: list[Shard]

    def __post_init__(self) -> None:
        if not self.shards:
            raise ValueError("it lists no shards")
        if self.joint_names != list(MPII_16.names):
            raise ValueError("its joints are not those of a liftwild store")


class ShardedStore:
    """Read access by row to a folder of shards; rows are counted through all of them. Few shards are open at a time.

    Arrow shards of this machine are mapped where they lie, all others come by ``cache``. Memory does not grow with the
    rows, but with the shards, some 400 bytes each. LiftwildError if ``store.json`` is missing or is none, if a shard is
    missing or has another size; where it is opened, if its content is another.
    """

    def __init__(self, path: str, cache: ShardCache | None = None) -> None:
        self.path, self.cache = path, cache or ShardCache()
        self.folder = ShardFolder(path)
        content = self.folder.read(MANIFEST)
        if content is None:
            raise LiftwildError(
                f"no store of shards {path}: it has no {MANIFEST}, which is written last; make it with "
                "'liftwild prepare split'"
            )
        self._load(content)
        self._check_files()

    def _load(self, content: bytes) -> None:
        place = self.folder.place(MANIFEST)
        with understood(place, f"the list of a store's shards, version {VERSION}"):
            self.manifest = build(Manifest, parse_json(content, place))
        self._content = content
        self._ends = list(accumulate(self.shard_rows))
        self._checked: set[str] = set()
        self._open: OrderedDict[int, Store] = OrderedDict()
        self._ahead: tuple[list[int], threading.Thread | None] = ([], None)

    def _check_files(self) -> None:
        """LiftwildError unless all shards are there with their sizes; where a server lists nothing, it shows later."""
        sizes = self.folder.sizes()
        if sizes is None:
            return
        for shard in self.manifest.shards:
            if shard.name not in sizes:
                raise LiftwildError(f"{self.folder.place(shard.name)} is missing, which {MANIFEST} lists")
            self._check_size(shard, sizes[shard.name])

    def _check_size(self, shard: Shard, size: int) -> None:
        if size != shard.bytes:
            raise LiftwildError(
                f"{self.folder.place(shard.name)} has {size:,} bytes, {MANIFEST} says {shard.bytes:,}: it is damaged "
                f"or was written anew; write it again, and {MANIFEST} after it"
            )

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path, "cache": self.cache, "content": self._content}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.path, self.cache, self.folder = state["path"], state["cache"], ShardFolder(state["path"])
        self._load(state["content"])

    def __len__(self) -> int:
        return self._ends[-1]

    def __getitem__(self, index: int) -> Sample:
        """Row ``index`` with its picture decoded."""
        index = range(len(self))[index]
        shard = bisect_right(self._ends, index)
        return self.shard(shard)[index - (self._ends[shard - 1] if shard else 0)]

    @property
    def scale(self) -> str:
        """As in ``Store``."""
        return self.manifest.scale

    @property
    def shard_rows(self) -> tuple[int, ...]:
        """Rows of each shard."""
        return tuple(shard.rows for shard in self.manifest.shards)

    @property
    def size_bytes(self) -> int:
        """Of all shards."""
        return sum(shard.bytes for shard in self.manifest.shards)

    def means(self) -> Means:
        """The means over every person whose 3D joints are all known, as ``store.json`` has them."""
        return self.manifest.means

    def fingerprint(self) -> str:
        """SHA-256 of ``store.json``, which has that of each shard."""
        return hashlib.sha256(self._content).hexdigest()

    def shard(self, number: int) -> Store:
        """A shard as a store of its own, open until others were used more lately."""
        if number not in self._open:
            self._open[number] = self._opened(self.manifest.shards[number])
            if len(self._open) > OPEN:
                self._open.popitem(last=False)
        self._open.move_to_end(number)
        return self._open[number]

    def fetch_ahead(self, shards: list[int]) -> None:
        """Begin to fetch what will be needed next, beside what is done meanwhile; what goes wrong shows when it is.

        Not if the cache has no room for it beside as much that is in use.
        """
        if shards == self._ahead[0] or not self._is_cached(self.manifest.shards[0]):
            return
        if 2 * sum(self.manifest.shards[number].bytes for number in shards) > self.cache.most_gb * 1e9:
            return

        def fetch() -> None:
            with suppress(LiftwildError, OSError):
                for number in shards:
                    self._file(self.manifest.shards[number])

        if self._ahead[1] is None or not self._ahead[1].is_alive():
            thread = threading.Thread(target=fetch, daemon=True)
            self._ahead = (shards, thread)
            thread.start()

    def _is_cached(self, shard: Shard) -> bool:
        return self.folder.local is None or shard.name.endswith(".parquet")

    def _file(self, shard: Shard) -> Path:
        """The shard as an Arrow file of this machine."""
        if not self._is_cached(shard):
            assert self.folder.local is not None
            path = self.folder.local / shard.name
            if shard.name not in self._checked:
                try:
                    self._check_content(shard, path)
                except FileNotFoundError:
                    raise LiftwildError(f"{path} is missing, which {MANIFEST} lists") from None
                self._checked.add(shard.name)
            return path

        def make(part: Path) -> None:
            self.folder.fetch(shard.name, part)
            self._check_content(shard, part)
            if shard.name.endswith(".parquet"):
                fetched = part.with_suffix(".parquet")
                os.replace(part, fetched)
                arrow_of_parquet(fetched, part, self.scale, self.folder.place(shard.name))

        return self.cache.file(shard.sha256, shard.bytes, make)

    def _check_content(self, shard: Shard, path: Path) -> None:
        self._check_size(shard, path.stat().st_size)
        if fingerprint(path) != shard.sha256:
            raise LiftwildError(
                f"{self.folder.place(shard.name)} does not hold what {MANIFEST} says (SHA-256): it is damaged or was "
                f"written anew; write it again, and {MANIFEST} after it"
            )

    def _opened(self, shard: Shard) -> Store:
        """LiftwildError if the shard cannot be had, or is not what the manifest says."""
        store = None
        for left in (2, 1, 0):  # another process may need its room before it is open here
            path = self._file(shard)
            try:
                store = Store(path)
                break
            except LiftwildError:
                if not left or not self._is_cached(shard):
                    raise
                path.unlink(missing_ok=True)  # if it was damaged in the cache
        assert store is not None
        if len(store) != shard.rows or store.scale != self.scale:
            raise LiftwildError(f"{self.folder.place(shard.name)} has other people than {MANIFEST} says")
        return store


def is_sharded(path: str) -> bool:
    """Whether ``path`` means a store of shards: an address or a folder."""
    return is_address(path) or os.path.isdir(path)


def open_store(path: str, cache: ShardCache | None = None) -> Store | ShardedStore:
    """The store ``path``: one file, or a folder or address of shards. Errors as of the two classes."""
    return ShardedStore(path, cache) if is_sharded(path) else Store(path)
