"""Snapshots by the clock: when one is due, and which of those that a schedule made are kept. Pure.

A schedule makes one at each time of its `schedule`, a calendar event. Without that, one with `hourly` kept makes one
each hour, else with `daily` one each day, else with `weekly` one each week. Times are local, a week begins on Monday.
However long nobody looked, what was missed is made up for by one.
Which are kept is decided as Proxmox's `prune-backups` does: going from the newest to the oldest, the last one of each
hour (day, week) counts, until enough hours (days, weeks) are covered; those kept for one reason cover no other's.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tarmac.model.calendar import CalendarEvent
from tarmac.model.settings import setting

MARK = "%Y%m%d-%H%M"
_NAME = re.compile(r"(?P<id>.+)-(?P<when>\d{8}-\d{4})")


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What may change in a schedule."""

    guests: tuple[str, ...] = setting((), format="pve-vmid", help="The guests' numbers.")
    tag: str | None = setting(None, max_length=64, help="All guests that have this tag.")
    pool: str | None = setting(None, format="pve-poolid", help="All guests that are in this pool at the time.")
    all: bool = setting(False, help="All guests that are no templates.")
    schedule: str | None = setting(
        None, max_length=128, format="pve-calendar-event", help="When: `mon..fri 22:30`, `*/30`; else by what is kept."
    )
    keep_hourly: int = setting(0, name="keep-hourly", ge=0, le=1000, help="For how many hours one is kept.")
    keep_daily: int = setting(0, name="keep-daily", ge=0, le=1000, help="For how many days one is kept.")
    keep_weekly: int = setting(0, name="keep-weekly", ge=0, le=1000, help="For how many weeks one is kept.")
    vmstate: bool = setting(False, help="Save the memory of running guests, too; they stand still meanwhile.")
    enabled: bool = setting(True, help="Whether it runs.")
    comment: str | None = setting(None, max_length=256, help="A line for people.")


@dataclass(frozen=True, kw_only=True)
class ScheduleDefinition(Rules):
    """A schedule as it is stored."""

    id: str = setting(pattern=r"[a-zA-Z][a-zA-Z0-9_]{1,19}", help="Its name, with which its snapshots' names begin.")


def slot(rules: Rules, now: datetime.datetime) -> datetime.datetime | None:
    """The last time of the schedule's calendar event, or the beginning of the hour, day or week in which `now` is; None
    for one that keeps nothing, and for an event that never came."""
    if rules.schedule is not None:
        return CalendarEvent.parse(rules.schedule).previous(now)
    hour = now.replace(minute=0, second=0, microsecond=0)
    if rules.keep_hourly:
        return hour
    if rules.keep_daily:
        return hour.replace(hour=0)
    if rules.keep_weekly:
        return hour.replace(hour=0) - datetime.timedelta(days=now.weekday())
    return None


def is_due(rules: Rules, last: datetime.datetime | None, now: datetime.datetime) -> bool:
    """Whether a slot has begun since the last one that was done. A clock that went back makes nothing due."""
    current = slot(rules, now)
    return rules.enabled and current is not None and (last is None or current > last)


def snapshot_name(id: str, when: datetime.datetime) -> str:
    """The name of a schedule's snapshot of a slot: `nightly-20261128-0000`."""
    return f"{id}-{when.strftime(MARK)}"


def time_of(name: str) -> datetime.datetime | None:
    """The reverse, None for another name."""
    match = _NAME.fullmatch(name)
    try:
        return datetime.datetime.strptime(match["when"], MARK) if match else None
    except ValueError:
        return None


def surplus(rules: Rules, names: Iterable[str]) -> list[str]:
    """Those of a schedule's snapshots that it does not keep, oldest first."""
    dated = sorted(((when, name) for name in names if (when := time_of(name)) is not None), reverse=True)
    kept: set[str] = set()
    for count, pattern in ((rules.keep_hourly, "%Y%m%d%H"), (rules.keep_daily, "%Y%m%d"), (rules.keep_weekly, "%G%V")):
        covered = {when.strftime(pattern) for when, name in dated if name in kept}
        taken = 0
        for when, name in dated:
            period = when.strftime(pattern)
            if taken < count and name not in kept and period not in covered:
                covered.add(period)
                kept.add(name)
                taken += 1
    return [name for _, name in reversed(dated) if name not in kept]


def selects(rules: Rules, vmid: int, config: Mapping[str, Any], pool: str | None = None) -> bool:
    """Whether a schedule is for a guest with these texts, which is in `pool`."""
    if config.get("template") == "1":
        return False
    tags = set(re.split(r"[;, ]+", str(config.get("tags", ""))))
    in_pool = rules.pool is not None and rules.pool == pool
    return rules.all or in_pool or str(vmid) in rules.guests or (rules.tag is not None and rules.tag in tags)
