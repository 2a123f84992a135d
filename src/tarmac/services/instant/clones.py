"""Instant clones: guests that go on from a live template's memory, each with an identity of its own.

`qminstant`: overlays on the template's base disks, configurations, QEMU with the template's memory mapped privately and
its device state, then through the agent what makes each guest one of its kind (`services.instant.members`). A failure
before the identities undoes all, one clone's own failure that clone; from then on the clones exist, and what is left to
do is kept with each (`services.instant.records`).
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tarmac.drivers.qemu.live.machine import Machine
from tarmac.model.job import JobRecord, Plan, PlannedStep, Started
from tarmac.model.lifecycle import State
from tarmac.model.vm_clone import clone_name, draft_clone, is_cloudinit
from tarmac.services.access.access import Identity
from tarmac.services.access.pools import Pools, pool_step
from tarmac.services.clones.clones import Clones
from tarmac.services.clones.disks import CloneDisks, Manner, Wish
from tarmac.services.clones.numbers import CloneNumbers
from tarmac.services.cloudinit.cloudinit import CloudInit
from tarmac.services.guests.birth_marks import birth_marks, renewed
from tarmac.services.guests.guests import Guest, Guests
from tarmac.services.guests.uids import Uids
from tarmac.services.instant.admission import CloneAdmission
from tarmac.services.instant.freezing import LiveFreezing
from tarmac.services.instant.identity_giving import InstantIdentity
from tarmac.services.instant.members import CloneMembers
from tarmac.services.instant.records import InstantRecords
from tarmac.services.instant.states import LiveStates
from tarmac.services.jobs.jobs import Jobs
from tarmac.services.jobs.locks import shared
from tarmac.services.jobs.steps import Registry, StepContext
from tarmac.services.running.runtime import Runtime


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
        numbers: CloneNumbers,
        pools: Pools,
        disks: CloneDisks,
        cloudinit: CloudInit,
        states: LiveStates,
        records: InstantRecords,
        members: CloneMembers,
        admission: CloneAdmission,
        freezing: LiveFreezing,
        registry: Registry,
        qemu_version: str,
    ) -> None:
        self._guests = guests
        self._jobs = jobs
        self._runtime = runtime
        self._uids = uids
        self._clones = clones
        self._numbers = numbers
        self._pools = pools
        self._disks = disks
        self._cloudinit = cloudinit
        self._states = states
        self._records = records
        self._members = members
        self._admission = admission
        self._freezing = freezing
        self._qemu_version = qemu_version
        registry.step("instant-reserve", self._do_reserve, self._undo_reserve)
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
        pool: str | None = None,
        dryrun: bool = False,
    ) -> Started:
        """`count` clones of a live template; `newid` None: the lowest free numbers. Returns the task (its result lists
        `vmids`, and the seconds of each part by clone), or the plan.

        Raises WrongState when the guest is no live template, DataCorrupt for a damaged one, HostFailure when the clones
        do not fit into memory or the machine cannot go on here, InvalidInput."""
        arrived = time.monotonic()
        if pool is not None:
            self._pools.check(pool)
        guest = self._guests.get(template)
        running = not guest.template and guest.state is not State.STOPPED
        vmids = self._numbers.claim(newid, count)
        frozen = self._guests.numbers.claim_free(1) if running else []
        try:
            source = await self._source(guest, frozen)
            args: dict[str, Any] = {
                "template": frozen[0] if frozen else template,
                **({"source": template} if frozen else {}),
                "vmids": vmids,
                "names": [
                    clone_name(name, guest.config.name or str(template), number=n, vmid=v, count=count)
                    for n, v in enumerate(vmids, start=1)
                ],
                "description": description,
                "reserve": self._admission.reserve if reserve is None else reserve,
                "pool": pool,
            }
            self._clones.check_rights(identity, source.texts)
            await self._admit(args, source.machine, looking=True)
            if dryrun:
                return await self._jobs.plan("qminstant", {**args, "looking": True})
            queue = f"guest/{template}"
            queues = [queue if frozen else shared(queue), *(f"guest/{vmid}" for vmid in (*frozen, *vmids))]
            upid = await self._jobs.submit("qminstant", id=str(template), user=identity.name, args=args, queues=queues)
            self._members.arrived[upid] = arrived
            return upid
        except BaseException:
            self._guests.numbers.unclaim(*vmids, *frozen)
            raise
        finally:
            if dryrun:
                self._guests.numbers.unclaim(*vmids, *frozen)

    # -- the plan -----------------------------------------------------------------------------------------------

    async def _source(self, guest: Guest, frozen: Sequence[int]) -> _Source:
        """What is cloned: a live template, or a guest that runs and freezes into the state `frozen`."""
        if frozen:
            found = await self._freezing.plan(guest, frozen[0])
            return _Source(
                machine=found.machine,
                texts=found.texts,
                documents=guest.vmid,
                sizes=found.sizes,
                steps=found.steps,
                effects=found.effects,
            )
        machine = await self._states.machine(guest)
        return _Source(machine=machine, texts=_texts(machine, guest), documents=guest.vmid)

    async def _admit(self, args: Mapping[str, Any], machine: Machine, *, looking: bool) -> None:
        """`looking`: only asked, so nobody loses anything by it."""
        count, reserve = len(args["vmids"]), args["reserve"]
        await self._admission.check(
            args["template"], machine.memory, machine.accelerator, count, reserve, looking=looking
        )

    async def _plan(self, args: Mapping[str, Any]) -> Plan:
        template = args["template"]
        guest = self._guests.get(args.get("source", template))
        source = await self._source(guest, [template] if "source" in args else [])
        await self._admit(args, source.machine, looking=args.get("looking", False))
        documents = await self._cloudinit.documents(source.documents)
        texts, making = {}, dict[str, list[PlannedStep]]()
        for vmid, name in zip(args["vmids"], args["names"], strict=True):
            draft = draft_clone(source.texts, name=name, description=args["description"])
            made = await self._disks.prepare(vmid, draft, Wish(manner=Manner.LINKED, coming=source.sizes))
            # A cloud-init medium is not needed before the guest goes on: it is made with the identity.
            making[str(vmid)] = [step for step in made.steps if step.step == "volume-clone"]
            if documents and any(is_cloudinit(volume) for volume in draft.volumes.values()):
                copied = {"vmid": vmid, "source": source.documents}
                title = "copy the cloud-init documents"
                making[str(vmid)].append(PlannedStep(step="clone-documents", title=title, args=copied))
            own = renewed(made.texts, self._guests.mac_prefix())
            texts[str(vmid)] = own | birth_marks(own, self._qemu_version)
        known = {"vmids": args["vmids"], "template": template}
        count = f"{len(args['vmids'])} clone(s)"
        title = f"take the numbers {', '.join(map(str, args['vmids']))}"
        launch = {**known, "reserve": args["reserve"], "texts": texts, "making": _records(making)}
        pool = args.get("pool")  # a journal of an older daemon has none
        pooled = [pool_step(pool, vmid) for vmid in args["vmids"] if pool]
        return Plan(
            steps=(
                *source.steps,
                PlannedStep(step="instant-reserve", title=title, args=known),
                *pooled,
                PlannedStep(
                    step="instant-launch",
                    title=f"let {count} go on from {template}",
                    args=launch,
                    takes=_taken(step for steps in making.values() for step in steps),
                ),
                PlannedStep(step="instant-identity", title="give each its own identity", args=known),
            ),
            effects=(
                "each clone begins with all that was in its template's memory: keys, passwords, open sessions",
                *source.effects,
                *InstantIdentity.words(source.machine),
            ),
            result={"vmids": list(args["vmids"])},
        )

    # -- steps --------------------------------------------------------------------------------------------------

    async def _do_reserve(self, ctx: StepContext, vmids: Sequence[int], template: int) -> None:
        """The numbers are taken on disk, all or none: guests that have nothing but `lock: clone`."""
        guest = self._guests.get(template)
        origin = {"vmid": template, "name": guest.name, "digest": guest.digest, "time": int(time.time())}
        await self._numbers.reserve(vmids, origin, ctx.user)

    async def _undo_reserve(self, ctx: StepContext, vmids: Sequence[int], template: int) -> None:
        for vmid in vmids:
            guest = self._guests.find(vmid)
            if guest is not None and (guest.origin or {}).get("vmid") == template:
                await self._runtime.forget(vmid)
                await self._guests.remove(vmid)
                await self._pools.forget_guest(vmid, by=ctx.user)
            await self._records.forget(vmid)
            await self._uids.release(vmid)

    def _ended(self, record: JobRecord) -> None:
        if record.kind == "qminstant":
            frozen = [record.args["template"]] if "source" in record.args else []
            self._guests.numbers.unclaim(*record.args["vmids"], *frozen)
            self._members.arrived.pop(record.upid, None)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Source:
    """What is cloned: the machine, its texts, the guest whose cloud-init documents the clones get; and of one that
    freezes for it, the steps of that, base images to come with their sizes, and what to say."""

    machine: Machine
    texts: Mapping[str, str]
    documents: int
    sizes: Mapping[str, int] = field(default_factory=dict)
    steps: tuple[PlannedStep, ...] = ()
    effects: tuple[str, ...] = ()


def _records(making: Mapping[str, Sequence[PlannedStep]]) -> dict[str, list[dict[str, Any]]]:
    """Steps within a step, for the journal."""
    return {vmid: [{"step": step.step, "args": dict(step.args)} for step in steps] for vmid, steps in making.items()}


def _taken(steps: Iterable[PlannedStep]) -> dict[str, int]:
    """Bytes that steps take together, by storage."""
    found: dict[str, int] = {}
    for step in steps:
        for id, size in step.takes.items():
            found[id] = found.get(id, 0) + size
    return found


def _texts(machine: Machine, template: Guest) -> dict[str, str]:
    """What is cloned: the machine's own configuration, with its disks as they are called by now."""
    volumes = {key: template.file.current[key] for key in template.config.volumes if key != "vmstate"}
    return {**machine.texts, **volumes}
