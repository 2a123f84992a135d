"""How one job runs: its turn, its plan, its steps, its undo. `services.jobs.jobs` is the engine around it."""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import logging
import time
from collections.abc import Callable, Sequence
from typing import Any

from tarmac.drivers.store.journal import Journal
from tarmac.model.errors import Bug, TarmacError
from tarmac.model.job import JobRecord, JobState, StepRecord, StepState
from tarmac.services.jobs.locks import Queues
from tarmac.services.jobs.steps import Admission, Registry, StepContext
from tarmac.services.jobs.task_log import TaskLogs

log = logging.getLogger(__name__)
INTERRUPTED = "interrupted by a restart of the daemon"


class LiveJob:
    """A job while it runs: its record, its task, and whether it may still be cancelled."""

    def __init__(self, record: JobRecord, *, resumed: bool) -> None:
        self.record = record
        self.final: JobRecord | None = None
        self.resumed = resumed
        self.ended = asyncio.Event()
        self.task: asyncio.Task[None] | None = None
        self.abandoned = False
        self.cancelled = False
        self.committed = False
        self.begun: StepRecord | None = None  # whose intent this daemon has written already
        self.unwritten: tuple[int, Any] | None = None  # a last step's end that comes with the job's

    def cancel(self) -> bool:
        """Ask it to end and undo; False when it is too late for that."""
        if self.committed or self.record.state is JobState.UNDOING:
            return False
        self.cancelled = True
        if self.task is not None:
            self.task.cancel()
        return True

    def abandon(self) -> None:
        """Cut it off without undoing, because the daemon stops."""
        self.abandoned = True
        if self.task is not None:
            self.task.cancel()


class JobRun:
    """Executes jobs against the journal. `on_phase(step, phase)` is called at the four points at which a crash makes a
    difference (`before-intent`, `before-effect`, `after-effect`, `after-result`); the fault tests kill there.
    `on_change` is called when a job's record shows something new."""

    def __init__(
        self,
        *,
        journal: Journal,
        logs: TaskLogs,
        queues: Queues,
        registry: Registry,
        on_phase: Callable[[str, str], None],
        on_change: Callable[[JobRecord], None],
        admissions: Sequence[Admission],
    ) -> None:
        self._journal = journal
        self._logs = logs
        self._queues = queues
        self._registry = registry
        self._on_phase = on_phase
        self._on_change = on_change
        self._admissions = admissions

    async def execute(self, live: LiveJob) -> None:
        """Run to the end and record it. Raises only CancelledError when abandoned, and what the journal raises."""
        record = live.record
        live.committed = self._committed(record)
        context = self._context(record, resumed=live.resumed)
        problem: TarmacError | None = None
        try:
            await self._queues.turn(record.queues, record.upid, lambda holder: self._waits(record, holder))
            record.waits_for = None
            if live.resumed and not self._goes_on(record):
                problem = TarmacError(INTERRUPTED, code="interrupted", cause="the daemon ended while the task ran")
            else:
                await self._forward(live, context)
        except asyncio.CancelledError:
            if not live.cancelled:
                raise
            if live.task is not None:
                live.task.uncancel()
            problem = TarmacError("interrupted by signal", code="cancelled", cause="the task was cancelled")
        except TarmacError as raised:
            problem = raised
        except Exception as raised:  # noqa: BLE001 - the job boundary: a bug is recorded as the task's outcome
            log.exception("bug in job", extra={"upid": record.upid})
            problem = Bug(f"internal error: {type(raised).__name__}", cause=str(raised)[:500], evidence=record.upid)
        await self._finish(live, context, problem)

    def _goes_on(self, record: JobRecord) -> bool:
        """Whether a job that a crash cut off is finished; else it is undone. One that only lacked its last word is
        done: a guest that was started is not stopped again."""
        kind = self._registry.kinds.get(record.kind)
        if kind is None or not record.steps or record.state is JobState.UNDOING:
            return False
        complete = all(step.state is StepState.DONE for step in record.steps)
        return complete or kind.recover == "resume" or self._committed(record)

    def _committed(self, record: JobRecord) -> bool:
        """Whether a step after which there is no way back has begun."""
        begun = [s.step for s in record.steps if s.state in (StepState.INTENT, StepState.DONE)]
        return any(name in self._registry.steps and self._registry.steps[name].commits for name in begun)

    async def _forward(self, live: LiveJob, context: StepContext) -> None:
        record = live.record
        if not record.steps:
            plan = await self._registry.kinds[record.kind].plan(record.args)
            steps = [
                StepRecord(
                    position=i,
                    step=s.step,
                    version=self._registry.steps[s.step].version,
                    title=s.title,
                    args=s.args,
                    takes=s.takes,
                )
                for i, s in enumerate(plan.steps)
            ]
            for admission in self._admissions:
                await admission.admit(record, plan, steps)
            record.steps, record.result = steps, dict(plan.result)
            await self._journal.planned(record.upid, record.steps, record.result)
        record.state = JobState.RUNNING
        self._on_change(record)
        for step in record.steps:
            if step.state is StepState.DONE:
                context.results[step.position] = step.result
                continue
            await self._one(live, context, step)

    async def _one(self, live: LiveJob, context: StepContext, step: StepRecord) -> None:
        registered = self._registry.steps[step.step]
        context.resumed = step.state is StepState.INTENT and step is not live.begun
        context.point = functools.partial(self._on_phase, step.step)
        if step.takes:
            live.record.progress = None  # what it has taken is told from its own progress
        if step.state is not StepState.INTENT:
            self._on_phase(step.step, "before-intent")
            await self._journal.mark(live.record.upid, step.position, StepState.INTENT)
            step.state = StepState.INTENT
        self._on_phase(step.step, "before-effect")
        context.log(step.title)
        if registered.commits:
            live.committed = True
        step.result = await registered.do(context, **step.args)
        self._on_phase(step.step, "after-effect")
        await self._done(live, step)
        step.state = StepState.DONE
        context.results[step.position] = step.result
        self._on_phase(step.step, "after-result")

    async def _done(self, live: LiveJob, step: StepRecord) -> None:
        """Each write waits for the disk, so a step's end goes along with the next one's intent, or with the job's end.
        The last one of a job that a crash would undo is written by itself: what is whole is not undone."""
        record = live.record
        following = next((s for s in record.steps[step.position + 1 :] if s.state is not StepState.DONE), None)
        if following is not None and following.state is StepState.PLANNED:
            self._on_phase(following.step, "before-intent")
            await self._journal.step_on(record.upid, step.position, step.result, following.position)
            following.state, live.begun = StepState.INTENT, following
        elif following is None and self._registry.kinds[record.kind].recover == "resume":
            live.unwritten = (step.position, step.result)
        else:
            await self._journal.mark(record.upid, step.position, StepState.DONE, step.result)

    async def _undo(self, live: LiveJob, context: StepContext) -> list[TarmacError]:
        """Newest first; what cannot be undone is reported and does not stop the rest."""
        record = live.record
        failures: list[TarmacError] = []
        touched = [s for s in record.steps if s.state in (StepState.INTENT, StepState.DONE)]
        if not touched:
            return failures
        record.state = JobState.UNDOING
        self._on_change(record)
        await self._journal.set_state(record.upid, JobState.UNDOING)
        for step in reversed(touched):
            registered = self._registry.steps.get(step.step)
            if registered is None or registered.undo is None:
                continue
            context.log(f"undo: {step.title}")
            try:
                self._on_phase(step.step, "before-undo")
                await registered.undo(context, **step.args)
            except TarmacError as problem:
                failures.append(problem)
                context.log(f"could not undo: {problem.message} ({problem.evidence})")
                continue
            await self._journal.mark(record.upid, step.position, StepState.UNDONE)
            step.state = StepState.UNDONE
        return failures

    async def _finish(self, live: LiveJob, context: StepContext, problem: TarmacError | None) -> None:
        if problem is not None:
            self._explain(context, problem)
            if not live.committed:
                await self._undo(live, context)
        await self._record_end(live, context, problem)

    async def _record_end(self, live: LiveJob, context: StepContext, problem: TarmacError | None) -> None:
        """The end is in the journal before anybody can see it (`live.final` takes the record's place then)."""
        record = live.record
        if problem is None:
            state = JobState.DONE
            exitstatus = f"WARNINGS: {len(context.warnings)}" if context.warnings else "OK"
            self._logs.line(record.upid, f"TASK {exitstatus}", stamp=False)
        else:
            state = JobState.CANCELLED if live.cancelled else JobState.FAILED
            exitstatus = problem.message.splitlines()[0] if problem.message else problem.error_code
            self._logs.line(record.upid, f"TASK ERROR: {exitstatus}", stamp=False)
        error = None if problem is None else problem.as_record()
        final = dataclasses.replace(record, state=state, exitstatus=exitstatus, error=error, ended=time.time())
        await self._journal.end(final, last=live.unwritten)
        live.final = final

    @staticmethod
    def _explain(context: StepContext, problem: TarmacError) -> None:
        for word, text in (("cause", problem.cause), ("evidence", problem.evidence)):
            if text:
                context.log(f"{word}: {text}")
        for fix in problem.fixes:
            context.log(f"fix: {fix.text}")

    def _waits(self, record: JobRecord, holder: str) -> None:
        record.waits_for = holder
        self._on_change(record)
        self._logs.line(record.upid, f"waiting for {holder}")

    def _context(self, record: JobRecord, *, resumed: bool) -> StepContext:
        def progress(done: float, total: float, unit: str) -> None:
            record.progress = (done, total, unit)
            self._on_change(record)

        def line(text: str) -> None:
            self._logs.line(record.upid, text)

        def publish(key: str, value: Any) -> None:
            record.result = {**(record.result or {}), key: value}

        results: dict[int, Any] = {}
        return StepContext(
            upid=record.upid,
            user=record.user,
            log=line,
            progress=progress,
            results=results,
            publish=publish,
            resumed=resumed,
        )
