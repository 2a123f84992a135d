"""Users and groups of an LDAP directory, brought here: what would change is decided by one pure function.

A directory is read whole before anything is changed, so one that cannot be read, or not wholly, removes nobody. Changes
are written in transactions of a hundred records; a synchronization that a crash cut off is simply done again.
Source of the rules: PVE::API2::Domains (sync) of Proxmox VE 9.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tarmac.drivers.auth.ldap import Directory as Server
from tarmac.drivers.auth.ldap import Entry
from tarmac.model.errors import Fix, HostFailure, InvalidInput
from tarmac.model.job import Plan, PlannedStep
from tarmac.model.realms import AD, LDAP, RealmOptions, SyncDefaults, sync_attributes
from tarmac.model.users import Group, User, check_group_id, split_user
from tarmac.services.access.directory import Directory, Key
from tarmac.services.access.realms import Realms
from tarmac.services.jobs.jobs import Jobs
from tarmac.services.jobs.steps import Registry, StepContext

KIND, TEST_KIND, STEP = "auth-realm-sync", "auth-realm-sync-test", "realm-sync"
_BATCH = 100
_MEMBERS = ("member", "uniqueMember")
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
        dns = [dn.lower() for attribute in _MEMBERS for dn in entry.attributes.get(attribute.lower(), ())]
        ids = {by_dn[dn] for dn in dns if dn in by_dn}
        there[name] = tuple(sorted(u for u in ids if u in known.users or told.records.get(("user", u)) is not None))
    for name, members in sorted(there.items()):
        old = known.groups.get(name)
        # Users of other realms whom somebody put into the group here stay in it.
        others = () if old is None else tuple(m for m in old.members if not m.endswith(f"@{realm}"))
        record = dataclasses.replace(old or Group(groupid=name), members=tuple(sorted({*others, *members})))
        if record != old:
            told.records[("group", name)] = record
            told.lines.append(f"{'adding' if old is None else 'updating'} group '{name}' ({len(members)} members)")
    for name in sorted(n for n in known.groups if n.endswith(f"-{realm}") and n not in there):
        if "entry" in wanted.vanished:
            told.lines.append(f"remove group '{name}'")
            told.records[("group", name)] = None
        if "acl" in wanted.vanished and f"group:{name}" in known.grants:
            told.lines.append(f"purged ACLs of group '{name}'")
            told.records[("grants", f"group:{name}")] = None


def _leave_groups(vanished: set[str], known: Directory, told: Changes) -> None:
    for name, group in known.groups.items():
        record = told.records.get(("group", name), group)
        if record is not None and vanished & set(record.members):
            left = tuple(m for m in record.members if m not in vanished)
            told.records[("group", name)] = dataclasses.replace(record, members=left)


class RealmSync:
    """The task. `server` makes what reads a directory (`drivers.auth.ldap`)."""

    def __init__(
        self,
        *,
        directory: Directory,
        realms: Realms,
        jobs: Jobs,
        registry: Registry,
        server: Callable[[str, RealmOptions], Server] = Server,
    ) -> None:
        self._directory = directory
        self._realms = realms
        self._jobs = jobs
        self._server = server
        registry.step(STEP, self._do)
        registry.kind(KIND, self._plan, recover="resume")
        registry.kind(TEST_KIND, self._plan, recover="resume")

    async def sync(
        self, user: str, realm: str, given: SyncDefaults, *, said: Mapping[str, str], dry: bool, dryrun: bool = False
    ) -> str | Plan:
        """Start it; `dry`: only tell in the task's log what would change. Raises NotFound, InvalidInput for a realm of
        another type or without a scope."""
        record = self._realms.find(realm)
        if record.type not in (LDAP, AD):
            raise InvalidInput.of(
                "realm", f"cannot sync realm '{realm}': realms of type {record.type} have no directory"
            )
        wanted = Wanted.of(self._realms.options(realm).sync_defaults, given, said=said)
        args = {
            "realm": realm,
            "scope": wanted.scope,
            "enable_new": wanted.enable_new,
            "vanished": sorted(wanted.vanished),
            "dry": dry,
        }
        if dryrun:
            return await self._plan(args)
        kind = TEST_KIND if dry else KIND
        return await self._jobs.submit(kind, id=realm, user=user, args=args, queues=[f"realm/{realm}"])

    async def _plan(self, args: Mapping[str, Any]) -> Plan:
        verb = "tell what a synchronization would change" if args["dry"] else "synchronize"
        title = f"{verb}: {args['scope']} of realm {args['realm']}"
        gone = ", ".join(args["vanished"])
        effects = [f"of what is no longer there, these go: {gone}"] if gone and not args["dry"] else []
        return Plan(steps=(PlannedStep(step=STEP, title=title, args=dict(args)),), effects=tuple(effects))

    async def _do(
        self, ctx: StepContext, *, realm: str, scope: str, enable_new: bool, vanished: list[str], dry: bool
    ) -> dict[str, int]:
        wanted = Wanted(scope=scope, enable_new=enable_new, vanished=frozenset(vanished))
        kind, options = self._realms.find(realm).type, self._realms.options(realm)
        found = await self._read(kind, options, wanted)
        if not found.users and wanted.users and wanted.vanished & {"entry", "acl"}:
            raise HostFailure(
                "the directory has no user that fits",
                code="ldap-nobody",
                cause="to remove everybody is hardly what is meant, so nobody was removed",
                evidence=combined(options.user_classes, options.filter, options.user_attr or "uid"),
                fixes=[Fix(text="check base_dn, filter and user_classes, or remove the users by hand")],
            )
        ctx.log(f"the directory has {len(found.users)} users and {len(found.groups)} groups that fit")
        async with self._directory.lock:
            told = changes(realm, kind, options, wanted, found, self._directory)
            for line in told.lines:
                ctx.log(f"(dry run) {line}" if dry else line)
            for line in told.warnings:
                ctx.warn(line)
            if not dry:
                await self._write(ctx, realm, told)
        ctx.log(
            "nothing changes" if not told.records else f"{len(told.records)} records {'would ' if dry else ''}change"
        )
        return {"records": len(told.records)}

    async def _read(self, kind: str, options: RealmOptions, wanted: Wanted) -> Found:
        server = self._server(kind, options)
        base = await server.base()
        name = options.user_attr or ("sAMAccountName" if kind == AD else "uid")
        attributes = [name, *sync_attributes(options.sync_attributes or "").values()]
        # Groups name their members by their entries, so the users are read for them, too.
        users = await server.search(base, combined(options.user_classes, options.filter, name), attributes)
        if not wanted.groups:
            return Found(users=users)
        named = options.group_name_attr or "cn"
        groups = await server.search(
            options.group_dn or base, combined(options.group_classes, options.group_filter, named), [named, *_MEMBERS]
        )
        return Found(users=users, groups=groups)

    async def _write(self, ctx: StepContext, realm: str, told: Changes) -> None:
        items = list(told.records.items())
        for start in range(0, len(items), _BATCH):
            part = dict(items[start : start + _BATCH])
            await self._directory.commit(part, by=ctx.user, what=f"synchronize realm {realm}")
            ctx.progress(min(start + _BATCH, len(items)), len(items), "records")
            ctx.point("batch")


def combined(classes: str, filter: str | None, attribute: str) -> str:
    """The search filter: an object of one of the classes that has the attribute, and fits the realm's own filter."""
    words = [word for word in re.split(r"[,;\s]+", classes) if word]
    own = (filter or "").strip()
    own = own if own.startswith("(") or not own else f"({own})"
    return f"(&(|{''.join(f'(objectClass={word})' for word in words)})({attribute}=*){own})"
