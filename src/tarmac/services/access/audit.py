"""The audit trail: every change that somebody asked for, with who, what, from where, by which token and how it ended.

One line of JSON an entry, in files of a bounded size below `<data>/audit/`, apart from the store: `audit.log` is
written, `audit.log.1` is the one before, and so on. An entry is on disk before the change is answered. A disk that
takes nothing more does not stop the platform: the entry goes to the daemon's log then.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

log = logging.getLogger(__name__)

FILE_BYTES = 8 * 1024 * 1024
FILES = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One change that was asked for. `time` in seconds since 1970; `user` without the token's name; `parameters` with
    secrets masked; `task` the UPID that it started; `status` the reply's."""

    time: float
    user: str
    token: str = ""
    source: str = ""
    method: str
    path: str
    parameters: dict[str, str] = field(default_factory=dict)
    status: int
    error: str = ""
    task: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What to look for; what is not given matches everything. `text` is looked for in path and parameters."""

    user: str | None = None
    token: str | None = None
    source: str | None = None
    path: str | None = None
    text: str | None = None
    since: float | None = None
    until: float | None = None
    failed: bool | None = None

    def fits(self, event: Event) -> bool:
        same = ((self.user, event.user), (self.token, event.token), (self.source, event.source))
        if any(wanted is not None and wanted != found for wanted, found in same):
            return False
        if self.path is not None and not event.path.startswith(self.path):
            return False
        if (self.since is not None and event.time < self.since) or (self.until is not None and event.time > self.until):
            return False
        if self.failed is not None and self.failed is not (event.status >= 400):
            return False
        texts = (event.path, event.error, *event.parameters, *event.parameters.values())
        return self.text is None or any(self.text in text for text in texts)


class Audit:
    """Writes by one thread, what comes in together with one fdatasync; reads from the newest file back."""

    def __init__(self, directory: Path, *, file_bytes: int = FILE_BYTES, files: int = FILES) -> None:
        self._directory = directory
        self._file_bytes = file_bytes
        self._files = files
        self._waiting: list[bytes] = []
        self._lock = threading.Lock()
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="audit")

    async def record(self, event: Event) -> None:
        """Keep an entry; it is on disk when this returns. Never raises: a full disk is told in the daemon's log."""
        await asyncio.wrap_future(self.submit(event))

    def submit(self, event: Event) -> Future[None]:
        """Hand an entry to the writer; the future ends when it is on disk."""
        with self._lock:
            self._waiting.append(msgspec.json.encode(event) + b"\n")
        return self._writer.submit(self._flush)

    async def search(self, wanted: Wanted, *, start: int = 0, limit: int = 50) -> tuple[int, list[Event]]:
        """How many entries fit, and those from `start`, newest first; `limit` 0 means all."""
        return await asyncio.to_thread(self._search, wanted, start, limit)

    def close(self) -> None:
        self._writer.shutdown()

    def _flush(self) -> None:
        with self._lock:
            lines, self._waiting = self._waiting, []
        if not lines:
            return  # the thread has written it with an earlier one's
        path = self._path(0)
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            with open(path, "ab", opener=_private) as file:
                file.write(b"".join(lines))
                file.flush()
                os.fdatasync(file.fileno())
                full = file.tell() >= self._file_bytes
            if full:
                self._rotate()
        except OSError as problem:
            for line in lines:
                log.error("audit entry not kept: %s", line.decode().strip(), extra={"evidence": str(problem)})

    def _rotate(self) -> None:
        for number in range(self._files - 2, -1, -1):
            if self._path(number).exists():
                self._path(number).replace(self._path(number + 1))

    def _search(self, wanted: Wanted, start: int, limit: int) -> tuple[int, list[Event]]:
        total = 0
        found: list[Event] = []
        for event in self._newest_first():
            if wanted.fits(event):
                total += 1
                if total > start and (not limit or len(found) < limit):
                    found.append(event)
        return total, found

    def _newest_first(self) -> Iterator[Event]:
        for number in range(self._files):
            try:
                lines = self._path(number).read_bytes().splitlines()
            except FileNotFoundError:
                continue
            for line in reversed(lines):
                try:
                    yield msgspec.json.decode(line, type=Event)
                except msgspec.MsgspecError:
                    continue  # a line that a power cut left half written

    def _path(self, number: int) -> Path:
        return self._directory / (f"audit.log.{number}" if number else "audit.log")


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
