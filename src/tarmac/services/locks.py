"""Who works on what: one first-come-first-served queue per object.

Work on an object waits its turn instead of being refused. A place in the queue belongs to a live job of this daemon
and is gone with it: nothing is written to a file, so no lock can be left behind. One daemon owns a data directory
(`services.instance`), and a guest belongs to one node, so a queue in memory is enough; in a cluster the guest's
ownership is what the store's leases guard.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence

Waiter = tuple[str, asyncio.Future[None]]


class Queues:
    """Queues by key (`guest/100`). `holder` and `waiting` say who is in them; all calls come from the event loop."""

    def __init__(self) -> None:
        self._lines: dict[str, deque[Waiter]] = {}

    def holder(self, key: str) -> str | None:
        """The job whose turn it is."""
        line = self._lines.get(key)
        return line[0][0] if line else None

    def waiting(self, key: str) -> list[str]:
        """The jobs behind it, in order."""
        return [who for who, _ in list(self._lines.get(key, ()))[1:]]

    def enter(self, keys: Sequence[str], who: str) -> Callable[[], None]:
        """Take a place in each queue now; returns what gives the places back. `turn` waits for them."""
        loop = asyncio.get_running_loop()
        mine: list[tuple[str, Waiter]] = []
        for key in sorted(set(keys)):
            line = self._lines.setdefault(key, deque())
            waiter: Waiter = (who, loop.create_future())
            line.append(waiter)
            mine.append((key, waiter))
            if len(line) == 1:
                waiter[1].set_result(None)

        def leave() -> None:
            while mine:
                key, waiter = mine.pop()
                self._leave(key, waiter)

        return leave

    async def turn(self, keys: Sequence[str], who: str, on_wait: Callable[[str], None] | None = None) -> None:
        """Wait until `who` (already entered) is first in every queue; `on_wait` is told the job it waits for."""
        for key in sorted(set(keys)):
            future = next(f for w, f in self._lines[key] if w == who)
            if not future.done() and on_wait is not None:
                on_wait(self.holder(key) or "")
            await asyncio.shield(future)

    @contextlib.asynccontextmanager
    async def hold(self, keys: Sequence[str], who: str) -> AsyncIterator[None]:
        """Enter and wait, for work that is no job."""
        leave = self.enter(keys, who)
        try:
            await self.turn(keys, who)
            yield
        finally:
            leave()

    def _leave(self, key: str, waiter: Waiter) -> None:
        line = self._lines[key]
        first = line[0] is waiter
        line.remove(waiter)
        if not line:
            del self._lines[key]
        elif first and not line[0][1].done():
            line[0][1].set_result(None)
