"""Snapshots of real guests: what the guest had on its disks and in its memory comes back, to the byte."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from support.daemon import ApiError, TestDaemon, eventually

FILE = "/data/f"


def snap(daemon: TestDaemon, vmid: int, name: str, **params: Any) -> dict[str, Any]:
    return daemon.task("POST", f"{daemon.qemu}/{vmid}/snapshot", snapname=name, **params)


def back(daemon: TestDaemon, vmid: int, name: str, **params: Any) -> dict[str, Any]:
    return daemon.task("POST", f"{daemon.qemu}/{vmid}/snapshot/{name}/rollback", **params)


def forget(daemon: TestDaemon, vmid: int, name: str, **params: Any) -> dict[str, Any]:
    return daemon.task("DELETE", f"{daemon.qemu}/{vmid}/snapshot/{name}", **params)


def rows(daemon: TestDaemon, vmid: int) -> dict[str, dict[str, Any]]:
    return {row["name"]: row for row in daemon.get(f"{daemon.qemu}/{vmid}/snapshot")}


def write(daemon: TestDaemon, vmid: int, text: str, kib: int = 512) -> str:
    """The guest fills its file with something of its own and of this text; returns the checksum."""
    script = f"(echo {text}; head -c {kib}k /dev/urandom) > {FILE}; sync; md5sum {FILE}"
    return daemon.run(vmid, "/bin/sh", "-c", script).split()[0]


def read(daemon: TestDaemon, vmid: int) -> str:
    """The checksum, read from the disk and not from the guest's cache."""
    script = f"sync; echo 3 > /proc/sys/vm/drop_caches; md5sum {FILE}"
    return daemon.run(vmid, "/bin/sh", "-c", script).split()[0]


def stop(daemon: TestDaemon, vmid: int) -> None:
    daemon.task("POST", f"{daemon.qemu}/{vmid}/status/stop")


def start(daemon: TestDaemon, vmid: int) -> None:
    daemon.task("POST", f"{daemon.qemu}/{vmid}/status/start")
    daemon.wait_agent(vmid)


def files(daemon: TestDaemon, vmid: int) -> list[str]:
    return sorted(p.name for p in (daemon.data / "storage/images" / str(vmid)).iterdir())


def check_images(daemon: TestDaemon, vmid: int) -> None:
    """Every image is sound, and each stands on a file that is there."""
    for path in (daemon.data / "storage/images" / str(vmid)).glob("*.qcow2"):
        done = subprocess.run(["qemu-img", "check", "-U", "-q", path], capture_output=True, text=True)
        assert done.returncode == 0, f"{path}: {done.stdout}{done.stderr}"
        info = json.loads(subprocess.check_output(["qemu-img", "info", "-U", "--output=json", path]))
        if below := info.get("backing-filename"):
            assert (path.parent / below).exists(), f"{path.name} stands on {below}, which is gone"


@pytest.fixture
def guest(daemon: TestDaemon, tiny: str) -> Iterator[int]:
    vmid = daemon.create(int(daemon.get("/cluster/nextid")), tiny)
    start(daemon, vmid)
    yield vmid
    if daemon.status(vmid)["status"] == "running":
        stop(daemon, vmid)
    daemon.task("DELETE", f"{daemon.qemu}/{vmid}")
    assert not (daemon.data / "storage/images" / str(vmid)).exists(), "layers and states go with the guest"


def test_a_running_guest_goes_back_and_its_snapshots_go_while_it_runs(daemon: TestDaemon, guest: int) -> None:
    first = write(daemon, guest, "one")
    snap(daemon, guest, "s1", description="before: it\nall")
    second = write(daemon, guest, "two")
    snap(daemon, guest, "s2")
    third = write(daemon, guest, "three")
    assert read(daemon, guest) == third
    found = rows(daemon, guest)
    assert list(found) == ["s1", "s2", "current"]
    assert found["current"]["parent"] == "s2" and found["s2"]["parent"] == "s1" and "parent" not in found["s1"]
    assert found["s1"]["description"] == "before: it\nall" and found["current"]["running"] == 1
    assert found["s1"]["merges"] > 0
    assert files(daemon, guest) == [
        f"snap-s1-vm-{guest}-disk-0.qcow2", f"snap-s2-vm-{guest}-disk-0.qcow2", f"vm-{guest}-disk-0.qcow2",
    ]  # fmt: skip
    content = daemon.get(f"/nodes/{daemon.node}/storage/local/content", vmid=guest)
    assert [row["volid"] for row in content] == [f"local:{guest}/vm-{guest}-disk-0.qcow2"], "layers are hidden"
    check_images(daemon, guest)

    back(daemon, guest, "s1", start=1)
    daemon.wait_agent(guest)
    assert read(daemon, guest) == first
    assert rows(daemon, guest)["current"]["parent"] == "s1"
    branch = write(daemon, guest, "branch")
    snap(daemon, guest, "s3")
    forget(daemon, guest, "s1")  # s2 and s3 stand on it: its layer stays, hidden
    assert f"snap-s1-vm-{guest}-disk-0.qcow2" in files(daemon, guest)
    with pytest.raises(ApiError, match="already used"):
        snap(daemon, guest, "s1")
    assert read(daemon, guest) == branch

    back(daemon, guest, "s2", start=1)
    daemon.wait_agent(guest)
    assert read(daemon, guest) == second
    forget(daemon, guest, "s3")  # now the hidden layer goes, too, in the running guest
    assert files(daemon, guest) == [f"snap-s2-vm-{guest}-disk-0.qcow2", f"vm-{guest}-disk-0.qcow2"]
    fourth = write(daemon, guest, "four")
    forget(daemon, guest, "s2")
    assert files(daemon, guest) == [f"vm-{guest}-disk-0.qcow2"]
    assert read(daemon, guest) == fourth
    assert list(rows(daemon, guest)) == ["current"]
    fifth = write(daemon, guest, "five")
    stop(daemon, guest)
    check_images(daemon, guest)
    start(daemon, guest)
    assert read(daemon, guest) == fifth


def test_a_middle_snapshot_goes_while_the_guest_runs(daemon: TestDaemon, guest: int) -> None:
    sums = []
    for name in ("aa", "bb", "cc"):
        sums.append(write(daemon, guest, name))
        snap(daemon, guest, name)
    last = write(daemon, guest, "last")
    forget(daemon, guest, "bb")
    assert read(daemon, guest) == last
    check_images(daemon, guest)
    forget(daemon, guest, "aa")
    after = write(daemon, guest, "after")
    assert read(daemon, guest) == after
    daemon.restart()
    daemon.wait_agent(guest)
    snap(daemon, guest, "dd")
    assert read(daemon, guest) == after
    stop(daemon, guest)
    check_images(daemon, guest)
    back(daemon, guest, "cc", start=1)
    daemon.wait_agent(guest)
    assert read(daemon, guest) == sums[2]


def test_a_merge_beside_a_running_guest_keeps_to_its_speed(daemon: TestDaemon, guest: int) -> None:
    write(daemon, guest, "below")
    snap(daemon, guest, "s1")
    kept = write(daemon, guest, "above")
    upid = daemon.delete(f"{daemon.qemu}/{guest}/snapshot/s1", bwlimit=64)

    def jobs() -> str:
        return str(daemon.post(f"{daemon.qemu}/{guest}/monitor", command="info block-jobs"))

    eventually(lambda: "speed limit 65536 bytes/s" in jobs())
    assert read(daemon, guest) == kept, "the guest goes on meanwhile"
    name = jobs().partition("device ")[2].partition(":")[0]
    daemon.post(f"{daemon.qemu}/{guest}/monitor", command=f"block_job_set_speed {name} 0")
    assert daemon.wait_task(upid)["exitstatus"] == "OK"
    assert read(daemon, guest) == kept


def test_a_stopped_guest(daemon: TestDaemon, guest: int) -> None:
    first = write(daemon, guest, "one")
    stop(daemon, guest)
    snap(daemon, guest, "off", vmstate=1)  # without memory: there is none
    assert rows(daemon, guest)["off"]["vmstate"] == 0
    start(daemon, guest)
    second = write(daemon, guest, "two")
    stop(daemon, guest)
    plan = daemon.call("DELETE", f"{daemon.qemu}/{guest}/snapshot/off", dryrun=1)
    assert any("merged" in line for line in plan["effects"])
    back(daemon, guest, "off")
    assert daemon.status(guest)["status"] == "stopped"
    start(daemon, guest)
    assert read(daemon, guest) == first != second
    stop(daemon, guest)
    forget(daemon, guest, "off")
    check_images(daemon, guest)
    start(daemon, guest)
    assert read(daemon, guest) == first


def test_memory_comes_back(daemon: TestDaemon, guest: int) -> None:
    script = "while true; do echo x >> /tmp/ticks; sleep 0.2; done"
    daemon.run(guest, "/bin/sh", "-c", f"echo remembered > /tmp/m; (sh -c '{script}' >/dev/null 2>&1 &)")
    first = write(daemon, guest, "one")
    plan = daemon.post(f"{daemon.qemu}/{guest}/snapshot", snapname="live", vmstate=1, dryrun=1)
    assert "stands still" in plan["effects"][0]
    snap(daemon, guest, "live", vmstate=1)
    assert daemon.status(guest)["qmpstatus"] == "running"
    config = daemon.get(f"{daemon.qemu}/{guest}/snapshot/live/config")
    assert config["vmstate"] == f"local:{guest}/vm-{guest}-state-live.raw"
    assert config["runningmachine"].startswith("pc") and config["runningcpu"]
    second = write(daemon, guest, "two")
    daemon.run(guest, "/bin/sh", "-c", "echo forgotten > /tmp/m")
    assert second != first
    back(daemon, guest, "live")
    daemon.wait_agent(guest)
    assert daemon.run(guest, "/bin/cat", "/tmp/m") == "remembered\n"
    assert read(daemon, guest) == first
    ticks = int(daemon.run(guest, "/bin/sh", "-c", "wc -l < /tmp/ticks"))
    eventually(lambda: int(daemon.run(guest, "/bin/sh", "-c", "wc -l < /tmp/ticks")) > ticks)
    forget(daemon, guest, "live")
    assert files(daemon, guest) == [f"vm-{guest}-disk-0.qcow2"]
    assert read(daemon, guest) == first


def test_what_cannot_be(daemon: TestDaemon, guest: int) -> None:
    path = f"{daemon.qemu}/{guest}/snapshot"
    for name in ("current", "x", "9a", "a" * 41):
        with pytest.raises(ApiError) as refused:
            daemon.post(path, snapname=name)
        assert refused.value.status == 400
    with pytest.raises(ApiError, match="snapshot 'none' does not exist"):
        daemon.post(f"{path}/none/rollback")
    with pytest.raises(ApiError, match="snapshot 'none' does not exist"):
        daemon.delete(f"{path}/none")
    snap(daemon, guest, "once")
    with pytest.raises(ApiError, match="already used"):
        daemon.post(path, snapname="once")
    daemon.task("POST", f"{daemon.qemu}/{guest}/config", scsi1="local:0.01,format=raw")
    with pytest.raises(ApiError, match="snapshot feature is not available"):
        daemon.post(path, snapname="raw")
    assert daemon.get(f"{daemon.qemu}/{guest}/feature", feature="snapshot")["hasFeature"] == 0
    difference = daemon.get(f"{path}/once/diff")
    assert [row["key"] for row in difference] == ["scsi1"]
    daemon.put(f"{path}/once/config", description="new words")
    assert rows(daemon, guest)["once"]["description"] == "new words"
    forget(daemon, guest, "once")


def test_a_disk_that_a_snapshot_has(daemon: TestDaemon, guest: int) -> None:
    """Detached, it becomes unused and cannot be removed; going back attaches it again."""
    stop(daemon, guest)
    daemon.task("POST", f"{daemon.qemu}/{guest}/config", scsi1="local:0.01")
    volid = daemon.get(f"{daemon.qemu}/{guest}/config")["scsi1"].split(",")[0]
    snap(daemon, guest, "with")
    daemon.task("POST", f"{daemon.qemu}/{guest}/config", delete="scsi1")
    with pytest.raises(ApiError, match="still in use"):
        daemon.post(f"{daemon.qemu}/{guest}/config", delete="unused0")
    daemon.task("PUT", f"{daemon.qemu}/{guest}/resize", disk="scsi0", size="+8M")
    back(daemon, guest, "with")
    config = daemon.get(f"{daemon.qemu}/{guest}/config")
    assert config["scsi1"].split(",")[0] == volid and "unused0" not in config
    assert "size=64M" in config["scsi0"]
    daemon.task("POST", f"{daemon.qemu}/{guest}/config", delete="scsi1")
    forget(daemon, guest, "with")
    assert daemon.get(f"{daemon.qemu}/{guest}/config")["unused0"] == volid


def test_a_disk_with_layers_is_unplugged_and_comes_back(daemon: TestDaemon, guest: int) -> None:
    daemon.task("POST", f"{daemon.qemu}/{guest}/config", scsi1="local:0.01")
    snap(daemon, guest, "with")
    daemon.run(guest, "/bin/sh", "-c", "echo written > /dev/sdb; sync")
    daemon.task("POST", f"{daemon.qemu}/{guest}/config", delete="scsi1")
    config = daemon.get(f"{daemon.qemu}/{guest}/config")
    assert "scsi1" not in config
    daemon.task("POST", f"{daemon.qemu}/{guest}/config", scsi1=config["unused0"])
    eventually(lambda: daemon.run(guest, "/bin/sh", "-c", "head -n 1 /dev/sdb") == "written\n")
    snap(daemon, guest, "again")
    forget(daemon, guest, "with")
    forget(daemon, guest, "again")
    assert daemon.run(guest, "/bin/sh", "-c", "head -n 1 /dev/sdb") == "written\n"
    assert files(daemon, guest) == [f"vm-{guest}-disk-0.qcow2", f"vm-{guest}-disk-1.qcow2"]


def test_memory_of_a_guest_that_has_it_in_a_file(daemon: TestDaemon, tiny: str) -> None:
    vmid = daemon.create(int(daemon.get("/cluster/nextid")), tiny, instant=1)
    start(daemon, vmid)
    daemon.run(vmid, "/bin/sh", "-c", "echo remembered > /tmp/m")
    first = write(daemon, vmid, "one")
    snap(daemon, vmid, "live", vmstate=1)
    daemon.run(vmid, "/bin/sh", "-c", "echo forgotten > /tmp/m")
    write(daemon, vmid, "two")
    back(daemon, vmid, "live")
    daemon.wait_agent(vmid)
    assert daemon.run(vmid, "/bin/cat", "/tmp/m") == "remembered\n"
    assert read(daemon, vmid) == first
    stop(daemon, vmid)
    daemon.task("DELETE", f"{daemon.qemu}/{vmid}")
