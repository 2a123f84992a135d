"""What is a finding and what is none."""

from __future__ import annotations

from typing import Any

from tarmac.model.errors import Fix, NoSpace
from tarmac.model.job import JobRecord, JobState
from tarmac.services.attention import findings

NOW = 1_000_000.0
UPID = "UPID:n1:00000001:00000002:6740F00D:qmstart:100:root@pam:"


def _job(kind: str, id: str, state: JobState, ago: float, **error: Any) -> JobRecord:
    return JobRecord(
        upid=UPID, node="n1", kind=kind, id=id, user="root@pam", args={}, queues=(), state=state, created=NOW - ago,
        ended=NOW - ago, exitstatus="it failed", error=error or None,
    )  # fmt: skip


def _tasks(*jobs: JobRecord) -> list[findings.Finding]:
    return findings.of_tasks(jobs, "n1", NOW, lambda vmid: vmid == 100)


def test_a_failed_start_is_found_with_its_own_fixes_and_another_try() -> None:
    fix = {"text": "less memory", "action": "PUT .../config", "parameters": {"memory": "64"}}
    (found,) = _tasks(
        _job("qmstart", "100", JobState.FAILED, 60, code="memory-short", message="no memory", fixes=[fix])
    )
    assert found.row()["object"] == "qemu/100" and found.code == "memory-short" and found.since == NOW - 60
    assert [f["action"] for f in found.fixes] == [
        "PUT .../config", "POST .../status/start", f"GET /nodes/n1/tasks/{UPID}/log",
    ]  # fmt: skip


def test_a_console_that_was_cut_off_is_nobodys_trouble() -> None:
    assert _tasks(_job("vncproxy", "100", JobState.FAILED, 60, code="interrupted", message="cut off")) == []


def test_what_went_well_since_is_no_finding() -> None:
    failed = _job("qmstart", "100", JobState.FAILED, 60, code="x")
    assert _tasks(_job("qmstart", "100", JobState.DONE, 30), failed) == []
    assert len(_tasks(_job("qmstop", "100", JobState.DONE, 30), failed)) == 1
    assert len(_tasks(failed, _job("qmstart", "100", JobState.FAILED, 90, code="y"))) == 1, "the newest alone"


def test_what_was_cancelled_is_old_or_of_a_guest_that_is_gone_is_no_finding() -> None:
    assert _tasks(_job("qmstart", "100", JobState.CANCELLED, 60, code="cancelled")) == []
    assert _tasks(_job("qmstart", "100", JobState.FAILED, 2 * findings.DAY, code="x")) == []
    assert _tasks(_job("qmstart", "999", JobState.FAILED, 60, code="x")) == []


def _storage(**more: Any) -> list[findings.Finding]:
    row = {"storage": "local", "enabled": 1, "active": 1, "avail": 1, "total": 1024**3, **more}
    return findings.of_storage(row, "storage/n1/local")


def test_storages() -> None:
    assert _storage() == []
    (low,) = _storage(warning="only 1 B free")
    assert low.severity == "warning" and low.fixes[1]["action"] == "PUT /storage/local"
    away, low = _storage(problem="no answer", stale=1, warning="w")
    assert away.severity == "error" and away.evidence == "no answer" and low.code == "storage-low"
    assert _storage(problem="no answer", enabled=0) == []


def test_a_paused_guest_can_be_told_to_go_on_once() -> None:
    resume = Fix(text="look, then go on", action="POST .../status/resume")
    full = findings.of_halted(100, NoSpace("full", code="disk-no-space", fixes=[Fix(text="make room")]))
    failed = findings.of_halted(100, NoSpace("failed", fixes=[resume]))
    assert [f["action"] for f in full.fixes] == ["", "POST .../status/resume"]
    assert [f["action"] for f in failed.fixes] == ["POST .../status/resume"]


def test_certificates_by_the_days_that_are_left() -> None:
    def severities(days: float) -> list[str]:
        row = {"filename": "node.pem", "subject": "/CN=n1", "issuer": "/CN=n1", "notafter": NOW + days * findings.DAY}
        return [found.severity for found in findings.of_certificate(row, "n1", NOW)]

    assert (severities(30), severities(5), severities(-1)) == ([], ["warning"], ["error"])
