"""A Debian guest from its image and cloud-init to a login by ssh, over the API alone: one boot for all that is said
about it. Minutes under emulation."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import pytest

from support.daemon import TestDaemon

pytestmark = pytest.mark.slow
VMID = 100
BOOT_SECONDS = 480.0
FORWARDED = "10.0.2.15"  # where user-mode networking leads a forwarded port
SECOND = "192.0.2.77"


class Debian(NamedTuple):
    port: int
    key: Path


@pytest.fixture(scope="module")
def debian(daemon: TestDaemon, debian_image: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Debian]:
    """A guest that has booted with a user, a key and fixed addresses."""
    key = tmp_path_factory.mktemp("keys") / "id"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    daemon.create(
        VMID,
        daemon.add_image(debian_image, "debian-12.qcow2"),
        name="landed",
        memory=768,
        cores=2,
        ostype="l26",
        net0=f"virtio,forward=tcp:127.0.0.1:{port}:22",
        ide2="local:cloudinit",
        ciuser="anna",
        ciupgrade=0,
        sshkeys=quote(key.with_suffix(".pub").read_text().strip(), safe=""),
        ipconfig0=f"ip={FORWARDED}/24,gw=10.0.2.2",
        net1="virtio",
        ipconfig1=f"ip={SECOND}/24",
        nameserver="10.0.2.3",
        searchdomain="example.test",
        rng0="source=/dev/urandom",
    )
    daemon.task("POST", f"{daemon.qemu}/{VMID}/status/start")
    daemon.wait_agent(VMID, BOOT_SECONDS)
    yield Debian(port, key)


def _login(debian: Debian, *command: str) -> subprocess.CompletedProcess[str]:
    words = [
        *("ssh", "-p", str(debian.port), "-i", str(debian.key), "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes"),
        *("-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "ConnectTimeout=20"),
        *("anna@127.0.0.1", *command),
    ]
    return subprocess.run(words, capture_output=True, text=True, timeout=90, check=False)


def test_login_with_the_key_through_the_forwarded_port(debian: Debian) -> None:
    deadline = time.monotonic() + 90
    while (ran := _login(debian, "id -un; hostname; hostname -f; sudo -n id -u")).returncode:
        assert time.monotonic() < deadline, ran.stderr
        time.sleep(1)
    assert ran.stdout.split() == ["anna", "landed", "landed.example.test", "0"]


def test_the_agent_tells_the_fixed_addresses(daemon: TestDaemon, debian: Debian) -> None:
    links = daemon.get(f"{daemon.qemu}/{VMID}/agent/network-get-interfaces")["result"]
    addresses = {one["ip-address"] for link in links for one in link.get("ip-addresses", [])}
    assert {FORWARDED, SECOND} <= addresses


def test_the_agent_tells_name_and_system(daemon: TestDaemon, debian: Debian) -> None:
    assert daemon.get(f"{daemon.qemu}/{VMID}/agent/get-host-name")["result"]["host-name"] == "landed"
    assert daemon.get(f"{daemon.qemu}/{VMID}/agent/get-osinfo")["result"]["id"] == "debian"


def test_the_kernel_has_no_complaint(daemon: TestDaemon, debian: Debian) -> None:
    """A processor that promises what emulation cannot do makes the kernel oops, and half the guest works on."""
    told = daemon.run(VMID, "dmesg")
    assert "Linux version" in told
    for word in ("invalid opcode", "Oops", "Call Trace", "BUG:"):
        assert word not in told


def test_shutdown_by_the_agent(daemon: TestDaemon, debian: Debian) -> None:
    daemon.task("POST", f"{daemon.qemu}/{VMID}/status/shutdown", timeout=120)
    assert daemon.status(VMID)["status"] == "stopped"
