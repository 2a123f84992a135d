"""Who works on what: one first-come-first-served queue per object.

Work on an object waits its turn instead of being refused. A place in the queue belongs to a live job of this daemon
and is gone with it: nothing is written to a file, so no lock can be left behind. One daemon owns a data directory
(`services.node.instance`), and a guest belongs to one node, so a queue in memory is enough; in a cluster the guest's
ownership is what the store's leases guard.

Work that only reads an object takes a *shared* place (`shared("guest/9000")`): those that stand next to each other in
the queue have their turn together, so ten clones of a template are made at once, and its removal waits for all of them.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass

_SHARED = "shared:"


def shared(key: str) -> str:
    """The name of a place in the queue `key` for work that only reads the object. (Names of queues are journaled.)"""
    return _SHARED + key


@dataclass(slots=True, eq=False)
class _Place:
    who: str
    shared: bool
    turn: asyncio.Future[None]


class Queues:
    """Queues by key (`guest/100`). `holder` and `waiting` say who is in them; all calls come from the event loop."""

    def __init__(self) -> None:
        self._lines: dict[str, deque[_Place]] = {}
        self._wanted: dict[str, asyncio.Event] = {}

    def holder(self, key: str) -> str | None:
        """The job whose turn it is; of several that share it, the first."""
        line = self._lines.get(key)
        return line[0].who if line else None

    def waiting(self, key: str) -> list[str]:
        """The jobs whose turn it is not yet, in order."""
        return [place.who for place in self._lines.get(key, ()) if not place.turn.done()]

    def enter(self, keys: Sequence[str], who: str) -> Callable[[], None]:
        """Take a place in each queue now; returns what gives the places back. `turn` waits for them."""
        loop = asyncio.get_running_loop()
        mine: list[tuple[str, _Place]] = []
        for name in sorted(set(keys)):
            key = name.removeprefix(_SHARED)
            place = _Place(who, name != key, loop.create_future())
            self._lines.setdefault(key, deque()).append(place)
            mine.append((key, place))
            self._call_up(key)
            if not place.turn.done() and key in self._wanted:
                self._wanted[key].set()

        def leave() -> None:
            while mine:
                key, place = mine.pop()
                self._lines[key].remove(place)
                self._call_up(key)

        return leave

    async def turn(self, keys: Sequence[str], who: str, on_wait: Callable[[str], None] | None = None) -> None:
        """Wait until it is the turn of `who` (already entered) in every queue; `on_wait` is told whom it waits for."""
        for key in sorted({name.removeprefix(_SHARED) for name in keys}):
            place = next(place for place in self._lines[key] if place.who == who)
            if not place.turn.done() and on_wait is not None:
                on_wait(self.holder(key) or "")
            await asyncio.shield(place.turn)

    async def until_wanted(self, key: str) -> None:
        """For who has the turn and gives way: returns when somebody waits for his."""
        if self.waiting(key):
            return
        event = self._wanted.setdefault(key, asyncio.Event())
        try:
            await event.wait()
        finally:
            self._wanted.pop(key, None)

    @contextlib.asynccontextmanager
    async def hold(self, keys: Sequence[str], who: str) -> AsyncIterator[None]:
        """Enter and wait, for work that is no job."""
        leave = self.enter(keys, who)
        try:
            await self.turn(keys, who)
            yield
        finally:
            leave()

    def _call_up(self, key: str) -> None:
        """It is the turn of the first, and of those that share it and stand directly behind."""
        line = self._lines[key]
        if not line:
            del self._lines[key]
            return
        for position, place in enumerate(line):
            if position and not (place.shared and line[0].shared):
                break
            if not place.turn.done():
                place.turn.set_result(None)
