"""Roles: named sets of privileges. The predefined ones are fixed; others are made, changed and removed here."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from tarmac.model.errors import Conflict, Denied, Fix, InvalidInput, NotFound
from tarmac.model.privileges import PREDEFINED_ROLES, PRIVILEGES
from tarmac.model.users import Grants, Role, check_role_id
from tarmac.services.access.directory import Directory, Key


class Roles:
    """Verbs on roles. `by` is the name of who makes a change."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory

    def list(self) -> list[dict[str, Any]]:
        """Rows of `GET /access/roles`."""
        roles = sorted(self._directory.roles.values(), key=lambda role: role.roleid)
        return [{"roleid": r.roleid, "privs": ",".join(r.privileges), "special": int(r.special)} for r in roles]

    def get(self, roleid: str) -> dict[str, int]:
        """Privilege -> 1. Raises NotFound `role 'r' does not exist`."""
        return dict.fromkeys(self._find(roleid, "").privileges, 1)

    async def create(self, roleid: str, privs: Sequence[str] = (), *, by: str) -> None:
        """Raises Conflict `create role failed: role 'r' already exists`, InvalidInput for an unknown privilege or a
        name that is kept for predefined roles."""
        _check_name(roleid)
        _check_privileges(privs)
        async with self._directory.lock:
            if roleid in self._directory.roles:
                raise Conflict(
                    f"create role failed: role '{roleid}' already exists",
                    code="role-exists",
                    cause="a name belongs to one role",
                    evidence=roleid,
                    fixes=[Fix(text="change the existing role", action=f"PUT /access/roles/{roleid}")],
                )
            record = Role(roleid=roleid, privileges=tuple(sorted(set(privs))))
            await self._directory.commit({("role", roleid): record}, by=by, what=f"create role {roleid}")

    async def update(self, roleid: str, privs: Sequence[str] = (), *, by: str, append: bool = False) -> None:
        """Replace the role's privileges, or with `append` add to them. Raises NotFound, Denied, InvalidInput."""
        _check_privileges(privs)
        async with self._directory.lock:
            role = self._changeable(roleid, "modified", "update role failed: ")
            both = {*privs, *(role.privileges if append else ())}
            record = dataclasses.replace(role, privileges=tuple(sorted(both)))
            await self._directory.commit({("role", roleid): record}, by=by, what=f"update role {roleid}")

    async def delete(self, roleid: str, *, by: str) -> None:
        """Remove a role and its grants, so that a later role of that name does not inherit them."""
        async with self._directory.lock:
            self._changeable(roleid, "deleted", "delete role failed: ")
            records: dict[Key, Any] = {}
            for owner, grants in self._directory.grants.items():
                kept = tuple(entry for entry in grants.entries if entry.role != roleid)
                if kept != grants.entries:
                    records[("grants", owner)] = Grants(entries=kept) if kept else None
            left = list(records.items())
            while len(left) > 100:
                await self._directory.commit(dict(left[:100]), by=by, what=f"delete role {roleid}: grants")
                left = left[100:]
            await self._directory.commit({**dict(left), ("role", roleid): None}, by=by, what=f"delete role {roleid}")

    def _changeable(self, roleid: str, done: str, doing: str) -> Role:
        if roleid in PREDEFINED_ROLES:
            raise Denied(
                f"auto-generated role '{roleid}' cannot be {done}",
                code="predefined-role",
                cause="predefined roles are the same everywhere",
                evidence=roleid,
                fixes=[Fix(text="make a role of your own", action="POST /access/roles")],
            )
        return self._find(roleid, doing)

    def _find(self, roleid: str, doing: str) -> Role:
        role = self._directory.roles.get(roleid)
        if role is None:
            raise NotFound(
                f"{doing}role '{roleid}' does not exist",
                code="no-such-role",
                cause="no role has this name",
                evidence=roleid,
                fixes=[Fix(text="list the roles", action="GET /access/roles")],
            )
        return role


def _check_name(roleid: str) -> None:
    try:
        check_role_id(roleid)
    except ValueError as problem:
        raise InvalidInput.of("roleid", f"invalid format - {problem}") from None
    if roleid.lower().startswith("pve") and roleid not in PREDEFINED_ROLES:
        raise InvalidInput.of("roleid", "cannot use role ID starting with the (case-insensitive) 'PVE' namespace")


def _check_privileges(privs: Sequence[str]) -> None:
    for privilege in privs:
        if privilege not in PRIVILEGES:
            raise InvalidInput.of("privs", f"invalid format - invalid privilege '{privilege}'")
