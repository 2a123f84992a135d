"""Templates and clones of guests, and moving their disks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tarmac.faces.api.declare import LIST, UPID, Allow, Call, get, post
from tarmac.faces.api.endpoints.common import DISK_KEYS, Guest, digest_setting
from tarmac.faces.api.shapes import guests as shapes
from tarmac.model.datacenter import bandwidth
from tarmac.model.errors import Denied, InvalidInput
from tarmac.model.job import Started
from tarmac.model.settings import setting
from tarmac.model.units import KIB
from tarmac.services.clones.numbers import MOST

FORMATS = ("raw", "qcow2", "vmdk")


@dataclass(frozen=True, kw_only=True)
class Template(Guest):
    disk: str | None = setting(None, choices=DISK_KEYS, help="Turn only this disk into a base image.")
    live: bool = setting(False, help="Freeze the running guest, memory and all: instant clones go on from there.")


@dataclass(frozen=True, kw_only=True)
class FinishIdentity(Guest):
    declare: bool = setting(False, help="Take it as done, because its owner has done it; only plug the cables.")


@dataclass(frozen=True, kw_only=True)
class Clone(Guest):
    newid: int | None = setting(
        None, ge=100, le=999_999_999, default_text="a free one", help="The clone's number; of several the first."
    )
    count: int = setting(1, ge=1, le=MOST, help="How many clones; their numbers are taken at once.")
    name: str | None = setting(
        None, max_length=253, help="The clone's name; `{n}` becomes 1, 2, ... and `{vmid}` the number."
    )
    description: str | None = setting(None, help="Notes about the clone.")
    instant: bool = setting(
        False, help="Go on from the memory of a live template, or of the running guest, instead of booting."
    )
    reserve: int | None = setting(
        None, ge=0, le=100, unit="%", default_text="the node's, 25 at first",
        help="How much of its memory counts as its own from the start, though it is still shared; with `instant`.",
    )  # fmt: skip
    full: bool | None = setting(
        None, default_text="0 for a template, else 1", help="Copy the disks instead of sharing the template's."
    )
    storage: str | None = setting(None, format="pve-storage-id", help="Where a full clone's disks go.")
    format: str | None = setting(None, choices=FORMATS, help="Image format of a full clone's disks.")
    snapname: str | None = setting(None, max_length=40, format="pve-configid", help="Clone this snapshot.")
    pool: str | None = setting(None, format="pve-poolid", help="Put the clone into this pool.")
    target: str | None = setting(None, format="pve-node", help="The node of the clone.")
    bwlimit: int | None = setting(None, ge=0, unit="KiB/s", help="Limit of the copying.")
    flatten: bool = setting(
        False,
        help="A full clone of a template that can be used at once: it begins as a linked one and is made independent "
        "in the background.",
    )


@dataclass(frozen=True, kw_only=True)
class Flattening(Guest):
    bwlimit: int | None = setting(None, ge=0, unit="KiB/s", help="Limit of the copying while the guest runs.")


MOVABLE = (*DISK_KEYS, *(f"unused{i}" for i in range(256)))


@dataclass(frozen=True, kw_only=True)
class Move(Guest):
    disk: str = setting(choices=MOVABLE, help="The disk to move.")
    storage: str | None = setting(None, format="pve-storage-id", help="Where it goes.")
    format: str | None = setting(None, choices=FORMATS, help="Its image format there.")
    delete: bool = setting(False, help="Remove the source afterwards; else it becomes `unusedN`.")
    digest: str | None = digest_setting()
    bwlimit: int | None = setting(None, ge=0, unit="KiB/s", help="Limit of the copying.")
    target_vmid: int | None = setting(
        None, name="target-vmid", ge=100, le=999_999_999, help="Give the disk to this guest."
    )
    target_disk: str | None = setting(
        None, name="target-disk", choices=MOVABLE, default_text="the same", help="What the disk becomes there."
    )
    target_digest: str | None = setting(
        None, name="target-digest", max_length=40, help="Only if that guest still has this digest."
    )


async def _may_clone(call: Call, p: Any) -> None:
    """`VM.Clone` on the source; `VM.Allocate` on the new number (`/vms` where it is still open) or on the pool."""
    access = call.services.access
    access.check(call.identity, f"/vms/{p.vmid}", ["VM.Clone", *(["VM.Clone.Live"] if p.instant else [])])
    path = f"/vms/{p.newid}" if p.newid is not None and p.count == 1 else "/vms"
    try:
        access.check(call.identity, path, ["VM.Allocate"])
    except Denied:
        if p.pool is None:
            raise
        access.check(call.identity, f"/pool/{p.pool}", ["VM.Allocate"])


async def _may_template(call: Call, p: Any) -> None:
    """`VM.Allocate` on the guest, with `live` also `VM.Clone.Live`: what is in its memory goes to every clone."""
    needed = ["VM.Allocate", *(["VM.Clone.Live"] if p.live else [])]
    call.services.access.check(call.identity, f"/vms/{p.vmid}", needed)


@post(
    "/nodes/{node}/qemu/{vmid}/template",
    params=Template,
    allow=Allow.by(_may_template, "VM.Allocate on /vms/{vmid}, with `live` also VM.Clone.Live there"),
    returns=UPID,
    cli="vm template {vmid}",
    help="Turn a guest into a template, which can only be cloned.",
)
async def template(call: Call, p: Template) -> Started:
    if p.live:
        live: Started = await call.services.live_templates.make(call.identity, p.vmid, dryrun=call.dryrun)
        return live
    return await call.services.templates.make(call.identity, p.vmid, disk=p.disk, dryrun=call.dryrun)


@post(
    "/nodes/{node}/qemu/{vmid}/clone",
    params=Clone,
    allow=Allow.by(
        _may_clone,
        "VM.Clone (with `instant` also VM.Clone.Live) on /vms/{vmid}, VM.Allocate on /vms/{newid} or on /pool/{pool}, "
        "Datastore.AllocateSpace on the storages, SDN.Use on the bridges",
    ),
    returns=UPID,
    cli="vm clone {vmid}",
    help="Make one clone of a guest, a template or a snapshot, or several.",
)
async def clone(call: Call, p: Clone) -> Started:
    if p.instant:
        return await call.services.instant_clones.clone(
            call.identity,
            p.vmid,
            newid=p.newid,
            count=p.count,
            name=p.name,
            description=p.description,
            reserve=p.reserve,
            pool=p.pool,
            dryrun=call.dryrun,
        )
    return await call.services.clones.clone(
        call.identity,
        p.vmid,
        newid=p.newid,
        count=p.count,
        name=p.name,
        description=p.description,
        full=p.full,
        storage=p.storage,
        format=p.format,
        snapname=p.snapname,
        pool=p.pool,
        target=p.target,
        speed=_speed(call, p.bwlimit, "clone"),
        flatten=p.flatten,
        dryrun=call.dryrun,
    )


def _speed(call: Call, asked: int | None, work: str) -> int:
    """Bytes a second that a copy may take: as asked for, else as the datacenter's options say; 0 for no limit."""
    return (bandwidth(call.services.datacenter.value, work) if asked is None else asked) * KIB


@post(
    "/nodes/{node}/qemu/{vmid}/flatten",
    params=Flattening,
    allow=Allow("/vms/{vmid}", "VM.Config.Disk"),
    returns=UPID,
    cli="vm flatten {vmid}",
    help="Make a linked clone independent of its template, in the background; it can be used meanwhile.",
)
async def flatten(call: Call, p: Flattening) -> Started:
    return await call.services.flatten.start(
        call.identity.name, p.vmid, speed=_speed(call, p.bwlimit, "clone"), dryrun=call.dryrun
    )


@get(
    "/nodes/{node}/qemu/{vmid}/clones",
    reply=list[shapes.CloneRow],
    params=Guest,
    allow=Allow("/vms/{vmid}", "VM.Audit"),
    returns=LIST,
    cli="vm clones {vmid}",
    help="The clones of a guest, and whether they came from its present state.",
)
async def clones(call: Call, p: Guest) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = call.services.templates.clones(call.identity, p.vmid)
    return found


@post(
    "/nodes/{node}/qemu/{vmid}/move_disk",
    params=Move,
    allow=Allow("/vms/{vmid}", "VM.Config.Disk"),
    returns=UPID,
    cli="vm move-disk {vmid} {disk} {storage}",
    help="Move a disk to another storage or format, also under a running guest; or give it to another guest.",
)
async def move_disk(call: Call, p: Move) -> Started:
    if p.target_vmid is not None:
        if p.storage is not None:
            text = "either set 'storage' or 'target-vmid', but not both"
            raise InvalidInput.of("target-vmid", text)
        given: Started = await call.services.disk_gifts.give(
            call.identity,
            p.vmid,
            p.disk,
            p.target_vmid,
            target_disk=p.target_disk,
            digest=p.digest,
            target_digest=p.target_digest,
            dryrun=call.dryrun,
        )
        return given
    return await call.services.disk_moves.move(
        call.identity,
        p.vmid,
        p.disk,
        storage=p.storage,
        format=p.format,
        delete=p.delete,
        digest=p.digest,
        speed=_speed(call, p.bwlimit, "move"),
        dryrun=call.dryrun,
    )


@post(
    "/nodes/{node}/qemu/{vmid}/identity",
    params=FinishIdentity,
    allow=Allow("/vms/{vmid}", "VM.Clone.Live", "VM.GuestAgent.Unrestricted"),
    returns=UPID,
    cli="vm identity {vmid}",
    help="Do what an instant clone still lacks of its own identity.",
)
async def identity(call: Call, p: FinishIdentity) -> Started:
    return await call.services.identities.finish(call.identity, p.vmid, declare=p.declare, dryrun=call.dryrun)
