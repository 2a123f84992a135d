"""How grants become privileges, by Proxmox's rules; pure and compiled once for each user or token.

1. Along the path from `/` down, the deepest place with a grant that applies replaces all before it. Above the path
   itself only grants that propagate apply.
2. At one place grants to the token or user itself override those to the user's groups; groups add up.
3. `NoAccess` among the roles that remain leaves nothing.
4. A pool's roles are added to its guests and storages, unless `NoAccess` stands on either side.

Source: PVE::AccessControl::roles and PVE::RPCEnvironment::permissions of Proxmox VE 9.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tarmac.model.privileges import NO_ACCESS
from tarmac.model.users import AclEntry, Pool, Role

Roles = Mapping[str, bool]
"""Role names with whether they propagate."""
_NONE: Roles = {}


@dataclass(slots=True)
class _Place:
    """The roles granted at one path: `final` when it is the path asked for, `passed` when it lies above; None when
    no grant applies there."""

    final: Roles | None
    passed: Roles | None


class Principal:
    """One user or token with everything granted to it, ready to be asked."""

    def __init__(
        self, own: Iterable[AclEntry], groups: Iterable[AclEntry], roles: Mapping[str, Role], pools: Iterable[Pool]
    ) -> None:
        self._roles = roles
        self._places = _places(own, groups)
        self._pooled: dict[str, dict[str, bool]] = {}
        self._spelled: dict[tuple[tuple[str, bool], ...], Mapping[str, bool]] = {}
        for pool in pools:
            granted = self.roles(f"/pool/{pool.poolid}")
            if granted:
                for path in (*(f"/vms/{g}" for g in pool.guests), *(f"/storage/{s}" for s in pool.storages)):
                    self._pooled.setdefault(path, {}).update(dict.fromkeys(granted, False))

    def roles(self, path: str) -> Roles:
        """The roles at a normalized path, pools left aside."""
        found: Roles = _NONE
        for prefix in _prefixes(path):
            place = self._places.get(prefix)
            if place is not None:
                new = place.final if prefix == path else place.passed
                found = found if new is None else new
        return {NO_ACCESS: found[NO_ACCESS]} if NO_ACCESS in found else found

    def privileges(self, path: str) -> Mapping[str, bool]:
        """The privileges at a normalized path, with whether they propagate. Not to be changed: it is shared."""
        roles = self.roles(path)
        pooled = self._pooled.get(path)
        if pooled and NO_ACCESS not in roles:
            roles = {NO_ACCESS: False} if NO_ACCESS in pooled else {**pooled, **roles}
        # Thousands of paths share a few sets of roles.
        key = tuple(roles.items())
        found = self._spelled.get(key)
        if found is None:
            found = self._spelled[key] = self._spell(roles)
        return found

    def _spell(self, roles: Roles) -> Mapping[str, bool]:
        found: dict[str, bool] = {}
        for name, propagates in roles.items():
            role = self._roles.get(name)
            for privilege in role.privileges if role else ():
                found[privilege] = found.get(privilege, False) or propagates
        return found

    def special_children(self, parent: str) -> set[str]:
        """The names below `parent` whose privileges may differ from those that propagate to all others."""
        start = f"{parent}/"
        paths = (*self._places, *self._pooled)
        return {path[len(start) :].partition("/")[0] for path in paths if path.startswith(start)}


def both(user: Mapping[str, bool], token: Mapping[str, bool]) -> dict[str, bool]:
    """What a user and its separated token both have."""
    return {name: user[name] and propagates for name, propagates in token.items() if name in user}


def _places(own: Iterable[AclEntry], groups: Iterable[AclEntry]) -> dict[str, _Place]:
    mine, theirs = _by_path(own), _by_path(groups)
    return {
        path: _Place(
            final=mine.get(path) or theirs.get(path),
            passed=_propagating(mine.get(path)) or _propagating(theirs.get(path)),
        )
        for path in mine.keys() | theirs.keys()
    }


def _by_path(entries: Iterable[AclEntry]) -> dict[str, dict[str, bool]]:
    """Role -> propagate at each path; the same role from two groups propagates if either does."""
    found: dict[str, dict[str, bool]] = {}
    for entry in entries:
        roles = found.setdefault(entry.path, {})
        roles[entry.role] = roles.get(entry.role, False) or entry.propagate
    return found


def _propagating(roles: Mapping[str, bool] | None) -> Roles | None:
    """The roles that propagate; None where none does, which leaves what is granted above as it is."""
    return {name: True for name, propagates in (roles or {}).items() if propagates} or None


def _prefixes(path: str) -> Iterable[str]:
    yield "/"
    if path != "/":
        parts = path.split("/")
        for end in range(2, len(parts) + 1):
            yield "/".join(parts[:end])
