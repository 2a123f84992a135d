"""A guest on a bridge of the host, by a tap; in a network namespace that is gone with the daemon."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.daemon import ApiError, TestDaemon, eventually, test_daemon

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root may make taps")
# /sys shows the interfaces of the namespace in which it was mounted; the control groups are kept beside it.
BRIDGE = (
    "mount --rbind /sys/fs/cgroup /mnt && mount -t sysfs sysfs /sys && mount --rbind /mnt /sys/fs/cgroup && "
    "ip link set lo up && ip link add vmbr0 type bridge && ip addr add 10.9.0.1/24 dev vmbr0 "
    '&& ip link set vmbr0 up && exec "$@"'
)


@pytest.fixture(scope="module")
def bridged() -> Iterator[TestDaemon]:
    """A daemon in a network namespace of its own, with a bridge vmbr0 that has 10.9.0.1."""
    with test_daemon(wrapper=("unshare", "--net", "--mount", "sh", "-c", BRIDGE, "sh")) as running:
        yield running


def test_a_guest_on_a_bridge_is_reached_and_cards_come_and_go(bridged: TestDaemon, tiny_image: Path) -> None:
    image = bridged.add_image(tiny_image)
    bridged.create(
        100, image, net0="virtio,bridge=vmbr0", ide2="local:cloudinit", ipconfig0="ip=10.9.0.2/24", name="bridged"
    )
    bridged.task("POST", f"{bridged.qemu}/100/status/start")
    bridged.wait_agent(100)
    eventually(lambda: "1 packets received" in bridged.run(100, "ping", "-c", "1", "-W", "2", "10.9.0.1"))
    assert bridged.run(100, "hostname").strip() == "bridged"

    bridged.put(f"{bridged.qemu}/100/config", net1="virtio,bridge=vmbr0")
    eventually(lambda: "eth1" in bridged.run(100, "ls", "/sys/class/net"))
    bridged.put(f"{bridged.qemu}/100/config", delete="net1")
    eventually(lambda: "eth1" not in bridged.run(100, "ls", "/sys/class/net"))

    bridged.put(f"{bridged.qemu}/100/config", net1="virtio,bridge=vmbr0,queues=2")
    eventually(lambda: "eth1" in bridged.run(100, "ls", "/sys/class/net"))
    bridged.put(f"{bridged.qemu}/100/config", delete="net1")
    eventually(lambda: "eth1" not in bridged.run(100, "ls", "/sys/class/net"))

    mac = bridged.get(f"{bridged.qemu}/100/config")["net0"].split("=", 1)[1].split(",")[0]
    bridged.put(f"{bridged.qemu}/100/config", net0=f"virtio={mac},bridge=vmbr0,link_down=1")
    eventually(lambda: bridged.run(100, "sh", "-c", "cat /sys/class/net/eth0/carrier || echo 0").strip() == "0")
    bridged.task("POST", f"{bridged.qemu}/100/status/stop")
    bridged.task("DELETE", f"{bridged.qemu}/100")


def test_a_missing_bridge_is_named_with_those_there_are(bridged: TestDaemon) -> None:
    bridged.task("POST", bridged.qemu, vmid=101, memory=64, net0="virtio,bridge=vmbr7")
    ended = bridged.wait_task(bridged.post(f"{bridged.qemu}/101/status/start"))
    error = ended["error"]
    assert "vmbr7" in error["message"] and "vmbr0" in error["cause"] and error["fixes"]
    assert 101 not in bridged.qemu_pids()
    bridged.task("DELETE", f"{bridged.qemu}/101")


def test_forwarded_ports_reach_a_guest_without_root_or_bridge(daemon: TestDaemon, tiny: str) -> None:
    with pytest.raises(ApiError) as refused:
        daemon.post(daemon.qemu, vmid=102, net0="virtio,forward=tcp:nonsense")
    assert "net0" in refused.value.errors
