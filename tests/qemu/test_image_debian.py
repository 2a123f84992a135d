"""The Debian image boots from BIOS and from UEFI, takes its name and user from a NoCloud drive, grows its root.
From SCSI it boots in `tests/system/test_debian.py`."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from support.console_guest import console_guest

BOOT_SECONDS = 600  # about a minute, minutes on a busy machine
SEED = {
    "meta-data": "instance-id: test-1\n",
    "user-data": (
        "#cloud-config\nhostname: parking\nmanage_etc_hosts: true\nuser: pilot\n"
        "ssh_authorized_keys:\n  - ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKeyForTests pilot@tower\n"
    ),
    "network-config": (
        "version: 1\nconfig:\n    - type: physical\n      name: eth0\n      mac_address: '52:54:00:12:34:56'\n"
        "      subnets:\n      - type: static\n        address: '10.0.2.77'\n        netmask: '255.255.255.0'\n"
        "        gateway: '10.0.2.2'\n"
    ),
}

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


async def test_boots_from_virtio(debian_image: Path) -> None:
    async with asyncio.timeout(BOOT_SECONDS), console_guest(debian_image, memory=1024, cpu="max") as guest:
        await guest.wait_for("login:")


@pytest.mark.parametrize(("machine", "disk", "uefi"), [("pc", "ide", False), ("q35", "sata", True)])
async def test_boots_with_a_seed(debian_image: Path, machine: str, disk: str, uefi: bool) -> None:
    nic = ("-nic", "user,model=virtio,mac=52:54:00:12:34:56,restrict=on")
    boot = console_guest(
        debian_image, *nic, disk=disk, machine=machine, uefi=uefi, memory=1024, cpu="max", seed=SEED, size="6G"
    )
    async with asyncio.timeout(BOOT_SECONDS), boot as guest:
        await guest.wait_for("parking login:")
        await guest.agent("guest-sync", id=7)
        assert (await guest.run("hostname"))[1].strip() == "parking"
        code, text = await guest.run("cloud-init", "status", "--wait")
        assert code == 0, text
        assert (await guest.run("id", "pilot"))[0] == 0
        assert "AAAAIKeyForTests" in (await guest.run("cat", "/home/pilot/.ssh/authorized_keys"))[1]
        assert "10.0.2.77/24" in (await guest.run("ip", "-4", "addr"))[1]
        assert int((await guest.run("sh", "-c", "df --output=size -k / | tail -1"))[1]) > 5 << 20
        assert (await guest.run("test", "-d", "/sys/firmware/efi"))[0] == (0 if uefi else 1)
        assert (await guest.run("sh", "-c", "systemctl --failed --no-legend"))[1].strip() == ""
        await guest.qmp("system_powerdown")
        assert await guest.process.wait() == 0
