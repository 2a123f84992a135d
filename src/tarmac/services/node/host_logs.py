"""The host's log, as journald keeps it. Bounded: nobody reads all of it into the daemon at once."""

from __future__ import annotations

import asyncio
import datetime
import json
from typing import Any

from tarmac.lib.process import run

MAX_LINES = 50_000
DEFAULT_LINES = 1000
_BYTES = 64 << 20
_FIELDS = "SYSLOG_IDENTIFIER,_COMM,_PID,SYSLOG_PID,_HOSTNAME,MESSAGE"


async def journal(
    *,
    since: int | None = None,
    until: int | None = None,
    last: int | None = None,
    after: str | None = None,
    before: str | None = None,
) -> list[str]:
    """Lines, with the cursor of the first one before them and of the last one behind, as Proxmox answers. `since` and
    `until` in seconds since 1970; `after` and `before` are cursors of an earlier answer; without a limit the last
    1,000 lines."""
    argv = [f"--since=@{since}"] if since is not None else []
    argv += [f"--until=@{until}"] if until is not None else []
    argv += [f"--after-cursor={after}"] if after is not None else []
    argv += [f"--cursor={before}", "--reverse"] if before is not None else []
    if last is not None or (since is None and after is None):
        # With `before`, that line itself comes along.
        argv.append(f"--lines={min(DEFAULT_LINES if last is None else last, MAX_LINES) + (before is not None)}")
    entries = await _entries(argv)
    if before is not None:
        entries = [entry for entry in reversed(entries) if entry.get("__CURSOR") != before]
    if not entries:
        kept = after or before or ""
        return [kept, kept]
    lines = await asyncio.to_thread(lambda: [_line(entry) for entry in entries])
    return [entries[0]["__CURSOR"], *lines, entries[-1]["__CURSOR"]]


async def syslog(
    *, start: int, limit: int, since: str | None = None, until: str | None = None, service: str | None = None
) -> tuple[list[dict[str, Any]], int]:
    """Numbered lines from `start` on, and how many there are."""
    argv = [f"--lines={MAX_LINES}"]
    argv += [f"--since={since}"] if since else []
    argv += [f"--until={until}"] if until else []
    argv += [f"--unit={service}"] if service else []
    entries = await _entries(argv)
    shown = entries[start : start + limit]
    lines = await asyncio.to_thread(lambda: [_line(entry) for entry in shown])
    return [{"n": n, "t": line} for n, line in enumerate(lines, start + 1)], len(entries)


async def _entries(words: list[str]) -> list[dict[str, Any]]:
    """What journalctl answers; nothing where there is no journal."""
    argv = ["journalctl", "--no-pager", "--quiet", "--output=json", f"--output-fields={_FIELDS}", *words]
    done = await run(argv, limit=_BYTES, ok=(0, 1))
    # Tens of thousands of lines take a second to read.
    return await asyncio.to_thread(_parsed, done.stdout)


def _parsed(output: bytes) -> list[dict[str, Any]]:
    whole = output.rpartition(b"\n")[0]
    return [json.loads(line) for line in whole.splitlines()[-MAX_LINES:]]


def _line(entry: dict[str, Any]) -> str:
    """An entry in syslog's form."""
    when = datetime.datetime.fromtimestamp(int(entry.get("__REALTIME_TIMESTAMP", 0)) / 1_000_000).astimezone()
    who = entry.get("SYSLOG_IDENTIFIER") or entry.get("_COMM") or "unknown"
    pid = entry.get("SYSLOG_PID") or entry.get("_PID")
    said = entry.get("MESSAGE")
    text = bytes(said).decode("utf-8", "replace") if isinstance(said, list) else str(said or "")
    return f"{when:%b %d %H:%M:%S} {entry.get('_HOSTNAME', '')} {who}{f'[{pid}]' if pid else ''}: {text}"
