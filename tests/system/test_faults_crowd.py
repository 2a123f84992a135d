"""Many at once: fifty creates, starts, stops and deletes side by side, and a crowd of requests for one guest."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from support.daemon import ApiError, TestDaemon, test_daemon
from support.faults import CPU_STOPPED, assert_whole, image_files, task_rows, wait_idle

CROWD = 50


@pytest.fixture(scope="module")
def house() -> Iterator[TestDaemon]:
    with test_daemon() as daemon:
        yield daemon


def _at_once(work: Callable[[int], Any], over: list[int]) -> list[Any]:
    with ThreadPoolExecutor(CROWD) as pool:
        return list(pool.map(work, over))


def _id_of(upid: str) -> int:
    return int(upid.split(":")[6])


def test_fifty_at_once(house: TestDaemon) -> None:
    def create(_: int) -> int:
        upid = house.post(house.qemu, scsi0="local:0.001", **CPU_STOPPED)
        assert house.wait_task(upid)["exitstatus"] == "OK", house.task_log(upid)
        return _id_of(upid)

    def start(vmid: int) -> None:
        house.task("POST", f"{house.qemu}/{vmid}/status/start")

    def stop(vmid: int) -> None:
        house.task("POST", f"{house.qemu}/{vmid}/status/stop")

    def delete(vmid: int) -> None:
        house.task("DELETE", f"{house.qemu}/{vmid}")

    made = _at_once(create, list(range(CROWD)))
    assert len(set(made)) == CROWD
    _at_once(start, made)
    assert house.qemu_pids().keys() == set(made)
    assert_whole(house)
    _at_once(stop, made)
    assert house.qemu_pids() == {}
    _at_once(delete, made)
    assert house.get(house.qemu) == [] and image_files(house.data / "storage") == set()
    assert_whole(house)


def test_one_number_is_given_once(house: TestDaemon) -> None:
    def create(_: int) -> str:
        try:
            upid = house.post(house.qemu, vmid=300, scsi0="local:0.001", **CPU_STOPPED)
        except ApiError as refused:
            return str(refused.errors["vmid"])
        return str(house.wait_task(upid)["exitstatus"])

    outcomes = _at_once(create, list(range(10)))
    assert sorted(outcomes) == ["OK"] + ["VM 300 already exists"] * 9
    assert_whole(house)
    house.task("DELETE", f"{house.qemu}/300")


def test_requests_for_one_guest_are_done_in_the_order_of_asking(house: TestDaemon) -> None:
    """One after the other, none waited for: each task finds what its predecessors left."""
    house.task("POST", house.qemu, vmid=310, scsi0="local:0.001", **CPU_STOPPED)
    guest = f"{house.qemu}/310"
    asked = [
        house.post(f"{guest}/status/start"),
        house.post(f"{guest}/status/stop"),
        house.post(f"{guest}/status/start"),
        house.post(f"{guest}/config", name="between"),
        house.put(f"{guest}/resize", disk="scsi0", size="3M"),
        house.post(f"{guest}/status/stop"),
        house.delete(guest),
        house.post(f"{guest}/status/start"),
    ]
    outcomes = [house.wait_task(upid)["exitstatus"] for upid in asked]
    assert outcomes[:-1] == ["OK"] * 7
    assert outcomes[-1] == "Configuration file 'nodes/n1/qemu-server/310.conf' does not exist"
    ends = [house.wait_task(upid) for upid in asked]
    assert [row["upid"] for row in ends] == asked
    assert_whole(house)


@pytest.mark.parametrize("round_", range(3))
def test_a_crowd_on_one_guest_ends_in_a_consistent_state(house: TestDaemon, round_: int) -> None:
    """All asked at the same moment: which comes first is chance, but the outcome is that of some order."""
    vmid = 320 + round_
    house.task("POST", house.qemu, vmid=vmid, scsi0="local:0.001", **CPU_STOPPED)
    guest = f"{house.qemu}/{vmid}"
    calls = [
        lambda: house.post(f"{guest}/status/start"),
        lambda: house.post(f"{guest}/status/stop"),
        lambda: house.post(f"{guest}/status/start"),
        lambda: house.post(f"{guest}/config", name="crowd", scsi1="local:0.001"),
        lambda: house.delete(guest),
        lambda: house.put(f"{guest}/resize", disk="scsi0", size="+1M"),
    ]

    def ask(index: int) -> str:
        try:
            upid = calls[index]()
        except ApiError as refused:
            return str(refused.reason)
        return str(house.wait_task(upid)["exitstatus"])

    outcomes = _at_once(ask, [i % len(calls) for i in range(2 * len(calls))])
    wait_idle(house)
    assert_whole(house)
    known = ("OK", f"VM {vmid} already running", f"VM {vmid} is running - destroy failed")
    missing = f"Configuration file 'nodes/n1/qemu-server/{vmid}.conf' does not exist"
    assert set(outcomes) <= {*known, missing}, outcomes
    gone = any(row["status"] == "OK" for row in task_rows(house, "qmdestroy", str(vmid)))
    assert gone == (vmid not in {row["vmid"] for row in house.get(house.qemu)})
    if not gone:
        house.task("POST", f"{guest}/status/stop")
        house.task("DELETE", guest)
    assert_whole(house)
