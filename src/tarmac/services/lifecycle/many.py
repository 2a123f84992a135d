"""One verb on many guests: a task each, so many at a time, each with its own outcome.

Used by the bulk actions and by what starts and stops with the host. The guests' tasks are tasks like any other: ending
the one that began them does not end them, and a daemon that takes it up again finds those that still run.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from tarmac.model.errors import TarmacError
from tarmac.services.guests.guests import Guest
from tarmac.services.guests.work import submit_for_guest
from tarmac.services.jobs.jobs import Jobs
from tarmac.services.jobs.steps import StepContext

LAST = 1 << 30  # the place of guests without an order: behind all others
OK, SKIPPED, FAILED = "ok", "skipped", "failed"
Row = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What is to be done with one guest: a job of this kind, or nothing, and `skip` says why. `fails`: nothing was
    done, and that is a failure."""

    vmid: int
    kind: str = ""
    args: Mapping[str, Any] = field(default_factory=dict)
    skip: str = ""
    fails: bool = False


async def each(ctx: StepContext, jobs: Jobs, works: Sequence[Work], *, workers: int | None = None) -> list[Row]:
    """Do all of it, at most `workers` at a time (None: all at once), begun in this order; the outcome of each guest:
    `{vmid, outcome: ok|skipped|failed, status, upid}`. One guest's failure is a warning, because the others go on."""
    slots = asyncio.Semaphore(workers or max(1, len(works)))
    running = {(r.kind, r.id): r.upid for r in jobs.running()} if ctx.resumed else {}
    done = 0

    async def one(work: Work) -> Row:
        nonlocal done
        async with slots:
            row = await _one(ctx, jobs, work, running.get((work.kind, str(work.vmid))))
        done += 1
        ctx.progress(done, len(works), "guests")
        return row

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(work)) for work in works]
    return [task.result() for task in tasks]


async def _one(ctx: StepContext, jobs: Jobs, work: Work, running: str | None) -> Row:
    vmid = work.vmid
    if work.skip:
        ctx.warn(f"guest {vmid}: {'failed' if work.fails else 'skipped'}, {work.skip}")
        return {"vmid": vmid, "outcome": FAILED if work.fails else SKIPPED, "status": work.skip}
    try:
        upid = running or await submit_for_guest(jobs, work.kind, vmid, user=ctx.user, args={"vmid": vmid, **work.args})
        record = await jobs.wait(upid)
    except TarmacError as problem:
        ctx.warn(f"guest {vmid}: {problem.message}")
        return {"vmid": vmid, "outcome": FAILED, "status": problem.message, "error": problem.as_record()}
    status = record.exitstatus or "unexpected status"
    row: Row = {"vmid": vmid, "upid": upid, "status": status}
    if record.error is not None:
        ctx.warn(f"guest {vmid}: {status} ({upid})")
        return {**row, "outcome": FAILED, "error": dict(record.error)}
    ctx.log(f"guest {vmid}: {status}")
    return {**row, "outcome": OK}


def by_order(guests: Iterable[Guest]) -> list[tuple[int, list[Guest]]]:
    """Guests in groups of one startup order, lowest first, those without an order last; within a group by number."""
    ordered = sorted(guests, key=lambda g: (_order(g), g.vmid))
    return [(order, list(group)) for order, group in groupby(ordered, key=_order)]


def delay(guest: Guest, word: str) -> int | None:
    """The seconds that the guest's `startup` gives for `up` or `down`."""
    startup = guest.config.startup
    return None if startup is None else getattr(startup, word)


def names(vmids: Sequence[int]) -> str:
    """`guest 100, 101` for titles of steps; of very many the first ones."""
    shown = ", ".join(map(str, vmids[:20]))
    return f"guest {shown}" + (f" and {len(vmids) - 20} more" if len(vmids) > 20 else "")


def _order(guest: Guest) -> int:
    startup = guest.config.startup
    return LAST if startup is None or startup.order is None else startup.order
