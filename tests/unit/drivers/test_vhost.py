"""Packets that the kernel moves (vhost-net): up to the descriptors; no machine of the tests has the device."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tarmac.drivers.network import tap
from tarmac.drivers.network.tap import Taps, has_vhost
from tarmac.drivers.qemu.argv.descriptors import descriptors
from tarmac.model.errors import HostFailure
from tarmac.model.vm import VmConfig
from tarmac.services.running.live_changes import by_name

CARDS = VmConfig.parse({"net0": "virtio,bridge=vmbr0,queues=2", "net1": "e1000,bridge=vmbr0", "net2": "virtio"})


def test_only_virtio_on_a_bridge_has_it() -> None:
    assert list(descriptors(CARDS, vhost=False)) == ["qmp", "net0", "net0-1", "net1"]
    assert list(descriptors(CARDS, vhost=True)) == ["qmp", "net0", "net0-1", "net0-vhost", "net0-vhost-1", "net1"]


def test_a_card_that_is_plugged_in_has_names_for_numbers() -> None:
    names = ["fd-net0", "fd-net0-1", "fd-net0-vhost", "fd-net0-vhost-1"]
    assert by_name("type=tap,id=net0,fds=4:5,vhost=on,vhostfds=6:7", names) == (
        "type=tap,id=net0,fds=fd-net0:fd-net0-1,vhost=on,vhostfds=fd-net0-vhost:fd-net0-vhost-1"
    )
    assert by_name("type=tap,id=net0,fd=4,vhost=on,vhostfd=5", ["fd-net0", "fd-net0-vhost"]) == (
        "type=tap,id=net0,fd=fd-net0,vhost=on,vhostfd=fd-net0-vhost"
    )
    assert by_name("type=tap,id=net1,fd=8", ["fd-net1"]) == "type=tap,id=net1,fd=fd-net1"


async def test_one_descriptor_a_queue(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tap, "VHOST", Path("/dev/null"))
    assert has_vhost()
    opened = await Taps().open_vhost(3)
    assert [os.readlink(f"/proc/self/fd/{fd}") for fd in opened] == ["/dev/null"] * 3
    for fd in opened:
        os.close(fd)
    monkeypatch.setattr(tap, "VHOST", tmp_path / "none")
    assert not has_vhost()
    with pytest.raises(HostFailure):
        await Taps().open_vhost()
