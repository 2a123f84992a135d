"""The embedded store: one SQLite file in WAL mode, `synchronous=FULL`, one writer thread with grouped commits.

Transactions that come in while a commit is under way share the next one's fsync; each keeps a revision of its own and
succeeds or fails alone. Readers have a connection of their own and never wait for a writer's disk. What happened
lately stays in memory for watches; what the file holds is the present only.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from tarmac.drivers.store.base import (
    Compare,
    Entry,
    Event,
    Snapshot,
    changed_meanwhile,
    check_lease_seconds,
    check_request,
    no_such_lease,
    prefix_end,
)
from tarmac.drivers.store.leases import LeaseClock
from tarmac.drivers.store.sqlite_thread import SqliteThread, damaged
from tarmac.drivers.store.watches import History, Watcher

SCHEMA_VERSION = 1
_SCHEMA = """
CREATE TABLE IF NOT EXISTS entries (
  key BLOB NOT NULL UNIQUE, value BLOB NOT NULL, revision INTEGER NOT NULL, lease INTEGER NOT NULL DEFAULT 0);
CREATE INDEX IF NOT EXISTS entries_by_lease ON entries (lease) WHERE lease != 0;
CREATE TABLE IF NOT EXISTS leases (id INTEGER PRIMARY KEY AUTOINCREMENT, seconds REAL NOT NULL);
CREATE TABLE IF NOT EXISTS counter (only INTEGER PRIMARY KEY CHECK (only = 1), revision INTEGER NOT NULL);
INSERT OR IGNORE INTO counter VALUES (1, 0);
"""
_REVISION = "SELECT revision FROM counter"
_PUT = (
    "INSERT INTO entries (key, value, revision, lease) VALUES (?, ?, ?, ?) ON CONFLICT (key) DO UPDATE"
    " SET value = excluded.value, revision = excluded.revision, lease = excluded.lease"
)


class _Done(NamedTuple):
    """A transaction's outcome: the store's revision, and what it changed."""

    revision: int
    events: Sequence[Event]


class SqliteStore:
    """See `base.Store`. `await SqliteStore.open(path)` inside the running event loop; one process per file."""

    def __init__(self, thread: SqliteThread, revision: int, leases: Mapping[int, float]) -> None:
        self._thread = thread
        self._loop = asyncio.get_running_loop()
        self._history = History(revision)
        self._leases = LeaseClock(self._end_lease)
        for lease, seconds in leases.items():
            self._leases.add(lease, seconds)

    @classmethod
    async def open(cls, path: Path) -> SqliteStore:
        """Open or create the file. Raises Unavailable `newer-schema`, DataCorrupt, NoSpace, Denied."""
        thread = await SqliteThread.open(path, _SCHEMA, SCHEMA_VERSION)
        try:
            revision, leases = await thread.read(lambda db: _first_read(db, path))
        except BaseException:
            await thread.close()
            raise
        return cls(thread, revision, leases)

    async def revision(self) -> int:
        return await self._thread.read(_revision)

    async def get(self, key: str) -> Entry | None:
        def read(db: sqlite3.Connection) -> Entry | None:
            sql = "SELECT value, revision, lease FROM entries WHERE key = ?"
            row = db.execute(sql, (key.encode(),)).fetchone()
            return None if row is None else Entry(key, *row)

        return await self._thread.read(read)

    async def range(self, prefix: str) -> list[Entry]:
        return await self._thread.read(lambda db: _range(db, prefix))

    async def snapshot(self, prefix: str) -> Snapshot:
        def read(db: sqlite3.Connection) -> Snapshot:
            db.execute("BEGIN")
            try:
                return Snapshot(_revision(db), tuple(_range(db, prefix)))
            finally:
                db.execute("ROLLBACK")

        return await self._thread.read(read)

    async def put(self, key: str, value: bytes, *, expect: int | None = None, lease: int = 0) -> int:
        compares = [] if expect is None else [Compare(key, expect)]
        return await self.transact(compares, {key: value}, lease=lease)

    async def transact(
        self,
        compares: Sequence[Compare],
        puts: Mapping[str, bytes] | None = None,
        deletes: Iterable[str] = (),
        *,
        lease: int = 0,
    ) -> int:
        # Copies: the caller may change its own while the writer thread works.
        compares, puts, deletes = list(compares), dict(puts or {}), list(deletes)
        check_request(compares, puts, deletes)
        if lease:
            self._leases.check(lease)

        def work(db: sqlite3.Connection) -> _Done:
            _check(db, compares, lease)
            return _apply(db, puts, deletes, lease)

        return (await self._thread.write(work, after=self._committed)).revision

    def watch(self, prefix: str, since: int) -> Watcher:
        return self._history.watch(prefix, since)

    async def grant(self, seconds: float) -> int:
        check_lease_seconds(seconds)

        def work(db: sqlite3.Connection) -> int:
            lease = db.execute("INSERT INTO leases (seconds) VALUES (?)", (seconds,)).lastrowid
            assert lease is not None
            return lease

        return await self._thread.write(work, after=lambda lease: self._on_loop(self._leases.add, lease, seconds))

    async def renew(self, lease: int) -> None:
        self._leases.renew(lease)

    async def revoke(self, lease: int) -> None:
        self._leases.forget(lease)
        await self._end_lease(lease)

    async def close(self) -> None:
        await self._leases.close()
        await self._thread.close()
        self._history.close()

    async def _end_lease(self, lease: int) -> None:
        def work(db: sqlite3.Connection) -> _Done:
            db.execute("DELETE FROM leases WHERE id = ?", (lease,))
            keys = [row[0].decode() for row in db.execute("SELECT key FROM entries WHERE lease = ?", (lease,))]
            return _apply(db, {}, keys, 0)

        await self._thread.write(work, after=self._committed)

    def _committed(self, done: _Done) -> None:
        """In the writer thread, in order of the commits: the loop learns of a change before its writer is answered."""
        if done.events:
            self._on_loop(self._history.publish, done.revision, done.events)

    def _on_loop(self, call: Callable[..., object], *args: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop ended while the last commit was written
            self._loop.call_soon_threadsafe(call, *args)


def _first_read(db: sqlite3.Connection, path: Path) -> tuple[int, dict[int, float]]:
    """Look at every page once: a damaged file is found at the start, not in the middle of the work."""
    (verdict,) = db.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise damaged(path, str(verdict))
    return _revision(db), dict(db.execute("SELECT id, seconds FROM leases"))


def _revision(db: sqlite3.Connection) -> int:
    (revision,) = db.execute(_REVISION).fetchone()
    return int(revision)


def _range(db: sqlite3.Connection, prefix: str) -> list[Entry]:
    low = prefix.encode()
    high = prefix_end(low)
    bound, values = ("", (low,)) if high is None else (" AND key < ?", (low, high))
    sql = f"SELECT key, value, revision, lease FROM entries WHERE key >= ?{bound} ORDER BY key"
    return [Entry(key.decode(), value, revision, lease) for key, value, revision, lease in db.execute(sql, values)]


def _check(db: sqlite3.Connection, compares: Sequence[Compare], lease: int) -> None:
    for compare in compares:
        row = db.execute("SELECT revision FROM entries WHERE key = ?", (compare.key.encode(),)).fetchone()
        found = row[0] if row else 0
        if found != compare.revision:
            raise changed_meanwhile(compare, found)
    if lease and db.execute("SELECT 1 FROM leases WHERE id = ?", (lease,)).fetchone() is None:
        raise no_such_lease(lease)


def _apply(db: sqlite3.Connection, puts: Mapping[str, bytes], deletes: Sequence[str], lease: int) -> _Done:
    """Write within the open transaction; a revision of its own, unless nothing changes."""
    revision = _revision(db) + 1
    events = []
    for key in deletes:
        if db.execute("DELETE FROM entries WHERE key = ?", (key.encode(),)).rowcount:
            events.append(Event(revision, key, None))
    for key, value in puts.items():
        db.execute(_PUT, (key.encode(), value, revision, lease))
        events.append(Event(revision, key, bytes(value)))
    if not events:
        return _Done(revision - 1, ())
    db.execute("UPDATE counter SET revision = ?", (revision,))
    return _Done(revision, sorted(events, key=lambda event: event.key))
