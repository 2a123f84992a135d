"""The tiny image boots from every kind of disk, answers its agent, keeps /data, and goes off when told."""

from __future__ import annotations

import asyncio
import hashlib
import subprocess
import time
from pathlib import Path

import pytest
from support.console_guest import console_guest

BOOT_SECONDS = 60


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
