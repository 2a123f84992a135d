"""Users and groups of an LDAP directory, brought here by a task; `sync_changes` decides what that changes.

A directory is read whole before anything is changed, so one that cannot be read, or not wholly, removes nobody. Changes
are written in transactions of a hundred records; a synchronization that a crash cut off is simply done again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tarmac.drivers.auth.ldap import Directory as Server
from tarmac.model.errors import Fix, HostFailure, InvalidInput
from tarmac.model.job import Plan, PlannedStep, Started
from tarmac.model.realms import AD, LDAP, RealmOptions, SyncDefaults, sync_attributes
from tarmac.services.access.directory import Directory
from tarmac.services.access.realms import Realms
from tarmac.services.access.sync_changes import MEMBERS, Changes, Found, Wanted, changes, combined
from tarmac.services.jobs.jobs import Jobs
from tarmac.services.jobs.steps import Registry, StepContext

KIND, TEST_KIND, STEP = "auth-realm-sync", "auth-realm-sync-test", "realm-sync"
_BATCH = 100


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
    ) -> Started:
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
            options.group_dn or base, combined(options.group_classes, options.group_filter, named), [named, *MEMBERS]
        )
        return Found(users=users, groups=groups)

    async def _write(self, ctx: StepContext, realm: str, told: Changes) -> None:
        items = list(told.records.items())
        for start in range(0, len(items), _BATCH):
            part = dict(items[start : start + _BATCH])
            await self._directory.commit(part, by=ctx.user, what=f"synchronize realm {realm}")
            ctx.progress(min(start + _BATCH, len(items)), len(items), "records")
            ctx.point("batch")
