"""Who exists and what is granted: users, groups, roles, grants, pools and realms, in memory and in the store.

The services that change them read here, compute new records, and `commit`: durable first, with who did it and what it
was before, then visible in memory. Every commit makes a new `version`, by which decisions that were kept are dropped.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from tarmac.drivers.store.base import Compare, Entry, Store
from tarmac.model.errors import DataCorrupt, Fix
from tarmac.model.privileges import PREDEFINED_ROLES
from tarmac.model.realms import Realm, RealmSecret
from tarmac.model.users import ROOT, Grants, Group, Password, Pool, Role, Tfa, User

PREFIX, HISTORY = "access/", "history/access/"
Key = tuple[str, str]
"""Kind and id of a record: `("user", "joe@pve")`. Grants stand under `user:<userid>` or `group:<groupid>`."""


class Directory:
    """Read the mappings freely; change them only by `commit`, holding `lock` from reading to committing."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._revisions: dict[Key, int] = {}
        self._listeners: list[Callable[[], None]] = []
        self.lock = asyncio.Lock()
        self.version = 0
        self.users: dict[str, User] = {}
        self.groups: dict[str, Group] = {}
        self.roles: dict[str, Role] = {}
        self.grants: dict[str, Grants] = {}
        self.pools: dict[str, Pool] = {}
        self.passwords: dict[str, Password] = {}
        self.tfa: dict[str, Tfa] = {}
        self.realms: dict[str, Realm] = {}
        self.realm_secrets: dict[str, RealmSecret] = {}
        self._kinds: dict[str, tuple[Any, dict[str, Any]]] = {
            "user": (User, self.users),
            "group": (Group, self.groups),
            "role": (Role, self.roles),
            "grants": (Grants, self.grants),
            "pool": (Pool, self.pools),
            "password": (Password, self.passwords),
            "tfa": (Tfa, self.tfa),
            "realm": (Realm, self.realms),
            "realm-secret": (RealmSecret, self.realm_secrets),
        }

    async def load(self) -> None:
        """Read everything; called once, before anything else. Raises DataCorrupt naming a record that is wrong."""
        for role, privileges in PREDEFINED_ROLES.items():
            self.roles[role] = Role(roleid=role, privileges=tuple(sorted(privileges)), special=True)
        self.users[ROOT] = User(userid=ROOT)
        for entry in await self._store.range(PREFIX):
            kind, _, name = entry.key.removeprefix(PREFIX).partition("/")
            if kind in self._kinds:
                declared, records = self._kinds[kind]
                records[name] = _decode(entry, declared)
                self._revisions[(kind, name)] = entry.revision
        self.version += 1

    async def commit(self, records: Mapping[Key, Any], *, by: str, what: str) -> None:
        """Write records, delete those given as None, and remember who did what and what was there before.

        At most 120 records. Raises Conflict when another node changed one meanwhile; then nothing changed."""
        compares, puts, deletes, before, after = [], {}, [], {}, {}
        for key, record in records.items():
            kind, name = key
            path = f"{PREFIX}{kind}/{name}"
            compares.append(Compare(path, self._revisions.get(key, 0)))
            before[f"{kind}/{name}"] = _shown(kind, self._kinds[kind][1].get(name))
            after[f"{kind}/{name}"] = _shown(kind, record)
            if record is None:
                deletes.append(path)
            else:
                puts[path] = msgspec.json.encode(record)
        told = {"when": time.time(), "who": by, "what": what, "before": before, "after": after}
        puts[f"{HISTORY}{time.time_ns():020d}"] = msgspec.json.encode(told)
        revision = await self._store.transact(compares, puts, deletes)
        self._apply(records, revision)

    def revision(self, key: Key) -> int:
        """A number that changes with each change of a record; 0: it is not there."""
        return self._revisions.get(key, 0)

    def on_change(self, listener: Callable[[], None]) -> None:
        """Call `listener` after each change: sessions look then whether they may go on."""
        self._listeners.append(listener)

    async def history(self, limit: int = 100) -> list[dict[str, Any]]:
        """The newest changes first: `when` (seconds), `who`, `what`, `before` and `after` (records without secrets)."""
        entries = await self._store.range(HISTORY)
        return [msgspec.json.decode(entry.value) for entry in reversed(entries[-limit:])] if limit > 0 else []

    def groups_of(self, userid: str) -> list[str]:
        """The groups a user is in, sorted."""
        return sorted(group.groupid for group in self.groups.values() if userid in group.members)

    def _apply(self, records: Mapping[Key, Any], revision: int) -> None:
        for (kind, name), record in records.items():
            known = self._kinds[kind][1]
            if record is None:
                known.pop(name, None)
                self._revisions.pop((kind, name), None)
            else:
                known[name] = record
                self._revisions[(kind, name)] = revision
        self.version += 1
        for listener in self._listeners:
            listener()


def _decode(entry: Entry, declared: Any) -> Any:
    try:
        return msgspec.json.decode(entry.value, type=declared)
    except msgspec.MsgspecError as problem:
        raise DataCorrupt(
            f"the record '{entry.key}' cannot be read",
            cause="it is not what this version writes",
            evidence=str(problem),
            fixes=[Fix(text="restore the last export of the platform's state")],
        ) from problem


def _shown(kind: str, record: Any) -> Any:
    """A record for the history, without its secrets."""
    if record is None:
        return None
    if kind == "password":
        return "(a password)"
    if kind == "realm-secret":
        return "(secrets of a realm)"
    if kind == "tfa":
        return f"({len(record.entries)} second factors)"
    plain = msgspec.to_builtins(record)
    for token in plain.get("tokens", {}).values():
        token.pop("secret", None)
    return plain
