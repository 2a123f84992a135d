"""What a task said, line by line: in memory while it runs, in a file for ever after.

A line is `HH:MM:SS text`; the last one is Proxmox's `TASK OK` or `TASK ERROR: ...` (clients look for it). Files are
written by one thread, so a slow disk delays a log and never the loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tarmac.model.ids import Upid

MAX_LINES = 50_000


class TaskLogs:
    """The logs of all tasks below one directory, sharded by the last digit of the start time as Proxmox does.
    `grown` is called with a task's id after each line."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._live: dict[str, list[str]] = {}
        self._unwritten: dict[str, list[str]] = {}
        self.grown: Callable[[str], None] = lambda upid: None
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="task-log")

    def open(self, upid: str) -> None:
        """Begin (or after a restart go on with) a task's log."""
        path = self._path(upid)
        self._live[upid] = path.read_text("utf-8", "replace").splitlines() if path.exists() else []

    def line(self, upid: str, text: str, *, stamp: bool = True) -> None:
        """Add a line (several, if `text` has several)."""
        lines = self._live[upid]
        prefix = time.strftime("%H:%M:%S ") if stamp else ""
        fresh = [prefix + _clean(part) for part in text.splitlines()] or [prefix]
        if len(lines) > MAX_LINES:
            return
        lines.extend(fresh)
        waiting = self._unwritten.get(upid)
        if waiting is None:
            self._unwritten[upid] = fresh
            self._writer.submit(self._flush, upid)
        else:
            waiting.extend(fresh)
        self.grown(upid)

    async def finish(self, upid: str) -> None:
        """Everything of this log is in its file; it leaves memory."""
        await asyncio.get_running_loop().run_in_executor(self._writer, self._flush, upid)
        self._live.pop(upid, None)

    async def read(self, upid: str, start: int, limit: int) -> tuple[int, list[str]]:
        """How many lines there are, and those from `start`; `limit` 0 means all."""
        lines = self._live.get(upid)
        if lines is None:
            lines = await asyncio.to_thread(self._read_file, upid)
        return len(lines), lines[start : start + limit] if limit else lines[start:]

    def is_live(self, upid: str) -> bool:
        """Whether the task's log is still being written."""
        return upid in self._live

    def sizes(self) -> list[tuple[str, int]]:
        """The bytes that each log takes on disk, the oldest task first. Blocks: for a thread."""
        found = []
        for folder in self._directory.glob("*"):
            for entry in os.scandir(folder):
                with contextlib.suppress(OSError):  # it may go at any moment
                    found.append((entry.name, entry.stat().st_blocks * 512))
        return sorted(found, key=lambda one: _started(one[0]))

    async def remove(self, upids: Sequence[str]) -> None:
        """Remove logs of ended tasks; those that are being written stay, and missing ones are fine."""
        gone = [self._path(upid) for upid in upids if upid not in self._live and upid.count(":") > 4]
        await asyncio.to_thread(_unlink, gone)

    def close(self) -> None:
        self._writer.shutdown()

    def _path(self, upid: str) -> Path:
        return self._directory / upid.split(":")[4][-1] / upid

    def _read_file(self, upid: str) -> list[str]:
        try:
            return self._path(upid).read_text("utf-8", "replace").splitlines()
        except FileNotFoundError:
            return []

    def _flush(self, upid: str) -> None:
        lines = self._unwritten.pop(upid, None)
        if not lines:
            return
        path = self._path(upid)
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with path.open("a", encoding="utf-8") as file:
                file.write("\n".join(lines) + "\n")
        except OSError:
            # A full disk must not fail the task itself: its outcome is in the journal, memory still has the lines.
            return


def _unlink(paths: Sequence[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)


def _started(upid: str) -> int:
    try:
        return Upid.parse(upid).starttime
    except ValueError:
        return 0


def _clean(text: str) -> str:
    return "".join(c if c.isprintable() or c == "\t" else "\N{REPLACEMENT CHARACTER}" for c in text)
