"""Who changed what and how to go back: guests' configurations, definitions, tasks, each undone by its named inverse."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest

from support.daemon import ApiError, TestDaemon
from support.terminal import words_for
from support.walk import Somebody

QEMU = "/nodes/n1/qemu/100"


@pytest.fixture(scope="module", autouse=True)
def guest(daemon: TestDaemon) -> None:
    daemon.task("POST", daemon.qemu, vmid=100, memory=32, freeze=1, vga="none", name="first", scsi0="local:1")


def tarmac(daemon: TestDaemon, *words: str) -> tuple[int, str, str]:
    done = subprocess.run(words_for(daemon, *words), capture_output=True, timeout=120, check=False, text=True)
    return done.returncode, done.stdout, done.stderr


def config(daemon: TestDaemon) -> dict[str, Any]:
    found = daemon.get(f"{QEMU}/config")
    del found["digest"]
    return dict(found)


def apply(daemon: TestDaemon, inverse: list[dict[str, Any]]) -> None:
    """As a client would."""
    assert inverse
    for call in inverse:
        data = daemon.call(call["method"], call["path"], **call["parameters"])
        if isinstance(data, str) and data.startswith("UPID:"):
            assert daemon.wait_task(data)["exitstatus"] == "OK"


def test_each_version_has_its_maker_and_can_be_gone_back_to(daemon: TestDaemon) -> None:
    before = config(daemon)
    first = daemon.get(f"{QEMU}/history")[0]
    assert first["current"] == 1 and "inverse" not in first
    upid = daemon.post(f"{QEMU}/config", memory=48, cipassword="geheim123", description="two\nlines")
    daemon.wait_task(upid)
    daemon.put(f"{QEMU}/config", name="second", delete="description")
    rows = daemon.get(f"{QEMU}/history")
    assert [row.get("upid") == upid for row in rows] == [False, True, False]
    made = rows[1]
    assert made["user"] == "root@pam" and made["previous"] == first["revision"] and made["time"] > 1_700_000_000
    assert {"key": "memory", "old": "32", "new": "48"} in made["changes"]
    assert {"key": "cipassword", "new": "**********"} in made["changes"]
    assert "geheim" not in json.dumps(rows) and "$6$" not in json.dumps(rows)
    shown = daemon.get(f"{QEMU}/history/{made['revision']}")
    assert shown["config"]["memory"] == "48" and shown["config"]["cipassword"] == "**********"
    assert shown["config"]["digest"] == made["digest"]
    diff = daemon.get(f"{QEMU}/history/{first['revision']}/diff")
    assert {row["key"] for row in diff} == {"memory", "cipassword", "name"}
    assert daemon.get(f"{QEMU}/history/{rows[1]['revision']}/diff", to=first["revision"])[0]["key"] == "cipassword"

    plan = daemon.post(f"{QEMU}/history/{first['revision']}/restore", dryrun=1)
    assert "memory: 48 -> 32" in plan["effects"]
    assert daemon.get(f"{QEMU}/history") == rows
    with pytest.raises(ApiError) as caught:
        daemon.post(f"{QEMU}/history/{first['revision']}/restore", digest="0" * 40)
    assert caught.value.body["error"]["code"] == "digest-mismatch"
    daemon.task("POST", f"{QEMU}/history/{first['revision']}/restore")
    assert config(daemon) == before
    with pytest.raises(ApiError, match="is as it was in revision"):
        daemon.post(f"{QEMU}/history/{first['revision']}/restore")
    with pytest.raises(ApiError, match="has no revision 1"):
        daemon.get(f"{QEMU}/history/1")


def test_a_running_guest_is_gone_back_with_at_its_next_start(daemon: TestDaemon) -> None:
    daemon.task("POST", f"{QEMU}/status/start")
    daemon.put(f"{QEMU}/config", memory=64, name="third")
    row = daemon.get(f"{QEMU}/history")[0]
    assert {"key": "memory", "section": "pending", "new": "64"} in row["changes"]
    plan = daemon.call("POST", row["inverse"][0]["path"], dryrun=1, **row["inverse"][0]["parameters"])
    assert any(line.startswith("name: third -> first") for line in plan["effects"])
    apply(daemon, row["inverse"])
    assert config(daemon)["name"] == "first"
    assert [r for r in daemon.get(f"{QEMU}/pending") if "pending" in r] == []
    status = daemon.task("POST", f"{QEMU}/status/stop")
    assert daemon.get(f"/nodes/n1/tasks/{status['upid']}/status")["inverse"][0]["path"] == f"{QEMU}/status/start"


def test_a_disk_comes_back_to_its_key_while_its_volume_is_there(daemon: TestDaemon) -> None:
    daemon.task("POST", f"{QEMU}/config", scsi1="local:1", memory=40)
    with_disk = daemon.get(f"{QEMU}/history")[0]["revision"]
    daemon.put(f"{QEMU}/config", delete="scsi1")
    daemon.task("POST", f"{QEMU}/history/{with_disk}/restore")
    assert "scsi1" in config(daemon) and "unused0" not in config(daemon)
    daemon.put(f"{QEMU}/config", delete="scsi1", memory=32)
    daemon.put(f"{QEMU}/config", delete="unused0")
    with pytest.raises(ApiError) as caught:
        daemon.post(f"{QEMU}/history/{with_disk}/restore")
    assert "does not exist" in caught.value.errors["scsi1"]
    fix = caught.value.body["error"]["fixes"][-1]
    assert fix["parameters"] == {"keys": "memory"}
    daemon.task("POST", f"{QEMU}/history/{with_disk}/restore", **fix["parameters"])
    assert config(daemon)["memory"] == "40"


def test_going_back_needs_the_rights_for_each_key(daemon: TestDaemon) -> None:
    daemon.post("/access/users", userid="cpu@pve")
    made = daemon.post("/access/users/cpu@pve/token/tok", privsep=0)
    daemon.post("/access/roles", roleid="only-cpu", privs="VM.Config.CPU,VM.Audit")
    daemon.put("/access/acl", path="/vms/100", users="cpu@pve", roles="only-cpu")
    somebody = Somebody.of_token(daemon, made["full-tokenid"], made["value"])
    oldest = daemon.get(f"{QEMU}/history")[-1]["revision"]
    status, reason, _ = somebody.call("POST", f"{QEMU}/history/{oldest}/restore", {"keys": "memory"})
    assert (status, reason) == (403, "Permission check failed (/vms/100, VM.Config.Memory)")
    daemon.put(f"{QEMU}/config", cores=2)
    status, _, body = somebody.call("POST", f"{QEMU}/history/{oldest}/restore", {"keys": "cores"})
    assert status == 200 and daemon.wait_task(body["data"])["exitstatus"] == "OK"
    assert daemon.get(f"{QEMU}/history")[0]["user"] == "cpu@pve!tok"
    assert somebody.call("GET", "/cluster/history")[0] == 403


def test_definitions_are_undone_by_the_calls_that_are_named(daemon: TestDaemon) -> None:
    def newest(kind: str) -> dict[str, Any]:
        return dict(daemon.get("/cluster/history", kind=kind, limit=1)[0])

    daemon.post("/pools", poolid="web")
    daemon.put("/pools", poolid="web", vms="100", storage="local")
    apply(daemon, newest("pool")["inverse"])
    assert daemon.get("/pools/web")["members"] == []
    daemon.delete("/pools", poolid="web")
    apply(daemon, newest("pool")["inverse"])
    assert daemon.get("/pools")[0]["poolid"] == "web"
    daemon.put("/access/acl", path="/pool/web", users="cpu@pve", roles="PVEVMUser", propagate=0)
    grants = daemon.get("/access/acl")
    daemon.put("/access/acl", path="/pool/web", users="cpu@pve", roles="PVEVMUser", delete=1)
    apply(daemon, newest("grants")["inverse"])
    assert daemon.get("/access/acl") == grants
    daemon.put("/access/users/cpu@pve", comment="x", enable=0)
    apply(daemon, newest("user")["inverse"])
    assert "comment" not in daemon.get("/access/users/cpu@pve") and daemon.get("/access/users/cpu@pve")["enable"] == 1
    daemon.post("/storage", storage="more", type="dir", path=str(daemon.data / "more"), content="iso")
    daemon.put("/storage/more", content="iso,images", shared=1)
    change = newest("storage")
    assert (change["what"], change["user"]) == ("change storage more", "root@pam")
    apply(daemon, change["inverse"])
    shown = daemon.get("/storage/more")
    assert shown["content"] == "iso" and "shared" not in shown
    daemon.delete("/storage/more")
    apply(daemon, newest("storage")["inverse"])
    assert daemon.get("/storage/more")["content"] == "iso"
    daemon.put("/access/password", userid="cpu@pve", password="geheim12345")
    assert newest("password")["inverse"] == []
    assert "geheim" not in json.dumps(daemon.get("/cluster/history", limit=100))
    assert daemon.get(f"/cluster/history/{change['id']}") == change


def test_as_somebody_types_it(daemon: TestDaemon) -> None:
    code, out, _ = tarmac(daemon, "vm", "set", "100", "--memory", "56", "--output", "json")
    assert code == 0
    upid = json.loads(out)["upid"]
    code, out, _ = tarmac(daemon, "vm", "history", "first")
    assert "memory 40 -> 56" in out.splitlines()[1]
    revision = json.loads(tarmac(daemon, "vm", "history", "100", "--output", "json")[1])[1]["revision"]
    assert "56" in tarmac(daemon, "vm", "diff", "100", str(revision))[1]
    code, out, _ = tarmac(daemon, "task", "undo", upid, "--dryrun", "--output", "json")
    assert code == 0 and "memory: 56 -> 40" in json.loads(out)[0]["plan"]["effects"]
    assert tarmac(daemon, "vm", "undo", "100")[0] == 0 and config(daemon)["memory"] == "40"
    assert tarmac(daemon, "vm", "undo", "100")[0] == 0 and config(daemon)["memory"] == "56"
    assert tarmac(daemon, "task", "undo", upid)[0] == 0 and config(daemon)["memory"] == "40"
    assert tarmac(daemon, "vm", "restore", "100", str(revision), "--keys", "memory")[0] != 0
    daemon.post("/pools", poolid="typed")
    id = json.loads(tarmac(daemon, "history", "list", "--kind", "pool", "--output", "json")[1])[0]["id"]
    assert tarmac(daemon, "history", "undo", id)[0] == 0
    assert all(row["poolid"] != "typed" for row in daemon.get("/pools"))
    code, _, err = tarmac(daemon, "history", "undo", daemon.get("/cluster/history", kind="password")[0]["id"])
    assert code != 0 and "has no inverse" in err
