"""Connecting to QEMU's unix sockets, which take one client at a time and have room for very few that wait."""

from __future__ import annotations

import asyncio
import os
import socket
from pathlib import Path

_RETRY_SECONDS = 0.02


async def connect_unix(path: Path) -> socket.socket:
    """A connected, non-blocking stream socket. Waits while the queue of the listener is full (a QEMU that hangs does
    not empty it), so the caller limits the time. Raises OSError when nobody listens.

    asyncio's own connect takes the EAGAIN of a full queue for "in progress" and reports success too early."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
    try:
        while True:
            try:
                sock.connect(os.fspath(path))
                return sock
            except BlockingIOError:
                await asyncio.sleep(_RETRY_SECONDS)
    except BaseException:
        sock.close()
        raise
