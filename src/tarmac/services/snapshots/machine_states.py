"""The memory of a running guest in a snapshot: saved into a volume of its own at the very moment of its disks, and gone
on from at a rollback, on the machine as it ran."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tarmac.drivers.qemu import machine_state
from tarmac.drivers.qemu.argv.as_ran import as_ran, option_of
from tarmac.drivers.qemu.argv.blockdev import top_node
from tarmac.drivers.qemu.machine_state import MachineRecord
from tarmac.drivers.storage.volume_names import Content
from tarmac.model.errors import Fix, HostFailure, TarmacError, WrongState
from tarmac.model.ids import VolumeId
from tarmac.model.job import PlannedStep
from tarmac.model.lifecycle import not_running
from tarmac.model.snapshots import disks_of
from tarmac.model.units import MIB, human_size
from tarmac.services.guests.guests import Guest, Guests
from tarmac.services.jobs.steps import Registry, StepContext
from tarmac.services.node.facts import NodeProbe
from tarmac.services.running.launcher import Launcher
from tarmac.services.running.runtime import Runtime
from tarmac.services.snapshots.disks import SnapshotDisks
from tarmac.services.storage.storages import LOCAL, Storages

_SPARE = 256 * MIB  # graphics memory, devices, the record
_RATE = 400 * MIB  # bytes a second, for the plan's estimate: what a machine with two cores wrote


@dataclass(frozen=True, slots=True, kw_only=True)
class Saving:
    """A planned state: the step that makes its volume, what the memory takes of its storage, the keys it adds to the
    snapshot's section, lines for people."""

    volid: str
    takes: Mapping[str, int]
    allocate: PlannedStep
    texts: Mapping[str, str]
    effects: tuple[str, ...]


class MachineStates:
    """Plans and steps `state-take` and `state-resume`."""

    def __init__(
        self,
        *,
        guests: Guests,
        storages: Storages,
        runtime: Runtime,
        launcher: Launcher,
        probe: NodeProbe,
        disks: SnapshotDisks,
        registry: Registry,
    ) -> None:
        self._guests = guests
        self._storages = storages
        self._runtime = runtime
        self._launcher = launcher
        self._probe = probe
        self._disks = disks
        registry.step("state-take", self._do_take, disks.undo_take)
        registry.step("state-resume", self._do_resume)

    async def plan(self, guest: Guest, name: str) -> Saving:
        """Where the state goes and how long the guest stands still. Raises WrongState when its QEMU is silent."""
        record = await self._record(guest)
        if await self._runtime.monitor(guest).query_status() == "postmigrate":
            raise _saved_already(guest)
        memory = guest.config.memory_mib * MIB
        size = memory + _SPARE
        driver = self._storages.files(self._storage(guest), Content.IMAGES)
        volid = str(VolumeId(driver.id, f"{guest.vmid}/vm-{guest.vmid}-state-{name}.raw"))
        in_use = min(memory, int(guest.usage.get("mem", memory)))  # pages that were never touched are not written
        await self._storages.space.check(driver, in_use)
        return Saving(
            volid=volid,
            takes={driver.id: in_use},
            allocate=PlannedStep(
                step="volume-allocate",
                title=f"allocate {volid} for up to {human_size(size)}",
                args={"volid": volid, "size": size},
            ),
            texts={"vmstate": volid, "runningmachine": record.machine, "runningcpu": record.cpu},
            effects=(
                f"the guest stands still while its memory is written: up to {human_size(memory)}, "
                f"about {max(1, round(memory / _RATE))} s if all of it is in use",
            ),
        )

    def _storage(self, guest: Guest) -> str:
        if guest.config.vmstatestorage is not None:
            return guest.config.vmstatestorage
        for disk in disks_of(guest.file.current).values():
            id = VolumeId.parse(disk.file).storage
            can = self._storages.get(id).capabilities
            if can.files and "raw" in can.formats:
                return id
        return LOCAL

    async def _record(self, guest: Guest) -> MachineRecord:
        process = guest.process
        if process is None:
            raise not_running(guest.vmid)
        now = await self._launcher.argv(guest.vmid, guest.config)
        argv = as_ran(process.record.argv, now)
        machine = option_of(argv, "-machine").split(",", 1)[0].removeprefix("type=")
        cpu = option_of(argv, "-cpu")
        facts = await self._probe.facts()
        return MachineRecord(
            qemu=process.record.qemu_version,
            accelerator=option_of(argv, "-accel").split(",", 1)[0],
            machine=machine,
            cpu=cpu,
            argv=argv,
            host_cpu=" ".join((facts.cpu_vendor, *facts.cpu_flags)) if cpu.split(",", 1)[0] == "host" else "",
        )

    async def check(self, volid: str) -> MachineRecord:
        """The record of a saved state that this node can go on with. Raises HostFailure naming what differs."""
        driver, volume = self._storages.file_of(volid)
        record = await asyncio.to_thread(machine_state.read_record, driver.path(volume))
        facts = await self._probe.facts()
        have = {
            "QEMU": _series(facts.qemu_version),
            "accelerator": "kvm" if facts.kvm.usable else "tcg",
            "host processor": " ".join((facts.cpu_vendor, *facts.cpu_flags)) if record.host_cpu else "",
        }
        made = {
            "QEMU": _series(record.qemu),
            "accelerator": record.accelerator,
            "host processor": record.host_cpu,
        }
        wrong = [f"{word}: saved with {made[word]}, here is {have[word]}" for word in have if made[word] != have[word]]
        if record.accelerator == "tcg" and facts.kvm.usable:
            wrong = [line for line in wrong if not line.startswith("accelerator")]  # emulation goes everywhere
        if wrong:
            raise HostFailure(
                "the saved memory is of another machine",
                code="state-of-another-machine",
                cause="a machine's state can be loaded only by what saved it",
                evidence="; ".join(wrong),
                fixes=[
                    Fix(text="clone the snapshot and start the clone: its disks are whole", action="POST .../clone"),
                    Fix(text="go back on a node that fits"),
                ],
            )
        return record

    # -- steps --------------------------------------------------------------------------------------------------

    async def _do_take(
        self,
        ctx: StepContext,
        vmid: int,
        name: str,
        layers: Sequence[Mapping[str, str]],
        copies: Sequence[Mapping[str, str]],
        running: bool,
        volid: str,
    ) -> None:
        """Stop, memory, disks, go on; what was saved is durable before the step is done."""
        guest = self._guests.get(vmid)
        record = await self._record(guest)
        process = guest.process
        assert process is not None
        driver, volume = self._storages.file_of(volid)
        overlays = await self._disks.overlays(guest, layers, name)
        if ctx.resumed:
            await self._disks.forget_copies(copies, name)
            if layers and not overlays:
                # The disks are switched last, so the memory is in the file, and the guest has stood still since.
                async with self._disks.standing(guest, running):
                    await self._disks.copy(guest, copies, name)
                    await asyncio.to_thread(machine_state.make_durable, driver.path(volume))
                await self._wake(guest, running)
                return
            await machine_state.cancel(self._runtime.monitor(guest))
        async with self._disks.standing(guest, running):
            durable = await machine_state.save(process, driver.path(volume), record, ctx.advance)
            try:
                await self._disks.switch(guest, overlays)
                await self._disks.copy(guest, copies, name)
            except BaseException:
                await asyncio.to_thread(durable)
                raise
        try:
            await self._wake(guest, running)
        finally:
            await asyncio.to_thread(durable)

    @staticmethod
    async def _wake(guest: Guest, running: bool) -> None:
        if not running and guest.process is not None:
            nodes = [top_node(key) for key in disks_of(guest.file.current)]
            await machine_state.wake_disks(guest.process, nodes)

    async def _do_resume(self, ctx: StepContext, vmid: int, volid: str) -> dict[str, Any]:
        """A QEMU that an earlier daemon started for this and that did not get its state is ended first."""
        guest = self._guests.get(vmid)
        if ctx.resumed and guest.process is not None:
            if await self._runtime.monitor(guest).query_status() == "running":
                return {"pid": guest.process.pid}
            await self._runtime.stop(guest, 10)
        record = await self.check(volid)
        driver, volume = self._storages.file_of(volid)
        started = await self._runtime.launch(guest, ctx.log, ran=record.argv)
        assert guest.process is not None
        try:
            await machine_state.load(guest.process, driver.path(volume))
            await self._runtime.monitor(guest).cont()
        except TarmacError:
            await self._runtime.stop(guest, 10)
            raise
        await self._runtime.observe(guest)
        return started


def _saved_already(guest: Guest) -> WrongState:
    return WrongState(
        f"the memory of guest {guest.vmid} was saved and it has not run since",
        code="state-saved-already",
        cause="QEMU saves a machine's state only once while it stands still",
        evidence="run state: postmigrate",
        fixes=[
            Fix(text="let it run first", action="POST .../status/resume"),
            Fix(text="take the snapshot without memory", parameters={"vmstate": "0"}),
        ],
    )


def _series(version: str) -> str:
    """Major and minor: within them a state's form does not change."""
    return ".".join(version.split(".")[:2])
