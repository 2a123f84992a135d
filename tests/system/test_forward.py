"""A forwarded port leads to the address that the guest was given."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from support.daemon import ApiError, TestDaemon, eventually


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def read(port: int) -> bytes:
    """What answers there; nothing if nobody does."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as sock:
            return sock.recv(100)
    except OSError:
        return b""


def test_a_port_leads_to_a_fixed_address(daemon: TestDaemon, tiny_image: Path) -> None:
    port, image = free_port(), daemon.add_image(tiny_image)
    daemon.create(
        100, image, net0=f"virtio,forward=tcp::{port}:8080", ide2="local:cloudinit",
        ipconfig0="ip=192.168.77.9/24,gw=192.168.77.1",
    )  # fmt: skip
    daemon.task("POST", f"{daemon.qemu}/100/status/start")
    daemon.wait_agent(100)
    eventually(lambda: "192.168.77.9" in daemon.run(100, "ip", "addr", "show", "eth0"))
    daemon.run(100, "sh", "-c", "while true; do echo hello | nc -l -p 8080 >/dev/null; done >/dev/null 2>&1 &")
    eventually(lambda: read(port) == b"hello\n")
    eventually(lambda: "1 packets received" in daemon.run(100, "ping", "-c", "1", "-W", "2", "192.168.77.1"))


def test_an_address_that_cannot_be_reached_is_refused(daemon: TestDaemon) -> None:
    with pytest.raises(ApiError) as refused:
        daemon.post(daemon.qemu, vmid=101, net0="virtio,forward=tcp::2222:22", ipconfig0="ip=10.1.1.1/32")
    assert "net0 forwards ports to it" in str(refused.value.errors)
