"""Realms synchronized by the clock: jobs in the store, looked at once a minute, each run as an ordinary task.

    realm-sync-jobs/<id>     {"format", "texts", "owner", "last": the last time that was done, "run": when it ran (s)}

A run is its owner's, who made or last changed the job: with the rights that he has then. What was missed while the
daemon was away is made up for once. A time counts as done when its task is submitted, or refused.
"""

from __future__ import annotations

import datetime
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tarmac.drivers.store.base import Store
from tarmac.model.errors import Conflict, Fix, InvalidInput, NotFound, TarmacError
from tarmac.model.parse import parse_record
from tarmac.model.realm_jobs import JobChanges, JobDefinition, due, next_time
from tarmac.model.realms import AD, LDAP, SyncDefaults
from tarmac.model.settings import find_setting
from tarmac.services.access.access import Access, Identity
from tarmac.services.access.realm_sync import RealmSync
from tarmac.services.access.realms import Realms

log = logging.getLogger(__name__)
PREFIX = "realm-sync-jobs/"
_FIXED = ("realm", "schedule")


def _now() -> datetime.datetime:
    return datetime.datetime.now()  # noqa: DTZ005 - schedules follow the host's clock on the wall


def check_sync(access: Access, identity: Identity, realm: str) -> None:
    """What synchronizing a realm takes, now or by the clock. Raises Denied."""
    access.check(identity, f"/access/realm/{realm}", ["Realm.AllocateUser"])
    access.check(identity, "/access/groups", ["User.Modify"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One job. `run`: when it last ran, in seconds since 1970."""

    id: str
    texts: Mapping[str, str]
    rules: JobDefinition
    owner: str
    last: datetime.datetime
    run: int | None = None


class RealmJobs:
    """`run` is called by the daemon; the rest are the verbs of the API."""

    def __init__(
        self,
        *,
        store: Store,
        access: Access,
        realms: Realms,
        sync: RealmSync,
        clock: Callable[[], datetime.datetime] = _now,
    ) -> None:
        self._store = store
        self._access = access
        self._realms = realms
        self._sync = sync
        self._clock = clock
        self._jobs: dict[str, Job] = {}

    async def load(self) -> None:
        """Read all; called once."""
        for entry in await self._store.range(PREFIX):
            record, id = json.loads(entry.value), entry.key.removeprefix(PREFIX)
            self._jobs[id] = Job(
                id=id,
                texts=record["texts"],
                rules=parse_record(JobDefinition, record["texts"]),
                owner=record["owner"],
                last=datetime.datetime.fromisoformat(record["last"]),
                run=record["run"],
            )

    def listing(self) -> list[dict[str, Any]]:
        """All jobs, with when they ran and run next."""
        return [self._row(job) for _, job in sorted(self._jobs.items())]

    def show(self, id: str) -> dict[str, Any]:
        """Raises NotFound."""
        return {**self._row(self._get(id)), "type": "realm-sync"}

    async def create(self, identity: Identity, id: str, texts: Mapping[str, str]) -> None:
        """A new job; its first run is at its event's next time. Raises InvalidInput, Conflict, Denied, NotFound."""
        rules = self._checked(texts)
        assert rules.realm is not None
        check_sync(self._access, identity, rules.realm)
        if id in self._jobs:
            raise Conflict(
                f"Job '{id}' already exists",
                code="job-exists",
                cause="an id belongs to one job",
                evidence=id,
                fixes=[Fix(text="change the existing job", action=f"PUT /cluster/jobs/realm-sync/{id}")],
            )
        await self._put(Job(id=id, texts=dict(texts), rules=rules, owner=identity.name, last=self._clock()))

    async def update(self, identity: Identity, id: str, texts: Mapping[str, str], delete: Sequence[str]) -> None:
        """Raises NotFound, InvalidInput, Denied."""
        job = self._get(id)
        assert job.rules.realm is not None
        check_sync(self._access, identity, job.rules.realm)
        for key in delete:
            if key in _FIXED or find_setting(JobChanges, key) is None:
                raise InvalidInput.of("delete", f"unable to delete fixed or unknown option '{key}'")
        merged = {key: text for key, text in {**job.texts, **texts}.items() if key not in delete}
        rules = self._checked(merged)
        anew = rules.schedule != job.rules.schedule or rules.enabled != job.rules.enabled
        last = self._clock() if anew else job.last
        await self._put(Job(id=id, texts=merged, rules=rules, owner=identity.name, last=last, run=job.run))

    async def delete(self, id: str) -> None:
        """Forget a job. Raises NotFound."""
        self._get(id)
        await self._store.transact([], deletes=[PREFIX + id])
        self._jobs.pop(id, None)

    async def run(self) -> None:
        """Submit what is due. One job's trouble is no other's."""
        for job in list(self._jobs.values()):
            when = due(job.rules, job.last, self._clock())
            if when is not None:
                await self._run(job, when)

    async def _run(self, job: Job, when: datetime.datetime) -> None:
        rules = job.rules
        assert rules.realm is not None
        given = SyncDefaults(enable_new=rules.enable_new, remove_vanished=rules.remove_vanished, scope=rules.scope)
        try:
            check_sync(self._access, Identity.parse(job.owner), rules.realm)
            await self._sync.sync(job.owner, rules.realm, given, said=job.texts, dry=False)
        except TarmacError as problem:
            log.warning(
                "no scheduled synchronization",
                extra={"job": job.id, "realm": rules.realm, "why": problem.message, "evidence": problem.evidence},
            )
        now = int(self._clock().timestamp())
        await self._put(Job(id=job.id, texts=job.texts, rules=rules, owner=job.owner, last=when, run=now))

    # -- parts --------------------------------------------------------------------------------------------------

    def _get(self, id: str) -> Job:
        try:
            return self._jobs[id]
        except KeyError:
            raise NotFound(
                f"no such job '{id}'",
                code="no-such-job",
                cause="no job has this id",
                evidence=id,
                fixes=[Fix(text="list the jobs", action="GET /cluster/jobs/realm-sync")],
            ) from None

    def _checked(self, texts: Mapping[str, str]) -> JobDefinition:
        rules = parse_record(JobDefinition, texts)
        if rules.realm is None:
            raise InvalidInput.of("realm", "property is missing and it is not optional")
        if (kind := self._realms.find(rules.realm).type) not in (LDAP, AD):
            raise InvalidInput.of("realm", f"realms of type {kind} have no directory")
        if rules.scope is None and self._realms.options(rules.realm).sync_defaults.scope is None:
            raise InvalidInput.of("scope", "property is missing and it is not optional, as the realm has no default")
        return rules

    async def _put(self, job: Job) -> None:
        record = {
            "format": 1,
            "texts": dict(job.texts),
            "owner": job.owner,
            "last": job.last.isoformat(),
            "run": job.run,
        }
        await self._store.put(PREFIX + job.id, json.dumps(record).encode())
        self._jobs[job.id] = job

    def _row(self, job: Job) -> dict[str, Any]:
        row: dict[str, Any] = {"id": job.id, **job.texts, "enabled": int(job.rules.enabled), "owner": job.owner}
        if "enable-new" in row:
            row["enable-new"] = int(job.rules.enable_new)
        if job.run is not None:
            row["last-run"] = job.run
        if (coming := next_time(job.rules, self._clock())) is not None:
            row["next-run"] = int(coming.timestamp())
        return row
