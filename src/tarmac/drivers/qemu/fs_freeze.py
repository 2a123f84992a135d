"""A guest's file systems held still for a moment, by its agent, and let go whatever happens to us.

The freezing and thawing is another process's work (`fs_freeze_child`), which outlives the daemon: when the daemon dies,
hangs or forgets, it thaws by itself within seconds.

    async with frozen(socket) as hold:
        ...                                     # hold.problem says why it is not frozen, "" when it is
    hold.late                                   # it was thawed before we were done
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from tarmac.drivers.qemu import fs_freeze_child
from tarmac.lib.tasks import whole

FREEZE_SECONDS = 10.0
HOLD_SECONDS = 10.0
_MORE_SECONDS = 5.0


@dataclass(slots=True)
class Hold:
    """How it went. `count`: file systems frozen."""

    count: int = 0
    problem: str = ""
    late: bool = False


@contextlib.asynccontextmanager
async def frozen(
    socket: Path, *, freeze_seconds: float = FREEZE_SECONDS, hold_seconds: float = HOLD_SECONDS
) -> AsyncIterator[Hold]:
    """The guest behind this agent socket is frozen inside the block, for at most `hold_seconds`; thawed on leaving.

    Never raises for the guest's sake: one that cannot be frozen is told in `Hold.problem`. The caller keeps everybody
    else off the socket meanwhile (`Agent.lent`)."""
    words = (sys.executable, "-I", "-S", fs_freeze_child.__file__, str(socket), str(freeze_seconds), str(hold_seconds))
    child = await whole(_start(words), _leave)
    hold = Hold()
    assert child.stdin is not None and child.stdout is not None
    try:
        answer = await _line(child.stdout, freeze_seconds + _MORE_SECONDS)
        word, _, rest = answer.partition(" ")
        if word == "frozen":
            hold.count = int(rest) if rest.isdecimal() else 0
        else:
            hold.problem = rest or "the process that freezes the guest ended"
        yield hold
    finally:
        child.stdin.close()  # the end of the line is the sign to thaw, whoever gives it
        if not hold.problem:
            # Not waited for any longer than this: the child goes on trying by itself.
            hold.late = await _line(child.stdout, _MORE_SECONDS) != "thawed"


async def _start(words: tuple[str, ...]) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *words,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )


async def _leave(child: asyncio.subprocess.Process) -> None:
    if child.stdin is not None:
        child.stdin.close()


async def _line(stream: asyncio.StreamReader, seconds: float) -> str:
    try:
        async with asyncio.timeout(seconds):
            return (await stream.readline()).decode("utf-8", "replace").strip()
    except TimeoutError:
        return ""
