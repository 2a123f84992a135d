"""What one QEMU tells without being asked: its QMP events, fanned out to any number of listeners.

The hub belongs to the guest's process, not to a connection, so that a listener lives through a reconnect. Nobody can
make QEMU or the daemon wait: a listener that does not read loses events, and is told so by a RESYNC event.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

RESYNC = "TARMAC_RESYNC"
_BACKLOG = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class QmpEvent:
    """One event. `seconds` is QEMU's own time stamp (Unix time). The name RESYNC is ours: events may have been lost
    before this point (a full backlog, a new connection), so ask for the state anew."""

    name: str
    data: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 0.0


class Subscription:
    """One listener's queue: an asynchronous iterator that ends when the guest has ended, and a context manager that
    unsubscribes. Subscribe first, then send the command whose event is awaited."""

    def __init__(self, hub: EventHub, names: frozenset[str]) -> None:
        self._hub = hub
        self._names = names
        self._queue: deque[QmpEvent] = deque()
        self._wakeup = asyncio.Event()
        self._ended = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Hear nothing more; a waiting reader's iteration ends. Twice is fine."""
        self._hub.forget(self)
        self.end()

    def offer(self, event: QmpEvent) -> None:
        """The hub's side: queue `event` if it is wanted. Never blocks."""
        if self._names and event.name not in self._names and event.name != RESYNC:
            return
        if len(self._queue) >= _BACKLOG:
            self._queue.clear()
            event = QmpEvent(name=RESYNC, data={"reason": "the listener was too slow"}, seconds=event.seconds)
        self._queue.append(event)
        self._wakeup.set()

    def end(self) -> None:
        """The hub's side: nothing more will come."""
        self._ended = True
        self._wakeup.set()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> QmpEvent:
        while not self._queue:
            if self._ended:
                raise StopAsyncIteration
            self._wakeup.clear()
            await self._wakeup.wait()
        return self._queue.popleft()


class EventHub:
    """Takes events from the connection and hands them to whoever has subscribed."""

    def __init__(self) -> None:
        self._subscriptions: set[Subscription] = set()
        self._closed = False

    def subscribe(self, *names: str) -> Subscription:
        """Listen from now on, to all events or to those named (RESYNC comes always)."""
        subscription = Subscription(self, frozenset(names))
        if self._closed:
            subscription.end()
        else:
            self._subscriptions.add(subscription)
        return subscription

    def forget(self, subscription: Subscription) -> None:
        self._subscriptions.discard(subscription)

    def publish(self, event: QmpEvent) -> None:
        for subscription in tuple(self._subscriptions):
            subscription.offer(event)

    def close(self) -> None:
        """The guest has ended, or the daemon lets go of it: every iteration ends after what is queued."""
        self._closed = True
        for subscription in tuple(self._subscriptions):
            subscription.end()
        self._subscriptions.clear()
