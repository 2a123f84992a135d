"""One connection: aiohttp's handler with Proxmox's limits, our form for what is no HTTP, and an end to slowness.

A connection may not take long over a request's head, and who does not read what is sent to him is cut off: his part of
the reply is in our memory meanwhile. A body's time limits are those of its reader (`body.py`).
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, cast

from aiohttp import web
from aiohttp.web_protocol import RequestHandler
from aiohttp.web_request import BaseRequest

from tarmac.faces.api.body import MAX_HEADERS
from tarmac.faces.api.crowd import Crowd, source_of
from tarmac.faces.api.errors import body_of, reason_of
from tarmac.faces.api.replies import HEADERS, JSON, encode
from tarmac.model.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

log = logging.getLogger(__name__)

IDLE_SECONDS = 75.0
HEAD_SECONDS = 20.0
"""From the connection, or the first byte of a later request, to the end of the request's head."""
UNREAD_SECONDS = 30.0
LEAST_READ = 16 * 1024
"""Of what is sent to it a client must take this much in `UNREAD_SECONDS`, or all there is."""
MAX_CONNECTIONS = 4000
MAX_OF_ONE_SOURCE = 500


class Protocol(RequestHandler):
    """One connection. `crowd` is where it is counted; one over the unix socket is not."""

    __slots__ = ("_crowd", "_head_timer", "_unread", "_unread_timer")

    def __init__(self, server: web.Server, crowd: Crowd[Protocol]) -> None:
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            keepalive_timeout=IDLE_SECONDS,
            max_headers=MAX_HEADERS,
            access_log=None,  # type: ignore[arg-type]  # aiohttp's own way to switch it off
            auto_decompress=False,
            lingering_time=2.0,
        )
        self._crowd = crowd
        self._head_timer: asyncio.TimerHandle | None = None
        self._unread_timer: asyncio.TimerHandle | None = None
        self._unread = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        peer = transport.get_extra_info("peername")
        if isinstance(peer, tuple) and not self._crowd.enter(self, source_of(str(peer[0]))):
            cast("asyncio.Transport", transport).abort()
            return
        self._head_timer = self._loop.call_later(HEAD_SECONDS, self._late)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._crowd.leave(self)
        for timer in (self._head_timer, self._unread_timer):
            if timer is not None:
                timer.cancel()
        self._head_timer = self._unread_timer = None
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        before = self._request_count
        super().data_received(data)
        if self._request_count != before:  # a head is complete
            if self._head_timer is not None:
                self._head_timer.cancel()
                self._head_timer = None
        elif self._head_timer is None and self.idle:
            self._head_timer = self._loop.call_later(HEAD_SECONDS, self._late)

    @property
    def idle(self) -> bool:
        """Whether it waits for a request."""
        return self._waiter is not None and not self._waiter.done()

    def abort(self) -> None:
        """End it at once, whatever has not been sent."""
        if self.transport is not None:
            self.transport.abort()

    def _late(self) -> None:
        self._head_timer = None
        if self.idle:
            self.abort()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch_reader()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._unread_timer is not None:
            self._unread_timer.cancel()
            self._unread_timer = None

    def _watch_reader(self) -> None:
        if self.transport is not None:
            self._unread = self.transport.get_write_buffer_size()
            self._unread_timer = self._loop.call_later(UNREAD_SECONDS, self._check_reader)

    def _check_reader(self) -> None:
        self._unread_timer = None
        if self.transport is None:
            return
        if self._unread - self.transport.get_write_buffer_size() < LEAST_READ:
            log.info("a client that does not read is cut off", extra={"unread": self._unread})
            self.abort()
        else:
            self._watch_reader()

    def handle_error(
        self,
        request: BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Called for requests that cannot be parsed and for clients that went away in the midst of one; whatever else
        fails is answered by `Api.handle`."""
        if status != 400 and not isinstance(exc, ConnectionError):
            log.error("unhandled error in a connection", exc_info=exc)
        problem = InvalidInput("bad request", code="bad-request", cause="this is not a correct HTTP/1.1 request")
        response = web.Response(
            status=400,
            reason=reason_of(problem.message),
            headers={**HEADERS, "Content-Type": JSON},
            body=encode(body_of(problem)),
        )
        response.force_close()
        return response


class Server(web.Server):
    """aiohttp's server with our protocol."""

    def __init__(self, handle: Callable[[BaseRequest], Awaitable[web.StreamResponse]]) -> None:
        super().__init__(handle)
        self.crowd: Crowd[Protocol] = Crowd(most=MAX_CONNECTIONS, most_of_one=MAX_OF_ONE_SOURCE, evict=_evict)

    def __call__(self) -> RequestHandler:
        return Protocol(self, self.crowd)


def _evict(one: Protocol) -> bool:
    if not one.idle:
        return False
    one.abort()
    return True
