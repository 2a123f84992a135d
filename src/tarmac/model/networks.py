"""Zones, virtual networks and subnets as they are configured: Proxmox's SDN, of which zones of the type `simple` are
built: a bridge of the virtual network's name with the gateway's address, and DHCP on it by reservations.

Source of keys, formats and words: PVE::Network::SDN of Proxmox VE 9.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Any

from tarmac.model.formats import FORMATS, register
from tarmac.model.parse import parse_property_string
from tarmac.model.settings import setting

ZONE_TYPES = ("evpn", "faucet", "qinq", "simple", "vlan", "vxlan")
IPAM_TYPES = ("netbox", "phpipam", "pve")
IPAM = "pve"
"""The one plan of addresses that there is."""
_ID = re.compile(r"[a-z][a-z0-9]*[a-z0-9]", re.IGNORECASE | re.ASCII)
LONGEST_ID = 8


def _check_id(noun: str, text: str) -> None:
    if not _ID.fullmatch(text):
        raise ValueError(f"{noun} ID '{text[:40]}' contains illegal characters")
    if len(text) > LONGEST_ID:
        raise ValueError(f"{noun} ID '{text[:40]}' can't be more length than {LONGEST_ID} characters")


@register("pve-sdn-zone-id")
def _zone_id(text: str) -> None:
    _check_id("zone", text)


@register("pve-sdn-vnet-id")
def _vnet_id(text: str) -> None:
    _check_id("vnet", text)


@register("pve-sdn-ipam-id")
def _ipam_id(text: str) -> None:
    FORMATS["pve-configid"](text)


@register("pve-sdn-subnet-id")
def _subnet_id(text: str) -> None:
    """A network (`10.0.0.0/24`), or the id that is made of it (`zone-10.0.0.0-24`)."""
    cidr = text if "/" in text else "/".join(text.split("-")[1:])
    try:
        ipaddress.ip_network(cidr, strict=False)
    except ValueError:
        raise ValueError("value does not look like a valid CIDR network") from None
    if "/" not in cidr:
        raise ValueError("value does not look like a valid CIDR network")


@dataclass(frozen=True, kw_only=True)
class DhcpRange:
    """Addresses that guests are given, both ends included."""

    start: str = setting(name="start-address", format="ip", help="The first address.")
    end: str = setting(name="end-address", format="ip", help="The last address.")


@register("pve-sdn-dhcp-range")
def _dhcp_range(text: str) -> None:
    parse_property_string(DhcpRange, text)


def _later(kind: Any = None, **limits: Any) -> Any:
    """A key of Proxmox's that this version knows and does not have."""
    return setting(kind, built=False, help=limits.pop("help", "Of zones of other types."), **limits)


@dataclass(frozen=True, kw_only=True)
class ZoneOptions:
    """What can be changed of a zone."""

    dhcp: str | None = setting(None, choices=("dnsmasq",), help="Give guests their addresses, by this program.")
    ipam: str | None = setting(None, max_length=100, help="The plan of addresses: `pve`, the platform's own.")
    mtu: int | None = setting(None, unit="bytes", help="Largest packet of its networks (576 to 65520).")
    nodes: tuple[str, ...] = setting((), format="pve-node", help="Only on these nodes.")
    advertise_subnets: bool | None = _later(name="advertise-subnets")
    bridge: str | None = _later()
    bridge_disable_mac_learning: bool | None = _later(name="bridge-disable-mac-learning")
    controller: str | None = _later()
    disable_arp_nd_suppression: bool | None = _later(name="disable-arp-nd-suppression")
    dns: str | None = _later()
    dnszone: str | None = _later(format="dns-name")
    dp_id: int | None = _later(name="dp-id")
    exitnodes: tuple[str, ...] = _later((), format="pve-node")
    exitnodes_local_routing: bool | None = _later(name="exitnodes-local-routing")
    exitnodes_primary: str | None = _later(name="exitnodes-primary", format="pve-node")
    fabric: str | None = _later()
    mac: str | None = _later(format="mac-addr")
    peers: tuple[str, ...] = _later((), format="ip")
    reversedns: str | None = _later()
    rt_import: str | None = _later(name="rt-import")
    tag: int | None = _later(ge=0)
    vlan_protocol: str | None = _later(name="vlan-protocol", choices=("802.1q", "802.1ad"))
    vrf_vxlan: int | None = _later(name="vrf-vxlan", ge=1, le=16_777_215)
    vxlan_port: int | None = _later(name="vxlan-port", ge=1, le=65_536)


@dataclass(frozen=True, kw_only=True)
class VnetOptions:
    """What can be changed of a virtual network."""

    zone: str | None = setting(None, format="pve-sdn-zone-id", help="The zone it belongs to.")
    alias: str | None = setting(None, max_length=256, pattern=r"[()\-_.\w\d\s]{0,256}", help="A name for people.")
    isolate_ports: bool = setting(False, name="isolate-ports", built=False, help="Keep its guests from each other.")
    tag: int | None = _later(ge=1, le=16_777_215)
    vlanaware: bool = setting(False, built=False, help="Let VLANs pass.")


@dataclass(frozen=True, kw_only=True)
class SubnetOptions:
    """What can be changed of a subnet."""

    gateway: str | None = setting(None, format="ip", help="The host's own address in it, which guests are told.")
    dhcp_range: tuple[str, ...] = setting(
        (),
        name="dhcp-range",
        array=True,
        format="pve-sdn-dhcp-range",
        help="Addresses for guests: start-address=10.0.0.10,end-address=10.0.0.99.",
    )
    dhcp_dns_server: str | None = setting(
        None, name="dhcp-dns-server", format="ip", default_text="the gateway", help="The name server guests are told."
    )
    snat: bool = setting(False, built=False, help="Let its guests out under the host's address.")
    dnszoneprefix: str | None = _later(format="dns-name", help="In front of the zone's domain.")


OPTIONS: dict[str, type] = {"zones": ZoneOptions, "vnets": VnetOptions, "subnets": SubnetOptions}
