"""Bringing a guest's memory into a file when it is not in one: a second QEMU, the twin, takes over its whole state.

A guest without `instant: 1`, and an instant clone (whose memory is a private mapping), cannot be saved without its RAM.
So while it stands still its state goes to a twin whose memory is a file; the twin never runs, it is saved and ended.
The guest stands as long as its RAM takes to be copied, and can go on whatever happens to the twin.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
from collections.abc import AsyncIterator

from tarmac.drivers.qemu.launch import prepare_runtime_dir
from tarmac.drivers.qemu.live import memory, stream
from tarmac.drivers.qemu.live.machine import CloneFacts, Machine, clone_argv
from tarmac.drivers.qemu.process import GuestProcess, adopt, qmp_pair, spawn
from tarmac.drivers.qemu.record import read_record
from tarmac.services.guests.guests import Guest
from tarmac.services.node.facts import NodeProbe
from tarmac.services.running.launcher import Launcher
from tarmac.services.storage.storages import Storages

NAME = "twin"
_TAP_OFFSET = 32  # of its cards, which are on no bridge; a guest's own end at 31
_END_SECONDS = 10.0


class LiveTwins:
    """Twins live in a directory below their guest's, so that a later daemon finds and ends them."""

    def __init__(self, *, launcher: Launcher, probe: NodeProbe, storages: Storages) -> None:
        self._launcher = launcher
        self._storages = storages
        self._probe = probe

    @contextlib.asynccontextmanager
    async def memory_in_file(
        self, guest: Guest, process: GuestProcess, machine: Machine
    ) -> AsyncIterator[GuestProcess]:
        """The process to save a held guest from: its own when its memory is in a shared file, else a twin's."""
        if in_shared_file(process):
            yield process
            return
        async with self.waiting(guest, machine) as twin:
            await stream.transfer(process, twin)
            yield twin

    @contextlib.asynccontextmanager
    async def waiting(
        self, guest: Guest, machine: Machine, *, charged: int | None = None
    ) -> AsyncIterator[GuestProcess]:
        """A twin that waits for its guest's state; ended after the block. Its memory is charged to the control group of
        guest `charged`, which may want it when the twin is gone."""
        twin = await self._start(guest, machine, charged)
        try:
            yield twin
        finally:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_END_SECONDS):
                    await twin.kill()
            await twin.close()
            await asyncio.to_thread(shutil.rmtree, twin.directory, True)

    async def end(self, vmid: int) -> None:
        """End a twin that an earlier daemon left; repeatable."""
        directory = self._launcher.directory(vmid) / NAME
        record = await asyncio.to_thread(read_record, directory)
        if record is not None:
            twin = await adopt(record)
            if twin is not None:
                async with asyncio.timeout(_END_SECONDS):
                    await twin.kill()
                await twin.close()
        await asyncio.to_thread(shutil.rmtree, directory, True)

    async def _sizes(self, guest: Guest) -> dict[str, int]:
        found = {}
        for key, volid in guest.config.volumes.items():
            driver, parsed = self._storages.of(volid)
            found[key] = (await driver.info(parsed)).size
        return found

    async def _start(self, guest: Guest, machine: Machine, charged: int | None = None) -> GuestProcess:
        directory = self._launcher.directory(guest.vmid) / NAME
        await asyncio.to_thread(prepare_runtime_dir, directory, uid=guest.uid, gid=guest.uid)
        ours, theirs = qmp_pair()
        fds = {"qmp": theirs}
        try:
            fds["ram"] = memory.create_memory(f"{NAME} of guest {guest.vmid}", machine.memory)
            for key, backend in machine.nics.items():
                if backend.kind == "tap":
                    index = _TAP_OFFSET + int(key.removeprefix("net"))
                    opened = await self._launcher.open_tap_alone(guest.vmid, index, backend.queues)
                    fds |= {key + (f"-{queue}" if queue else ""): fd for queue, fd in enumerate(opened)}
            facts = CloneFacts(
                vmid=guest.vmid,
                name=f"{NAME}{guest.vmid}",
                runtime_dir=str(directory),
                uuid=guest.config.smbios1.uuid or "",
                generation=guest.config.vmgenid or "auto",
                fds=fds,
                sizes=await self._sizes(guest),
                twin=True,
            )
            argv = clone_argv(machine, facts, await self._probe.facts())
        except BaseException:
            ours.close()
            for fd in fds.values():
                os.close(fd)
            raise
        return await spawn(
            argv,
            runtime_dir=directory,
            qmp_socket=ours,
            pass_fds=tuple(fds.values()),
            uid=guest.uid,
            gid=guest.uid,
            groups=self._launcher.kvm_groups(machine.accelerator),
            cgroup=self._launcher.cgroup(charged or guest.vmid),
            label=f"the {NAME} of VM {guest.vmid}",
        )


def in_shared_file(process: GuestProcess) -> bool:
    """Whether a running guest's memory is in a file that it shares."""
    found = memory.memory_fd(process.record.argv)
    return found is not None and found[1]
