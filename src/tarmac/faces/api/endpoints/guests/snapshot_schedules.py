"""Schedules of snapshots. Proxmox has none; path and parameters are ours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tarmac.faces.api.declare import LIST, NULL, OBJECT, Allow, Call, NoParams, delete, get, post, put
from tarmac.model.schedule import Rules, ScheduleDefinition
from tarmac.model.settings import setting


@dataclass(frozen=True, kw_only=True)
class One:
    id: str = setting(max_length=20, help="The schedule.")


@dataclass(frozen=True, kw_only=True)
class Change(One):
    delete: tuple[str, ...] = setting((), help="Keys to remove.")


async def _later(call: Call, p: Any) -> None:
    """The service decides, because the guests that are selected stand in the schedule."""


SELECTED = Allow.by(
    _later, "VM.Snapshot on each guest of `guests`; on /pool/POOL with `pool`, on /vms with `tag` or `all`"
)


@get(
    "/cluster/snapshot-schedules",
    params=NoParams,
    allow=Allow.login,
    returns=LIST,
    cli="snapshot-schedule list",
    help="The schedules by which snapshots are made and pruned.",
)
async def schedules(call: Call, p: NoParams) -> Any:
    return call.services.snapshot_schedules.listing(call.identity)


@post(
    "/cluster/snapshot-schedules",
    params=NoParams,
    config=ScheduleDefinition,
    allow=SELECTED,
    returns=NULL,
    cli="snapshot-schedule add {id}",
    help="Have snapshots made and pruned by the clock; the first one at the next full hour, day or week.",
)
async def create(call: Call, p: NoParams) -> None:
    await call.services.snapshot_schedules.create(call.identity, call.config)


@get(
    "/cluster/snapshot-schedules/{id}",
    params=One,
    allow=Allow.by(_later, "VM.Audit on the guests that are selected"),
    returns=OBJECT,
    cli="snapshot-schedule show {id}",
    help="One schedule, with what kept its last run from a guest (`problems`).",
)
async def show(call: Call, p: One) -> Any:
    return call.services.snapshot_schedules.show(call.identity, p.id)


@put(
    "/cluster/snapshot-schedules/{id}",
    params=Change,
    config=Rules,
    allow=SELECTED,
    returns=NULL,
    cli="snapshot-schedule set {id}",
    help="Change a schedule.",
)
async def change(call: Call, p: Change) -> None:
    await call.services.snapshot_schedules.update(call.identity, p.id, call.config, p.delete)


@delete(
    "/cluster/snapshot-schedules/{id}",
    params=One,
    allow=SELECTED,
    returns=NULL,
    cli="snapshot-schedule remove {id}",
    help="Forget a schedule; the snapshots that it made stay.",
)
async def remove(call: Call, p: One) -> None:
    await call.services.snapshot_schedules.delete(call.identity, p.id)
