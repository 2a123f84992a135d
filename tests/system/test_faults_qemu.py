"""Faults of processes: the daemon is killed under its guests, guests are killed or hang under their daemon."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from support.daemon import ApiError, TestDaemon, test_daemon
from support.faults import CPU_STOPPED, alive, assert_whole, eventually

GUESTS = range(100, 110)


@pytest.fixture(scope="module")
def house() -> Iterator[TestDaemon]:
    """A daemon with ten guests, all running."""
    with test_daemon() as daemon:
        for vmid in GUESTS:
            daemon.task("POST", daemon.qemu, vmid=vmid, scsi0="local:0.001", name=f"g{vmid}", **CPU_STOPPED)
            daemon.task("POST", f"{daemon.qemu}/{vmid}/status/start")
        yield daemon


def _again(daemon: TestDaemon) -> None:
    """All guests of the house run, whatever the test before did."""
    for row in daemon.get(daemon.qemu):
        if row["status"] == "stopped":
            daemon.task("POST", f"{daemon.qemu}/{row['vmid']}/status/start")


def _quick_status(daemon: TestDaemon, vmid: int) -> dict[str, object]:
    """The status, which must never wait for a QEMU."""
    began = time.monotonic()
    status = daemon.status(vmid)
    assert time.monotonic() - began < 1
    return status


def test_a_killed_daemon_is_followed_by_one_that_adopts_all(house: TestDaemon) -> None:
    _again(house)
    pids = house.qemu_pids()
    assert set(pids) == set(GUESTS)
    configs = {vmid: house.get(f"{house.qemu}/{vmid}/config") for vmid in GUESTS}
    starts = {vmid: house.status(vmid)["uptime"] for vmid in GUESTS}
    house.kill()
    assert house.qemu_pids() == pids
    house.start()
    assert house.qemu_pids() == pids
    for vmid in GUESTS:
        status = house.status(vmid)
        assert (status["status"], status["qmpstatus"], status["pid"]) == ("running", "paused", pids[vmid])
        assert status["uptime"] >= starts[vmid] and status["name"] == f"g{vmid}"
        assert house.get(f"{house.qemu}/{vmid}/config") == configs[vmid]
    assert_whole(house)
    house.task("POST", f"{house.qemu}/100/status/stop")
    house.task("POST", f"{house.qemu}/101/status/resume")
    assert house.status(101)["qmpstatus"] == "running"
    assert set(house.qemu_pids()) == set(GUESTS) - {100}
    assert_whole(house)


def test_a_daemon_ends_soon_and_its_guests_go_on(house: TestDaemon) -> None:
    _again(house)
    pids = house.qemu_pids()
    assert house.stop() < 5
    assert house.process is not None and house.process.returncode == 0
    assert house.qemu_pids() == pids
    house.start()
    assert {row["vmid"]: row["pid"] for row in house.get(house.qemu)} == pids


def test_a_guest_that_ended_while_no_daemon_ran_is_cleaned_up(house: TestDaemon) -> None:
    _again(house)
    pids = house.qemu_pids()
    house.kill()
    os.kill(pids[102], signal.SIGKILL)
    eventually(lambda: not alive(pids[102]), "the guest is gone")
    house.start()
    assert house.status(102)["status"] == "stopped"
    assert house.qemu_pids() == {v: p for v, p in pids.items() if v != 102}
    assert_whole(house)
    house.task("POST", f"{house.qemu}/102/status/start")


@pytest.mark.parametrize("adopted", [False, True])
def test_a_killed_guest_is_seen_and_starts_again(house: TestDaemon, adopted: bool) -> None:
    _again(house)
    if adopted:
        house.kill()
        house.start()
    else:
        house.task("POST", f"{house.qemu}/103/status/stop")
        house.task("POST", f"{house.qemu}/103/status/start")
    pids = house.qemu_pids()
    os.kill(pids[103], signal.SIGKILL)
    eventually(lambda: house.status(103)["status"] == "stopped", "the end is seen", 5)
    assert "was killed" in house.status(103)["last-exit"]
    assert_whole(house)
    house.task("POST", f"{house.qemu}/103/status/start")
    assert {v: p for v, p in house.qemu_pids().items() if v != 103} == {v: p for v, p in pids.items() if v != 103}


def test_a_hanging_guest_is_told_and_hurts_nobody(house: TestDaemon) -> None:
    _again(house)
    pid = house.qemu_pids()[104]
    os.kill(pid, signal.SIGSTOP)
    try:
        assert _quick_status(house, 104)["status"] == "running"
        eventually(lambda: _quick_status(house, 104)["qmpstatus"] == "unknown", "silence is noticed", 12)
        assert _quick_status(house, 104)["pid"] == pid
        house.task("POST", f"{house.qemu}/105/status/stop")
        house.task("POST", f"{house.qemu}/105/status/start")
        with pytest.raises(ApiError) as refused:
            house.get(f"{house.qemu}/104/agent/get-time")
        assert refused.value.status >= 400
    finally:
        os.kill(pid, signal.SIGCONT)
    eventually(lambda: house.status(104)["qmpstatus"] == "paused", "the guest answers again", 12)
    assert house.qemu_pids()[104] == pid
    assert_whole(house)


def test_a_hanging_guest_is_known_after_a_restart_of_the_daemon(house: TestDaemon) -> None:
    _again(house)
    pid = house.qemu_pids()[106]
    os.kill(pid, signal.SIGSTOP)
    try:
        house.restart()
        status = _quick_status(house, 106)
        assert (status["status"], status["qmpstatus"], status["pid"]) == ("running", "unknown", pid)
    finally:
        os.kill(pid, signal.SIGCONT)
    eventually(lambda: house.status(106)["qmpstatus"] == "paused", "the guest answers again", 15)


def test_a_hanging_guest_can_be_stopped(house: TestDaemon) -> None:
    _again(house)
    pid = house.qemu_pids()[107]
    os.kill(pid, signal.SIGSTOP)
    try:
        began = time.monotonic()
        house.task("POST", f"{house.qemu}/107/status/stop", timeout=5)
        assert time.monotonic() - began < 25
        assert not alive(pid) and house.status(107)["status"] == "stopped"
    finally:
        if alive(pid):
            os.kill(pid, signal.SIGCONT)
    assert_whole(house)
    house.task("POST", f"{house.qemu}/107/status/start")


def test_a_second_daemon_on_the_directory_is_refused(house: TestDaemon) -> None:
    assert house.process is not None
    argv = [sys.executable, "-m", "tarmac", "serve", "--data-dir", str(house.data), "--listen", "127.0.0.1:0"]
    second = subprocess.run(argv, capture_output=True, text=True, timeout=30)
    assert second.returncode not in (0, -9)
    words = second.stderr + second.stdout
    assert f"another daemon owns the data directory {house.data}" in words
    assert f"process {house.process.pid}" in words and "Cause:" in words and "Fix:" in words
    assert "Traceback" not in words
    assert house.get("/version")


def test_daemons_side_by_side_have_guests_of_the_same_number(house: TestDaemon) -> None:
    _again(house)
    before = house.qemu_pids()
    with test_daemon() as other:
        other.task("POST", other.qemu, vmid=100, scsi0="local:0.001", name="other", **CPU_STOPPED)
        other.task("POST", f"{other.qemu}/100/status/start")
        assert other.qemu_pids().keys() == {100} and other.qemu_pids()[100] != before[100]
        assert house.qemu_pids() == before
        other.kill()
        other.start()
        assert other.status(100)["name"] == "other" and house.status(100)["name"] == "g100"
        other.task("POST", f"{other.qemu}/100/status/stop")
        other.task("DELETE", f"{other.qemu}/100")
        assert_whole(other)
    assert house.qemu_pids() == before
    assert_whole(house)
