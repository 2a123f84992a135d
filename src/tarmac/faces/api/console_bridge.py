"""Bytes between a WebSocket and a guest's console, until one side ends or the right to it does.

A terminal speaks Proxmox's protocol. The client's first line is `user:ticket\\n`, the answer `OK`; then it sends
`0:LENGTH:DATA` (keys), `1:COLUMNS:ROWS:` (size), `2` (alive), and gets the port's bytes as they are. A serial port has
no size, so that message is read and dropped.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from typing import TYPE_CHECKING, Any

from aiohttp import WSMsgType, web

from tarmac.lib.tasks import first_ends
from tarmac.model.errors import InvalidInput

if TYPE_CHECKING:
    from tarmac.drivers.qemu.console import SerialHub
    from tarmac.services.running.console_sessions import ConsoleSession, ConsoleSessions

CHUNK = 64 * 1024
GREETING_SECONDS = 10.0
MAX_GREETING = 1024
MAX_KEYS = 64 * 1024
LOOK_SECONDS = 10.0


async def bridge_vnc(
    socket: web.WebSocketResponse,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    session: ConsoleSession,
    sessions: ConsoleSessions,
) -> None:
    """Carry raw RFB both ways. Returns when it has ended; everything is closed then."""

    async def to_client() -> None:
        while data := await reader.read(CHUNK):
            await socket.send_bytes(data)

    async def to_guest() -> None:
        while (data := await _message(socket)) is not None:
            writer.write(data)
            await writer.drain()

    try:
        await _until_one_ends(to_client(), to_guest(), watch(session, sessions))
    finally:
        writer.close()
        await _close(socket)


async def bridge_terminal(
    socket: web.WebSocketResponse, hub: SerialHub, session: ConsoleSession, sessions: ConsoleSessions
) -> None:
    """Greet, then carry keys and output. Returns when it has ended; everything is closed then."""
    try:
        if not await _greet(socket, session, sessions):
            return
        async with hub.attach() as port:

            async def to_client() -> None:
                while data := await port.read():
                    await socket.send_bytes(data)

            async def to_guest() -> None:
                frames = TermFrames()
                while (data := await _message(socket)) is not None:
                    for keys in frames.feed(data):
                        await port.write(keys)

            await _until_one_ends(to_client(), to_guest(), watch(session, sessions))
    finally:
        await _close(socket)


async def watch(session: ConsoleSession, sessions: ConsoleSessions) -> None:
    """Until the session is ended from outside: its guest, its task, the right to it."""
    while not session.ended.is_set():
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                await session.ended.wait()
        except TimeoutError:
            if not sessions.still_allowed(session):
                return


class TermFrames:
    """The client's messages, however they were cut into WebSocket frames."""

    def __init__(self) -> None:
        self._data = b""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The keys in what came so far. Raises InvalidInput for what is not the protocol."""
        self._data += data
        while self._data:
            kind = self._data[:1]
            if kind == b"2":
                self._data = self._data[1:]
            elif kind == b"0":
                keys = self._keys()
                if keys is None:
                    return
                yield keys
            elif kind == b"1":
                if self._data.count(b":") < 3:
                    self._check_length(64)
                    return
                self._data = self._data.split(b":", 3)[3]
            else:
                raise _no_protocol(self._data)

    def _keys(self) -> bytes | None:
        parts = self._data.split(b":", 2)
        if len(parts) < 3:
            self._check_length(16)
            return None
        if parts[0] != b"0" or not parts[1].isdigit() or len(parts[1]) > 6 or int(parts[1]) > MAX_KEYS:
            raise _no_protocol(self._data)
        length = int(parts[1])
        if len(parts[2]) < length:
            return None
        self._data = parts[2][length:]
        return parts[2][:length]

    def _check_length(self, most: int) -> None:
        if len(self._data) > most:
            raise _no_protocol(self._data)


async def _greet(socket: web.WebSocketResponse, session: ConsoleSession, sessions: ConsoleSessions) -> bool:
    """Take the client's first line and answer `OK`; False when it is not the owner's, or does not come."""
    line = b""
    try:
        async with asyncio.timeout(GREETING_SECONDS):
            while b"\n" not in line:
                data = await _message(socket)
                if data is None or len(line) + len(data) > MAX_GREETING:
                    return False
                line += data
    except TimeoutError:
        return False
    if not sessions.greeted(session, line.decode("utf-8", "replace").rstrip("\n")):
        return False
    await socket.send_bytes(b"OK")
    return True


async def _message(socket: web.WebSocketResponse) -> bytes | None:
    """The next message's bytes; None at the end."""
    message = await socket.receive()
    if message.type is WSMsgType.BINARY:
        return bytes(message.data)
    if message.type is WSMsgType.TEXT:
        return str(message.data).encode("utf-8", "surrogatepass")
    return None


async def _until_one_ends(*works: Coroutine[Any, Any, None]) -> None:
    """Run side by side until the first ends; the others are cancelled. A connection that breaks is an end."""
    try:
        await first_ends(*works)
    except* (ConnectionError, EOFError, InvalidInput):
        pass


async def _close(socket: web.WebSocketResponse) -> None:
    if socket.prepared and not socket.closed:
        await socket.close()


def _no_protocol(data: bytes) -> InvalidInput:
    return InvalidInput("this is not the terminal's protocol", code="bad-terminal", evidence=repr(data[:32]))
