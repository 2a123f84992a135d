"""Removing a guest: its configuration and its rights first, then its volumes, then what others remember of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tarmac.model import lifecycle
from tarmac.model.errors import Denied, Fix
from tarmac.model.job import Plan, PlannedStep, Started
from tarmac.model.lifecycle import State, Verb
from tarmac.services.access.access import Identity
from tarmac.services.access.acls import Acls
from tarmac.services.access.pools import Pools
from tarmac.services.cloudinit.cloudinit import CloudInit
from tarmac.services.guests.guests import Guest, Guests
from tarmac.services.guests.uids import Uids
from tarmac.services.guests.work import submit_for_guest
from tarmac.services.instant.records import InstantRecords
from tarmac.services.instant.states import LiveStates
from tarmac.services.jobs.jobs import Jobs
from tarmac.services.jobs.steps import Registry, StepContext
from tarmac.services.running.runtime import Runtime
from tarmac.services.storage.volume_steps import free_step
from tarmac.services.storage.volumes import Volumes, base_in_use


class VmRemoval:
    """Starts the job; whoever remembers something of the guest is told to forget it."""

    def __init__(
        self,
        *,
        guests: Guests,
        jobs: Jobs,
        runtime: Runtime,
        volumes: Volumes,
        cloudinit: CloudInit,
        uids: Uids,
        acls: Acls,
        records: InstantRecords,
        states: LiveStates,
        pools: Pools,
        registry: Registry,
    ) -> None:
        self._guests = guests
        self._jobs = jobs
        self._runtime = runtime
        self._volumes = volumes
        self._cloudinit = cloudinit
        self._uids = uids
        self._acls = acls
        self._records = records
        self._states = states
        self._pools = pools
        registry.step("guest-forget", self._do_forget, commits=True)
        registry.step("guest-clean", self._do_clean)
        registry.kind("qmdestroy", self._plan, recover="resume")

    async def delete(
        self, identity: Identity, vmid: int, *, unreferenced: bool = False, dryrun: bool = False
    ) -> Started:
        """`qmdestroy`: the configuration first, then the volumes nothing refers to any more. Raises WrongState for a
        running guest, Denied for a protected one, Busy while clones stand on its base images."""
        guest = self._guests.get(vmid)
        self._check_unprotected(guest)
        await self._check_unshared(guest)
        args = {"vmid": vmid, "unreferenced": unreferenced}
        if dryrun:
            return await self._jobs.plan("qmdestroy", args)
        if self._jobs.lock_of(f"guest/{vmid}") is None:
            lifecycle.after(guest.state, Verb.DELETE, vmid)
        return await submit_for_guest(self._jobs, "qmdestroy", vmid, user=identity.name, args=args)

    @staticmethod
    def _check_unprotected(guest: Guest) -> None:
        if guest.config.protection:
            raise Denied(
                f"can't remove VM {guest.vmid} - protection mode enabled",
                code="protected",
                cause="the guest's configuration has protection=1",
                evidence="protection: 1",
                fixes=[Fix(text="set protection to 0 first", action="PUT .../config", parameters={"protection": "0"})],
            )

    async def _check_unshared(self, guest: Guest) -> None:
        """Raises Busy while clones stand on the guest's base images; it names them."""
        for volid in guest.config.volumes.values():
            clones = await self._volumes.clones_of(volid)
            owners = dict.fromkeys(
                number for clone in clones if (number := self._volumes.owner(str(clone))) is not None
            )
            if clones:
                raise base_in_use(volid, [self._named(number) for number in owners])

    def _named(self, vmid: int) -> str:
        guest = self._guests.find(vmid)
        return f"guest {vmid} ({guest.name})" if guest is not None else f"an image of the missing guest {vmid}"

    async def _plan(self, args: Mapping[str, Any]) -> Plan:
        guest = self._guests.get(args["vmid"])
        lifecycle.after(guest.state if guest.runs(args) else State.STOPPED, Verb.DELETE, guest.vmid)
        self._check_unprotected(guest)
        await self._check_unshared(guest)
        owned = await self._volumes.owned(guest, unreferenced=bool(args.get("unreferenced")))
        frees = tuple(map(free_step, owned))
        forget = PlannedStep(
            step="guest-forget", title=f"remove the configuration of guest {guest.vmid}", args={"vmid": guest.vmid}
        )
        clean = PlannedStep(step="guest-clean", title="remove what is left of it", args={"vmid": guest.vmid})
        return Plan(steps=(forget, *frees, clean), effects=tuple(f"{volid} is lost" for volid in owned))

    async def _do_forget(self, ctx: StepContext, vmid: int) -> None:
        # Before the number is free again: the next guest of that number must not inherit the grants.
        await self._acls.forget(f"/vms/{vmid}", by=ctx.user)
        await self._pools.forget_guest(vmid, by=ctx.user)
        await self._guests.remove(vmid)

    async def _do_clean(self, ctx: StepContext, vmid: int) -> None:
        await self._states.drop(vmid)
        await self._runtime.forget(vmid)
        await self._records.forget(vmid)
        await self._cloudinit.forget(vmid)
        await self._uids.release(vmid)
