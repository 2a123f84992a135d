"""Ended tasks are not kept for ever: the oldest go, with their logs, once there are too many, they are too old, or
their logs are too large. Running tasks and their logs are never touched.

The limits are the datacenter's option `task-retention` (docs/format/state.md). A task's log goes before its record, so
that no log is left over without a record, whatever happens in between.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from tarmac.drivers.store.journal import Journal
from tarmac.model.datacenter import TaskRetention
from tarmac.model.units import MIB
from tarmac.services.jobs.task_log import TaskLogs

COUNT, DAYS, SIZE_MIB = 20_000, 365, 1024
DAY = 86_400
BATCH = 500


class Retention:
    """`run` is called now and then by the daemon; `rules` are the option as it is then."""

    def __init__(
        self,
        *,
        journal: Journal,
        logs: TaskLogs,
        rules: Callable[[], TaskRetention | None],
        now: Callable[[], float] = time.time,
    ) -> None:
        self._journal = journal
        self._logs = logs
        self._rules = rules
        self._now = now

    async def run(self) -> int:
        """Remove what is beyond a limit; returns how many tasks went."""
        rules = self._rules() or TaskRetention()
        oldest = self._now() - (rules.days or DAYS) * DAY
        gone = 0
        while upids := await self._journal.surplus(keep=rules.count or COUNT, before=oldest, limit=BATCH):
            await self._forget(upids)
            gone += len(upids)
        return gone + await self._shrink((rules.size or SIZE_MIB) * MIB)

    async def _shrink(self, most: int) -> int:
        """Remove the oldest tasks until the logs of all take `most` bytes."""
        sizes = await asyncio.to_thread(self._logs.sizes)
        surplus = sum(size for _, size in sizes) - most
        going: list[str] = []
        for upid, size in sizes:
            if surplus <= 0:
                break
            if not self._logs.is_live(upid):
                going.append(upid)
                surplus -= size
        for start in range(0, len(going), BATCH):
            await self._forget(going[start : start + BATCH])
        return len(going)

    async def _forget(self, upids: list[str]) -> None:
        await self._logs.remove(upids)
        await self._journal.forget(upids)
