"""A guest's serial port for any number of people, and the byte stream of its screen.

QEMU's socket takes one client. So the daemon is that client: it reads all the time (a port that nobody reads would
stop the guest), keeps the last 256 KiB for those who come later and for diagnosis, and hands every byte to whoever is
attached. Somebody who does not keep up is dropped; the guest never waits for anybody.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections import deque
from pathlib import Path
from typing import Self

from tarmac.drivers.qemu.sockets import connect_unix
from tarmac.lib.tasks import Supervisor

RING_BYTES = 256 * 1024
BACKLOG_BYTES = 1024 * 1024
REPLAY_BYTES = 16 * 1024
_CHUNK = 64 * 1024
_RETRY_FIRST, _RETRY_MOST = 0.02, 1.0
# Questions to the terminal (its position, its kind): shown again, they would be answered again, as keys to the guest.
_QUESTIONS = re.compile(rb"\x1b\[[?>=]?[0-9;]*[cn]|\x1bZ|\x05")


class SerialHub:
    """One serial port. Connects as soon as it is made (in a running event loop) and again whenever it is cut off,
    until `close()`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._ring = bytearray()
        self._ports: set[Port] = set()
        self._writer: asyncio.StreamWriter | None = None
        self._connected = asyncio.Event()
        self._sending = asyncio.Lock()
        self._closed = False
        self._tasks = Supervisor()
        self._task = self._tasks.start(self._run(), name=f"serial {path}")

    @property
    def connected(self) -> bool:
        return self._connected.is_set()

    @property
    def recent(self) -> bytes:
        """The last output, up to 256 KiB, as the guest wrote it (not to be shown unescaped)."""
        return bytes(self._ring)

    @property
    def attached(self) -> int:
        return len(self._ports)

    def attach(self, *, replay: int = REPLAY_BYTES) -> Port:
        """Take part: `async with hub.attach() as port`. The first bytes read are up to `replay` of the last ones."""
        return Port(self, self._replay(replay))

    def close(self) -> None:
        """The guest has ended, or the daemon lets go of it: everybody's reading ends. Never raises, twice is fine."""
        self._closed = True
        self._task.cancel()
        self._hang_up()
        for port in tuple(self._ports):
            port.end()
        self._ports.clear()
        self._connected.set()  # whoever waits to send must not wait for ever

    def _replay(self, size: int) -> bytes:
        tail = bytes(self._ring[-size:]) if size else b""
        if len(tail) < len(self._ring):
            tail = tail[tail.find(b"\n") + 1 :]
        return _QUESTIONS.sub(b"", tail)

    async def _run(self) -> None:
        pause = _RETRY_FIRST
        while True:
            try:
                reader = await self._connect()
                pause = _RETRY_FIRST
                while data := await reader.read(_CHUNK):
                    self._heard(data)
            except OSError:
                pass  # QEMU has not made the socket yet, or is gone: the guest's owner closes this hub then
            self._hang_up()
            await asyncio.sleep(pause)
            pause = min(pause * 2, _RETRY_MOST)

    async def _connect(self) -> asyncio.StreamReader:
        sock = await connect_unix(self._path)
        reader, self._writer = await asyncio.open_unix_connection(sock=sock)
        self._connected.set()
        return reader

    def _hang_up(self) -> None:
        self._connected.clear()
        if self._writer is not None:
            self._writer.transport.abort()
            self._writer = None

    def _heard(self, data: bytes) -> None:
        self._ring += data
        if len(self._ring) > RING_BYTES:
            del self._ring[: len(self._ring) - RING_BYTES]
        for port in tuple(self._ports):
            port.offer(data)

    async def send(self, data: bytes) -> None:
        """Type into the port. Waits while the guest does not take it, or QEMU is not connected; nothing happens once
        the hub is closed."""
        async with self._sending:
            await self._connected.wait()
            if self._closed or self._writer is None:
                return
            with contextlib.suppress(ConnectionError):
                self._writer.write(data)
                await self._writer.drain()

    def join(self, port: Port) -> None:
        if self._closed:
            port.end()
        else:
            self._ports.add(port)

    def leave(self, port: Port) -> None:
        self._ports.discard(port)


class Port:
    """One participant's side. `dropped` says that it was too slow and its reading has ended for that."""

    def __init__(self, hub: SerialHub, replay: bytes) -> None:
        self.dropped = False
        self._hub = hub
        self._queue: deque[bytes] = deque([replay] if replay else [])
        self._waiting = len(replay)
        self._wakeup = asyncio.Event()
        self._ended = False

    async def __aenter__(self) -> Self:
        self._hub.join(self)
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._hub.leave(self)
        self.end()

    async def read(self) -> bytes:
        """The next bytes, as many as there are (64 KiB at most at a time, roughly); b"" at the end."""
        while not self._queue:
            if self._ended:
                return b""
            self._wakeup.clear()
            await self._wakeup.wait()
        parts, size = [], 0
        while self._queue and size < _CHUNK:
            parts.append(self._queue.popleft())
            size += len(parts[-1])
        self._waiting -= size
        return b"".join(parts)

    async def write(self, data: bytes) -> None:
        await self._hub.send(data)

    def offer(self, data: bytes) -> None:
        """The hub's side. Never blocks."""
        if self._waiting + len(data) > BACKLOG_BYTES:
            self.dropped = True
            self._hub.leave(self)
            self.end()
            return
        self._queue.append(data)
        self._waiting += len(data)
        self._wakeup.set()

    def end(self) -> None:
        """The hub's side: nothing more will come; what is queued can still be read."""
        self._ended = True
        self._wakeup.set()


async def open_stream(path: Path) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection to one of QEMU's byte stream sockets, `vnc.sock` for instance (VNC takes several clients).

    Waits while QEMU's queue is full: the caller limits the time. Raises OSError when nobody listens."""
    return await asyncio.open_unix_connection(sock=await connect_unix(path))
