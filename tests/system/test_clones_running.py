"""Clones and moves under running guests: what the guest wrote is there, whole, and it never noticed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.daemon import TestDaemon, eventually
from support.faults import assert_whole, wait_idle
from support.paired_writer import rounds, start_writing, written


@pytest.fixture
def guest(daemon: TestDaemon, tiny: str) -> Iterator[int]:
    """A running guest with two further disks, to which it writes in rounds."""
    daemon.create(100, tiny, scsi1="local:0.0625", scsi2="local:0.0625", name="source")
    daemon.task("POST", f"{daemon.qemu}/100/status/start")
    daemon.wait_agent(100)
    start_writing(daemon, 100)
    yield 100
    wait_idle(daemon)
    for row in daemon.get(daemon.qemu):
        if row["status"] == "running":
            daemon.task("POST", f"{daemon.qemu}/{row['vmid']}/status/stop")
    for row in daemon.get(daemon.qemu):
        daemon.task("DELETE", f"{daemon.qemu}/{row['vmid']}")
    assert_whole(daemon)


@pytest.fixture(scope="module")
def other(daemon: TestDaemon) -> str:
    """A second storage."""
    (daemon.data / "other").mkdir(mode=0o711)
    daemon.post("/storage", storage="other", type="dir", path=str(daemon.data / "other"), content="images")
    return "other"


def path_of(daemon: TestDaemon, vmid: int, key: str) -> Path:
    volid = str(daemon.get(f"{daemon.qemu}/{vmid}/config")[key]).partition(",")[0]
    storage, _, name = volid.partition(":")
    root = daemon.data / ("storage" if storage == "local" else storage)
    return root / "images" / "/".join(name.split("/")[-2:])


def pid_of(daemon: TestDaemon, vmid: int) -> int:
    return daemon.qemu_pids()[vmid]


def goes_on(daemon: TestDaemon, vmid: int) -> None:
    before = rounds(daemon, vmid)
    eventually(lambda: rounds(daemon, vmid) > before)


def test_a_running_guest_is_cloned_at_one_moment(daemon: TestDaemon, guest: int) -> None:
    pid = pid_of(daemon, guest)
    daemon.task("POST", f"{daemon.qemu}/{guest}/clone", newid=101, name="copy")
    assert pid_of(daemon, guest) == pid
    assert daemon.status(guest)["qmpstatus"] == "running"
    goes_on(daemon, guest)
    assert written(path_of(daemon, 101, "scsi1"), path_of(daemon, 101, "scsi2")) > 0
    daemon.task("POST", f"{daemon.qemu}/101/status/start")
    daemon.wait_agent(101)
    assert daemon.run(101, "true") == ""


def test_a_disk_is_moved_under_a_writing_guest(daemon: TestDaemon, guest: int, other: str) -> None:
    pid = pid_of(daemon, guest)
    status: dict[str, Any] = daemon.task(
        "POST", f"{daemon.qemu}/{guest}/move_disk", disk="scsi1", storage=other, format="raw"
    )
    assert status["type"] == "qmmove"
    config = daemon.get(f"{daemon.qemu}/{guest}/config")
    assert config["scsi1"].startswith("other:100/vm-100-disk-0.raw,size=64M")
    assert config["unused0"] == "local:100/vm-100-disk-1.qcow2"
    assert (pid_of(daemon, guest), daemon.status(guest)["qmpstatus"]) == (pid, "running")
    goes_on(daemon, guest)
    at_least = rounds(daemon, guest)
    daemon.task("POST", f"{daemon.qemu}/{guest}/move_disk", disk="scsi2", storage=other, delete=1)
    assert "unused1" not in daemon.get(f"{daemon.qemu}/{guest}/config")
    goes_on(daemon, guest)
    daemon.task("POST", f"{daemon.qemu}/{guest}/status/stop")
    assert written(path_of(daemon, guest, "scsi1"), path_of(daemon, guest, "scsi2")) >= at_least
    assert sorted(p.name for p in (daemon.data / "storage/images/100").iterdir()) == [
        "vm-100-disk-0.qcow2",
        "vm-100-disk-1.qcow2",
    ]
