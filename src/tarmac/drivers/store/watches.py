"""The recent past of a store in memory, and those who follow it.

Bounded by number and bytes: what falls out is compacted, and who still needed it is told so instead of missing it.
A watch keeps a position, not a queue, so that a slow one costs nothing. Everything runs on the event loop.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from tarmac.drivers.store.base import Event, store_closed
from tarmac.model.errors import Conflict, Fix

MAX_EVENTS = 10_000
MAX_BYTES = 8 * 1024 * 1024


class History:
    """Events after the revision `compacted`, up to `revision`."""

    def __init__(self, revision: int, *, max_events: int = MAX_EVENTS, max_bytes: int = MAX_BYTES) -> None:
        self.revision = revision
        self.compacted = revision
        self._events: deque[Event] = deque()
        self._first = 0  # the running number of the oldest event kept
        self._bytes = 0
        self._max_events = max_events
        self._max_bytes = max_bytes
        self._watches: set[Watcher] = set()
        self.closed = False

    def publish(self, revision: int, events: Sequence[Event]) -> None:
        """Add a transaction's events and wake who waits. Revisions come in order."""
        self.revision = revision
        for event in events:
            self._events.append(event)
            self._bytes += _weight(event)
        while len(self._events) > self._max_events or self._bytes > self._max_bytes:
            self._drop_oldest_revision()
        for watch in self._watches:
            watch.wake.set()

    def watch(self, prefix: str, since: int) -> Watcher:
        """Follow from `since`. Raises Conflict `compacted`, Unavailable `store-closed`."""
        if self.closed:
            raise store_closed("watch")
        if since < self.compacted:
            raise compacted(since, self.compacted)
        return Watcher(self, prefix, since, self._first)

    def close(self) -> None:
        """End all watches after what they have not yet seen."""
        self.closed = True
        for watch in self._watches:
            watch.wake.set()

    def enter(self, watch: Watcher) -> None:
        self._watches.add(watch)

    def leave(self, watch: Watcher) -> None:
        self._watches.discard(watch)

    def after(self, position: int) -> tuple[int, Event] | None:
        """The event with running number `position` and that number; None when it has not happened yet.

        Raises Conflict `compacted` when it is no longer there."""
        if position < self._first:
            raise compacted(position, self.compacted)
        offset = position - self._first
        return (position, self._events[offset]) if offset < len(self._events) else None

    def _drop_oldest_revision(self) -> None:
        revision = self._events[0].revision
        while self._events and self._events[0].revision == revision:
            self._bytes -= _weight(self._events.popleft())
            self._first += 1
        self.compacted = revision


class Watcher:
    """One follower; see `base.Watch`."""

    def __init__(self, history: History, prefix: str, since: int, position: int) -> None:
        self._history = history
        self._prefix = prefix
        self._since = since
        self._position = position
        self.wake = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._history.enter(self)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._history.leave(self)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        while True:
            self.wake.clear()
            while (found := self._history.after(self._position)) is not None:
                self._position = found[0] + 1
                if found[1].revision > self._since and found[1].key.startswith(self._prefix):
                    return found[1]
            if self._history.closed:
                raise StopAsyncIteration
            await self.wake.wait()


def compacted(since: int, until: int) -> Conflict:
    """The error for a past that the store has forgotten."""
    return Conflict(
        f"changes since revision {since} are no longer known",
        code="compacted",
        cause=f"the store forgot what happened up to revision {until}",
        evidence=f"asked for {since}, oldest known {until}",
        fixes=[Fix(text="read a new snapshot and watch from its revision")],
    )


def _weight(event: Event) -> int:
    return len(event.key) + len(event.value or b"") + 100
