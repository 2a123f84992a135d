"""Guests on disks that servers offer: a real NBD server and a real iSCSI target; and one that falls silent."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from support.block_servers import MIB, Server, iscsi_target, nbd_server, no_iscsi
from support.daemon import ApiError, TestDaemon, test_daemon
from support.faults import CPU_STOPPED, eventually
from support.guest_disk import DISK, read, write


@dataclass
class House:
    daemon: TestDaemon
    nbd: Server
    iscsi: Server


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    if lacking := no_iscsi():
        pytest.skip(lacking)
    with nbd_server(DISK) as nbd, iscsi_target(DISK) as iscsi, test_daemon() as daemon:
        try:
            daemon.post("/storage", storage="nbd", **nbd.texts)
            daemon.post("/storage", storage="san", **iscsi.texts)
            yield House(daemon, nbd, iscsi)
        finally:
            daemon.remove()


def row(daemon: TestDaemon, storage: str) -> dict[str, Any]:
    return next(dict(row) for row in daemon.get(f"/nodes/{daemon.node}/storage") if row["storage"] == storage)


def refusal(daemon: TestDaemon, method: str, path: str, /, **params: Any) -> str:
    with pytest.raises(ApiError) as caught:
        daemon.call(method, path, **params)
    return str(caught.value.body)


def test_they_are_shown_and_refuse_what_they_cannot(house: House) -> None:
    daemon = house.daemon
    assert (row(daemon, "nbd")["active"], row(daemon, "san")["active"]) == (1, 1)
    content = f"/nodes/{daemon.node}/storage/san/content"
    assert [(r["volid"], r["size"]) for r in daemon.get(content)] == [("san:lun1", DISK), ("san:lun2", 8 * MIB)]
    assert (
        daemon.get(f"{content}/san:lun1")["path"] == f"iscsi://{house.iscsi.texts['portal']}/iqn.2026-01.test:disks/1"
    )
    assert daemon.get(f"/nodes/{daemon.node}/storage/nbd/orphans") == []
    fixed = "storage-fixed"
    assert fixed in refusal(daemon, "POST", content, vmid=100, filename="lun7", size="4M")
    assert fixed in refusal(daemon, "DELETE", f"{content}/san:lun1")
    assert fixed in refusal(daemon, "POST", daemon.qemu, vmid=199, scsi0="nbd:1")
    assert fixed in refusal(daemon, "POST", daemon.qemu, vmid=199, ide2="nbd:cloudinit")
    assert "content type 'iso'" in refusal(
        daemon, "POST", "/storage", storage="bad", **house.nbd.texts, content="images,iso"
    )
    assert "unexpected property" in refusal(daemon, "POST", "/storage", storage="bad", **house.nbd.texts, pool="x")


def test_a_guest_writes_to_them_and_they_move(house: House, tiny_image: Path) -> None:
    daemon = house.daemon
    vmid = daemon.create(200, daemon.add_image(tiny_image), scsi1="san:lun1", scsi2="nbd:spare")
    assert daemon.get(f"{daemon.qemu}/{vmid}/config")["scsi1"] == "san:lun1,size=32M"
    daemon.task("POST", f"{daemon.qemu}/{vmid}/status/start")
    daemon.wait_agent(vmid)
    write(daemon, vmid, "here")
    assert house.iscsi.disks["lun1"].read_bytes()[:5] == b"here\n"
    assert "storage-fixed" in refusal(daemon, "PUT", f"{daemon.qemu}/{vmid}/resize", disk="scsi1", size="+1G")
    assert "snapshot" in refusal(daemon, "POST", f"{daemon.qemu}/{vmid}/snapshot", snapname="one")
    # Away from the server under the running guest; the server's disk stays, unused.
    assert "storage-fixed" in refusal(
        daemon, "POST", f"{daemon.qemu}/{vmid}/move_disk", disk="scsi1", storage="local", delete=1
    )
    daemon.task("POST", f"{daemon.qemu}/{vmid}/move_disk", disk="scsi1", storage="local")
    config = daemon.get(f"{daemon.qemu}/{vmid}/config")
    assert config["scsi1"].startswith("local:200/") and config["unused0"] == "san:lun1"
    assert read(daemon, vmid) == "here"
    daemon.put(f"{daemon.qemu}/{vmid}/config", delete="unused0")
    assert house.iscsi.disks["lun1"].read_bytes()[:5] == b"here\n", "it is the server's"
    # Plugged in and out of the running guest.
    daemon.task("POST", f"{daemon.qemu}/{vmid}/config", scsi3="san:lun2")
    daemon.put(f"{daemon.qemu}/{vmid}/config", delete="scsi3")
    daemon.task("POST", f"{daemon.qemu}/{vmid}/status/stop")
    daemon.task("DELETE", f"{daemon.qemu}/{vmid}")
    assert [r["volid"] for r in daemon.get(f"/nodes/{daemon.node}/storage/nbd/content")] == ["nbd:data", "nbd:spare"]


def test_a_silent_server_is_shown_and_hurts_nothing_else(house: House) -> None:
    daemon = house.daemon
    daemon.task("POST", daemon.qemu, vmid=300, scsi0="nbd:data", **CPU_STOPPED)
    daemon.task("POST", f"{daemon.qemu}/300/status/start")
    with house.nbd.silent():
        eventually(lambda: row(daemon, "nbd").get("stale") == 1, "the server is shown as stale")
        assert (row(daemon, "san")["active"], row(daemon, "local")["active"]) == (1, 1)
        assert "does not answer" in refusal(daemon, "GET", f"/nodes/{daemon.node}/storage/nbd/content")
        daemon.task("POST", daemon.qemu, vmid=301, scsi0="local:0.01", scsi1="san:lun2", **CPU_STOPPED)
        daemon.task("POST", f"{daemon.qemu}/301/status/start")
        daemon.task("POST", f"{daemon.qemu}/301/status/stop")
        daemon.task("DELETE", f"{daemon.qemu}/301")
        assert daemon.status(300)["status"] == "running"
    eventually(lambda: row(daemon, "nbd")["active"] == 1, "it is back by itself")
    daemon.task("POST", f"{daemon.qemu}/300/status/stop")
