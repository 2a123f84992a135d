"""A line of so many bits a second and so long a way, between a browser and a server on this machine.

A browser's own emulation counts what WebSockets carry before it is compressed and knows no handshakes; here the bytes
that really travel are held up.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

PIECE = 16 * 1024
_Item = tuple[float, asyncio.StreamWriter, bytes]


@dataclass
class _Way:
    """One direction: all connections share its rate, and every byte is under way for `seconds`."""

    rate: float
    seconds: float
    free: float = 0.0
    queue: asyncio.Queue[_Item] = field(default_factory=lambda: asyncio.Queue(maxsize=64))

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Everything from `reader` until its end."""
        while True:
            data = await reader.read(PIECE)
            now = asyncio.get_running_loop().time()
            self.free = max(now, self.free) + len(data) / self.rate
            await self.queue.put((self.free + self.seconds, writer, data))
            if not data:
                return

    async def deliver(self) -> None:
        while True:
            at, writer, data = await self.queue.get()
            await asyncio.sleep(at - asyncio.get_running_loop().time())
            with contextlib.suppress(ConnectionError, RuntimeError):  # the other end has gone
                if data:
                    writer.write(data)
                else:
                    writer.close()


class _Line:
    """Serves in a thread of its own, because a browser's driver has a loop in this one."""

    def __init__(self, port: int, bits: float, seconds: float) -> None:
        self._server_port = port
        self._there, self._back = (_Way(bits / 8, seconds / 2) for _ in range(2))
        self._begun = threading.Event()
        self._over = asyncio.Event()
        self.port = 0

    def begin(self) -> threading.Thread:
        thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        thread.start()
        assert self._begun.wait(20)
        return thread

    def end(self) -> None:
        self._loop.call_soon_threadsafe(self._over.set)

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        async with await asyncio.start_server(self._connected, "127.0.0.1", 0) as server, asyncio.TaskGroup() as tasks:
            self.port = server.sockets[0].getsockname()[1]
            pumps = [tasks.create_task(way.deliver()) for way in (self._there, self._back)]
            self._begun.set()
            await self._over.wait()
            for pump in pumps:
                pump.cancel()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.CancelledError):
            server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self._server_port)
            async with asyncio.TaskGroup() as both:
                both.create_task(self._there.take(reader, server_writer))
                both.create_task(self._back.take(server_reader, writer))


@contextlib.contextmanager
def slow_line(port: int, *, bits: float = 20e6, seconds: float = 0.02) -> Iterator[int]:
    """The port at which the server of `port` is reached over the line; `seconds` there and back."""
    line = _Line(port, bits, seconds)
    thread = line.begin()
    try:
        yield line.port
    finally:
        line.end()
        thread.join(20)
