"""The end of frozen states: one that no clone stands on any more is joined with the guest it was made of, and goes.

`qmfrozenend`: what the source wrote since is merged into the base images, which are its volumes again; a source that is
gone, or has moved its disks elsewhere, needs nothing of that. `look` is called every few seconds.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from tarmac.model.errors import TarmacError, WrongState
from tarmac.model.job import Plan, PlannedStep
from tarmac.model.lifecycle import State
from tarmac.model.snapshots import disks_of
from tarmac.model.users import ROOT
from tarmac.services.guests.guests import Guest, Guests
from tarmac.services.instant.freezing import LiveFreezing
from tarmac.services.instant.frozen_disks import Disks, as_args
from tarmac.services.instant.frozen_records import FrozenRecord, FrozenRecords
from tarmac.services.instant.states import LiveStates
from tarmac.services.jobs.jobs import Jobs
from tarmac.services.jobs.steps import Registry, StepContext
from tarmac.services.storage.volumes import Volumes

log = logging.getLogger(__name__)
LOOK_SECONDS = 3.0


class FrozenEnds:
    """Costs nothing where there is no frozen state."""

    def __init__(
        self,
        *,
        guests: Guests,
        jobs: Jobs,
        volumes: Volumes,
        states: LiveStates,
        records: FrozenRecords,
        freezing: LiveFreezing,
        registry: Registry,
    ) -> None:
        self._guests = guests
        self._jobs = jobs
        self._volumes = volumes
        self._states = states
        self._records = records
        self._freezing = freezing
        self._tried: dict[int, object] = {}
        registry.step("frozen-rename", self._do_rename)
        registry.step("frozen-forget", self._do_forget)
        registry.kind("qmfrozenend", self._plan, recover="resume")

    async def look(self) -> None:
        """Give back the memory of states on which nothing runs, and end those on which nothing stands."""
        for vmid, record in self._records.all().items():
            if self._busy(vmid) or self._busy(record.source):
                continue
            if self._guests.find(vmid) is None:
                await self._records.forget(vmid)  # somebody removed it like any template
                continue
            if self._states.held(vmid) and not self._states.running(vmid):
                await self._states.drop(vmid)
            if self._needed_by(vmid, record) or not self._joinable(record):
                continue
            now = self._situation(record)
            if vmid in self._tried and self._tried[vmid] == now:
                continue  # it failed, and nothing has changed since
            self._tried[vmid] = now
            await self._begin(vmid, record)

    async def _begin(self, vmid: int, record: FrozenRecord) -> None:
        queues = [f"guest/{vmid}", f"guest/{record.source}"]
        try:
            await self._jobs.submit("qmfrozenend", id=str(vmid), user=ROOT, args={"vmid": vmid}, queues=queues)
        except TarmacError as problem:
            log.warning("a frozen state cannot be ended", extra={"vmid": vmid, "problem": problem.message})

    def _busy(self, vmid: int) -> bool:
        return self._jobs.lock_of(f"guest/{vmid}") is not None

    def _needed_by(self, vmid: int, record: FrozenRecord) -> list[int]:
        named = {disk["named"] for disk in record.disks}
        return [
            guest.vmid
            for guest in self._guests
            if guest.vmid != vmid
            and f"/base-{vmid}-" in guest.text
            and any(
                self._volumes.stands_on(volid) == vmid and not (guest.vmid == record.source and volid in named)
                for volid in _volids(guest)
            )
        ]

    def _standing(self, record: FrozenRecord) -> tuple[Guest | None, Disks]:
        """The source, and those of its disks that still stand on the state."""
        source = self._guests.find(record.source)
        if source is None:
            return None, ()
        has = set(source.config.volumes.values())
        return source, [disk for disk in record.disks if disk["named"] in has]

    def _joinable(self, record: FrozenRecord) -> bool:
        """A QEMU that was started since has the base images open for reading only, and layers of snapshots that were
        taken since stand between, or on them alone: then the join waits for the guest's end, and for the snapshots'."""
        source, standing = self._standing(record)
        if source is None:
            return True
        named = {disk["named"] for disk in record.disks}
        if any(disk.file in named for texts in source.file.snapshots.values() for disk in disks_of(texts).values()):
            return False
        if not standing:
            return True
        return source.process is None or (source.started is not None and source.started < record.created)

    def _situation(self, record: FrozenRecord) -> object:
        source = self._guests.find(record.source)
        return None if source is None else (source.state, source.revision)

    # -- the job ------------------------------------------------------------------------------------------------

    async def _plan(self, args: Mapping[str, Any]) -> Plan:
        vmid = args["vmid"]
        guest, record = self._guests.get(vmid), self._records.find(vmid)
        if record is None:
            raise WrongState(f"VM {vmid} is no frozen state", code="not-frozen")
        if needed := self._needed_by(vmid, record):
            raise WrongState(
                f"the frozen state {vmid} is still needed",
                code="frozen-needed",
                cause="clones store only what differs from it",
                evidence="guests " + ", ".join(map(str, needed)),
            )
        source, standing = self._standing(record)
        steps: list[PlannedStep] = []
        if source is not None and standing:
            args = {"source": source.vmid, "vmid": vmid, "disks": as_args(standing)}
            title = f"join the disks of guest {source.vmid} with what they stand on"
            running = {"running": source.state is State.RUNNING}
            steps.append(PlannedStep(step="frozen-join", title=title, args={**args, **running}))
            steps.append(PlannedStep(step="frozen-rename", title="write its configuration", args=args))
        joined = {disk["base"] for disk in standing}
        frees = [volid for volid in await self._volumes.owned(guest) if volid not in joined]
        known = {"vmid": vmid}
        steps.append(PlannedStep(step="guest-forget", title=f"remove the configuration of {vmid}", args=known))
        steps += [PlannedStep(step="volume-free", title=f"remove {v}", args={"volid": v}) for v in frees]
        steps.append(PlannedStep(step="guest-clean", title="remove what is left of it", args=known))
        steps.append(PlannedStep(step="frozen-forget", title="forget it", args=known))
        return Plan(steps=tuple(steps))

    async def _do_rename(self, ctx: StepContext, source: int, vmid: int, disks: Disks) -> None:
        guest = self._guests.find(source)
        if guest is not None:
            await self._freezing.rename(guest, {disk["named"]: disk["volid"] for disk in disks}, ctx.user)

    async def _do_forget(self, ctx: StepContext, vmid: int) -> None:
        await self._records.forget(vmid)
        self._tried.pop(vmid, None)


def _volids(guest: Guest) -> set[str]:
    """All volumes that a guest's configuration and its snapshots name."""
    sections = (guest.file.current, guest.file.pending, *guest.file.snapshots.values())
    return {text.split(",", 1)[0].removeprefix("file=") for section in sections for text in section.values()}
