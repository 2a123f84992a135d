"""The clones of one task: started, given their identities; each of them comes about or not by itself.

One that cannot be started is undone alone, with number and disks; the others stay, and the task ends with a warning and
a row for each in its result. Only when none could be started has the task failed.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from tarmac.drivers.qemu.process import GuestProcess
from tarmac.model.conf_file import GuestFile
from tarmac.model.errors import TarmacError
from tarmac.model.vm import VmConfig
from tarmac.services.access.pools import Pools
from tarmac.services.clones.numbers import RESERVED
from tarmac.services.cloudinit.cloudinit import CloudInit
from tarmac.services.guests.guests import Guest, Guests
from tarmac.services.guests.uids import Uids
from tarmac.services.instant.identity_giving import InstantIdentity
from tarmac.services.instant.launch import CloneLauncher, Times
from tarmac.services.instant.records import InstantRecord, InstantRecords
from tarmac.services.instant.states import LiveStates
from tarmac.services.jobs.steps import Registry, StepContext
from tarmac.services.running.runtime import Runtime
from tarmac.services.storage.storages import Storages
from tarmac.services.storage.volumes import Volumes

AT_ONCE = 4
Texts = Mapping[str, Mapping[str, str]]
Making = Mapping[str, Sequence[Mapping[str, Any]]]
"""The steps that make each clone's volumes, by its number."""


class CloneMembers:
    """The steps `instant-launch` and `instant-identity`. `arrived`: when a task was asked for, for the times in its
    result."""

    def __init__(
        self,
        *,
        guests: Guests,
        runtime: Runtime,
        uids: Uids,
        storages: Storages,
        volumes: Volumes,
        cloudinit: CloudInit,
        pools: Pools,
        states: LiveStates,
        launcher: CloneLauncher,
        identity: InstantIdentity,
        records: InstantRecords,
        registry: Registry,
    ) -> None:
        self._guests = guests
        self._runtime = runtime
        self._uids = uids
        self._storages = storages
        self._volumes = volumes
        self._cloudinit = cloudinit
        self._pools = pools
        self._states = states
        self._launcher = launcher
        self._identity = identity
        self._records = records
        self._steps = registry.steps
        self.arrived: dict[str, float] = {}
        registry.step("instant-launch", self._do_launch, self._undo_launch)
        registry.step("instant-identity", self._do_identity, commits=True)

    async def _do_launch(
        self,
        ctx: StepContext,
        vmids: Sequence[int],
        template: int,
        reserve: int,
        texts: Texts,
        making: Making = MappingProxyType({}),  # a journal of an older daemon has steps of the job's own
    ) -> dict[str, Any]:
        """All of them, some at a time: configuration, volumes, QEMU, and on to the agent's first answer."""
        arrived = self.arrived.get(ctx.upid, time.monotonic())
        prepared = time.monotonic() - arrived
        live = await self._states.get(self._guests.get(template), ctx.log)
        record = InstantRecord(template=template, set=live.set, memory=live.memory, reserve=reserve)
        doors = asyncio.Semaphore(AT_ONCE)
        times: dict[str, Times] = {}

        async def one(vmid: int) -> None:
            guest = self._guests.get(vmid)
            spent = times[str(vmid)] = {"overlay": prepared / len(vmids)}
            config = VmConfig.parse(texts[str(vmid)], lenient=True)
            awake = asyncio.Event()

            async def start(guest: Guest, say: Callable[[str], None]) -> GuestProcess:
                return await self._launcher.launch(guest, config, live, say, spent, awake)

            async def go_on() -> None:
                began = time.monotonic()
                await _all(self._steps[s["step"]].do(ctx, **s["args"]) for s in making.get(str(vmid), ()))
                spent["overlay"] += time.monotonic() - began
                ctx.point("made")
                if guest.process is None:
                    await self._runtime.launch(guest, ctx.log, start)
                awake.set()

            async def answer() -> None:
                """The guest is asked as it wakes; what we still have to do about its process goes on meanwhile."""
                await awake.wait()
                began = time.monotonic()
                await self._identity.first_answer(vmid, config)
                spent["agent"] = time.monotonic() - began
                spent["answered"] = time.monotonic() - arrived

            async with doors:
                # The journal knows of all; none waits for the others' disks.
                await _all([self._keep(ctx, guest, texts[str(vmid)], record), go_on(), answer()])

        failed: dict[int, TarmacError] = {}

        async def tried(vmid: int) -> None:
            try:
                await one(vmid)
            except TarmacError as problem:
                failed[vmid] = problem

        await _all(tried(vmid) for vmid in vmids)
        if len(failed) == len(vmids):
            raise failed[vmids[0]]
        for vmid, problem in failed.items():
            ctx.log(f"clone {vmid} failed: {problem.message} ({problem.evidence})")
            await self._give_up(vmid, texts[str(vmid)], ctx.user)
            times.pop(str(vmid))
        rounded = _rounded(times)
        ctx.publish("times", rounded)
        return {"times": rounded, "clones": [_row(vmid, failed.get(vmid)) for vmid in vmids]}

    async def _give_up(self, vmid: int, texts: Mapping[str, str], user: str) -> None:
        """One clone is undone, as if it had not been asked for. Repeatable."""
        guest = self._guests.find(vmid)
        if guest is not None:
            await self._runtime.stop(guest, 10)
            await self._runtime.forget(vmid)
            await self._guests.remove(vmid)
        await self._records.forget(vmid)
        for volid in VmConfig.parse(texts, lenient=True).volumes.values():
            if self._volumes.owner(volid) == vmid:
                driver, parsed = self._storages.of(volid)
                await driver.free(parsed)
        await self._cloudinit.forget(vmid)
        await self._pools.forget_guest(vmid, by=user)
        await self._uids.release(vmid)

    async def _keep(self, ctx: StepContext, guest: Guest, texts: Mapping[str, str], record: InstantRecord) -> None:
        """Configuration and record of a clone, durably."""
        if guest.file.current == RESERVED:
            await self._guests.write(guest, GuestFile(current=dict(texts)), user=ctx.user, keep_history=False)
        await self._records.put(guest.vmid, record)

    async def _undo_launch(
        self,
        ctx: StepContext,
        vmids: Sequence[int],
        template: int,
        reserve: int,
        texts: Texts,
        making: Making = MappingProxyType({}),
    ) -> None:
        for vmid in vmids:
            guest = self._guests.find(vmid)
            if guest is not None:
                await self._runtime.stop(guest, 10)
            for step in making.get(str(vmid), ()):
                undo = self._steps[step["step"]].undo
                if undo is not None:
                    await undo(ctx, **step["args"])

    async def _do_identity(self, ctx: StepContext, vmids: Sequence[int], template: int) -> None:
        """What one clone lacks hurts no other: it is said, kept, and can be done later."""
        live = await self._states.known(self._guests.get(template))
        launched = next((r for r in ctx.results.values() if isinstance(r, dict) and "times" in r), {})
        vmids = [vmid for vmid in vmids if self._guests.find(vmid) is not None]
        self._report(ctx, launched.get("clones", []), vmids)
        times: dict[str, Times] = {key: dict(value) for key, value in launched.get("times", {}).items()}

        # Guests that all wake at once would keep each other from answering: as many at a time as there are processors
        # (under emulation each takes one), the others wait asleep.
        doors = asyncio.Semaphore(len(os.sched_getaffinity(0)))

        async def one(vmid: int) -> None:
            async with doors:
                began = time.monotonic()
                await self._identity.give(self._guests.get(vmid), live, ctx)
            spent = times.setdefault(str(vmid), {})
            spent["identity"] = time.monotonic() - began
            if ctx.upid in self.arrived:
                spent["done"] = time.monotonic() - self.arrived[ctx.upid]

        await _all(one(vmid) for vmid in vmids)
        ctx.publish("times", _rounded(times))
        for vmid, spent in sorted(times.items()):
            ctx.log(f"guest {vmid}: " + ", ".join(f"{name} {seconds:.3f} s" for name, seconds in spent.items()))

    @staticmethod
    def _report(ctx: StepContext, rows: Sequence[Mapping[str, Any]], vmids: Sequence[int]) -> None:
        """The outcome of each clone in the task's result, a warning for each that there is not."""
        ctx.publish("clones", list(rows))
        ctx.publish("vmids", list(vmids))
        for row in rows:
            if row["outcome"] != "OK":
                ctx.warn(f"clone {row['vmid']}: {row['outcome']}")


def _row(vmid: int, problem: TarmacError | None) -> dict[str, Any]:
    if problem is None:
        return {"vmid": vmid, "outcome": "OK"}
    return {"vmid": vmid, "outcome": problem.message, "error": problem.as_record()}


def _rounded(times: Mapping[str, Times]) -> dict[str, Times]:
    return {vmid: {name: round(seconds, 4) for name, seconds in spent.items()} for vmid, spent in times.items()}


async def _awaited(work: Awaitable[Any]) -> None:
    await work


async def _all(work: Iterable[Awaitable[Any]]) -> None:
    """Do all at once; the first failure cancels the others and is raised as itself."""
    problems: list[TarmacError] = []
    try:
        async with asyncio.TaskGroup() as group:
            for one in work:
                group.create_task(_awaited(one))
    except* TarmacError as failed:
        problems += [problem for problem in failed.exceptions if isinstance(problem, TarmacError)]
    if problems:
        raise problems[0]
