"""Going back to a snapshot: the guest is stopped, its disks and configuration become what they were, and it is started
if it is asked for or if its memory was saved along. Newer snapshots stay."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from tarmac.model import snapshots as tree
from tarmac.model.errors import Fix, WrongState
from tarmac.model.job import Plan, PlannedStep, Started
from tarmac.model.lifecycle import State
from tarmac.model.vm import HOST, VmConfig
from tarmac.model.vm_privileges import reaches_host
from tarmac.services.access.access import Access, Identity
from tarmac.services.configuration.steps import file_step
from tarmac.services.guests.guests import Guest, Guests
from tarmac.services.guests.work import submit_for_guest
from tarmac.services.jobs.jobs import Jobs
from tarmac.services.jobs.steps import Registry
from tarmac.services.snapshots.machine_states import MachineStates
from tarmac.services.snapshots.plans import SnapshotPlans

STOP_SECONDS = 30


class VmRollback:
    """`qmrollback`. After the first disk has gone back there is no way but forward: a crash is finished."""

    def __init__(
        self,
        *,
        guests: Guests,
        jobs: Jobs,
        plans: SnapshotPlans,
        states: MachineStates,
        access: Access,
        registry: Registry,
    ) -> None:
        self._access = access
        self._guests = guests
        self._jobs = jobs
        self._plans = plans
        self._states = states
        registry.kind("qmrollback", self._plan, recover="resume")

    async def rollback(
        self, identity: Identity, vmid: int, name: str, *, start: bool = False, dryrun: bool = False
    ) -> Started:
        """Raises NotFound, WrongState for a template or a snapshot that is half removed, HostFailure for a saved memory
        that this node cannot go on with."""
        args = {"vmid": vmid, "name": name, "start": start, "vmgenid": str(uuid.uuid4())}
        plan = await self._plan(args)
        self._check_keys(identity, vmid, name)
        if dryrun:
            return plan
        return await submit_for_guest(self._jobs, "qmrollback", vmid, user=identity.name, args=args)

    def _check_keys(self, identity: Identity, vmid: int, name: str) -> None:
        """What reaches beyond the guest (`args`, devices of the host) comes back only for whom might set it."""
        file = self._guests.get(vmid).file
        for row in tree.difference(file.current, tree.section(file, name)):
            if "to" in row and reaches_host(row["key"], row["to"]):
                self._access.check(identity, "/", [HOST])

    async def _plan(self, args: Mapping[str, Any]) -> Plan:
        guest, name = self._guests.get(args["vmid"]), args["name"]
        vmid = guest.vmid
        _check(guest)
        texts = tree.check_usable(guest.file, name)
        disks = await self._plans.going_back(texts, name)
        new = tree.rolled_back(guest.file, name, vmgenid=args["vmgenid"])
        self._guests.check_beside(vmid, new)
        state = texts.get("vmstate")
        if state is not None:
            await self._states.check(state)
        steps = []
        effects = [f"what was written since '{name}' is lost, unless another snapshot has it"]
        if guest.state is not State.STOPPED:
            stop = {"vmid": vmid, "timeout": STOP_SECONDS}
            steps.append(PlannedStep(step="guest-stop", title=f"stop guest {vmid}", args=stop))
            effects.insert(0, "the guest is stopped at once, as if its power were cut")
        steps.append(
            PlannedStep(
                step="snapshot-back",
                title=f"take {len(disks)} disk(s) back to '{name}'",
                args={"vmid": vmid, "name": name, "disks": list(disks)},
            )
        )
        steps.append(file_step("snapshot-record", vmid, new, f"take the configuration back to '{name}'"))
        if state is not None:
            args_ = {"vmid": vmid, "volid": state}
            steps.append(PlannedStep(step="state-resume", title="go on from the saved memory", args=args_))
        elif args["start"]:
            if any(disk.is_cloudinit for disk in VmConfig.parse(new.current).disks.values()):
                title = "bring cloud-init up to date"
                steps.append(PlannedStep(step="cloudinit-write", title=title, args={"vmid": vmid}))
            steps.append(PlannedStep(step="guest-launch", title=f"start guest {vmid}", args={"vmid": vmid}))
        return Plan(steps=tuple(steps), effects=tuple(effects))


def _check(guest: Guest) -> None:
    if guest.template:
        raise WrongState(
            "unable to rollback a template",
            code="rollback-of-template",
            cause="a template never changes",
            evidence="template: 1",
            fixes=[Fix(text="clone it", action="POST .../clone")],
        )
