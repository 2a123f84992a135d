"""Snapshots by the clock: schedules in the store, looked at once a minute, each made and pruned by ordinary tasks.

    snapshot-schedules/<id>           the rules, who made it, the last slot that was done
    snapshot-schedules-made/<id>      the snapshots it made, by guest: only these are ever pruned

A slot counts as done when all its tasks are submitted. What was missed while the daemon was away is made up for once.
"""

from __future__ import annotations

import datetime
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tarmac.drivers.store.base import Store
from tarmac.model.errors import Conflict, Denied, InvalidInput, NotFound, TarmacError
from tarmac.model.parse import parse_record
from tarmac.model.schedule import ScheduleDefinition, is_due, selects, slot, snapshot_name, surplus
from tarmac.model.settings import find_setting
from tarmac.services.access.access import Access, Identity
from tarmac.services.access.pools import Pools
from tarmac.services.guests.guests import Guest, Guests
from tarmac.services.snapshots.snapshots import VmSnapshots

log = logging.getLogger(__name__)
PREFIX, MADE = "snapshot-schedules/", "snapshot-schedules-made/"
SECONDS = 60.0
PRIVILEGE = "VM.Snapshot"


def _now() -> datetime.datetime:
    return datetime.datetime.now()  # noqa: DTZ005 - schedules follow the host's clock on the wall


@dataclass(slots=True, kw_only=True)
class Schedule:
    """One schedule. `problems`: why the last run left a guest out, by number."""

    texts: dict[str, str]
    rules: ScheduleDefinition
    owner: str
    last: datetime.datetime | None
    made: dict[str, list[str]] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)


class SnapshotSchedules:
    """`run` is called by the daemon; the rest are the verbs of the API."""

    def __init__(
        self,
        *,
        store: Store,
        guests: Guests,
        snapshots: VmSnapshots,
        access: Access,
        pools: Pools,
        clock: Callable[[], datetime.datetime] = _now,
    ) -> None:
        self._store = store
        self._guests = guests
        self._snapshots = snapshots
        self._access = access
        self._pools = pools
        self._clock = clock
        self._schedules: dict[str, Schedule] = {}

    async def load(self) -> None:
        """Read all; called once."""
        for entry in await self._store.range(PREFIX):
            record = json.loads(entry.value)
            last = record["last"]
            self._schedules[entry.key.removeprefix(PREFIX)] = Schedule(
                texts=record["texts"],
                rules=parse_record(ScheduleDefinition, record["texts"]),
                owner=record["owner"],
                last=None if last is None else datetime.datetime.fromisoformat(last),
            )
        for entry in await self._store.range(MADE):
            if (schedule := self._schedules.get(entry.key.removeprefix(MADE))) is not None:
                schedule.made = json.loads(entry.value)

    # -- verbs --------------------------------------------------------------------------------------------------

    def listing(self, identity: Identity) -> list[dict[str, Any]]:
        """The schedules that the caller may look at."""
        return [self._row(s) for _, s in sorted(self._schedules.items()) if self._may(identity, s.rules, "VM.Audit")]

    def show(self, identity: Identity, id: str) -> dict[str, Any]:
        """Raises NotFound, Denied."""
        schedule = self._get(id)
        self._check(identity, schedule.rules, "VM.Audit")
        return self._row(schedule)

    async def create(self, identity: Identity, texts: Mapping[str, str]) -> None:
        """A new schedule; its first slot is the next one. Raises InvalidInput, Conflict, Denied."""
        rules = self._checked(texts)
        self._check(identity, rules, PRIVILEGE)
        if rules.id in self._schedules:
            raise Conflict(f"snapshot schedule '{rules.id}' already exists", code="schedule-exists")
        last = slot(rules, self._clock())
        await self._put(Schedule(texts=dict(texts), rules=rules, owner=identity.name, last=last))

    async def update(self, identity: Identity, id: str, texts: Mapping[str, str], delete: Sequence[str] = ()) -> None:
        """Raises NotFound, InvalidInput, Denied for the old or the new selection."""
        schedule = self._get(id)
        for key in delete:
            if key == "id" or find_setting(ScheduleDefinition, key) is None:
                raise InvalidInput.of("delete", f"unable to delete fixed or unknown option '{key}'")
        merged = {k: v for k, v in {**schedule.texts, **texts, "id": id}.items() if k not in delete}
        rules = self._checked(merged)
        self._check(identity, schedule.rules, PRIVILEGE)
        self._check(identity, rules, PRIVILEGE)
        last = schedule.last or slot(rules, self._clock())
        await self._put(Schedule(texts=merged, rules=rules, owner=identity.name, last=last, made=schedule.made))

    async def delete(self, identity: Identity, id: str) -> None:
        """Forget a schedule; the snapshots it made stay. Raises NotFound, Denied."""
        self._check(identity, self._get(id).rules, PRIVILEGE)
        await self._store.transact([], deletes=[PREFIX + id, MADE + id])
        self._schedules.pop(id, None)

    # -- running ------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Submit what is due, then prune what is no longer kept. One guest's trouble is no other's."""
        for id, schedule in list(self._schedules.items()):
            if is_due(schedule.rules, schedule.last, self._clock()):
                await self._take(id, schedule)
            await self._prune(id, schedule)

    async def _take(self, id: str, schedule: Schedule) -> None:
        when = slot(schedule.rules, self._clock())
        assert when is not None
        name = snapshot_name(id, when)
        schedule.problems = {}
        for guest in self._selected(schedule):
            if name in guest.file.snapshots:
                continue
            made = schedule.made.setdefault(str(guest.vmid), [])
            if name not in made:
                made.append(name)
                await self._put_made(id, schedule)  # before the effect: what is not written down is never pruned
            try:
                self._access.check(Identity.parse(schedule.owner), f"/vms/{guest.vmid}", [PRIVILEGE])
                await self._snapshots.create(
                    schedule.owner,
                    guest.vmid,
                    name,
                    description=f"made by the schedule {id}",
                    vmstate=schedule.rules.vmstate,
                )
            except TarmacError as problem:
                schedule.problems[str(guest.vmid)] = f"{problem.message} ({problem.evidence})"
                log.warning("no scheduled snapshot", extra={"vmid": guest.vmid, "schedule": id, "why": problem.message})
        schedule.last = when
        await self._put(schedule)

    async def _prune(self, id: str, schedule: Schedule) -> None:
        for number, names in list(schedule.made.items()):
            guest = self._guests.find(int(number))
            if guest is None:
                del schedule.made[number]
                await self._put_made(id, schedule)
                continue
            if self._snapshots.busy(guest.vmid):
                continue  # its snapshot may be under way; the next minute sees it
            there = [name for name in names if name in guest.file.snapshots]
            if there != names:
                schedule.made[number] = there
                await self._put_made(id, schedule)
            for name in surplus(schedule.rules, there) if schedule.rules.enabled else ():
                await self._snapshots.delete(schedule.owner, guest.vmid, name)

    def _selected(self, schedule: Schedule) -> list[Guest]:
        pool_of, rules = self._pools.of_guest, schedule.rules
        return [guest for guest in self._guests if selects(rules, guest.vmid, guest.file.current, pool_of(guest.vmid))]

    # -- store and rights ---------------------------------------------------------------------------------------

    def _get(self, id: str) -> Schedule:
        try:
            return self._schedules[id]
        except KeyError:
            raise NotFound(f"snapshot schedule '{id}' does not exist", code="no-such-schedule") from None

    async def _put(self, schedule: Schedule) -> None:
        last = None if schedule.last is None else schedule.last.isoformat()
        record = {"format": 1, "texts": schedule.texts, "owner": schedule.owner, "last": last}
        await self._store.put(PREFIX + schedule.rules.id, json.dumps(record).encode())
        self._schedules[schedule.rules.id] = schedule

    async def _put_made(self, id: str, schedule: Schedule) -> None:
        await self._store.put(MADE + id, json.dumps(schedule.made).encode())

    def _may(self, identity: Identity, rules: ScheduleDefinition, privilege: str) -> bool:
        try:
            self._check(identity, rules, privilege)
        except Denied:
            return False
        return True

    def _check(self, identity: Identity, rules: ScheduleDefinition, privilege: str) -> None:
        paths = ["/vms"] if rules.all or rules.tag is not None else [f"/vms/{vmid}" for vmid in rules.guests]
        if rules.pool is not None:
            paths.append(f"/pool/{rules.pool}")
        for path in paths:
            self._access.check(identity, path, [privilege])

    @staticmethod
    def _row(schedule: Schedule) -> dict[str, Any]:
        row: dict[str, Any] = {}
        for key, text in schedule.texts.items():
            found = find_setting(ScheduleDefinition, key)
            number = found is not None and found[0].kind in ("integer", "boolean")
            row[key] = int(text) if number else text
        if schedule.last is not None and (schedule.made or schedule.problems):  # a new one begins with the slot before
            row["last"] = int(schedule.last.timestamp())
        if schedule.problems:
            row["problems"] = dict(schedule.problems)
        return {**row, "owner": schedule.owner, "snapshots": sum(map(len, schedule.made.values()))}

    def _checked(self, texts: Mapping[str, str]) -> ScheduleDefinition:
        rules = parse_record(ScheduleDefinition, texts)
        if not (rules.guests or rules.tag or rules.pool or rules.all):
            raise InvalidInput.of("guests", "a schedule needs `guests`, `tag`, `pool` or `all`")
        if not (rules.keep_hourly or rules.keep_daily or rules.keep_weekly):
            raise InvalidInput.of("keep-daily", "a schedule needs one of `keep-hourly`, `keep-daily`, `keep-weekly`")
        if rules.pool is not None:
            self._pools.check(rules.pool)
        return rules
