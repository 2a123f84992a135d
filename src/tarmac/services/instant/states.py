"""The machines that clones go on from: each live template's state, read once, checked, its memory held while needed.

A live state is one set: manifest, device state, RAM, base disks. What of it is not as it was written refuses all of it.
The memory is a sealed file that this daemon holds open; the next daemon takes it from a running clone again, or fills
another one from the volume.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tarmac.drivers.qemu.live import memory
from tarmac.drivers.qemu.live.machine import Machine, check_restorable
from tarmac.lib.hostcalls import HostCalls
from tarmac.model.errors import DataCorrupt, Fix, WrongState
from tarmac.model.ids import VolumeId
from tarmac.services.guests.guests import Guest, Guests
from tarmac.services.instant.records import InstantRecords
from tarmac.services.node.facts import NodeProbe
from tarmac.services.running.launcher import Launcher
from tarmac.services.storage.storages import Storages

log = logging.getLogger(__name__)
_CHUNK = 4 * 1024 * 1024


@dataclass(slots=True, kw_only=True)
class LiveState:
    """One template's frozen machine. `set` names this very set; `quiet`: file systems were frozen by the agent and must
    be thawed in each clone; `media`: the contents of cloud-init drives by key; `ram` the memory's descriptor, -1 when
    it is not held; `durable`: the volume has the RAM too (that of a frozen guest that went on is in memory only)."""

    machine: Machine
    state: bytes
    media: Mapping[str, bytes]
    quiet: bool
    set: str
    volume: Path
    disks: Mapping[str, Any]
    durable: bool = True
    ram: int = -1

    @property
    def memory(self) -> str:
        return memory.identity(self.ram)


@dataclass(slots=True)
class _Slot:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    state: LiveState | None = None


class LiveStates:
    """`get` is what a clone needs; nothing is read before that."""

    def __init__(
        self, *, guests: Guests, storages: Storages, launcher: Launcher, probe: NodeProbe, records: InstantRecords
    ) -> None:
        self._guests = guests
        self._storages = storages
        self._launcher = launcher
        self._probe = probe
        self._records = records
        self._slots: defaultdict[int, _Slot] = defaultdict(_Slot)
        self._calls = HostCalls("live-state", limit=2)

    @staticmethod
    def is_live(guest: Guest) -> bool:
        """Whether a guest is a live template."""
        return guest.template and guest.config.vmstate is not None

    def held(self, vmid: int) -> int:
        """Bytes of RAM that are held for a template now."""
        slot = self._slots.get(vmid)
        return slot.state.machine.memory if slot and slot.state and slot.state.ram >= 0 else 0

    async def machine(self, guest: Guest) -> Machine:
        """The machine as it ran, for plans; its memory is not needed. Raises as `get`."""
        async with self._slots[guest.vmid].lock:
            return (await self._read(guest)).machine

    async def get(self, guest: Guest, say: Callable[[str], None]) -> LiveState:
        """The state with its memory. Raises WrongState when the guest is no live template, DataCorrupt naming the file
        that is not as it was written, HostFailure when the state cannot go on on this node, or the memory is short."""
        async with self._slots[guest.vmid].lock:
            found = await self._read(guest)
            if found.ram < 0:
                found.ram = await self._memory(guest, found, say)
            return found

    async def known(self, guest: Guest) -> LiveState:
        """The state as it is at hand, its memory held or not: for what needs none. Raises as `get`."""
        async with self._slots[guest.vmid].lock:
            return await self._read(guest)

    def adopt(self, vmid: int, state: LiveState) -> None:
        """A state that was made just now, with its memory, which is ours from now on."""
        self._slots[vmid].state = state

    async def drop(self, vmid: int) -> None:
        """Let go of a template's memory; running clones keep theirs. The next clone fills it anew."""
        slot = self._slots.pop(vmid, None)
        if slot is not None and slot.state is not None and slot.state.ram >= 0:
            os.close(slot.state.ram)

    async def drop_idle_except(self, wanted: int) -> int:
        """Let go of the memory of other templates without running clones, for one that needs room; bytes freed."""
        freed = 0
        for vmid in self._idle_except(wanted):
            freed += self.held(vmid)
            await self.drop(vmid)
        return freed

    def idle_except(self, wanted: int) -> int:
        """How many bytes that would free."""
        return sum(self.held(vmid) for vmid in self._idle_except(wanted))

    def _idle_except(self, wanted: int) -> list[int]:
        return [v for v in self._slots if v != wanted and self.held(v) and not self.running(v)]

    def running(self, template: int) -> list[Guest]:
        """The guests that run on a template's memory now."""
        found = []
        for vmid in self._records.of_template(template):
            guest = self._guests.find(vmid)
            if guest is not None and guest.process is not None and guest.shares_memory:
                found.append(guest)
        return found

    async def close(self) -> None:
        for vmid in list(self._slots):
            await self.drop(vmid)

    # -- reading ------------------------------------------------------------------------------------------------

    async def _read(self, guest: Guest) -> LiveState:
        slot = self._slots[guest.vmid]
        if not self.is_live(guest):
            raise WrongState(
                f"VM {guest.vmid} is no live template",
                code="not-live",
                cause="an instant clone goes on from a machine that was frozen while it ran",
                evidence=f"template: {int(guest.template)}, no saved state",
                fixes=[
                    Fix(
                        text="make a live template of the running guest",
                        action=f"POST .../qemu/{guest.vmid}/template",
                        parameters={"live": "1"},
                    )
                ],
            )
        assert guest.config.vmstate is not None
        driver, volid = self._storages.file_of(guest.config.vmstate)
        if slot.state is None:
            slot.state = await self._load(driver.path(volid))
        await self._check_disks(guest, slot.state)
        check_restorable(slot.state.machine, await self._probe.facts(), what=f"the machine of template {guest.vmid}")
        return slot.state

    async def _load(self, path: Path) -> LiveState:
        manifest, pieces = await memory.read_live_state(path)
        return LiveState(
            machine=Machine.of(manifest["machine"]),
            state=pieces["state"],
            media={name.removeprefix("medium-"): data for name, data in pieces.items() if name != "state"},
            quiet=bool(manifest["quiet"]),
            set=str(manifest["set"]),
            volume=path,
            disks=manifest["disks"],
            durable="runs" in manifest,
        )

    async def _check_disks(self, guest: Guest, state: LiveState) -> None:
        """The base disks are those of the set: by size and time of change, and by their contents when those differ (a
        file that was moved or restored). Raises DataCorrupt naming the file."""
        for key, known in state.disks.items():
            volid = VolumeId.parse(guest.file.current[key].split(",", 1)[0])
            path = self._storages.file_of(volid)[0].path(volid)
            problem = await self._calls.run(_compare, path, known)
            if problem:
                raise DataCorrupt(
                    f"the base disk {path} of live template {guest.vmid} is not the one that was frozen",
                    code="live-disk-changed",
                    cause="memory and disk of a frozen machine belong together: with another disk its clones would "
                    "write nonsense",
                    evidence=f"{key}: {problem}",
                    fixes=[Fix(text="bring the file back, or make the live template anew from a running guest")],
                )

    async def _memory(self, guest: Guest, state: LiveState, say: Callable[[str], None]) -> int:
        size = state.machine.memory
        for vmid, record in self._records.of_template(guest.vmid).items():
            clone = self._guests.find(vmid)
            if clone is None or clone.process is None or record.set != state.set or not record.memory:
                continue
            known = clone.process.record
            fd = memory.take_again(known.pid, known.argv, expected=record.memory, size=size)
            if fd is not None:
                log.info("memory taken again from a clone", extra={"template": guest.vmid, "clone": vmid})
                return fd
        if not state.durable:
            raise WrongState(
                f"the memory of the frozen state {guest.vmid} is gone",
                code="frozen-memory-gone",
                cause="it was kept in memory only, and no clone runs on it any more",
                evidence=f"no running clone of {guest.vmid}",
                fixes=[
                    Fix(text="make instant clones of the running guest again"),
                    Fix(text="clone without `instant`: that boots from the disks of that moment"),
                ],
            )
        say("filling the template's memory from its saved state")
        name = f"template {guest.vmid}"
        return await memory.filled_memory(state.volume, name, size, self._launcher.cgroup(guest.vmid))


def describe_disk(path: Path, *, hashed: bool = True) -> dict[str, Any]:
    """What a disk's file is known again by. Blocks; with `hashed` in proportion to its size."""
    about = path.stat()
    found = {"bytes": about.st_size, "mtime_ns": about.st_mtime_ns}
    return {**found, "sha256": _hash(path)} if hashed else found


def _compare(path: Path, known: Mapping[str, Any]) -> str:
    """ "" for the same disk, else what differs. Blocks."""
    try:
        about = path.stat()
        if about.st_size != known["bytes"]:
            return f"{about.st_size} bytes, not {known['bytes']}"
        if about.st_mtime_ns != known["mtime_ns"] and ("sha256" not in known or _hash(path) != known["sha256"]):
            return "its contents changed"
    except OSError as error:
        return str(error.strerror)
    return ""


def _hash(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
