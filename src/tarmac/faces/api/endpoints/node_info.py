"""The host behind a node: interfaces, name service, clock, hosts file, certificate; read, not changed."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from tarmac.faces.api.declare import LIST, OBJECT, Allow, Call, get
from tarmac.faces.api.endpoints.common import Node
from tarmac.model.settings import setting
from tarmac.services.node import host_info

NETWORK_TYPES = (
    "bridge",
    "bond",
    "eth",
    "alias",
    "vlan",
    "fabric",
    "OVSBridge",
    "OVSBond",
    "OVSPort",
    "OVSIntPort",
    "vnet",
    "any_bridge",
    "any_local_bridge",
    "include_sdn",
)
AUDIT = Allow("/nodes/{node}", "Sys.Audit")


@dataclass(frozen=True, kw_only=True)
class Networks(Node):
    type: str | None = setting(None, choices=NETWORK_TYPES, help="Only interfaces of this type.")


@dataclass(frozen=True, kw_only=True)
class Interface(Node):
    iface: str = setting(max_length=20, help="The interface.")


@get(
    "/nodes/{node}/network",
    params=Networks,
    allow=Allow.login,
    returns=LIST,
    cli="node network",
    help="The node's network interfaces.",
)
async def networks(call: Call, p: Networks) -> Any:
    rows = await asyncio.to_thread(host_info.networks)
    if p.type is None or p.type == "include_sdn":
        return rows
    wanted = "bridge" if p.type.startswith("any_") else p.type
    return [row for row in rows if row["type"] == wanted]


@get(
    "/nodes/{node}/network/{iface}",
    params=Interface,
    allow=AUDIT,
    returns=OBJECT,
    help="One network interface.",
)
async def network(call: Call, p: Interface) -> Any:
    return await asyncio.to_thread(host_info.network, p.iface)


@get("/nodes/{node}/dns", params=Node, allow=AUDIT, returns=OBJECT, cli="node dns", help="The host's name servers.")
async def dns(call: Call, p: Node) -> Any:
    return await asyncio.to_thread(host_info.dns)


@get("/nodes/{node}/time", params=Node, allow=AUDIT, returns=OBJECT, cli="node time", help="The host's clock and zone.")
async def time(call: Call, p: Node) -> Any:
    return await asyncio.to_thread(host_info.clock)


@get("/nodes/{node}/hosts", params=Node, allow=Allow("/", "Sys.Audit"), returns=OBJECT, help="The host's hosts file.")
async def hosts(call: Call, p: Node) -> Any:
    return await asyncio.to_thread(host_info.hosts)


@get(
    "/nodes/{node}/subscription",
    params=Node,
    allow=Allow.login,
    returns=OBJECT,
    help="A subscription: there is nothing to subscribe to.",
)
async def subscription(call: Call, p: Node) -> Any:
    server = await asyncio.to_thread(lambda: host_info.server_id(call.services.certificates.served()))
    return {"status": "notfound", "message": "There is no subscription key", "serverid": server}
