"""Why somebody can or cannot do something somewhere: the grants that were looked at, which of them decided, and why the
others did not. The verdict itself is `Access`'s; this only retells the rules of `acl_rules` entry by entry.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tarmac.model.errors import InvalidInput
from tarmac.model.privileges import NO_ACCESS, PRIVILEGES, normalize_path
from tarmac.model.users import ROOT, AclEntry, Grants
from tarmac.services.access.access import Access, Identity
from tarmac.services.access.directory import Directory


@dataclass(frozen=True, slots=True)
class Looked:
    """A grant that was looked at: `counts`, or `why` not."""

    entry: AclEntry
    counts: bool
    why: str

    def row(self) -> dict[str, Any]:
        return {**self.entry.row(), "counts": int(self.counts), "why": self.why}


class AccessWhy:
    """Answers `GET /access/why`."""

    def __init__(self, directory: Directory, access: Access) -> None:
        self._directory = directory
        self._access = access

    def explain(
        self, asker: Identity, path: str, privileges: Sequence[str], *, userid: str | None = None
    ) -> dict[str, Any]:
        """For each privilege whether it is held on `path` and by which grant, and every grant that was looked at.

        One's own case, or with Sys.Audit on /access anybody's. Raises Denied, InvalidInput."""
        identity = self._asked(asker, userid)
        normal = normalize_path(path)
        if normal is None:
            raise InvalidInput.of("path", f"invalid ACL path '{path}'")
        unknown = [privilege for privilege in privileges if privilege not in PRIVILEGES]
        if unknown:
            raise InvalidInput.of("privs", f"unknown privilege '{unknown[0]}'")
        held = self._access.permissions(identity, normal)
        looked = self._looked(identity, normal)
        rows = [self._verdict(p, p in held, looked, identity) for p in privileges]
        return {
            "userid": identity.name,
            "path": normal,
            "allowed": int(all(p in held for p in privileges)),
            "privileges": rows,
            "grants": [one.row() for one in looked],
        }

    def _asked(self, asker: Identity, userid: str | None) -> Identity:
        if userid is None:
            return asker
        asked = Identity.asked(userid)
        if asked != asker:
            self._access.check(asker, "/access", ["Sys.Audit"])
        return asked

    def _verdict(self, privilege: str, held: bool, looked: Sequence[Looked], identity: Identity) -> dict[str, Any]:
        """One privilege: held or not, `by` which grants, and the sentence that says it."""
        by = [one.entry for one in looked if one.counts and self._gives(one.entry, privilege)]
        return {
            "privilege": privilege,
            "held": int(held),
            "by": [entry.row() for entry in by] if held else [],
            "text": _sentence(identity, privilege, by) if held else self._lack(identity, privilege, looked, by),
        }

    def _lack(self, identity: Identity, privilege: str, looked: Sequence[Looked], by: Sequence[AclEntry]) -> str:
        user = self._directory.users.get(identity.user)
        if user is None:
            return f"there is no user {identity.user}"
        if not user.enable:
            return f"{identity.user} is disabled"
        token = user.tokens.get(identity.token)
        if identity.token and token is None:
            return f"{identity.user} has no token {identity.token}"
        barred = [one.entry for one in looked if one.counts and one.entry.role == NO_ACCESS]
        if barred:
            return f"{NO_ACCESS} for {barred[0].who} on {barred[0].path} takes everything away"
        if by and token is not None and token.privsep:
            lacking = identity.name if all(entry.kind != "token" for entry in by) else identity.user
            return f"the token's rights are kept apart: {lacking} is not granted {privilege} here, only {by[0].who} is"
        passed_over = [one for one in looked if not one.counts and self._gives(one.entry, privilege)]
        if passed_over:
            one = passed_over[-1]
            return f"{one.entry.role} for {one.entry.who} on {one.entry.path} has it, but {one.why}"
        return f"no grant to {identity.name} or its groups has a role with {privilege} on this path or above it"

    def _gives(self, entry: AclEntry, privilege: str) -> bool:
        role = self._directory.roles.get(entry.role)
        return role is not None and privilege in role.privileges

    def _looked(self, identity: Identity, path: str) -> list[Looked]:
        if identity.user == ROOT and not identity.token:
            return []
        token = None
        user = self._directory.users.get(identity.user)
        if user is not None and identity.token:
            token = user.tokens.get(identity.token)
        names = [identity.user] if not identity.token else [identity.user, identity.name]
        if token is not None and not token.privsep:
            names = [identity.user]
        found: list[Looked] = []
        for name in names:
            found += self._of(name, identity.user, path)
        return found

    def _of(self, name: str, user: str, path: str) -> list[Looked]:
        """What is granted to a user (with its groups) or to a token, on the path and by the object's pools."""
        own = [e for e in self._grants(f"user:{user}") if e.who == name]
        groups = (
            [e for g in self._directory.groups_of(user) for e in self._grants(f"group:{g}")] if name == user else []
        )
        found = _along(path, own, groups)
        for pool in self._directory.pools.values():
            if path in {*(f"/vms/{g}" for g in pool.guests), *(f"/storage/{s}" for s in pool.storages)}:
                found += _along(f"/pool/{pool.poolid}", own, groups)
        return list(dict.fromkeys(found))

    def _grants(self, owner: str) -> Sequence[AclEntry]:
        return self._directory.grants.get(owner, Grants()).entries


def _along(path: str, own: Sequence[AclEntry], groups: Sequence[AclEntry]) -> list[Looked]:
    """The grants on a path and above it, from `/` down: the deepest place that applies replaces all before it, and
    there grants to somebody itself come before those to its groups."""
    parts = [part for part in path.split("/") if part]
    counting: list[AclEntry] = []
    found: list[Looked] = []
    for place in ("/", *("/" + "/".join(parts[: i + 1]) for i in range(len(parts)))):
        here = [e for e in (*own, *groups) if e.path == place]
        applying = [e for e in here if place == path or e.propagate]
        mine = [e for e in applying if e in own]
        new = mine or applying
        for entry in here:
            if entry not in applying:
                found.append(Looked(entry, False, "it does not propagate below its path"))
            elif entry not in new:
                found.append(Looked(entry, False, f"what is granted to {mine[0].who} itself comes before its groups"))
        if new:
            found += [Looked(entry, False, f"what is granted on {place} replaces it") for entry in counting]
            counting = new
    return [*found, *(Looked(entry, True, "it applies") for entry in counting)]


def _sentence(identity: Identity, privilege: str, by: Sequence[AclEntry]) -> str:
    if identity.user == ROOT and not by:
        return f"{ROOT} has all privileges everywhere"
    entry = by[-1]
    return f"{entry.role} for {entry.kind} {entry.who} on {entry.path} has {privilege}"
