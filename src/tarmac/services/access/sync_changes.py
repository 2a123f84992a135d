"""What a synchronization of users and groups changes: decided by one pure function, from what a directory holds and
what is known here. Source of the rules: PVE::API2::Domains (sync) of Proxmox VE 9.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tarmac.drivers.auth.ldap import Entry
from tarmac.model.errors import InvalidInput
from tarmac.model.realms import AD, LDAP, RealmOptions, SyncDefaults, sync_attributes
from tarmac.model.users import Group, User, check_group_id, split_user
from tarmac.services.access.directory import Directory, Key

MEMBERS = ("member", "uniqueMember")
_MOST_TEXT = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a synchronization shall do, defaults filled in."""

    scope: str
    enable_new: bool = True
    vanished: frozenset[str] = frozenset()

    @classmethod
    def of(cls, defaults: SyncDefaults, given: SyncDefaults, *, said: Mapping[str, str]) -> Wanted:
        """`said`: the parameters that the call gave. Raises InvalidInput without a scope."""
        scope = given.scope or defaults.scope
        if scope is None:
            raise InvalidInput.of("scope", "property is missing and it is not optional, as the realm has no default")
        enable = given.enable_new if "enable-new" in said else defaults.enable_new
        chosen = given if any(name in said for name in ("remove-vanished", "full", "purge")) else defaults
        words = set((chosen.remove_vanished or "none").split(";")) - {"none"}
        words |= {"entry", "properties"} if chosen.full else set()
        words |= {"acl"} if chosen.purge else set()
        return cls(scope=scope, enable_new=enable, vanished=frozenset(words))

    @property
    def users(self) -> bool:
        return self.scope in ("users", "both")

    @property
    def groups(self) -> bool:
        return self.scope in ("groups", "both")


@dataclass(slots=True)
class Changes:
    """Records to write (None: to remove), in order, and what there is to tell."""

    records: dict[Key, Any] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a directory holds."""

    users: Sequence[Entry]
    groups: Sequence[Entry] = ()


def changes(realm: str, kind: str, options: RealmOptions, wanted: Wanted, found: Found, known: Directory) -> Changes:
    """What has to be written so that users and groups are those of the directory; touches nothing."""
    told = Changes()
    people = _people(realm, kind, options, found, told)
    vanished: set[str] = set()
    if wanted.users:
        _users(realm, options, wanted, people, known, told)
        vanished = {u for u in known.users if u.endswith(f"@{realm}") and u not in people}
        _vanished_users(vanished, wanted, known, told)
    if wanted.groups:
        _groups(realm, options, wanted, people, found, known, told)
    if wanted.users and "entry" in wanted.vanished:
        _leave_groups(vanished, known, told)
    return told


def _people(realm: str, kind: str, options: RealmOptions, found: Found, told: Changes) -> dict[str, Entry]:
    attribute = options.user_attr or ("sAMAccountName" if kind == AD else "uid")
    people: dict[str, Entry] = {}
    for entry in found.users:
        name = entry.first(attribute)
        if not options.case_sensitive:
            name = name.lower()
        try:
            split_user(f"{name}@{realm}")
        except ValueError as problem:
            told.warnings.append(f"'{entry.dn}' is left out: {problem}")
            continue
        if f"{name}@{realm}" in people:
            told.warnings.append(f"'{entry.dn}' is left out: '{name}@{realm}' is there twice")
            continue
        people[f"{name}@{realm}"] = entry
    return people


def _users(
    realm: str, options: RealmOptions, wanted: Wanted, people: Mapping[str, Entry], known: Directory, told: Changes
) -> None:
    mapping = sync_attributes(options.sync_attributes or "")
    for userid, entry in sorted(people.items()):
        given = _fields(entry, mapping, userid, told)
        old = known.users.get(userid)
        if old is None:
            fresh: dict[str, Any] = {"enable": wanted.enable_new, **given}
            told.records[("user", userid)] = User(userid=userid, **fresh)
            told.lines.append(f"adding user '{userid}'")
            continue
        if "properties" in wanted.vanished:
            # What the directory no longer says is no longer so; who may log in, and with what, is ours.
            bare = User(userid=userid, enable=old.enable, expire=old.expire, tokens=old.tokens, keys=old.keys)
            new = dataclasses.replace(bare, **given)
        else:
            new = dataclasses.replace(old, **given)
        if new != old:
            told.records[("user", userid)] = new
            told.lines.append(f"updating user '{userid}'")


def _fields(entry: Entry, mapping: Mapping[str, str], userid: str, told: Changes) -> dict[str, Any]:
    given: dict[str, Any] = {}
    for name, attribute in mapping.items():
        text = entry.first(attribute)
        if not text:
            continue
        if name == "enable":
            given[name] = text.strip().lower() in ("1", "true", "yes", "on")
        elif name == "expire":
            if not re.fullmatch(r"[0-9]{1,11}", text):
                told.warnings.append(f"'{userid}': {attribute} is no time ({text[:40]!r})")
                continue
            given[name] = int(text)
        else:
            given[name] = "".join(c for c in text if c.isprintable())[:_MOST_TEXT]
    return given


def _vanished_users(vanished: set[str], wanted: Wanted, known: Directory, told: Changes) -> None:
    for userid in sorted(vanished):
        if "entry" in wanted.vanished:
            told.lines.append(f"remove user '{userid}'")
            for kind, there in (("user", known.users), ("password", known.passwords), ("tfa", known.tfa)):
                if userid in there:
                    told.records[(kind, userid)] = None
        if "acl" in wanted.vanished and f"user:{userid}" in known.grants:
            told.lines.append(f"purged ACLs of user '{userid}'")
            told.records[("grants", f"user:{userid}")] = None


def _groups(
    realm: str,
    options: RealmOptions,
    wanted: Wanted,
    people: Mapping[str, Entry],
    found: Found,
    known: Directory,
    told: Changes,
) -> None:
    by_dn = {entry.dn.lower(): userid for userid, entry in people.items()}
    there: dict[str, tuple[str, ...]] = {}
    for entry in found.groups:
        name = f"{entry.first(options.group_name_attr or 'cn')}-{realm}"
        try:
            check_group_id(name)
        except ValueError as problem:
            told.warnings.append(f"'{entry.dn}' is left out: {problem}")
            continue
        if (owner := _other_owner(name, realm, known)) is not None:
            told.warnings.append(f"'{entry.dn}' is left out: '{name}' {owner}")
            continue
        dns = [dn.lower() for attribute in MEMBERS for dn in entry.attributes.get(attribute.lower(), ())]
        ids = {by_dn[dn] for dn in dns if dn in by_dn}
        there[name] = tuple(sorted(u for u in ids if u in known.users or told.records.get(("user", u)) is not None))
    for name, members in sorted(there.items()):
        old = known.groups.get(name)
        # Users of other realms whom somebody put into the group here stay in it.
        others = () if old is None else tuple(m for m in old.members if not m.endswith(f"@{realm}"))
        record = dataclasses.replace(
            old or Group(groupid=name), members=tuple(sorted({*others, *members})), realm=realm
        )
        if record != old:
            told.records[("group", name)] = record
            told.lines.append(f"{'adding' if old is None else 'updating'} group '{name}' ({len(members)} members)")
    ours = [n for n in known.groups if n.endswith(f"-{realm}") and _other_owner(n, realm, known) is None]
    for name in sorted(n for n in ours if n not in there):
        if "entry" in wanted.vanished:
            told.lines.append(f"remove group '{name}'")
            told.records[("group", name)] = None
        if "acl" in wanted.vanished and f"group:{name}" in known.grants:
            told.lines.append(f"purged ACLs of group '{name}'")
            told.records[("grants", f"group:{name}")] = None


def _other_owner(name: str, realm: str, known: Directory) -> str | None:
    """Why a group of this name is not the realm's, though it ends like its groups do; None: it is, or may become it.

    `x-a-b` is the group `x-a` of realm `b`, and the group `x` of realm `a-b`: it belongs to who brought it first."""
    group = known.groups.get(name)
    if group is None or group.realm == realm:
        return None
    if group.realm in known.realms:
        return f"is a group of realm '{group.realm}'"
    others = [r for r, record in known.realms.items() if r != realm and record.type in (LDAP, AD)]
    fit = sorted(other for other in others if name.endswith(f"-{other}"))
    return f"may be a group of realm '{fit[0]}' as well: remove or rename what is there" if fit else None


def _leave_groups(vanished: set[str], known: Directory, told: Changes) -> None:
    for name, group in known.groups.items():
        record = told.records.get(("group", name), group)
        if record is not None and vanished & set(record.members):
            left = tuple(m for m in record.members if m not in vanished)
            told.records[("group", name)] = dataclasses.replace(record, members=left)


def combined(classes: str, filter: str | None, attribute: str) -> str:
    """The search filter: an object of one of the classes that has the attribute, and fits the realm's own filter."""
    words = [word for word in re.split(r"[,;\s]+", classes) if word]
    own = (filter or "").strip()
    own = own if own.startswith("(") or not own else f"({own})"
    return f"(&(|{''.join(f'(objectClass={word})' for word in words)})({attribute}=*){own})"
