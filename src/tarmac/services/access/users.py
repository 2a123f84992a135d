"""Users of the platform: who they are, which groups they are in, and who may change them.

Every change is durable before a method returns, and kept in the history with who made it. Texts are Proxmox's, because
clients match on them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from tarmac.lib.passwords import Hasher
from tarmac.model.errors import Conflict, Denied, Fix, InvalidInput, NotFound
from tarmac.model.realms import BUILTIN, PVE
from tarmac.model.users import ROOT, Group, User, split_user
from tarmac.services.access.access import Access, Identity, denied
from tarmac.services.access.directory import Directory, Key

_SEE = ("User.Modify", "Sys.Audit")
Rows = list[dict[str, Any]]


class Users:
    """Verbs on users. `by` is the name of who makes a change (`identity.name`)."""

    def __init__(self, directory: Directory, access: Access, hasher: Hasher) -> None:
        self._directory = directory
        self._access = access
        self._hasher = hasher

    # -- reading ------------------------------------------------------------------------------------------------

    def list(self, identity: Identity, *, enabled: bool | None = None, full: bool = False) -> Rows:
        """Rows of `GET /access/users`: oneself, and those whose groups the caller may see."""
        everybody = self._access.allowed(identity, "/access/groups", _SEE, any=True)
        members = set() if everybody else self._seen(identity, _SEE)
        rows = []
        for userid, user in sorted(self._directory.users.items()):
            if not (everybody or userid == identity.user or userid in members):
                continue
            if enabled is None or user.enable == enabled:
                rows.append(self._row(user, full))
        return rows

    def get(self, userid: str) -> dict[str, Any]:
        """A user as `GET /access/users/{userid}` shows it. Raises NotFound `no such user ('x@pve')`."""
        user = self.find(userid)
        tokens = {name: token.info() for name, token in sorted(user.tokens.items())}
        return {**user.info(), "groups": self._directory.groups_of(userid), "tokens": tokens}

    def find(self, userid: str) -> User:
        """The record. Raises NotFound."""
        user = self._directory.users.get(userid)
        if user is None:
            raise no_such_user(userid)
        return user

    async def history(self, limit: int = 100) -> Rows:
        """The newest changes of users, groups, roles, grants and tokens: `when`, `who`, `what`, `before`."""
        return await self._directory.history(limit)

    # -- rights -------------------------------------------------------------------------------------------------

    def check_rights(
        self,
        identity: Identity,
        userid: str,
        privileges: Sequence[str],
        *,
        groups: Sequence[str] | None = None,
        new: bool = False,
    ) -> None:
        """Proxmox's rule `userid-group`: one of the privileges on all groups, or on a group of the user and on each
        of `groups` that the call names. Raises Denied, and NotFound for an unknown user unless it is `new`."""
        if not new:
            self.find(userid)
        if self._access.allowed(identity, "/access/groups", privileges, any=True):
            return
        words = "|".join(privileges)
        if groups is not None:
            if not groups:
                raise denied(identity, "/access/groups", words)
            for group in groups:
                self._access.check(identity, f"/access/groups/{group}", privileges, any=True)
        if not new and userid not in self._seen(identity, privileges):
            raise denied(identity, "/access/groups", words)

    def check_realm(self, identity: Identity, userid: str) -> None:
        """Raise Denied unless the caller may make and remove users of that user's realm."""
        _, realm = _parts(userid)
        self._access.check(identity, f"/access/realm/{realm}", ["Realm.AllocateUser"])

    def is_self(self, identity: Identity, userid: str) -> bool:
        """Whether the user asks about itself (not one of its tokens)."""
        return identity.name == userid

    # -- changing -----------------------------------------------------------------------------------------------

    async def create(
        self, userid: str, *, by: str, password: str | None = None, groups: Sequence[str] = (), **fields: Any
    ) -> None:
        """A new user. `fields`: enable, expire, firstname, lastname, email, comment, keys; None means not given.

        Raises Conflict `create user failed: user 'x@pve' already exists`, InvalidInput for a bad id, an unknown realm
        or group, or a password in a realm that keeps its own."""
        _, realm = _parts(userid)
        if realm not in BUILTIN and realm not in self._directory.realms:
            raise InvalidInput.of("userid", f"auth domain '{realm}' does not exist")
        if password is not None and realm != PVE:
            raise InvalidInput.of("password", f"users of realm {realm} have their password elsewhere; set it there")
        secret = None if password is None else await self._hasher.hash(password)
        async with self._directory.lock:
            if userid in self._directory.users:
                raise Conflict(
                    f"create user failed: user '{userid}' already exists",
                    code="user-exists",
                    cause="an id belongs to one user",
                    evidence=userid,
                    fixes=[Fix(text="change the existing user", action=f"PUT /access/users/{userid}")],
                )
            records: dict[Key, Any] = {("user", userid): User(userid=userid, **_given(fields))}
            if secret is not None:
                records[("password", userid)] = secret
            records |= self._joined(userid, groups, "create user failed")
            await self._directory.commit(records, by=by, what=f"create user {userid}")

    async def update(
        self, userid: str, *, by: str, groups: Sequence[str] | None = None, append: bool = False, **fields: Any
    ) -> None:
        """Change what is given; `groups` replaces the user's groups or, with `append`, adds to them.

        Raises NotFound `update user failed: no such user ...`, InvalidInput for an unknown group."""
        async with self._directory.lock:
            user = self._directory.users.get(userid)
            if user is None:
                raise no_such_user(userid, "update user failed: ")
            changed = dataclasses.replace(user, **_given(fields))
            records: dict[Key, Any] = {} if changed == user else {("user", userid): changed}
            if groups is not None:
                records |= {} if append else self._left(userid, set(groups))
                records |= self._joined(userid, groups, "update user failed")
            if records:
                await self._directory.commit(records, by=by, what=f"update user {userid}")

    async def delete(self, userid: str, *, by: str) -> None:
        """Remove a user with its tokens, grants and password. Raises NotFound; Denied for root@pam."""
        if userid == ROOT:
            raise Denied(
                f"delete user failed: user '{ROOT}' cannot be deleted",
                code="root-stays",
                cause="it is the way back in when nothing else works",
                evidence=userid,
                fixes=[Fix(text="disable it instead", action=f"PUT /access/users/{ROOT}", parameters={"enable": "0"})],
            )
        async with self._directory.lock:
            if userid not in self._directory.users:
                raise no_such_user(userid, "delete user failed: ")
            left = list(self._left(userid, set()).items())
            # A user in very many groups leaves them first: a transaction has room for 128 records.
            while len(left) > 100:
                await self._directory.commit(dict(left[:100]), by=by, what=f"delete user {userid}: groups")
                left = left[100:]
            gone: dict[Key, Any] = {("user", userid): None}
            if userid in self._directory.passwords:
                gone[("password", userid)] = None
            if userid in self._directory.tfa:
                gone[("tfa", userid)] = None
            if f"user:{userid}" in self._directory.grants:
                gone[("grants", f"user:{userid}")] = None
            await self._directory.commit({**dict(left), **gone}, by=by, what=f"delete user {userid}")

    # -- parts --------------------------------------------------------------------------------------------------

    def _row(self, user: User, full: bool) -> dict[str, Any]:
        known = self._directory.realms.get(user.realm)
        row = {"userid": user.userid, **user.info(), "realm-type": known.type if known else user.realm}
        if full:
            row["groups"] = ",".join(self._directory.groups_of(user.userid))
            row["tokens"] = [{"tokenid": name, **token.info()} for name, token in sorted(user.tokens.items())]
        return row

    def _seen(self, identity: Identity, privileges: Sequence[str]) -> set[str]:
        """The members of all groups on which the caller has one of the privileges."""
        may = self._access.filter(identity, "/access/groups/{}", privileges)
        return {m for group in self._directory.groups.values() if may(group.groupid) for m in group.members}

    def _joined(self, userid: str, groups: Sequence[str], doing: str) -> dict[Key, Group]:
        records: dict[Key, Group] = {}
        for name in groups:
            group = self._directory.groups.get(name)
            if group is None:
                raise InvalidInput(
                    f"{doing}: no such group '{name}'",
                    code="no-such-group",
                    cause="no group has this id",
                    evidence=name,
                    fixes=[Fix(text="make it first", action="POST /access/groups", parameters={"groupid": name})],
                    parameters={"groups": f"no such group '{name}'"},
                )
            if userid not in group.members:
                members = tuple(sorted({*group.members, userid}))
                records[("group", name)] = dataclasses.replace(group, members=members)
        return records

    def _left(self, userid: str, keep: set[str]) -> dict[Key, Group]:
        return {
            ("group", name): dataclasses.replace(group, members=tuple(m for m in group.members if m != userid))
            for name, group in self._directory.groups.items()
            if userid in group.members and name not in keep
        }


def no_such_user(userid: str, doing: str = "") -> NotFound:
    """The error for an unknown user, in the words that clients match."""
    return NotFound(
        f"{doing}no such user ('{userid}')",
        code="no-such-user",
        cause="no user has this id",
        evidence=userid,
        fixes=[Fix(text="list the users", action="GET /access/users")],
    )


def _parts(userid: str) -> tuple[str, str]:
    try:
        return split_user(userid)
    except ValueError as problem:
        raise InvalidInput.of("userid", str(problem)) from None


def _given(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}
