"""Guests' whole life on storages that share blocks: snapshots of running guests, roll-backs, templates, clones."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.daemon import TestDaemon, test_daemon
from support.faults import eventually
from support.file_systems import file_system
from support.guest_disk import DISK, read, write


@pytest.fixture(scope="module", params=[("btrfs", "btrfs"), ("dir", "xfs")], ids=["btrfs", "dir-xfs"])
def house(request: pytest.FixtureRequest) -> Iterator[tuple[TestDaemon, Path]]:
    kind, below = request.param
    with file_system(below) as root, test_daemon() as daemon:
        try:
            daemon.post("/storage", storage="pool", type=kind, path=str(root), content="images")
            yield daemon, root
        finally:
            daemon.remove()


def memory_and_cloudinit(daemon: TestDaemon, vmid: int) -> None:
    """Saved memory and a cloud-init medium lie there, too."""
    daemon.task("POST", f"{daemon.qemu}/{vmid}/config", vmstatestorage="pool", ide2="pool:cloudinit", ciuser="me")
    daemon.task("POST", f"{daemon.qemu}/{vmid}/status/start")
    daemon.wait_agent(vmid)
    daemon.run(vmid, "/bin/sh", "-c", "echo here > /run/mark")
    daemon.task("POST", f"{daemon.qemu}/{vmid}/snapshot", snapname="memory", vmstate=1)
    daemon.run(vmid, "rm", "/run/mark")
    daemon.task("POST", f"{daemon.qemu}/{vmid}/snapshot/memory/rollback")
    daemon.wait_agent(vmid)
    assert daemon.run(vmid, "cat", "/run/mark").strip() == "here"
    daemon.task("POST", f"{daemon.qemu}/{vmid}/status/stop")
    daemon.task("DELETE", f"{daemon.qemu}/{vmid}/snapshot/memory")


def test_a_guests_life(house: tuple[TestDaemon, Path], tiny_image: Path) -> None:
    daemon, root = house
    vmid = daemon.create(200, daemon.add_image(tiny_image), scsi1=f"pool:{DISK / (1 << 30)},format=raw")
    daemon.task("POST", f"{daemon.qemu}/{vmid}/status/start")
    daemon.wait_agent(vmid)
    write(daemon, vmid, "first")
    daemon.task("POST", f"{daemon.qemu}/{vmid}/snapshot", snapname="before")
    write(daemon, vmid, "second")
    assert read(daemon, vmid) == "second"
    daemon.task("POST", f"{daemon.qemu}/{vmid}/status/stop")
    daemon.task("POST", f"{daemon.qemu}/{vmid}/snapshot/before/rollback")
    daemon.task("POST", f"{daemon.qemu}/{vmid}/status/start")
    daemon.wait_agent(vmid)
    assert read(daemon, vmid) == "first"
    daemon.task("POST", f"{daemon.qemu}/{vmid}/status/stop")
    daemon.task("DELETE", f"{daemon.qemu}/{vmid}/snapshot/before")
    memory_and_cloudinit(daemon, vmid)
    daemon.task("POST", f"{daemon.qemu}/{vmid}/template")
    daemon.task("POST", f"{daemon.qemu}/{vmid}/clone", newid=201)
    linked = daemon.get(f"{daemon.qemu}/201/config")["scsi1"].split(",")[0]
    plain, overlay = "pool:201/vm-201-disk-0.raw", "pool:200/base-200-disk-0.raw/201/vm-201-disk-0.qcow2"
    assert linked == (plain if (root / "images/200/base-200-disk-0").is_dir() else overlay)
    daemon.task("POST", f"{daemon.qemu}/{vmid}/clone", newid=202, full=1)
    for clone in (201, 202):
        daemon.task("POST", f"{daemon.qemu}/{clone}/status/start")
        daemon.wait_agent(clone)
        assert read(daemon, clone) == "first"
        write(daemon, clone, f"clone{clone}")
        assert read(daemon, clone) == f"clone{clone}"
        daemon.task("POST", f"{daemon.qemu}/{clone}/status/stop")
    for gone in (201, 202, 200):
        daemon.task("DELETE", f"{daemon.qemu}/{gone}")
    eventually(lambda: not [p for p in (root / "images").rglob("*") if p.is_file()], "nothing is left")
    if root.joinpath("images").exists():
        left = subprocess.run(["find", root / "images", "-mindepth", "1"], capture_output=True, text=True).stdout
        assert left == ""
