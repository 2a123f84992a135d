"""Who asks: from a connection and its headers to an identity.

A ticket comes as cookie or as `Authorization: PVEAuthCookie=...` (Telmate), a token as `Authorization: PVEAPIToken=...`
(with a space instead of the first `=` from the .NET client); the cookie wins. Whoever connects to the unix socket as
root or as the daemon's own user is `root@pam`: the kernel says who that is, and a guest's process is neither.
"""

from __future__ import annotations

import os
import re
import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import unquote

from tarmac.faces.api.declare import READING, Endpoint
from tarmac.model.errors import Denied, Unauthenticated
from tarmac.model.users import ROOT
from tarmac.services.access.access import Identity

if TYPE_CHECKING:
    import asyncio

    from tarmac.services.registry import Services

_COOKIE = re.compile(r"(?:^|[\s;])PVEAuthCookie=\"?([^;\"]*)")
_TICKET = re.compile(r"(?:^|\s)PVEAuthCookie=\"?([^;\"]*)")
_TOKEN = re.compile(r"(?:^|\s)PVEAPIToken(?:=| )([^;]*)")
_PEERCRED = struct.Struct("3i")


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a request presents; `text` is the ticket or the token."""

    kind: Literal["none", "ticket", "token"]
    text: str = ""


@dataclass(frozen=True, slots=True)
class Peer:
    """The other end of a connection: an address, or a local process with its uid."""

    address: str
    uid: int | None = None
    secure: bool = False

    @property
    def local(self) -> bool:
        """Whether it came over the unix socket."""
        return self.uid is not None


def peer_of(transport: asyncio.BaseTransport) -> Peer:
    """The peer of a connection. Over the unix socket the kernel tells its uid (SO_PEERCRED)."""
    sock = transport.get_extra_info("socket")
    if sock is not None and sock.family == socket.AF_UNIX:
        raw = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEERCRED.size)
        pid, uid, _ = _PEERCRED.unpack(raw)
        return Peer(f"unix:pid={pid},uid={uid}", uid=uid)
    name = transport.get_extra_info("peername")
    secure = transport.get_extra_info("ssl_object") is not None
    return Peer(str(name[0]) if name else "unknown", secure=secure)


def credentials_of(headers: Mapping[str, str]) -> Credentials:
    """Cookie, then `Authorization` with a ticket, then a token. Percent-encoded or raw; `+` stays `+`."""
    for header, pattern in (("Cookie", _COOKIE), ("Authorization", _TICKET)):
        match = pattern.search(headers.get(header, ""))
        if match is not None and match[1]:
            return Credentials("ticket", unquote(match[1]))
    match = _TOKEN.search(headers.get("Authorization", ""))
    if match is not None and match[1]:
        return Credentials("token", unquote(match[1].strip()))
    return Credentials("none")


async def identify(
    services: Services, endpoint: Endpoint | None, peer: Peer, method: str, headers: Mapping[str, str]
) -> Any:
    """The caller's Identity, or None where the endpoint needs none and none is given.

    Raises Unauthenticated with Proxmox's reason, Denied for a local process of another user and for a token where
    tokens are not allowed."""
    credentials = credentials_of(headers)
    if endpoint is not None and not endpoint.tokens and credentials.kind == "token":
        raise Denied(
            "Permission check failed - API tokens are not allowed here",
            code="token-not-allowed",
            cause="this call needs a login with a ticket",
        )
    if endpoint is not None and endpoint.public:
        return None
    if peer.local:
        return _local(peer)
    if credentials.kind == "ticket":
        identity = await services.tickets.verify(credentials.text)
        if method not in READING and (endpoint is None or endpoint.csrf):
            services.tickets.check_csrf(identity, headers.get("CSRFPreventionToken", ""))
        return identity
    if credentials.kind == "token":
        return await services.tokens.verify(credentials.text)
    raise Unauthenticated("No ticket", cause="the request carries neither a ticket nor an API token")


def _local(peer: Peer) -> Identity:
    if peer.uid not in (0, os.geteuid()):
        raise Denied(
            "Permission check failed - not for this user",
            code="wrong-local-user",
            cause="the local socket is for root and for the user that the daemon runs as",
            evidence=peer.address,
        )
    return Identity(ROOT)
