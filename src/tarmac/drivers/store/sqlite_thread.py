"""One SQLite file behind one writer thread and one reader thread: durable, grouped commits that never block the loop.

Writes that come in while a commit is under way go together into the next one, so concurrent writers share an fsync.
Readers use a connection of their own (WAL) and never wait for a writer's disk.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from tarmac.model.errors import DataCorrupt, Fix, HostFailure, NoSpace, TarmacError, Unavailable

T = TypeVar("T")
Work = tuple[Callable[[sqlite3.Connection], Any], "Future[Any]"]
_GROUP = 256  # writes in one commit at most, so that one answer never waits for an endless group


class SqliteThread:
    """Run functions on the database: `write` inside a durable transaction, `read` on a snapshot.

    A function that raises undoes only its own part of a group (savepoint). After a failed commit every writer of the
    group gets the error and nothing of the group is there."""

    def __init__(self, path: Path, writer: sqlite3.Connection, reader: sqlite3.Connection) -> None:
        self._path = path
        self._writer = writer
        self._reader = reader
        self._queue: queue.SimpleQueue[Work | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=f"sqlite-{path.stem}", daemon=True)
        self._thread.start()
        self._readers = ThreadPoolExecutor(1, thread_name_prefix=f"sqlite-read-{path.stem}")

    @classmethod
    async def open(cls, path: Path, schema: str, version: int) -> SqliteThread:
        """Open or create. Raises Unavailable for a newer schema, DataCorrupt for a damaged file, NoSpace."""
        writer, reader = await asyncio.to_thread(_connect, path, schema, version)
        return cls(path, writer, reader)

    async def write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work` in a transaction; returns when it is on disk."""
        future: Future[Any] = Future()
        self._queue.put((work, future))
        result: T = await asyncio.wrap_future(future)
        return result

    async def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work` on the reader's connection; it sees every answered write."""

        def run() -> T:
            with translated(self._path):
                return work(self._reader)

        return await asyncio.get_running_loop().run_in_executor(self._readers, run)

    async def close(self) -> None:
        """Finish what is queued, then close the file."""
        self._queue.put(None)
        await asyncio.to_thread(self._thread.join)
        self._readers.shutdown()
        self._reader.close()
        self._writer.close()

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
        done: list[tuple[Future[Any], Any]] = []
        try:
            with translated(self._path):
                self._writer.execute("BEGIN IMMEDIATE")
                for work, future in group:
                    if future.set_running_or_notify_cancel():
                        self._one(work, future, done)
                self._writer.execute("COMMIT")
        except TarmacError as problem:
            with contextlib.suppress(sqlite3.Error):
                self._writer.execute("ROLLBACK")
            for _, future in group:
                if not future.done():
                    future.set_exception(problem)
            return
        for future, result in done:
            future.set_result(result)

    def _one(self, work: Callable[[sqlite3.Connection], Any], future: Future[Any], done: list[Any]) -> None:
        self._writer.execute("SAVEPOINT one")
        try:
            result = work(self._writer)
        except sqlite3.Error:
            raise
        except TarmacError as problem:
            self._writer.execute("ROLLBACK TO one")
            future.set_exception(problem)
        else:
            done.append((future, None if isinstance(result, sqlite3.Cursor) else result))
        self._writer.execute("RELEASE one")


def _connect(path: Path, schema: str, version: int) -> tuple[sqlite3.Connection, sqlite3.Connection]:
    with translated(path):
        path.touch(mode=0o600, exist_ok=True)
        writer = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5)
        (found,) = writer.execute("PRAGMA user_version").fetchone()
        if found > version:
            writer.close()
            raise Unavailable(
                f"{path.name} was written by a newer Tarmac",
                code="newer-schema",
                cause=f"its format is {found}, this version knows formats up to {version}",
                evidence=str(path),
                fixes=[Fix(text="start the newer version again, or restore the export it made before the upgrade")],
            )
        writer.execute("PRAGMA journal_mode=WAL")
        writer.execute("PRAGMA synchronous=FULL")
        writer.executescript(schema)
        writer.execute(f"PRAGMA user_version={version}")
        reader = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5)
        reader.execute("PRAGMA query_only=1")
        return writer, reader


@contextlib.contextmanager
def translated(path: Path) -> Any:
    """SQLite's errors as ours."""
    try:
        yield
    except sqlite3.Error as problem:
        text = str(problem)
        if "full" in text:
            raise NoSpace(
                f"no space left for {path.name}",
                cause="the disk that holds the data directory is full",
                evidence=f"{path}: {text}",
                fixes=[Fix(text=f"make room on the file system of {path.parent}, then try again")],
            ) from problem
        if "malformed" in text or "not a database" in text:
            raise DataCorrupt(
                f"{path.name} is damaged",
                cause="the file is no valid SQLite database",
                evidence=f"{path}: {text}",
                fixes=[Fix(text="stop the daemon, keep the file aside, and restore the last export")],
            ) from problem
        raise HostFailure(f"{path.name} cannot be used", evidence=f"{path}: {text}", cause=text) from problem
