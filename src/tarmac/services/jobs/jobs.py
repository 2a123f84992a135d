"""Long work: submitted, queued per object, planned, executed step by step, undone on failure, finished after a crash.

The rules, each with its test:
- a job is in the journal before its id is answered, and its intent before each effect;
- it takes its place in its objects' queues when it is submitted, so order of asking is order of doing;
- a failure or a cancel undoes what was done, newest first, unless a step that `commits` has begun;
- a job that a crash cut off is finished or undone at the next start, before anything else touches its objects.
"""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
import logging
import os
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from tarmac.drivers.store.journal import Journal
from tarmac.lib.tasks import Supervisor
from tarmac.model.errors import Busy, NeedsStop, NotFound, TarmacError
from tarmac.model.ids import Upid
from tarmac.model.job import OFF, JobRecord, JobState, Plan
from tarmac.services.jobs.locks import Queues
from tarmac.services.jobs.run import JobRun, LiveJob
from tarmac.services.jobs.steps import Admission, Registry
from tarmac.services.jobs.task_log import TaskLogs

log = logging.getLogger(__name__)


async def foreseen(plan: Callable[[Mapping[str, Any]], Awaitable[Plan]], args: Mapping[str, Any]) -> Plan:
    """The plan for a dry run: what is refused only because the guest runs is planned as if it were stopped, and says
    so."""
    try:
        return await plan(args)
    except NeedsStop as problem:
        return dataclasses.replace(await plan({**args, OFF: True}), refusal=problem)


class Jobs:
    """The engine. `start` begins it (and takes up what a crash left), `stop` ends it: running jobs are cut off as by
    a crash and taken up by the next daemon. `on_change` are called with a job that begins, goes on or ends; `on_end`
    when it has ended. `admissions` have a say between a job's plan and its first step."""

    def __init__(
        self,
        *,
        node: str,
        journal: Journal,
        logs: TaskLogs,
        queues: Queues,
        registry: Registry,
        supervisor: Supervisor,
        on_phase: Callable[[str, str], None] = lambda step, phase: None,
    ) -> None:
        self.node = node
        self.registry = registry
        self.queues = queues
        self.on_end: list[Callable[[JobRecord], None]] = []
        self.on_change: list[Callable[[JobRecord], None]] = []
        self.admissions: list[Admission] = []
        self._journal = journal
        self._logs = logs
        self._run = JobRun(
            journal=journal,
            logs=logs,
            queues=queues,
            registry=registry,
            on_phase=on_phase,
            on_change=self._changed,
            admissions=self.admissions,
        )
        self._live: dict[str, LiveJob] = {}
        self._counter = itertools.count(int(time.monotonic() * 100) & 0x0FFFFFFF)
        self._supervisor = supervisor

    async def unfinished(self) -> Sequence[JobRecord]:
        """What the journal holds of jobs that have not ended, whether they were taken up already or not."""
        return await self._journal.unfinished()

    async def recover(self) -> list[str]:
        """Take up the jobs that the last daemon left unfinished; returns their ids. They hold their places in the
        queues when this returns; `wait` tells when each has ended."""
        left = await self.unfinished()
        for record in left:  # all of them before anything new is let in
            for admission in self.admissions:
                admission.readmit(record)
        for record in left:
            self._launch(record, resumed=True)
        return [record.upid for record in left]

    def stop(self) -> None:
        """Cut off what runs; the journal keeps it for the next start."""
        for live in self._live.values():
            live.abandon()

    async def submit(
        self, kind: str, *, id: str, user: str, args: Mapping[str, Any] | None = None, queues: Sequence[str] = ()
    ) -> str:
        """Start a job; returns its UPID when it is durable. Raises NoSpace when the journal cannot be written."""
        upid = self._new_upid(kind, id, user)
        record = JobRecord(
            upid=upid,
            node=self.node,
            kind=kind,
            id=id,
            user=user,
            args=dict(args or {}),
            queues=tuple(queues),
            state=JobState.QUEUED,
            created=time.time(),
        )
        leave = self.queues.enter(record.queues, upid)
        try:
            await self._journal.add(record)
        except BaseException:
            leave()
            raise
        self._launch(record, leave=leave)
        return upid

    async def plan(self, kind: str, args: Mapping[str, Any]) -> Plan:
        """What a job would do (`dryrun`); see `foreseen`."""
        return await foreseen(self.registry.kinds[kind].plan, args)

    async def wait(self, upid: str, seconds: float | None = None) -> JobRecord:
        """The job's record when it has ended, or as it is after `seconds`."""
        live = self._live.get(upid)
        if live is None:
            return await self.get(upid)
        try:
            async with asyncio.timeout(seconds):
                await live.ended.wait()
        except TimeoutError:
            pass
        return live.record

    async def get(self, upid: str) -> JobRecord:
        """Raises NotFound (`no such task`)."""
        live = self._live.get(upid)
        if live is not None:
            return live.record
        record = await self._journal.get(upid)
        if record is None:
            raise NotFound("no such task", code="no-such-task", evidence=upid)
        return record

    def running(self) -> list[JobRecord]:
        """Jobs that have not ended, newest first."""
        return [live.record for live in reversed(self._live.values())]

    async def ended(
        self, where: Sequence[tuple[str, Sequence[Any]]] = (), *, start: int = 0, limit: int = 50
    ) -> tuple[int, list[JobRecord]]:
        """Ended jobs, newest first; see Journal.find."""
        return await self._journal.find(where, start=start, limit=limit)

    async def log(self, upid: str, start: int = 0, limit: int = 50) -> tuple[int, list[str]]:
        """A task's lines. Raises NotFound."""
        await self.get(upid)
        return await self._logs.read(upid, start, limit)

    async def cancel(self, upid: str) -> None:
        """Ask a job to end; what it did is undone. Raises Busy when it is past the point of no return, NotFound."""
        live = self._live.get(upid)
        if live is None:
            await self.get(upid)
            return
        if not live.cancel():
            raise Busy(
                "the task can no longer be stopped",
                code="past-no-return",
                cause="its result is already being put in place",
                evidence=f"{upid}: {live.record.state}",
            )

    def lock_of(self, queue: str) -> JobRecord | None:
        """The job that works on an object now."""
        holder = self.queues.holder(queue)
        live = self._live.get(holder) if holder else None
        return live.record if live else None

    def _launch(self, record: JobRecord, *, leave: Callable[[], None] | None = None, resumed: bool = False) -> None:
        leave = leave or self.queues.enter(record.queues, record.upid)
        self._logs.open(record.upid)
        live = LiveJob(record, resumed=resumed)
        self._live[record.upid] = live
        self._changed(record)
        live.task = self._supervisor.start(self._boundary(live, leave), name=f"job {record.kind} {record.id}")

    async def _boundary(self, live: LiveJob, leave: Callable[[], None]) -> None:
        """The job boundary: whatever happens inside is recorded here and hurts no other job."""
        record = live.record
        try:
            await self._run.execute(live)
        except asyncio.CancelledError:
            if not live.abandoned:
                raise
        except TarmacError as problem:
            # Only the journal itself can fail here (a full disk): the next start takes the job up.
            log.error("job could not be recorded", extra={"upid": record.upid, "problem": problem.as_record()})
        except Exception:  # noqa: BLE001 - the job boundary: a bug in one job must not end the others
            log.exception("bug while a job was recorded", extra={"upid": record.upid})
        finally:
            if live.final is not None:
                await self._logs.finish(record.upid)
            # Whoever sees the end may act on it at once, so the places in the queues are free before it shows.
            leave()
            for admission in self.admissions:
                admission.release(record)
            live.record = live.final or record
            for hook in self.on_end:
                hook(live.record)
            self._live.pop(record.upid, None)
            self._changed(live.record)
            live.ended.set()

    def _changed(self, record: JobRecord) -> None:
        for hook in self.on_change:
            hook(record)

    def _new_upid(self, kind: str, id: str, user: str) -> str:
        return str(
            Upid(
                node=self.node,
                pid=os.getpid(),
                pstart=next(self._counter),
                starttime=int(time.time()),
                type=kind,
                id=id,
                user=user,
            )
        )
