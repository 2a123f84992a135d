"""What only a btrfs storage has: Proxmox's layout to the letter, and subvolumes that a crash left."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from support.file_systems import file_system
from tarmac.drivers.storage.directory.btrfs import BtrfsStorage
from tarmac.drivers.storage.directory.files import part_of
from tarmac.drivers.storage.jail import Jail
from tarmac.drivers.storage.values import NewImage
from tarmac.model.errors import HostFailure
from tarmac.model.ids import VolumeId

MIB = 1 << 20


@pytest.fixture
async def storage() -> AsyncIterator[BtrfsStorage]:
    with file_system("btrfs", 128) as root:
        made = BtrfsStorage("pool", root, jail=Jail(), default_format="raw", nocow=True)
        await made.activate()
        yield made


def lies(root: Path) -> list[str]:
    return sorted(str(p.relative_to(root)) for p in (root / "images").rglob("*") if p.is_file())


def subvolumes(root: Path) -> set[str]:
    done = subprocess.run(["btrfs", "subvolume", "list", root], capture_output=True, text=True, check=True)
    return {line.split(" path ")[1] for line in done.stdout.splitlines()}


async def test_the_layout_is_proxmoxs(storage: BtrfsStorage) -> None:
    raw = await storage.allocate(NewImage(100, "raw"), size=MIB)
    await storage.allocate(NewImage(100, "qcow2"), size=MIB)
    await storage.snapshot(raw, "before")
    base = await storage.make_base(await storage.allocate(NewImage(9000, "raw"), size=MIB))
    clone = await storage.clone(base, NewImage(101, "raw"))
    assert [str(v) for v in (raw, base, clone)] == [
        "pool:100/vm-100-disk-0.raw", "pool:9000/base-9000-disk-0.raw", "pool:101/vm-101-disk-0.raw",
    ]  # fmt: skip
    assert lies(storage.root) == [
        "images/100/vm-100-disk-0/disk.raw",
        "images/100/vm-100-disk-0@before/disk.raw",
        "images/100/vm-100-disk-1.qcow2",
        "images/101/vm-101-disk-0/disk.raw",
        "images/9000/base-9000-disk-0/disk.raw",
    ]
    assert subvolumes(storage.root) == {
        "images/100/vm-100-disk-0", "images/100/vm-100-disk-0@before", "images/101/vm-101-disk-0",
        "images/9000/base-9000-disk-0",
    }  # fmt: skip
    flags = subprocess.run(["lsattr", storage.path(raw)], capture_output=True, text=True, check=True).stdout
    assert "C" in flags.split()[0]
    assert await storage.free(raw) is True
    assert not [name for name in subvolumes(storage.root) if "/100/" in name], "its points in time go with it"


async def test_a_subvolume_that_a_crash_left(storage: BtrfsStorage) -> None:
    folder = storage.root / "images/100"
    folder.mkdir()
    for token in ("dead", "alive"):
        subprocess.run(["btrfs", "-q", "subvolume", "create", part_of(folder / "vm-100-disk-0", token)], check=True)
    assert await storage.list() == []
    assert len(await storage.sweep(keep=["alive"])) == 1
    assert subvolumes(storage.root) == {f"images/100/{part_of(folder / 'vm-100-disk-0', 'alive').name}"}
    assert await storage.free(VolumeId.parse("pool:100/vm-100-disk-0.raw"), token="alive") is False
    assert subvolumes(storage.root) == set()


async def test_a_file_that_a_crash_left_beside_an_image(storage: BtrfsStorage) -> None:
    made = await storage.allocate(NewImage(100, "raw"), size=MIB)
    for token in ("dead", "alive"):
        part_of(storage.path(made), token).write_bytes(b"rest")
    assert len(await storage.sweep(keep=["alive"])) == 1
    assert part_of(storage.path(made), "alive").exists() and storage.path(made).exists()


async def test_another_file_system_is_refused(tmp_path: Path) -> None:
    with file_system("ext4", 32) as root:
        made = BtrfsStorage("pool", root, jail=Jail())
        with pytest.raises(HostFailure, match="is not on btrfs"):
            await made.activate()
