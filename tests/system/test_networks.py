"""Networks of our own: a zone with DHCP, applied in a network namespace that is gone with the test."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.daemon import ApiError, TestDaemon, eventually, test_daemon
from support.terminal import words_for

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


def test_what_is_typed(networks: Networks) -> None:
    daemon = networks.daemon

    def tarmac(*words: str) -> str:
        done = subprocess.run(words_for(daemon, *words), capture_output=True, timeout=120, check=False, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    tarmac("zone", "add", "lab", "--type", "simple", "--dhcp", "dnsmasq", "--ipam", "pve")
    tarmac("vnet", "add", "net1", "lab", "--alias", "first")
    dhcp_range = "start-address=10.20.0.50,end-address=10.20.0.51"
    tarmac("subnet", "add", "net1", "10.20.0.0/24", "--gateway", "10.20.0.1", "--dhcp-range", dhcp_range)
    assert "make the network net1" in tarmac("zone", "apply", "--dryrun")
    tarmac("zone", "apply")
    assert "net1" in networks.links() and "available" in tarmac("zone", "status", "lab")
    assert "10.20.0.0/24" in tarmac("subnet", "list", "net1") and "first" in tarmac("vnet", "list")
    card = ("--zone", "lab", "--ip", "10.20.0.50", "--mac", "02:00:00:00:00:01")
    tarmac("vnet", "reserve", "net1", *card)
    assert "10.20.0.50" in tarmac("vnet", "addresses", "pve")
    tarmac("vnet", "give-back", "net1", *card)
    assert "10.20.0.50" not in tarmac("vnet", "addresses", "pve")

    # Each change can be undone by the call that is named as its inverse.
    tarmac("subnet", "set", "net1", "lab-10.20.0.0-24", "--dhcp-dns-server", "10.20.0.9")
    tarmac("subnet", "remove", "net1", "lab-10.20.0.0-24")
    rows = daemon.get("/cluster/history", kind="subnet")
    for row in rows[:2]:
        for call in row["inverse"]:
            daemon.call(call["method"], call["path"], **call["parameters"])
    (subnet,) = daemon.get(f"{SDN}/vnets/net1/subnets", pending=1)
    assert "state" not in subnet and subnet["dhcp-range"][0]["start-address"] == "10.20.0.50"


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


SAME_ID = ("-x", "0x3d:ff12345678000100011234567890ab")


def mac_of(daemon: TestDaemon, vmid: int) -> str:
    return str(daemon.get(f"{daemon.qemu}/{vmid}/config")["net0"]).split("=", 1)[1].split(",")[0]


def has(daemon: TestDaemon, vmid: int, address: str) -> bool:
    shown = daemon.run(vmid, "ip", "-4", "addr", "show", "dev", "eth0")
    return f"inet {address}/" in shown and shown.count("inet ") == 1


def ask_as_all(daemon: TestDaemon, vmid: int) -> None:
    """As systems do that were cloned with their memory: by one client id for all of them."""
    daemon.run(vmid, "sh", "-c", "kill $(cat /run/udhcpc.eth0) 2>/dev/null; ip -4 addr flush dev eth0")
    daemon.run(vmid, "udhcpc", "-i", "eth0", "-n", "-q", "-f", "-t", "10", "-T", "1", "-C", *SAME_ID)


def test_instant_clones_with_one_client_id_have_addresses_of_their_own(networks: Networks, tiny_image: Path) -> None:
    daemon = networks.daemon
    networks.define(last="10.77.0.13")
    networks.apply()
    image = daemon.add_image(tiny_image)
    daemon.create(900, image, instant=1, net0="virtio,bridge=v1", name="source")
    assert networks.addresses() == {900: "10.77.0.10"}
    daemon.task("POST", f"{daemon.qemu}/900/status/start")
    daemon.wait_agent(900)
    eventually(lambda: has(daemon, 900, "10.77.0.10"))
    ask_as_all(daemon, 900)

    done = daemon.task("POST", f"{daemon.qemu}/900/clone", instant=1, count=2, name="wpad")
    vmids = done["result"]["vmids"]
    plan = networks.addresses()
    assert plan.keys() == {900, *vmids} and len(set(plan.values())) == 3
    for vmid in vmids:
        eventually(lambda vmid=vmid: has(daemon, vmid, plan[vmid]))
    for vmid in (*vmids, 900):
        ask_as_all(daemon, vmid)
    for vmid, address in plan.items():
        assert has(daemon, vmid, address), (vmid, plan, daemon.run(vmid, "ip", "addr"))
        leased = {row["ip"]: row["mac"] for row in daemon.get(STATUS) if "expires" in row}
        assert leased[address] == mac_of(daemon, vmid)
    assert "1 packets received" in daemon.run(vmids[0], "ping", "-c", "1", "-W", "5", plan[900])

    # Names come from the platform, and not such as others trust.
    assert plan[900] in daemon.run(vmids[0], "sh", "-c", "nslookup source 10.77.0.1")
    assert plan[vmids[0]] not in daemon.run(900, "sh", "-c", "nslookup wpad 10.77.0.1; true")

    # A card that is added has an address, one that goes gives it back, and a range has an end.
    daemon.put(f"{daemon.qemu}/900/config", net1="virtio,bridge=v1")
    with pytest.raises(ApiError) as refused:
        daemon.put(f"{daemon.qemu}/900/config", net2="virtio,bridge=v1")
    error = refused.value.body["error"]
    assert error["code"] == "no-free-address" and error["cause"] and error["evidence"] and error["fixes"]
    with pytest.raises(ApiError, match="no address is left"):
        daemon.post(daemon.qemu, vmid=901, net0="virtio,bridge=v1")
    failed = daemon.wait_task(daemon.post(f"{daemon.qemu}/900/clone", instant=1, name="late"))
    assert failed["error"]["code"] == "no-free-address" and failed["error"]["fixes"]
    assert [row["vmid"] for row in daemon.get(daemon.qemu) if row["name"] == "late"] == []
    daemon.put(f"{daemon.qemu}/900/config", delete="net1")
    gone = plan.pop(vmids[1])
    daemon.task("POST", f"{daemon.qemu}/{vmids[1]}/status/stop")
    daemon.task("DELETE", f"{daemon.qemu}/{vmids[1]}")
    assert networks.addresses() == plan
    eventually(lambda: gone not in [row["ip"] for row in daemon.get(STATUS)])
    eventually(lambda: len(daemon.dhcp_pids().get("v1", [])) == 1)

    # A network with running guests does not go.
    with pytest.raises(ApiError, match="not empty"):
        daemon.delete(f"{SDN}/vnets/v1/subnets/z1-10.77.0.0-24")
