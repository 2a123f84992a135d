"""Virtual networks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tarmac.faces.api.declare import LIST, NULL, OBJECT, Allow, Call, delete, get, post, put
from tarmac.faces.api.endpoints.common import Changing
from tarmac.faces.api.endpoints.networks.staging import Locked, Staged
from tarmac.model.networks import VnetOptions
from tarmac.model.settings import setting
from tarmac.services.networks.views import SEE


@dataclass(frozen=True, kw_only=True)
class OneVnet:
    vnet: str = setting(format="pve-sdn-vnet-id", help="The virtual network: up to 8 letters and digits.")


@dataclass(frozen=True, kw_only=True)
class ShowVnet(OneVnet, Staged):
    pass


@dataclass(frozen=True, kw_only=True)
class CreateVnet(OneVnet, Locked):
    zone: str = setting(format="pve-sdn-zone-id", help="The zone it belongs to.")
    type: str | None = setting(None, choices=("vnet",), help="Always `vnet`.")


@dataclass(frozen=True, kw_only=True)
class ChangeVnet(OneVnet, Locked, Changing):
    pass


@dataclass(frozen=True, kw_only=True)
class RemoveVnet(OneVnet, Locked):
    pass


@get(
    "/cluster/sdn/vnets",
    params=Staged,
    allow=Allow.login,
    returns=LIST,
    cli="vnet list",
    help="The virtual networks that the caller may see.",
)
async def vnets(call: Call, p: Staged) -> list[dict[str, Any]]:
    rows = call.services.networks.rows("vnets", pending=p.pending, running=p.running)
    sees, zone_of = call.services.network_views.sees_vnet, call.services.networks.zone_of
    return [row for row in rows if sees(call.identity, zone_of(row["vnet"]) or "", row["vnet"])]


@post(
    "/cluster/sdn/vnets",
    params=CreateVnet,
    config=VnetOptions,
    allow=Allow("/sdn/zones/{zone}", "SDN.Allocate"),
    returns=NULL,
    cli="vnet add {vnet} {zone}",
    help="Define a virtual network; it is a bridge of this name once it is applied.",
)
async def create(call: Call, p: CreateVnet) -> None:
    await call.services.networks.create(
        "vnets", p.vnet, {**call.config, "zone": p.zone}, token=p.lock_token, by=call.identity.name
    )


@get(
    "/cluster/sdn/vnets/{vnet}",
    params=ShowVnet,
    allow=Allow.login,
    returns=OBJECT,
    cli="vnet show {vnet}",
    help="A virtual network's definition; it takes SDN.Audit or SDN.Allocate on /sdn/zones/{zone}/{vnet}.",
)
async def vnet(call: Call, p: ShowVnet) -> Any:
    call.services.network_views.check_vnet(call.identity, p.vnet, *SEE)
    return call.services.networks.row("vnets", p.vnet, pending=p.pending, running=p.running)


@put(
    "/cluster/sdn/vnets/{vnet}",
    params=ChangeVnet,
    config=VnetOptions,
    allow=Allow.login,
    returns=NULL,
    cli="vnet set {vnet}",
    help="Change a virtual network's definition; it takes SDN.Allocate on /sdn/zones/{zone}/{vnet}.",
)
async def update(call: Call, p: ChangeVnet) -> None:
    call.services.network_views.check_vnet(call.identity, p.vnet, "SDN.Allocate")
    if "zone" in call.config:  # nobody gives a network to a zone that is not his
        call.services.access.check(call.identity, f"/sdn/zones/{call.config['zone']}", ["SDN.Allocate"])
    await call.services.networks.update(
        "vnets", p.vnet, call.config, delete=p.delete, digest=p.digest, token=p.lock_token, by=call.identity.name
    )


@delete(
    "/cluster/sdn/vnets/{vnet}",
    params=RemoveVnet,
    allow=Allow.login,
    returns=NULL,
    cli="vnet remove {vnet}",
    help="Remove a virtual network's definition; it must have no subnets. Takes SDN.Allocate on it.",
)
async def remove(call: Call, p: RemoveVnet) -> None:
    call.services.network_views.check_vnet(call.identity, p.vnet, "SDN.Allocate")
    await call.services.networks.delete("vnets", p.vnet, token=p.lock_token, by=call.identity.name)
