"""From a guest's configuration to a QEMU process: gather the facts, make the taps, build argv, spawn; and the way back.

Deciding is `drivers/qemu/argv` (pure); this gathers what it needs to know and brings about what it asks for.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tarmac.drivers.network.tap import Taps
from tarmac.drivers.qemu.argv import build
from tarmac.drivers.qemu.cgroup import Cgroup
from tarmac.drivers.qemu.cgroups import Cgroups
from tarmac.drivers.qemu.facts import LaunchFacts
from tarmac.drivers.qemu.launch import prepare_runtime_dir
from tarmac.drivers.qemu.process import GuestProcess, qmp_pair, spawn
from tarmac.model.vm import VmConfig
from tarmac.model.vm_rules import check_start
from tarmac.services.guests import Guest
from tarmac.services.node_facts import NodeProbe
from tarmac.services.volumes import Volumes

Say = Callable[[str], None]


class Launcher:
    """Starts processes and removes what they leave; knows no states."""

    def __init__(
        self,
        *,
        runtime_root: Path,
        instance: str,
        cgroups: Cgroups,
        taps: Taps,
        volumes: Volumes,
        probe: NodeProbe,
    ) -> None:
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

    async def facts(self, vmid: int, config: VmConfig, fds: Mapping[str, int]) -> LaunchFacts:
        """What argv must know of this launch."""
        return LaunchFacts(
            vmid=vmid,
            runtime_dir=str(self.directory(vmid)),
            volumes=await self._volumes.facts(config),
            fds=dict(fds),
            sandbox=True,
        )

    async def argv(self, vmid: int, config: VmConfig) -> tuple[str, ...]:
        """What QEMU would be started with (`showcmd`); the descriptors are placeholders."""
        fds = {"qmp": 3, **{f"net{i}": 10 + i for i, nic in config.net.items() if nic.bridge}}
        launch = build(config, await self._probe.facts(), await self.facts(vmid, config, fds))
        return launch.argv

    async def dry(self, guest: Guest, texts: Mapping[str, str]) -> None:
        """Everything that can be found out without touching anything."""
        config = VmConfig.parse(texts)
        check_start(config)
        await self.argv(guest.vmid, config)

    async def launch(self, guest: Guest, say: Say) -> GuestProcess:
        """Spawn QEMU for the guest's active configuration. Raises HostFailure and others; the caller cleans up."""
        config, vmid = guest.config, guest.vmid
        check_start(config)
        directory = self.directory(vmid)
        await asyncio.to_thread(prepare_runtime_dir, directory, uid=guest.uid, gid=guest.uid)
        await self._volumes.own(config, guest.uid)
        node = await self._probe.facts()
        with contextlib.ExitStack() as undo:
            ours, theirs = qmp_pair()
            fds = {"qmp": theirs}
            undo.callback(ours.close)
            for key, fd in (await self._open_taps(vmid, config)).items():
                fds[key] = fd
            launch = build(config, node, await self.facts(vmid, config, fds))
            for note in launch.notes:
                say(note)
            undo.pop_all()
        cgroup = self.cgroup(vmid)
        process = await spawn(
            launch.argv,
            runtime_dir=directory,
            qmp_socket=ours,
            pass_fds=tuple(fds.values()),
            uid=guest.uid,
            gid=guest.uid,
            groups=(),
            cgroup=cgroup,
            label=f"VM {vmid}",
        )
        self._limit(config, cgroup, say)
        if process.qmp is not None and config.vga.type != "none":
            with contextlib.suppress(AttributeError):
                await process.qmp.expire_password("never")
        return process

    async def _open_taps(self, vmid: int, config: VmConfig) -> dict[str, int]:
        return {}

    def _limit(self, config: VmConfig, cgroup: Cgroup, say: Say) -> None:
        for problem in cgroup.set_cpu(weight=config.cpuunits or 100, limit=config.cpulimit):
            say(f"note: {problem}")

    async def clean(self, vmid: int) -> None:
        """Remove taps, cgroup and runtime directory of a guest whose process is gone; repeatable."""
        await self._taps.remove_all(vmid)
        cgroup = self.cgroup(vmid)
        await asyncio.to_thread(cgroup.remove)
        await asyncio.to_thread(shutil.rmtree, self.directory(vmid), True)

    async def show(self, vmid: int, config: VmConfig) -> dict[str, Any]:
        return {"argv": list(await self.argv(vmid, config))}
