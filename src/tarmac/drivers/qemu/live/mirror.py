"""A sealed copy of a running guest's memory file, exact as of the moment at which the guest stands still.

async with copied(process, "guest 100", size, cgroup) as copy:     # the guest runs on; everything is copied once
    async with held(...):                                          # it stands
        await copy.exact()                                         # what it wrote meanwhile
    fd = copy.take()                                               # sealed; the caller's own
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator

from tarmac.drivers.qemu.cgroup import Cgroup
from tarmac.drivers.qemu.live import copy_memory
from tarmac.drivers.qemu.live.memory import create_memory, open_memory, seal
from tarmac.drivers.qemu.process import GuestProcess
from tarmac.model.errors import Fix, HostFailure
from tarmac.model.units import human_size

_END_SECONDS = 5.0


class MemoryCopy:
    """See the module."""

    def __init__(self, child: Process, fd: int, name: str, size: int) -> None:
        self._child = child
        self._fd = fd
        self._name = name
        self._size = size

    async def exact(self) -> None:
        """Bring the copy to what the memory is now; nobody may write to it meanwhile. Raises HostFailure."""
        await self.answer("exact")

    def take(self) -> int:
        """The copy's descriptor, sealed and the caller's own. Once, after `exact`."""
        fd, self._fd = self._fd, -1
        seal(fd)
        return fd

    async def answer(self, wanted: str) -> None:
        """Send the copying process its next line, and wait for its word."""
        assert self._child.stdin is not None and self._child.stdout is not None and self._child.stderr is not None
        with contextlib.suppress(ConnectionError):
            self._child.stdin.write(b"\n")
            await self._child.stdin.drain()
        if (await self._child.stdout.readline()).decode().strip() == wanted:
            if wanted == "exact":
                await self._child.wait()  # its mapping is gone: a file that is mapped for writing cannot be sealed
            return
        words = (await self._child.stderr.read()).decode(errors="replace").strip()[-500:]
        code = await self._child.wait()
        raise HostFailure(
            f"the memory of {self._name} could not be copied",
            code="memory-short",
            cause="the host has no room for it, or a limit of its control group is too low",
            evidence=words or f"the process that copied it ended with {code}; {human_size(self._size)} were wanted",
            fixes=[Fix(text="stop another guest")],
        )

    async def close(self) -> None:
        """End the process, forget a copy that nobody took."""
        if self._child.returncode is None:
            self._child.kill()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_END_SECONDS):
                    await self._child.wait()
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


@contextlib.asynccontextmanager
async def copied(process: GuestProcess, name: str, size: int, cgroup: Cgroup | None) -> AsyncIterator[MemoryCopy]:
    """A copy of the memory file of a guest that runs, made roughly by the time the block begins; its pages are charged
    to `cgroup`. Raises HostFailure when the guest has no memory file, or the host no room; nothing is left then."""
    source = open_memory(process.pid, process.record.argv)
    if source is None:
        raise HostFailure(f"the memory of {process.record.label} cannot be read", code="live-memory")
    try:
        fd = create_memory(name, size)
        try:
            argv = [sys.executable, "-I", "-S", copy_memory.__file__, str(source), str(fd), str(size)]
            child = await asyncio.create_subprocess_exec(
                *argv, stdin=PIPE, stdout=PIPE, stderr=PIPE,
                pass_fds=(source, fd),
            )  # fmt: skip
        except BaseException:
            os.close(fd)
            raise
    finally:
        os.close(source)
    copy = MemoryCopy(child, fd, name, size)
    try:
        if cgroup is not None:
            cgroup.add(child.pid)
        await copy.answer("rough")
        yield copy
    finally:
        await copy.close()
