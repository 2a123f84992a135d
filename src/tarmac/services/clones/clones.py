"""Clones of guests: one or many, linked or full, from a template, a guest, or a snapshot.

`qmclone` takes the new numbers in one transaction, makes the volumes, and writes the configuration last: until then the
clone is nothing but a number, and any failure or crash frees number and volumes. Several clones of one call are one
job; each of them is made or not by itself, and the task's result says which.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tarmac.model.errors import Fix, HostFailure, InvalidInput, NotFound, TarmacError
from tarmac.model.job import JobRecord, Plan, PlannedStep, Started
from tarmac.model.lifecycle import State
from tarmac.model.vm_clone import clone_name, draft_clone, is_cloudinit
from tarmac.services.access.access import Access, Identity
from tarmac.services.access.pools import Pools, pool_step
from tarmac.services.clones.disks import CloneDisks, Manner, Wish
from tarmac.services.clones.flatten import Flatten
from tarmac.services.clones.live import CloneLive
from tarmac.services.clones.numbers import RESERVED, CloneNumbers
from tarmac.services.cloudinit.cloudinit import CloudInit
from tarmac.services.configuration.configs import VmConfigs
from tarmac.services.guests.birth_marks import birth_marks, renewed
from tarmac.services.guests.guests import Guest, Guests
from tarmac.services.jobs.jobs import Jobs
from tarmac.services.jobs.locks import shared
from tarmac.services.jobs.steps import Registry, StepContext


class Clones:
    """`clone` starts the job. `plan_guest` makes the steps of one clone and is for other kinds of clones, too."""

    def __init__(
        self,
        *,
        guests: Guests,
        numbers: CloneNumbers,
        jobs: Jobs,
        configs: VmConfigs,
        access: Access,
        pools: Pools,
        disks: CloneDisks,
        live: CloneLive,
        cloudinit: CloudInit,
        registry: Registry,
        qemu_version: str,
    ) -> None:
        self._guests = guests
        self._numbers = numbers
        self._jobs = jobs
        self._configs = configs
        self._access = access
        self._pools = pools
        self._disks = disks
        self._live = live
        self._cloudinit = cloudinit
        self._registry = registry
        self._qemu_version = qemu_version
        registry.step("clone-documents", self._do_documents, self._undo_documents)
        registry.step("clone-member", self._do_member, self._undo_member)
        registry.step("clones-report", self._do_report)
        registry.kind("qmclone", self._plan, recover="resume")
        jobs.on_end.append(self._ended)

    async def clone(
        self,
        identity: Identity,
        vmid: int,
        *,
        newid: int | None = None,
        count: int = 1,
        name: str | None = None,
        description: str | None = None,
        full: bool | None = None,
        storage: str | None = None,
        format: str | None = None,
        snapname: str | None = None,
        pool: str | None = None,
        target: str | None = None,
        speed: int = 0,
        flatten: bool = False,
        dryrun: bool = False,
    ) -> Started:
        """`POST clone`. Without `newid` the lowest free numbers; with it and `count`, that one and those behind it. The
        task's id is the source's number, as in Proxmox; its result has `vmid` and `vmids`. `flatten`: a full clone of a
        template that begins as a linked one and is made independent of it by a task of its own.

        Raises InvalidInput, Denied (also for what reaches the host and the caller might not set), NotFound."""
        source = self._guests.get(vmid)
        self._check(source, full and not flatten, storage, format, snapname, pool, target)
        if flatten:
            self._check_flatten(source, full, snapname)
        numbers = self._numbers.claim(newid, count)
        try:
            args = {
                "vmid": vmid,
                "newids": numbers,
                "name": name,
                "description": description,
                "full": False if flatten else not source.template if full is None else full,
                "flatten": flatten,
                "storage": storage,
                "format": format,
                "snapname": snapname,
                "speed": speed,
                "pool": pool,
            }
            self.check_rights(identity, _texts(source, snapname), storage=storage)
            queue = f"guest/{vmid}"
            if dryrun:
                plan = await self._jobs.plan("qmclone", args)
                self._guests.numbers.unclaim(*numbers)
                return plan
            if self._jobs.lock_of(queue) is None:
                await self._plan(args)
            still = source.template or snapname is not None
            queues = [shared(queue) if still else queue, *(f"guest/{number}" for number in numbers)]
            return await self._jobs.submit("qmclone", id=str(vmid), user=identity.name, args=args, queues=queues)
        except BaseException:
            self._guests.numbers.unclaim(*numbers)
            raise

    def _check(
        self,
        source: Guest,
        full: bool | None,
        storage: str | None,
        format: str | None,
        snapname: str | None,
        pool: str | None,
        target: str | None,
    ) -> None:
        if pool is not None:
            self._pools.check(pool)
        if target not in (None, "localhost", self._guests.node):
            text = f"can't clone VM to node '{target}'"
            raise InvalidInput(
                "Parameter verification failed.",
                code="other-node",
                cause="clusters are not built: this node knows no other one",
                evidence=f"target: {target}; this is node '{self._guests.node}'",
                fixes=[
                    Fix(text="clone it here", parameters={"target": self._guests.node}),
                    Fix(text="take its disks there: export them here, import them on the other node"),
                ],
                parameters={"target": text},
            )
        if not (not source.template if full is None else full):
            for key, value in (("storage", storage), ("format", format)):
                if value is not None:
                    raise InvalidInput.of(key, f"parameter '{key}' not allowed for linked clones")
        if snapname is not None and snapname not in source.file.snapshots:
            raise NotFound(f"snapshot '{snapname}' does not exist", code="no-such-snapshot")

    @staticmethod
    def _check_flatten(source: Guest, full: bool | None, snapname: str | None) -> None:
        if not source.template or snapname is not None:
            raise InvalidInput.of(
                "flatten",
                "only full clones of a template can begin as linked ones",
                fixes=[Fix(text="leave it out: the clone is a copy then", parameters={"full": "1"})],
            )
        if full is False:
            raise InvalidInput.of("flatten", "a linked clone stays linked; ask for a full one", code="flatten-linked")

    def check_rights(self, identity: Identity, texts: Mapping[str, str], *, storage: str | None = None) -> None:
        """Space on every storage that takes it, the bridges, and what reaches the host. Raises Denied.

        As in Proxmox the other keys are the source's, which the caller may clone."""
        draft = draft_clone(texts)
        for name in self._disks.storages_of(draft, storage):
            self._access.check(identity, f"/storage/{name}", ["Datastore.AllocateSpace"])
        self._configs.check_bridges(identity, draft.texts)
        self._configs.check_host(identity, draft.texts)

    # -- plans --------------------------------------------------------------------------------------------------

    async def _plan(self, args: Mapping[str, Any]) -> Plan:
        source, numbers = self._guests.get(args["vmid"]), args["newids"]
        wish = self._wish(source, args)
        members = []
        for position, vmid in enumerate(numbers, 1):
            name = clone_name(
                args["name"], source.config.name or str(source.vmid), number=position, vmid=vmid, count=len(numbers)
            )
            members.append(await self.plan_guest(source, vmid, wish, name=name, description=args["description"]))
        reserve = self._numbers.step(source, numbers, args["snapname"])
        pool = args.get("pool")  # a journal of an older daemon has none
        first = (reserve, *(pool_step(pool, vmid) for vmid in numbers if pool))
        result = {"vmid": numbers[0], "vmids": numbers}
        last = [Flatten.step(numbers, args["speed"])] if args.get("flatten") else []
        if len(numbers) == 1:
            return Plan(steps=(*first, *members[0], *last), result=result)
        steps = [_member(vmid, steps) for vmid, steps in zip(numbers, members, strict=True)]
        report = PlannedStep(step="clones-report", title="report")
        return Plan(steps=(*first, *steps, report, *last), result=result)

    @staticmethod
    def _wish(source: Guest, args: Mapping[str, Any]) -> Wish:
        manner = Manner.LINKED
        if args["full"]:
            running = source.runs(args) and args["snapname"] is None
            manner = Manner.MIRRORED if running else Manner.COPIED
        return Wish(
            manner=manner,
            storage=args["storage"],
            format=args["format"],
            snapshot=args["snapname"],
            speed=args["speed"],
        )

    async def plan_guest(
        self, source: Guest, vmid: int, wish: Wish, *, name: str | None, description: str | None = None
    ) -> list[PlannedStep]:
        """The steps between reserving the number and a complete clone; the last one writes its configuration."""
        draft = draft_clone(_texts(source, wish.snapshot), name=name, description=description)
        made = await self._disks.prepare(vmid, draft, wish)
        texts = renewed(made.texts, self._guests.mac_prefix())
        texts |= {"meta": birth_marks(texts, self._qemu_version)["meta"]}
        steps = list(made.steps)
        if made.mirrors:
            steps.append(self._live.step(source, vmid, made.mirrors, speed=wish.speed, takes=made.filling))
        if any(is_cloudinit(volume) for volume in draft.volumes.values()):
            args = {"vmid": vmid, "source": source.vmid}
            steps.append(PlannedStep(step="clone-documents", title="copy the cloud-init documents", args=args))
        write = {"vmid": vmid, "texts": texts}
        return [*steps, PlannedStep(step="guest-write", title=f"write the configuration of guest {vmid}", args=write)]

    # -- steps --------------------------------------------------------------------------------------------------

    async def _do_documents(self, ctx: StepContext, vmid: int, source: int) -> None:
        await self._cloudinit.copy_documents(source, vmid)

    async def _undo_documents(self, ctx: StepContext, vmid: int, source: int) -> None:
        await self._cloudinit.forget(vmid)

    async def _do_member(self, ctx: StepContext, vmid: int, steps: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """One of several clones: its failure is its own."""
        try:
            for step in steps:
                await self._registry.steps[step["step"]].do(ctx, **step["args"])
        except TarmacError as problem:
            ctx.log(f"clone {vmid} failed: {problem.message} ({problem.evidence})")
            await self._undo_member(ctx, vmid, steps)
            await self._numbers.give_back(vmid)
            await self._pools.forget_guest(vmid, by=ctx.user)
            return {"vmid": vmid, "outcome": problem.message, "error": problem.as_record()}
        return {"vmid": vmid, "outcome": "OK"}

    async def _undo_member(self, ctx: StepContext, vmid: int, steps: Sequence[Mapping[str, Any]]) -> None:
        """A complete clone stays: somebody may use it already."""
        guest = self._guests.find(vmid)
        if guest is not None and guest.file.current != RESERVED:
            return
        for step in reversed(steps):
            undo = self._registry.steps[step["step"]].undo
            if undo is not None:
                await undo(ctx, **step["args"])

    async def _do_report(self, ctx: StepContext) -> None:
        """The outcome of each clone goes into the task's result. Raises HostFailure when none came about."""
        rows = [row for row in ctx.results.values() if isinstance(row, dict) and "outcome" in row]
        ctx.publish("clones", rows)
        failed = [row for row in rows if row["outcome"] != "OK"]
        if failed and len(failed) == len(rows):
            raise HostFailure(
                f"none of the {len(rows)} clones could be made",
                code=failed[0]["error"]["code"],
                cause=failed[0]["outcome"],
                evidence=failed[0]["error"]["evidence"],
            )
        for row in failed:
            ctx.warn(f"clone {row['vmid']}: {row['outcome']}")

    def _ended(self, record: JobRecord) -> None:
        if record.kind == "qmclone":
            self._guests.numbers.unclaim(*record.args["newids"])


def _texts(source: Guest, snapshot: str | None) -> Mapping[str, str]:
    """What is cloned: a snapshot, what runs, or what the next start would be."""
    if snapshot is not None:
        if snapshot not in source.file.snapshots:
            raise NotFound(f"snapshot '{snapshot}' does not exist", code="no-such-snapshot")
        return source.file.snapshots[snapshot]
    return source.file.merged() if source.state is State.STOPPED else source.file.current


def _member(vmid: int, steps: Sequence[PlannedStep]) -> PlannedStep:
    records = [{"step": step.step, "title": step.title, "args": dict(step.args)} for step in steps]
    takes = {id: sum(step.takes.get(id, 0) for step in steps) for id in {id for step in steps for id in step.takes}}
    args = {"vmid": vmid, "steps": records}
    return PlannedStep(step="clone-member", title=f"make clone {vmid}", args=args, takes=takes)
