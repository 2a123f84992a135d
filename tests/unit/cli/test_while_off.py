"""`--while-off`: shut down, change, start again; whatever fails is told, and the guest runs again."""

from __future__ import annotations

import pytest

from support.api_server import UPID, Daemon, Reply

GUEST = "/nodes/pve1/qemu/100"
DOWN, FAILS, UP = (UPID.replace("qmstart", kind) for kind in ("qmshutdown", "qmtemplate", "qmstart"))
FAILED = {"status": "stopped", "exitstatus": "it said no"}


@pytest.fixture
def guest(daemon: Daemon) -> Daemon:
    """It runs, and does all that it is asked for."""
    daemon.answer("GET", f"{GUEST}/status/current", {"status": "running"})
    daemon.answer("POST", f"{GUEST}/status/shutdown", DOWN)
    daemon.answer("POST", f"{GUEST}/config", FAILS)
    daemon.answer("POST", f"{GUEST}/template", FAILS)
    daemon.answer("GET", f"{GUEST}/pending", [])
    daemon.answer("POST", f"{GUEST}/status/start", UP)
    for upid in (DOWN, FAILS, UP):
        daemon.task(upid)
    return daemon


def changes(daemon: Daemon) -> list[str]:
    return [one.path.removeprefix(f"{GUEST}/") for one in daemon.asked if one.method != "GET"]


def test_a_running_guest_is_changed_between_a_shutdown_and_a_start(guest, tarmac):
    ran = tarmac("vm", "set", "100", "--cores", "2", "--while-off")
    assert ran.code == 0 and changes(guest) == ["status/shutdown", "config", "status/start"]
    assert ran.err.splitlines() == ["guest 100 is off", "vm set 100: done", "guest 100 runs again"]


def test_a_stopped_one_is_changed_and_stays_off(guest, tarmac):
    guest.answer("GET", f"{GUEST}/status/current", {"status": "stopped"})
    assert tarmac("vm", "set", "100", "--cores", "2", "--while-off").code == 0
    assert changes(guest) == ["config"]


def test_one_that_does_not_shut_down_is_not_changed(guest, tarmac):
    guest.task(DOWN, FAILED)
    ran = tarmac("vm", "set", "100", "--cores", "2", "--while-off")
    assert ran.code != 0 and changes(guest) == ["status/shutdown"]
    assert "guest 100 did not shut down; nothing was changed" in ran.err


def test_what_fails_while_it_is_off_does_not_leave_it_off(guest, tarmac):
    guest.task(FAILS, FAILED)
    ran = tarmac("vm", "template", "100", "--while-off")
    assert ran.code != 0 and changes(guest) == ["status/shutdown", "template", "status/start"]
    assert "it said no" in ran.err and "guest 100 runs again" in ran.err


def test_a_template_is_not_started(guest, tarmac):
    states = [Reply({"status": "running"}), Reply({"status": "stopped", "template": 1})]
    guest.answer("GET", f"{GUEST}/status/current", states)
    assert tarmac("vm", "template", "100", "--while-off").code == 0
    assert changes(guest) == ["status/shutdown", "template"]


def test_it_waits_and_says_so_before_anything_is_done(guest, tarmac):
    ran = tarmac("vm", "set", "100", "--cores", "2", "--while-off", "--no-wait")
    assert ran.code == 2 and "leave --no-wait out" in ran.err
    assert changes(guest) == []


def test_its_plan_is_told_without_it(guest, tarmac):
    plan = {
        "when": "stop",
        "steps": [{"step": "x", "title": "turn it"}],
        "effects": [],
        "changes": [{"key": "template", "new": "1", "when": "stop", "reason": "it runs"}],
        "refusal": {"code": "template-running", "message": "you can't", "cause": "it runs", "fixes": []},
    }
    guest.answer("POST", f"{GUEST}/template", plan)
    ran = tarmac("vm", "template", "100", "--while-off", "--dryrun")
    assert ran.code == 0 and changes(guest) == ["template"]
    assert "stop" in ran.out and "template  1    stop  it runs" in ran.out and "you can't" in ran.out


def test_it_is_offered_where_a_guest_is_changed_only(tarmac):
    assert "--while-off" in tarmac("vm", "move-disk", "--help").out
    assert "--while-off" not in tarmac("vm", "start", "--help").out + tarmac("vm", "snapshot", "--help").out
