"""A guest's file systems are frozen for a snapshot and come back, whoever dies meanwhile."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.daemon import ApiError, TestDaemon, eventually
from tarmac.lib import places

HOLDER = """
import asyncio, sys
from pathlib import Path
from tarmac.drivers.qemu.fs_freeze import frozen

async def main():
    async with frozen(Path(sys.argv[1]), hold_seconds=float(sys.argv[2])) as hold:
        print(hold.count, hold.problem, flush=True)
        await asyncio.sleep(600)

asyncio.run(main())
"""


@pytest.fixture(scope="module")
def guest(daemon: TestDaemon, tiny: str) -> Iterator[int]:
    vmid = daemon.create(100, tiny)
    daemon.task("POST", f"{daemon.qemu}/{vmid}/status/start")
    daemon.wait_agent(vmid)
    yield vmid


def status(daemon: TestDaemon, vmid: int) -> str:
    return str(daemon.post(f"{daemon.qemu}/{vmid}/agent/fsfreeze-status")["result"])


@contextlib.contextmanager
def holder(daemon: TestDaemon, vmid: int, seconds: float) -> Iterator[subprocess.Popen[str]]:
    """A process that has the guest frozen, as a daemon has in the midst of a snapshot; the daemon itself is away."""
    daemon.end()
    socket = places.api_socket(daemon.data)
    assert socket is not None
    argv = [sys.executable, "-c", HOLDER, str(socket.parent / str(vmid) / "qga.sock"), str(seconds)]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        count, _, problem = process.stdout.readline().strip().partition(" ")
        assert (int(count), problem) == (1, "")
        yield process
    finally:
        process.kill()
        process.wait()


def test_a_snapshot_freezes_and_thaws(daemon: TestDaemon, guest: int) -> None:
    upid = daemon.post(f"{daemon.qemu}/{guest}/snapshot", snapname="quiet")
    assert daemon.wait_task(upid)["exitstatus"] == "OK"
    assert "1 file systems frozen" in daemon.task_log(upid)
    assert status(daemon, guest) == "thawed"
    daemon.task("POST", f"{daemon.qemu}/{guest}/config", agent="1,freeze-fs=0")
    upid = daemon.post(f"{daemon.qemu}/{guest}/snapshot", snapname="loud")
    assert daemon.wait_task(upid)["exitstatus"] == "OK"
    assert "frozen" not in daemon.task_log(upid)
    daemon.task("POST", f"{daemon.qemu}/{guest}/config", agent="1")


def test_a_guest_is_thawed_when_its_daemon_is_killed(daemon: TestDaemon, guest: int) -> None:
    with holder(daemon, guest, 600) as process:
        process.kill()
        process.wait()
        daemon.start()
        eventually(lambda: status(daemon, guest) == "thawed")
        assert daemon.run(guest, "/bin/sh", "-c", "echo x > /data/again; sync; cat /data/again") == "x\n"


def test_a_guest_is_thawed_when_its_daemon_hangs(daemon: TestDaemon, guest: int) -> None:
    with holder(daemon, guest, 2) as process:
        os.kill(process.pid, signal.SIGSTOP)
        daemon.start()
        eventually(lambda: status(daemon, guest) == "thawed")


def test_an_agent_that_hangs_costs_seconds(daemon: TestDaemon, guest: int) -> None:
    with contextlib.suppress(ApiError, AssertionError):
        daemon.post(
            f"{daemon.qemu}/{guest}/agent/exec", command=["/bin/sh", "-c", "(sleep 1; killall -STOP qemu-ga) &"]
        )
    eventually(lambda: _silent(daemon, guest))
    began = time.monotonic()
    upid = daemon.post(f"{daemon.qemu}/{guest}/snapshot", snapname="deaf")
    assert daemon.wait_task(upid)["exitstatus"] == "OK"
    assert "file systems are not frozen" in daemon.task_log(upid)
    assert time.monotonic() - began < 60, "bounded"
    assert Path(daemon.data / "storage/images/100/snap-deaf-vm-100-disk-0.qcow2").exists()


def _silent(daemon: TestDaemon, vmid: int) -> bool:
    try:
        daemon.post(f"{daemon.qemu}/{vmid}/agent/ping")
    except ApiError:
        return True
    return False
