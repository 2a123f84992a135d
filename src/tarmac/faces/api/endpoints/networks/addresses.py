"""Addresses of networks: reserved by hand, and whose is which (Proxmox's ipam `pve`, the only one)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tarmac.faces.api.declare import LIST, NULL, OBJECT, Allow, Call, delete, get, post, put
from tarmac.model.errors import Fix, InvalidInput, NotFound
from tarmac.model.networks import IPAM, IPAM_TYPES
from tarmac.model.settings import setting

ALLOCATE = Allow("/sdn/zones/{zone}/{vnet}", "SDN.Allocate")
IPS = "/cluster/sdn/vnets/{vnet}/ips"


@dataclass(frozen=True, kw_only=True)
class Reservation:
    vnet: str = setting(format="pve-sdn-vnet-id", help="The virtual network.")
    zone: str = setting(format="pve-sdn-zone-id", help="The zone it belongs to.")
    ip: str = setting(format="ip", help="The address.")
    mac: str | None = setting(None, format="mac-addr", help="The card that it is for.")


@dataclass(frozen=True, kw_only=True)
class Move(Reservation):
    vmid: int | None = setting(None, ge=100, le=999_999_999, help="The guest whose card that is.")


@dataclass(frozen=True, kw_only=True)
class Ipams:
    type: str | None = setting(None, choices=IPAM_TYPES, help="Only address plans of this type.")


@dataclass(frozen=True, kw_only=True)
class Ipam:
    ipam: str = setting(format="pve-sdn-ipam-id", help="The address plan: `pve`.")


def _check(call: Call, p: Reservation) -> str:
    """The right is asked for on the zone that the call names, so it must be the network's. Returns the card."""
    if call.services.networks.zone_of(p.vnet) != p.zone:
        raise InvalidInput.of("zone", f"vnet '{p.vnet}' is not in zone '{p.zone}'")
    if p.mac is None:
        raise InvalidInput.of("mac", "it is needed: addresses are given by MAC address")
    return p.mac


@post(IPS, params=Reservation, allow=ALLOCATE, returns=NULL, cli="vnet reserve {vnet}", help="Reserve an address.")
async def reserve(call: Call, p: Reservation) -> None:
    await call.services.addresses.add(p.vnet, p.ip, _check(call, p))


@put(
    IPS,
    params=Move,
    allow=ALLOCATE,
    returns=NULL,
    cli="vnet move-address {vnet}",
    help="Give a card another address; a running guest takes it when it asks again.",
)
async def move(call: Call, p: Move) -> None:
    guest = call.services.guests.get(p.vmid) if p.vmid is not None else None
    mac = _check(call, p)
    name = "" if guest is None else guest.config.name or ""
    await call.services.addresses.move(p.vnet, mac, p.ip, vmid=p.vmid, name=name)


@delete(
    IPS,
    params=Reservation,
    allow=ALLOCATE,
    returns=NULL,
    cli="vnet give-back {vnet}",
    help="Give back an address that was reserved by hand.",
)
async def give_back(call: Call, p: Reservation) -> None:
    if call.services.networks.zone_of(p.vnet) != p.zone:
        raise InvalidInput.of("zone", f"vnet '{p.vnet}' is not in zone '{p.zone}'")
    await call.services.addresses.give_back(p.vnet, p.ip, p.mac)


@get("/cluster/sdn/ipams", params=Ipams, allow=Allow.login, returns=LIST, help="The address plans: `pve`.")
async def ipams(call: Call, p: Ipams) -> list[dict[str, str]]:
    path, privileges = f"/sdn/ipams/{IPAM}", ["SDN.Audit", "SDN.Allocate"]
    if p.type not in (None, IPAM) or not call.services.access.allowed(call.identity, path, privileges, any=True):
        return []
    return [{"ipam": IPAM, "type": IPAM}]


@get(
    "/cluster/sdn/ipams/{ipam}",
    params=Ipam,
    allow=Allow("/sdn/ipams/{ipam}", "SDN.Allocate"),
    returns=OBJECT,
    help="An address plan.",
)
async def ipam(call: Call, p: Ipam) -> dict[str, str]:
    _known(p.ipam)
    return {"ipam": IPAM, "type": IPAM}


@get(
    "/cluster/sdn/ipams/{ipam}/status",
    params=Ipam,
    allow=Allow.login,
    returns=LIST,
    cli="vnet addresses {ipam}",
    help="Whose address is which, on the networks that the caller may see; `expires` where it is leased.",
)
async def status(call: Call, p: Ipam) -> list[dict[str, Any]]:
    _known(p.ipam)
    return call.services.network_views.addresses(call.identity)


def _known(name: str) -> None:
    if name != IPAM:
        raise NotFound(
            f"sdn '{name}' does not exist",
            code="no-such-ipam",
            cause=f"there is one plan of addresses, the platform's own: {IPAM}",
            evidence=f"ipam: {name}",
            fixes=[Fix(text="use it", action=f"GET /cluster/sdn/ipams/{IPAM}/status")],
        )
