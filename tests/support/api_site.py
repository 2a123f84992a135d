"""The API's face on real sockets: TLS on loopback and a unix socket, with the services a test gives it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tarmac.faces.api.app import Api
from tarmac.faces.api.declare import Endpoint
from tarmac.faces.api.server import Listener
from tarmac.faces.api.tls import Pki, ensure_certificate, server_context
from tarmac.services.registry import Services


@dataclass(slots=True)
class Reply:
    """A reply as it came over the wire."""

    status: int
    reason: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Connection:
    """One connection of a client that sends exactly what it is told."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def reply(self) -> Reply:
        """The next reply. Raises asyncio.IncompleteReadError when the server ends the connection instead."""
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.rstrip("\r\n").split("\r\n")
        _, status, reason = first.split(" ", 2)
        headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines)}
        body = await self.reader.readexactly(int(headers.get("content-length", "0")))
        return Reply(int(status), reason, headers, body)

    async def ask(self, method: str, path: str, body: bytes = b"", **headers: str) -> Reply:
        lines = [f"{method} {path} HTTP/1.1", "Host: localhost"]
        lines += [f"{k.replace('_', '-')}: {v}" for k, v in headers.items()]
        if body or method in ("POST", "PUT"):
            lines.append(f"Content-Length: {len(body)}")
        await self.send("\r\n".join([*lines, "", ""]).encode("latin-1") + body)
        return await self.reply()

    async def ended(self) -> bool:
        """Whether the server closed the connection without another byte."""
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            return await self.reader.read(1) == b""
        return True


class Site:
    """A running face."""

    def __init__(self, api: Api, port: int, pki: Pki, unix: Path) -> None:
        self.api = api
        self.port = port
        self.pki = pki
        self.unix = unix
        self.trust = ssl.create_default_context(cafile=str(pki.certificate))

    @contextlib.asynccontextmanager
    async def connect(self, *, tls: ssl.SSLContext | None | bool = True) -> AsyncIterator[Connection]:
        context = self.trust if tls is True else (tls or None)
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", self.port, ssl=context, server_hostname="localhost" if context else None
        )
        try:
            yield Connection(reader, writer)
        finally:
            await _close(writer)

    @contextlib.asynccontextmanager
    async def connect_unix(self) -> AsyncIterator[Connection]:
        reader, writer = await asyncio.open_unix_connection(str(self.unix))
        try:
            yield Connection(reader, writer)
        finally:
            await _close(writer)

    async def ask(self, method: str, path: str, body: bytes = b"", **headers: str) -> Reply:
        """One request over a connection of its own, as the local root."""
        async with self.connect_unix() as connection:
            return await connection.ask(method, f"/api2/json{path}", body, **headers)


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(ConnectionError, ssl.SSLError, TimeoutError):
        async with asyncio.timeout(2):
            await writer.wait_closed()


@contextlib.asynccontextmanager
async def serve(
    services: Services, endpoints: Iterable[Endpoint], directory: Path, *, delay: float = 0.0
) -> AsyncIterator[Site]:
    """The face with these services and endpoints on a free port of loopback."""
    pki = Pki(directory / "pki")
    await asyncio.to_thread(ensure_certificate, pki, services.node)
    api = Api(services, endpoints, unauthorized_delay=delay)
    async with Listener(api, server_context(pki)) as listener:
        port = await listener.open_tcp("127.0.0.1", 0)
        await listener.open_unix(directory / "api.sock")
        yield Site(api, port, pki, directory / "api.sock")
