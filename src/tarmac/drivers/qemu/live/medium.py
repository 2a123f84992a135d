"""The contents of a small medium, as the guest reads them."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from tarmac.drivers.qemu.live.memory import create_memory
from tarmac.lib.process import run


async def contents(path: Path, format: str) -> bytes:
    """All bytes of a cloud-init medium, whatever format it is kept in. Raises HostFailure."""
    fd = create_memory(f"medium {path.name}", 0)
    try:
        target = f"/proc/self/fd/{fd}"
        await run(["qemu-img", "convert", "-U", "-f", format, "-O", "raw", path, target], pass_fds=(fd,))
        return await asyncio.to_thread(os.pread, fd, os.fstat(fd).st_size, 0)
    finally:
        os.close(fd)
