"""Clones and moves under running guests: what the guest wrote is there, whole, and it never noticed."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.daemon import TestDaemon, eventually
from support.faults import ask_and_die, assert_whole, task_rows, wait_idle
from support.paired_writer import FIRST, SECOND, fill, rounds, start_writing, written


@pytest.fixture
def guest(daemon: TestDaemon, tiny: str) -> Iterator[int]:
    """A running guest with two further disks, to which it writes in rounds."""
    daemon.create(100, tiny, scsi1=FIRST, scsi2=SECOND, name="source")
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
    assert config["scsi1"].startswith("other:100/vm-100-disk-0.raw,size=96M")
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


SLOW = {"bwlimit": 2048}  # KiB/s: 64 MiB written in rounds take long enough to be cut off


def mirroring(daemon: TestDaemon, upid: str) -> bool:
    status = daemon.get(f"/nodes/{daemon.node}/tasks/{upid}/status")
    assert status["status"] == "running", status
    return bool(status.get("progress"))


def test_a_killed_daemon_goes_on_with_a_move(daemon: TestDaemon, guest: int, other: str) -> None:
    fill(daemon, guest)
    pid = pid_of(daemon, guest)
    upid = daemon.post(f"{daemon.qemu}/{guest}/move_disk", disk="scsi1", storage=other, delete=1, bwlimit=8192)
    eventually(lambda: mirroring(daemon, upid))
    daemon.kill()
    daemon.start()
    assert daemon.wait_task(upid)["exitstatus"] == "OK"
    assert (pid_of(daemon, guest), daemon.status(guest)["qmpstatus"]) == (pid, "running")
    goes_on(daemon, guest)
    daemon.task("POST", f"{daemon.qemu}/{guest}/status/stop")
    assert daemon.get(f"{daemon.qemu}/{guest}/config")["scsi1"].startswith("other:")
    assert written(path_of(daemon, guest, "scsi1"), path_of(daemon, guest, "scsi2")) > 0


@pytest.mark.parametrize(
    ("verb", "params"),
    [("move_disk", {"disk": "scsi1", "delete": 1}), ("clone", {"newid": 101})],
    ids=["move", "clone"],
)
def test_a_guest_that_dies_while_it_is_copied_keeps_its_disks(
    daemon: TestDaemon, guest: int, other: str, verb: str, params: dict[str, Any]
) -> None:
    fill(daemon, guest)
    before = daemon.get(f"{daemon.qemu}/{guest}/config")
    upid = daemon.post(f"{daemon.qemu}/{guest}/{verb}", storage=other, **params, **SLOW)
    eventually(lambda: mirroring(daemon, upid))
    os.kill(pid_of(daemon, guest), signal.SIGKILL)
    status = daemon.wait_task(upid)
    assert status["exitstatus"] != "OK"
    assert daemon.get(f"{daemon.qemu}/{guest}/config") == before
    assert [row["vmid"] for row in daemon.get(daemon.qemu)] == [guest]
    assert not list((daemon.data / "other").rglob("vm-*"))
    eventually(lambda: daemon.status(guest)["status"] == "stopped")
    written(path_of(daemon, guest, "scsi1"), path_of(daemon, guest, "scsi2"))


@pytest.mark.parametrize(
    ("verb", "params"),
    [("move_disk", {"disk": "scsi1", "delete": 1}), ("clone", {"newid": 101})],
    ids=["move", "clone"],
)
def test_a_cancelled_copy_leaves_the_guest_running(
    daemon: TestDaemon, guest: int, other: str, verb: str, params: dict[str, Any]
) -> None:
    fill(daemon, guest)
    upid = daemon.post(f"{daemon.qemu}/{guest}/{verb}", storage=other, **params, **SLOW)
    eventually(lambda: mirroring(daemon, upid))
    daemon.delete(f"/nodes/{daemon.node}/tasks/{upid}")
    assert daemon.wait_task(upid)["exitstatus"] == "interrupted by signal"
    goes_on(daemon, guest)
    assert not list((daemon.data / "other").rglob("vm-*"))
    daemon.task("POST", f"{daemon.qemu}/{guest}/{verb}", storage=other, **params)  # nothing is in its way
    goes_on(daemon, guest)


MOVE = ("move_disk", {"disk": "scsi1", "storage": "other", "delete": 1})
MOMENTS = {
    "disk-switch:paused": MOVE,
    "disk-switch:written": MOVE,
    "clone-mirror:held": ("clone", {"newid": 101, "storage": "other"}),
}


@pytest.mark.parametrize("qemu_too", [False, True], ids=["daemon", "daemon-and-guest"])
@pytest.mark.parametrize("moment", MOMENTS)
def test_killed_while_the_guest_stands_still(
    daemon: TestDaemon, guest: int, other: str, moment: str, qemu_too: bool
) -> None:
    """The worst moment: the guest is paused, and who paused it is gone. Nothing that it had flushed is lost, and where
    it lives it goes on."""
    verb, params = MOMENTS[moment]
    daemon.crash_at(moment)
    at_least, pid = rounds(daemon, guest), pid_of(daemon, guest)
    ask_and_die(daemon, lambda: daemon.post(f"{daemon.qemu}/{guest}/{verb}", **params))
    if qemu_too:
        os.kill(pid, signal.SIGKILL)
    daemon.start()
    wait_idle(daemon, 60)
    kind = {"move_disk": "qmmove", "clone": "qmclone"}[verb]
    done = task_rows(daemon, kind, str(guest))[0]["status"] == "OK"
    assert done == (not qemu_too or moment == "disk-switch:written")
    config = daemon.get(f"{daemon.qemu}/{guest}/config")
    assert config["scsi1"].startswith("other:" if done and verb == "move_disk" else "local:")
    if not qemu_too:
        assert pid_of(daemon, guest) == pid
        goes_on(daemon, guest)
        daemon.task("POST", f"{daemon.qemu}/{guest}/status/stop")
    assert written(path_of(daemon, guest, "scsi1"), path_of(daemon, guest, "scsi2")) >= at_least
    if verb == "clone":
        assert (101 in [row["vmid"] for row in daemon.get(daemon.qemu)]) == done
    if done and verb == "clone":
        assert written(path_of(daemon, 101, "scsi1"), path_of(daemon, 101, "scsi2")) >= at_least
    kept = {path_of(daemon, v["vmid"], k) for v in daemon.get(daemon.qemu) for k in ("scsi0", "scsi1", "scsi2")}
    assert set(daemon.data.rglob("vm-*-disk-*")) == kept
