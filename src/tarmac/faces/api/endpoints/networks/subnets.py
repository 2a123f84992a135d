"""Subnets of virtual networks: their addresses, gateway and what DHCP gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tarmac.faces.api.declare import LIST, NULL, OBJECT, Allow, Call, delete, get, post, put
from tarmac.faces.api.endpoints.common import Changing
from tarmac.faces.api.endpoints.networks.staging import Locked, Staged
from tarmac.faces.api.endpoints.networks.vnets import OneVnet, ShowVnet
from tarmac.model.errors import InvalidInput
from tarmac.model.network_rules import subnet_id
from tarmac.model.networks import SubnetOptions
from tarmac.model.settings import setting
from tarmac.services.networks.views import SEE


@dataclass(frozen=True, kw_only=True)
class OneSubnet(OneVnet):
    subnet: str = setting(format="pve-sdn-subnet-id", help="The subnet's id: zone-10.0.0.0-24.")


@dataclass(frozen=True, kw_only=True)
class ShowSubnet(OneSubnet, Staged):
    pass


@dataclass(frozen=True, kw_only=True)
class CreateSubnet(OneVnet, Locked):
    subnet: str = setting(format="pve-sdn-subnet-id", help="The subnet: 10.0.0.0/24.")
    type: str = setting("subnet", choices=("subnet",), help="Always `subnet`.")


@dataclass(frozen=True, kw_only=True)
class ChangeSubnet(OneSubnet, Locked, Changing):
    pass


@dataclass(frozen=True, kw_only=True)
class RemoveSubnet(OneSubnet, Locked):
    pass


def _id(call: Call, p: OneSubnet) -> str:
    """A subnet's id. Raises InvalidInput for one of another virtual network: that is what rights were asked for."""
    networks = call.services.networks
    texts = networks.wanted.subnets.get(p.subnet) or networks.running.subnets.get(p.subnet)
    if texts is not None and texts["vnet"] != p.vnet:
        raise InvalidInput.of("vnet", "wrong vnet")
    return p.subnet


@get(
    "/cluster/sdn/vnets/{vnet}/subnets",
    params=ShowVnet,
    allow=Allow.login,
    returns=LIST,
    cli="subnet list {vnet}",
    help="A virtual network's subnets; it takes SDN.Audit or SDN.Allocate on it.",
)
async def subnets(call: Call, p: ShowVnet) -> list[dict[str, Any]]:
    call.services.network_views.check_vnet(call.identity, p.vnet, *SEE)
    rows = call.services.networks.rows("subnets", pending=p.pending, running=p.running)
    return [row for row in rows if row.get("vnet") == p.vnet]


@post(
    "/cluster/sdn/vnets/{vnet}/subnets",
    params=CreateSubnet,
    config=SubnetOptions,
    allow=Allow.login,
    returns=NULL,
    cli="subnet add {vnet} {subnet}",
    help="Define a subnet of a virtual network: 10.0.0.0/24. Takes SDN.Allocate on the network.",
)
async def create(call: Call, p: CreateSubnet) -> None:
    call.services.network_views.check_vnet(call.identity, p.vnet, "SDN.Allocate")
    if "/" not in p.subnet:
        raise InvalidInput.of("subnet", "value does not look like a valid CIDR network")
    id = subnet_id(call.services.networks.zone_of(p.vnet) or "", p.subnet)
    await call.services.networks.create(
        "subnets", id, {"vnet": p.vnet, **call.config}, token=p.lock_token, by=call.identity.name
    )


@get(
    "/cluster/sdn/vnets/{vnet}/subnets/{subnet}",
    params=ShowSubnet,
    allow=Allow.login,
    returns=OBJECT,
    cli="subnet show {vnet} {subnet}",
    help="A subnet's definition; it takes SDN.Audit or SDN.Allocate on its virtual network.",
)
async def subnet(call: Call, p: ShowSubnet) -> Any:
    call.services.network_views.check_vnet(call.identity, p.vnet, *SEE)
    return call.services.networks.row("subnets", _id(call, p), pending=p.pending, running=p.running)


@put(
    "/cluster/sdn/vnets/{vnet}/subnets/{subnet}",
    params=ChangeSubnet,
    config=SubnetOptions,
    allow=Allow.login,
    returns=NULL,
    cli="subnet set {vnet} {subnet}",
    help="Change a subnet's definition; it takes SDN.Allocate on its virtual network.",
)
async def update(call: Call, p: ChangeSubnet) -> None:
    call.services.network_views.check_vnet(call.identity, p.vnet, "SDN.Allocate")
    await call.services.networks.update(
        "subnets",
        _id(call, p),
        call.config,
        delete=p.delete,
        digest=p.digest,
        token=p.lock_token,
        by=call.identity.name,
    )


@delete(
    "/cluster/sdn/vnets/{vnet}/subnets/{subnet}",
    params=RemoveSubnet,
    allow=Allow.login,
    returns=NULL,
    cli="subnet remove {vnet} {subnet}",
    help="Remove a subnet's definition; no guest may have an address of it. Takes SDN.Allocate on its network.",
)
async def remove(call: Call, p: RemoveSubnet) -> None:
    call.services.network_views.check_vnet(call.identity, p.vnet, "SDN.Allocate")
    await call.services.networks.delete("subnets", _id(call, p), token=p.lock_token, by=call.identity.name)
