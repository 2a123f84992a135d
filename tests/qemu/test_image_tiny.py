"""The tiny image boots from every kind of disk, answers its agent, keeps /data, and goes off when told."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from support.console_guest import ConsoleGuest, console_guest

BOOT_SECONDS = 120  # 5 s on a quiet machine


@pytest.mark.parametrize(
    ("machine", "disk"), [("pc", "virtio"), ("pc", "scsi"), ("pc", "ide"), ("q35", "sata"), ("q35", "virtio")]
)
async def test_boots_answers_and_powers_down(tiny_image: Path, machine: str, disk: str) -> None:
    async with asyncio.timeout(BOOT_SECONDS), console_guest(tiny_image, disk=disk, machine=machine) as guest:
        await guest.wait_for("TARMAC-TINY READY 6.")
        assert await guest.agent("guest-sync", id=42) == 42
        await guest.agent("guest-ping")
        assert await guest.run("sh", "-c", "echo kept >/data/file && sync && cat /data/file") == (0, "kept\n")
        await guest.qmp("system_powerdown")
        assert await guest.process.wait() == 0


async def test_small_memory_newest_processor_and_reboot(tiny_image: Path) -> None:
    async with asyncio.timeout(BOOT_SECONDS), console_guest(tiny_image, cpu="max", memory=128) as guest:
        await guest.wait_for("TARMAC-TINY READY")
        assert await guest.run("sh", "-c", "echo once >/data/file; sync") == (0, "")
        await guest.wait_for("# ")
        guest.console = ""
        guest.type("reboot")
        await guest.wait_for("TARMAC-TINY READY")
        assert await guest.run("cat", "/data/file") == (0, "once\n")
        await guest.agent_send("guest-shutdown")
        assert await guest.process.wait() == 0


async def test_data_survives_a_sudden_end(tiny_image: Path) -> None:
    """What was synced is on the disk although QEMU is killed; the journal is replayed by the next boot."""
    text = "kept over a crash " * 1000
    async with asyncio.timeout(BOOT_SECONDS), console_guest(tiny_image) as guest:
        await guest.wait_for("TARMAC-TINY READY")
        await guest.run("sh", "-c", f"yes '{text[:17]}' | head -c 60000 >/data/file; sync")
        _, digest = await guest.run("sha256sum", "/data/file")
        guest.process.kill()
        await guest.process.wait()
        async with asyncio.timeout(BOOT_SECONDS), console_guest(guest.directory / "disk.qcow2") as again:
            await again.wait_for("TARMAC-TINY READY")
            assert await again.run("sha256sum", "/data/file") == (0, digest)


async def test_network_from_dhcp_and_hotplug(tiny_image: Path) -> None:
    nic = ("-nic", "user,model=virtio,restrict=on,mac=52:54:00:00:00:01")
    async with asyncio.timeout(BOOT_SECONDS), console_guest(tiny_image, *nic) as guest:
        await guest.wait_for("TARMAC-TINY READY")
        await _has_address(guest, "eth0", "10.0.2.15")
        await guest.qmp("netdev_add", type="user", id="n1", net="10.9.0.0/24", restrict=True)
        await guest.qmp("device_add", driver="e1000", id="nic1", netdev="n1", mac="52:54:00:00:00:02")
        await _has_address(guest, "eth1", "10.9.0.15")


async def test_nocloud_drive_as_proxmox_writes_it(tiny_image: Path) -> None:
    seed = {
        "meta-data": "instance-id: 5f2a\n",
        "user-data": "#cloud-config\nhostname: gate-7\nmanage_etc_hosts: true\nfqdn: gate-7.example\nuser: debian\n",
        "network-config": (
            "version: 1\nconfig:\n    - type: physical\n      name: eth0\n      mac_address: '52:54:00:00:00:0a'\n"
            "      subnets:\n      - type: static\n        address: '10.0.2.40'\n        netmask: '255.255.255.0'\n"
            "        gateway: '10.0.2.2'\n    - type: nameserver\n      address:\n      - '10.0.2.3'\n"
            "      search:\n      - 'example'\n"
        ),
    }
    for machine in ("pc", "q35"):
        boot = console_guest(
            tiny_image, "-nic", "user,model=e1000,restrict=on,mac=52:54:00:00:00:0a", machine=machine, seed=seed
        )
        async with asyncio.timeout(BOOT_SECONDS), boot as guest:
            await guest.wait_for("TARMAC-TINY READY")
            assert await guest.run("hostname") == (0, "gate-7\n")
            await _has_address(guest, "eth0", "10.0.2.40")
            assert "default via 10.0.2.2" in (await guest.run("ip", "route"))[1]
            assert "nameserver 10.0.2.3" in (await guest.run("cat", "/etc/resolv.conf"))[1]


async def test_agent_freezes_and_changes_the_password(tiny_image: Path) -> None:
    async with asyncio.timeout(BOOT_SECONDS), console_guest(tiny_image, "-vga", "std") as guest:
        await guest.wait_for("TARMAC-TINY READY")
        assert await guest.agent("guest-fsfreeze-freeze") == 1
        assert await guest.agent("guest-fsfreeze-status") == "frozen"
        assert await guest.agent("guest-fsfreeze-thaw") == 1
        await guest.agent("guest-set-user-password", username="root", password="dGVzdA==", crypted=False)
        assert (await guest.run("cat", "/etc/shadow"))[1].startswith("root:$6$")
        assert "tty1" in (await guest.run("cat", "/run/consoles"))[1]
        for applet in ("ip", "ping", "nc", "wget", "dd", "mount", "sha256sum", "udhcpc"):
            assert (await guest.run("sh", "-c", f"command -v {applet}"))[0] == 0, applet


async def _has_address(guest: ConsoleGuest, card: str, address: str) -> None:
    while f"inet {address}/" not in (await guest.run("ip", "-4", "addr", "show", card))[1]:
        await asyncio.sleep(0.1)
