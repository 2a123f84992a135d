"""Snapshots of a guest: create, list, describe, compare, remove. Going back is `services.snapshots.rollback`.

    qmsnapshot      new layers beside the old ones, all disks switched at one moment, then the configuration
    qmdelsnapshot   marked in the configuration, merged disk by disk, then gone from the configuration

A snapshot stands in the configuration only when all of it is on disk, and one whose removal began cannot be gone back
to. A crash is finished at the next start; a failure or a cancel of the first is undone.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from tarmac.drivers.storage.ground import refuse_held
from tarmac.model import snapshots as tree
from tarmac.model.errors import Conflict, Fix, TarmacError, WrongState
from tarmac.model.ids import VolumeId
from tarmac.model.job import Plan, PlannedStep, Started
from tarmac.model.lifecycle import State
from tarmac.model.units import KIB, human_size
from tarmac.services.access.access import Identity
from tarmac.services.configuration.steps import file_of, file_step
from tarmac.services.configuration.values import shown
from tarmac.services.guests.guests import Guest, Guests
from tarmac.services.guests.work import submit_for_guest
from tarmac.services.jobs.jobs import Jobs
from tarmac.services.jobs.steps import Registry, StepContext
from tarmac.services.snapshots.machine_states import MachineStates
from tarmac.services.snapshots.plans import SnapshotPlans, merge_steps
from tarmac.services.storage.volume_steps import free_step

MERGE_SPEED = 100 * 1024 * KIB


class VmSnapshots:
    """See the module. The steps on disks are `SnapshotDisks`', those on memory `MachineStates`'."""

    def __init__(
        self, *, guests: Guests, jobs: Jobs, plans: SnapshotPlans, states: MachineStates, registry: Registry
    ) -> None:
        self._guests = guests
        self._jobs = jobs
        self._plans = plans
        self._states = states
        registry.step("snapshot-record", self._do_record, commits=True)
        registry.step("snapshot-mark", self._do_record)
        registry.kind("qmsnapshot", self._plan_create, recover="resume")
        registry.kind("qmdelsnapshot", self._plan_delete, recover="resume")

    # -- reading ------------------------------------------------------------------------------------------------

    async def listing(self, vmid: int) -> list[dict[str, Any]]:
        """Proxmox's rows, oldest first and `current` last; ours beside them: `used` and `merges`, bytes that a snapshot
        takes and that removing it copies. They are left out when a storage does not answer."""
        guest = self._guests.get(vmid)
        found = tree.rows(guest.file, digest=guest.digest, running=guest.state is not State.STOPPED)
        try:
            costs = await self._plans.costs(guest)
        except TarmacError:
            return found
        return [{**row, **costs.get(row["name"], {})} for row in found]

    def config(self, vmid: int, name: str) -> dict[str, Any]:
        """The keys of a snapshot's section. Raises NotFound."""
        return shown(tree.section(self._guests.get(vmid).file, name))

    def diff(self, vmid: int, name: str, other: str = tree.CURRENT) -> list[dict[str, str]]:
        """The keys whose values differ between a snapshot and another one or `current`: `from`, `to`."""
        file = self._guests.get(vmid).file

        def texts(which: str) -> Mapping[str, str]:
            return file.current if which == tree.CURRENT else tree.section(file, which)

        return tree.difference(texts(name), texts(other))

    def feature(self, vmid: int, snapname: str | None = None) -> bool:
        """Whether a snapshot could be taken of all its disks."""
        file = self._guests.get(vmid).file
        return self._plans.can(file.current if snapname is None else tree.section(file, snapname))

    def busy(self, vmid: int) -> bool:
        """Whether a task works on the guest, or waits to."""
        return self._jobs.queues.holder(f"guest/{vmid}") is not None

    # -- changing -----------------------------------------------------------------------------------------------

    async def create(
        self,
        identity: Identity | str,
        vmid: int,
        name: str,
        *,
        description: str = "",
        vmstate: bool = False,
        dryrun: bool = False,
    ) -> Started:
        """`qmsnapshot`. Raises InvalidInput for the name, Conflict when it is used, HostFailure when a disk cannot be
        kept, WrongState for a template."""
        tree.check_name(name)
        args = {"vmid": vmid, "name": name, "description": description, "vmstate": vmstate, "time": int(time.time())}
        plan = await self._plan_create(args)
        return plan if dryrun else await self._submit(identity, "qmsnapshot", vmid, args)

    async def delete(
        self,
        identity: Identity | str,
        vmid: int,
        name: str,
        *,
        force: bool = False,
        speed: int | None = None,
        dryrun: bool = False,
    ) -> Started:
        """`qmdelsnapshot`. `speed`: bytes a second that a merge in a running guest may copy, 0 for no limit. `force`
        removes it from the configuration even if its disks cannot be merged. Raises NotFound, Busy naming the clones
        that a layer of it is kept for."""
        texts = tree.section(self._guests.get(vmid).file, name)
        args = {"vmid": vmid, "name": name, "force": force, "speed": MERGE_SPEED if speed is None else speed}
        if dryrun:
            return await self._plan_delete(args)
        if not self.busy(vmid):  # else what is found now may not hold when its turn comes
            self._check_held(self._guests.get(vmid), name, await self._plans.held(texts, name))
        return await self._submit(identity, "qmdelsnapshot", vmid, args)

    async def describe(self, identity: Identity, vmid: int, name: str, text: str) -> None:
        """Another description; at once."""
        async with self._jobs.queues.hold([f"guest/{vmid}"], f"description of {name}"):
            guest = self._guests.get(vmid)
            await self._guests.write(guest, tree.described(guest.file, name, text), user=identity.name)

    async def _submit(self, identity: Identity | str, kind: str, vmid: int, args: Mapping[str, Any]) -> str:
        user = identity if isinstance(identity, str) else identity.name
        return await submit_for_guest(self._jobs, kind, vmid, user=user, args=args)

    # -- plans --------------------------------------------------------------------------------------------------

    async def _plan_create(self, args: Mapping[str, Any]) -> Plan:
        guest, name = self._guests.get(args["vmid"]), args["name"]
        vmid, file = guest.vmid, guest.file
        _check_new(guest, name)
        taking = await self._plans.taking(file.current, name)
        steps = [
            PlannedStep(
                step="snapshot-layer",
                title=f"lay a new layer on {disk['volid']}",
                args={"vmid": vmid, "volid": disk["volid"], "name": name},
            )
            for disk in taking.layers
        ]
        moment = {
            "vmid": vmid,
            "name": name,
            "layers": list(taking.layers),
            "copies": list(taking.copies),
            "running": guest.state is State.RUNNING,
        }
        effects: tuple[str, ...] = ()
        state: Mapping[str, str] = {}
        if args["vmstate"] and guest.state is not State.STOPPED:
            saving = await self._states.plan(guest, name)
            steps = [saving.allocate, *steps]
            steps.append(
                PlannedStep(
                    step="state-take",
                    title="save the guest's memory and, at that moment, its disks",
                    takes=saving.takes,
                    args={**moment, "volid": saving.volid},
                )
            )
            effects, state = saving.effects, saving.texts
        else:
            freeze = guest.state is State.RUNNING and guest.config.agent.enabled and guest.config.agent.freeze_fs
            title = "take all disks at one moment" + (", file systems frozen" if freeze else "")
            steps.append(PlannedStep(step="snapshot-take", title=title, args={**moment, "freeze": freeze}))
            if taking.copies and guest.state is State.RUNNING:
                effects = ("the guest stands still while its storages make their copies",)
        new = tree.taken(file, name, time=args["time"], description=args["description"], state=state)
        steps.append(file_step("snapshot-record", vmid, new, f"write '{name}' into the configuration"))
        return Plan(steps=tuple(steps), effects=effects)

    async def _plan_delete(self, args: Mapping[str, Any]) -> Plan:
        guest, name = self._guests.get(args["vmid"]), args["name"]
        vmid, file = guest.vmid, guest.file
        texts = tree.section(file, name)
        after = tree.without(file, name)
        kept: dict[str, set[str]] = {}
        for other, section in after.snapshots.items():
            for disk in tree.disks_of(section).values():
                kept.setdefault(tree.image_of(disk.file), set()).add(other)
        self._check_held(guest, name, await self._plans.held(texts, name))
        merges, notes = await self._plans.merging(texts, name, kept)
        steps = [file_step("snapshot-mark", vmid, tree.marked(file, name), f"mark '{name}' as going away")]
        steps += merge_steps(vmid, merges, args["speed"], force=args["force"], running=guest.state is State.RUNNING)
        steps.append(file_step("snapshot-record", vmid, after, f"remove '{name}' from the configuration"))
        if "vmstate" in texts:
            steps.append(free_step(texts["vmstate"]))
        moves = sum(merge.moves for merge in merges)
        cost = (f"{human_size(moves)} are merged",) if moves else ()
        return Plan(steps=tuple(steps), effects=(f"what the guest was at '{name}' is lost", *cost, *notes))

    def _check_held(self, guest: Guest, name: str, held: Mapping[str, Sequence[int]]) -> None:
        """Raises Busy for a snapshot that frozen states stand on (by volume); it names whom those are kept for."""
        for volid, states in held.items():
            problem = refuse_held(VolumeId.parse(volid), name, states)
            marks = [f"base-{state}-" for state in states]
            clones = [
                str(other.vmid)
                for other in self._guests
                if other is not guest and not other.template and any(mark in other.text for mark in marks)
            ]
            problem.evidence += f"; clones: {', '.join(clones) or 'none any more'}"
            raise problem

    # -- steps --------------------------------------------------------------------------------------------------

    async def _do_record(self, ctx: StepContext, vmid: int, file: Mapping[str, Any]) -> None:
        await self._guests.write(self._guests.get(vmid), file_of(file), user=ctx.user, task=ctx.upid)


def _check_new(guest: Guest, name: str) -> None:
    if guest.template:
        raise WrongState(
            "you can't take a snapshot if it's a template",
            code="snapshot-of-template",
            cause="a template never changes",
            evidence="template: 1",
            fixes=[Fix(text="clone it, and take snapshots of the clone", action="POST .../clone")],
        )
    if name in guest.file.snapshots:
        raise Conflict(
            f"snapshot name '{name}' already used",
            code="snapshot-exists",
            cause="the guest has a snapshot of that name",
            evidence=", ".join(sorted(guest.file.snapshots)),
            fixes=[Fix(text="use another name, or remove that one first")],
        )
