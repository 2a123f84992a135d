"""Figures and notifications of a whole daemon, over its API."""

from __future__ import annotations

import json
import ssl
import urllib.error
import urllib.request

import pytest

from support.daemon import ApiError, TestDaemon, eventually
from support.listener import listener, tell

FROZEN = {"memory": 64, "freeze": 1, "vga": "none", "serial0": "socket"}


def get(daemon: TestDaemon, path: str, token: str) -> str:
    trust = ssl.create_default_context(cafile=str(daemon.data / "pki" / "node.pem"))
    request = urllib.request.Request(f"https://localhost:{daemon.port}{path}")
    # As Prometheus sends it: `authorization: {type: PVEAPIToken, credentials: USER@REALM!NAME=SECRET}`.
    request.add_header("Authorization", f"PVEAPIToken {token}")
    with urllib.request.urlopen(request, context=trust, timeout=60) as reply:
        return str(reply.read().decode())


def token_with(daemon: TestDaemon, user: str, privileges: str) -> str:
    daemon.post("/access/users", userid=user)
    daemon.post("/access/roles", roleid=f"Only{privileges}".replace(".", ""), privs=privileges)
    daemon.put("/access/acl", path="/", roles=f"Only{privileges}".replace(".", ""), users=user)
    made = daemon.post(f"/access/users/{user}/token/tok", privsep=0)
    return f"{made['full-tokenid']}={made['value']}"


def test_prometheus_needs_a_token_with_one_privilege(daemon: TestDaemon) -> None:
    daemon.task("POST", daemon.qemu, vmid=100, name="seen", **FROZEN)
    daemon.task("POST", f"{daemon.qemu}/100/status/start")
    page = get(daemon, "/metrics", token_with(daemon, "prom@pve", "Sys.Metrics"))
    assert 'pve_up{id="qemu/100"} 1' in page and 'name="seen"' in page
    with pytest.raises(urllib.error.HTTPError) as refused:
        get(daemon, "/metrics", token_with(daemon, "other@pve", "Sys.Console"))
    assert refused.value.code == 403


def test_figures_over_time_of_what_runs(daemon: TestDaemon) -> None:
    rows = daemon.get(f"/nodes/{daemon.node}/rrddata", timeframe="hour")
    assert len(rows) == 60 and any("memtotal" in row for row in rows)
    rows = daemon.get(f"{daemon.qemu}/100/rrddata", timeframe="day", cf="MAX")
    assert len(rows) == 1440
    with pytest.raises(ApiError):
        daemon.get(f"{daemon.qemu}/999/rrddata", timeframe="day")
    assert daemon.get(f"/nodes/{daemon.node}/storage/local/rrddata", timeframe="hour")


def test_figures_go_to_a_server(daemon: TestDaemon) -> None:
    with listener() as (port, bodies):
        server = {"type": "influxdb", "server": "127.0.0.1", "port": port, "influxdbproto": "http", "token": "hush"}
        daemon.post("/cluster/metrics/server/mine", **server)
        eventually(lambda: any(b"object=qemu,vmid=100" in body for body in bodies))
    assert "hush" not in json.dumps(daemon.get("/cluster/metrics/server/mine"))
    eventually(lambda: daemon.get("/cluster/metrics/server")[0].get("problem"))
    daemon.delete("/cluster/metrics/server/mine")
    assert daemon.get("/cluster/metrics/server") == []


def test_a_failed_task_is_told(daemon: TestDaemon) -> None:
    with listener() as (port, bodies):
        tell(daemon, port, "exact:type=task-failed")
        upid = daemon.post(f"{daemon.qemu}/100/status/start")  # it runs already
        assert daemon.wait_task(upid)["exitstatus"] != "OK"
        eventually(lambda: bodies)
        assert json.loads(bodies[0]) == f"{daemon.node}: qmstart 100 failed"
        daemon.restart()
        daemon.post("/cluster/notifications/targets/hook/test")
        assert json.loads(bodies[-1]) == "Test"
