"""Networks as a whole: zones, what is applied, the lock; and how zones stand on a node."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tarmac.faces.api.declare import LIST, NULL, OBJECT, TEXT, UPID, Allow, Call, delete, get, post, put
from tarmac.faces.api.endpoints.common import Changing, Node
from tarmac.faces.api.endpoints.networks.staging import Locked, Staged
from tarmac.model.networks import ZONE_TYPES, ZoneOptions
from tarmac.model.settings import setting

ALLOCATE = Allow("/sdn", "SDN.Allocate")
AUDIT_ZONE = Allow("/sdn/zones/{zone}", "SDN.Audit")


@dataclass(frozen=True, kw_only=True)
class Releasing(Locked):
    release_lock: bool = setting(True, name="release-lock", help="Give up the lock that `lock-token` is of.")


@dataclass(frozen=True, kw_only=True)
class Lock:
    allow_pending: bool = setting(False, name="allow-pending", help="Also where changes wait to be applied.")


@dataclass(frozen=True, kw_only=True)
class Unlock(Locked):
    force: bool = setting(False, help="Whosever lock it is.")


@dataclass(frozen=True, kw_only=True)
class Zones(Staged):
    type: str | None = setting(None, choices=ZONE_TYPES, help="Only zones of this type.")


@dataclass(frozen=True, kw_only=True)
class OneZone:
    zone: str = setting(format="pve-sdn-zone-id", help="The zone: up to 8 letters and digits.")


@dataclass(frozen=True, kw_only=True)
class ShowZone(OneZone, Staged):
    pass


@dataclass(frozen=True, kw_only=True)
class CreateZone(OneZone, Locked):
    type: str = setting(choices=ZONE_TYPES, help="The kind of zone; `simple` is built.")


@dataclass(frozen=True, kw_only=True)
class ChangeZone(OneZone, Locked, Changing):
    pass


@dataclass(frozen=True, kw_only=True)
class RemoveZone(OneZone, Locked):
    pass


@dataclass(frozen=True, kw_only=True)
class OnNode(Node):
    zone: str = setting(format="pve-sdn-zone-id", help="The zone.")


# -- as a whole --------------------------------------------------------------------------------------------------


@put(
    "/cluster/sdn",
    params=Releasing,
    allow=ALLOCATE,
    returns=UPID,
    cli="zone apply",
    help="Bring what is defined of networks into force: bridges, addresses, DHCP.",
)
async def apply(call: Call, p: Releasing) -> Any:
    return await call.services.network_apply.apply(
        call.identity, token=p.lock_token, release=p.release_lock, dryrun=call.dryrun
    )


@post(
    "/cluster/sdn/rollback",
    params=Releasing,
    allow=ALLOCATE,
    returns=NULL,
    cli="zone rollback",
    help="Give up what was changed of networks and not applied.",
)
async def rollback(call: Call, p: Releasing) -> None:
    await call.services.networks.roll_back(token=p.lock_token, by=call.identity.name)
    if p.release_lock and p.lock_token is not None:
        await call.services.networks.unlock(p.lock_token)


@post(
    "/cluster/sdn/lock",
    params=Lock,
    allow=ALLOCATE,
    returns=TEXT,
    help="Keep others from changing what is defined of networks; the token is for one's own changes.",
)
async def lock(call: Call, p: Lock) -> str:
    return await call.services.networks.lock(allow_pending=p.allow_pending)


@delete("/cluster/sdn/lock", params=Unlock, allow=ALLOCATE, returns=NULL, help="Give up the lock.")
async def unlock(call: Call, p: Unlock) -> None:
    await call.services.networks.unlock(p.lock_token, force=p.force)


# -- zones -------------------------------------------------------------------------------------------------------


@get(
    "/cluster/sdn/zones",
    params=Zones,
    allow=Allow.login,
    returns=LIST,
    cli="zone list",
    help="The zones that the caller may see.",
)
async def zones(call: Call, p: Zones) -> list[dict[str, Any]]:
    rows = call.services.networks.rows("zones", pending=p.pending, running=p.running)
    return [
        row
        for row in rows
        if call.services.network_views.sees_zone(call.identity, row["zone"]) and p.type in (None, row["type"])
    ]


@post(
    "/cluster/sdn/zones",
    params=CreateZone,
    config=ZoneOptions,
    allow=Allow("/sdn/zones", "SDN.Allocate"),
    returns=NULL,
    cli="zone add {zone}",
    help="Define a zone; it is there once it is applied.",
)
async def create(call: Call, p: CreateZone) -> None:
    await call.services.networks.create(
        "zones", p.zone, {"type": p.type, **call.config}, token=p.lock_token, by=call.identity.name
    )


@get(
    "/cluster/sdn/zones/{zone}",
    params=ShowZone,
    allow=Allow("/sdn/zones/{zone}", "SDN.Allocate"),
    returns=OBJECT,
    cli="zone show {zone}",
    help="A zone's definition.",
)
async def zone(call: Call, p: ShowZone) -> Any:
    return call.services.networks.row("zones", p.zone, pending=p.pending, running=p.running)


@put(
    "/cluster/sdn/zones/{zone}",
    params=ChangeZone,
    config=ZoneOptions,
    allow=Allow("/sdn/zones/{zone}", "SDN.Allocate"),
    returns=NULL,
    cli="zone set {zone}",
    help="Change a zone's definition.",
)
async def update(call: Call, p: ChangeZone) -> None:
    await call.services.networks.update(
        "zones", p.zone, call.config, delete=p.delete, digest=p.digest, token=p.lock_token, by=call.identity.name
    )


@delete(
    "/cluster/sdn/zones/{zone}",
    params=RemoveZone,
    allow=Allow("/sdn/zones/{zone}", "SDN.Allocate"),
    returns=NULL,
    cli="zone remove {zone}",
    help="Remove a zone's definition; it must have no virtual networks.",
)
async def remove(call: Call, p: RemoveZone) -> None:
    await call.services.networks.delete("zones", p.zone, token=p.lock_token, by=call.identity.name)


# -- on a node ---------------------------------------------------------------------------------------------------


@get("/nodes/{node}/sdn/zones", params=Node, allow=Allow.login, returns=LIST, help="How the zones stand on a node.")
async def on_node(call: Call, p: Node) -> list[dict[str, Any]]:
    return call.services.network_views.zones(call.identity)


@get(
    "/nodes/{node}/sdn/zones/{zone}/content",
    params=OnNode,
    allow=AUDIT_ZONE,
    returns=LIST,
    cli="zone status {zone}",
    help="How a zone's virtual networks stand on a node.",
)
async def content(call: Call, p: OnNode) -> list[dict[str, Any]]:
    return call.services.network_views.content(p.zone)


@dataclass(frozen=True, kw_only=True)
class Bridges(Node):
    zone: str = setting(max_length=100, help="The zone.")


@get(
    "/nodes/{node}/sdn/zones/{zone}/bridges",
    params=Bridges,
    allow=AUDIT_ZONE,
    returns=LIST,
    help="The bridges of a zone's networks, with what is on them.",
)
async def bridges(call: Call, p: Bridges) -> list[dict[str, Any]]:
    return call.services.network_views.bridges(p.zone)
