"""A volume that is no file, for a tool behind walls: the tool gets an open connection to it and no network.

What a guest may have rewritten is read behind walls (`pinned.py`), and what a pool's image is written with (librbd)
needs the network. So `qemu-nbd` has the pool's image open outside, and the tool inside has one end of a connection to
it, by which it can reach that image and nothing else.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

from tarmac.lib.process import run

_RETRY_SECONDS = 0.02


@contextlib.asynccontextmanager
async def served(options: str) -> AsyncIterator[int]:
    """The descriptor of a connection by which the image that `options` (`--image-opts`) names can be written to inside
    the block. After it everything is written, and the server has ended. Raises HostFailure as `run` does."""
    try:
        async with asyncio.TaskGroup() as group:
            with socket.socket(socket.AF_UNIX) as connection:  # the server ends with its only client
                folder = Path(tempfile.mkdtemp(prefix="tarmac-served-"))
                try:
                    address = folder / "nbd"
                    group.create_task(_serve(options, address))
                    await _connect(connection, address)
                finally:
                    shutil.rmtree(folder)
                yield connection.fileno()
    except ExceptionGroup as several:
        raise several.exceptions[0] from several


def option_words(fd: int) -> str:
    """Such a connection as `--image-opts` of the tool inside."""
    return f"driver=raw,file.driver=nbd,file.server.type=fd,file.server.str={fd}"


async def _serve(options: str, address: Path) -> None:
    await run(["qemu-nbd", "--image-opts", options, "--socket", str(address)])


async def _connect(connection: socket.socket, address: Path) -> None:
    """Until the server listens; one that has failed cancels this."""
    while True:
        try:
            connection.connect(str(address))
            return
        except OSError:
            await asyncio.sleep(_RETRY_SECONDS)
