"""A storage that runs full, uploads that break off: told clearly, nothing left, no guest harmed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.daemon import ApiError, TestDaemon, test_daemon
from support.faults import CPU_STOPPED, PHASES, ask_and_die, assert_whole, eventually, image_files, task_rows, upload
from support.file_systems import tight_storage

MIB = 1024 * 1024
ISO = bytes(range(256)) * 4096


@pytest.fixture(scope="module")
def house() -> Iterator[TestDaemon]:
    with test_daemon() as daemon:
        yield daemon


@pytest.fixture(scope="module")
def tight(house: TestDaemon) -> Iterator[Path]:
    with tight_storage(house, 24, "images,iso,import") as place:
        yield place


@pytest.fixture(scope="module")
def bystander(house: TestDaemon, tight: Path) -> int:
    """A running guest whose disk lies on the storage that is filled."""
    house.task("POST", house.qemu, vmid=100, scsi0="tight:0.001", **CPU_STOPPED)
    house.task("POST", f"{house.qemu}/100/status/start")
    return house.qemu_pids()[100]


def _everything(storage: Path) -> set[str]:
    return {str(p.relative_to(storage)) for p in storage.rglob("*") if p.is_file()}


def _has_five_parts(error: dict[str, object]) -> None:
    assert error["kind"] == "no-space", error
    assert all(error[part] for part in ("code", "message", "cause", "evidence", "fixes")), error


def _unharmed(house: TestDaemon, pid: int) -> None:
    assert house.qemu_pids() == {100: pid}
    assert house.status(100)["qmpstatus"] == "paused"


def test_a_create_that_allocates_too_much(house: TestDaemon, tight: Path, bystander: int) -> None:
    before = _everything(tight)
    big = f"tight:{64 / 1024},format=raw"
    house.put("/storage/tight", preallocation="full")
    upid = house.post(house.qemu, vmid=110, scsi0="tight:0.001", scsi1=big, **CPU_STOPPED)
    status = house.wait_task(upid)
    _has_five_parts(status["error"])
    assert _everything(tight) == before and image_files(tight) == {"100/vm-100-disk-0.qcow2"}
    _unharmed(house, bystander)
    house.task("POST", house.qemu, vmid=110, scsi0="tight:0.001", **CPU_STOPPED)
    house.task("DELETE", f"{house.qemu}/110")
    assert _everything(tight) == before


def test_a_create_that_imports_too_much(house: TestDaemon, tight: Path, bystander: int, tmp_path: Path) -> None:
    before = _everything(tight)
    source = tmp_path / "big.raw"
    source.write_bytes(os.urandom(40 * MIB))
    image = house.add_image(source, "big.raw")
    upid = house.post(house.qemu, vmid=111, scsi0=f"tight:0,import-from={image}", **CPU_STOPPED)
    status = house.wait_task(upid)
    _has_five_parts(status["error"])
    assert _everything(tight) == before
    _unharmed(house, bystander)
    (house.data / "storage" / "import" / "big.raw").unlink()


def test_a_disk_that_cannot_grow(house: TestDaemon, tight: Path, bystander: int) -> None:
    """Where an image is given its space at once: it stays as it was, and grows by what there is room for."""
    before = _everything(tight)
    house.put("/storage/tight", preallocation="falloc")
    house.task("POST", house.qemu, vmid=112, scsi0="tight:0.001,format=raw", **CPU_STOPPED)
    config, image = house.get(f"{house.qemu}/112/config"), tight / "images/112/vm-112-disk-0.raw"
    size = image.stat().st_size
    upid = house.put(f"{house.qemu}/112/resize", disk="scsi0", size="64M")
    _has_five_parts(house.wait_task(upid)["error"])
    assert house.get(f"{house.qemu}/112/config") == config and image.stat().st_size == size
    house.task("PUT", f"{house.qemu}/112/resize", disk="scsi0", size="4M")
    assert image.stat().st_blocks * 512 >= 4 * MIB
    _unharmed(house, bystander)
    house.task("DELETE", f"{house.qemu}/112")
    house.put("/storage/tight", preallocation="full")
    assert _everything(tight) == before


@pytest.fixture(scope="module")
def large(house: TestDaemon, tmp_path_factory: pytest.TempPathFactory) -> int:
    """A guest with a disk that is larger than the whole tight storage."""
    source = tmp_path_factory.mktemp("large") / "large.raw"
    source.write_bytes(os.urandom(40 * MIB))
    image = house.add_image(source, "large.raw")
    house.task("POST", house.qemu, vmid=120, scsi0=f"local:0,import-from={image}", **CPU_STOPPED)
    return 120


COPIES = {
    "clone": ("clone", {"newid": 121, "storage": "tight"}),
    "move": ("move_disk", {"disk": "scsi0", "storage": "tight"}),
}


@pytest.mark.parametrize("running", [False, True], ids=["stopped", "running"])
@pytest.mark.parametrize("verb", COPIES)
def test_a_copy_of_a_disk_that_does_not_fit(
    house: TestDaemon, tight: Path, bystander: int, large: int, verb: str, running: bool
) -> None:
    before, config = _everything(tight), house.get(f"{house.qemu}/{large}/config")
    if running:
        house.task("POST", f"{house.qemu}/{large}/status/start")
    pids = house.qemu_pids()
    path, params = COPIES[verb]
    status = house.wait_task(house.post(f"{house.qemu}/{large}/{path}", **params))
    _has_five_parts(status["error"])
    assert _everything(tight) == before
    assert house.get(f"{house.qemu}/{large}/config") == config
    assert house.qemu_pids() == pids
    if running:
        house.task("POST", f"{house.qemu}/{large}/status/stop")
    assert {row["vmid"] for row in house.get(house.qemu)} == {100, large}
    assert house.qemu_pids() == {100: bystander}


def test_an_upload_that_cannot_fit(house: TestDaemon, tight: Path, bystander: int) -> None:
    before = _everything(tight)
    with pytest.raises(ApiError) as refused:
        upload(house, "big.iso", bytes(40 * MIB), storage="tight")
    _has_five_parts(refused.value.body["error"])
    assert _everything(tight) == before
    _unharmed(house, bystander)


def test_an_upload_that_breaks_off(house: TestDaemon) -> None:
    storage = house.data / "storage"
    before = _everything(storage)
    upload(house, "cut.iso", ISO * 8, send=len(ISO) * 4)
    eventually(lambda: _everything(storage) == before, "nothing of it is left", 10)


@pytest.fixture(scope="module")
def other() -> Iterator[TestDaemon]:
    """A directory whose daemon the tests kill."""
    with test_daemon() as daemon:
        yield daemon


@pytest.mark.parametrize("phase", PHASES)
def test_a_crash_while_an_upload_is_put_in_place(other: TestDaemon, phase: str) -> None:
    name = f"{phase}.iso"
    other.crash_at(f"upload-finish:{phase}")
    ask_and_die(other, lambda: upload(other, name, ISO))
    other.start()
    assert_whole(other)
    file = other.data / "storage" / "template/iso" / name
    done = task_rows(other, "imgcopy")[0]["status"] == "OK"
    assert done == file.exists()
    if not done:
        upid = upload(other, name, ISO)
        assert other.wait_task(upid)["exitstatus"] == "OK"
    assert file.read_bytes() == ISO
    assert _everything(other.data / "storage") >= {f"template/iso/{name}"}


def test_a_crash_while_an_upload_comes_in(other: TestDaemon) -> None:
    other.restart()
    storage = other.data / "storage"
    before = _everything(storage)
    upload(other, "half.iso", ISO * 4, send=len(ISO) * 2, then=other.kill)
    assert len(_everything(storage)) == len(before) + 1
    other.start()
    assert _everything(storage) == before
    assert_whole(other)
