"""What somebody should look at, from a daemon with guests; and only as far as he may see it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from support.daemon import TestDaemon
from support.walk import Somebody


def _found(daemon: TestDaemon, code: str) -> list[dict[str, Any]]:
    return [one for one in daemon.get("/cluster/attention") if one["code"] == code]


def test_pending_changes_failed_starts_and_orphans_are_found_and_go_away(daemon: TestDaemon, tiny: str) -> None:
    daemon.create(300, tiny, name="waits", freeze=1)
    daemon.task("POST", f"{daemon.qemu}/300/status/start")
    daemon.put(f"{daemon.qemu}/300/config", bios="ovmf")
    (waiting,) = _found(daemon, "pending-changes")
    assert waiting["object"] == "qemu/300" and waiting["evidence"] == "bios"
    revert = next(fix for fix in waiting["fixes"] if fix["action"] == "PUT .../config")
    daemon.put(f"{daemon.qemu}/300/config", **revert["parameters"])
    assert _found(daemon, "pending-changes") == []
    daemon.task("POST", f"{daemon.qemu}/300/status/stop")

    orphan = daemon.data / "storage/images/399/vm-399-disk-0.qcow2"
    orphan.parent.mkdir(parents=True, exist_ok=True)
    source = next((daemon.data / "storage/images/300").glob("*.qcow2"))
    orphan.write_bytes(source.read_bytes())
    daemon.task("POST", f"{daemon.qemu}/300/snapshot", snapname="s1")  # what ends makes it look anew
    (orphans,) = _found(daemon, "orphans")
    assert orphans["severity"] == "info" and "vm-399-disk-0" in orphans["evidence"]
    daemon.task("DELETE", "/nodes/n1/storage/local/content/local:399/vm-399-disk-0.qcow2")
    assert _found(daemon, "orphans") == []


def test_nobody_sees_more_than_he_may(daemon: TestDaemon, tiny: str, tmp_path: Path) -> None:
    daemon.create(301, tiny, name="secret", freeze=1)
    daemon.task("POST", f"{daemon.qemu}/301/status/start")
    daemon.put(f"{daemon.qemu}/301/config", bios="ovmf")
    daemon.post("/access/users", userid="looker@pve")
    made = daemon.post("/access/users/looker@pve/token/look", privsep=0)
    somebody = Somebody.of_token(daemon, made["full-tokenid"], made["value"])
    assert somebody.call("GET", "/cluster/attention")[2]["data"] == []
    daemon.put("/access/acl", path="/vms/301", users="looker@pve", roles="PVEAuditor")
    assert [one["object"] for one in somebody.call("GET", "/cluster/attention")[2]["data"]] == ["qemu/301"]
    daemon.task("POST", f"{daemon.qemu}/301/status/stop")


def test_a_paused_guest_says_so_in_the_list(daemon: TestDaemon, tiny: str) -> None:
    daemon.create(302, tiny, freeze=1)
    daemon.task("POST", f"{daemon.qemu}/302/status/start")
    row = next(one for one in daemon.get("/cluster/resources", type="vm") if one["vmid"] == 302)
    assert (row["status"], row["qmpstatus"]) == ("running", "paused")
    daemon.task("POST", f"{daemon.qemu}/302/status/stop")
    row = next(one for one in daemon.get("/cluster/resources", type="vm") if one["vmid"] == 302)
    assert row["status"] == "stopped" and "qmpstatus" not in row
