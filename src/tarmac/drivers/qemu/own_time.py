"""Limits for a guest on a busy host: time that its threads spend waiting for a processor is not the guest's fault.

    async with own_time(pid, 15, most=150):      # TimeoutError as of asyncio.timeout
        ...

Source: Documentation/scheduler/sched-stats of Linux (`/proc/PID/task/TID/schedstat`, second number: nanoseconds spent
runnable and not running). A kernel without it leaves the plain limit.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

_LOOK_SECONDS = 0.5


@contextlib.asynccontextmanager
async def own_time(pid: int, seconds: float, *, most: float) -> AsyncIterator[None]:
    """Raises TimeoutError when the block has taken `seconds` and as long again as that thread of the process waited for
    a processor which waited longest; after `most` seconds in any case."""
    loop = asyncio.get_running_loop()
    began, before = loop.time(), waited(pid)
    async with asyncio.timeout(seconds) as limit:
        timer = loop.call_later(_LOOK_SECONDS, lambda: look())

        def look() -> None:
            nonlocal timer
            lost = max((now - before.get(thread, 0.0) for thread, now in waited(pid).items()), default=0.0)
            limit.reschedule(began + min(most, seconds + lost))
            timer = loop.call_later(_LOOK_SECONDS, look)

        try:
            yield
        finally:
            timer.cancel()


def waited(pid: int) -> dict[int, float]:
    """Seconds for which each thread of a process has waited for a processor since it began; nothing where the kernel
    does not count that, or the process is gone."""
    found = {}
    for path in Path(f"/proc/{pid}/task").glob("*/schedstat"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            found[int(path.parent.name)] = int(path.read_text().split()[1]) / 1e9
    return found
