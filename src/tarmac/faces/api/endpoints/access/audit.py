"""The audit trail: who changed what, from where; and in short as Proxmox's cluster log."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tarmac.faces.api.declare import LIST, Allow, Call, Paged, get
from tarmac.model.settings import setting
from tarmac.services.access.audit import Event, Wanted

CLUSTER_LOG = 50


@dataclass(frozen=True, kw_only=True)
class Search:
    userid: str | None = setting(None, max_length=128, help="Only what this user asked for, or with `!NAME` a token.")
    source: str | None = setting(None, max_length=128, help="Only from this address.")
    path: str | None = setting(None, max_length=500, help="Only paths of the API that begin so: `/nodes/n1/qemu/100`.")
    text: str | None = setting(None, max_length=200, help="Only entries that contain this.")
    since: int | None = setting(None, ge=0, unit="s", help="From then on (Unix time).")
    until: int | None = setting(None, ge=0, unit="s", help="Until then (Unix time).")
    failed: bool | None = setting(None, help="Only what was refused or failed (1), or only what went well (0).")
    start: int = setting(0, ge=0, help="Leave out so many.")
    limit: int = setting(50, ge=0, le=10_000, help="So many.")


@dataclass(frozen=True, kw_only=True)
class Newest:
    max: int = setting(CLUSTER_LOG, ge=1, help="So many.")


@get(
    "/access/audit",
    params=Search,
    allow=Allow("/access", "Sys.Audit"),
    returns=LIST,
    cli="audit list",
    help="Every change that was asked for, the newest first: who, from where, what, and how it ended.",
)
async def search(call: Call, p: Search) -> Any:
    user, _, token = (p.userid or "").partition("!")
    wanted = Wanted(
        user=user or None,
        token=token or None,
        source=p.source,
        path=p.path,
        text=p.text,
        since=p.since,
        until=p.until,
        failed=p.failed,
    )
    total, events = await call.services.audit.search(wanted, start=p.start, limit=p.limit)
    return Paged([_row(event) for event in events], total)


@get("/cluster/log", params=Newest, allow=Allow.login, returns=LIST, help="The newest changes, as Proxmox's log.")
async def cluster_log(call: Call, p: Newest) -> Any:
    everybodys = call.services.access.allowed(call.identity, "/", ["Sys.Syslog"])
    wanted = Wanted(user=None if everybodys else call.user)
    _, events = await call.services.audit.search(wanted, limit=p.max)
    return [_log_row(event, call.services.node, number) for number, event in enumerate(events)]


def _row(event: Event) -> dict[str, Any]:
    shown = {name: getattr(event, name) for name in ("user", "token", "source", "method", "path", "error", "task")}
    return {
        "time": int(event.time),
        "status": event.status,
        **{name: text for name, text in shown.items() if text},
        "parameters": event.parameters,
    }


def _log_row(event: Event, node: str, number: int) -> dict[str, Any]:
    outcome = event.error or event.task or "OK"
    return {
        "uid": number + 1,
        "id": f"{event.time:.6f}:{number}",
        "time": int(event.time),
        "node": node,
        "pid": 0,
        "pri": 4 if event.status >= 400 else 6,
        "tag": "tarmac",
        "user": f"{event.user}!{event.token}" if event.token else event.user,
        "msg": f"{event.method} {event.path}: {outcome}",
    }
