"""Jobs that synchronize a realm by the clock. Keys and limits are Proxmox VE 9's (`/cluster/jobs/realm-sync`)."""

from __future__ import annotations

import datetime
from dataclasses import dataclass

from tarmac.model.calendar import CalendarEvent
from tarmac.model.realms import REMOVE_VANISHED
from tarmac.model.settings import setting


@dataclass(frozen=True, kw_only=True)
class JobChanges:
    """What may change in a job."""

    schedule: str = setting(max_length=128, format="pve-calendar-event", help="When: `mon..fri 22:30`.")
    enabled: bool = setting(True, help="Whether it runs.")
    enable_new: bool = setting(True, name="enable-new", help="New users may log in at once.")
    remove_vanished: str | None = setting(
        None,
        name="remove-vanished",
        pattern=REMOVE_VANISHED,
        default_text="none",
        help="What goes with those who are no longer there: `entry`, `properties`, `acl`, separated by `;`.",
    )
    scope: str | None = setting(
        None, choices=("users", "groups", "both"), default_text="the realm's", help="What is synchronized."
    )
    comment: str | None = setting(None, max_length=512, help="A line for people.")


@dataclass(frozen=True, kw_only=True)
class JobDefinition(JobChanges):
    """A job as it is stored."""

    realm: str | None = setting(None, max_length=32, format="pve-realm", help="The realm: one of type ldap or ad.")


def next_time(job: JobDefinition, after: datetime.datetime) -> datetime.datetime | None:
    """When the job's event comes next; None for one that is switched off."""
    if not job.enabled:
        return None
    return CalendarEvent.parse(job.schedule).next(after)


def due(job: JobDefinition, last: datetime.datetime, now: datetime.datetime) -> datetime.datetime | None:
    """The event that came since `last` and was not done; of several the last one. A clock that went back makes nothing
    due."""
    if not job.enabled:
        return None
    when = CalendarEvent.parse(job.schedule).previous(now)
    return when if when is not None and when > last else None
