"""Jobs as Proxmox shows tasks: the list, one task's status, its log."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from tarmac.model.ids import Upid
from tarmac.model.job import JobRecord, JobState
from tarmac.services.jobs.jobs import Jobs

Where = list[tuple[str, Sequence[Any]]]


class Tasks:
    """Reading jobs; ending one is `Jobs.cancel`. Who may see which task is the face's question. `inverse_of` gives the
    calls that would undo what a task did (`services.changes`)."""

    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs
        self.inverse_of: Callable[[JobRecord], Awaitable[list[dict[str, Any]]]] = _no_inverse

    async def listing(
        self,
        *,
        start: int = 0,
        limit: int = 50,
        source: str = "archive",
        typefilter: str | None = None,
        userfilter: str | None = None,
        user: str | None = None,
        vmid: int | None = None,
        since: int | None = None,
        until: int | None = None,
        errors: bool = False,
        statusfilter: Sequence[str] = (),
    ) -> tuple[int, list[dict[str, Any]]]:
        """How many match, and a page of them, newest first. `source`: `archive` (ended), `active`, `all`; `user` limits
        to one user's own. Running tasks have `status: RUNNING` and no `endtime`, as in Proxmox."""
        where: Where = []
        if typefilter is not None:
            where.append(("kind = ?", [typefilter]))
        if userfilter is not None:
            where.append(("user LIKE ? ESCAPE '\\'", [f"%{_escape(userfilter)}%"]))
        if user is not None:
            where.append(("(user = ? OR user LIKE ? ESCAPE '\\')", [user, f"{_escape(user)}!%"]))
        if vmid is not None:
            where.append(("id = ?", [str(vmid)]))
        if since is not None:
            where.append(("created >= ?", [since]))
        if until is not None:
            where.append(("created <= ?", [until]))
        if errors:
            where.append(("state != ?", [JobState.DONE.value]))
        if statusfilter:
            where.append(_statuses(statusfilter))
        active = [r for r in self._jobs.running() if _matches(r, typefilter, userfilter, user, vmid, since, until)]
        if errors or source == "archive" or (statusfilter and "unknown" not in statusfilter):
            active = []
        total, ended = 0, list[JobRecord]()
        if source != "active":
            total, ended = await self._jobs.ended(where, start=max(0, start - len(active)), limit=limit)
        page = [*active[start : start + limit], *ended][:limit]
        return total + len(active), [row(record) for record in page]

    async def status(self, upid: str) -> dict[str, Any]:
        """`GET /nodes/{node}/tasks/{upid}/status`; `exitstatus` only once it stopped. Beside Proxmox's fields:
        progress, what it waits for, its steps, the error's five parts, the calls that would undo it (`inverse`)."""
        record = await self._jobs.get(upid)
        parsed = Upid.parse(upid)
        status: dict[str, Any] = {
            "upid": upid,
            "node": record.node,
            "pid": parsed.pid,
            "pstart": parsed.pstart,
            "starttime": parsed.starttime,
            "type": record.kind,
            "id": record.id,
            **_user(record.user),
            "status": "stopped" if record.state.ended else "running",
            "state": record.state.value,
            "steps": [{"title": s.title, "state": s.state.value} for s in record.steps],
        }
        if record.state.ended:
            status["exitstatus"] = record.exitstatus or "unexpected status"
        if record.error:
            status["error"] = dict(record.error)
        if record.result:
            status["result"] = dict(record.result)
        if inverse := await self.inverse_of(record):
            status["inverse"] = inverse
        return status | _going_on(record)

    async def log(self, upid: str, start: int = 0, limit: int = 50) -> tuple[int, list[dict[str, Any]]]:
        """How many lines there are, and those from `start` as `{n, t}`; `limit` 0 means all."""
        total, lines = await self._jobs.log(upid, start, limit)
        return total, [{"n": start + i, "t": text} for i, text in enumerate(lines, 1)]


async def _no_inverse(record: JobRecord) -> list[dict[str, Any]]:
    return []


def row(record: JobRecord) -> dict[str, Any]:
    """A row of the task list."""
    parsed = Upid.parse(record.upid)
    found: dict[str, Any] = {
        "upid": record.upid,
        "node": record.node,
        "pid": parsed.pid,
        "pstart": parsed.pstart,
        "starttime": parsed.starttime,
        "type": record.kind,
        "id": record.id,
        **_user(record.user),
        "status": record.exitstatus if record.state.ended else "RUNNING",
    }
    if record.ended is not None:
        found["endtime"] = max(parsed.starttime, int(record.ended))
    return found


def live_row(record: JobRecord) -> dict[str, Any]:
    """A row of the task list, and what is to be seen of a task that goes on: for the event stream."""
    return {**row(record), "state": record.state.value, **_going_on(record)}


def _going_on(record: JobRecord) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if record.waits_for:
        found["waits-for"] = record.waits_for
    if record.progress and not record.state.ended:
        done, total, unit = record.progress
        found["progress"] = {"done": done, "total": total, "unit": unit}
    return found


def _user(user: str) -> dict[str, str]:
    name, bang, token = user.partition("!")
    return {"user": name, "tokenid": token} if bang else {"user": name}


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _statuses(wanted: Sequence[str]) -> tuple[str, Sequence[Any]]:
    conditions = {
        "ok": "exitstatus = 'OK'",
        "warning": "exitstatus LIKE 'WARNINGS: %'",
        "error": "(exitstatus != 'OK' AND exitstatus NOT LIKE 'WARNINGS: %')",
        "unknown": "exitstatus IS NULL",
    }
    return "(" + " OR ".join(conditions[w] for w in wanted if w in conditions) + ")", []


def _matches(
    record: JobRecord,
    kind: str | None,
    userfilter: str | None,
    user: str | None,
    vmid: int | None,
    since: int | None,
    until: int | None,
) -> bool:
    return (
        (kind is None or record.kind == kind)
        and (userfilter is None or userfilter in record.user)
        and (user is None or record.user.partition("!")[0] == user)
        and (vmid is None or record.id == str(vmid))
        and (since is None or record.created >= since)
        and (until is None or record.created <= until)
    )
