"""The sockets: HTTPS and a redirect from plain HTTP on one port, and a unix socket for the command line.

The first byte of a connection tells TLS (0x16) from plain HTTP; it is peeked, not read. HTTP/1.1 only, because
HTTP/2 has no reason phrase and clients read it. Slow or silent connections end by time limits before they can pile up.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import functools
import logging
import socket
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tarmac.faces.api.app import Api
from tarmac.faces.api.crowd import Crowd, source_of
from tarmac.faces.api.protocol import Server
from tarmac.lib.tasks import Supervisor
from tarmac.model.errors import Conflict, Denied, Fix, HostFailure, InvalidInput, TarmacError

log = logging.getLogger(__name__)

TLS_HANDSHAKE = 0x16
FIRST_BYTE_SECONDS = 10.0
HANDSHAKE_SECONDS = 10.0
MAX_OPENING = 1000
MAX_OPENING_OF_ONE = 200
BACKLOG = 512


@dataclass(slots=True, eq=False)
class _Opening:
    """A connection that has been accepted and has not shaken hands yet."""

    connection: socket.socket
    task: asyncio.Task[None] | None = None
    handed_over: bool = False

    def give_up(self) -> bool:
        return self.task is not None and self.task.cancel()


class Listener:
    """All listening sockets of the face. `open_tcp` and `open_unix`, then `close`; an async context manager."""

    def __init__(self, api: Api, context: ssl.SSLContext | None) -> None:
        self._server = Server(api.handle)
        self._context = context
        self._tasks = Supervisor()
        self._sockets: list[socket.socket] = []
        self._unix: list[tuple[asyncio.Server, Path]] = []
        # A connection that has not shaken hands yet: the oldest goes when a source has too many of them.
        self._opening: Crowd[_Opening] = Crowd(most=MAX_OPENING, most_of_one=MAX_OPENING_OF_ONE, evict=_Opening.give_up)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    def use(self, context: ssl.SSLContext) -> None:
        """Serve connections from now on by this context; those that are open go on as they are."""
        self._context = context

    async def open_tcp(self, host: str, port: int) -> int:
        """Listen on an address (`""` or `::`: all of IPv4 and IPv6); returns the port (of use with 0).

        Raises Conflict when the port is taken, Denied without the right to it, HostFailure."""
        try:
            listening = _listen(host, port)
        except OSError as problem:
            raise _cannot_listen(host, port, problem) from problem
        self._sockets.append(listening)
        self._tasks.start(self._accept(listening), name=f"accept {host}:{port}")
        return int(listening.getsockname()[1])

    async def open_unix(self, path: Path) -> None:
        """Listen on a unix socket that only this user (and root) can open. A socket left by a dead daemon is
        replaced; the lock on the data directory rules a living one out."""
        path.unlink(missing_ok=True)
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            listening.bind(str(path))
            path.chmod(0o600)
            server = await asyncio.get_running_loop().create_unix_server(self._server, sock=listening)
        except OSError as problem:
            listening.close()
            raise HostFailure(
                f"cannot listen on {path}", cause="the operating system refused it", evidence=str(problem)
            ) from problem
        self._unix.append((server, path))

    async def close(self, grace: float = 2.0) -> None:
        """Stop listening at once, let requests under way end for `grace` seconds, then cut them off."""
        for listening in self._sockets:
            listening.close()
        for server, path in self._unix:
            server.close()
            path.unlink(missing_ok=True)
        await self._tasks.close(grace=1.0)
        self._server.pre_shutdown()
        await self._server.shutdown(grace)

    async def _accept(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, address = await loop.sock_accept(listening)
            except OSError as problem:
                if listening.fileno() < 0:
                    return
                # Out of descriptors or memory: those who wait are served when some are free again.
                if problem.errno in (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS):
                    log.error("cannot accept a connection", extra={"problem": str(problem)})
                    await asyncio.sleep(0.5)
                continue
            opening = _Opening(connection)
            if not self._opening.enter(opening, source_of(str(address[0]))):
                connection.close()
                continue
            opening.task = self._tasks.start(self._open(opening), name="connection")
            opening.task.add_done_callback(functools.partial(self._opened, opening))

    def _opened(self, opening: _Opening, task: asyncio.Task[None]) -> None:
        self._opening.leave(opening)
        if not opening.handed_over:
            opening.connection.close()

    async def _open(self, opening: _Opening) -> None:
        """Decide by the first byte, shake hands, hand over. Whoever fails at it is dropped without a word."""
        connection = opening.connection
        try:
            connection.setblocking(False)
            async with asyncio.timeout(FIRST_BYTE_SECONDS):
                first = await _peek(connection)
            if not first:
                return
            secure = first[0] == TLS_HANDSHAKE and self._context is not None
            loop = asyncio.get_running_loop()
            opening.handed_over = True
            await loop.connect_accepted_socket(
                self._server,
                connection,
                ssl=self._context if secure else None,
                ssl_handshake_timeout=HANDSHAKE_SECONDS if secure else None,
                ssl_shutdown_timeout=1.0 if secure else None,
            )
        except (OSError, TimeoutError) as problem:
            log.debug("connection dropped", extra={"problem": str(problem)})


async def _peek(connection: socket.socket) -> bytes:
    """The first byte, left in the socket; empty at its end."""
    loop = asyncio.get_running_loop()
    while True:
        with contextlib.suppress(BlockingIOError, InterruptedError):
            return connection.recv(1, socket.MSG_PEEK)
        readable: asyncio.Future[None] = loop.create_future()
        loop.add_reader(connection, _mark, readable)
        try:
            await readable
        finally:
            loop.remove_reader(connection)


def _mark(readable: asyncio.Future[None]) -> None:
    if not readable.done():
        readable.set_result(None)


def _listen(host: str, port: int) -> socket.socket:
    if host in ("", "::", "*"):
        dual = socket.has_dualstack_ipv6()
        family = socket.AF_INET6 if dual else socket.AF_INET
        listening = socket.create_server(("", port), family=family, dualstack_ipv6=dual, backlog=BACKLOG)
    else:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0][0]
        listening = socket.create_server((host, port), family=family, backlog=BACKLOG)
    listening.setblocking(False)
    return listening


def _cannot_listen(host: str, port: int, problem: OSError) -> TarmacError:
    message = f"cannot listen on {host or '*'}:{port}"
    evidence = str(problem)
    if problem.errno == errno.EADDRINUSE:
        return Conflict(
            message,
            code="port-taken",
            cause="another program listens there",
            evidence=evidence,
            fixes=[Fix(text="choose another port", action="tarmac serve", parameters={"listen": f"{host}:{port + 1}"})],
        )
    if problem.errno in (errno.EACCES, errno.EPERM):
        other = Fix(text="choose a higher port", action="tarmac serve", parameters={"listen": f"{host}:8006"})
        return Denied(message, code="port-denied", cause="ports below 1024 need root", evidence=evidence, fixes=[other])
    if problem.errno == errno.EADDRNOTAVAIL or isinstance(problem, socket.gaierror):
        return InvalidInput(
            message,
            code="no-such-address",
            cause="this machine has no such address",
            evidence=evidence,
            fixes=[Fix(text="listen on all addresses", action="tarmac serve", parameters={"listen": str(port)})],
        )
    return HostFailure(message, cause="the operating system refused it", evidence=evidence)
