"""The live event stream: a WebSocket for programs and the web page, Server-Sent Events for scripts; the same messages.

The form is written down in `docs/format/events.md`. It is also answered at `/api2/events`.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import msgspec
from aiohttp import WSCloseCode, WSMsgType, web

from tarmac.faces.api.auth import credentials_of
from tarmac.faces.api.declare import RAW, Allow, Call, get
from tarmac.faces.api.origin import check_origin
from tarmac.faces.api.replies import HEADERS
from tarmac.lib.tasks import first_ends
from tarmac.model.errors import InvalidInput
from tarmac.model.settings import setting
from tarmac.services.events.subscription import Message, Subscription

HEARTBEAT = 30.0
MAX_MESSAGE = 256 * 1024


@dataclass(frozen=True, kw_only=True)
class Stream:
    epoch: str = setting("", max_length=64, help="Go on with what was seen before: the `epoch` of it.")
    since: int | None = setting(None, ge=0, help="Go on with what was seen before: the last `seq` of it.")
    watch: tuple[str, ...] = setting((), help="Ids whose figures are told every second; `*`: of all, as they come.")
    tasks: tuple[str, ...] = setting((), help="Tasks whose log is told line by line.")


class Wish(msgspec.Struct, forbid_unknown_fields=True):
    """What a client sends over the WebSocket: what it wants from now on, in place of what it wanted before."""

    watch: list[str] | None = None
    tasks: list[str] | None = None


@get(
    "/events",
    params=Stream,
    allow=Allow.login,
    returns=RAW,
    help="Everything that the caller may see, then each change as it comes: a WebSocket, or Server-Sent Events.",
)
async def events(call: Call, p: Stream) -> web.StreamResponse:
    request = call.http
    check_origin(request.headers)
    login = credentials_of(request.headers)
    until = call.services.tickets.expires(login.text) if login.kind == "ticket" else math.inf
    epoch, since = p.epoch, p.since
    if last := request.headers.get("Last-Event-ID"):
        epoch, since = _position(last)
    follower = call.services.events.subscribe(call.identity, until=until, epoch=epoch, since=since)
    try:
        follower.watch(p.watch)
        follower.follow(p.tasks)
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await _websocket(call, follower)
        return await _server_sent(call, follower)
    finally:
        follower.close()


async def _websocket(call: Call, follower: Subscription) -> web.StreamResponse:
    socket = web.WebSocketResponse(max_msg_size=MAX_MESSAGE, heartbeat=HEARTBEAT)
    if not socket.can_prepare(call.http):
        raise InvalidInput("this is a WebSocket", code="no-websocket", evidence="the request is no WebSocket handshake")
    await socket.prepare(call.http)

    async def send(message: Message) -> None:
        await socket.send_frame(message.text, WSMsgType.TEXT)

    await first_ends(_send_all(follower, send), _hear(socket, follower))
    if not socket.closed:
        await socket.close(code=WSCloseCode.GOING_AWAY)
    return socket


async def _hear(socket: web.WebSocketResponse, follower: Subscription) -> None:
    """Take the client's wishes until it goes, or sends what is none."""
    async for message in socket:
        try:
            wish = msgspec.json.decode(message.data, type=Wish)
        except (msgspec.MsgspecError, TypeError):
            await socket.close(code=WSCloseCode.UNSUPPORTED_DATA, message=b"not a wish of this stream")
            return
        if wish.watch is not None:
            follower.watch(wish.watch)
        if wish.tasks is not None:
            follower.follow(wish.tasks)


async def _server_sent(call: Call, follower: Subscription) -> web.StreamResponse:
    response = web.StreamResponse(headers={**HEADERS, "Content-Type": "text/event-stream"})
    response.force_close()
    await response.prepare(call.http)
    epoch = call.services.events.epoch

    async def send(message: Message) -> None:
        position = b"" if message.seq is None else b"id: %b:%d\n" % (epoch.encode(), message.seq)
        await response.write(b"%bevent: %b\ndata: %b\n\n" % (position, message.type.encode(), message.text))

    await _send_all(follower, send, idle=lambda: response.write(b":\n\n"))
    return response


async def _send_all(
    follower: Subscription, send: Callable[[Message], Awaitable[None]], idle: Callable[[], Awaitable[Any]] | None = None
) -> None:
    """Until the stream ends or the client is gone. `idle` is called when nothing was to be told for a while: a
    connection that is dead shows only when something is written to it."""
    try:
        async for message in follower.messages(idle_seconds=HEARTBEAT if idle else None):
            if message is not None:
                await send(message)
            elif idle:
                await idle()
    except ConnectionError:
        return


def _position(text: str) -> tuple[str, int]:
    """`EPOCH:SEQ`, as Server-Sent Events carry it. Raises InvalidInput."""
    epoch, _, seq = text.partition(":")
    if not seq.isdecimal() or len(seq) > 18:
        raise InvalidInput.of("Last-Event-ID", "it is not of the form EPOCH:SEQ")
    return epoch, int(seq)
