"""Stores of shards of tiny people."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from liftwild.data.shard_cache import ShardCache
from liftwild.data.shard_writing import split_stores, write_manifest, write_shard
from liftwild.data.shards import ShardedStore
from liftwild.data.store import stored_row
from tests.support.stores import make_store, sample


def make_shards(folder: object, shards: Sequence[Sequence[int]], three: bool = True, **options: str) -> str:
    """A store whose shards hold people of these annotation ids; its path."""
    for number, ids in enumerate(shards):
        write_shard(str(folder), number, (stored_row(sample(i, three, 40)) for i in ids), **options)  # type: ignore[arg-type]
    write_manifest(str(folder), len(shards))
    return str(folder)


def opened(folder: object, cache: Path, most_gb: float = 1.0) -> ShardedStore:
    """The store in ``folder``, whose shards are kept in ``cache``."""
    return ShardedStore(str(folder), ShardCache(cache, most_gb))


def split_people(tmp_path: Path, people: int, folder: object, rows: int = 3, **options: str) -> str:
    """A store of so many people, split into ``folder``; its path."""
    path = make_store(tmp_path / "whole.arrow", (sample(i, size=40) for i in range(people))).path
    split_stores([path], str(folder), rows, **options)  # type: ignore[arg-type]
    return str(folder)
