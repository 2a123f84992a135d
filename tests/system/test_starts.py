"""Why a guest does not start, and guests that start and stop with the host, in order."""

from __future__ import annotations

from support.daemon import TestDaemon


def test_kvm_where_it_does_not_work_is_an_error_with_a_remedy(daemon: TestDaemon) -> None:
    status = daemon.get(f"/nodes/{daemon.node}/status")["accelerator"]
    daemon.task("POST", daemon.qemu, vmid=400, memory=64, kvm=1)
    if not status["kvm"]:
        error = daemon.wait_task(daemon.post(f"{daemon.qemu}/400/status/start"))["error"]
        assert error["code"] == "kvm-unusable" and error["cause"] == status["reason"]
        assert {"delete": "kvm"} in [fix["parameters"] for fix in error["fixes"]]
    daemon.put(f"{daemon.qemu}/400/config", kvm=0)
    daemon.task("POST", f"{daemon.qemu}/400/status/start")
    assert daemon.status(400)["accelerator"] == "tcg"
    daemon.task("POST", f"{daemon.qemu}/400/status/stop")
    daemon.task("DELETE", f"{daemon.qemu}/400")


def test_more_memory_than_the_host_has_is_refused_with_what_fits(daemon: TestDaemon) -> None:
    daemon.task("POST", daemon.qemu, vmid=401, memory=4_000_000)
    error = daemon.wait_task(daemon.post(f"{daemon.qemu}/401/status/start"))["error"]
    assert error["code"] == "memory-short"
    fits = int(next(fix["parameters"]["memory"] for fix in error["fixes"] if fix["parameters"]))
    assert 0 < fits < 4_000_000
    assert daemon.status(401)["status"] == "stopped"
    daemon.task("DELETE", f"{daemon.qemu}/401")


def test_guests_start_and_stop_in_their_order(daemon: TestDaemon) -> None:
    orders = {411: "order=2", 412: "order=1,up=1", 413: None, 414: "order=1"}
    for vmid, startup in orders.items():
        daemon.task("POST", daemon.qemu, vmid=vmid, memory=64, freeze=1, onboot=int(vmid != 414), startup=startup)
    daemon.task("POST", f"/nodes/{daemon.node}/startall")
    assert [v for v in orders if daemon.status(v)["status"] == "running"] == [411, 412, 413]
    assert _order(daemon, "qmstart", orders) == [412, 411, 413]
    stopped = daemon.post(f"/nodes/{daemon.node}/stopall", timeout=1)
    assert daemon.wait_task(stopped)["exitstatus"] == "OK"
    assert [v for v in orders if daemon.status(v)["status"] == "running"] == []
    assert _order(daemon, "qmshutdown", orders) == [413, 411, 412]
    for vmid in orders:
        daemon.task("DELETE", f"{daemon.qemu}/{vmid}")


def _order(daemon: TestDaemon, kind: str, vmids: dict[int, str | None]) -> list[int]:
    rows = daemon.get(f"/nodes/{daemon.node}/tasks", typefilter=kind, source="all", limit=50)
    return [int(row["id"]) for row in reversed(rows) if int(row["id"]) in vmids]
