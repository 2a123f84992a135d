"""Bulk actions: one verb on many guests, in one task with an outcome for each (`services.lifecycle.bulk`)."""

from __future__ import annotations

from dataclasses import dataclass

from tarmac.faces.api.declare import UPID, Call, post
from tarmac.faces.api.endpoints.common import on_each
from tarmac.model.job import Started
from tarmac.model.settings import setting


@dataclass(frozen=True, kw_only=True)
class Bulk:
    vms: tuple[str, ...] = setting((), array=True, format="pve-vmid", help="These guests; without it all.")
    max_workers: int | None = setting(
        None,
        name="max-workers",
        ge=1,
        le=64,
        default_text="the datacenter's max_workers, else 4; 1 for migrations",
        help="How many guests at a time.",
    )
    maxworkers: int | None = setting(None, ge=1, le=64, help="The same as max-workers.")

    @property
    def workers(self) -> int | None:
        return self.max_workers or self.maxworkers

    @property
    def vmids(self) -> list[int]:
        return [int(vmid) for vmid in self.vms]


@dataclass(frozen=True, kw_only=True)
class BulkStart(Bulk):
    timeout: int | None = setting(None, ge=0, unit="s", help="Taken, without effect: a start takes the time it needs.")


@dataclass(frozen=True, kw_only=True)
class BulkShutdown(Bulk):
    timeout: int = setting(
        180, ge=0, unit="s", help="How long each guest may take whose startup options do not say it."
    )
    force_stop: bool = setting(True, name="force-stop", help="Cut the power of guests that do not end in time.")


@dataclass(frozen=True, kw_only=True)
class BulkSuspend(Bulk):
    to_disk: bool = setting(False, name="to-disk", built=False, help="Write the guests' state to disk and end them.")
    statestorage: str | None = setting(None, format="pve-storage-id", built=False, help="Where the state goes.")


@dataclass(frozen=True, kw_only=True)
class BulkMigrate(Bulk):
    target: str = setting(format="pve-node", help="The node to go to.")
    online: bool = setting(False, help="Also running guests.")
    with_local_disks: bool = setting(False, name="with-local-disks", help="Take local disks along.")


@post(
    "/cluster/bulk-action/guest/start",
    params=BulkStart,
    allow=on_each("VM.PowerMgmt"),
    returns=UPID,
    help="Start many guests, or resume those that are suspended; the task's result has each guest's outcome.",
)
async def start(call: Call, p: BulkStart) -> Started:
    return await call.services.bulk.start(call.identity, p.vmids, workers=p.workers, dryrun=call.dryrun)


@post(
    "/cluster/bulk-action/guest/shutdown",
    params=BulkShutdown,
    allow=on_each("VM.PowerMgmt"),
    returns=UPID,
    help="Shut down many guests; the task's result has each guest's outcome.",
)
async def shutdown(call: Call, p: BulkShutdown) -> Started:
    return await call.services.bulk.shutdown(
        call.identity, p.vmids, timeout=p.timeout, force=p.force_stop, workers=p.workers, dryrun=call.dryrun
    )


@post(
    "/cluster/bulk-action/guest/suspend",
    params=BulkSuspend,
    allow=on_each("VM.PowerMgmt"),
    returns=UPID,
    help="Suspend many guests; the task's result has each guest's outcome.",
)
async def suspend(call: Call, p: BulkSuspend) -> Started:
    return await call.services.bulk.suspend(call.identity, p.vmids, workers=p.workers, dryrun=call.dryrun)


@post(
    "/cluster/bulk-action/guest/migrate",
    params=BulkMigrate,
    allow=on_each("VM.Migrate"),
    returns=UPID,
    help="Answers as a Proxmox of one node: guests are there already, and another node does not exist.",
)
async def migrate(call: Call, p: BulkMigrate) -> Started:
    return await call.services.bulk.migrate(
        call.identity, p.vmids, target=p.target, workers=p.workers, dryrun=call.dryrun
    )
