"""Bulk actions in a running daemon: over the API with rights on some guests only, and as somebody types them."""

from __future__ import annotations

import json
import subprocess

import pytest

from support.daemon import ApiError, TestDaemon
from support.terminal import words_for
from support.walk import Somebody

GUESTS = (500, 501, 502, 503)


@pytest.fixture(scope="module", autouse=True)
def guests(daemon: TestDaemon) -> None:
    """Frozen when they start, as if suspended: no processor time, and only a forced shutdown ends them."""
    for vmid in GUESTS:
        daemon.task("POST", daemon.qemu, vmid=vmid, memory=32, freeze=1, vga="none", name=f"many-{vmid}")
    daemon.post("/pools", poolid="many")
    daemon.put("/pools", poolid="many", vms="500,501")


def running(daemon: TestDaemon) -> list[int]:
    return sorted(row["vmid"] for row in daemon.get(daemon.qemu) if row["status"] == "running")


def tarmac(daemon: TestDaemon, *words: str) -> tuple[int, str, str]:
    done = subprocess.run(words_for(daemon, *words), capture_output=True, timeout=120, check=False, text=True)
    return done.returncode, done.stdout, done.stderr


def test_rights_are_each_guests_own(daemon: TestDaemon) -> None:
    daemon.post("/access/users", userid="pool@pve")
    made = daemon.post("/access/users/pool@pve/token/tok", privsep=0)
    daemon.put("/access/acl", path="/pool/many", users="pool@pve", roles="PVEVMUser")
    somebody = Somebody.of_token(daemon, made["full-tokenid"], made["value"])
    start = "/cluster/bulk-action/guest/start"
    assert somebody.call("POST", start)[:2] == (403, "Permission check failed (/, VM.PowerMgmt)")
    refused = somebody.call("POST", start, {"vms": [500, 502]})
    assert refused[:2] == (403, "Permission check failed (/vms/502, VM.PowerMgmt)")
    assert somebody.call("POST", f"/nodes/{daemon.node}/stopall", {"vms": "500,502"})[0] == 403
    status, _, body = somebody.call("POST", start, {"vms": [500, 501], "max-workers": 2})
    assert status == 200
    task = daemon.wait_task(body["data"])
    assert (task["type"], task["user"], task["exitstatus"]) == ("bulk-start", "pool@pve", "OK")
    assert [(row["vmid"], row["outcome"]) for row in task["result"]["guests"]] == [(500, "ok"), (501, "ok")]
    # Each guest's own task is the somebody's, too.
    assert all(daemon.get(f"/nodes/{daemon.node}/tasks/{row['upid']}/status")["user"] == "pool@pve"
               for row in task["result"]["guests"])  # fmt: skip
    assert running(daemon) == [500, 501]
    task = daemon.wait_task(daemon.post("/cluster/bulk-action/guest/shutdown", timeout=1))
    assert task["exitstatus"] == "OK" and running(daemon) == []


def test_one_failure_does_not_stop_the_others(daemon: TestDaemon) -> None:
    daemon.put(f"{daemon.qemu}/502/config", memory=4_000_000)
    task = daemon.wait_task(daemon.post("/cluster/bulk-action/guest/start", vms=[501, 502, 503, 9999]))
    assert task["exitstatus"] == "Some guests failed to start: 502, 9999"
    rows = {row["vmid"]: row for row in task["result"]["guests"]}
    assert rows[502]["error"]["code"] == "memory-short" and rows[502]["error"]["fixes"]
    assert [rows[v]["outcome"] for v in (501, 502, 503, 9999)] == ["ok", "failed", "ok", "failed"]
    assert running(daemon) == [501, 503]
    daemon.put(f"{daemon.qemu}/502/config", memory=32)
    task = daemon.wait_task(daemon.post(f"/nodes/{daemon.node}/suspendall"))
    assert task["exitstatus"] == "WARNINGS: 2"
    assert daemon.status(501)["qmpstatus"] == "paused"
    task = daemon.wait_task(daemon.post("/cluster/bulk-action/guest/start", vms=[501, 503, 502]))
    assert task["exitstatus"] == "OK" and daemon.status(501)["qmpstatus"] != "paused"
    task = daemon.wait_task(daemon.post(f"/nodes/{daemon.node}/stopall", timeout=1, **{"max-workers": 1}))
    assert task["exitstatus"] == "OK" and running(daemon) == []


def test_one_node_migrates_nothing(daemon: TestDaemon) -> None:
    task = daemon.wait_task(daemon.post("/cluster/bulk-action/guest/migrate", target=daemon.node, vms=[500]))
    assert task["exitstatus"] == "WARNINGS: 1"
    for target, status in ((daemon.node, 400), ("n2", 500)):
        with pytest.raises(ApiError) as caught:
            daemon.post(f"/nodes/{daemon.node}/migrateall", target=target)
        assert caught.value.status == status


def test_as_somebody_types_it(daemon: TestDaemon) -> None:
    code, out, _ = tarmac(daemon, "vm", "start", "many-500", "503")
    assert code == 0 and running(daemon) == [500, 503]
    assert [line.split()[:2] for line in out.splitlines()[1:]] == [["500", "ok"], ["503", "ok"]]
    assert tarmac(daemon, "vm", "start", "501", "--quiet")[0] == 0
    assert tarmac(daemon, "vm", "start", "501")[0] != 0  # running already
    daemon.task("POST", f"{daemon.qemu}/501/status/resume")
    code, out, err = tarmac(daemon, "vm", "start", "501", "502", "--output", "json")
    assert code == 0 and "Warning: guest 501: skipped" in err
    assert [row["outcome"] for row in json.loads(out)["result"]["guests"]] == ["skipped", "ok"]
    assert daemon.status(501)["qmpstatus"] == "running"
    assert tarmac(daemon, "vm", "suspend", "--pool", "many")[0] == 0
    assert daemon.status(501)["qmpstatus"] == "paused"
    code, _, err = tarmac(daemon, "vm", "shutdown", "--all", "--timeout", "1", "--max-workers", "2")
    assert code != 0 and "Some guests failed to shutdown" in err and running(daemon) == list(GUESTS)
    code, _, err = tarmac(daemon, "vm", "shutdown", "--all", "--timeout", "1", "--force-stop")
    assert code == 0 and running(daemon) == [], err
    assert tarmac(daemon, "vm", "shutdown", "--all")[2].strip() == "(no guest that needs it)"
    code, _, err = tarmac(daemon, "vm", "start")
    assert code == 2 and "which guests?" in err
    assert tarmac(daemon, "vm", "start", "500", "--all")[0] == 2
