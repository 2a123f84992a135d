"""A running guest's memory and device state as of one moment, for a guest that goes on after it.

    async with captures.prepared(guest, process, machine, charged=900) as capture:    # the guest runs
        async with held(...):                                                          # it stands
            await capture.at_rest()
        state, ram = await capture.afterwards()                                        # it goes on

A guest whose memory is in a file has it copied while it runs and corrected while it stands, and goes on as the same
process: its connections, consoles and cards are what they were. Any other hands all of its memory to a twin
(`services.instant.twins`) while it stands.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from typing import Protocol

from tarmac.drivers.qemu.live import memory, mirror, stream
from tarmac.drivers.qemu.live.machine import Machine
from tarmac.drivers.qemu.live.mirror import MemoryCopy
from tarmac.drivers.qemu.process import GuestProcess
from tarmac.model.errors import HostFailure
from tarmac.model.units import MIB, human_size
from tarmac.services.guests.guests import Guest
from tarmac.services.instant.twins import LiveTwins, in_shared_file
from tarmac.services.running.launcher import Launcher

COPIED_PER_SECOND = 300 * MIB
COMPARED_PER_SECOND = 2560 * MIB
_BESIDES = 0.1  # device state, disks, the agent's last word


class Capture(Protocol):
    """See the module. Each method once, in this order."""

    async def at_rest(self) -> None: ...

    async def afterwards(self) -> tuple[bytes, int]:
        """(device state, descriptor of the sealed memory, the caller's own)."""


class LiveCaptures:
    """`prepared` chooses the way; `pause` says beforehand how long the guest will stand."""

    def __init__(self, *, launcher: Launcher, twins: LiveTwins) -> None:
        self._launcher = launcher
        self._twins = twins

    @staticmethod
    def pause(process: GuestProcess, machine: Machine) -> str:
        """For a plan."""
        size = human_size(machine.memory)
        if in_shared_file(process):
            seconds = machine.memory / COMPARED_PER_SECOND + _BESIDES
            if seconds <= 0.5:
                return f"it goes on after less than 0.5 s; its {size} of RAM are copied before that, while it runs"
            return f"it goes on after about {seconds:.1f} s; its {size} of RAM are copied before that, while it runs"
        seconds = machine.memory / COPIED_PER_SECOND + _BESIDES
        return f"it stands for about {seconds:.1f} s, because its {size} of RAM are copied meanwhile, and goes on then"

    @contextlib.asynccontextmanager
    async def prepared(
        self, guest: Guest, process: GuestProcess, machine: Machine, *, charged: int
    ) -> AsyncIterator[Capture]:
        """Everything that can be done before the guest stands. `charged`: the guest in whose control group the memory
        is counted. Raises HostFailure; nothing is left after the block but what `afterwards` gave."""
        if in_shared_file(process):
            group = self._launcher.cgroup(charged)
            async with mirror.copied(process, f"frozen state {charged}", machine.memory, group) as copy:
                yield _Copied(process, copy)
        else:
            async with self._twins.waiting(guest, machine, charged=charged) as twin:
                yield _Transferred(process, twin)


class _Copied:
    def __init__(self, process: GuestProcess, copy: MemoryCopy) -> None:
        self._process = process
        self._copy = copy
        self._state = bytearray()

    async def at_rest(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._copy.exact())
            group.create_task(stream.save(self._process, self._state.extend, without_ram=True))

    async def afterwards(self) -> tuple[bytes, int]:
        return bytes(self._state), self._copy.take()


class _Transferred:
    def __init__(self, process: GuestProcess, twin: GuestProcess) -> None:
        self._process = process
        self._twin = twin

    async def at_rest(self) -> None:
        await stream.transfer(self._process, self._twin)

    async def afterwards(self) -> tuple[bytes, int]:
        state = bytearray()
        await stream.save(self._twin, state.extend, without_ram=True)
        ram = memory.open_memory(self._twin.pid, self._twin.record.argv, writable=True)
        if ram is None:
            raise HostFailure(f"the memory of {self._twin.record.label} cannot be read", code="live-memory")
        try:
            await self._twin.kill()  # a file that is mapped for writing cannot be sealed
            memory.seal(ram)
        except BaseException:
            os.close(ram)
            raise
        return bytes(state), ram
