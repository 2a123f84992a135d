"""Snapshots of UEFI guests on a directory that shares no blocks: their variables are kept and come back."""

from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.daemon import ApiError, TestDaemon, test_daemon
from support.faults import ask_and_die, check_image, eventually, wait_idle
from support.file_systems import file_system
from tarmac.lib import places

UEFI = {"bios": "ovmf", "machine": "q35", "memory": 128, "vga": "none", "serial0": "socket"}


@pytest.fixture(scope="module")
def house() -> Iterator[TestDaemon]:
    if not Path("/usr/share/OVMF/OVMF_VARS_4M.fd").exists():
        pytest.skip("the package ovmf is not installed")
    with file_system("ext4", 64) as root, test_daemon() as daemon:
        daemon.post("/storage", storage="plain", type="dir", path=str(root), content="images", reserve="0")
        try:
            yield daemon
        finally:
            daemon.remove()


def variables(house: TestDaemon, vmid: int) -> Path:
    """The file of a guest's efidisk0."""
    volume = house.get(f"{house.qemu}/{vmid}/config")["efidisk0"].partition(",")[0].partition(":")[2]
    return Path(house.get(f"/nodes/{house.node}/storage/plain/content/{volume}")["path"])


def contents(image: Path) -> bytes:
    """What the firmware finds there; of a running guest what it has written so far."""
    raw = image.with_name("contents")
    argv = ["qemu-img", "convert", "-U", "-f", image.suffix[1:], "-O", "raw", image, raw]
    subprocess.run(argv, check=True)
    try:
        return raw.read_bytes()
    finally:
        raw.unlink()


def killed_while_the_guest_stands(house: TestDaemon) -> None:
    """The next daemon ends the merge of the flash, and lets the guest go on by itself."""
    house.task("POST", f"{house.qemu}/100/snapshot", snapname="again")
    pid = house.status(100)["pid"]
    house.restart(crash_at="snapshot-merge:renamed-efidisk0")
    ask_and_die(house, lambda: house.delete(f"{house.qemu}/100/snapshot/again"))
    assert qmp_status(house, 100) == "paused"
    house.start()
    wait_idle(house)
    status = house.status(100)
    assert (status["pid"], status["qmpstatus"]) == (pid, "running")
    assert [row["name"] for row in house.get(f"{house.qemu}/100/snapshot")] == ["fresh", "booted", "current"]


def qmp_status(house: TestDaemon, vmid: int) -> str:
    """What a guest's QEMU says of itself, while no daemon is connected to it."""
    place = places.api_socket(house.data)
    assert place is not None
    with socket.socket(socket.AF_UNIX) as monitor:
        monitor.settimeout(30)
        monitor.connect(str(place.parent / str(vmid) / "qmp.sock"))
        monitor.sendall(b'{"execute":"qmp_capabilities"} {"execute":"query-status"}')
        for line in monitor.makefile("rb"):
            answer = json.loads(line).get("return") or {}
            if "status" in answer:
                return str(answer["status"])
    raise AssertionError("QEMU ended")


def test_a_new_guests_variables_are_kept_while_it_runs(house: TestDaemon) -> None:
    house.task("POST", house.qemu, vmid=100, scsi0="plain:0.001", efidisk0="plain:1,efitype=4m", **UEFI)
    image = variables(house, 100)
    assert image.suffix == ".qcow2" and ",size=528K" in house.get(f"{house.qemu}/100/config")["efidisk0"]
    fresh = contents(image)
    assert len(fresh) == 540_672
    house.task("POST", f"{house.qemu}/100/snapshot", snapname="fresh")
    house.task("POST", f"{house.qemu}/100/status/start")
    empty = image.stat().st_size
    eventually(lambda: image.stat().st_size > empty, "the firmware has written its variables", 90)
    house.task("POST", f"{house.qemu}/100/snapshot", snapname="booted", vmstate=1)
    assert contents(image.with_name(f"snap-booted-{image.name}")) != fresh
    house.task("POST", f"{house.qemu}/100/snapshot", snapname="again")
    house.task("DELETE", f"{house.qemu}/100/snapshot/again")
    killed_while_the_guest_stands(house)
    house.task("POST", f"{house.qemu}/100/snapshot/booted/rollback")
    assert house.status(100)["status"] == "running", "it goes on from its memory"
    house.task("POST", f"{house.qemu}/100/snapshot/fresh/rollback")
    assert contents(image) == fresh
    for name in ("fresh", "booted"):
        house.task("DELETE", f"{house.qemu}/100/snapshot/{name}")
    check_image(image)
    assert {path.suffix for path in image.parent.iterdir()} == {".qcow2"}
    assert len(list(image.parent.iterdir())) == 2


def test_instant_clones_stand_on_raw_variables(house: TestDaemon) -> None:
    """The guest has its raw flash again when the clone is gone."""
    house.task("POST", house.qemu, vmid=102, scsi0="plain:0.001,format=raw", instant=1, freeze=1,
               efidisk0="plain:1,efitype=4m,format=raw", **UEFI)  # fmt: skip
    house.task("POST", f"{house.qemu}/102/status/start")
    raw = variables(house, 102)
    fresh = contents(raw)
    house.wait_task(house.post(f"{house.qemu}/102/clone", instant=1, newid=103))
    assert house.status(103)["status"] == "running"
    assert variables(house, 103).suffix == variables(house, 102).suffix == ".qcow2" and not raw.exists()
    assert contents(variables(house, 103)) == fresh
    house.task("POST", f"{house.qemu}/103/status/stop")
    house.task("DELETE", f"{house.qemu}/103")
    eventually(raw.exists, "its variables are raw again", 60)
    wait_idle(house, 60)
    assert variables(house, 102) == raw and contents(raw) == fresh
    assert not list(raw.parent.glob("*.qcow2"))
    house.task("POST", f"{house.qemu}/102/status/stop")


def test_a_raw_one_is_refused_with_what_turns_it_into_qcow2(house: TestDaemon) -> None:
    house.task("POST", house.qemu, vmid=101, efidisk0="plain:1,efitype=4m,format=raw", **UEFI, freeze=1)
    house.task("POST", f"{house.qemu}/101/status/start")
    before = contents(variables(house, 101))
    with pytest.raises(ApiError) as refused:
        house.post(f"{house.qemu}/101/snapshot", snapname="one")
    error = refused.value.body["error"]
    assert error["code"] == "no-snapshots" and "efidisk0" in error["evidence"]
    (fix,) = error["fixes"]
    assert "firmware's variables" in fix["text"]
    house.task("POST", f"{house.qemu}/101/move_disk", **fix["parameters"])
    assert variables(house, 101).suffix == ".qcow2"
    house.task("POST", f"{house.qemu}/101/snapshot", snapname="one")
    house.task("POST", f"{house.qemu}/101/status/stop")
    assert contents(variables(house, 101)) == before
    assert house.get(f"{house.qemu}/101/feature", feature="snapshot")["hasFeature"] == 1
