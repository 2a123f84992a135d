"""The client's side of a WebSocket (RFC 6455) on a connected socket, as far as the console needs it: binary messages,
fragments, ping, close. Importing aiohttp for it would take half a second."""

from __future__ import annotations

import base64
import hashlib
import os
import socket
import struct
from collections.abc import Mapping

from tarmac.faces.cli.client import Client
from tarmac.faces.cli.errors import CliError
from tarmac.faces.cli.wire import Reply, WireError

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_CONTINUED, _TEXT, _BINARY, _CLOSE, _PING, _PONG = 0, 1, 2, 8, 9, 10
MAX_MESSAGE = 16 << 20


class WebSocket:
    """`drain` gives what has been read already, `receive` reads once more; neither waits for a second message."""

    def __init__(self, bare: socket.socket, early: bytes = b"") -> None:
        self.socket = bare
        self._buffer = bytearray(early)
        self._parts = bytearray()
        self.closed = False
        self.early = b""  # what a protocol on top has read beyond its greeting

    def fileno(self) -> int:
        return self.socket.fileno()

    def pending(self) -> bool:
        """Whether something can be received without the socket being readable: TLS keeps data of its own."""
        return bool(getattr(self.socket, "pending", int)())

    def send(self, data: bytes, kind: int = _BINARY) -> None:
        """One message, masked as a client must. Raises OSError."""
        head = bytearray([0x80 | kind])
        size = len(data)
        if size < 126:
            head.append(0x80 | size)
        elif size < 1 << 16:
            head.append(0x80 | 126)
            head += struct.pack("!H", size)
        else:
            head.append(0x80 | 127)
            head += struct.pack("!Q", size)
        mask = os.urandom(4)
        self.socket.sendall(bytes(head) + mask + _masked(data, mask))

    def receive(self) -> list[bytes]:
        """What one read from the socket completes: whole messages. Sets `closed` when the other end is done. Call it
        when the socket is readable or `pending()`. Raises OSError for a broken connection or frame."""
        chunk = self.socket.recv(65536)
        if not chunk:
            self.closed = True
            return []
        self._buffer += chunk
        return self.drain()

    def drain(self) -> list[bytes]:
        """The whole messages that have been read already."""
        messages = []
        while (frame := self._frame()) is not None:
            final, kind, data = frame
            if kind == _CLOSE:
                self.closed = True
                break
            if kind == _PING:
                self.send(data, _PONG)
            elif kind in (_CONTINUED, _TEXT, _BINARY):
                self._parts += data
                if final:
                    messages.append(bytes(self._parts))
                    self._parts.clear()
        return messages

    def close(self) -> None:
        """Say good-bye and close; never raises."""
        try:
            self.send(struct.pack("!H", 1000), _CLOSE)
        except OSError:
            pass
        self.socket.close()

    def _frame(self) -> tuple[bool, int, bytes] | None:
        have = self._buffer
        if len(have) < 2:
            return None
        size, place = have[1] & 0x7F, 2
        if size == 126:
            if len(have) < 4:
                return None
            size, place = struct.unpack_from("!H", have, 2)[0], 4
        elif size == 127:
            if len(have) < 10:
                return None
            size, place = struct.unpack_from("!Q", have, 2)[0], 10
        if size + len(self._parts) > MAX_MESSAGE or have[1] & 0x80:
            raise OSError("the server sent a frame that no server may send")
        if len(have) < place + size:
            return None
        final, kind = bool(have[0] & 0x80), have[0] & 0x0F
        data = bytes(have[place : place + size])
        del have[: place + size]
        return final, kind, data


def _masked(data: bytes, mask: bytes) -> bytes:
    # One big integer instead of a loop over bytes: pasted text arrives at once.
    if not data:
        return b""
    stream = (mask * (len(data) // 4 + 1))[: len(data)]
    return (int.from_bytes(data, "big") ^ int.from_bytes(stream, "big")).to_bytes(len(data), "big")


def upgrade(client: Client, target: str, headers: Mapping[str, str], protocol: str = "binary") -> WebSocket:
    """Open a WebSocket at `target` on the client's server. Raises CliError, with the server's own words if it
    refuses."""
    key = base64.b64encode(os.urandom(16))
    wanted = base64.b64encode(hashlib.sha1(key + _GUID).digest()).decode()
    lines = [f"GET {target} HTTP/1.1", "Host: localhost", "Connection: Upgrade", "Upgrade: websocket"]
    lines += [f"Sec-WebSocket-Key: {key.decode()}", "Sec-WebSocket-Version: 13"]
    lines += [f"Sec-WebSocket-Protocol: {protocol}"] if protocol else []
    lines += [f"{name}: {value}" for name, value in headers.items()]
    connection = client.connection
    connection.close()
    try:
        connection.open().sendall("\r\n".join([*lines, "", ""]).encode("latin-1"))
        reply: Reply = connection.read_head()
    except OSError as error:
        raise CliError(
            "unavailable", f"{client.where} does not answer", evidence=str(WireError(str(error), sent=False))
        ) from error
    if reply.status != 101 or reply.headers.get("sec-websocket-accept") != wanted:
        raise CliError("error", f"the connection was refused: {reply.reason or reply.status}")
    return WebSocket(*connection.detach())
