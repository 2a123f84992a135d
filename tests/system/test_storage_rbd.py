"""A guest's whole life on a Ceph pool, with a real small Ceph: disks in the running guest, snapshots, moves, clones."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.ceph import Ceph, ceph, missing
from support.daemon import ApiError, TestDaemon, test_daemon
from support.faults import ask_and_die, eventually, wait_idle
from support.guest_disk import DISK, read, write
from support.terminal import words_for


@pytest.fixture(scope="module")
def house() -> Iterator[tuple[TestDaemon, Ceph]]:
    if lacking := missing():
        pytest.skip(lacking)
    with ceph() as cluster, test_daemon() as daemon:
        try:
            daemon.post(
                "/storage",
                storage="pool",
                type="rbd",
                monhost=cluster.monhost,
                keyring=cluster.keyring,
                username="admin",
            )
            yield daemon, cluster
        finally:
            daemon.remove()


def points(cluster: Ceph) -> list[str]:
    return [row["name"] for row in json.loads(cluster("rbd", "snap", "ls", "vm-200-disk-0", "--format", "json"))]


def test_the_key_is_nowhere_to_be_seen(house: tuple[TestDaemon, Ceph]) -> None:
    daemon, cluster = house
    key = cluster.keyring.partition("key = ")[2].strip()
    shown = daemon.get("/storage/pool")
    assert shown["content"] == "images" and key not in json.dumps(shown) and "keyring" not in shown
    (kept,) = daemon.data.glob("storage-access/pool/keyring")
    assert stat.S_IMODE(kept.stat().st_mode) & 0o007 == 0
    row = daemon.get(f"/nodes/{daemon.node}/storage/pool/status")
    assert (row["type"], row["active"], row["shared"]) == ("rbd", 1, 1) and row["total"] > 1 << 30
    with pytest.raises(ApiError) as refused:
        daemon.post("/storage", storage="bad", type="rbd", monhost=cluster.monhost, keyring=cluster.keyring, pool="no")
    assert "no" in str(refused.value.body)
    assert not (daemon.data / "storage-access" / "bad").exists()


def test_the_command_line_defines_one(house: tuple[TestDaemon, Ceph]) -> None:
    daemon, cluster = house
    words = words_for(daemon, "storage", "add", "typed", "--type", "rbd", "--monhost", cluster.monhost, "--keyring")
    done = subprocess.run(words, input=cluster.keyring, text=True, capture_output=True)
    assert done.returncode == 0, done.stderr
    listed = subprocess.run(words_for(daemon, "storage", "list"), text=True, capture_output=True)
    assert "typed" in listed.stdout and "rbd" in listed.stdout
    assert daemon.get(f"/nodes/{daemon.node}/storage/typed/status")["active"] == 1
    daemon.delete("/storage/typed")
    assert not (daemon.data / "storage-access" / "typed").exists()


def test_a_guests_life(house: tuple[TestDaemon, Ceph], tiny_image: Path) -> None:
    daemon, cluster = house
    vmid = daemon.create(200, daemon.add_image(tiny_image), scsi1=f"pool:{DISK / (1 << 30)}")
    assert daemon.get(f"{daemon.qemu}/{vmid}/config")["scsi1"] == "pool:vm-200-disk-0,size=32M"
    daemon.task("POST", f"{daemon.qemu}/{vmid}/status/start")
    daemon.wait_agent(vmid)
    assert cluster.keyring.partition("key = ")[2].strip() not in _argv(daemon, vmid)
    write(daemon, vmid, "first")

    # Points in time of the running guest, kept by the pool.
    daemon.task("POST", f"{daemon.qemu}/{vmid}/snapshot", snapname="one", vmstate=0)
    write(daemon, vmid, "second")
    assert [row["name"] for row in json.loads(cluster("rbd", "snap", "ls", "vm-200-disk-0", "--format", "json"))] == [
        "one"
    ]

    # It grows, moves to a directory and back, while the guest writes.
    daemon.task("PUT", f"{daemon.qemu}/{vmid}/resize", disk="scsi1", size="+16M")
    sizes = "cat /sys/block/sd*/size"
    eventually(lambda: str((DISK + (16 << 20)) // 512) in daemon.run(vmid, "/bin/sh", "-c", sizes), "the guest sees it")
    daemon.task("POST", f"{daemon.qemu}/{vmid}/status/stop")
    daemon.task("POST", f"{daemon.qemu}/{vmid}/snapshot/one/rollback")
    daemon.task("POST", f"{daemon.qemu}/{vmid}/status/start")
    daemon.wait_agent(vmid)
    assert read(daemon, vmid) == "first"
    daemon.task("DELETE", f"{daemon.qemu}/{vmid}/snapshot/one")
    assert points(cluster) == []


def test_moves_under_the_running_guest(house: tuple[TestDaemon, Ceph]) -> None:
    daemon, cluster = house
    daemon.task("POST", f"{daemon.qemu}/200/move_disk", disk="scsi1", storage="local", format="qcow2", delete=1)
    assert daemon.get(f"{daemon.qemu}/200/config")["scsi1"].startswith("local:200/")
    assert cluster("rbd", "ls", "rbd").split() == []
    assert read(daemon, 200) == "first"
    write(daemon, 200, "moved")
    daemon.task("POST", f"{daemon.qemu}/200/move_disk", disk="scsi1", storage="pool", delete=1)
    assert daemon.get(f"{daemon.qemu}/200/config")["scsi1"].startswith("pool:vm-200-disk-0")
    assert read(daemon, 200) == "moved"
    # A disk of the running guest is plugged in and out.
    daemon.task("POST", f"{daemon.qemu}/200/config", scsi2="pool:0.01")
    assert "vm-200-disk-1" in cluster("rbd", "ls", "rbd")
    daemon.put(f"{daemon.qemu}/200/config", delete="scsi2")
    daemon.put(f"{daemon.qemu}/200/config", delete="unused0")
    eventually(lambda: "vm-200-disk-1" not in cluster("rbd", "ls", "rbd"), "the unused disk is gone")


def test_a_template_and_its_clones(house: tuple[TestDaemon, Ceph]) -> None:
    daemon, cluster = house
    daemon.task("POST", f"{daemon.qemu}/200/status/stop")
    # Stopped: to the pool with all its disks, the system disk too; a cloud-init medium lies there as well.
    daemon.task("POST", f"{daemon.qemu}/200/move_disk", disk="scsi0", storage="pool", delete=1)
    daemon.put(f"{daemon.qemu}/200/config", ide2="pool:cloudinit", ciuser="me")
    daemon.task("POST", f"{daemon.qemu}/200/template")
    assert daemon.get(f"{daemon.qemu}/200/config")["scsi1"].startswith("pool:base-200-disk-0,")
    daemon.task("POST", f"{daemon.qemu}/200/clone", newid=201)
    linked = daemon.get(f"{daemon.qemu}/201/config")
    assert linked["scsi1"].startswith("pool:base-200-disk-0/vm-201-disk-")
    daemon.task("POST", f"{daemon.qemu}/201/status/start")
    daemon.wait_agent(201)
    assert read(daemon, 201) == "moved"
    write(daemon, 201, "clone")
    daemon.task("POST", f"{daemon.qemu}/201/clone", newid=202, full=1)  # of the running clone
    daemon.task("POST", f"{daemon.qemu}/200/clone", newid=203, full=1, storage="local")
    rows = {row["volid"]: row for row in daemon.get(f"/nodes/{daemon.node}/storage/pool/content")}
    assert rows[linked["scsi1"].partition(",")[0]]["parent"] == "base-200-disk-0@__base__"
    with pytest.raises(ApiError, match="still in use by linked"):
        daemon.delete(f"{daemon.qemu}/200")
    for vmid in (201, 202, 203):
        if daemon.status(vmid)["status"] == "running":
            daemon.task("POST", f"{daemon.qemu}/{vmid}/status/stop")
        daemon.task("DELETE", f"{daemon.qemu}/{vmid}")
    daemon.task("DELETE", f"{daemon.qemu}/200")
    assert cluster("rbd", "ls", "rbd").split() == []


def test_in_and_out(house: tuple[TestDaemon, Ceph], tiny_image: Path, tmp_path: Path) -> None:
    """A volume made by its name, an import from an uploaded image, an export, orphans, a removal."""
    daemon, cluster = house
    content = f"/nodes/{daemon.node}/storage/pool/content"
    assert daemon.post(content, vmid=300, filename="vm-300-disk-5", size="4M") == "pool:vm-300-disk-5"
    with pytest.raises(ApiError):
        daemon.post(content, vmid=300, filename="vm-300-disk-5", size="4M")
    assert [row["volid"] for row in daemon.get(f"/nodes/{daemon.node}/storage/pool/orphans")] == ["pool:vm-300-disk-5"]
    shown = daemon.get(f"{content}/pool:vm-300-disk-5")
    assert (shown["size"], shown["format"], shown["path"]) == (4 << 20, "raw", "rbd:rbd/vm-300-disk-5")
    daemon.task("DELETE", f"{content}/pool:vm-300-disk-5")
    source = daemon.add_image(tiny_image)
    daemon.task("POST", daemon.qemu, vmid=301, scsi0=f"pool:0,import-from={source}")
    there = f"rbd:rbd/vm-301-disk-0:conf={cluster.root}/ceph.conf"
    same = ["qemu-img", "compare", "-f", "qcow2", "-F", "raw", str(tiny_image), there]
    assert subprocess.run(same, capture_output=True).returncode == 0
    daemon.task("DELETE", f"{daemon.qemu}/301")
    assert cluster("rbd", "ls", "rbd").split() == []


def _argv(daemon: TestDaemon, vmid: int) -> str:
    return Path(f"/proc/{daemon.qemu_pids()[vmid]}/cmdline").read_text()


def test_a_killed_guest_is_removed(house: tuple[TestDaemon, Ceph]) -> None:
    """Ceph believes for a while that the dead QEMU still has the disk open: half a minute unless it is set otherwise,
    as here."""
    daemon, cluster = house
    daemon.task("POST", daemon.qemu, vmid=500, scsi0="pool:0.01", memory=64, freeze=1, vga="none")
    daemon.task("POST", f"{daemon.qemu}/500/status/start")
    os.kill(daemon.qemu_pids()[500], signal.SIGKILL)
    eventually(lambda: daemon.status(500)["status"] == "stopped", "its end is seen")
    daemon.task("DELETE", f"{daemon.qemu}/500")
    assert cluster("rbd", "ls", "rbd").split() == []


def _row(daemon: TestDaemon, storage: str) -> dict[str, Any]:
    return next(row for row in daemon.get(f"/nodes/{daemon.node}/storage") if row["storage"] == storage)


def _io(cluster: Ceph, image: str, *commands: str) -> None:
    """Let qemu-io read or write an image that no guest has open; a pattern that is not there fails."""
    there = f"rbd:rbd/{image}:conf={cluster.root}/ceph.conf"
    argv = ["qemu-io", "-f", "raw", *(word for command in commands for word in ("-c", command)), there]
    done = subprocess.run(argv, capture_output=True, text=True)
    assert done.returncode == 0 and "failed" not in done.stdout, done.stdout + done.stderr


def _all_or_nothing(daemon: TestDaemon, cluster: Ceph) -> None:
    """The pool holds the images that configurations name, and no others; nothing waits for a task."""
    wait_idle(daemon, 60)
    named = {
        str(value).partition(",")[0].rpartition(":")[2].rpartition("/")[2]
        for row in daemon.get(daemon.qemu)
        for value in daemon.get(f"{daemon.qemu}/{row['vmid']}/config").values()
        if str(value).startswith("pool:")
    }
    assert set(cluster("rbd", "ls", "rbd").split()) == named


def _dies(house: tuple[TestDaemon, Ceph], moment: str, method: str, path: str, **params: Any) -> None:
    """The daemon is killed when the effect is there and the journal does not know it: what the next one finds in the
    pool decides how it goes on."""
    daemon, cluster = house
    daemon.restart(crash_at=f"{moment}:after-effect")
    ask_and_die(daemon, lambda: daemon.call(method, path, **params))
    daemon.start()
    _all_or_nothing(daemon, cluster)


def _marked(daemon: TestDaemon, cluster: Ceph, vmid: int) -> str:
    """A guest that does not run, with a mark on its disk; its path."""
    daemon.task("POST", daemon.qemu, vmid=vmid, scsi0="pool:0.01", memory=64, vga="none")
    _io(cluster, f"vm-{vmid}-disk-0", "write -P 0x41 0 64k")
    return f"{daemon.qemu}/{vmid}"


def test_the_daemon_killed_with_points_in_time(house: tuple[TestDaemon, Ceph]) -> None:
    daemon, cluster = house
    guest, disk = _marked(daemon, cluster, 600), "vm-600-disk-0"

    def kept() -> list[str]:
        return [row["name"] for row in json.loads(cluster("rbd", "snap", "ls", disk, "--format", "json"))]

    _dies(house, "snapshot-take", "POST", f"{guest}/snapshot", snapname="one")
    assert kept() == ["one"] and daemon.get(f"{guest}/snapshot")[0]["name"] == "one"
    _io(cluster, disk, "write -P 0x42 0 64k")
    _dies(house, "snapshot-back", "POST", f"{guest}/snapshot/one/rollback")
    _io(cluster, disk, "read -P 0x41 0 64k", "write -P 0x43 64k 64k")
    _dies(house, "snapshot-merge", "DELETE", f"{guest}/snapshot/one")
    assert kept() == [] and [row["name"] for row in daemon.get(f"{guest}/snapshot")] == ["current"]
    _dies(house, "disk-resize", "PUT", f"{guest}/resize", disk="scsi0", size="16M")
    assert json.loads(cluster("rbd", "info", disk, "--format", "json"))["size"] == 16 << 20
    _io(cluster, disk, "read -P 0x41 0 64k", "read -P 0x43 64k 64k")
    daemon.task("DELETE", guest)


def test_the_daemon_killed_with_images_that_come_and_go(house: tuple[TestDaemon, Ceph]) -> None:
    daemon, cluster = house
    guest = _marked(daemon, cluster, 610)
    daemon.task("POST", f"{guest}/template")
    _dies(house, "volume-clone", "POST", f"{guest}/clone", newid=611)
    if 611 not in {row["vmid"] for row in daemon.get(daemon.qemu)}:
        daemon.task("POST", f"{guest}/clone", newid=611)
    _io(cluster, "vm-611-disk-0", "read -P 0x41 0 64k")
    _dies(house, "volume-free", "DELETE", f"{daemon.qemu}/611")
    daemon.task("DELETE", guest)
    assert cluster("rbd", "ls", "rbd").split() == []


def test_the_daemon_killed_while_an_image_moves(house: tuple[TestDaemon, Ceph]) -> None:
    daemon, cluster = house
    guest = _marked(daemon, cluster, 620)
    for storage in ("local", "pool"):
        _dies(house, "volume-copy", "POST", f"{guest}/move_disk", disk="scsi0", storage=storage, delete=1)
        if not daemon.get(f"{guest}/config")["scsi0"].startswith(f"{storage}:"):
            daemon.task("POST", f"{guest}/move_disk", disk="scsi0", storage=storage, delete=1)
    _io(cluster, daemon.get(f"{guest}/config")["scsi0"].partition(",")[0].partition(":")[2], "read -P 0x41 0 64k")
    daemon.task("DELETE", guest)
    assert cluster("rbd", "ls", "rbd").split() == []


def test_a_silent_osd_is_shown_and_hurts_nothing_else(house: tuple[TestDaemon, Ceph]) -> None:
    daemon, cluster = house
    assert _row(daemon, "pool")["active"] == 1
    with cluster.silent("osd"):
        eventually(lambda: _row(daemon, "pool").get("stale") == 1, "the pool is shown as stale")
        assert _row(daemon, "pool")["total"] > 0
        assert _row(daemon, "local")["active"] == 1
        with pytest.raises(ApiError) as told:
            daemon.get(f"/nodes/{daemon.node}/storage/pool/content")
        assert "does not answer" in str(told.value.body)
        daemon.task("POST", daemon.qemu, vmid=400, scsi0="local:0.01")
        daemon.task("DELETE", f"{daemon.qemu}/400")
    eventually(lambda: _row(daemon, "pool")["active"] == 1, "it is back by itself")
