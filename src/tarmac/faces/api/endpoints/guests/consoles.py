"""Consoles: the screen by VNC, the serial ports as a terminal, both over a WebSocket; and a picture of the screen."""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from tarmac.faces.api.auth import credentials_of
from tarmac.faces.api.console_bridge import bridge_terminal, bridge_vnc
from tarmac.faces.api.declare import OBJECT, RAW, TEXT, Allow, Call, get, post
from tarmac.faces.api.endpoints.common import Guest
from tarmac.faces.api.origin import check_origin
from tarmac.faces.api.replies import HEADERS
from tarmac.faces.api.shapes.guests import ConsoleOffer
from tarmac.model.errors import InvalidInput
from tarmac.model.settings import setting
from tarmac.services.running.human_monitor import told

BASE = "/nodes/{node}/qemu/{vmid}"
CONSOLE = Allow("/vms/{vmid}", "VM.Console")
MAX_MESSAGE = 1 << 20
HEARTBEAT = 30.0


@dataclass(frozen=True, kw_only=True)
class Vnc(Guest):
    websocket: bool = setting(False, help="Over a WebSocket; here always so.")
    generate_password: bool = setting(
        False,
        name="generate-password",
        help="Tell the VNC password by itself, too (it is the ticket's first 8 characters).",
    )


@dataclass(frozen=True, kw_only=True)
class Term(Guest):
    serial: str | None = setting(
        None,
        choices=("serial0", "serial1", "serial2", "serial3"),
        default_text="the terminal, or the first one",
        help="The serial port.",
    )


@dataclass(frozen=True, kw_only=True)
class Socket(Guest):
    port: int = setting(ge=5900, le=5999, help="The port that `vncproxy` or `termproxy` answered.")
    vncticket: str = setting(max_length=512, secret=True, help="The ticket that it answered.")


@dataclass(frozen=True, kw_only=True)
class Command(Guest):
    command: str = setting(max_length=4096, told=told, help="The command, as QEMU's human monitor takes it.")


@post(
    f"{BASE}/monitor",
    params=Command,
    allow=Allow("/vms/{vmid}", "Sys.Audit", "Sys.Modify", any=True),
    returns=TEXT,
    cli="vm monitor {vmid} {command}",
    help="A command to QEMU's human monitor; without Sys.Modify only `info` and `help`.",
)
async def monitor(call: Call, p: Command) -> Any:
    return await call.services.human_monitor.command(call.identity, p.vmid, p.command)


@post(
    f"{BASE}/vncproxy",
    params=Vnc,
    allow=CONSOLE,
    returns=OBJECT,
    reply=ConsoleOffer,
    help="Offer a VNC console, to be opened within 40 s.",
)
async def vncproxy(call: Call, p: Vnc) -> dict[str, Any]:
    offer = await call.services.console_sessions.offer_vnc(call.identity, p.vmid, tell_password=p.generate_password)
    return {**offer, "cert": await _certificate(call)}


@post(
    f"{BASE}/termproxy",
    reply=ConsoleOffer,
    params=Term,
    allow=CONSOLE,
    returns=OBJECT,
    help="Offer a terminal on a serial port, to be opened within 40 s.",
)
async def termproxy(call: Call, p: Term) -> Any:
    return await call.services.console_sessions.offer_term(call.identity, p.vmid, p.serial)


@get(
    f"{BASE}/vncwebsocket",
    params=Socket,
    allow=CONSOLE,
    returns=RAW,
    help="Open an offered console: a WebSocket, `binary`.",
)
async def websocket(call: Call, p: Socket) -> web.StreamResponse:
    request = call.http
    check_origin(request.headers)
    socket = web.WebSocketResponse(protocols=("binary",), max_msg_size=MAX_MESSAGE, heartbeat=HEARTBEAT, compress=False)
    if not socket.can_prepare(request):
        raise InvalidInput("this is a WebSocket", code="no-websocket", evidence="the request is no WebSocket handshake")
    sessions, consoles = call.services.console_sessions, call.services.consoles
    login = credentials_of(request.headers)
    until = call.services.tickets.expires(login.text) if login.kind == "ticket" else math.inf
    session = await sessions.open(call.identity, p.vmid, p.port, p.vncticket, until=until)
    try:
        if session.kind == "vnc":
            reader, writer = await consoles.open_vnc(p.vmid)
            await socket.prepare(request)
            await bridge_vnc(socket, reader, writer, session, sessions)
        else:
            hub = consoles.serial(p.vmid, session.serial)
            await socket.prepare(request)
            await bridge_terminal(socket, hub, session, sessions)
    finally:
        sessions.close(session)
    return socket


@get(
    f"{BASE}/screenshot",
    params=Guest,
    allow=CONSOLE,
    returns=RAW,
    help="What the guest's screen shows, as PNG.",
)
async def screenshot(call: Call, p: Guest) -> web.StreamResponse:
    picture = await call.services.consoles.screenshot(p.vmid)
    return web.Response(body=picture, content_type="image/png", headers=HEADERS)


async def _certificate(call: Call) -> str:
    """The node's certificate, for clients that connect to VNC by themselves."""
    return await asyncio.to_thread(call.services.certificates.served_pem)
