"""What dnsmasq is told, and that it takes it."""

from __future__ import annotations

import subprocess
from ipaddress import IPv4Address
from pathlib import Path

from tarmac.drivers.network.dnsmasq import Dnsmasq, Host, configuration, host_lines
from tarmac.model.network_rules import Definitions, networks_of

RANGE = "start-address=10.0.0.10,end-address=10.0.0.12"


def network(**zone: str):  # type: ignore[no-untyped-def]
    subnet = {"vnet": "v1", "gateway": "10.0.0.1", "dhcp-range": RANGE, "dhcp-dns-server": "10.0.0.53"}
    zones = {"z1": {"type": "simple", "dhcp": "dnsmasq", **zone}}
    return networks_of(Definitions(zones, {"v1": {"zone": "z1"}}, {"z1-10.0.0.0-24": subnet}), "n1")["v1"]


def test_the_configuration_is_taken_and_says_what_it_must(tmp_path: Path) -> None:
    text = configuration(network(mtu="1400"), tmp_path)
    (tmp_path / "dnsmasq.conf").write_text(text)
    done = subprocess.run(
        ["dnsmasq", "--test", f"--conf-file={tmp_path}/dnsmasq.conf"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    lines = text.splitlines()
    for needed in (
        "interface=v1", "bind-interfaces", "no-resolv", "dhcp-ignore-clid", "dhcp-ignore=tag:!known",
        "dhcp-ignore-names", "dhcp-range=set:z1-10.0.0.0-24,10.0.0.0,static,255.255.255.0,24h",
        "dhcp-option=tag:z1-10.0.0.0-24,option:router,10.0.0.1", "dhcp-option=26,1400",
        "dhcp-option=tag:z1-10.0.0.0-24,option:dns-server,10.0.0.53",
    ):  # fmt: skip
        assert needed in lines


def test_names_that_guests_must_not_have_are_left_out() -> None:
    names = ["web", "WEB", "wpad", "Gateway", "n1", "localhost", "a b", "x" * 70, "db.example.org", "-x", "", "x\ny"]
    hosts = [
        Host(mac=f"BC:24:11:00:00:{n:02X}", ip=IPv4Address(f"10.0.0.{n}"), name=name) for n, name in enumerate(names)
    ]
    lines = host_lines(hosts, ["n1"]).splitlines()
    assert len(lines) == len(names)
    assert [line.split(",")[2] for line in lines if line.count(",") == 2] == ["web", "db"]
    assert lines[0] == "bc:24:11:00:00:00,10.0.0.0,web"


def test_leases_are_read_and_those_of_others_are_stale(tmp_path: Path) -> None:
    dhcp = Dnsmasq(tmp_path)
    (tmp_path / "v1").mkdir()
    leases = tmp_path / "v1" / "leases"
    leases.write_text(
        "1700000000 bc:24:11:00:00:01 10.0.0.10 web 01:bc\n0 bc:24:11:00:00:02 10.0.0.11 * *\nduid 00:01\n"
    )
    assert [(lease.ip, lease.mac, lease.expires) for lease in dhcp.leases("v1")] == [
        ("10.0.0.10", "BC:24:11:00:00:01", 1_700_000_000), ("10.0.0.11", "BC:24:11:00:00:02", 0),
    ]  # fmt: skip
    mine = [Host(mac="BC:24:11:00:00:01", ip=IPv4Address("10.0.0.10"))]
    assert dhcp._stale("v1", mine)
    dhcp._keep_leases("v1", mine)
    assert [lease.ip for lease in dhcp.leases("v1")] == ["10.0.0.10"] and not dhcp._stale("v1", mine)
    assert dhcp.strays(["v2"]) == ["v1"] and not dhcp.alive("v1")
