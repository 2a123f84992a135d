"""Full clones that can be used at once: linked at first, independent of their template in the end, whatever happens."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.daemon import ApiError, TestDaemon, test_daemon
from support.faults import CPU_STOPPED, ask_and_die, assert_whole, check_image, eventually, wait_idle

MIB = 1 << 20
TEMPLATE = 9000


@pytest.fixture(scope="module")
def contents() -> bytes:
    return os.urandom(8 * MIB)


@pytest.fixture(scope="module")
def house(contents: bytes, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestDaemon]:
    """A daemon with a template whose disk holds `contents`."""
    raw = tmp_path_factory.mktemp("flatten") / "data.raw"
    raw.write_bytes(contents)
    with test_daemon() as daemon:
        image = daemon.add_image(raw, "data.raw")
        disk = f"local:0,import-from={image},format=qcow2"
        daemon.task("POST", daemon.qemu, vmid=TEMPLATE, scsi0=disk, **CPU_STOPPED)
        daemon.task("POST", f"{daemon.qemu}/{TEMPLATE}/template")
        yield daemon


@pytest.fixture(autouse=True)
def nothing_left(house: TestDaemon) -> Iterator[None]:
    yield
    house.restart()
    wait_idle(house, 60)
    assert_whole(house)
    for row in house.get(house.qemu):
        if row["vmid"] != TEMPLATE:
            if row["status"] == "running":
                house.task("POST", f"{house.qemu}/{row['vmid']}/status/stop")
            house.task("DELETE", f"{house.qemu}/{row['vmid']}")


def clone(house: TestDaemon, vmid: int, *, run: bool, **params: Any) -> None:
    house.task("POST", f"{house.qemu}/{TEMPLATE}/clone", newid=vmid, **params)
    if run:
        house.task("POST", f"{house.qemu}/{vmid}/status/start")


def is_linked(house: TestDaemon, vmid: int) -> bool:
    return "base-" in house.get(f"{house.qemu}/{vmid}/config")["scsi0"]


def image_of(house: TestDaemon, vmid: int) -> Path:
    return house.data / f"storage/images/{vmid}/vm-{vmid}-disk-0.qcow2"


def stands_alone(house: TestDaemon, vmid: int, contents: bytes) -> None:
    """Its disk holds what the template's does, and needs it no more."""
    assert not is_linked(house, vmid)
    image = image_of(house, vmid)
    if house.status(vmid)["status"] == "running":
        house.task("POST", f"{house.qemu}/{vmid}/status/stop")
    shown = subprocess.run(["qemu-img", "info", image], capture_output=True, text=True, check=True).stdout
    assert "backing file" not in shown
    raw = image.with_name("raw")
    subprocess.run(["qemu-img", "convert", "-O", "raw", image, raw], check=True)
    try:
        assert hashlib.sha256(raw.read_bytes()).digest() == hashlib.sha256(contents).digest()
    finally:
        raw.unlink()
    check_image(image)
    assert str(house.get(f"/nodes/{house.node}/storage/local/orphans")) == "[]"


def test_several_at_once_are_independent_in_the_end(house: TestDaemon, contents: bytes) -> None:
    done = house.task("POST", f"{house.qemu}/{TEMPLATE}/clone", count=2, full=1, flatten=1)
    numbers = done["result"]["vmids"]
    assert sorted(done["result"]["flatten"]) == [str(number) for number in numbers]
    for upid in done["result"]["flatten"].values():
        assert house.wait_task(upid)["exitstatus"] == "OK"
    for number in numbers:
        stands_alone(house, number, contents)
    with pytest.raises(ApiError, match="is no linked clone"):
        house.post(f"{house.qemu}/{numbers[0]}/flatten")
    house.task("POST", f"{house.qemu}/{numbers[0]}/status/start")


@pytest.mark.parametrize(
    ("wrong", "vmid"), [({"full": 0}, TEMPLATE), ({"storage": "local"}, TEMPLATE), ({}, 100)]
)  # fmt: skip
def test_what_makes_no_sense(house: TestDaemon, wrong: dict[str, Any], vmid: int) -> None:
    if vmid == 100:
        clone(house, 100, run=False)
    with pytest.raises(ApiError) as refused:
        house.post(f"{house.qemu}/{vmid}/clone", flatten=1, **wrong)
    assert refused.value.status == 400
    assert len(house.get(house.qemu)) == (2 if vmid == 100 else 1)


def test_it_gives_way_to_whoever_wants_the_guest(house: TestDaemon, contents: bytes) -> None:
    clone(house, 100, run=True)
    upid = house.post(f"{house.qemu}/100/flatten", bwlimit=64)
    where = f"/nodes/{house.node}/tasks/{upid}"
    eventually(lambda: "progress" in house.get(f"{where}/status"), "it copies")
    house.task("POST", f"{house.qemu}/100/config", name="renamed")
    assert house.get(f"{where}/status")["status"] == "running", "it is not done, and goes on"
    house.task("POST", f"{house.qemu}/100/status/stop")
    assert house.wait_task(upid)["exitstatus"] == "OK"
    assert house.get(f"{house.qemu}/100/config")["name"] == "renamed"
    stands_alone(house, 100, contents)


def test_cancelled_it_is_still_a_linked_clone_and_can_be_asked_again(house: TestDaemon, contents: bytes) -> None:
    clone(house, 100, run=True)
    upid = house.post(f"{house.qemu}/100/flatten", bwlimit=64)
    where = f"/nodes/{house.node}/tasks/{upid}"
    eventually(lambda: "progress" in house.get(f"{where}/status"), "it copies")
    house.delete(where)
    assert house.wait_task(upid)["exitstatus"] == "interrupted by signal"
    assert is_linked(house, 100)
    house.task("POST", f"{house.qemu}/100/snapshot", snapname="one")
    told = house.wait_task(house.post(f"{house.qemu}/100/flatten"))
    assert told["exitstatus"] == "WARNINGS: 1" and is_linked(house, 100), "its snapshot stands on the template"
    house.task("DELETE", f"{house.qemu}/100/snapshot/one")
    house.task("POST", f"{house.qemu}/100/flatten")
    assert house.status(100)["status"] == "running"
    stands_alone(house, 100, contents)


def test_a_guest_that_is_removed_meanwhile_is_simply_gone(house: TestDaemon) -> None:
    clone(house, 100, run=True)
    upid = house.post(f"{house.qemu}/100/flatten", bwlimit=64)
    eventually(lambda: "progress" in house.get(f"/nodes/{house.node}/tasks/{upid}/status"), "it copies")
    house.task("POST", f"{house.qemu}/100/status/stop", **{"overrule-shutdown": 1})
    house.task("DELETE", f"{house.qemu}/100")
    assert house.wait_task(upid)["exitstatus"] == "OK"


@pytest.mark.parametrize("survives", [True, False], ids=["guest-runs", "guest-ends"])
def test_killed_in_the_midst_of_it(house: TestDaemon, contents: bytes, survives: bool) -> None:
    clone(house, 100, run=True)
    pid = house.qemu_pids()[100]
    house.crash_at("disk-flatten:streaming")
    ask_and_die(house, lambda: house.post(f"{house.qemu}/100/flatten", bwlimit=2048))
    if not survives:
        os.kill(pid, 9)
        eventually(lambda: not house.qemu_pids(), "the guest is gone")
    house.start()
    wait_idle(house, 60)
    assert (100 in house.qemu_pids()) == survives
    stands_alone(house, 100, contents)
