"""What an instant clone's identity still needs after the task that made the clone: at a cold boot, or asked for.

A clone with a cloud-init drive finishes it by itself when it boots: the drive has an instance id of the clone's own.
Any other boots with its cables out until its agent has answered and been told (`qmidentity`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tarmac.model.errors import TarmacError, WrongState
from tarmac.model.job import Plan, PlannedStep, Started
from tarmac.services.access.access import Identity
from tarmac.services.guests.guests import Guest, Guests
from tarmac.services.guests.work import submit_for_guest
from tarmac.services.instant.identity_giving import InstantIdentity
from tarmac.services.instant.records import DONE, InstantRecords
from tarmac.services.instant.states import LiveStates
from tarmac.services.jobs.jobs import Jobs
from tarmac.services.jobs.steps import Registry, StepContext
from tarmac.services.running.runtime import Runtime


class Identities:
    """`finish` does what is left, or takes it as done."""

    def __init__(
        self,
        *,
        guests: Guests,
        jobs: Jobs,
        runtime: Runtime,
        states: LiveStates,
        identity: InstantIdentity,
        records: InstantRecords,
        registry: Registry,
    ) -> None:
        self._guests = guests
        self._jobs = jobs
        self._runtime = runtime
        self._states = states
        self._identity = identity
        self._records = records
        registry.step("identity-boot", self._do_boot)
        registry.step("identity-finish", self._do_finish)
        registry.kind("qmidentity", self._plan, recover="resume")

    async def finish(self, identity: Identity, vmid: int, *, declare: bool = False, dryrun: bool = False) -> Started:
        """`POST identity`: do what a clone's identity still lacks; with `declare` nothing is done inside (its owner has
        done it), only the cables are plugged. Returns the task, or the plan. Raises WrongState when nothing is left."""
        args = {"vmid": vmid, "declare": declare}
        await self._plan(args)
        if dryrun:
            return await self._jobs.plan("qmidentity", args)
        return await self._submit(identity.name, args)

    async def _submit(self, user: str, args: Mapping[str, Any]) -> str:
        vmid = args["vmid"]
        return await submit_for_guest(self._jobs, "qmidentity", vmid, user=user, args=args)

    async def _plan(self, args: Mapping[str, Any]) -> Plan:
        guest = self._guests.get(args["vmid"])
        record = self._records.find(guest.vmid)
        if record is None or not record.pending:
            raise WrongState(
                f"the identity of VM {guest.vmid} is its own",
                code="identity-done",
                cause="nothing of it is left to do" if record else "it is no instant clone",
                evidence=f"identity: {record.identity if record else '-'}",
            )
        title = "plug the cables" if args["declare"] else "give it what it lacks of its own identity"
        return Plan(steps=(PlannedStep(step="identity-finish", title=title, args=dict(args)),))

    async def _do_finish(self, ctx: StepContext, vmid: int, declare: bool) -> None:
        guest = self._guests.get(vmid)
        record = self._records.find(vmid)
        if record is None or not record.pending:
            return
        self._runtime.monitor(guest)  # it must run
        if declare:
            await self._identity.plug_cables(guest)
            await self._records.change(vmid, identity=DONE, left="")
            return
        template = self._guests.find(record.template)
        if guest.shares_memory and template is not None:
            await self._identity.give(guest, await self._states.known(template), ctx)
            return
        await self._identity.give_booted(guest, await self._machine(template), ctx)

    async def _machine(self, template: Guest | None) -> Any:
        """What the template's cards were called; without it their old addresses stay where they are in the guest."""
        if template is None:
            return None
        try:
            return await self._states.machine(template)
        except TarmacError:
            return None

    async def _do_boot(self, ctx: StepContext, vmid: int) -> None:
        """The clone boots now: nothing of it may be heard before it has its own identity."""
        guest = self._guests.get(vmid)
        if any(disk.is_cloudinit for disk in guest.config.disks.values()):
            ctx.log("cloud-init finishes the identity: the drive has an instance id of the clone's own")
            await self._records.change(vmid, identity=DONE, left="")
            return
        await self._identity.pull_cables(guest)
        upid = await self._submit(ctx.user, {"vmid": vmid, "declare": False})
        ctx.log(f"its cables are out until its identity is finished: {upid}")
