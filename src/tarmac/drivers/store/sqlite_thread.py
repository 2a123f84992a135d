"""One SQLite file behind one writer thread and one reader thread: durable, grouped commits that never block the loop.

Writes that come in while a commit is under way go together into the next one, so concurrent writers share an fsync.
Readers use a connection of their own (WAL) and never wait for a writer's disk.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import queue
import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from tarmac.drivers.store.base import store_closed
from tarmac.lib.files import failure_of, fsync_directory
from tarmac.model.errors import DataCorrupt, Denied, Fix, HostFailure, NoSpace, TarmacError, Unavailable

T = TypeVar("T")
After = Callable[[Any], object]
Work = tuple[Callable[[sqlite3.Connection], Any], "Future[Any]", After | None]
_GROUP = 256  # writes in one commit at most, so that one answer never waits for an endless group


class SqliteThread:
    """Run functions on the database: `write` inside a durable transaction, `read` on a snapshot.

    A function that raises undoes only its own part of a group (savepoint). After a failed commit every writer of the
    group gets the error and nothing of the group is there."""

    def __init__(self, path: Path, writer: sqlite3.Connection, reader: sqlite3.Connection) -> None:
        self._path = path
        self._writer = writer
        self._reader = reader
        self._closed = False
        self._queue: queue.SimpleQueue[Work | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=f"sqlite-{path.stem}", daemon=True)
        self._thread.start()
        self._readers = ThreadPoolExecutor(1, thread_name_prefix=f"sqlite-read-{path.stem}")

    @classmethod
    async def open(cls, path: Path, schema: str, version: int) -> SqliteThread:
        """Open or create. Raises Unavailable for a newer schema, DataCorrupt for a damaged file, NoSpace, Denied."""
        writer, reader = await asyncio.to_thread(_connect, path, schema, version)
        return cls(path, writer, reader)

    async def write(self, work: Callable[[sqlite3.Connection], T], *, after: Callable[[T], object] | None = None) -> T:
        """Run `work` in a transaction; returns when it is on disk.

        `after` gets the result once it is on disk and before anybody is answered, in the writer's thread and in the
        order of the commits; it must not raise. Raises Unavailable `store-closed` after `close`."""
        self._check_open()
        future: Future[Any] = Future()
        self._queue.put((work, future, after))
        result: T = await asyncio.wrap_future(future)
        return result

    async def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work` on the reader's connection; it sees every answered write."""

        def run() -> T:
            with translated(self._path):
                return work(self._reader)

        self._check_open()
        return await asyncio.get_running_loop().run_in_executor(self._readers, run)

    async def close(self) -> None:
        """Finish what is queued, then close the file. Closing twice is fine."""
        if self._closed:
            return
        self._closed = True
        self._queue.put(None)
        await asyncio.to_thread(self._thread.join)
        await asyncio.to_thread(self._readers.shutdown)
        self._reader.close()
        self._writer.close()

    def _check_open(self) -> None:
        if self._closed:
            raise store_closed(str(self._path))

    def _run(self) -> None:
        while True:
            group: list[Work] = []
            item = self._queue.get()
            while item is not None:
                group.append(item)
                if len(group) >= _GROUP:
                    break
                try:
                    item = self._queue.get_nowait()
                except queue.Empty:
                    break
            if group:
                self._commit(group)
            if item is None:
                return

    def _commit(self, group: list[Work]) -> None:
        done: list[tuple[Future[Any], Any, After | None]] = []
        try:
            with translated(self._path):
                self._writer.execute("BEGIN IMMEDIATE")
                for work, future, after in group:
                    if future.set_running_or_notify_cancel():
                        self._one(work, future, after, done)
                self._writer.execute("COMMIT")
        except TarmacError as problem:
            with contextlib.suppress(sqlite3.Error):
                self._writer.execute("ROLLBACK")
            for _, future, _ in group:
                if not future.done():
                    future.set_exception(problem)
            return
        for future, result, after in done:
            if after is not None:
                after(result)
            future.set_result(result)

    def _one(
        self,
        work: Callable[[sqlite3.Connection], Any],
        future: Future[Any],
        after: After | None,
        done: list[tuple[Future[Any], Any, After | None]],
    ) -> None:
        """One function of a group. What it raises is its own caller's, unless the database itself gave up."""
        self._writer.execute("SAVEPOINT one")
        try:
            result = work(self._writer)
        except Exception as problem:  # noqa: BLE001 - the boundary of a thread: it must live on, the caller is told
            if isinstance(problem, sqlite3.OperationalError) or type(problem) is sqlite3.DatabaseError:
                raise
            self._writer.execute("ROLLBACK TO one")
            future.set_exception(_error(self._path, problem) if isinstance(problem, sqlite3.Error) else problem)
        else:
            done.append((future, None if isinstance(result, sqlite3.Cursor) else result, after))
        self._writer.execute("RELEASE one")


def _connect(path: Path, schema: str, version: int) -> tuple[sqlite3.Connection, sqlite3.Connection]:
    try:
        path.touch(mode=0o600, exist_ok=True)
        fsync_directory(path.parent)
    except OSError as error:
        raise failure_of(error, f"{path.name} cannot be opened") from error
    with translated(path), contextlib.ExitStack() as undo:
        writer = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5)
        undo.callback(writer.close)
        (found,) = writer.execute("PRAGMA user_version").fetchone()
        if found > version:
            raise _newer(path, found, version)
        writer.execute("PRAGMA journal_mode=WAL")
        writer.execute("PRAGMA synchronous=FULL")
        if found < version:  # a file that needs nothing is not written to: it opens on a full disk too
            writer.executescript(schema)
            writer.execute(f"PRAGMA user_version={version}")
        reader = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5)
        undo.callback(reader.close)
        reader.execute("PRAGMA query_only=1")
        undo.pop_all()
        return writer, reader


def _newer(path: Path, found: int, version: int) -> Unavailable:
    return Unavailable(
        f"{path.name} was written by a newer Tarmac",
        code="newer-schema",
        cause=f"its format is {found}, this version knows formats up to {version}",
        evidence=str(path),
        fixes=[Fix(text="start the newer version again")],
    )


@contextlib.contextmanager
def translated(path: Path) -> Iterator[None]:
    """SQLite's errors as ours."""
    try:
        yield
    except sqlite3.Error as problem:
        raise _error(path, problem) from problem


def _error(path: Path, problem: sqlite3.Error) -> TarmacError:
    text = str(problem)
    number = getattr(problem, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    primary = number & 0xFF
    evidence = f"{path}: {getattr(problem, 'sqlite_errorname', type(problem).__name__)}: {text}"
    if primary == sqlite3.SQLITE_FULL or number in _SHORT_OF_SPACE or (primary == _IOERR and _is_full(path.parent)):
        return NoSpace(
            f"no space left for {path.name}",
            cause="the disk that holds the data directory is full",
            evidence=evidence,
            fixes=[Fix(text=f"make room on the file system of {path.parent}, then try again")],
        )
    if primary in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return damaged(path, text)
    if primary in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM):
        return Denied(
            f"{path.name} cannot be opened for writing",
            code="host-permission",
            cause=f"the daemon (uid {os.geteuid()}) lacks the rights for it, or the file system is read-only",
            evidence=evidence,
            fixes=[Fix(text=f"give the daemon's user the rights on {path.parent}")],
        )
    return HostFailure(
        f"{path.name} cannot be used",
        cause=text,
        evidence=evidence,
        fixes=[Fix(text=f"look at the kernel's log for errors of the disk that holds {path.parent}")],
    )


def damaged(path: Path, text: str) -> DataCorrupt:
    """The error for a database file whose contents are wrong; it is never repaired or recreated by itself."""
    return DataCorrupt(
        f"{path.name} is damaged",
        cause="the file is no valid SQLite database, or parts of it are wrong",
        evidence=f"{path}: {text}",
        fixes=[Fix(text=f"stop the daemon, move {path} and its -wal file aside, and restore the last export")],
    )


def _is_full(directory: Path) -> bool:
    """SQLite reports a full disk as an I/O error where its shared index cannot grow."""
    try:
        found = os.statvfs(directory)
    except OSError:
        return False
    return found.f_bavail * found.f_frsize < 64 * 1024


_IOERR = sqlite3.SQLITE_IOERR
_SHORT_OF_SPACE = (sqlite3.SQLITE_IOERR_SHMSIZE,)
