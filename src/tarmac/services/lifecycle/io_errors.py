"""Guests that QEMU paused because a storage refused a write: why, and going on by itself once a full storage has room.

A disk's default (`werror=enospc`) stops a guest when its storage is full and keeps the write; nothing is lost, and
after a resume the write is made again. What fails for another reason is reported to the guest and to people, and waits
for them.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any

from tarmac.drivers.storage.values import StorageStatus
from tarmac.model.errors import Fix, HostFailure, NoSpace, TarmacError, WrongState
from tarmac.model.lifecycle import State
from tarmac.model.units import human_size
from tarmac.model.users import ROOT
from tarmac.services.access.access import Identity
from tarmac.services.guests.guests import Guest, Guests
from tarmac.services.jobs.jobs import Jobs
from tarmac.services.lifecycle.verbs import Vms
from tarmac.services.running.ending import QMP_SECONDS
from tarmac.services.running.runtime import Runtime
from tarmac.services.storage.space import room_to_go_on
from tarmac.services.storage.storages import Storages

log = logging.getLogger(__name__)
LOOK_SECONDS = 3.0
_FULL, _FAILED = "nospace", "failed"


class IoErrors:
    """`look` is called every few seconds; it costs nothing while no guest waits. `waits` are told of a guest that
    begins to wait, and why."""

    def __init__(self, *, guests: Guests, runtime: Runtime, storages: Storages, vms: Vms, jobs: Jobs) -> None:
        self._guests = guests
        self._runtime = runtime
        self._storages = storages
        self._vms = vms
        self._jobs = jobs
        self._tried: dict[int, dict[str, int]] = {}  # what was free when guests stopped again after a try
        self.waits: list[Callable[[int, TarmacError], Awaitable[None]]] = []

    async def look(self) -> None:
        """Find out why guests wait; let those go on whose storages have room again. Each on its own."""
        async with asyncio.TaskGroup() as group:
            for guest in self._guests:
                if guest.state is State.IO_ERROR:
                    group.create_task(self._look_at(guest))
                elif guest.halted is not None:
                    guest.halted = None
                    self._tried.pop(guest.vmid, None)

    async def _look_at(self, guest: Guest) -> None:
        try:
            async with asyncio.timeout(QMP_SECONDS):
                states = disk_states(await self._runtime.monitor(guest).query_block())
        except (TarmacError, TimeoutError):
            return
        disks = {key: storage for key in states if (storage := self._storage_of(guest, key))}
        statuses = await self._statuses(disks.values())
        first = guest.halted is None
        guest.halted = reason(guest, states, disks, statuses)
        if first and guest.halted is not None:
            log.warning("a guest waits for its storage", extra={"vmid": guest.vmid, "problem": guest.halted.message})
            for tell in self.waits:
                await tell(guest.vmid, guest.halted)
        more = self._tried.get(guest.vmid, {})
        if may_go_on(states, disks, statuses, more) and self._jobs.lock_of(f"guest/{guest.vmid}") is None:
            self._tried[guest.vmid] = {id: status.available for id, status in statuses.items()}
            await self._resume(guest)

    async def _resume(self, guest: Guest) -> None:
        log.info("a guest goes on: its storage has room again", extra={"vmid": guest.vmid})
        with contextlib.suppress(WrongState):  # somebody was faster
            await self._vms.resume(Identity(ROOT), guest.vmid)

    def _storage_of(self, guest: Guest, key: str) -> str | None:
        volid = guest.config.volumes.get(key, "")
        return volid.partition(":")[0] or None

    async def _statuses(self, ids: Iterable[str]) -> dict[str, StorageStatus]:
        """The present figures of those storages that answer."""
        found = {}
        for id in sorted(set(ids)):
            try:
                found[id] = await self._storages.get(id).status()
            except (TarmacError, OSError):
                continue
        return found


def disk_states(blocks: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """The disks that have failed, by `query-block`: key to `nospace` or `failed`. Pure."""
    found = {}
    for block in blocks:
        node = str(block.get("inserted", {}).get("node-name", ""))
        if block.get("io-status") in (_FULL, _FAILED) and node.startswith("drive-"):
            found[node.removeprefix("drive-")] = str(block["io-status"])
    return found


def may_go_on(
    states: Mapping[str, str],
    disks: Mapping[str, str],
    statuses: Mapping[str, StorageStatus],
    tried: Mapping[str, int],
) -> bool:
    """Whether all that the guest waits for is space, and there is some: `tried` is what was free, by storage, when it
    was let go on and stopped again, so that needs more. Pure."""
    if not states or any(state != _FULL for state in states.values()):
        return False
    ids = [disks.get(key, "") for key in states]
    return all(
        (status := statuses.get(id)) is not None and status.available >= tried.get(id, 0) + room_to_go_on(status)
        for id in ids
    )


def reason(
    guest: Guest, states: Mapping[str, str], disks: Mapping[str, str], statuses: Mapping[str, StorageStatus]
) -> TarmacError | None:
    """Why a guest waits, in five parts; None while QEMU does not say. Pure."""
    if not states:
        return None
    keys = sorted(states, key=lambda key: (states[key] != _FAILED, key))
    key = keys[0]
    storage = disks.get(key, "?")
    what = f"{key} ({guest.config.volumes.get(key, '?')})"
    if states[key] == _FAILED:
        return HostFailure(
            f"VM {guest.vmid} waits: its disk {key} cannot be written on storage '{storage}'",
            code="disk-io-error",
            cause="the storage refused a read or a write for another reason than space",
            evidence=f"{what}: QEMU says io-status failed",
            fixes=[
                Fix(text="look at the storage, then go on: the request is made again", action="POST .../status/resume")
            ],
        )
    status = statuses.get(storage)
    free = f"{human_size(status.available)} are free" if status else f"storage '{storage}' does not answer"
    need = f", {human_size(room_to_go_on(status))} are needed to go on" if status else ""
    return NoSpace(
        f"VM {guest.vmid} waits: storage '{storage}' of its disk {key} is full",
        code="disk-no-space",
        cause="a write of the guest needed space that the storage does not have; the write is kept, nothing is lost",
        evidence=f"{what}: {free}{need}",
        fixes=[
            Fix(text="make room on the storage: the guest then goes on by itself"),
            Fix(text="see what nobody needs", action=f"tarmac storage orphans {storage}"),
        ],
    )
