"""The host behind a node in a running daemon: devices, services, logs, packages; what a second daemon may not do."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.daemon import ApiError, TestDaemon
from support.faults import CPU_STOPPED
from support.walk import Somebody


def at(daemon: TestDaemon, path: str) -> str:
    return f"/nodes/{daemon.node}{path}"


def test_the_hosts_devices_services_logs_and_packages_are_told(daemon: TestDaemon) -> None:
    disks = daemon.get(at(daemon, "/disks/list"), skipsmart=1)
    sizes = {p.name: int(p.joinpath("size").read_text()) * 512 for p in Path("/sys/block").iterdir()}
    assert all(row["size"] == sizes[Path(row["devpath"]).name] for row in disks)
    assert isinstance(daemon.get(at(daemon, "/hardware/pci")), list)
    assert isinstance(daemon.get(at(daemon, "/hardware/usb")), list)
    packages = {row["Package"]: row for row in daemon.get(at(daemon, "/apt/versions"))}
    assert packages["pve-manager"]["Version"] == daemon.get("/version")["tarmac"]
    assert packages["qemu-system-x86"]["CurrentState"] == "Installed"
    assert all(set(row) >= {"service", "state", "active-state"} for row in daemon.get(at(daemon, "/services")))
    assert daemon.get(at(daemon, "/services/cron/state"))["service"] == "cron"
    assert len(daemon.get(at(daemon, "/journal"), lastentries=3)) >= 2
    assert len(daemon.get(at(daemon, "/syslog"), limit=2)) <= 2
    with pytest.raises(ApiError, match="does not exist here"):
        daemon.get(at(daemon, "/services/corosync/state"))
    with pytest.raises(ApiError, match="does not exist"):
        daemon.get(at(daemon, "/disks/smart"), disk="/dev/nosuch")


def test_a_daemon_that_is_not_the_hosts_changes_nothing_of_it(daemon: TestDaemon) -> None:
    before = Path("/etc/hosts").read_bytes()
    for method, path, params in (
        ("POST", "/hosts", {"data": "x"}),
        ("PUT", "/dns", {"search": "x"}),
        ("PUT", "/time", {"timezone": "UTC"}),
        ("POST", "/status", {"command": "reboot"}),
        ("POST", "/services/cron/restart", {}),
        ("POST", "/apt/update", {}),
    ):
        with pytest.raises(ApiError, match="not the host's own") as problem:
            daemon.call(method, at(daemon, path), **params)
        assert problem.value.status == 403
    assert Path("/etc/hosts").read_bytes() == before


def test_a_report_tells_what_matters_and_no_secret(daemon: TestDaemon) -> None:
    daemon.task("POST", daemon.qemu, vmid=4711, name="reported", cipassword="geheimes-Wort", **CPU_STOPPED)
    text = daemon.get(at(daemon, "/report"))
    assert "4711 stopped reported" in text and "qemu-system-x86" in text and '"storage": "local"' in text
    assert "geheimes-Wort" not in text
    daemon.task("DELETE", f"{daemon.qemu}/4711")


def test_the_human_monitor_answers_and_asks_for_the_right_to_change(daemon: TestDaemon) -> None:
    daemon.task("POST", daemon.qemu, vmid=4712, **CPU_STOPPED)
    daemon.task("POST", f"{daemon.qemu}/4712/status/start")
    monitor = f"{daemon.qemu}/4712/monitor"
    assert "VM status" in daemon.post(monitor, command="info status")
    daemon.post("/access/users", userid="looker@pve")
    token = daemon.post("/access/users/looker@pve/token/look", privsep=0)
    daemon.post("/access/roles", roleid="looks", privs="Sys.Audit")
    daemon.put("/access/acl", path="/vms/4712", users="looker@pve", roles="looks")
    looker = Somebody.of_token(daemon, token["full-tokenid"], token["value"])
    assert looker.call("POST", monitor, {"command": "info status"})[0] == 200
    status, reason, _ = looker.call("POST", monitor, {"command": "system_reset"})
    assert (status, reason) == (403, "Permission check failed (/vms/4712, Sys.Modify)")
    daemon.post(monitor, command="set_password vnc geheimes-Wort")
    rows = daemon.get("/access/audit", path=monitor)
    told = [row["parameters"]["command"] for row in rows]
    assert told == ["set_password **********", "system_reset", "info status", "info status"]
    assert "geheimes-Wort" not in (daemon.data / "audit/audit.log").read_text()
    daemon.task("POST", f"{daemon.qemu}/4712/status/stop")
    with pytest.raises(ApiError, match="not running"):
        daemon.post(monitor, command="info status")
    daemon.task("DELETE", f"{daemon.qemu}/4712")
