"""Disks given to another guest: all or nothing, with their data and options, in Proxmox's words."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.daemon import ApiError, TestDaemon, test_daemon
from support.faults import CPU_STOPPED, PHASES, ask_and_die, assert_whole, task_rows, wait_idle

MIB = 1 << 20


@pytest.fixture(scope="module")
def contents() -> bytes:
    return os.urandom(MIB)


@pytest.fixture(scope="module")
def house(contents: bytes, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestDaemon]:
    raw = tmp_path_factory.mktemp("gift") / "data.raw"
    raw.write_bytes(contents)
    with test_daemon() as daemon:
        daemon.add_image(raw, "data.raw")
        yield daemon


@pytest.fixture(autouse=True)
def two(house: TestDaemon) -> Iterator[None]:
    """Guests 100, with a disk of data as scsi1, and 101, with one of its own."""
    data = "local:0,import-from=local:import/data.raw,format=raw,cache=writeback"
    house.task("POST", house.qemu, vmid=100, scsi0="local:0.001", scsi1=data, **CPU_STOPPED)
    house.task("POST", house.qemu, vmid=101, scsi0="local:0.001", **CPU_STOPPED)
    yield
    house.restart()
    wait_idle(house)
    assert_whole(house)
    for vmid in (100, 101):
        if house.status(vmid)["status"] == "running":
            house.task("POST", f"{house.qemu}/{vmid}/status/stop")
        house.task("DELETE", f"{house.qemu}/{vmid}")


def config(house: TestDaemon, vmid: int) -> dict[str, Any]:
    return dict(house.get(f"{house.qemu}/{vmid}/config"))


def image(house: TestDaemon, vmid: int, number: int) -> Path:
    return house.data / f"storage/images/{vmid}/vm-{vmid}-disk-{number}.raw"


def give(house: TestDaemon, disk: str, **params: Any) -> str:
    return str(house.post(f"{house.qemu}/100/move_disk", disk=disk, **{"target-vmid": 101, **params}))


def test_a_disk_goes_over_with_its_data_and_options(house: TestDaemon, contents: bytes) -> None:
    upid = give(house, "scsi1", **{"target-disk": "virtio3"})
    assert ":qmmove:100-scsi1>101-virtio3:" in upid
    assert house.wait_task(upid)["exitstatus"] == "OK"
    assert "scsi1" not in config(house, 100)
    assert config(house, 101)["virtio3"] == "local:101/vm-101-disk-1.raw,cache=writeback,size=1M"
    assert image(house, 101, 1).read_bytes() == contents
    house.task("POST", f"{house.qemu}/101/status/start")


def test_a_detached_one_of_a_running_guest_to_a_running_guest(house: TestDaemon, contents: bytes) -> None:
    house.task("POST", f"{house.qemu}/101/status/start")
    house.task("POST", f"{house.qemu}/100/config", delete="scsi1")
    house.task("POST", f"{house.qemu}/100/status/start")
    assert house.wait_task(give(house, "unused0", **{"target-disk": "scsi5"}))["exitstatus"] == "OK"
    assert "unused0" not in config(house, 100)
    rows = {row["key"]: row for row in house.get(f"{house.qemu}/101/pending")}
    assert rows["scsi5"]["pending"].startswith("local:101/vm-101-disk-1.raw") and "value" not in rows["scsi5"]
    house.task("POST", f"{house.qemu}/101/status/stop")
    house.task("POST", f"{house.qemu}/101/status/start")
    assert config(house, 101)["scsi5"] == "local:101/vm-101-disk-1.raw,size=1M"
    assert image(house, 101, 1).read_bytes() == contents


def test_what_is_refused(house: TestDaemon) -> None:
    before = {vmid: config(house, vmid) for vmid in (100, 101)}

    def refused(words: str, disk: str = "scsi1", **params: Any) -> None:
        with pytest.raises(ApiError) as caught:
            give(house, disk, **params)
        assert words in f"{caught.value} {caught.value.errors}", caught.value

    refused("already in use for VM '101'", "scsi0")
    refused("must be different than source VMID", **{"target-vmid": 100})
    refused("does not exist", "scsi7")
    refused("does not exist", **{"target-vmid": 999})
    refused("not both", storage="local")
    refused("checksum mismatch", **{"target-digest": "0" * 40})
    house.task("POST", f"{house.qemu}/100/status/start")
    refused("Cannot move disk to another VM while the source VM is running - detach first")
    house.task("POST", f"{house.qemu}/100/status/stop")
    assert {vmid: config(house, vmid) for vmid in (100, 101)} == before
    house.task("POST", f"{house.qemu}/100/config", delete="scsi1")
    house.task("POST", f"{house.qemu}/100/snapshot", snapname="one")
    refused("Can't move disk used by a snapshot to another VM", "scsi0", **{"target-disk": "scsi4"})
    house.task("DELETE", f"{house.qemu}/100/snapshot/one")


POINTS = ["volume-rename:before-intent", *(f"volume-rename:{p}" for p in PHASES[1:]), "config-put:after-effect"]


@pytest.mark.parametrize("point", POINTS)
def test_a_killed_daemon(house: TestDaemon, contents: bytes, point: str) -> None:
    house.crash_at(point)
    ask_and_die(house, lambda: give(house, "scsi1"))
    house.start()
    wait_idle(house)
    assert_whole(house)
    done = task_rows(house, "qmmove")[0]["status"] == "OK"
    owner, number = (101, 1) if done else (100, 1)
    assert ("scsi1" in config(house, 101)) == done and ("scsi1" in config(house, 100)) == (not done)
    assert image(house, owner, number).read_bytes() == contents
