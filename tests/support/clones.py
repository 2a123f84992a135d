"""Templates and clones of small images, for tests that look at files rather than into guests."""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path
from typing import Any

from support.daemon import TestDaemon
from support.faults import CPU_STOPPED, assert_whole, wait_idle

DISK = "local:0,import-from=local:import/small.qcow2"
"""A disk of a guest whose image is in the storage as `small.qcow2`."""


def make_template(daemon: TestDaemon, vmid: int = 9000, **more: Any) -> int:
    settings = {"name": "base", "scsi0": DISK, "net0": "virtio", "vmgenid": "1", **CPU_STOPPED, **more}
    daemon.task("POST", daemon.qemu, vmid=vmid, **settings)
    fill(path_of(daemon, vmid, "scsi0"))
    daemon.task("POST", f"{daemon.qemu}/{vmid}/template")
    return vmid


def clone(daemon: TestDaemon, vmid: int, **params: Any) -> list[int]:
    """The numbers of the clones, once they are made."""
    status = daemon.task("POST", f"{daemon.qemu}/{vmid}/clone", **params)
    return list(status["result"]["vmids"])


def config(daemon: TestDaemon, vmid: int) -> dict[str, Any]:
    return dict(daemon.get(f"{daemon.qemu}/{vmid}/config"))


def volid_of(daemon: TestDaemon, vmid: int, key: str) -> str:
    return str(config(daemon, vmid)[key]).partition(",")[0]


def path_of(daemon: TestDaemon, vmid: int, key: str) -> Path:
    name = volid_of(daemon, vmid, key).partition(":")[2]
    return daemon.data / "storage/images" / "/".join(name.split("/")[-2:])


def fill(path: Path) -> None:
    """Random bytes into a whole image."""
    raw = path.with_suffix(".filling")
    raw.write_bytes(os.urandom(1 << 20))
    subprocess.run(["qemu-img", "convert", "-n", "-f", "raw", "-O", "qcow2", raw, path], check=True)
    raw.unlink()


def raw_of(path: Path) -> bytes:
    """What a guest sees of an image."""
    raw = path.parent / f"read-{path.name}.raw"
    subprocess.run(["qemu-img", "convert", "-U", "-f", path.suffix[1:], "-O", "raw", path, raw], check=True)
    try:
        return raw.read_bytes()
    finally:
        raw.unlink()


def contents(path: Path) -> str:
    return hashlib.sha256(raw_of(path)).hexdigest()


def remove_all(daemon: TestDaemon) -> None:
    """Everything is whole, and then every guest is removed, templates last."""
    wait_idle(daemon)
    assert_whole(daemon)
    for row in sorted(daemon.get(daemon.qemu), key=lambda row: row.get("template", 0)):
        if row["status"] == "running":
            daemon.task("POST", f"{daemon.qemu}/{row['vmid']}/status/stop")
        daemon.task("DELETE", f"{daemon.qemu}/{row['vmid']}")
