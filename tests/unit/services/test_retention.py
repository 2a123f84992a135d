"""Ended tasks go when there are too many, when they are too old, or when their logs are too large; others stay."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tarmac.drivers.store.journal import Journal
from tarmac.model.datacenter import TaskRetention
from tarmac.model.ids import Upid
from tarmac.model.job import JobRecord, JobState, StepRecord
from tarmac.services.jobs.retention import DAY, Retention
from tarmac.services.jobs.task_log import TaskLogs


class Site:
    def __init__(self, journal: Journal, logs: TaskLogs) -> None:
        self.journal, self.logs = journal, logs
        self.rules = TaskRetention()
        self.now = time.time()
        self.retention = Retention(journal=journal, logs=logs, rules=lambda: self.rules, now=lambda: self.now)
        self.made = 0

    async def task(self, *, age_days: float = 0, running: bool = False, log_bytes: int = 10) -> str:
        self.made += 1
        start = self.now - age_days * DAY
        upid = str(
            Upid(node="n1", pid=1, pstart=self.made, starttime=int(start), type="qmstart", id="100", user="a@pve")
        )
        record = JobRecord(upid=upid, node="n1", kind="qmstart", id="100", user="a@pve", args={}, queues=(),
                           state=JobState.QUEUED, created=start)  # fmt: skip
        await self.journal.add(record)
        step = StepRecord(position=0, step="s", version=1, title="t", args={})
        await self.journal.planned(upid, [step])
        self.logs.open(upid)
        self.logs.line(upid, "x" * log_bytes)
        if not running:
            record.state, record.ended, record.exitstatus = JobState.DONE, start, "OK"
            await self.journal.end(record)
            await self.logs.finish(upid)
        return upid

    async def kept(self, upids: list[str]) -> list[bool]:
        """Which of them have both a record and a log; none may have only one of them."""
        found = []
        for upid in upids:
            record, (_, lines) = await self.journal.get(upid), await self.logs.read(upid, 0, 0)
            assert (record is not None) == bool(lines)
            found.append(record is not None)
        return found


@asynccontextmanager
async def site(tmp: Path) -> AsyncIterator[Site]:
    journal, logs = await Journal.open(tmp / "journal.db"), TaskLogs(tmp / "tasks")
    yield Site(journal, logs)
    logs.close()
    await journal.close()


async def test_the_oldest_beyond_the_count_go(tmp_path: Path) -> None:
    async with site(tmp_path) as s:
        running = await s.task(running=True)
        upids = [await s.task() for _ in range(130)]
        s.rules = TaskRetention(count=100)
        assert await s.retention.run() == 30
        assert await s.kept(upids) == [False] * 30 + [True] * 100
        assert await s.kept([running]) == [True]
        assert await s.retention.run() == 0


async def test_the_old_go_and_running_ones_stay_however_old(tmp_path: Path) -> None:
    async with site(tmp_path) as s:
        upids = [await s.task(age_days=age, running=age == 40) for age in (60, 40, 31, 29, 0)]
        s.rules = TaskRetention(days=30)
        assert await s.retention.run() == 2
        assert await s.kept(upids) == [False, True, False, True, True]


async def test_logs_take_no_more_than_they_may(tmp_path: Path) -> None:
    async with site(tmp_path) as s:
        upids = [await s.task(age_days=10 - n, log_bytes=400_000, running=n == 0) for n in range(5)]
        s.rules = TaskRetention(size=1)
        await s.retention.run()
        assert await s.kept(upids) == [True, False, False, False, True]
        assert sum(size for _, size in s.logs.sizes()) <= 1 << 20


async def test_without_a_rule_the_defaults_hold(tmp_path: Path) -> None:
    async with site(tmp_path) as s:
        upids = [await s.task(age_days=age) for age in (400, 300)]
        assert await s.retention.run() == 1
        assert await s.kept(upids) == [False, True]
