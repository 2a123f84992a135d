"""The host behind a node: interfaces, name service, clock, hosts file."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from tarmac.faces.api.declare import LIST, NULL, OBJECT, Allow, Call, get, post, put
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
MODIFY = Allow("/nodes/{node}", "Sys.Modify")


@dataclass(frozen=True, kw_only=True)
class Networks(Node):
    type: str | None = setting(None, choices=NETWORK_TYPES, help="Only interfaces of this type.")


@dataclass(frozen=True, kw_only=True)
class Interface(Node):
    iface: str = setting(max_length=20, help="The interface.")


@dataclass(frozen=True, kw_only=True)
class Dns(Node):
    search: str = setting(max_length=256, help="The domain in which short names are looked for.")
    dns1: str | None = setting(None, format="ip", help="The first name server.")
    dns2: str | None = setting(None, format="ip", help="The second one.")
    dns3: str | None = setting(None, format="ip", help="The third one.")


@dataclass(frozen=True, kw_only=True)
class Zone(Node):
    timezone: str = setting(max_length=64, help="The zone's name, as `Europe/Vienna`.")


@dataclass(frozen=True, kw_only=True)
class HostsFile(Node):
    data: str = setting(max_length=1 << 20, help="The whole file.")
    digest: str | None = setting(None, max_length=64, help="Only if the file still has this digest.")


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


@put(
    "/nodes/{node}/dns",
    params=Dns,
    allow=MODIFY,
    returns=NULL,
    cli="node dns-set",
    help="Set the host's search domain and name servers. Without servers those that are there stay.",
)
async def set_dns(call: Call, p: Dns) -> None:
    servers = tuple(server for server in (p.dns1, p.dns2, p.dns3) if server)
    await call.services.host_changes.set_dns(search=p.search, servers=servers)


@get("/nodes/{node}/time", params=Node, allow=AUDIT, returns=OBJECT, cli="node time", help="The host's clock and zone.")
async def time(call: Call, p: Node) -> Any:
    return await asyncio.to_thread(host_info.clock)


@put(
    "/nodes/{node}/time",
    params=Zone,
    allow=MODIFY,
    returns=NULL,
    cli="node timezone {timezone}",
    help="Set the host's time zone.",
)
async def set_timezone(call: Call, p: Zone) -> None:
    await call.services.host_changes.set_timezone(p.timezone)


@get("/nodes/{node}/hosts", params=Node, allow=Allow("/", "Sys.Audit"), returns=OBJECT, help="The host's hosts file.")
async def hosts(call: Call, p: Node) -> Any:
    return await asyncio.to_thread(host_info.hosts)


@post("/nodes/{node}/hosts", params=HostsFile, allow=MODIFY, returns=NULL, help="Replace the host's hosts file.")
async def set_hosts(call: Call, p: HostsFile) -> None:
    await call.services.host_changes.set_hosts(data=p.data, digest=p.digest)


@get(
    "/nodes/{node}/netstat",
    params=Node,
    allow=AUDIT,
    returns=LIST,
    help="What the network cards of running guests have sent and received.",
)
async def netstat(call: Call, p: Node) -> Any:
    return await asyncio.to_thread(host_info.netstat, call.services.usage.taps())


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
