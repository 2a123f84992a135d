"""A storage whose server is frozen (a real FUSE mount that answers nobody): it is shown as stale, all else goes on."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from support.daemon import ApiError, TestDaemon, test_daemon
from support.faults import CPU_STOPPED, eventually

QUICK = 5.0
"""Seconds after which usual clients give up: no call about anything else may take so long (a socket's time-out)."""


@dataclass
class FarServer:
    """A directory mounted through bindfs. `freeze` stops the process that serves it; `thaw` lets it go on."""

    mount: Path
    process: subprocess.Popen[bytes]

    def freeze(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.process.send_signal(signal.SIGCONT)


@pytest.fixture(scope="module")
def far() -> Iterator[FarServer]:
    if os.geteuid() != 0 or shutil.which("bindfs") is None or not Path("/dev/fuse").exists():
        pytest.skip("needs root, /dev/fuse and the Debian package bindfs")
    place = Path(tempfile.mkdtemp(prefix="tarmac-far-"))
    place.chmod(0o711)
    server, mount = place / "server", place / "mount"
    server.mkdir(mode=0o711)
    mount.mkdir()
    process = subprocess.Popen(["bindfs", "-f", "-o", "allow_other", server, mount])
    try:
        eventually(mount.is_mount, "bindfs serves")
        yield FarServer(mount, process)
    finally:
        process.send_signal(signal.SIGCONT)
        subprocess.run(["umount", "--lazy", mount], check=False)
        process.terminate()
        process.wait(20)
        shutil.rmtree(place)


@pytest.fixture(scope="module")
def house(far: FarServer) -> Iterator[TestDaemon]:
    """Guest 100 runs on `local`, 101 runs on `far`, 102 on `far` is stopped."""
    with test_daemon() as daemon:
        try:
            daemon.post("/storage", storage="far", type="dir", path=str(far.mount), is_mountpoint="yes")
            for vmid, storage in ((100, "local"), (101, "far"), (102, "far")):
                daemon.task("POST", daemon.qemu, vmid=vmid, scsi0=f"{storage}:0.01", **CPU_STOPPED)
            for vmid in (100, 101):
                daemon.task("POST", f"{daemon.qemu}/{vmid}/status/start")
            yield daemon
        finally:
            far.thaw()  # a QEMU that waits for it could not be ended


def row(house: TestDaemon, storage: str) -> dict[str, Any]:
    rows = house.call("GET", f"/nodes/{house.node}/storage", _timeout=QUICK)
    return next(dict(row) for row in rows if row["storage"] == storage)


def refusal(house: TestDaemon, method: str, path: str, /, timeout: float, **params: Any) -> dict[str, Any]:
    with pytest.raises(ApiError) as refused:
        house.call(method, path, _timeout=timeout, **params)
    return dict(refused.value.body["error"])


@pytest.fixture
def frozen(house: TestDaemon, far: FarServer) -> Iterator[None]:
    far.freeze()
    try:
        eventually(lambda: row(house, "far")["active"] == 0, "it is seen", 60)
        yield
    finally:
        far.thaw()
    eventually(lambda: row(house, "far")["active"] == 1, "it is back", 60)


@pytest.mark.usefixtures("frozen")
def test_all_else_goes_on(house: TestDaemon) -> None:
    shown = row(house, "far")
    assert shown["stale"] == 1 and shown["total"] > 0 and "does not answer" in shown["problem"]
    assert row(house, "local")["active"] == 1 and "stale" not in row(house, "local")
    for _ in range(12):  # more than the storage has threads
        with contextlib.suppress(TimeoutError):
            house.call("GET", f"/nodes/{house.node}/storage/far/content", _timeout=0.2)
    for path in ("/cluster/resources", "/nodes", house.qemu, f"{house.qemu}/101/status/current", "/storage"):
        assert house.call("GET", path, _timeout=QUICK)
    assert house.call("GET", f"/nodes/{house.node}/storage/local/content", _timeout=QUICK) is not None
    house.task("POST", house.qemu, vmid=110, scsi0="local:0.01", **CPU_STOPPED)
    house.task("POST", f"{house.qemu}/110/status/start")
    house.task("POST", f"{house.qemu}/110/status/stop")
    house.task("DELETE", f"{house.qemu}/110", **{"purge": 1, "destroy-unreferenced-disks": 1})
    assert set(house.qemu_pids()) == {100, 101}


@pytest.mark.usefixtures("frozen")
def test_what_needs_it_is_told_why(house: TestDaemon) -> None:
    error = refusal(house, "GET", f"/nodes/{house.node}/storage/far/content", timeout=20)
    assert error["code"] == "storage-timeout" and all(error[part] for part in ("message", "cause", "evidence", "fixes"))
    upid = house.post(f"{house.qemu}/102/status/start")
    ended = house.wait_task(upid, 90)
    assert ended["error"]["code"] == "storage-timeout", ended
    assert house.status(102)["status"] == "stopped"
    error = refusal(house, "PUT", "/storage/far", timeout=20, content="images,iso")
    assert error["code"] == "storage-timeout"


@pytest.mark.usefixtures("frozen")
def test_a_daemon_starts_while_it_hangs(house: TestDaemon) -> None:
    pids = house.qemu_pids()
    house.restart()
    assert house.qemu_pids() == pids
    assert house.status(100)["qmpstatus"] == "paused" and house.status(101)["status"] == "running"
    shown = row(house, "far")
    assert shown["active"] == 0 and "does not answer" in shown["problem"]


def test_everything_works_when_it_is_back(house: TestDaemon) -> None:
    assert row(house, "far")["active"] == 1
    house.task("POST", f"{house.qemu}/102/status/start")
    volumes = house.get(f"/nodes/{house.node}/storage/far/content")
    assert len(volumes) == 2
