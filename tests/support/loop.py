"""How long the callbacks of an event loop take."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

LIMIT_SECONDS = 0.010


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
