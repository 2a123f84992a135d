"""What is frozen: a running guest, looked at before its moment, and what of it is kept beside its memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tarmac.drivers.qemu.agent import Agent
from tarmac.drivers.qemu.live import cpu
from tarmac.drivers.qemu.live.machine import Machine, check_freezable
from tarmac.drivers.qemu.process import GuestProcess
from tarmac.drivers.storage import image
from tarmac.drivers.storage.volume_names import image_name
from tarmac.model.errors import Fix, HostFailure, InvalidInput, WrongState
from tarmac.model.ids import VolumeId
from tarmac.model.lifecycle import State
from tarmac.services.guests.guests import Guest
from tarmac.services.running.agents import Agents
from tarmac.services.running.launcher import Launcher
from tarmac.services.storage.storages import Storages

STATE_VOLUME = "vm-{}-state-live.raw"
Say = Callable[[str], None]


class LiveSources:
    """Looks at running guests; changes nothing."""

    def __init__(self, *, launcher: Launcher, agents: Agents, storages: Storages) -> None:
        self._launcher = launcher
        self._agents = agents
        self._storages = storages

    def check(self, guest: Guest) -> GuestProcess:
        """What refuses a guest at once. Raises WrongState for one that does not run, InvalidInput naming what in it
        cannot be frozen."""
        process = guest.process
        if process is None or guest.state not in (State.RUNNING, State.PAUSED):
            raise WrongState(
                f"VM {guest.vmid} is not running",
                code="not-running",
                cause="what is frozen is a machine that runs",
                evidence=f"state: {guest.state}",
                fixes=[
                    Fix(text="start it, let it come up, and ask again", action="POST .../status/start"),
                    Fix(text="make an ordinary template, or ordinary clones: those boot"),
                ],
            )
        check_freezable(guest.config, process.record.argv)
        return process

    def agent(self, guest: Guest) -> Agent | None:
        return self._agents.of(guest.vmid) if guest.config.agent.enabled else None

    async def machine(self, guest: Guest, process: GuestProcess) -> Machine:
        """The machine as it runs. Raises HostFailure when QEMU has other devices than the configuration says, or is
        another version than the one that would start the clones; InvalidInput for a processor that nobody can name."""
        machine = await self._launcher.machine(guest.vmid, guest.config)
        if machine.qemu_version != process.record.qemu_version:
            raise HostFailure(
                f"guest {guest.vmid} runs on another QEMU than its clones would",
                code="live-qemu-replaced",
                cause="QEMU was replaced since the guest was started, and device state is exact to its version",
                evidence=f"{process.record.qemu_version} runs, {machine.qemu_version} is installed",
                fixes=[Fix(text="start the guest anew, then freeze it")],
            )
        rows = await process.monitor().execute("qom-list", {"path": "/machine/peripheral"})
        runs = {row["name"] for row in rows if str(row["type"]).startswith("child<")}
        told = {name for name in machine.device_ids() if name}
        if runs != told:
            raise HostFailure(
                f"guest {guest.vmid} has other devices than its configuration says",
                code="live-devices",
                cause="what was plugged or unplugged behind the platform's back would be missing in its clones",
                evidence=f"only QEMU: {sorted(runs - told)}; only the configuration: {sorted(told - runs)}",
                fixes=[Fix(text="start the guest anew, then freeze it")],
            )
        return await cpu.fixed(machine, process.monitor())

    async def media(self, guest: Guest) -> dict[str, bytes]:
        """The cloud-init media as the guest has read them: clones must find the same bytes until they are changed."""
        found = {}
        for key, disk in guest.config.disks.items():
            if disk.is_cloudinit:
                driver, volid = self._storages.file_of(disk.file)
                size = (await driver.info(volid)).size
                found[key] = await image.contents((await driver.layers(volid))[0].chain, size)
        return found

    def state_volume(self, guest: Guest, owner: int) -> str:
        """Where the state goes, as a volume of guest `owner`: to the storage of the first disk. All of them must be
        files: the set is told by their size and time of change, and clones write into overlays on them."""
        disks = [disk for disk in guest.config.disks.values() if disk.is_cloudinit or not disk.is_cdrom]
        drivers = [self._storages.of(disk.file)[0] for disk in disks]
        able = [driver.capabilities.files and driver.capabilities.linked_clones for driver in drivers]
        for disk, driver in zip(disks, drivers, strict=True):
            if all(able) and not disk.is_cdrom:
                return str(VolumeId(driver.id, str(image_name(owner, STATE_VOLUME.format(owner)))))
        raise InvalidInput(
            f"guest {guest.vmid} has no disks, or some on storages that cannot hold a live template",
            code="live-storage",
            cause="base images and the saved state need a storage of files with linked clones",
            evidence=", ".join(disk.file for disk in guest.config.disks.values()) or "no disk",
        )


def source_record(guest: Guest, when: float) -> dict[str, Any]:
    """Of what a state was made, as it stands in its manifest."""
    return {"vmid": guest.vmid, "name": guest.name, "created": when}
