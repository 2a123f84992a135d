"""Tasks: the list, one task's state and log, and ending one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tarmac.faces.api.declare import LIST, OBJECT, Allow, Call, Paged, delete, get
from tarmac.faces.api.endpoints.common import Node
from tarmac.faces.api.shapes import tasks as shapes
from tarmac.model.errors import Denied, InvalidInput, NotFound
from tarmac.model.ids import Upid
from tarmac.model.settings import setting

STATUSES = ("ok", "error", "warning", "unknown")


@dataclass(frozen=True, kw_only=True)
class Listing(Node):
    start: int = setting(0, ge=0, help="How many to leave out.")
    limit: int = setting(50, ge=0, help="How many at most.")
    userfilter: str | None = setting(None, max_length=128, help="Only tasks of users with this in their name.")
    typefilter: str | None = setting(None, max_length=128, help="Only tasks of this type, such as `qmstart`.")
    vmid: int | None = setting(None, ge=100, le=999_999_999, help="Only tasks of this guest.")
    errors: bool = setting(False, help="Only tasks that failed.")
    source: str = setting("archive", choices=("archive", "active", "all"), help="Ended tasks, running ones, or both.")
    since: int | None = setting(None, unit="s", help="Only tasks that began at this time (Unix) or later.")
    until: int | None = setting(None, unit="s", help="Only tasks that began at this time (Unix) or earlier.")
    statusfilter: tuple[str, ...] = setting((), choices=STATUSES, help="Only tasks that ended so.")


@dataclass(frozen=True, kw_only=True)
class Task(Node):
    upid: str = setting(max_length=512, help="The task's id.")


@dataclass(frozen=True, kw_only=True)
class Log(Task):
    start: int = setting(0, ge=0, help="The first line, from 0.")
    limit: int = setting(50, ge=0, help="How many lines at most; 0 for all.")
    download: bool = setting(False, built=False, help="As a file.")


@get(
    "/nodes/{node}/tasks",
    reply=list[shapes.TaskRow],
    params=Listing,
    allow=Allow.login,
    returns=LIST,
    cli="task list",
    help="Tasks, newest first: the caller's own, with `Sys.Audit` on the node all.",
)
async def tasks(call: Call, p: Listing) -> Paged:
    total, rows = await call.services.tasks.listing(
        start=p.start,
        limit=p.limit,
        source=p.source,
        typefilter=p.typefilter,
        userfilter=p.userfilter,
        user=None if _sees_all(call) else call.user,
        vmid=p.vmid,
        since=p.since,
        until=p.until,
        errors=p.errors,
        statusfilter=p.statusfilter,
    )
    return Paged(rows, total)


async def _may_read(call: Call, p: Any) -> None:
    """The task's owner, or `Sys.Audit` on the node."""
    if call.user != _owner(p.upid) and not _sees_all(call):
        raise Denied(f"Permission check failed (/nodes/{call.services.node}, Sys.Audit)")


async def _may_end(call: Call, p: Any) -> None:
    """The task's owner, or `Sys.Modify` on the node."""
    node = call.services.node
    if call.user != _owner(p.upid):
        call.services.access.check(call.identity, f"/nodes/{node}", ["Sys.Modify"])


READERS = Allow.by(_may_read, "the task's owner, or Sys.Audit on /nodes/{node}")
ENDERS = Allow.by(_may_end, "the task's owner, or Sys.Modify on /nodes/{node}")


@get(
    "/nodes/{node}/tasks/{upid}/status",
    reply=shapes.TaskStatus,
    params=Task,
    allow=READERS,
    returns=OBJECT,
    cli="task status {upid}",
    help="A task's state; `exitstatus` once it has stopped, then also the error's five parts.",
)
async def status(call: Call, p: Task) -> Any:
    try:
        return await call.services.tasks.status(p.upid)
    except NotFound:
        raise _no_such_task() from None


@get(
    "/nodes/{node}/tasks/{upid}/log",
    reply=list[shapes.LogLine],
    params=Log,
    allow=READERS,
    returns=LIST,
    cli="task log {upid}",
    help="The lines of a task's log.",
)
async def task_log(call: Call, p: Log) -> Paged:
    try:
        total, lines = await call.services.tasks.log(p.upid, p.start, p.limit)
    except NotFound:
        raise _no_such_task() from None
    return Paged(lines, total)


@delete(
    "/nodes/{node}/tasks/{upid}",
    params=Task,
    allow=ENDERS,
    cli="task cancel {upid}",
    help="End a task; what it did is undone.",
)
async def cancel(call: Call, p: Task) -> None:
    try:
        await call.services.jobs.cancel(p.upid)
    except NotFound:
        raise _no_such_task() from None


def _sees_all(call: Call) -> bool:
    return bool(call.services.access.allowed(call.identity, f"/nodes/{call.services.node}", ["Sys.Audit"]))


def _owner(upid: str) -> str:
    """The user whose task it is, without a token's name. Raises InvalidInput for what is no UPID."""
    try:
        return Upid.parse(upid).user.partition("!")[0]
    except ValueError as problem:
        raise InvalidInput.of("upid", str(problem)) from None


def _no_such_task() -> InvalidInput:
    return InvalidInput.of("upid", "no such task", code="no-such-task")
