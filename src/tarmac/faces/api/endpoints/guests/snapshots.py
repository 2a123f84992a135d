"""Snapshots of a guest: list, create, look at, describe, compare, go back, remove."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tarmac.faces.api.declare import LIST, NULL, OBJECT, UPID, Allow, Call, delete, get, post, put
from tarmac.faces.api.endpoints.common import Guest
from tarmac.faces.api.shapes import guests as shapes
from tarmac.model.job import Started
from tarmac.model.settings import setting
from tarmac.model.units import KIB

AUDIT = Allow("/vms/{vmid}", "VM.Audit")
SNAPSHOT = Allow("/vms/{vmid}", "VM.Snapshot")
ROLLBACK = Allow("/vms/{vmid}", "VM.Snapshot", "VM.Snapshot.Rollback", any=True)
LOOK = Allow("/vms/{vmid}", "VM.Snapshot", "VM.Snapshot.Rollback", "VM.Audit", any=True)


@dataclass(frozen=True, kw_only=True)
class Snapshot(Guest):
    snapname: str = setting(max_length=40, format="pve-configid", help="The snapshot's name.")


@dataclass(frozen=True, kw_only=True)
class Create(Snapshot):
    description: str | None = setting(None, help="A line or more for people.")
    vmstate: bool = setting(False, help="Save the guest's memory, too: going back goes on in the midst of its work.")


@dataclass(frozen=True, kw_only=True)
class Describe(Snapshot):
    description: str | None = setting(None, help="A line or more for people.")


@dataclass(frozen=True, kw_only=True)
class Delete(Snapshot):
    force: bool = setting(False, help="Remove it from the configuration even if its disks cannot be merged.")
    bwlimit: int | None = setting(
        None, ge=0, unit="KiB/s", default_text="102400", help="Limit of merging in a running guest; 0 for none."
    )


@dataclass(frozen=True, kw_only=True)
class Rollback(Snapshot):
    start: bool = setting(False, help="Start the guest afterwards; one whose memory was saved goes on in any case.")


@dataclass(frozen=True, kw_only=True)
class Diff(Snapshot):
    other: str = setting("current", max_length=40, format="pve-configid", help="Another snapshot, or `current`.")


@dataclass(frozen=True, kw_only=True)
class Feature(Guest):
    feature: str = setting(choices=("snapshot", "clone", "copy"), help="What the guest shall be able to do.")
    snapname: str | None = setting(None, max_length=40, format="pve-configid", help="As it is in this snapshot.")


@get(
    "/nodes/{node}/qemu/{vmid}/snapshot",
    reply=list[shapes.SnapshotRow],
    params=Guest,
    allow=AUDIT,
    returns=LIST,
    cli="vm snapshots {vmid}",
    help="A guest's snapshots, oldest first, and where it stands now (`current`).",
)
async def snapshots(call: Call, p: Guest) -> Any:
    return await call.services.vm_snapshots.listing(p.vmid)


@post(
    "/nodes/{node}/qemu/{vmid}/snapshot",
    params=Create,
    allow=SNAPSHOT,
    returns=UPID,
    cli="vm snapshot {vmid} {snapname}",
    help="Keep a guest as it is now.",
)
async def create(call: Call, p: Create) -> Started:
    return await call.services.vm_snapshots.create(
        call.identity,
        p.vmid,
        p.snapname,
        description=p.description or "",
        vmstate=p.vmstate,
        dryrun=call.dryrun,
    )


@delete(
    "/nodes/{node}/qemu/{vmid}/snapshot/{snapname}",
    params=Delete,
    allow=SNAPSHOT,
    returns=UPID,
    cli="vm delsnapshot {vmid} {snapname}",
    help="Forget a snapshot; the guest and its other snapshots stay as they are.",
)
async def remove(call: Call, p: Delete) -> Started:
    return await call.services.vm_snapshots.delete(
        call.identity,
        p.vmid,
        p.snapname,
        force=p.force,
        speed=None if p.bwlimit is None else p.bwlimit * KIB,
        dryrun=call.dryrun,
    )


@get(
    "/nodes/{node}/qemu/{vmid}/snapshot/{snapname}/config",
    params=Snapshot,
    allow=LOOK,
    returns=OBJECT,
    cli="vm snapshot-config {vmid} {snapname}",
    help="The configuration in a snapshot.",
)
async def config(call: Call, p: Snapshot) -> Any:
    return call.services.vm_snapshots.config(p.vmid, p.snapname)


@put(
    "/nodes/{node}/qemu/{vmid}/snapshot/{snapname}/config",
    params=Describe,
    allow=SNAPSHOT,
    returns=NULL,
    cli="vm snapshot-describe {vmid} {snapname}",
    help="Give a snapshot another description.",
)
async def describe(call: Call, p: Describe) -> None:
    if p.description is not None:
        await call.services.vm_snapshots.describe(call.identity, p.vmid, p.snapname, p.description)


@get(
    "/nodes/{node}/qemu/{vmid}/snapshot/{snapname}/diff",
    params=Diff,
    allow=LOOK,
    returns=LIST,
    cli="vm snapshot-diff {vmid} {snapname}",
    help="The keys whose values differ between a snapshot and another one or now.",
)
async def diff(call: Call, p: Diff) -> Any:
    return call.services.vm_snapshots.diff(p.vmid, p.snapname, p.other)


@post(
    "/nodes/{node}/qemu/{vmid}/snapshot/{snapname}/rollback",
    params=Rollback,
    allow=ROLLBACK,
    returns=UPID,
    cli="vm rollback {vmid} {snapname}",
    help="Make a guest what it was; what it wrote since is lost unless another snapshot has it.",
)
async def rollback(call: Call, p: Rollback) -> Started:
    return await call.services.vm_rollback.rollback(
        call.identity, p.vmid, p.snapname, start=p.start, dryrun=call.dryrun
    )


@get(
    "/nodes/{node}/qemu/{vmid}/feature",
    params=Feature,
    allow=AUDIT,
    returns=OBJECT,
    cli="vm feature {vmid} {feature}",
    help="Whether something can be done with a guest where its disks are; `clone` means a linked one.",
)
async def feature(call: Call, p: Feature) -> Any:
    return call.services.vm_features.has(p.vmid, p.feature, p.snapname)
