"""The networks of this platform as one value: what is defined, what of it is in force, and which rules it keeps. Pure.

A definition is kept as texts, by its id: of a zone `type` and its options, of a virtual network `zone` and its options,
of a subnet `vnet` and its options. A subnet's id is made of its zone and network: `zone-10.0.0.0-24`.
"""

from __future__ import annotations

import hashlib
import ipaddress
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from tarmac.model.errors import Fix, InvalidInput, NotBuilt
from tarmac.model.networks import IPAM, OPTIONS, ZONE_TYPES, DhcpRange
from tarmac.model.parse import parse_property_string, parse_value
from tarmac.model.settings import find_setting

Texts = Mapping[str, str]
KINDS = ("zones", "vnets", "subnets")
NOUNS = {"zones": "zone", "vnets": "vnet", "subnets": "subnet"}
SMALLEST_MTU, LARGEST_MTU = 576, 65_520
LONGEST_PREFIX = 30


@dataclass(frozen=True, slots=True)
class Definitions:
    """All definitions, by kind and id. `version` counts how often they were brought into force."""

    zones: Mapping[str, Texts]
    vnets: Mapping[str, Texts]
    subnets: Mapping[str, Texts]
    version: int = 0

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Definitions:
        """From the form that `record` gives."""
        zones, vnets, subnets = (dict(record.get(kind, {})) for kind in KINDS)
        return cls(zones, vnets, subnets, version=int(record.get("version", 0)))

    def record(self) -> dict[str, Any]:
        return {**{kind: self.all(kind) for kind in KINDS}, "version": self.version}

    def all(self, kind: str) -> dict[str, dict[str, str]]:
        return {id: dict(texts) for id, texts in getattr(self, kind).items()}

    def changed(self, kind: str, id: str, texts: Texts | None) -> Definitions:
        """With another definition; None: without it."""
        kinds = {name: self.all(name) for name in KINDS}
        if texts is None:
            kinds[kind].pop(id, None)
        else:
            kinds[kind][id] = dict(texts)
        return Definitions(**kinds, version=self.version)

    def digest(self, kind: str) -> str:
        """SHA-1 over all definitions of a kind."""
        text = json.dumps(self.all(kind), sort_keys=True)
        return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


NOTHING = Definitions({}, {}, {})


@dataclass(frozen=True, slots=True, kw_only=True)
class Subnet:
    """`ranges`: the first and last addresses that guests are given."""

    id: str
    network: IPv4Network
    gateway: IPv4Address | None
    ranges: tuple[tuple[IPv4Address, IPv4Address], ...]
    dns: IPv4Address | None

    def addresses(self) -> Iterator[IPv4Address]:
        """What guests may get, lowest first."""
        for first, last in self.ranges:
            for number in range(int(first), int(last) + 1):
                if (address := IPv4Address(number)) != self.gateway:
                    yield address

    @property
    def size(self) -> int:
        """How many addresses that is."""
        return sum(
            int(last) - int(first) + 1 - (self.gateway is not None and first <= self.gateway <= last)
            for first, last in self.ranges
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """One virtual network with what it has of its zone; `dhcp`: its guests are given addresses."""

    vnet: str
    zone: str
    mtu: int | None
    dhcp: bool
    subnets: tuple[Subnet, ...]

    @property
    def serves(self) -> tuple[Subnet, ...]:
        """The subnets in which guests are given addresses."""
        return tuple(s for s in self.subnets if s.ranges) if self.dhcp else ()


def subnet_id(zone: str, cidr: str) -> str:
    return f"{zone}-{cidr.replace('/', '-')}"


def cidr_of(id: str) -> str:
    """The network of a subnet's id."""
    return "/".join(id.rsplit("-", 2)[1:])


def networks_of(definitions: Definitions, node: str) -> dict[str, Network]:
    """The virtual networks that this node has, by their names."""
    found = {}
    for vnet, texts in definitions.vnets.items():
        zone = definitions.zones[texts["zone"]]
        nodes = parse_value(_setting("zones", "nodes"), zone.get("nodes", ""))
        if nodes and node not in nodes:
            continue
        subnets = [subnet_of(id, s) for id, s in definitions.subnets.items() if s["vnet"] == vnet]
        found[vnet] = Network(
            vnet=vnet,
            zone=texts["zone"],
            mtu=int(zone["mtu"]) if "mtu" in zone else None,
            dhcp="dhcp" in zone,
            subnets=tuple(sorted(subnets, key=lambda s: s.network)),
        )
    return found


def subnet_of(id: str, texts: Texts) -> Subnet:
    """A subnet's value. Raises InvalidInput that names what is wrong."""
    network = _network(cidr_of(id))
    gateway = _address("gateway", texts)
    if gateway is not None:
        _check_inside("gateway", f"{gateway} is not in subnet {network}", gateway, network)
    return Subnet(
        id=id,
        network=network,
        gateway=gateway,
        ranges=_ranges(texts.get("dhcp-range", ""), network),
        dns=_address("dhcp-dns-server", texts),
    )


def _network(cidr: str) -> IPv4Network:
    network = ipaddress.ip_network(cidr, strict=False)
    if isinstance(network, ipaddress.IPv6Network):
        raise NotBuilt("subnets of IPv6 are not built yet", evidence=f"subnet: {cidr}")
    if str(network) != cidr:
        raise InvalidInput.of("subnet", f"{cidr} is no network: that is {network}")
    if network.prefixlen > LONGEST_PREFIX:
        raise InvalidInput.of("subnet", f"{cidr} has no room for guests: at most /{LONGEST_PREFIX}")
    return network


def _address(key: str, texts: Texts) -> IPv4Address | None:
    if key not in texts:
        return None
    address = ipaddress.ip_address(texts[key])
    if isinstance(address, ipaddress.IPv6Address):
        raise InvalidInput.of(key, "addresses of IPv6 are not built yet", code="not-built")
    return address


def _check_inside(key: str, words: str, address: IPv4Address, network: IPv4Network) -> None:
    if address not in network:
        raise InvalidInput.of(key, words)
    if address in (network.network_address, network.broadcast_address):
        raise InvalidInput.of(key, f"{address} is the address of the subnet itself, or its broadcast address")


def split_ranges(text: str) -> list[dict[str, str]]:
    """The kept text of `dhcp-range` as Proxmox shows it."""
    ranges = [parse_property_string(DhcpRange, part) for part in text.split("\0") if part]
    return [{"start-address": one.start, "end-address": one.end} for one in ranges]


def _ranges(text: str, network: IPv4Network) -> tuple[tuple[IPv4Address, IPv4Address], ...]:
    found: list[tuple[IPv4Address, IPv4Address]] = []
    for one in split_ranges(text):
        first, last = (_address(key, one) for key in ("start-address", "end-address"))
        assert first is not None and last is not None
        if first > last:
            raise InvalidInput.of("dhcp-range", f"start-address {first} must be smaller than end-address {last}")
        for key, address in (("start-address", first), ("end-address", last)):
            _check_inside("dhcp-range", f"{key} {address} is not in subnet {network}", address, network)
        if any(first <= end and begin <= last for begin, end in found):
            raise InvalidInput.of("dhcp-range", "dhcp ranges must not overlap")
        found.append((first, last))
    return tuple(sorted(found))


def check(definitions: Definitions) -> None:
    """The rules that all definitions keep together. Raises InvalidInput and NotBuilt that name what breaks them."""
    for texts in definitions.zones.values():
        _check_zone(texts)
    for vnet, texts in definitions.vnets.items():
        if texts.get("zone") not in definitions.zones:
            raise InvalidInput.of("zone", f"zone '{texts.get('zone')}' of vnet '{vnet}' does not exist")
    known: list[Subnet] = []
    for id, texts in definitions.subnets.items():
        vnet = texts.get("vnet", "")
        if vnet not in definitions.vnets:
            raise InvalidInput.of("vnet", f"{vnet} don't exist")
        zone = definitions.vnets[vnet]["zone"]
        if id != subnet_id(zone, cidr_of(id)):
            raise InvalidInput.of("zone", "can't change zone if subnets exist")
        subnet = subnet_of(id, texts)
        if "dhcp" in definitions.zones[zone] and subnet.ranges and subnet.gateway is None:
            raise InvalidInput.of("gateway", f"subnet {id} needs one: its guests are told it, and served from it")
        if other := next((s for s in known if s.network.overlaps(subnet.network)), None):
            # One host routes for all zones of the type simple.
            raise InvalidInput.of("subnet", f"{subnet.network} overlaps {other.network} (subnet {other.id})")
        known.append(subnet)


def _check_zone(texts: Texts) -> None:
    kind = texts.get("type", "")
    if kind != "simple":
        raise NotBuilt(
            f"zones of type '{kind}' are not built yet",
            code="zone-type",
            evidence=f"type: {kind}; Proxmox has {', '.join(ZONE_TYPES)}",
            fixes=[Fix(text="use a zone of type simple", parameters={"type": "simple"})],
        )
    if texts.get("ipam", IPAM) != IPAM:
        raise InvalidInput.of("ipam", f"sdn '{texts['ipam']}' does not exist; there is '{IPAM}'")
    if "mtu" in texts and not SMALLEST_MTU <= int(texts["mtu"]) <= LARGEST_MTU:
        raise InvalidInput.of("mtu", f"value must be from {SMALLEST_MTU} to {LARGEST_MTU}")


# -- how they are shown ------------------------------------------------------------------------------------------


def _setting(kind: str, key: str) -> Any:
    found = find_setting(OPTIONS[kind], key)
    assert found is not None, key
    return found[0]


def shown(kind: str, id: str, texts: Texts) -> dict[str, Any]:
    """A definition as the API gives it, without `digest`."""
    row: dict[str, Any] = {NOUNS[kind]: id, "type": texts.get("type", NOUNS[kind])}
    row |= {key: _shown_value(kind, key, text) for key, text in texts.items() if key != "type"}
    if kind == "subnets":
        cidr = cidr_of(id)
        network, _, mask = cidr.partition("/")
        row |= {"id": id, "cidr": cidr, "network": network, "mask": mask, "zone": id.rsplit("-", 2)[0]}
        row.setdefault("dhcp-range", [])
    return row


def _shown_value(kind: str, key: str, text: str) -> Any:
    if key == "dhcp-range":
        return split_ranges(text)
    found = find_setting(OPTIONS[kind], key)
    return int(text) if found is not None and found[0].kind in ("boolean", "integer") else text


def with_pending(kind: str, id: str, running: Texts | None, wanted: Texts | None) -> dict[str, Any]:
    """A definition with what waits to be applied, as Proxmox has it: the values in force, `state`, and in `pending`
    the other ones (`deleted` for a key that goes)."""
    if wanted is None:
        assert running is not None
        return {**shown(kind, id, running), "state": "deleted", "pending": {}}
    fixed = ("type", "vnet") if kind == "subnets" else ("type",)
    base = {key: text for key, text in wanted.items() if key in fixed} if running is None else running
    row = shown(kind, id, base)
    new = {key: _shown_value(kind, key, text) for key, text in wanted.items() if key not in fixed}
    if running is None:
        return {**row, "state": "new", "pending": new}
    waits = {key: value for key, value in new.items() if running.get(key) != wanted[key]}
    waits |= {key: "deleted" for key in running if key not in wanted}
    return {**row, "state": "changed", "pending": waits} if waits else row
