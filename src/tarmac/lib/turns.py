"""Turns for work that few may do at once, fair between those who ask: who asks much waits for itself.

    turns = Turns(2)
    async with turns.turn("192.0.2.7"):
        ...

Waiters stand in lanes (one for each source); lanes are served in rotation, and those who go first before all lanes.
What waits is bounded: where it is too much, the newest of the longest lane is turned away: the one who floods.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import OrderedDict, deque
from collections.abc import AsyncIterator

from tarmac.model.errors import Busy

Waiter = asyncio.Future[None]


class Turns:
    """`at_once` may work; at most `waiting` wait, and `in_lane` of one lane."""

    def __init__(self, at_once: int, *, waiting: int = 256, in_lane: int = 8) -> None:
        self._free = at_once
        self._most = waiting
        self._most_in_lane = in_lane
        self._first: deque[Waiter] = deque()
        self._lanes: OrderedDict[str, deque[Waiter]] = OrderedDict()

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._first) + sum(len(lane) for lane in self._lanes.values())

    @contextlib.asynccontextmanager
    async def turn(self, lane: str = "", *, first: bool = False) -> AsyncIterator[None]:
        """One's turn. `first`: before all lanes. Raises Busy when too many wait; then nothing was done."""
        await self._enter(lane, first)
        try:
            yield
        finally:
            self._leave()

    async def _enter(self, lane: str, first: bool) -> None:
        if self._free:
            self._free -= 1
            return
        queue = self._first if first else self._lanes.setdefault(lane, deque())
        if not first:
            self._make_room(lane)
        waiter: Waiter = asyncio.get_running_loop().create_future()
        queue.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                self._leave()  # the turn came as the caller went
            else:
                self._forget(waiter, lane, first)
            raise

    def _make_room(self, lane: str) -> None:
        own = self._lanes[lane]
        if len(own) >= self._most_in_lane:
            raise _too_many(len(own))
        if self.waiting < self._most:
            return
        name, longest = max(self._lanes.items(), key=lambda item: len(item[1]))
        if len(longest) <= len(own) + 1:
            if not own:
                del self._lanes[lane]
            raise _too_many(self.waiting)
        longest.pop().set_exception(_too_many(self.waiting))

    def _leave(self) -> None:
        waiter = self._next()
        if waiter is None:
            self._free += 1
        else:
            waiter.set_result(None)

    def _next(self) -> Waiter | None:
        while self._first:
            waiter = self._first.popleft()
            if not waiter.done():
                return waiter
        while self._lanes:
            name, lane = self._lanes.popitem(last=False)
            found = lane.popleft() if lane else None
            if lane:
                self._lanes[name] = lane  # to the end: its next one comes after everybody else's
            if found is not None and not found.done():
                return found
        return None

    def _forget(self, waiter: Waiter, lane: str, first: bool) -> None:
        queue = self._first if first else self._lanes.get(lane, deque())
        with contextlib.suppress(ValueError):
            queue.remove(waiter)
        if not first and not queue:
            self._lanes.pop(lane, None)


def _too_many(waiting: int) -> Busy:
    return Busy("too many wait already", code="too-many-waiting", cause=f"{waiting} wait", evidence=str(waiting))
