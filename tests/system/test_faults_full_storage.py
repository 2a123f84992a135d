"""A storage runs full under a running guest: it waits, says why, and goes on by itself; not a byte is lost."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.daemon import ApiError, TestDaemon, test_daemon
from support.faults import CPU_STOPPED, eventually, task_rows
from support.file_systems import file_system, fill
from support.listener import listener, tell

MIB = 1 << 20
DATA, DISK = 24 * MIB, 32 * MIB
COPY = f"""
for disk in /sys/block/sd*; do
    case $(cat $disk/size) in {DATA // 512}) from=/dev/${{disk##*/}} ;; {DISK // 512}) to=/dev/${{disk##*/}} ;; esac
done
cat $from > $to && sync
"""
"""The guest finds its disks by their sizes: which comes first is chance."""


@pytest.fixture(scope="module")
def small() -> Iterator[Path]:
    with file_system("ext4", 96) as root:
        yield root


@pytest.fixture(scope="module")
def house(small: Path) -> Iterator[TestDaemon]:
    with test_daemon() as daemon:
        daemon.post("/storage", storage="small", type="dir", path=str(small), content="images", reserve="1M")
        try:
            yield daemon
        finally:
            daemon.remove()


@pytest.fixture(scope="module")
def told(house: TestDaemon) -> Iterator[list[bytes]]:
    """What people are told by notifications."""
    with listener() as (port, bodies):
        tell(house, port, "regex:type=^(storage|guest)-.*$")
        yield bodies


@pytest.mark.parametrize("format", ["raw", "qcow2"])
def test_a_guest_waits_for_room_and_goes_on(
    house: TestDaemon, small: Path, tiny_image: Path, format: str, told: list[bytes]
) -> None:
    before, waits = len(told), "VM 200 waits"
    contents = os.urandom(DATA)
    source = house.data / "storage/import/data.raw"
    source.parent.mkdir(parents=True, exist_ok=True)
    source.write_bytes(contents)
    vmid = house.create(
        200, house.add_image(tiny_image), scsi1="local:0,import-from=local:import/data.raw",
        scsi2=f"small:{DISK / (1 << 30)},format={format}",
    )  # fmt: skip
    filler = fill(small, leave=8 * MIB)
    house.task("POST", f"{house.qemu}/{vmid}/status/start")
    house.wait_agent(vmid)
    writing = house.post(f"{house.qemu}/{vmid}/agent/exec", command=["/bin/sh", "-c", COPY])["pid"]
    eventually(lambda: "io-error" in house.status(vmid), "the guest waits and says why", 90)
    status = house.status(vmid)
    error = status["io-error"]
    assert status["qmpstatus"] == "io-error" and error["kind"] == "no-space" and error["code"] == "disk-no-space"
    assert "'small'" in error["message"] and "scsi2" in error["message"]
    assert all(error[part] for part in ("cause", "evidence", "fixes"))
    eventually(lambda: any(waits in title for title in _titles(told[before:], "VM 200")), "people are told", 10)
    house.restart()  # another daemon finds the same
    eventually(lambda: "io-error" in house.status(vmid), "a new daemon says why, too", 30)
    filler.unlink()
    eventually(lambda: house.status(vmid)["qmpstatus"] == "running", "it goes on", 60)
    assert "io-error" not in house.status(vmid)
    house.wait_agent(vmid)
    done: dict[str, Any] = {}

    def ended() -> bool:
        done.update(house.get(f"{house.qemu}/{vmid}/agent/exec-status", pid=writing))
        return bool(done["exited"])

    eventually(ended, "the guest's own write has ended", 120)
    assert done["exitcode"] == 0, done
    resumes = task_rows(house, "qmresume", str(vmid))
    assert 1 <= len(resumes) <= 3 and all(row["status"] == "OK" for row in resumes)
    eventually(lambda: "VM 200 no longer waits" in _titles(told[before:], "VM 200"), "people are told", 30)
    titles = _titles(told[before:], "VM 200")
    assert [title.startswith(waits) for title in titles] == [True, False], titles
    house.task("POST", f"{house.qemu}/{vmid}/status/stop")
    assert flat(small / f"images/{vmid}/vm-{vmid}-disk-0.{format}", format) == contents + bytes(DISK - DATA)
    house.task("DELETE", f"{house.qemu}/{vmid}")


def flat(image: Path, format: str) -> bytes:
    target = image.with_name("flat")
    subprocess.run(["qemu-img", "convert", "-f", format, "-O", "raw", image, target], check=True)
    return target.read_bytes()


def test_what_is_kept_for_others_is_not_given_away(house: TestDaemon, small: Path, told: list[bytes]) -> None:
    full, room = "storage 'small' is almost full", "storage 'small' has room again"
    eventually(lambda: _titles(told, "storage 'small'")[-1:] != [full], "the tests before have their end told", 30)
    told.clear()
    house.put("/storage/small", reserve="60M")
    filler = fill(small, leave=30 * MIB)
    try:
        eventually(lambda: _titles(told, "storage 'small'") == [full], "people are told", 30)
        eventually(lambda: "reserve" in _row(house).get("warning", ""), "lists warn", 30)
        resources = house.get("/cluster/resources", type="storage")
        assert any("warning" in row for row in resources if row["storage"] == "small")
        assert "warning" in house.get(f"/nodes/{house.node}/storage/small/status")
        with pytest.raises(ApiError) as refused:
            house.post(house.qemu, vmid=210, scsi0="small:0.01", **CPU_STOPPED)
        error = refused.value.body["error"]
        assert error["kind"] == "no-space" and error["code"] == "storage-reserve"
        assert all(error[part] for part in ("message", "cause", "evidence", "fixes"))
        with pytest.raises(ApiError) as refused:
            house.post(f"/nodes/{house.node}/storage/small/content", vmid=210, filename="vm-210-x.raw", size="1M")
        assert refused.value.body["error"]["code"] == "storage-reserve"
        assert not (small / "images/210").exists()
    finally:
        filler.unlink()
    house.put("/storage/small", reserve="10M")
    eventually(lambda: _titles(told, "storage 'small'") == [full, room], "people are told that it is over", 30)
    house.task("POST", house.qemu, vmid=210, scsi0="small:0.5", **CPU_STOPPED)  # more than there is, thin
    house.task("DELETE", f"{house.qemu}/210")


def _titles(told: list[bytes], word: str) -> list[str]:
    """What people were told that begins so, in order."""
    return [title for body in told if (title := json.loads(body)).startswith(word)]


def _row(house: TestDaemon) -> dict[str, Any]:
    rows = house.get(f"/nodes/{house.node}/storage")
    return next(dict(row) for row in rows if row["storage"] == "small")
