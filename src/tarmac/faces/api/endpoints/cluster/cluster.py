"""The cluster as one: its members, everything in it, the next free number."""

from __future__ import annotations

import asyncio
import datetime
import itertools
import time
from dataclasses import dataclass
from typing import Any

from tarmac.faces.api.declare import LIST, TEXT, Allow, Call, Encoded, NoParams, get
from tarmac.faces.api.shapes.cluster import ResourceRow
from tarmac.model.calendar import CalendarEvent, coming
from tarmac.model.settings import setting

RECENT_TASKS = 25
LAST_SECOND = 32_503_680_000  # the year 3000; far beyond it Python's calendar ends


@dataclass(frozen=True, kw_only=True)
class Resources:
    type: str | None = setting(None, choices=("vm", "storage", "node", "sdn"), help="Only resources of this type.")


@dataclass(frozen=True, kw_only=True)
class NextId:
    vmid: int | None = setting(
        None, ge=100, le=999_999_999, help="Ask whether this number is free instead of for a free one."
    )


@dataclass(frozen=True, kw_only=True)
class Analyze:
    schedule: str = setting(max_length=128, format="pve-calendar-event", help="The event: `mon..fri 22:30`.")
    iterations: int = setting(10, ge=1, le=100, help="How many times to tell.")
    starttime: int | None = setting(
        None, ge=0, le=LAST_SECOND, default_text="now", unit="s", help="From then on (Unix time)."
    )


@get(
    "/cluster/resources",
    reply=list[ResourceRow],
    params=Resources,
    allow=Allow.login,
    returns=LIST,
    cli="node resources",
    help="Everything in the cluster that the caller may see: guests, nodes, storages.",
)
async def resources(call: Call, p: Resources) -> Any:
    return Encoded(await call.services.cluster.resources(call.identity, p.type))


@get("/cluster/status", allow=Allow("/", "Sys.Audit"), returns=LIST, help="The cluster's members.")
async def status(call: Call, p: NoParams) -> Any:
    return call.services.cluster.status()


@get(
    "/cluster/nextid",
    params=NextId,
    allow=Allow.login,
    returns=TEXT,
    cli="vm nextid",
    help="A free guest number, lent to the caller for a minute. It is a text, because clients decode one.",
)
async def next_id(call: Call, p: NextId) -> str:
    if p.vmid is not None:
        call.services.guests.numbers.check_free(p.vmid)
        return str(p.vmid)
    return str(call.services.guests.numbers.lend())


@get("/cluster/tasks", allow=Allow.login, returns=LIST, help="The latest tasks: running ones and the last ended.")
async def tasks(call: Call, p: NoParams) -> Any:
    own = None if call.services.access.allowed(call.identity, "/", ["Sys.Audit"]) else call.user
    _, rows = await call.services.tasks.listing(source="all", limit=RECENT_TASKS, user=own)
    return rows


@get(
    "/cluster/jobs/schedule-analyze",
    params=Analyze,
    allow=Allow.login,
    returns=LIST,
    help="When a calendar event comes next.",
)
async def schedule_analyze(call: Call, p: Analyze) -> Any:
    start = datetime.datetime.fromtimestamp(time.time() if p.starttime is None else p.starttime)
    event = CalendarEvent.parse(p.schedule)
    # Leap days far ahead take a tenth of a second.
    times = await asyncio.to_thread(lambda: list(itertools.islice(coming(event, start), p.iterations)))
    return [
        {"timestamp": int(when.timestamp()), "utc": when.astimezone(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")}
        for when in times
    ]


@get(
    "/cluster/backup-info/not-backed-up",
    allow=Allow("/", "Sys.Audit"),
    returns=LIST,
    help="The guests that no backup job covers: all, as there are no backup jobs yet.",
)
async def not_backed_up(call: Call, p: NoParams) -> Any:
    guests = sorted(call.services.guests, key=lambda guest: guest.vmid)
    return [{"vmid": guest.vmid, "name": guest.name, "type": "qemu"} for guest in guests]
