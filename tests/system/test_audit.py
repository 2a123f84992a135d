"""Who did what, from where, by which token: found by API and command line, after a kill -9 too, without secrets."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from support.daemon import TestDaemon
from support.walk import Somebody


def test_changes_are_found_and_secrets_are_not(daemon: TestDaemon) -> None:
    daemon.post("/access/users", userid="au@pve", password="a secret of 8", comment="shown")
    made = daemon.post("/access/users/au@pve/token/tok", privsep=0)
    somebody = Somebody.of_token(daemon, made["full-tokenid"], made["value"])
    status, reason, _ = somebody.call("DELETE", f"{daemon.qemu}/4711")
    assert status == 403
    somebody.call("POST", "/access/ticket", {"username": "au@pve", "password": "a secret of 8"})
    Somebody(daemon, {}).call("POST", "/access/ticket", {"username": "au@pve", "password": "wrong secret"})
    daemon.post("/pools", poolid="planned", dryrun=1)
    assert somebody.call("POST", f"{daemon.qemu}/4711/agent/ping")[0] == 403  # asks, and changes nothing
    daemon.kill()
    daemon.start()
    rows = daemon.get("/access/audit", limit=0)
    made_user = next(row for row in rows if row["path"] == "/access/users")
    assert made_user["user"] == "root@pam" and made_user["source"] == f"unix:pid={os.getpid()},uid={os.getuid()}"
    assert made_user["parameters"] == {"userid": "au@pve", "password": "**********", "comment": "shown"}
    refused = daemon.get("/access/audit", userid="au@pve!tok", failed=1)
    assert refused[-1]["path"] == f"{daemon.qemu}/4711" and refused[-1]["method"] == "DELETE"
    assert (refused[-1]["status"], refused[-1]["error"], refused[-1]["source"]) == (403, reason, "127.0.0.1")
    logins = daemon.get("/access/audit", path="/access/ticket", source="127.0.0.1")
    assert [row["status"] for row in logins][:1] == [401]
    assert "secret" not in json.dumps([row["parameters"] for row in rows])
    assert not [row for row in rows if row["path"] == "/pools" or row["path"].endswith("/ping")]
    assert daemon.get("/cluster/log", max=5)[0]["msg"]


def test_a_task_is_named_and_the_command_line_searches(daemon: TestDaemon) -> None:
    status = daemon.task("POST", daemon.qemu, vmid=777, scsi0="local:0.001")
    row = daemon.get("/access/audit", text="777", limit=1)[0]
    assert row["task"] == status["upid"] and row["parameters"]["vmid"] == "777"
    argv = [sys.executable, "-m", "tarmac", "audit", "list", "--text", "777", "--output", "json"]
    environment = {**os.environ, "TARMAC_DATA_DIR": str(daemon.data)}
    told = subprocess.run(argv, env=environment, capture_output=True, text=True, check=True)
    assert json.loads(told.stdout)[0]["task"] == status["upid"]
    argv = [sys.executable, "-m", "tarmac", "user", "why", "/vms/777", "VM.Audit", "--userid", "au@pve"]
    told = subprocess.run(argv, env=environment, capture_output=True, text=True, check=True)
    assert "no grant to au@pve" in told.stdout
