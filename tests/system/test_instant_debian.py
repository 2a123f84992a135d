"""Instant clones of a whole Debian: each has its own name, keys, machine id and address, as root from our DHCP, which
they ask with the client id of the one whose memory they have. Minutes under emulation."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.daemon import TestDaemon, eventually, test_daemon

from .test_networks import WRAPPER, Networks, has

pytestmark = pytest.mark.slow
TEMPLATE = 900
BOOT_SECONDS = 480.0
SHOW = (
    "hostname; cat /etc/hostname; grep -c 127.0.1.1 /etc/hosts; cat /etc/machine-id; "
    "cat /etc/ssh/ssh_host_ed25519_key.pub /etc/ssh/ssh_host_ecdsa_key.pub; cat /run/mark; "
    "ls /sys/class/net; systemctl is-active ssh systemd-networkd; findmnt -no OPTIONS /"
)


ROOT = os.geteuid() == 0
NET = "virtio,bridge=v1" if ROOT else "virtio"


@pytest.fixture(scope="module")
def daemon() -> Iterator[TestDaemon]:
    """As root in a network namespace with a network of ours."""
    if not ROOT:
        with test_daemon() as running:
            yield running
        return
    with test_daemon(wrapper=WRAPPER) as running:
        networks = Networks(running)
        try:
            networks.define()
            networks.apply()
            yield running
        finally:
            networks.close()


@pytest.fixture(scope="module")
def template(daemon: TestDaemon, debian_image: Path) -> Iterator[list[str]]:
    """The live template; what the source showed before it was frozen."""
    daemon.create(
        TEMPLATE,
        daemon.add_image(debian_image, "debian-12.qcow2"),
        name="source",
        memory=512,
        cores=2,
        ostype="l26",
        instant=1,
        net0=NET,
        ide2="local:cloudinit",
        ciupgrade=0,
    )
    daemon.task("POST", f"{daemon.qemu}/{TEMPLATE}/status/start")
    daemon.wait_agent(TEMPLATE, BOOT_SECONDS)
    eventually(lambda: "active" in daemon.run(TEMPLATE, "systemctl", "is-active", "ssh"), 240)
    eventually(lambda: "inet " in daemon.run(TEMPLATE, "ip", "-4", "addr"), 60)
    daemon.run(TEMPLATE, "sh", "-c", "echo in-memory >/run/mark; sync")
    shown = daemon.run(TEMPLATE, "sh", "-c", SHOW).split("\n")
    daemon.task("POST", f"{daemon.qemu}/{TEMPLATE}/template", live=1)
    yield shown


def test_two_clones_are_two_machines(daemon: TestDaemon, template: list[str]) -> None:
    done = daemon.task("POST", f"{daemon.qemu}/{TEMPLATE}/clone", instant=1, count=2, name="c{n}")
    shown = {vmid: daemon.run(vmid, "sh", "-c", SHOW).split("\n") for vmid in done["result"]["vmids"]}
    for number, lines in enumerate(shown.values(), 1):
        assert lines[:3] == [f"c{number}", f"c{number}", "1"]
        assert lines[6] == "in-memory" and lines[-2].startswith("rw")
        assert len(lines[3]) == 32
    for line in (3, 4, 5):
        assert len({lines[line] for lines in (*shown.values(), template)}) == 3, f"line {line} is not its own"
    for vmid in shown:
        if ROOT:
            address = next(row["ip"] for row in daemon.get("/cluster/sdn/ipams/pve/status") if row.get("vmid") == vmid)
            eventually(lambda vmid=vmid, address=address: has(daemon, vmid, address), 120)
        else:
            eventually(lambda vmid=vmid: "inet 10.0.2." in daemon.run(vmid, "ip", "-4", "addr"), 120)
        networks = daemon.run(vmid, "ls", "/sys/class/net").split()
        assert networks == [line for line in template if line in ("eth0", "lo")] == ["eth0", "lo"]
        mac = daemon.get(f"{daemon.qemu}/{vmid}/config")["net0"].partition("=")[2].partition(",")[0].lower()
        assert daemon.run(vmid, "cat", "/sys/class/net/eth0/address").strip() == mac
    # sshd itself answers with the clone's own key.
    vmid, lines = next(iter(shown.items()))
    scan = "ssh-keyscan -T 60 -t ed25519 127.0.0.1 2>/dev/null || true"
    eventually(lambda: lines[4].split()[1] in daemon.run(vmid, "sh", "-c", scan), 120)


def test_a_clone_boots_from_its_disk(daemon: TestDaemon, template: list[str]) -> None:
    """The cold boot finds consistent file systems and the clone's name."""
    done = daemon.task("POST", f"{daemon.qemu}/{TEMPLATE}/clone", instant=1, name="boots")
    (vmid,) = done["result"]["vmids"]
    daemon.run(vmid, "sync")
    daemon.task("POST", f"{daemon.qemu}/{vmid}/status/stop")
    daemon.task("POST", f"{daemon.qemu}/{vmid}/status/start")
    daemon.wait_agent(vmid, BOOT_SECONDS)
    assert daemon.run(vmid, "hostname").strip() == "boots"
    assert daemon.run(vmid, "cat", "/etc/machine-id") != f"{template[3]}\n"
