"""Networks of our own: a zone with DHCP, applied in a network namespace that is gone with the test."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from support.daemon import ApiError, TestDaemon, eventually, test_daemon

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root may make bridges")
ALONE = (
    "mount --rbind /sys/fs/cgroup /mnt && mount -t sysfs sysfs /sys && mount --rbind /mnt /sys/fs/cgroup && "
    'ip link set lo up && exec "$@"'
)
WRAPPER = ("unshare", "--net", "--mount", "sh", "-c", ALONE, "sh")
SDN = "/cluster/sdn"
IPS = f"{SDN}/vnets/v1/ips"
STATUS = f"{SDN}/ipams/pve/status"


class Networks:
    """A daemon in a network namespace that outlives it."""

    def __init__(self, daemon: TestDaemon) -> None:
        self.daemon = daemon
        assert daemon.process is not None
        # Whoever holds it: the daemon is killed in tests.
        self._holder = subprocess.Popen(["nsenter", "-t", str(daemon.process.pid), "-n", "-m", "sleep", "infinity"])
        self.inside = ("nsenter", "-t", str(self._holder.pid), "-n", "-m")

    def close(self) -> None:
        self._holder.kill()
        self._holder.wait()

    def ip(self, *words: str) -> str:
        return subprocess.run([*self.inside, "ip", *words], capture_output=True, text=True, check=True).stdout

    def links(self) -> set[str]:
        return {line.split(":")[1].strip().split("@")[0] for line in self.ip("-o", "link").splitlines()}

    def restart(self) -> None:
        self.daemon.restart(wrapper=self.inside)

    def apply(self) -> dict[str, Any]:
        return self.daemon.task("PUT", SDN)

    def define(self, last: str = "10.77.0.40", vnet: str = "v1", net: str = "10.77.0", zone: str = "z1") -> None:
        daemon = self.daemon
        if zone not in {row["zone"] for row in daemon.get(f"{SDN}/zones")}:
            daemon.post(f"{SDN}/zones", zone=zone, type="simple", dhcp="dnsmasq", ipam="pve")
        daemon.post(f"{SDN}/vnets", vnet=vnet, zone=zone)
        daemon.call(
            "POST", f"{SDN}/vnets/{vnet}/subnets", subnet=f"{net}.0/24", type="subnet", gateway=f"{net}.1",
            **{"dhcp-range": f"start-address={net}.10,end-address={last}"},
        )  # fmt: skip

    def addresses(self) -> dict[int, str]:
        return {row["vmid"]: row["ip"] for row in self.daemon.get(STATUS) if "vmid" in row}

    def undefine(self) -> None:
        daemon = self.daemon
        for row in daemon.get(f"{SDN}/vnets"):
            for subnet in daemon.get(f"{SDN}/vnets/{row['vnet']}/subnets"):
                daemon.delete(f"{SDN}/vnets/{row['vnet']}/subnets/{subnet['subnet']}")
            daemon.delete(f"{SDN}/vnets/{row['vnet']}")
        for row in daemon.get(f"{SDN}/zones"):
            daemon.delete(f"{SDN}/zones/{row['zone']}")
        self.apply()


@pytest.fixture
def networks() -> Iterator[Networks]:
    """Without definitions before and after; nothing of it is left in the end."""
    with test_daemon(wrapper=WRAPPER) as daemon:
        held = Networks(daemon)
        try:
            yield held
        finally:
            held.close()
    assert daemon.dhcp_pids() == {}


def test_a_zone_is_defined_applied_kept_and_taken_away(networks: Networks) -> None:
    daemon = networks.daemon
    networks.define()
    (zone,) = daemon.get(f"{SDN}/zones", pending=1)
    assert (zone["state"], zone["pending"]["dhcp"]) == ("new", "dnsmasq")
    assert daemon.get(f"{SDN}/zones", running=1) == [] and "v1" not in networks.links()
    plan = daemon.reply("PUT", SDN, dryrun=1)["data"]
    assert [step["step"] for step in plan["steps"]] == ["network-put", "networks-enforce", "networks-addresses"]
    networks.apply()
    assert "inet 10.77.0.1/24" in networks.ip("addr", "show", "dev", "v1")
    assert [len(pids) for pids in daemon.dhcp_pids().values()] == [1]
    assert daemon.get("/cluster/resources", type="sdn") == [
        {"id": "sdn/n1/z1", "type": "sdn", "sdn": "z1", "node": "n1", "status": "available"}
    ]
    assert daemon.get("/nodes/n1/sdn/zones/z1/content") == [{"vnet": "v1", "status": "available"}]
    (subnet,) = daemon.get(f"{SDN}/vnets/v1/subnets", pending=1)
    assert "state" not in subnet and subnet["cidr"] == "10.77.0.0/24"

    # The next daemon takes up the process; a host that came up anew has its bridge again.
    (pid,) = daemon.dhcp_pids()["v1"]
    networks.restart()
    assert daemon.dhcp_pids() == {"v1": [pid]}
    daemon.end()
    os.kill(pid, signal.SIGKILL)
    networks.ip("link", "del", "v1")
    networks.restart()
    assert "inet 10.77.0.1/24" in networks.ip("addr", "show", "dev", "v1") and len(daemon.dhcp_pids()["v1"]) == 1

    # DHCP that ends by itself comes back, and that is said.
    (pid,) = daemon.dhcp_pids()["v1"]
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: daemon.dhcp_pids().get("v1", [pid]) != [pid])
    eventually(lambda: "dhcp-restarted" in [row["code"] for row in daemon.get("/cluster/attention")])

    networks.undefine()
    assert "v1" not in networks.links() and daemon.dhcp_pids() == {}
    assert daemon.get("/cluster/resources", type="sdn") == []


def test_what_cannot_be_is_refused_with_its_remedy(networks: Networks) -> None:
    daemon = networks.daemon
    with pytest.raises(ApiError) as refused:
        daemon.post(f"{SDN}/zones", zone="toolongname", type="simple")
    assert "8 characters" in refused.value.errors["zone"]
    with pytest.raises(ApiError) as refused:
        daemon.post(f"{SDN}/zones", zone="z1", type="vxlan")
    assert "not built yet" in refused.value.reason
    networks.ip("link", "add", "v1", "type", "bridge")
    networks.define()
    with pytest.raises(ApiError) as refused:
        daemon.put(SDN)
    error = refused.value.body["error"]
    assert error["code"] == "bridge-not-ours" and error["cause"] and error["fixes"]
    assert daemon.dhcp_pids() == {} and "v1" in networks.links()
    networks.ip("link", "del", "v1")
    networks.apply()

    # The lock is for one at a time, and a roll-back gives up what waits.
    token = daemon.post(f"{SDN}/lock")
    with pytest.raises(ApiError) as refused:
        daemon.post(f"{SDN}/vnets", vnet="v2", zone="z1")
    assert "lock token" in refused.value.reason
    daemon.call("POST", f"{SDN}/vnets", vnet="v2", zone="z1", **{"lock-token": token})
    daemon.call("POST", f"{SDN}/rollback", **{"lock-token": token})
    assert [row["vnet"] for row in daemon.get(f"{SDN}/vnets")] == ["v1"]
    daemon.post(f"{SDN}/vnets", vnet="v2", zone="z1")


@pytest.mark.parametrize(
    ("point", "finished"),
    [
        ("network-put:before-effect", False),
        ("network-put:after-effect", False),
        ("networks-enforce:after-effect", True),
    ],
)
def test_the_daemon_killed_while_it_applies(networks: Networks, point: str, finished: bool) -> None:
    daemon = networks.daemon
    networks.define()
    daemon.crash_at(point)
    upid = daemon.put(SDN)
    daemon.wait_dead()
    networks.restart()
    daemon.wait_task(upid)
    assert ("v1" in networks.links(), "v1" in daemon.dhcp_pids()) == (finished, finished)
    assert bool(daemon.get(f"{SDN}/zones", running=1)) is finished
    if not finished:
        networks.apply()
        assert "v1" in networks.links() and len(daemon.dhcp_pids()["v1"]) == 1
