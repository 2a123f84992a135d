"""When leases end: deadlines in memory, one background task that ends what is due.

Only a lease's existence and length are on disk, so that a renewal costs no write; after a restart each lease has its
full time again (as with etcd after an election).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from tarmac.drivers.store.base import no_such_lease
from tarmac.lib.tasks import Supervisor
from tarmac.model.errors import TarmacError

_RETRY_SECONDS = 1.0
_log = logging.getLogger(__name__)


class LeaseClock:
    """Calls `end(lease)` for each lease whose time is over; what fails is tried again until it succeeds."""

    def __init__(self, end: Callable[[int], Awaitable[None]]) -> None:
        self._end = end
        self._deadlines: dict[int, float] = {}
        self._lengths: dict[int, float] = {}
        self._changed = asyncio.Event()
        self._tasks = Supervisor()
        self._tasks.start(self._run(), name="store-leases")

    def add(self, lease: int, seconds: float) -> None:
        self._lengths[lease] = seconds
        self._deadlines[lease] = time.monotonic() + seconds
        self._changed.set()

    def renew(self, lease: int) -> None:
        """Raises NotFound when it has ended, also when its end is still being written."""
        self.check(lease)
        self._deadlines[lease] = time.monotonic() + self._lengths[lease]

    def check(self, lease: int) -> None:
        """Raise NotFound unless the lease is alive now."""
        if lease not in self._lengths or self._deadlines[lease] <= time.monotonic():
            raise no_such_lease(lease)

    def forget(self, lease: int) -> None:
        """Before it is ended otherwise."""
        self._lengths.pop(lease, None)
        self._deadlines.pop(lease, None)

    async def close(self) -> None:
        await self._tasks.close()

    async def _run(self) -> None:
        while True:
            self._changed.clear()
            now = time.monotonic()
            for lease in [lease for lease, due in self._deadlines.items() if due <= now]:
                await self._end_one(lease)
            soonest = min(self._deadlines.values(), default=None)
            try:
                async with asyncio.timeout(None if soonest is None else max(0.0, soonest - time.monotonic())):
                    await self._changed.wait()
            except TimeoutError:
                continue

    async def _end_one(self, lease: int) -> None:
        self._lengths.pop(lease, None)  # from here on nobody can renew it
        try:
            await self._end(lease)
        except TarmacError as problem:
            _log.error("lease %d cannot be ended yet: %s", lease, problem.message)
            self._deadlines[lease] = time.monotonic() + _RETRY_SECONDS
        else:
            self._deadlines.pop(lease, None)
