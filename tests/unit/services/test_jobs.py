"""The jobs engine: order, undo, cancel, recovery after a cut-off at every journaled point."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tarmac.drivers.store.journal import Journal
from tarmac.lib.tasks import Supervisor
from tarmac.model.errors import Busy, HostFailure, NotFound
from tarmac.model.job import JobState, Plan, PlannedStep
from tarmac.services.jobs.jobs import Jobs
from tarmac.services.jobs.locks import Queues
from tarmac.services.jobs.steps import Registry, StepContext
from tarmac.services.jobs.task_log import TaskLogs

PHASES = ("before-intent", "before-effect", "after-effect", "after-result")


class World:
    """What steps change: a list that stands for the host."""

    def __init__(self) -> None:
        self.things: list[str] = []
        self.gate = asyncio.Event()
        self.fail_at: str | None = None

    async def make(self, ctx: StepContext, thing: str) -> str:
        if thing == self.fail_at:
            self.things.append(f"half {thing}")
            raise HostFailure(f"cannot make {thing}", cause="asked to fail", evidence="fail_at")
        if thing not in self.things:
            self.things.append(thing)
        return thing

    async def unmake(self, ctx: StepContext, thing: str) -> None:
        self.things[:] = [t for t in self.things if t not in (thing, f"half {thing}")]

    async def wait(self, ctx: StepContext) -> None:
        await self.gate.wait()


async def plan(args: Any) -> Plan:
    steps = [PlannedStep(step="make", title=f"make {t}", args={"thing": t}) for t in args["things"]]
    if args.get("wait"):
        steps.insert(args["wait"], PlannedStep(step=args.get("gate", "wait"), title="wait"))
    return Plan(steps=tuple(steps))


@asynccontextmanager
async def engine(
    tmp: Path, world: World, on_phase: Callable[[str, str], None] = lambda s, p: None
) -> AsyncIterator[Jobs]:
    registry = Registry()
    registry.step("make", world.make, world.unmake)
    registry.step("wait", world.wait)
    registry.step("commit", world.wait, commits=True)
    registry.kind("undoable", plan)
    registry.kind("resumable", plan, recover="resume")
    journal = await Journal.open(tmp / "journal.db")
    logs = TaskLogs(tmp / "tasks")
    async with Supervisor() as supervisor:
        jobs = Jobs(
            node="n1", journal=journal, logs=logs, queues=Queues(), registry=registry,
            supervisor=supervisor, on_phase=on_phase,
        )  # fmt: skip
        yield jobs
        jobs.stop()
    await journal.close()
    logs.close()


async def test_a_job_runs_and_stays_readable_after_a_restart(tmp_path: Path) -> None:
    world = World()
    async with engine(tmp_path, world) as jobs:
        upid = await jobs.submit("undoable", id="100", user="root@pam", args={"things": ["a", "b"]})
        record = await jobs.wait(upid, 5)
        assert (record.state, record.exitstatus, world.things) == (JobState.DONE, "OK", ["a", "b"])
    async with engine(tmp_path, world) as jobs:
        assert (await jobs.get(upid)).exitstatus == "OK"
        total, lines = await jobs.log(upid, 0, 0)
        assert total == 3 and lines[-1] == "TASK OK"
        assert "make a" in lines[0]
        with pytest.raises(NotFound, match="no such task"):
            await jobs.get(upid.replace("root", "toor"))


async def test_failure_undoes_newest_first_and_says_why(tmp_path: Path) -> None:
    world = World()
    world.fail_at = "c"
    async with engine(tmp_path, world) as jobs:
        upid = await jobs.submit("undoable", id="1", user="u@pve", args={"things": ["a", "b", "c"]})
        record = await jobs.wait(upid, 5)
        assert (record.state, record.exitstatus, world.things) == (JobState.FAILED, "cannot make c", [])
        assert record.error is not None and record.error["cause"] == "asked to fail"
        _, lines = await jobs.log(upid, 0, 0)
        undone = [line for line in lines if "undo:" in line]
        assert [u[-1] for u in undone] == ["c", "b", "a"]
        assert lines[-1] == "TASK ERROR: cannot make c"


async def test_one_queue_keeps_the_order_of_asking(tmp_path: Path) -> None:
    world = World()
    async with engine(tmp_path, world) as jobs:
        args = [{"things": [str(i)], "wait": 0 if i else 1} for i in range(5)]
        upids = [await jobs.submit("undoable", id="100", user="u@pve", args=a, queues=["guest/100"]) for a in args]
        while jobs.running()[0].waits_for is None:
            await asyncio.sleep(0)
        assert jobs.running()[0].waits_for == upids[0]
        assert jobs.lock_of("guest/100") is await jobs.get(upids[0])
        world.gate.set()
        for upid in upids:
            assert (await jobs.wait(upid, 5)).exitstatus == "OK"
        assert world.things == ["0", "1", "2", "3", "4"]
        assert jobs.lock_of("guest/100") is None


async def test_cancel_undoes_but_not_past_the_commit(tmp_path: Path) -> None:
    world = World()
    async with engine(tmp_path, world) as jobs:
        first = await jobs.submit("undoable", id="1", user="u@pve", args={"things": ["a"], "wait": 1})
        while "a" not in world.things:
            await asyncio.sleep(0.001)
        await jobs.cancel(first)
        assert (await jobs.wait(first, 5)).state is JobState.CANCELLED
        assert world.things == []

        late = await jobs.submit("undoable", id="1", user="u@pve", args={"things": ["a"], "wait": 1, "gate": "commit"})
        while (await jobs.get(late)).steps == [] or (await jobs.get(late)).steps[-1].state != "intent":
            await asyncio.sleep(0.001)
        with pytest.raises(Busy):
            await jobs.cancel(late)
        world.gate.set()
        assert (await jobs.wait(late, 5)).exitstatus == "OK"


class Cut(BaseException):
    """Ends the engine's task at a phase, as SIGKILL would end the process."""


@pytest.mark.parametrize("kind", ["undoable", "resumable"])
@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("nth", [1, 2])
async def test_cut_off_anywhere_ends_finished_or_undone(tmp_path: Path, kind: str, phase: str, nth: int) -> None:
    world, seen = World(), 0
    blocked = asyncio.Event()

    def stop_here(step: str, reached: str) -> None:
        nonlocal seen
        seen += reached == phase
        if reached == phase and seen == nth:
            blocked.set()
            raise asyncio.CancelledError

    async with engine(tmp_path, world, stop_here) as jobs:
        upid = await jobs.submit(kind, id="1", user="u@pve", args={"things": ["a", "b"]}, queues=["guest/1"])
        async with asyncio.timeout(5):
            await blocked.wait()
    async with engine(tmp_path, world) as jobs:
        assert await jobs.recover() == [upid]
        record = await jobs.wait(upid, 5)
        if kind == "resumable" or (phase, nth) == ("after-result", 2):  # nothing was left to do
            assert (record.exitstatus, world.things) == ("OK", ["a", "b"])
        else:
            assert (record.state, world.things) == (JobState.FAILED, [])
        assert jobs.lock_of("guest/1") is None
    async with engine(tmp_path, world) as jobs:
        assert await jobs.recover() == []


@pytest.mark.parametrize(("kind", "writes"), [("resumable", 6), ("undoable", 7)])
async def test_a_job_of_three_steps_waits_few_times_for_the_disk(tmp_path: Path, kind: str, writes: int) -> None:
    """The job, its plan, the first intent, each end with the next intent, the last end with the job's: a job that would
    be undone writes the last one by itself."""
    async with engine(tmp_path, World()) as jobs:
        written: list[str] = []
        journal = jobs._journal
        write = journal._thread.write

        async def counted(work: Any, **more: Any) -> Any:
            written.append("write")
            return await write(work, **more)

        journal._thread.write = counted  # type: ignore[method-assign]
        upid = await jobs.submit(kind, id="1", user="u@pve", args={"things": ["a", "b", "c"]})
        assert (await jobs.wait(upid, 5)).exitstatus == "OK"
        assert len(written) == writes
    async with engine(tmp_path, World()) as jobs:
        record = await jobs.get(upid)
        assert [(step.state.value, step.result) for step in record.steps] == [("done", t) for t in ("a", "b", "c")]
