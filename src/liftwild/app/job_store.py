"""What a server knows of its recordings, in a file of SQLite: a restart goes on from it."""

from __future__ import annotations

import errno
import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from liftwild.errors import LiftwildError

VERSION = 1
QUEUED, WORKING, DONE, FAILED = STATES = ("queued", "working", "done", "failed")
TABLE = """
CREATE TABLE IF NOT EXISTS recordings (
    number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, owner TEXT NOT NULL, client TEXT NOT NULL,
    name TEXT NOT NULL, kind TEXT NOT NULL, state TEXT NOT NULL, weights TEXT NOT NULL, wishes TEXT NOT NULL,
    facts TEXT NOT NULL, notes TEXT NOT NULL, error TEXT NOT NULL, created REAL NOT NULL, finished REAL,
    deaths INTEGER NOT NULL, size INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS by_state ON recordings (state, number);
CREATE INDEX IF NOT EXISTS by_owner ON recordings (owner, number);
"""
_AS_JSON = ("wishes", "facts", "notes")


@dataclass(frozen=True)
class Job:
    """A recording, and the work on it.

    ``id``: by which its owner asks for it; ``client``: a digest of who sent it; ``kind``: "photo" or "clip"; ``state``:
    of ``STATES``; ``wishes``: of ``Wishes.as_json``; ``facts``: of ``recording_facts``, before it is done what the
    upload's head says; ``created``, ``finished``: s since 1970; ``deaths``: how many processes ended on
    it, or had no room for it; ``size``:
    bytes of its files; ``number``: the place among all.
    """

    id: str
    owner: str
    client: str
    name: str
    kind: str
    state: str
    weights: str
    created: float
    wishes: dict[str, Any] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    error: str = ""
    finished: float | None = None
    deaths: int = 0
    size: int = 0
    number: int = 0

    @property
    def is_over(self) -> bool:
        """Whether nothing more comes."""
        return self.state in (DONE, FAILED)


COLUMNS = tuple(each.name for each in fields(Job) if each.name != "number")


class JobStore:
    """The table of recordings in the file ``path``; each method is one step that happens whole or not at all.

    LiftwildError if the file is something else. Methods: OSError if the disk is full or broken. Usable by several
    threads.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        try:
            self._base = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
            self._base.execute("PRAGMA secure_delete = ON")  # names of what expired are overwritten
            version = self._base.execute("PRAGMA user_version").fetchone()[0]
            if version in (0, VERSION):
                self._base.executescript(TABLE + f"PRAGMA user_version = {VERSION};")
        except sqlite3.Error as error:
            raise LiftwildError(
                f"{path}: cannot be used as the list of recordings ({error}); delete it, or choose another --data"
            ) from None
        if version not in (0, VERSION):
            raise LiftwildError(f"{path}: was made by another liftwild; delete it, or choose another --data")

    def add(self, job: Job, most: int | None = None, most_each: int | None = None) -> bool:
        """Add one; False, and nothing is done, if ``most`` are queued, or ``most_each`` of the same client."""
        with self._step() as base:
            queued = base.execute("SELECT client FROM recordings WHERE state = ?", (QUEUED,)).fetchall()
            if most is not None and len(queued) >= most:
                return False
            if most_each is not None and queued.count((job.client,)) >= most_each:
                return False
            marks = ", ".join("?" * len(COLUMNS))
            base.execute(f"INSERT INTO recordings ({', '.join(COLUMNS)}) VALUES ({marks})", _row(job))
        return True

    def change(self, id: str, **values: Any) -> bool:
        """Set columns of one; False if it is not there, or not any more."""
        set_to = ", ".join(f"{name} = ?" for name in values)
        with self._step() as base:
            done = base.execute(
                f"UPDATE recordings SET {set_to} WHERE id = ?", (*(_value(k, v) for k, v in values.items()), id)
            )
            return done.rowcount > 0

    def remove(self, id: str) -> bool:
        """Forget one; False if it is not there."""
        with self._step() as base:
            return base.execute("DELETE FROM recordings WHERE id = ?", (id,)).rowcount > 0

    def requeue(self) -> int:
        """Queue again what was in work when the server ended; how many."""
        with self._step() as base:
            return base.execute("UPDATE recordings SET state = ? WHERE state = ?", (QUEUED, WORKING)).rowcount

    def get(self, id: str) -> Job | None:
        """One by its id."""
        return next(self._jobs("WHERE id = ?", id), None)

    def of_owner(self, owner: str, most: int) -> list[Job]:
        """Those of an owner, newest first."""
        return list(self._jobs("WHERE owner = ? ORDER BY number DESC LIMIT ?", owner, most))

    def next_queued(self) -> Job | None:
        """Whose turn it is."""
        return next(self._jobs("WHERE state = ? ORDER BY number LIMIT 1", QUEUED), None)

    def finished(self, before: float | None = None, most: int = 1) -> list[Job]:
        """Those that are over, the oldest first; ``before``: finished before, s since 1970."""
        until = float("inf") if before is None else before
        return list(
            self._jobs(
                "WHERE state IN (?, ?) AND finished < ? ORDER BY finished, number LIMIT ?", DONE, FAILED, until, most
            )
        )

    def place(self, job: Job) -> int:
        """Place in the queue, from 1."""
        query = "SELECT COUNT(*) FROM recordings WHERE state = ? AND number <= ?"
        return int(self._one(query, QUEUED, job.number))

    def queued(self, client: str) -> tuple[int, int]:
        """How many are queued, and how many of them are of ``client``."""
        query = "SELECT COUNT(*) FROM recordings WHERE state = ?"
        return int(self._one(query, QUEUED)), int(self._one(query + " AND client = ?", QUEUED, client))

    def counts(self) -> dict[str, int]:
        """How many there are in each state."""
        with self._step() as base:
            found = dict(base.execute("SELECT state, COUNT(*) FROM recordings GROUP BY state").fetchall())
        return {state: found.get(state, 0) for state in STATES}

    def total_size(self) -> int:
        """Bytes of all files."""
        return int(self._one("SELECT COALESCE(SUM(size), 0) FROM recordings"))

    def ids(self) -> set[str]:
        """All ids."""
        with self._step() as base:
            return {row[0] for row in base.execute("SELECT id FROM recordings")}

    def close(self) -> None:
        """Let the file go."""
        with self._lock:
            self._base.close()

    def _one(self, query: str, *values: Any) -> Any:
        with self._step() as base:
            return base.execute(query, values).fetchone()[0]

    def _jobs(self, where: str, *values: Any) -> Iterator[Job]:
        names = ("number", *COLUMNS)
        with self._step() as base:
            rows = base.execute(f"SELECT {', '.join(names)} FROM recordings {where}", values).fetchall()
        for row in rows:
            found = dict(zip(names, row, strict=True))
            yield Job(**found | {name: json.loads(found[name]) for name in _AS_JSON})

    @contextmanager
    def _step(self) -> Iterator[sqlite3.Connection]:
        """One step; what it did is taken back if it fails."""
        with self._lock:
            try:
                self._base.execute("BEGIN IMMEDIATE")
                yield self._base
                self._base.execute("COMMIT")
            except BaseException as error:
                if self._base.in_transaction:
                    self._base.execute("ROLLBACK")
                if isinstance(error, sqlite3.Error):
                    number = errno.ENOSPC if "full" in str(error) else errno.EIO
                    raise OSError(number, str(error)) from None
                raise


def _row(job: Job) -> tuple[Any, ...]:
    return tuple(_value(name, getattr(job, name)) for name in COLUMNS)


def _value(name: str, value: Any) -> Any:
    return json.dumps(value) if name in _AS_JSON else value
