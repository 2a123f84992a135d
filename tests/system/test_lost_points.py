"""Layers and saved memories to which no snapshot refers: found, told why, removed without a lost byte. And layers that
a running QEMU does not have open."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.daemon import ApiError, TestDaemon, test_daemon
from support.faults import CPU_STOPPED, check_image, eventually

DISK = "vm-100-disk-0.qcow2"


@pytest.fixture(scope="module")
def house() -> Iterator[TestDaemon]:
    with test_daemon() as daemon:
        yield daemon


@pytest.fixture
def images(house: TestDaemon) -> Iterator[Path]:
    """A stopped guest 100 with a disk of 1 MiB whose first 64 KiB are ones; the directory of its images."""
    house.task("POST", house.qemu, vmid=100, scsi0="local:0.001", **CPU_STOPPED)
    place = house.data / "storage/images/100"
    write(place / DISK, 1, "0 64k")
    yield place
    if house.status(100)["status"] == "running":
        house.task("POST", f"{house.qemu}/100/status/stop")
    house.task("DELETE", f"{house.qemu}/100")
    assert not place.exists()


def write(image: Path, byte: int, where: str) -> None:
    subprocess.run(["qemu-io", "-f", "qcow2", "-c", f"write -P {byte} {where}", image], check=True, capture_output=True)


def holds(image: Path, byte: int, where: str) -> None:
    done = subprocess.run(
        ["qemu-io", "-r", "-U", "-f", "qcow2", "-c", f"read -P {byte} {where}", image], capture_output=True, text=True
    )
    assert done.returncode == 0 and "failed" not in done.stdout, done.stdout


def freeze(place: Path, name: str) -> None:
    """What a snapshot does, by hand: nothing is recorded of it."""
    (place / DISK).rename(place / f"snap-{name}-{DISK}")
    subprocess.run(
        ["qemu-img", "create", "-q", "-f", "qcow2", "-b", f"snap-{name}-{DISK}", "-F", "qcow2", place / DISK],
        check=True,
    )


def orphans(house: TestDaemon) -> dict[str, str]:
    rows: list[dict[str, Any]] = house.get(f"/nodes/{house.node}/storage/local/orphans")
    return {row["volid"]: row["reason"] for row in rows}


def remove(house: TestDaemon, volume: str) -> None:
    house.task("DELETE", f"/nodes/{house.node}/storage/local/content/{volume}")


@pytest.mark.parametrize("running", [False, True], ids=["stopped", "running"])
def test_a_layer_that_no_snapshot_knows(house: TestDaemon, images: Path, running: bool) -> None:
    freeze(images, "lost")
    write(images / DISK, 2, "64k 64k")
    assert orphans(house) == {f"local:100/{DISK}@lost": "guest 100 has no snapshot 'lost'"}
    if running:
        house.task("POST", f"{house.qemu}/100/status/start")
    house.task("POST", f"{house.qemu}/100/snapshot", snapname="kept")
    assert set(orphans(house)) == {f"local:100/{DISK}@lost"}, "what is recorded is none"
    with pytest.raises(ApiError) as refused:
        house.delete(f"/nodes/{house.node}/storage/local/content/100/{DISK}@kept")
    error = refused.value.body["error"]
    assert error["code"] == "point-in-use" and all(error[part] for part in ("message", "cause", "evidence", "fixes"))
    remove(house, f"100/{DISK}@lost")
    assert orphans(house) == {}
    assert {path.name for path in images.iterdir()} == {DISK, f"snap-kept-{DISK}"}
    for image in (images / DISK, images / f"snap-kept-{DISK}"):
        holds(image, 1, "0 64k")
        holds(image, 2, "64k 64k")
    if running:
        house.task("POST", f"{house.qemu}/100/status/stop")
    for image in images.iterdir():
        check_image(image)
    with pytest.raises(ApiError, match="does not exist"):
        house.delete(f"/nodes/{house.node}/storage/local/content/100/{DISK}@lost")


def test_a_layer_that_carries_branches_stays_and_says_so(house: TestDaemon, images: Path) -> None:
    freeze(images, "trunk")
    house.task("POST", f"{house.qemu}/100/snapshot", snapname="one")
    layer = images / f"snap-other-{DISK}"
    subprocess.run(
        ["qemu-img", "create", "-q", "-f", "qcow2", "-b", f"snap-trunk-{DISK}", "-F", "qcow2", layer], check=True
    )
    found = orphans(house)
    assert "has to stay" in found[f"local:100/{DISK}@trunk"]
    with pytest.raises(ApiError) as refused:
        house.delete(f"/nodes/{house.node}/storage/local/content/100/{DISK}@trunk")
    assert refused.value.body["error"]["code"] == "point-stood-on"
    remove(house, f"100/{DISK}@other")
    remove(house, f"100/{DISK}@trunk")
    assert orphans(house) == {}
    holds(images / DISK, 1, "0 64k")
    check_image(images / DISK)


def test_memories_and_layers_without_a_disk(house: TestDaemon, images: Path) -> None:
    (images / "vm-100-state-gone.raw").write_bytes(b"x" * 4096)
    lost = house.data / "storage/images/300"
    lost.mkdir()
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", lost / "snap-old-vm-300-disk-0.qcow2", "1M"], check=True)
    assert orphans(house) == {
        "local:100/vm-100-state-gone.raw": "it is the memory of a snapshot 'gone' that guest 100 does not have",
        "local:300/vm-300-disk-0.qcow2@old": "its volume local:300/vm-300-disk-0.qcow2 is gone",
    }
    remove(house, "100/vm-100-state-gone.raw")
    remove(house, "300/vm-300-disk-0.qcow2@old")
    assert orphans(house) == {} and not list(lost.iterdir())
    lost.rmdir()


def test_a_removal_that_is_cancelled_can_be_repeated(house: TestDaemon, images: Path) -> None:
    house.task("POST", f"{house.qemu}/100/snapshot", snapname="one")
    write(images / DISK, 2, "64k 512k")
    house.task("POST", f"{house.qemu}/100/status/start")
    upid = house.delete(f"{house.qemu}/100/snapshot/one", bwlimit=1)
    where = f"/nodes/{house.node}/tasks/{upid}"
    eventually(lambda: "progress" in house.get(f"{where}/status"), "it is being merged")
    house.delete(where)
    assert house.wait_task(upid)["exitstatus"] == "interrupted by signal"
    (row, _) = house.get(f"{house.qemu}/100/snapshot")
    assert row["snapstate"] == "delete"
    with pytest.raises(ApiError, match="is being removed") as refused:
        house.post(f"{house.qemu}/100/snapshot/one/rollback")
    fix = refused.value.body["error"]["fixes"][0]
    assert fix["action"] == "DELETE .../snapshot/one"
    assert orphans(house) == {}, "it is still one of the guest's"
    house.task("DELETE", f"{house.qemu}/100/snapshot/one")
    assert [path.name for path in images.iterdir()] == [DISK]
    house.task("POST", f"{house.qemu}/100/status/stop")
    holds(images / DISK, 1, "0 64k")
    holds(images / DISK, 2, "64k 512k")
    check_image(images / DISK)


def test_layers_that_the_running_qemu_does_not_have_open(house: TestDaemon, images: Path) -> None:
    """The files were exchanged under it, as when somebody brings them back from elsewhere: its QEMU knows nothing of
    these, so they are merged from outside. Taking them for merged would lose what the upper one holds."""
    house.task("POST", f"{house.qemu}/100/snapshot", snapname="one")
    write(images / DISK, 2, "64k 64k")
    house.task("POST", f"{house.qemu}/100/status/start")
    for path in list(images.iterdir()):
        other = path.with_name(f".{path.name}.other")
        shutil.copy2(path, other)
        other.rename(path)
    house.task("DELETE", f"{house.qemu}/100/snapshot/one")
    assert [path.name for path in images.iterdir()] == [DISK]
    holds(images / DISK, 1, "0 64k")
    holds(images / DISK, 2, "64k 64k")
    house.task("POST", f"{house.qemu}/100/status/stop")
    check_image(images / DISK)
