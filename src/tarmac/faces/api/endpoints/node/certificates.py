"""The certificate that the API shows: what it is, bringing one's own, going back to the node's."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from tarmac.faces.api.declare import LIST, OBJECT, Allow, Call, delete, get, post
from tarmac.faces.api.endpoints.common import Node
from tarmac.faces.api.shapes import nodes as shapes
from tarmac.model.settings import setting

MODIFY = Allow("/nodes/{node}", "Sys.Modify")
RESTART = "Taken, without effect: the certificate is served at once, and nothing is restarted."


@dataclass(frozen=True, kw_only=True)
class Bring(Node):
    certificates: str = setting(
        format="pem-certificate-chain", help="The certificate in PEM, then that of its issuer, and so on."
    )
    key: str | None = setting(None, format="pem-string", secret=True, help="Its private key in PEM, without password.")
    force: bool = setting(False, help="Replace the one that is there.")
    restart: bool = setting(False, help=RESTART)


@dataclass(frozen=True, kw_only=True)
class Remove(Node):
    restart: bool = setting(False, help=RESTART)


@get(
    "/nodes/{node}/certificates/info",
    reply=list[shapes.Certificate],
    params=Node,
    allow=Allow.login,
    returns=LIST,
    cli="node certificates",
    help="The node's own certificate (pve-ssl.pem), and one that was brought (pveproxy-ssl.pem), which is shown then.",
)
async def info(call: Call, p: Node) -> Any:
    return await asyncio.to_thread(call.services.certificates.rows)


@post(
    "/nodes/{node}/certificates/custom",
    params=Bring,
    allow=MODIFY,
    returns=OBJECT,
    help="Show this certificate from the next connection on. It is looked at first: key, order of the chain, dates.",
)
async def bring(call: Call, p: Bring) -> Any:
    return await call.services.certificates.bring(p.certificates, p.key, force=p.force)


@delete(
    "/nodes/{node}/certificates/custom",
    params=Remove,
    allow=MODIFY,
    cli="node remove-certificate",
    help="Show the node's own certificate again.",
)
async def remove(call: Call, p: Remove) -> None:
    await call.services.certificates.remove()
