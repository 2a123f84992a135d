"""Bulk actions: so many guests at a time, each with its own outcome, in their order, taken up after a cut-off."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tarmac.drivers.store.journal import Journal
from tarmac.drivers.store.memory import MemoryStore
from tarmac.lib.tasks import Supervisor
from tarmac.model.errors import Denied, HostFailure
from tarmac.model.job import Plan, PlannedStep
from tarmac.model.lifecycle import State
from tarmac.services.access.access import Identity
from tarmac.services.guests.guests import Guests
from tarmac.services.jobs.jobs import Jobs
from tarmac.services.jobs.locks import Queues
from tarmac.services.jobs.steps import Registry, StepContext
from tarmac.services.jobs.task_log import TaskLogs
from tarmac.services.lifecycle.bulk import BulkActions

ROOT = Identity("root@pam")


class OnlyOn:
    """Somebody whose rights are on these paths."""

    def __init__(self, *paths: str) -> None:
        self.paths = paths

    def check(self, identity: Identity, path: str, privileges: list[str]) -> None:
        if path not in self.paths:
            raise Denied(f"Permission check failed ({path}, {privileges[0]})")


class Power:
    """Stands for what a guest's own task does: it changes the state, and remembers the order and how many at once."""

    def __init__(self, guests: Guests, registry: Registry) -> None:
        self.guests = guests
        self.order: list[str] = []
        self.at_once = self.most_at_once = 0
        self.fails: set[int] = set()
        self.gate: asyncio.Event | None = None
        registry.step("power", self.do)
        for kind, state in (("qmstart", "running"), ("qmresume", "running"), ("qmshutdown", "stopped"),
                            ("qmpause", "paused")):  # fmt: skip
            registry.kind(kind, self.planner(kind, state), recover="resume")

    def planner(self, kind: str, state: str) -> Any:
        async def plan(args: Any) -> Plan:
            given = {"vmid": args["vmid"], "kind": kind, "state": state}
            return Plan(steps=(PlannedStep(step="power", title=kind, args=given),))

        return plan

    async def do(self, ctx: StepContext, vmid: int, kind: str, state: str) -> None:
        self.order.append(f"{kind} {vmid}")
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        if self.gate is not None:
            await self.gate.wait()
        await asyncio.sleep(0)
        self.at_once -= 1
        if vmid in self.fails:
            raise HostFailure(f"cannot {kind} {vmid}", evidence="asked to fail")
        self.guests.get(vmid).state = State(state)


class Site:
    def __init__(self, guests: Guests, jobs: Jobs, bulk: BulkActions, power: Power) -> None:
        self.guests, self.jobs, self.bulk, self.power = guests, jobs, bulk, power

    async def outcome(self, upid: Any) -> tuple[str, dict[int, tuple[str, str]]]:
        record = await self.jobs.wait(upid)
        rows = (record.result or {}).get("guests", [])
        return record.exitstatus or "", {row["vmid"]: (row["outcome"], row["status"]) for row in rows}


@asynccontextmanager
async def site(tmp: Path, texts: dict[int, str], access: Any = None) -> AsyncIterator[Site]:
    registry, queues = Registry(), Queues()
    journal = await Journal.open(tmp / "journal.db")
    logs = TaskLogs(tmp / "tasks")
    async with Supervisor() as supervisor:
        jobs = Jobs(node="n1", journal=journal, logs=logs, queues=queues, registry=registry, supervisor=supervisor)
        guests = Guests(store=MemoryStore(), node="n1", mirror=tmp / "mirror")
        await guests.load()
        for vmid, text in texts.items():
            await guests.create(vmid, text, uid=None, user="root@pam")
        bulk = BulkActions(guests=guests, jobs=jobs, access=access, registry=registry)
        yield Site(guests, jobs, bulk, Power(guests, registry))
        jobs.stop()
    logs.close()
    await journal.close()


async def test_so_many_at_a_time_and_each_its_outcome(tmp_path: Path) -> None:
    texts = dict.fromkeys(range(100, 110), "memory: 64\n") | {110: "memory: 64\ntemplate: 1\n"}
    async with site(tmp_path, texts) as s:
        s.guests.get(101).state, s.guests.get(102).state = State.RUNNING, State.PAUSED
        s.power.fails, s.power.gate = {105}, asyncio.Event()
        upid = await s.bulk.start(ROOT, [*texts, 999], workers=3)
        while s.power.at_once < 3:
            await asyncio.sleep(0.001)
        s.power.gate.set()
        status, rows = await s.outcome(upid)
        assert status == "Some guests failed to start: 105, 999"
        assert s.power.most_at_once == 3
        assert rows[100] == ("ok", "OK")
        assert rows[101] == ("skipped", "already running")
        assert rows[105] == ("failed", "cannot qmstart 105")
        assert rows[110] == ("skipped", "it is a template")
        assert rows[999] == ("failed", "guest 999 does not exist")
        assert "qmresume 102" in s.power.order
        assert [g.vmid for g in s.guests if g.state is State.RUNNING] == [v for v in range(100, 110) if v != 105]


async def test_order_of_starting_and_the_reverse_of_ending(tmp_path: Path) -> None:
    texts = {100: "startup: order=2\n", 101: "startup: order=1\n", 102: "memory: 64\n", 103: "startup: order=1\n"}
    async with site(tmp_path, texts) as s:
        assert await s.outcome(await s.bulk.start(ROOT)) == ("OK", dict.fromkeys((101, 103, 100, 102), ("ok", "OK")))
        assert s.power.order == [f"qmstart {vmid}" for vmid in (101, 103, 100, 102)]
        s.power.order.clear()
        await s.outcome(await s.bulk.suspend(ROOT, [100, 103]))
        assert s.power.order == ["qmpause 100", "qmpause 103"]
        s.power.order.clear()
        await s.outcome(await s.bulk.shutdown(ROOT))
        assert s.power.order == [f"qmshutdown {vmid}" for vmid in (102, 100, 101, 103)]


async def test_one_node_answers_migrations(tmp_path: Path) -> None:
    async with site(tmp_path, {100: "memory: 64\n", 101: "memory: 64\n"}) as s:
        status, rows = await s.outcome(await s.bulk.migrate(ROOT, target="n1"))
        assert status == "WARNINGS: 2" and rows[100] == ("skipped", "already on n1")
        status, rows = await s.outcome(await s.bulk.migrate(ROOT, [101], target="n2"))
        assert status == "Some guests failed to migrate: 101"
        assert rows == {101: ("failed", "no such cluster node 'n2'")}


async def test_rights_are_asked_for_each_guest(tmp_path: Path) -> None:
    async with site(tmp_path, {100: "memory: 64\n"}, OnlyOn("/vms/100", "/vms/101")) as s:
        s.bulk.check_rights(ROOT, [100, 101], "VM.PowerMgmt")
        for vms in ([100, 102], []):
            with pytest.raises(Denied):
                s.bulk.check_rights(ROOT, vms, "VM.PowerMgmt")


async def test_the_next_daemon_goes_on_and_begins_nothing_twice(tmp_path: Path) -> None:
    texts = dict.fromkeys((100, 101, 102), "memory: 64\n")
    async with site(tmp_path, texts) as s:
        s.power.gate = asyncio.Event()
        upid = await s.bulk.start(ROOT, workers=2)
        while len(s.power.order) < 2:
            await asyncio.sleep(0.001)
        assert s.power.order == ["qmstart 100", "qmstart 101"]
    async with site(tmp_path, texts) as s:
        await s.jobs.recover()
        status, rows = await s.outcome(upid)
        assert status == "OK" and {row[0] for row in rows.values()} == {"ok"}
        assert sorted(s.power.order) == ["qmstart 100", "qmstart 101", "qmstart 102"]


async def test_a_plan_says_who_is_left_out_and_changes_nothing(tmp_path: Path) -> None:
    async with site(tmp_path, {100: "memory: 64\n", 101: "memory: 64\n"}) as s:
        s.guests.get(101).state = State.RUNNING
        plan = await s.bulk.start(ROOT, [100, 101], dryrun=True)
        assert isinstance(plan, Plan)
        assert [step.title for step in plan.steps] == ["start guest 100, 101", "report"]
        assert plan.effects == ("guest 101: already running",)
        assert s.power.order == []
