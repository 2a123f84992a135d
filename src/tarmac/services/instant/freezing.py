"""A running guest frozen into a state that clones go on from, while the guest itself goes on.

The state is a template of a number of its own (`NAME-frozen`): base images that were the guest's disks until that
moment, and a volume with the machine as it ran. Its memory is in memory only: no use without a clone that runs on it.
Everything here is undone while no clone has gone on from it; `services.instant.frozen_ends` removes it in the end.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tarmac.drivers.qemu import machine_state
from tarmac.drivers.qemu.argv.blockdev import top_node
from tarmac.drivers.qemu.live import freeze, state_file
from tarmac.drivers.qemu.live.machine import Machine
from tarmac.lib.files import failure_of
from tarmac.lib.hostcalls import HostCalls
from tarmac.model.conf_file import GuestFile, print_conf
from tarmac.model.ids import VolumeId
from tarmac.model.job import PlannedStep
from tarmac.model.lifecycle import State
from tarmac.model.units import MIB
from tarmac.services.clones.numbers import RESERVED
from tarmac.services.guests.guests import Guest, Guests
from tarmac.services.guests.uids import Uids
from tarmac.services.instant.capture import LiveCaptures
from tarmac.services.instant.frozen_disks import FrozenDisks, as_args, renamed_volumes
from tarmac.services.instant.frozen_records import FrozenDisk, FrozenRecord, FrozenRecords
from tarmac.services.instant.sources import LiveSources, source_record
from tarmac.services.instant.states import LiveState, LiveStates, describe_disk
from tarmac.services.instant.twins import LiveTwins
from tarmac.services.jobs.steps import Registry, StepContext
from tarmac.services.running.runtime import Runtime
from tarmac.services.storage.storages import Storages

Disks = Sequence[FrozenDisk]
STATE_BYTES = 16 * MIB
"""What a device state takes of its storage, a display's memory with it; its volume has room for more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Freezing:
    """What a freeze will be: its steps, the machine, its `texts` with the disks as the state will call them, their
    `sizes` (bytes, by base image), and what to say beforehand."""

    machine: Machine
    texts: Mapping[str, str]
    sizes: Mapping[str, int]
    steps: tuple[PlannedStep, ...]
    effects: tuple[str, ...]


class LiveFreezing:
    """`plan` looks; the steps do it, in the order of `plan`."""

    def __init__(
        self,
        *,
        guests: Guests,
        runtime: Runtime,
        uids: Uids,
        storages: Storages,
        sources: LiveSources,
        captures: LiveCaptures,
        twins: LiveTwins,
        disks: FrozenDisks,
        states: LiveStates,
        records: FrozenRecords,
        registry: Registry,
    ) -> None:
        self._guests = guests
        self._runtime = runtime
        self._uids = uids
        self._storages = storages
        self._sources = sources
        self._captures = captures
        self._twins = twins
        self._disks = disks
        self._states = states
        self._records = records
        self._calls = HostCalls("live-freezing", limit=4)
        registry.step("frozen-reserve", self._do_reserve, self._undo_reserve)
        registry.step("frozen-take", self._do_take, self._undo_take)
        registry.step("frozen-name", self._do_name, self._undo_name)

    async def plan(self, source: Guest, vmid: int) -> Freezing:
        """Raises WrongState, InvalidInput naming what in the guest cannot be frozen, HostFailure, Busy."""
        process = self._sources.check(source)
        await freeze.check_idle(process.monitor())
        machine = await self._sources.machine(source, process)
        disks, sizes = await self._disks.plan(source, vmid)
        volid = self._sources.state_volume(source, vmid)
        args = {"source": source.vmid, "vmid": vmid, "disks": as_args(disks)}
        storage = VolumeId.parse(volid).storage
        steps = (
            PlannedStep(
                step="frozen-reserve",
                title=f"take the number {vmid} for its frozen state",
                args={"vmid": vmid, "source": source.vmid},
            ),
            PlannedStep(
                step="volume-allocate",
                title=f"make room for its device state: {volid}",
                args={"volid": volid, "size": state_file.capacity(0)},
                takes={storage: STATE_BYTES},
            ),
            *self._disks.layer_steps(source, vmid, disks),
            PlannedStep(
                step="frozen-take",
                title=f"freeze guest {source.vmid}, and let it go on",
                args={**args, "volid": volid, "ran": source.state is State.RUNNING},
            ),
            PlannedStep(
                step="frozen-name",
                title="write the configurations of both",
                args={**args, "volid": volid, "machine": machine.machine, "cpu": machine.cpu},
            ),
        )
        volumes = {disk["key"]: disk["base"] for disk in disks}
        texts = {
            key: _with_volume(text, volumes[key]) if key in volumes else text for key, text in machine.texts.items()
        }
        return Freezing(
            machine=machine,
            texts=texts,
            sizes=sizes,
            steps=steps,
            effects=(
                f"guest {source.vmid}: {self._captures.pause(process, machine)}",
                f"its disks stand on a frozen state ({vmid}) as long as a clone needs that",
            ),
        )

    # -- steps --------------------------------------------------------------------------------------------------

    async def _do_reserve(self, ctx: StepContext, vmid: int, source: int) -> None:
        uid = await self._uids.allocate(vmid)
        await self._guests.create(vmid, print_conf(GuestFile(current=RESERVED)), uid=uid, user=ctx.user)

    async def _undo_reserve(self, ctx: StepContext, vmid: int, source: int) -> None:
        await self._states.drop(vmid)
        await self._records.forget(vmid)
        if self._guests.find(vmid) is not None:
            await self._runtime.forget(vmid)
            await self._guests.remove(vmid)
        await self._uids.release(vmid)

    async def _do_take(
        self, ctx: StepContext, source: int, vmid: int, disks: Disks, volid: str, ran: bool
    ) -> dict[str, Any]:
        """The moment. When it has passed, the guest runs on its overlays, and the state is complete."""
        guest, template = self._guests.get(source), self._guests.get(vmid)
        process = self._sources.check(guest)
        machine = await self._sources.machine(guest, process)
        media = await self._sources.media(guest)
        began = time.monotonic()
        async with self._captures.prepared(guest, process, machine, charged=vmid) as capture:
            overlays = await self._disks.overlays(guest, disks)
            prepared = time.monotonic()
            async with freeze.held(process, self._sources.agent(guest), ctx.log) as hold:
                held = time.monotonic()
                ctx.point("held")
                await self._disks.switch(guest, overlays)
                ctx.point("switched")
                await capture.at_rest()
            goes_on = time.monotonic()
            if not hold.ran:  # it stands as before, and QEMU has put its disks to sleep
                await machine_state.wake_disks(process, [top_node(disk["key"]) for disk in disks])
            state, ram = await capture.afterwards()
        live = LiveState(
            machine=machine,
            state=state,
            media=media,
            quiet=hold.quiet,
            set="",
            volume=self._path(volid),
            disks={},
            durable=False,
            ram=ram,
        )
        try:
            await self._disks.guard(disks, template.uid)
            live = await self._kept(live, guest, disks)
        except BaseException:
            os.close(ram)
            raise
        self._states.adopt(vmid, live)
        times = {"prepare": prepared - began, "hold": held - prepared, "stands": goes_on - held}
        rounded = {name: round(seconds, 4) for name, seconds in times.items()}
        ctx.publish("source", {"vmid": source, "frozen": vmid, "times": rounded})
        ctx.log(f"guest {source} stood still for {rounded['stands']:.3f} s")
        return {"quiet": hold.quiet, "state": len(state)}

    def _path(self, volid: str) -> Any:
        driver, parsed = self._storages.file_of(volid)
        return driver.path(parsed)

    async def _kept(self, live: LiveState, guest: Guest, disks: Disks) -> LiveState:
        """The set on disk, all but its RAM."""
        found = {}
        for disk in disks:
            found[disk["key"]] = await self._calls.run(describe_disk, self._path(disk["base"]), hashed=False)
        record = {
            "machine": live.machine.as_record(),
            "quiet": live.quiet,
            "source": source_record(guest, time.time()),
            "disks": found,
        }
        names = json.dumps(record, sort_keys=True).encode()
        record["set"] = hashlib.sha256(names + live.state).hexdigest()
        pieces = {"state": live.state, **{f"medium-{key}": data for key, data in live.media.items()}}

        def write() -> None:
            try:
                fd = os.open(live.volume, os.O_RDWR | os.O_CLOEXEC)
                try:
                    state_file.write(fd, record, pieces, None, live.machine.memory)
                finally:
                    os.close(fd)
            except OSError as error:
                raise failure_of(error, f"cannot write the saved state {live.volume}") from error

        await self._calls.run(write)
        return dataclasses.replace(live, set=str(record["set"]), disks=found)

    async def _undo_take(self, ctx: StepContext, source: int, vmid: int, disks: Disks, volid: str, ran: bool) -> None:
        """The guest goes on, whether it was held by this daemon or by one that is gone; its disks are joined again by
        the undo of the step before."""
        await self._states.drop(vmid)
        guest = self._guests.find(source)
        if guest is None or guest.process is None:
            return
        await self._twins.end(source)
        await freeze.let_go(guest.process, self._sources.agent(guest), ctx.log, ran=ran)
        await self._runtime.observe(guest)

    async def _do_name(
        self, ctx: StepContext, source: int, vmid: int, disks: Disks, volid: str, machine: str, cpu: str
    ) -> None:
        guest, template = self._guests.get(source), self._guests.get(vmid)
        record = FrozenRecord(source=source, created=time.time(), disks=tuple(disks))
        await self._records.put(vmid, record)
        if template.file.current == RESERVED:
            volumes = {disk["key"]: disk["base"] for disk in disks}
            texts = {
                key: _with_volume(text, volumes[key]) if key in volumes else text
                for key, text in guest.file.current.items()
                if key != "parent" and (not _own_volume(guest, key) or key in volumes)
            }
            texts |= {"name": f"{guest.config.name or f'vm{source}'}-frozen", "template": "1", "vmstate": volid}
            texts |= {"runningmachine": machine, "runningcpu": cpu}
            await self._guests.write(template, GuestFile(current=texts), user=ctx.user, keep_history=False)
        await self.rename(guest, {disk["volid"]: disk["named"] for disk in disks}, ctx.user)

    async def _undo_name(self, ctx: StepContext, source: int, disks: Disks, **_: Any) -> None:
        guest = self._guests.find(source)
        if guest is not None:
            await self.rename(guest, {disk["named"]: disk["volid"] for disk in disks}, ctx.user)

    async def rename(self, guest: Guest, names: Mapping[str, str], user: str) -> None:
        """A guest's volumes are called otherwise from now on, wherever its configuration names them. Repeatable."""
        file = guest.file
        new = dataclasses.replace(
            file, current=renamed_volumes(file.current, names), pending=renamed_volumes(file.pending, names)
        )
        await self._guests.write(guest, new, user=user)


def _own_volume(guest: Guest, key: str) -> bool:
    """Whether a key names a volume that is the guest's alone (media with its documents, disks out of use)."""
    disk = guest.config.disk(key)
    return (disk is not None and disk.is_cloudinit) or (key in guest.config.volumes and key.startswith("unused"))


def _with_volume(text: str, volid: str) -> str:
    _, comma, options = text.partition(",")
    return volid + comma + options
