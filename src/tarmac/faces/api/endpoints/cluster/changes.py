"""The history of definitions: who changed users, grants, pools, realms, storages, options, and how to go back. Ours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tarmac.faces.api.declare import LIST, OBJECT, Allow, Call, Paged, get
from tarmac.faces.api.shapes import cluster as shapes
from tarmac.model.settings import setting
from tarmac.services.changes.definitions import KINDS, Sought

AUDIT = Allow("/", "Sys.Audit")


@dataclass(frozen=True, kw_only=True)
class Search:
    kind: str | None = setting(None, choices=KINDS, help="Only changes of this kind of object.")
    name: str | None = setting(None, max_length=128, help="Only changes of the object of this name.")
    userid: str | None = setting(None, max_length=128, help="Only changes by this user, or with `!NAME` a token.")
    since: int | None = setting(None, ge=0, unit="s", help="From then on (Unix time).")
    until: int | None = setting(None, ge=0, unit="s", help="Until then (Unix time).")
    start: int = setting(0, ge=0, help="Leave out so many.")
    limit: int = setting(50, ge=0, le=10_000, help="So many.")


@dataclass(frozen=True, kw_only=True)
class One:
    id: str = setting(max_length=64, help="The change's id, from the list.")


@get(
    "/cluster/history",
    reply=list[shapes.DefinitionChange],
    params=Search,
    allow=AUDIT,
    returns=LIST,
    cli="history list",
    help="Changes of users, groups, roles, grants, pools, realms, storages and options, the newest first, each with the"
    " calls that would undo it.",
)
async def search(call: Call, p: Search) -> Any:
    sought = Sought(kind=p.kind, name=p.name, user=p.userid, since=p.since, until=p.until)
    total, rows = await call.services.definition_history.search(sought, start=p.start, limit=p.limit)
    return Paged(rows, total)


@get(
    "/cluster/history/{id}",
    params=One,
    allow=AUDIT,
    returns=OBJECT,
    cli="history show {id}",
    help="One change: what was there before and after, field by field.",
)
async def show(call: Call, p: One) -> Any:
    return await call.services.definition_history.get(p.id)
