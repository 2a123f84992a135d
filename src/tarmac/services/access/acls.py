"""Granting: which user, group or token has which role on which path."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from tarmac.model.errors import Denied, Fix, InvalidInput
from tarmac.model.privileges import NO_ACCESS, is_known_path, normalize_path
from tarmac.model.users import AclEntry, AclKind, Grants, split_token
from tarmac.services.access.access import Access, Identity
from tarmac.services.access.directory import Directory, Key

_ALSO_BY = {"storage": "Datastore.Allocate", "vms": "VM.Allocate", "pool": "Pool.Allocate"}
_LISTED = {"roles": "roles", "users": "users", "groups": "groups", "tokens": "users"}
Holder = tuple[AclKind, str, str]
"""(kind, id, key of its grants)."""
Rows = list[dict[str, Any]]


class Acls:
    """Verbs on grants."""

    def __init__(self, directory: Directory, access: Access) -> None:
        self._directory = directory
        self._access = access

    def list(self, identity: Identity) -> Rows:
        """Rows of `GET /access/acl` that the caller may see: all with Sys.Audit on /access, else where it may grant."""
        everything = self._access.allowed(identity, "/access", ["Sys.Audit"])
        entries = [e for grants in self._directory.grants.values() for e in grants.entries]
        seen = {path: everything or self.may_modify(identity, path) for path in {e.path for e in entries}}
        ordered = sorted(entries, key=lambda e: (e.path, e.kind, e.who, e.role))
        return [entry.row() for entry in ordered if seen[entry.path]]

    def may_modify(self, identity: Identity, path: str) -> bool:
        """Proxmox's rule `perm-modify`: Permissions.Modify, or the privilege to make objects below /vms, /storage
        and /pool (which then limits what may be granted)."""
        return self._access.allowed(identity, path, _modifying(path), any=True)

    def check_modify(self, identity: Identity, path: str) -> None:
        """Raise Denied unless `may_modify`, InvalidInput for what is no path."""
        self._access.check(identity, _normal(path), _modifying(_normal(path)), any=True)

    async def update(
        self,
        identity: Identity,
        path: str,
        *,
        roles: Sequence[str],
        users: Sequence[str] = (),
        groups: Sequence[str] = (),
        tokens: Sequence[str] = (),
        propagate: bool = True,
        delete: bool = False,
    ) -> None:
        """Grant roles on a path, or take them away; granting again changes `propagate`. All or nothing.

        Raises Denied without the right to, InvalidInput for a bad path, an unknown role, user, group or token, and for
        handing on privileges that the caller does not have."""
        normal = _normal(path)
        if not delete and not is_known_path(normal):
            raise InvalidInput.of("path", f"invalid ACL path '{path}'")
        if not (users or groups or tokens):
            words = "either 'users', 'groups' or 'tokens' is required."
            raise InvalidInput("Parameter verification failed.", parameters=dict.fromkeys(("users", "groups", "tokens"), words))  # fmt: skip # noqa: E501
        self.check_modify(identity, normal)
        async with self._directory.lock:
            self._check_roles(identity, normal, roles, propagate, delete)
            holders = self._holders(users, groups, tokens)
            records: dict[Key, Any] = {}
            for kind, who, owner in holders:
                old = records.get(("grants", owner)) or self._directory.grants.get(owner, Grants())
                kept = [e for e in old.entries if (e.path, e.who) != (normal, who) or e.role not in roles]
                if not delete:
                    kept += [AclEntry(path=normal, kind=kind, who=who, role=r, propagate=propagate) for r in roles]
                records[("grants", owner)] = Grants(entries=tuple(kept))
            verb = "delete" if delete else "grant"
            what = f"{verb} {','.join(roles)} on {normal}: {','.join(who for _, who, _ in holders)}"
            await self._commit(records, by=identity.name, what=what)

    async def forget(self, path: str, *, by: str) -> None:
        """Take away all grants on exactly this path: what stood there is gone, and its number may come again."""
        async with self._directory.lock:
            records: dict[Key, Any] = {}
            for owner, grants in self._directory.grants.items():
                kept = tuple(entry for entry in grants.entries if entry.path != path)
                if kept != grants.entries:
                    records[("grants", owner)] = Grants(entries=kept)
            await self._commit(records, by=by, what=f"forget grants on {path}")

    async def _commit(self, records: dict[Key, Any], *, by: str, what: str) -> None:
        """Write grants, at most a hundred owners a transaction; owners without any are removed."""
        known = self._directory.grants
        changed = [(k, r) for k, r in records.items() if r != known.get(k[1], Grants())]
        for start in range(0, len(changed), 100):
            part = {key: record if record.entries else None for key, record in changed[start : start + 100]}
            await self._directory.commit(part, by=by, what=what)

    def _check_roles(self, identity: Identity, path: str, roles: Iterable[str], propagate: bool, delete: bool) -> None:
        held = self._access.permissions(identity, path)
        verb = "remove" if delete else "add"
        for name in roles:
            role = self._directory.roles.get(name)
            if role is None:
                raise _failed("roles", f"role '{name}' does not exist", "no-such-role")
            if "Permissions.Modify" in held:
                continue
            if name == NO_ACCESS:
                raise _too_much(f"Cannot {verb} role '{name}' - requires 'Permissions.Modify'")
            if any(p not in held for p in role.privileges):
                raise _too_much(
                    f"Cannot {verb} role '{name}' - requires 'Permissions.Modify' or superset of privileges."
                )
            if propagate and not delete and not all(held[p] for p in role.privileges):
                raise _too_much(
                    f"Cannot {verb} role '{name}' with propagation - requires 'Permissions.Modify' or propagated"
                    " superset of privileges."
                )

    def _holders(self, users: Sequence[str], groups: Sequence[str], tokens: Sequence[str]) -> Sequence[Holder]:
        found: list[Holder] = []
        for group in groups:
            if group not in self._directory.groups:
                raise _failed("groups", f"group '{group}' does not exist", "no-such-group")
            found.append(("group", group, f"group:{group}"))
        for user in users:
            if user not in self._directory.users:
                raise _failed("users", f"user '{user}' does not exist", "no-such-user")
            found.append(("user", user, f"user:{user}"))
        for tokenid in tokens:
            try:
                user, token = split_token(tokenid)
            except ValueError as problem:
                raise InvalidInput.of("tokens", str(problem)) from None
            known = self._directory.users.get(user)
            if known is None or token not in known.tokens:
                raise _failed("tokens", f"no such token '{token}' for user '{user}'", "no-such-token")
            found.append(("token", tokenid, f"user:{user}"))
        return found


def _modifying(path: str) -> list[str]:
    parts = path.split("/")
    return ["Permissions.Modify", *([_ALSO_BY[parts[1]]] if len(parts) > 2 and parts[1] in _ALSO_BY else [])]


def _normal(path: str) -> str:
    normal = normalize_path(path)
    if normal is None:
        raise InvalidInput.of("path", f"invalid ACL path '{path}'")
    return normal


def _failed(parameter: str, text: str, code: str) -> InvalidInput:
    return InvalidInput(
        f"ACL update failed: {text}",
        code=code,
        cause="only what exists can be granted or be granted something",
        evidence=text,
        fixes=[Fix(text=f"look at the existing {parameter}", action=f"GET /access/{_LISTED[parameter]}")],
        parameters={parameter: text},
    )


def _too_much(text: str) -> Denied:
    return Denied(
        text,
        code="cannot-hand-on",
        cause="without Permissions.Modify one can hand on only what one has",
        evidence=text,
        fixes=[Fix(text="ask somebody with Permissions.Modify on this path")],
        parameters={"role": text},
    )
