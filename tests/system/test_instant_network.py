"""Instant clones of a guest whose card is a tap on a bridge: what is heard on the wire, and when."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.daemon import TestDaemon, eventually, test_daemon

from .test_network import BRIDGE

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root may make taps")


@pytest.fixture
def bridged() -> Iterator[TestDaemon]:
    with test_daemon(wrapper=("unshare", "--net", "--mount", "sh", "-c", BRIDGE, "sh")) as running:
        yield running


@contextlib.contextmanager
def heard(daemon: TestDaemon, path: Path) -> Iterator[None]:
    """Every frame on the bridge meanwhile, source addresses first, in `path`."""
    assert daemon.process is not None
    with path.open("w") as out:
        listener = subprocess.Popen(
            ["nsenter", "-t", str(daemon.process.pid), "-n", "python3", "-c", _LISTEN], stdout=out, text=True
        )
        try:
            eventually(lambda: path.read_text().startswith("ready"))
            yield
        finally:
            listener.send_signal(signal.SIGKILL)
            listener.wait()


_LISTEN = """
import socket
sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
sock.bind(("vmbr0", 0))
print("ready", flush=True)
while True:
    frame = sock.recv(2048)
    print(frame[6:12].hex(":"), frame[12:14].hex(), flush=True)
"""


def test_clones_are_heard_with_their_own_address_only(bridged: TestDaemon, tiny_image: Path, tmp_path: Path) -> None:
    image = bridged.add_image(tiny_image)
    bridged.create(900, image, instant=1, net0="virtio,bridge=vmbr0", name="source")
    bridged.task("POST", f"{bridged.qemu}/900/status/start")
    bridged.wait_agent(900)
    bridged.run(900, "ip", "addr", "add", "10.9.0.2/24", "dev", "eth0")
    eventually(lambda: "1 packets received" in bridged.run(900, "ping", "-c", "1", "-W", "2", "10.9.0.1"))
    source = bridged.get(f"{bridged.qemu}/900/config")["net0"].split("=", 1)[1].split(",")[0].lower()
    bridged.task("POST", f"{bridged.qemu}/900/template", live=1)
    frames = tmp_path / "frames"
    with heard(bridged, frames):
        done = bridged.task("POST", f"{bridged.qemu}/900/clone", instant=1, count=2, name="c{n}")
        vmids = done["result"]["vmids"]
        for number, vmid in enumerate(vmids):
            # Its DHCP client begins when the new card has come, and takes away what addresses there are.
            add = f"ip addr add 10.9.0.{10 + number}/24 dev eth0 2>/dev/null"
            eventually(
                lambda vmid=vmid, add=add: (
                    "1 packets received" in bridged.run(vmid, "sh", "-c", f"{add}; ping -c 1 -W 2 10.9.0.1")
                )
            )
    addresses = {line.split()[0] for line in frames.read_text().splitlines()[1:]}
    own = {
        bridged.get(f"{bridged.qemu}/{vmid}/config")["net0"].split("=", 1)[1].split(",")[0].lower() for vmid in vmids
    }
    assert own <= addresses
    assert source not in addresses, "no clone announces its template's address"
    assert bridged.get(f"{bridged.qemu}/{vmids[0]}/config")["net0"].endswith(",bridge=vmbr0")
