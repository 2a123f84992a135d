"""The history of what is defined rather than made: users, groups, roles, grants, pools, storages, options, networks.

Each change is kept with who made it, what was there before and after, and, worked out when somebody asks, the calls of
the API that would bring back what was before. A change that destroyed what cannot be shown (a password, a token's
secret) has no inverse.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tarmac.drivers.store.base import Entry, Store
from tarmac.model.errors import Fix, NotFound
from tarmac.services.change_record import HISTORY
from tarmac.services.changes.calls import ApiCall
from tarmac.services.changes.inverse_records import Records, inverse_of

AREAS = ("access", "storages", "options", "networks")
KEPT = 5_000
SLICE = 4
KINDS = (
    "user", "group", "role", "grants", "pool", "password", "tfa", "realm", "storage", "options", "node", "zone", "vnet",
    "subnet",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Sought:
    """Which changes: of this kind of record, of the record of this name, made by this user (or its tokens), at these
    times (seconds since 1970). What is not given matches everything."""

    kind: str | None = None
    name: str | None = None
    user: str | None = None
    since: int | None = None
    until: int | None = None

    def fits(self, told: Mapping[str, Any]) -> bool:
        parts = [key.partition("/") for key in told["before"]]
        return (
            (self.kind is None or any(kind == self.kind for kind, _, _ in parts))
            and (self.name is None or any(name == self.name for _, _, name in parts))
            and (self.user is None or self.user in (told["who"], str(told["who"]).partition("!")[0]))
            and (self.since is None or told["when"] >= self.since)
            and (self.until is None or told["when"] <= self.until)
        )


class DefinitionHistory:
    """Reads what the services that change definitions keep. `groups_of(userid)`: the groups a user is in now."""

    def __init__(self, *, store: Store, groups_of: Any) -> None:
        self._store = store
        self._groups_of = groups_of

    async def prune(self) -> int:
        """Give up the oldest changes of each area beyond `KEPT`; the daemon calls it once an hour. Returns how many."""
        gone = 0
        for area in AREAS:
            old = [entry.key for entry in await self._store.range(f"{HISTORY}{area}/")][:-KEPT]
            gone += len(old)
            for start in range(0, len(old), 100):
                await self._store.transact([], deletes=old[start : start + 100])
        return gone

    async def search(self, sought: Sought, *, start: int = 0, limit: int = 50) -> tuple[int, list[dict[str, Any]]]:
        """How many match, and a page of them, the newest first."""
        entries = [entry for area in AREAS for entry in await self._store.range(f"{HISTORY}{area}/")]
        # Thousands of records, some of them large: read beside the event loop.
        found = await asyncio.to_thread(_fitting, entries, sought)
        rows = []
        for number, (_, key, told) in enumerate(found[start : start + limit], 1):
            rows.append(self._row(key, told))
            if number % SLICE == 0:
                await asyncio.sleep(0)  # what a user is in is looked up among what others change
        return len(found), rows

    async def get(self, id: str) -> dict[str, Any]:
        """One change. Raises NotFound."""
        area, _, moment = id.rpartition("-")
        key = f"{HISTORY}{area}/{moment}"
        entry = await self._store.get(key) if area in AREAS else None
        if entry is None:
            raise NotFound(
                f"there is no change '{id}'",
                code="no-such-change",
                cause="it never was, or it is so long ago that it was given up",
                evidence=id,
                fixes=[Fix(text="look at the list", action="GET /cluster/history")],
            )
        return self._row(key, json.loads(entry.value))

    def _row(self, key: str, told: Mapping[str, Any]) -> dict[str, Any]:
        before: Records = told["before"]
        after: Records | None = told.get("after")
        objects = []
        for name in before:
            kind, _, id = name.partition("/")
            one: dict[str, Any] = {"kind": kind, "name": id}
            if after is not None:
                one["changes"] = field_changes(before[name], after.get(name))
            objects.append(one)
        calls: Sequence[ApiCall] = [] if after is None else inverse_of(before, after, self._groups_of)
        return {
            "id": key.removeprefix(HISTORY).replace("/", "-"),
            "time": told["when"],
            "user": told["who"],
            "what": told["what"],
            "objects": objects,
            "inverse": [call.row() for call in calls],
        }


def _fitting(entries: Sequence[Entry], sought: Sought) -> list[tuple[float, str, Mapping[str, Any]]]:
    """When, key and record of the changes that are sought, the newest first. Blocks."""
    read = ((entry.key, json.loads(entry.value)) for entry in entries)
    found = [(told["when"], key, told) for key, told in read if sought.fits(told)]
    return sorted(found, key=lambda one: one[:2], reverse=True)


def field_changes(before: Any, after: Any) -> list[dict[str, Any]]:
    """What differs between two records, field by field; a side that has no value is left out. What is no record (a
    password) is one field without a name."""
    if not isinstance(before, dict | None) or not isinstance(after, dict | None):
        return [_side("", before, after)]
    old, new = before or {}, after or {}
    return [
        _side(name, old.get(name), new.get(name)) for name in sorted({*old, *new}) if old.get(name) != new.get(name)
    ]


def _side(key: str, old: Any, new: Any) -> dict[str, Any]:
    found: dict[str, Any] = {"key": key}
    found |= {"old": old} if old is not None else {}
    return found | ({"new": new} if new is not None else {})
