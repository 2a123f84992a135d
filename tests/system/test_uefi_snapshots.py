"""Snapshots of UEFI guests on a directory that shares no blocks: their variables are kept and come back."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.daemon import ApiError, TestDaemon, test_daemon
from support.faults import check_image, eventually
from support.file_systems import file_system

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
    house.task("POST", f"{house.qemu}/100/snapshot/booted/rollback")
    assert house.status(100)["status"] == "running", "it goes on from its memory"
    house.task("POST", f"{house.qemu}/100/snapshot/fresh/rollback")
    assert contents(image) == fresh
    for name in ("fresh", "booted"):
        house.task("DELETE", f"{house.qemu}/100/snapshot/{name}")
    check_image(image)
    assert {path.suffix for path in image.parent.iterdir()} == {".qcow2"}
    assert len(list(image.parent.iterdir())) == 2


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
