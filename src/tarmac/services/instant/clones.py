"""Instant clones: guests that go on from a live template's memory, each with an identity of its own.

`qminstant`: overlays on the template's base disks, configurations, QEMU with the template's memory mapped privately and
its device state, then through the agent what makes each guest one of its kind. A failure before the identities undoes
all; from then on the clones exist, and what is left to do is kept with each (`services.instant.records`).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any

from tarmac.drivers.qemu.live.machine import Machine
from tarmac.drivers.qemu.process import GuestProcess
from tarmac.model.conf_file import GuestFile, print_conf
from tarmac.model.errors import TarmacError
from tarmac.model.job import JobRecord, Plan, PlannedStep
from tarmac.model.vm import VmConfig
from tarmac.model.vm_clone import clone_name, draft_clone, is_cloudinit
from tarmac.services.access.access import Identity
from tarmac.services.clones.clones import RESERVED, Clones
from tarmac.services.clones.disks import CloneDisks, Manner, Wish
from tarmac.services.cloudinit.cloudinit import CloudInit
from tarmac.services.guests.guests import Guest, Guests
from tarmac.services.guests.identity import birth_marks, renewed
from tarmac.services.instant.admission import DEFAULT_RESERVE, CloneAdmission
from tarmac.services.instant.identity import InstantIdentity
from tarmac.services.instant.launch import CloneLauncher, Times
from tarmac.services.instant.records import InstantRecord, InstantRecords
from tarmac.services.instant.states import LiveStates
from tarmac.services.jobs.jobs import Jobs
from tarmac.services.jobs.locks import shared
from tarmac.services.jobs.steps import Registry, StepContext
from tarmac.services.running.runtime import Runtime
from tarmac.services.running.uids import Uids

Started = str | Plan
AT_ONCE = 4


class InstantClones:
    """`clone` makes them. Their further life is that of any guest: they stop, start from their disks, are removed."""

    def __init__(
        self,
        *,
        guests: Guests,
        jobs: Jobs,
        runtime: Runtime,
        uids: Uids,
        clones: Clones,
        disks: CloneDisks,
        cloudinit: CloudInit,
        states: LiveStates,
        launcher: CloneLauncher,
        identity: InstantIdentity,
        records: InstantRecords,
        admission: CloneAdmission,
        registry: Registry,
        qemu_version: str,
    ) -> None:
        self._guests = guests
        self._jobs = jobs
        self._runtime = runtime
        self._uids = uids
        self._clones = clones
        self._disks = disks
        self._cloudinit = cloudinit
        self._states = states
        self._launcher = launcher
        self._identity = identity
        self._records = records
        self._admission = admission
        self._qemu_version = qemu_version
        self._arrived: dict[str, float] = {}  # when a task was asked for, for the times in its result
        registry.step("instant-reserve", self._do_reserve, self._undo_reserve)
        registry.step("instant-launch", self._do_launch, self._undo_launch)
        registry.step("instant-identity", self._do_identity, commits=True)
        registry.kind("qminstant", self._plan)
        jobs.on_end.append(self._ended)

    async def clone(
        self,
        identity: Identity,
        template: int,
        *,
        newid: int | None = None,
        count: int = 1,
        name: str | None = None,
        description: str | None = None,
        reserve: int | None = None,
        dryrun: bool = False,
    ) -> Started:
        """`count` clones of a live template; `newid` None: the lowest free numbers. Returns the task (its result lists
        `vmids`, and the seconds of each part by clone), or the plan.

        Raises WrongState when the guest is no live template, DataCorrupt for a damaged one, HostFailure when the clones
        do not fit into memory or the machine cannot go on here, InvalidInput."""
        arrived = time.monotonic()
        guest = self._guests.get(template)
        machine = await self._states.machine(guest)
        vmids = self._clones.claim(newid, count)
        try:
            args: dict[str, Any] = {
                "template": template,
                "vmids": vmids,
                "names": [
                    clone_name(name, guest.config.name or str(template), number=n, vmid=v, count=count)
                    for n, v in enumerate(vmids, start=1)
                ],
                "description": description,
                "reserve": DEFAULT_RESERVE if reserve is None else reserve,
            }
            self._clones.check_rights(identity, _source(machine, guest), vmids)
            await self._admission.check(guest, machine.memory, machine.accelerator, count, args["reserve"])
            if dryrun:
                return await self._jobs.plan("qminstant", args)
            queues = [shared(f"guest/{template}"), *(f"guest/{vmid}" for vmid in vmids)]
            upid = await self._jobs.submit("qminstant", id=str(template), user=identity.name, args=args, queues=queues)
            self._arrived[upid] = arrived
            return upid
        except BaseException:
            self._guests.unclaim(*vmids)
            raise
        finally:
            if dryrun:
                self._guests.unclaim(*vmids)

    # -- the plan -----------------------------------------------------------------------------------------------

    async def _plan(self, args: Mapping[str, Any]) -> Plan:
        guest = self._guests.get(args["template"])
        machine = await self._states.machine(guest)
        await self._admission.check(guest, machine.memory, machine.accelerator, len(args["vmids"]), args["reserve"])
        source = _source(machine, guest)
        documents = await self._cloudinit.documents(guest.vmid)
        steps, texts = [], {}
        for vmid, name in zip(args["vmids"], args["names"], strict=True):
            draft = draft_clone(source, name=name, description=args["description"])
            made = await self._disks.prepare(vmid, draft, Wish(manner=Manner.LINKED))
            # A cloud-init medium is not needed before the guest goes on: it is made with the identity.
            steps += [step for step in made.steps if step.step == "volume-clone"]
            if documents and any(is_cloudinit(volume) for volume in draft.volumes.values()):
                copied = {"vmid": vmid, "source": guest.vmid}
                steps.append(PlannedStep(step="clone-documents", title="copy the cloud-init documents", args=copied))
            own = renewed(made.texts, self._guests.mac_prefix())
            texts[str(vmid)] = own | birth_marks(own, self._qemu_version)
        known = {"vmids": args["vmids"], "template": guest.vmid}
        count = f"{len(args['vmids'])} clone(s)"
        title = f"take the numbers {', '.join(map(str, args['vmids']))}"
        reserve = {**known, "reserve": args["reserve"], "texts": texts}
        return Plan(
            steps=(
                PlannedStep(step="instant-reserve", title=title, args=known),
                *steps,
                PlannedStep(step="instant-launch", title=f"let {count} go on from template {guest.vmid}", args=reserve),
                PlannedStep(step="instant-identity", title="give each its own identity", args=known),
            ),
            effects=(
                "each clone begins with all that was in its template's memory: keys, passwords, open sessions",
                *self._identity.words(machine, guest),
            ),
            result={"vmids": list(args["vmids"])},
        )

    # -- steps --------------------------------------------------------------------------------------------------

    async def _do_reserve(self, ctx: StepContext, vmids: Sequence[int], template: int) -> None:
        """The numbers are taken on disk, all or none: guests that have nothing but `lock: clone`."""
        guest = self._guests.get(template)
        uids = {vmid: await self._uids.allocate(vmid) for vmid in vmids}
        origin = {"vmid": template, "name": guest.name, "digest": guest.digest, "time": int(time.time())}
        text = print_conf(GuestFile(current=RESERVED))
        await self._guests.create_many(uids, text, origin=origin, user=ctx.user)

    async def _undo_reserve(self, ctx: StepContext, vmids: Sequence[int], template: int) -> None:
        for vmid in vmids:
            guest = self._guests.find(vmid)
            if guest is not None and (guest.origin or {}).get("vmid") == template:
                await self._runtime.forget(vmid)
                await self._guests.remove(vmid)
            await self._records.forget(vmid)
            await self._uids.release(vmid)

    async def _do_launch(
        self,
        ctx: StepContext,
        vmids: Sequence[int],
        template: int,
        reserve: int,
        texts: Mapping[str, Mapping[str, str]],
    ) -> dict[str, Any]:
        """All of them, some at a time: configuration, QEMU, and on to the agent's first answer. One that fails ends
        all."""
        arrived = self._arrived.get(ctx.upid, time.monotonic())
        prepared = time.monotonic() - arrived
        live = await self._states.get(self._guests.get(template), ctx.log)
        record = InstantRecord(template=template, set=live.set, memory=live.memory, reserve=reserve)
        doors = asyncio.Semaphore(AT_ONCE)
        times: dict[str, Times] = {}

        async def one(vmid: int) -> None:
            guest = self._guests.get(vmid)
            spent = times[str(vmid)] = {"overlay": prepared / len(vmids)}
            config = VmConfig.parse(texts[str(vmid)], lenient=True)

            async def start(guest: Guest, say: Callable[[str], None]) -> GuestProcess:
                return await self._launcher.launch(guest, config, live, say, spent)

            async with doors:
                work: list[Awaitable[Any]] = [self._keep(ctx, guest, texts[str(vmid)], record)]
                if guest.process is None:
                    work.append(self._runtime.launch(guest, ctx.log, start))
                await _all(work)  # the journal knows both; neither waits for the other's disk
                spent["agent"] = await self._identity.first_answer(guest)
                spent["answered"] = time.monotonic() - arrived

        await _all(one(vmid) for vmid in vmids)
        rounded = _rounded(times)
        ctx.publish("times", rounded)
        return {"times": rounded}

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
        texts: Mapping[str, Mapping[str, str]],
    ) -> None:
        for vmid in vmids:
            guest = self._guests.find(vmid)
            if guest is not None:
                await self._runtime.stop(guest, 10)

    async def _do_identity(self, ctx: StepContext, vmids: Sequence[int], template: int) -> None:
        """What one clone lacks hurts no other: it is said, kept, and can be done later."""
        live = await self._states.get(self._guests.get(template), ctx.log)
        launched = next((r for r in ctx.results.values() if isinstance(r, dict) and "times" in r), {})
        times: dict[str, Times] = {key: dict(value) for key, value in launched.get("times", {}).items()}

        async def one(vmid: int) -> None:
            began = time.monotonic()
            await self._identity.give(self._guests.get(vmid), live, ctx)
            spent = times.setdefault(str(vmid), {})
            spent["identity"] = time.monotonic() - began
            if ctx.upid in self._arrived:
                spent["done"] = time.monotonic() - self._arrived[ctx.upid]

        await _all(one(vmid) for vmid in vmids)
        ctx.publish("times", _rounded(times))
        for vmid, spent in sorted(times.items()):
            ctx.log(f"guest {vmid}: " + ", ".join(f"{name} {seconds:.3f} s" for name, seconds in spent.items()))

    def _ended(self, record: JobRecord) -> None:
        if record.kind == "qminstant":
            self._guests.unclaim(*record.args["vmids"])
            self._arrived.pop(record.upid, None)


def _source(machine: Machine, template: Guest) -> dict[str, str]:
    """What is cloned: the machine's own configuration, with its disks as they are called by now."""
    volumes = {key: template.file.current[key] for key in template.config.volumes if key != "vmstate"}
    return {**machine.texts, **volumes}


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
