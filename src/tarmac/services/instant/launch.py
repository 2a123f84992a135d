"""From a template's machine to the process of an instant clone: descriptors, QEMU, state, and go.

What a cold boot takes is `services.running.launcher`; this is its counterpart for a guest that goes on.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Callable

from tarmac.drivers.qemu.facts import VolumeFacts
from tarmac.drivers.qemu.launch import prepare_runtime_dir
from tarmac.drivers.qemu.live import stream
from tarmac.drivers.qemu.live.machine import CloneFacts, clone_argv
from tarmac.drivers.qemu.live.memory import sealed_bytes
from tarmac.drivers.qemu.process import GuestProcess, qmp_pair, spawn
from tarmac.model.vm import VmConfig
from tarmac.services.guests.guests import Guest
from tarmac.services.instant.states import LiveState
from tarmac.services.node.facts import NodeProbe
from tarmac.services.running.launcher import Launcher

Say = Callable[[str], None]
Times = dict[str, float]


class CloneLauncher:
    """Starts processes that go on from a live state; knows no states of guests."""

    def __init__(self, *, launcher: Launcher, probe: NodeProbe) -> None:
        self._launcher = launcher
        self._probe = probe

    async def launch(
        self, guest: Guest, config: VmConfig, live: LiveState, say: Say, times: Times, awake: asyncio.Event
    ) -> GuestProcess:
        """Spawn QEMU, feed it the machine's state and let the guest run, on no network; `awake` is set when it is told
        to. `config` is the clone's, which may still be on its way to the disk. Seconds of each part go into `times`.

        Raises HostFailure and others; no process is left then, the caller cleans up the rest."""
        began = time.monotonic()
        launcher, machine, vmid = self._launcher, live.machine, guest.vmid
        # The media in cloud-init drives are the template's for now, and come as open files.
        opened = VmConfig.parse({k: t for k, t in config.texts.items() if k not in live.media}, lenient=True)
        groups = await launcher.own(guest, opened)
        directory = launcher.directory(vmid)
        await asyncio.to_thread(prepare_runtime_dir, directory, uid=guest.uid, gid=guest.uid)
        ours, theirs = qmp_pair()
        fds = {"qmp": theirs}
        try:
            argv = await self._argv(guest, opened, live, fds)
        except BaseException:
            ours.close()
            for fd in fds.values():
                os.close(fd)
            raise
        cgroup = launcher.cgroup(vmid)
        process = await spawn(
            argv,
            runtime_dir=directory,
            qmp_socket=ours,
            pass_fds=tuple(fds.values()),
            uid=guest.uid,
            gid=guest.uid,
            groups=(*groups, *launcher.kvm_groups(machine.accelerator)),
            cgroup=cgroup,
            label=f"VM {vmid}",
        )
        started = time.monotonic()
        try:
            launcher.limit(config, cgroup, say)
            await self._go_on(process, live, awake)
            times["restore"] = time.monotonic() - started
            await stream.loaded(process, without_ram=True)
        except BaseException:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(5):
                    await process.kill()
            await process.close()
            raise
        times["start"] = started - began
        return process

    async def _argv(self, guest: Guest, config: VmConfig, live: LiveState, fds: dict[str, int]) -> tuple[str, ...]:
        """The command line; the descriptors that it names are added to `fds` as they are opened."""
        machine = live.machine
        fds["ram"] = os.dup(live.ram)
        for key, backend in machine.nics.items():
            if backend.kind == "tap":
                index = int(key.removeprefix("net"))
                opened = await self._launcher.open_tap_alone(guest.vmid, index, backend.queues)
                fds |= {key + (f"-{queue}" if queue else ""): fd for queue, fd in enumerate(opened)}
        volumes = await self._launcher.volumes_by_key(config)
        for key, data in live.media.items():
            fds[key] = sealed_bytes(f"medium of guest {guest.vmid}", data, len(data))
            path = f"/proc/self/fd/{fds[key]}"
            volumes[key] = VolumeFacts(path=path, format="raw", read_only=True, direct=False)
        facts = CloneFacts(
            vmid=guest.vmid,
            name=config.name or f"vm{guest.vmid}",
            runtime_dir=str(self._launcher.directory(guest.vmid)),
            uuid=config.smbios1.uuid or "",
            generation=config.vmgenid or "auto",
            fds=fds,
            volumes=volumes,
        )
        return clone_argv(machine, facts, await self._probe.facts())

    @staticmethod
    async def _go_on(process: GuestProcess, live: LiveState, awake: asyncio.Event) -> None:
        """What is behind the template's cards leads nowhere (`live.machine`): no word of its addresses gets out until
        the clone has its own. (Cables that are out as well would make a whole system in the guest look after its
        network, while it is to answer.)"""
        await stream.load(process, live.state, without_ram=True)
        awake.set()
        await process.monitor().cont()
