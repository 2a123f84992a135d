"""Snapshots under faults, with data in a real guest: a killed daemon, a guest that ends, a full storage."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.daemon import ApiError, TestDaemon, test_daemon
from support.faults import ask_and_die, eventually, wait_idle
from support.file_systems import fill, tight_storage

MIB = 1024 * 1024
FILE = "/data/f"


@pytest.fixture(scope="module")
def house() -> Iterator[TestDaemon]:
    with test_daemon() as daemon:
        yield daemon


@pytest.fixture(scope="module")
def tight(house: TestDaemon) -> Iterator[Path]:
    with tight_storage(house, 112) as place:
        yield place


@pytest.fixture(scope="module")
def guest(house: TestDaemon, tight: Path, tiny_image: Path) -> int:
    image = house.add_image(tiny_image)
    house.create(100, image, scsi0=f"tight:0,import-from={image}")
    house.task("POST", f"{house.qemu}/100/status/start")
    house.wait_agent(100)
    return 100


def write(daemon: TestDaemon, vmid: int, kib: int = 1024) -> str:
    return daemon.run(
        vmid, "/bin/sh", "-c", f"head -c {kib}k /dev/urandom > {FILE}; sync; md5sum {FILE}"
    ).split()[0]  # fmt: skip


def read(daemon: TestDaemon, vmid: int) -> str:
    script = f"sync; echo 3 > /proc/sys/vm/drop_caches; md5sum {FILE}"
    return daemon.run(vmid, "/bin/sh", "-c", script).split()[0]


def names(daemon: TestDaemon, vmid: int) -> list[str]:
    return [row["name"] for row in daemon.get(f"{daemon.qemu}/{vmid}/snapshot")][:-1]


def files(place: Path) -> list[str]:
    return sorted(p.name for p in (place / "images/100").iterdir())


def fails(daemon: TestDaemon, method: str, path: str, **params: Any) -> dict[str, Any]:
    """The error of a task that must fail for want of space."""
    status = daemon.wait_task(daemon.call(method, path, **params))
    error: dict[str, Any] = status["error"]
    assert error["kind"] == "no-space", status
    assert all(error[part] for part in ("code", "message", "cause", "evidence", "fixes")), error
    return error


def test_a_full_storage(house: TestDaemon, tight: Path, guest: int) -> None:
    path = f"{house.qemu}/{guest}/snapshot"
    first = write(house, guest)
    before = files(tight)

    ballast = fill(tight, 64 * 1024)
    fails(house, "POST", path, snapname="no_room")
    assert names(house, guest) == [] and files(tight) == before
    assert read(house, guest) == first
    ballast.unlink()

    ballast = fill(tight, 16 * MIB)
    fails(house, "POST", path, snapname="no_room", vmstate=1)
    assert names(house, guest) == [] and files(tight) == before
    assert house.status(guest)["qmpstatus"] == "running"
    assert read(house, guest) == first
    ballast.unlink()

    house.task("POST", path, snapname="one")
    second = write(house, guest, 8 * 1024)
    ballast = fill(tight, 256 * 1024)
    fails(house, "DELETE", f"{path}/one")
    assert names(house, guest) == ["one"]
    with pytest.raises(ApiError, match="is being removed"):
        house.post(f"{path}/one/rollback")
    assert read(house, guest) == second
    ballast.unlink()
    house.task("DELETE", f"{path}/one")
    assert names(house, guest) == [] and files(tight) == before
    assert read(house, guest) == second

    house.task("POST", path, snapname="two")
    third = write(house, guest)
    ballast = fill(tight, 64 * 1024)
    fails(house, "POST", f"{path}/two/rollback")
    assert house.status(guest)["status"] == "stopped"
    ballast.unlink()
    house.task("POST", f"{house.qemu}/{guest}/status/start")
    house.wait_agent(guest)
    assert read(house, guest) == third, "nothing was taken back"
    house.task("POST", f"{path}/two/rollback", start=1)
    house.wait_agent(guest)
    assert read(house, guest) == second
    house.task("DELETE", f"{path}/two")


@pytest.fixture(scope="module")
def other(tiny_image: Path) -> Iterator[TestDaemon]:
    """A directory with a running guest, whose daemon the tests kill."""
    with test_daemon() as daemon:
        daemon.create(100, daemon.add_image(tiny_image))
        daemon.task("POST", f"{daemon.qemu}/100/status/start")
        daemon.wait_agent(100)
        yield daemon


DEATHS = [
    ("POST", "/snapshot", {"snapname": "new"}, "snapshot-layer:after-effect"),
    ("POST", "/snapshot", {"snapname": "new"}, "snapshot-take:after-effect"),
    ("POST", "/snapshot", {"snapname": "new", "vmstate": 1}, "state-take:after-effect"),
    ("DELETE", "/snapshot/new", {}, "snapshot-merge:before-effect"),
    ("DELETE", "/snapshot/new", {}, "snapshot-merge:after-effect"),
    ("POST", "/snapshot/new/rollback", {"start": 1}, "snapshot-back:after-effect"),
    ("POST", "/snapshot/new/rollback", {"start": 1}, "guest-launch:after-effect"),
]


@pytest.mark.parametrize(("method", "path", "params", "point"), DEATHS)
@pytest.mark.parametrize("survives", [True, False], ids=["guest-runs", "guest-ends"])
def test_a_killed_daemon(
    other: TestDaemon, method: str, path: str, params: dict[str, Any], point: str, survives: bool
) -> None:
    """The daemon dies at a point; then perhaps the guest, too, as when the power goes. What the guest had flushed is
    there afterwards, and what the snapshot held comes back."""
    if other.status(100)["status"] != "running":
        other.task("POST", f"{other.qemu}/100/status/start")
        other.wait_agent(100)
    held = write(other, 100)
    now = held
    if path != "/snapshot":
        other.task("POST", f"{other.qemu}/100/snapshot", snapname="new")
        now = write(other, 100)
    other.crash_at(point)
    other.wait_agent(100)
    ask_and_die(other, lambda: other.call(method, f"{other.qemu}/100{path}", **params))
    pid = other.qemu_pids().get(100)
    if not survives and pid is not None:
        os.kill(pid, 9)
        eventually(lambda: not other.qemu_pids(), "the guest is gone")
    other.start()
    wait_idle(other, 60)
    if other.status(100)["status"] != "running":
        other.task("POST", f"{other.qemu}/100/status/start")
    other.wait_agent(100)
    assert read(other, 100) == (held if "rollback" in path else now)
    after = write(other, 100)
    if "new" in names(other, 100):
        assert method == "POST"
        other.task("POST", f"{other.qemu}/100/snapshot/new/rollback", start=1)
        other.wait_agent(100)
        assert read(other, 100) == held
        other.task("DELETE", f"{other.qemu}/100/snapshot/new")
    else:
        assert read(other, 100) == after
    images = other.data / "storage/images/100"
    assert [p.name for p in images.iterdir()] == ["vm-100-disk-0.qcow2"]
    other.task("POST", f"{other.qemu}/100/status/stop")
    done = subprocess.run(["qemu-img", "check", images / "vm-100-disk-0.qcow2"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
