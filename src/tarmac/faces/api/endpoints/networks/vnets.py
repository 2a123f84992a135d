"""Virtual networks, their subnets, and the addresses that are reserved on them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tarmac.faces.api.declare import LIST, NULL, OBJECT, Allow, Call, delete, get, post, put
from tarmac.faces.api.endpoints.networks.zones import Locked, Staged
from tarmac.model.errors import InvalidInput
from tarmac.model.network_rules import subnet_id
from tarmac.model.networks import SubnetOptions, VnetOptions
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
class ChangeVnet(OneVnet, Locked):
    delete: tuple[str, ...] = setting((), format="pve-configid", max_length=4096, help="Keys to remove.")
    digest: str | None = setting(None, max_length=64, help="Only if the definitions still have this digest.")


@dataclass(frozen=True, kw_only=True)
class RemoveVnet(OneVnet, Locked):
    pass


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
class ChangeSubnet(OneSubnet, Locked):
    delete: tuple[str, ...] = setting((), format="pve-configid", max_length=4096, help="Keys to remove.")
    digest: str | None = setting(None, max_length=64, help="Only if the definitions still have this digest.")


@dataclass(frozen=True, kw_only=True)
class RemoveSubnet(OneSubnet, Locked):
    pass


# -- virtual networks --------------------------------------------------------------------------------------------


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


# -- subnets -----------------------------------------------------------------------------------------------------


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
async def create_subnet(call: Call, p: CreateSubnet) -> None:
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
async def update_subnet(call: Call, p: ChangeSubnet) -> None:
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
async def remove_subnet(call: Call, p: RemoveSubnet) -> None:
    call.services.network_views.check_vnet(call.identity, p.vnet, "SDN.Allocate")
    await call.services.networks.delete("subnets", _id(call, p), token=p.lock_token, by=call.identity.name)
