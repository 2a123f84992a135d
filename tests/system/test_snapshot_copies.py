"""Snapshots on a file system that shares blocks: copies, of qcow2 and raw, while the guest stands still."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.daemon import TestDaemon

MIB = 1024 * 1024


@pytest.fixture(scope="module")
def sharing(daemon: TestDaemon) -> Iterator[Path]:
    """A storage `sharing` on a btrfs of its own."""
    if os.geteuid() != 0 or shutil.which("mkfs.btrfs") is None:
        pytest.skip("needs root and mkfs.btrfs")
    with tempfile.NamedTemporaryFile(suffix=".img") as file:
        file.truncate(512 * MIB)
        subprocess.run(["mkfs.btrfs", "-q", file.name], check=True)
        place = Path(tempfile.mkdtemp(prefix="tarmac-sharing-"))
        if subprocess.run(["mount", "-o", "loop", file.name, place], capture_output=True).returncode:
            place.rmdir()
            pytest.skip("this machine mounts no btrfs")
        try:
            place.chmod(0o711)
            daemon.post("/storage", storage="sharing", type="dir", path=str(place), content="images")
            yield place
        finally:
            daemon.remove()
            subprocess.run(["umount", "--lazy", place], check=True)
            place.rmdir()


def test_raw_and_qcow2(daemon: TestDaemon, tiny: str, sharing: Path) -> None:
    disks = {"scsi0": f"sharing:0,import-from={tiny},format=raw", "scsi1": "sharing:0.01,format=qcow2"}
    daemon.create(100, tiny, **disks)
    daemon.task("POST", f"{daemon.qemu}/100/status/start")
    daemon.wait_agent(100)

    def shell(text: str) -> str:
        return daemon.run(100, "/bin/sh", "-c", text)

    def write(text: str) -> str:
        return shell(f"(echo {text}; head -c 512k /dev/urandom) > /data/f; sync; md5sum /data/f").split()[0]

    def read() -> str:
        return shell("sync; echo 3 > /proc/sys/vm/drop_caches; md5sum /data/f").split()[0]

    path = f"{daemon.qemu}/100/snapshot"
    first = write("one")
    plan = daemon.post(path, snapname="s1", dryrun=1)
    assert "stands still" in plan["effects"][0]
    daemon.task("POST", path, snapname="s1")
    assert daemon.status(100)["qmpstatus"] == "running"
    second = write("two")
    daemon.task("POST", path, snapname="s2", vmstate=1)
    third = write("three")
    assert read() == third
    names = {p.name for p in (sharing / "images/100").iterdir()}
    assert {"snap-s1-vm-100-disk-0.raw", "snap-s2-vm-100-disk-1.qcow2", "vm-100-state-s2.raw"} <= names
    daemon.task("POST", f"{path}/s1/rollback", start=1)
    daemon.wait_agent(100)
    assert read() == first
    daemon.task("POST", f"{path}/s2/rollback")
    daemon.wait_agent(100)
    assert read() == second
    for name in ("s1", "s2"):
        daemon.task("DELETE", f"{path}/{name}")
    assert read() == second
    assert {p.name for p in (sharing / "images/100").iterdir()} == {"vm-100-disk-0.raw", "vm-100-disk-1.qcow2"}
