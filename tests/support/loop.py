"""How long the callbacks of an event loop take."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

LIMIT_SECONDS = 0.010


def attempts(times: int = 3) -> Iterator[AbstractContextManager[None]]:
    """`for attempt in attempts(): with attempt: ...`: fails when each time a callback of what is done inside took more
    than 10 ms. What takes long by itself does so every time; what a busy machine makes slow does not."""
    longest: list[tuple[float, str]] = []

    @contextmanager
    def attempt() -> Iterator[None]:
        with longest_callbacks() as spent:
            yield
        longest.append(max(spent, default=(0.0, "")))

    for _ in range(times):
        yield attempt()
        if longest[-1][0] < LIMIT_SECONDS:
            return
    raise AssertionError(f"the loop was held up each time: {longest}")


@contextmanager
def longest_callbacks() -> Iterator[list[tuple[float, str]]]:
    """Times each callback of the loop in processor time of its thread, so that a busy machine does not count."""
    run = asyncio.Handle._run
    spent: list[tuple[float, str]] = []

    def timed(self: Any) -> None:
        what = repr(self)[:300]
        started = time.thread_time()
        run(self)
        spent.append((time.thread_time() - started, what))

    # As the daemon does after loading; else the collector walks through all of pytest inside one callback.
    gc.collect()
    gc.freeze()
    asyncio.Handle._run = timed  # type: ignore[method-assign]
    try:
        yield spent
    finally:
        gc.unfreeze()
        asyncio.Handle._run = run  # type: ignore[method-assign]
