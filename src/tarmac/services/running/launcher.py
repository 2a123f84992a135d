"""From a guest's configuration to a QEMU process: gather the facts, make the taps, build argv, spawn; and the way back.

Deciding is `drivers/qemu/argv` (pure); this gathers what it needs to know and brings about what it asks for.
"""

from __future__ import annotations

import asyncio
import dataclasses
import os
import shutil
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

from tarmac.drivers.network.base import TapDriver
from tarmac.drivers.network.names import tap_name
from tarmac.drivers.network.tap import has_vhost
from tarmac.drivers.qemu.argv import Launch, TapNeed, build
from tarmac.drivers.qemu.argv.as_ran import resumed
from tarmac.drivers.qemu.argv.descriptors import descriptors, queue_names, vhost_key
from tarmac.drivers.qemu.cgroup import Cgroup
from tarmac.drivers.qemu.cgroups import Cgroups
from tarmac.drivers.qemu.facts import LaunchFacts, VolumeFacts
from tarmac.drivers.qemu.launch import prepare_runtime_dir
from tarmac.drivers.qemu.live.machine import RUNTIME, Machine, record_machine
from tarmac.drivers.qemu.live.memory import create_memory
from tarmac.drivers.qemu.process import GuestProcess, qmp_pair, spawn
from tarmac.model.units import MIB
from tarmac.model.vm import VmConfig
from tarmac.services.guests.guests import Guest
from tarmac.services.node.facts import NodeProbe
from tarmac.services.storage.volumes import Volumes

Say = Callable[[str], None]


class Launcher:
    """Starts processes and removes what they leave; knows no states. `keyboard` is the layout of guests without one."""

    def __init__(
        self,
        *,
        runtime_root: Path,
        instance: str,
        cgroups: Cgroups,
        taps: TapDriver,
        volumes: Volumes,
        probe: NodeProbe,
        keyboard: Callable[[], str | None] = lambda: None,
    ) -> None:
        self._keyboard = keyboard
        self._root = runtime_root
        self._instance = instance
        self._cgroups = cgroups
        self._taps = taps
        self._volumes = volumes
        self._probe = probe

    def directory(self, vmid: int) -> Path:
        return self._root / str(vmid)

    def cgroup(self, vmid: int) -> Cgroup:
        return self._cgroups.open(self._instance, str(vmid))

    async def facts(
        self,
        vmid: int,
        config: VmConfig,
        fds: Mapping[str, int],
        planned: Collection[str] = (),
        incoming: str | None = None,
    ) -> LaunchFacts:
        """What argv must know of this launch."""
        return LaunchFacts(
            vmid=vmid,
            runtime_dir=str(self.directory(vmid)),
            volumes=await self._volumes.facts(config, planned=planned),
            fds=dict(fds),
            sandbox=True,
            incoming=incoming,
        )

    async def plan(
        self,
        vmid: int,
        config: VmConfig,
        fds: Mapping[str, int] | None = None,
        *,
        planned: Collection[str] = (),
        incoming: str | None = None,
    ) -> Launch:
        """What QEMU would be started with. Without `fds` the descriptors are placeholders: for `showcmd`, and to learn
        which taps are needed. `planned`: volumes that are still to be made. Raises InvalidInput or HostFailure when no
        guest can be started from this."""
        if config.keyboard is None and (keyboard := self._keyboard()) is not None:
            config = dataclasses.replace(config, keyboard=keyboard)
        node = await self._probe.facts()
        fds = fds or descriptors(config, vhost=node.vhost_net)
        return build(config, node, await self.facts(vmid, config, fds, planned, incoming))

    async def machine(self, vmid: int, config: VmConfig) -> Machine:
        """The machine that a guest of this configuration is, as the record that clones go on from."""
        fds = descriptors(config, vhost=False)
        facts = dataclasses.replace(await self.facts(vmid, config, fds), runtime_dir=RUNTIME)
        node = await self._probe.facts()
        return record_machine(build(config, node, facts), config, node.qemu_version)

    async def argv(self, vmid: int, config: VmConfig) -> tuple[str, ...]:
        """The command line, for people (`showcmd`)."""
        return (await self.plan(vmid, config)).argv

    async def launch(self, guest: Guest, say: Say, *, ran: Sequence[str] | None = None) -> GuestProcess:
        """Spawn QEMU for the guest's active configuration; with `ran` (the command line of a machine whose state is
        saved) that very machine, which then waits for its state. Raises HostFailure and others; the caller cleans
        up."""
        config, vmid = guest.config, guest.vmid
        # What a card without vhost has agreed on with its guest (packed queues) is more than vhost can.
        vhost = ran is None or any("vhost=on" in word for word in ran)
        directory = self.directory(vmid)
        groups = await self.own(guest, config)
        await asyncio.to_thread(prepare_runtime_dir, directory, uid=guest.uid, gid=guest.uid)
        ours, theirs = qmp_pair()
        fds = {"qmp": theirs}
        try:
            if config.instant:
                fds["ram"] = create_memory(f"guest {vmid}", config.memory_mib * MIB)
            for need in (await self.plan(vmid, config)).taps:
                fds |= await self.open_tap(need, vhost=vhost)
            launch = await self.plan(vmid, config, fds, incoming=None if ran is None else "defer")
        except BaseException:
            ours.close()
            for fd in fds.values():
                os.close(fd)
            raise
        for note in launch.notes:
            say(note)
        cgroup = self.cgroup(vmid)
        process = await spawn(
            launch.argv if ran is None else resumed(ran, launch.argv),
            runtime_dir=directory,
            qmp_socket=ours,
            pass_fds=tuple(fds.values()),
            uid=guest.uid,
            gid=guest.uid,
            groups=(*groups, *self._groups(launch)),
            cgroup=cgroup,
            label=f"VM {vmid}",
        )
        self.limit(config, cgroup, say)
        try:
            for step in launch.setup:
                await process.monitor().execute(step.command, step.arguments)
        except BaseException:
            await process.kill()
            await process.close()
            raise
        return process

    def _groups(self, launch: Launch) -> tuple[int, ...]:
        """The one group of the host that a guest's user may need: that of /dev/kvm."""
        return self.kvm_groups(launch.accelerator)

    def kvm_groups(self, accelerator: str) -> tuple[int, ...]:
        """The same for an accelerator."""
        group = self._probe.kvm_group
        return (group,) if accelerator == "kvm" and group is not None else ()

    async def open_tap(self, need: TapNeed, *, vhost: bool = True) -> dict[str, int]:
        """A tap's descriptors, and those of its vhost queues unless they are not wanted, by the names that
        `LaunchFacts.fds` uses; they are the caller's."""
        opened = await self._taps.open(need.name, bridge=need.bridge, mac=need.mac, mtu=need.mtu, queues=need.queues)
        found = dict(zip(queue_names(need.key, need.queues), opened, strict=True))
        if not (need.vhost and vhost):
            return found
        try:
            queues = await self._taps.open_vhost(need.queues)
        except BaseException:
            for fd in opened:
                os.close(fd)
            raise
        return found | dict(zip(queue_names(vhost_key(need.key), need.queues), queues, strict=True))

    def placeholders(self, config: VmConfig) -> dict[str, int]:
        """Numbers in the place of descriptors that are opened only for a real launch."""
        return descriptors(config, vhost=has_vhost())

    async def open_tap_alone(self, vmid: int, index: int, queues: int) -> list[int]:
        """The descriptors of a guest's tap that is on no bridge yet; they are the caller's."""
        return await self._taps.open_alone(tap_name(self._probe.known.instance, vmid, index), queues=queues)

    async def volumes_by_key(self, config: VmConfig) -> dict[str, VolumeFacts]:
        """Where the volumes of a configuration are, by its keys."""
        known = await self._volumes.facts(config)
        return {key: known[volid] for key, volid in config.volumes.items() if volid in known}

    async def own(self, guest: Guest, config: VmConfig) -> frozenset[int]:
        """Let the guest's user open the volumes of a configuration; returns the groups that takes."""
        return await self._volumes.own(config, guest.uid)

    def limit(self, config: VmConfig, cgroup: Cgroup, say: Say) -> None:
        """The guest's share of the processors."""
        for problem in cgroup.set_cpu(weight=config.cpuunits or 100, limit=config.cpulimit):
            say(f"note: {problem}")

    async def clean(self, vmid: int) -> None:
        """Remove taps, cgroup and runtime directory of a guest whose process is gone; repeatable."""
        await self._taps.remove_all(vmid)
        cgroup = self.cgroup(vmid)
        await asyncio.to_thread(cgroup.remove)
        await asyncio.to_thread(shutil.rmtree, self.directory(vmid), True)
