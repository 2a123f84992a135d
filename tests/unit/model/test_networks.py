"""Zones, virtual networks and subnets as values: what is taken, what is refused, how it is shown."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tarmac.model.errors import InvalidInput, NotBuilt
from tarmac.model.formats import check_format
from tarmac.model.network_rules import Definitions, check, networks_of, shown, subnet_id, subnet_of, with_pending

RANGE = "start-address=10.0.0.10,end-address=10.0.0.12"
ZONE = {"type": "simple", "dhcp": "dnsmasq", "ipam": "pve"}
SUBNET = {"vnet": "v1", "gateway": "10.0.0.1", "dhcp-range": RANGE}


def all_of(
    zone: dict[str, str] | None = None, subnets: dict[str, dict[str, str]] | None = None, **vnets: dict[str, str]
) -> Definitions:
    subnets = {"z1-10.0.0.0-24": SUBNET} if subnets is None else subnets
    return Definitions({"z1": zone or ZONE}, vnets or {"v1": {"zone": "z1"}}, subnets)


@pytest.mark.parametrize(
    ("format", "text", "words"),
    [
        ("pve-sdn-zone-id", "toolongid", "zone ID 'toolongid' can't be more length than 8 characters"),
        ("pve-sdn-zone-id", "a", "illegal"),
        ("pve-sdn-zone-id", "1zone", "illegal"),
        ("pve-sdn-vnet-id", "v_1", "vnet ID 'v_1' contains illegal characters"),
        ("pve-sdn-vnet-id", "ninechars", "can't be more length than 8"),
        ("pve-sdn-subnet-id", "10.0.0.0", "valid CIDR"),
        ("pve-sdn-subnet-id", "z1-10.0.0.0", "valid CIDR"),
        ("pve-sdn-dhcp-range", "start-address=10.0.0.1", "end-address"),
        ("pve-sdn-dhcp-range", "start-address=x,end-address=10.0.0.1", "start-address"),
    ],
)
def test_wrong_words_are_refused_in_proxmoxs(format: str, text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        check_format(format, text)


@pytest.mark.parametrize(
    ("definitions", "key"),
    [
        (all_of(v1={"zone": "z2"}), "zone"),
        (all_of({**ZONE, "ipam": "netbox1"}), "ipam"),
        (all_of({**ZONE, "mtu": "100"}), "mtu"),
        (all_of(subnets={"z1-10.0.0.0-24": {**SUBNET, "gateway": "10.0.1.1"}}), "gateway"),
        (all_of(subnets={"z1-10.0.0.0-24": {**SUBNET, "gateway": "10.0.0.255"}}), "gateway"),
        (all_of(subnets={"z1-10.0.0.0-24": {"vnet": "v1", "dhcp-range": RANGE}}), "gateway"),
        (all_of(subnets={"z1-10.0.0.0-24": {**SUBNET, "dhcp-dns-server": "::1"}}), "dhcp-dns-server"),
        (all_of(subnets={"z1-10.0.0.1-24": SUBNET}), "subnet"),
        (all_of(subnets={"z1-10.0.0.0-31": {"vnet": "v1"}}), "subnet"),
        (all_of(subnets={"z9-10.0.0.0-24": SUBNET}), "zone"),
        (all_of(subnets={"z1-10.0.0.0-24": {**SUBNET, "vnet": "v9"}}), "vnet"),
        (all_of(subnets={"z1-10.0.0.0-24": SUBNET, "z1-10.0.0.0-16": {"vnet": "v1"}}), "subnet"),
        (all_of(subnets={"z1-10.0.0.0-24": {**SUBNET, "dhcp-range": f"{RANGE}\0{RANGE}"}}), "dhcp-range"),
        (
            all_of(subnets={"z1-10.0.0.0-24": {**SUBNET, "dhcp-range": "start-address=10.0.0.9,end-address=10.0.0.8"}}),
            "dhcp-range",
        ),
        (
            all_of(subnets={"z1-10.0.0.0-24": {**SUBNET, "dhcp-range": "start-address=10.0.0.9,end-address=10.0.1.8"}}),
            "dhcp-range",
        ),
    ],
)
def test_what_breaks_a_rule_is_named(definitions: Definitions, key: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        check(definitions)
    assert list(refused.value.parameters) == [key]


@pytest.mark.parametrize("definitions", [all_of({"type": "vxlan"}), all_of(subnets={"z1-fd00::-64": {"vnet": "v1"}})])
def test_what_is_not_built_is_refused_as_such(definitions: Definitions) -> None:
    with pytest.raises(NotBuilt):
        check(definitions)


def test_a_network_is_what_its_definitions_say() -> None:
    definitions = all_of({**ZONE, "mtu": "1400", "nodes": "n1,n2"})
    check(definitions)
    network = networks_of(definitions, "n1")["v1"]
    (subnet,) = network.serves
    assert (network.mtu, network.zone, str(subnet.gateway), subnet.size) == (1400, "z1", "10.0.0.1", 3)
    assert [str(ip) for ip in subnet.addresses()] == ["10.0.0.10", "10.0.0.11", "10.0.0.12"]
    assert networks_of(definitions, "n3") == {}
    assert networks_of(all_of({"type": "simple"}), "n1")["v1"].serves == ()


@given(first=st.integers(1, 254), length=st.integers(0, 60), gateway=st.integers(1, 254))
def test_addresses_are_as_many_as_it_says_and_never_the_gateways(first: int, length: int, gateway: int) -> None:
    last = min(254, first + length)
    texts = {
        "vnet": "v1",
        "gateway": f"10.0.0.{gateway}",
        "dhcp-range": f"start-address=10.0.0.{first},end-address=10.0.0.{last}",
    }
    subnet = subnet_of("z1-10.0.0.0-24", texts)
    found = list(subnet.addresses())
    assert len(found) == subnet.size == len(set(found))
    assert IPv4Address(f"10.0.0.{gateway}") not in found


def test_a_subnet_is_shown_as_proxmox_shows_it() -> None:
    assert subnet_id("z1", "10.0.0.0/24") == "z1-10.0.0.0-24"
    row = shown("subnets", "z1-10.0.0.0-24", SUBNET)
    assert row == {
        "subnet": "z1-10.0.0.0-24", "id": "z1-10.0.0.0-24", "type": "subnet", "vnet": "v1", "zone": "z1",
        "cidr": "10.0.0.0/24", "network": "10.0.0.0", "mask": "24", "gateway": "10.0.0.1",
        "dhcp-range": [{"start-address": "10.0.0.10", "end-address": "10.0.0.12"}],
    }  # fmt: skip


def test_what_waits_is_shown_as_proxmox_shows_it() -> None:
    zone = {"type": "simple", "mtu": "1400"}
    assert with_pending("zones", "z1", None, zone) == {
        "zone": "z1", "type": "simple", "state": "new", "pending": {"mtu": 1400},
    }  # fmt: skip
    assert with_pending("zones", "z1", zone, None)["state"] == "deleted"
    assert with_pending("zones", "z1", zone, zone) == {"zone": "z1", "type": "simple", "mtu": 1400}
    changed = with_pending("zones", "z1", zone, {"type": "simple", "dhcp": "dnsmasq"})
    assert (changed["state"], changed["mtu"]) == ("changed", 1400)
    assert changed["pending"] == {"dhcp": "dnsmasq", "mtu": "deleted"}
