"""The one function that decides: may this identity do that on this path?

Everything is answered from memory. What was decided is kept until users, grants or pools change, so asking again costs
a dictionary's look-up, and a list of 10,000 guests is filtered without deciding 10,000 times.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tarmac.model.errors import Bug, Denied, Fix, InvalidInput
from tarmac.model.privileges import PREDEFINED_ROLES, PRIVILEGES, normalize_path
from tarmac.model.users import ROOT, AclEntry, Grants, split_token
from tarmac.services.access.acl_rules import Principal, both
from tarmac.services.access.directory import Directory

_KEPT = 50_000  # decisions kept for one version of the directory
_FILTERS_KEPT = 200
_ALL: Mapping[str, bool] = dict.fromkeys(sorted(PRIVILEGES), True)
_AREAS = ("vms", "access", "storage", "nodes", "sdn", "dc", "mapping")
_AREA_PREFIXES = {
    "vms": ("VM.", "Permissions.Modify"),
    "access": ("User.", "Group.", "Permissions.Modify"),
    "storage": ("Datastore.", "Permissions.Modify"),
    "nodes": ("Sys.", "Permissions.Modify"),
    "sdn": ("SDN.", "Permissions.Modify"),
    "dc": ("Sys.Audit", "Sys.Modify", "SDN."),
    "mapping": ("Mapping.", "Permissions.Modify"),
}
_TOP = ("/", "/access", "/access/groups", "/nodes", "/pool", "/sdn", "/storage", "/vms")
_CAP_TOP = ("/", "/nodes", "/access/groups", "/vms", "/storage", "/sdn", "/mapping")


@dataclass(frozen=True, slots=True)
class Identity:
    """Who asks: a user, or one of the user's tokens (`token` is its name, without the user)."""

    user: str
    token: str = ""

    @property
    def name(self) -> str:
        """`root@pam` or `root@pam!token`, as it stands in task ids and grants."""
        return f"{self.user}!{self.token}" if self.token else self.user

    @classmethod
    def parse(cls, name: str) -> Identity:
        """Raises ValueError unless `name` is a user id or a full token id."""
        return cls(*split_token(name)) if "!" in name else cls(name)

    @classmethod
    def asked(cls, userid: str) -> Identity:
        """`parse` of a request's `userid`. Raises InvalidInput."""
        try:
            return cls.parse(userid)
        except ValueError as problem:
            raise InvalidInput.of("userid", str(problem)) from None


class Access:
    """Decisions over a `Directory`."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._version = -1
        self._principals: dict[str, Principal] = {}
        self._decided: dict[tuple[Identity, str], Mapping[str, bool]] = {}
        self._filters: dict[tuple[Identity, str, tuple[str, ...]], Callable[[object], bool]] = {}

    def permissions(self, identity: Identity, path: str) -> Mapping[str, bool]:
        """The privileges on `path`, each with whether it propagates further down.

        `root@pam` has all; an unknown or disabled user and an unknown token none. A token with privilege separation
        has what both it and its user have."""
        if identity.user == ROOT and not identity.token:
            return _ALL
        self._forget_if_changed()
        key = (identity, path)
        found = self._decided.get(key)
        if found is None:
            if len(self._decided) >= _KEPT:
                self._decided.clear()
            found = self._decided[key] = self._decide(identity, path)
        return found

    def allowed(self, identity: Identity, path: str, privileges: Sequence[str], *, any: bool = False) -> bool:
        """Whether all (with `any` one) of the privileges are held on `path`."""
        held = self.permissions(identity, path)
        for privilege in privileges:
            if privilege not in PRIVILEGES:
                raise Bug(f"'{privilege}' is no privilege", cause="a check names a privilege that does not exist")
            if (privilege in held) is any:
                return any
        return not any

    def check(self, identity: Identity, path: str, privileges: Sequence[str], any: bool = False) -> None:
        """Raise Denied, `Permission check failed (/vms/100, VM.Audit)`, unless `allowed`."""
        if self.allowed(identity, path, privileges, any=any):
            return
        held = self.permissions(identity, path)
        lacking = "|".join(privileges) if any else next(p for p in privileges if p not in held)
        raise denied(identity, path, lacking)

    def filter(self, identity: Identity, template: str, privileges: Sequence[str]) -> Callable[[object], bool]:
        """A quick test for many objects: `filter(identity, "/vms/{}", ["VM.Audit"])(100)`.

        True where one of the privileges is held. Good until the directory changes, so for one reply."""
        if identity.user == ROOT and not identity.token:
            return lambda _: True
        self._forget_if_changed()
        key = (identity, template, tuple(privileges))
        found = self._filters.get(key)
        if found is None:
            if len(self._filters) >= _FILTERS_KEPT:
                self._filters.clear()
            found = self._filters[key] = self._make_filter(identity, template.removesuffix("/{}"), privileges)
        return found

    def _make_filter(self, identity: Identity, parent: str, privileges: Sequence[str]) -> Callable[[object], bool]:
        default = self.allowed(identity, f"{parent}/*", privileges, any=True)
        special = {
            name: self.allowed(identity, f"{parent}/{name}", privileges, any=True)
            for name in self._special(identity, parent)
        }
        return lambda name: special.get(str(name), default)

    def effective(self, identity: Identity) -> dict[str, dict[str, int]]:
        """Path -> privilege -> whether it propagates, at all places where that can change (`/access/permissions`)."""
        paths = {*_TOP, *self._granted_paths()}
        for pool in self._directory.pools.values():
            paths |= {f"/vms/{g}" for g in pool.guests} | {f"/storage/{s}" for s in pool.storages}
        found = {path: self.permissions(identity, path) for path in sorted(paths)}
        return {path: {p: int(v) for p, v in held.items()} for path, held in found.items() if held}

    def report(
        self, identity: Identity, *, userid: str | None = None, path: str | None = None
    ) -> dict[str, dict[str, int]]:
        """`GET /access/permissions`: one's own (or one's tokens') privileges; those of others need Sys.Audit on
        /access. Raises Denied, InvalidInput for an id that is none."""
        asked = identity if userid is None else Identity.asked(userid)
        if asked != identity and not (asked.token and asked.user == identity.name):
            self.check(identity, "/access", ["Sys.Audit"])
        if path is None:
            return self.effective(asked)
        return {path: {p: int(v) for p, v in self.permissions(asked, path).items()}}

    def capabilities(self, identity: Identity) -> dict[str, dict[str, int]]:
        """What a login reply's `cap` says: area -> privilege -> 1, wherever the user has it."""
        found: dict[str, dict[str, int]] = {area: {} for area in _AREAS}
        for path in {*_CAP_TOP, *self._granted_paths()}:
            top = path.split("/")[1] or "dc"
            for privilege in self.permissions(identity, path):
                for area in ("vms", "storage") if top == "pool" else (top,):
                    if privilege.startswith(_AREA_PREFIXES.get(area, ())):
                        found[area][privilege] = 1
        return found

    def _granted_paths(self) -> set[str]:
        return {entry.path for grants in self._directory.grants.values() for entry in grants.entries}

    def _special(self, identity: Identity, parent: str) -> set[str]:
        names = self._principal(identity.user, identity.user).special_children(parent)
        return names | (
            self._principal(identity.name, identity.user).special_children(parent) if identity.token else set()
        )

    def _decide(self, identity: Identity, path: str) -> Mapping[str, bool]:
        # `*` at the end stands for any child without grants of its own (see `filter`); no real path has it.
        parent = normalize_path(path[:-2]) if path.endswith("/*") else None
        normal = f"{parent}/*" if parent else normalize_path(path)
        user = self._directory.users.get(identity.user)
        if normal is None or user is None or not user.enable:
            return {}
        if not identity.token:
            return self._principal(identity.user, identity.user).privileges(normal)
        token = user.tokens.get(identity.token)
        if token is None:
            return {}
        of_user = self.permissions(Identity(identity.user), path)
        if not token.privsep:
            return of_user
        return both(of_user, self._principal(identity.name, identity.user).privileges(normal))

    def _principal(self, name: str, user: str) -> Principal:
        """The compiled grants of a user (`name` is `user`) or of a token."""
        self._forget_if_changed()
        found = self._principals.get(name)
        if found is None:
            directory = self._directory
            own = [entry for entry in _entries(directory, f"user:{user}") if entry.who == name]
            groups: list[AclEntry] = []
            if name == user:
                groups = [e for g in directory.groups_of(user) for e in _entries(directory, f"group:{g}")]
            found = Principal(own, groups, directory.roles, directory.pools.values())
            self._principals[name] = found
        return found

    def _forget_if_changed(self) -> None:
        if self._version != self._directory.version:
            self._version = self._directory.version
            self._principals.clear()
            self._decided.clear()
            self._filters.clear()


def _entries(directory: Directory, owner: str) -> Sequence[AclEntry]:
    return directory.grants.get(owner, Grants()).entries


def denied(identity: Identity, path: str, lacking: str) -> Denied:
    """The refusal in Proxmox's words, with the smallest predefined role that would help."""
    one = lacking.split("|")[0]
    fitting = [name for name, privileges in PREDEFINED_ROLES.items() if one in privileges]
    role = min(fitting, key=lambda name: (len(PREDEFINED_ROLES[name]), name), default="Administrator")
    kind = "tokens" if identity.token else "users"
    return Denied(
        f"Permission check failed ({path}, {lacking})",
        cause=f"{identity.name} does not have the privilege there",
        evidence=f"{identity.name} on {path}: {lacking} is missing",
        fixes=[
            Fix(
                text=f"ask an administrator for a role with {one}, for instance {role}, on {path}",
                action="PUT /access/acl",
                parameters={"path": path, "roles": role, kind: identity.name},
            )
        ],
    )
