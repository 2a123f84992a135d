"""Guests: list, create, configuration, disks, delete."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import Any

from tarmac.faces.api.declare import LIST, NULL, OBJECT, UPID, Allow, Call, Encoded, delete, get, post, put
from tarmac.faces.api.endpoints.common import DISK_KEYS, Guest, Locked, Node, digest_setting, settle
from tarmac.faces.api.shapes import guests as shapes
from tarmac.model.errors import Denied
from tarmac.model.job import Plan, Started
from tarmac.model.settings import setting
from tarmac.model.vm import VmConfig

CONFIG_PRIVILEGES = (
    "VM.Config.Disk",
    "VM.Config.CDROM",
    "VM.Config.CPU",
    "VM.Config.Memory",
    "VM.Config.Network",
    "VM.Config.HWType",
    "VM.Config.Options",
    "VM.Config.Cloudinit",
)
CONFIG = Allow("/vms/{vmid}", *CONFIG_PRIVILEGES, any=True)
AUDIT = Allow("/vms/{vmid}", "VM.Audit")


@dataclass(frozen=True, kw_only=True)
class Listing(Node):
    full: bool = setting(False, help="Ask running guests for more; here the list is always whole.")


@dataclass(frozen=True, kw_only=True)
class Create(Node):
    vmid: int | None = setting(None, ge=100, le=999_999_999, default_text="a free one", help="The guest's number.")
    storage: str | None = setting(None, format="pve-storage-id", help="Where disks go that do not say it themselves.")
    pool: str | None = setting(None, format="pve-poolid", help="Put the guest into this pool.")
    start: bool = setting(False, help="Start it when it is made.")
    unique: bool = setting(False, help="New MAC addresses, for a restore.", built=False)
    force: bool = setting(False, help="Replace an existing guest, in a restore.", built=False)
    archive: str | None = setting(None, max_length=255, built=False, help="Restore this backup.")
    bwlimit: int | None = setting(None, ge=0, unit="KiB/s", built=False, help="Limit of a restore.")
    live_restore: bool = setting(False, name="live-restore", built=False, help="Start while it is restored.")
    ha_managed: bool = setting(False, name="ha-managed", built=False, help="Let the cluster keep it running.")
    import_working_storage: str | None = setting(
        None, name="import-working-storage", format="pve-storage-id", built=False, help="Where an import is unpacked."
    )


@dataclass(frozen=True, kw_only=True)
class Delete(Locked):
    purge: bool = setting(False, help="Also remove it from jobs, pools and rights.")
    unreferenced: bool = setting(
        False, name="destroy-unreferenced-disks", help="Also remove its volumes that the configuration does not name."
    )


@dataclass(frozen=True, kw_only=True)
class ShowConfig(Guest):
    current: bool = setting(False, help="The active values, without what is pending.")
    snapshot: str | None = setting(None, max_length=40, format="pve-configid", help="The configuration in a snapshot.")


@dataclass(frozen=True, kw_only=True)
class SetConfig(Locked):
    delete: tuple[str, ...] = setting((), format="pve-configid", help="Keys to remove.")
    revert: tuple[str, ...] = setting((), format="pve-configid", help="Keys whose pending change is given up.")
    digest: str | None = digest_setting()
    force: bool = setting(False, help="Also remove the volumes of disks that are deleted.")


@dataclass(frozen=True, kw_only=True)
class SetConfigTask(SetConfig):
    background_delay: int | None = setting(
        None, ge=1, le=30, unit="s", help="Wait this long; if it is done by then, the reply is null."
    )
    import_working_storage: str | None = setting(
        None, name="import-working-storage", format="pve-storage-id", built=False, help="Where an import is unpacked."
    )


@dataclass(frozen=True, kw_only=True)
class Resize(Locked):
    disk: str = setting(choices=DISK_KEYS, help="The disk.")
    size: str = setting(pattern=r"\+?\d+(\.\d+)?[KMGT]?", help="The new size, or how much to add with `+`.")
    digest: str | None = digest_setting()


@dataclass(frozen=True, kw_only=True)
class Unlink(Guest):
    idlist: tuple[str, ...] = setting(format="pve-configid", help="The disks to detach.")
    force: bool = setting(False, help="Also remove their volumes.")


@dataclass(frozen=True, kw_only=True)
class Key(Locked):
    key: str = setting(max_length=100, help="The keys, by QEMU's names: `ctrl-alt-f1`.")


async def _may_create(call: Call, p: Any) -> None:
    """`VM.Allocate` on the number (on `/vms` where it is still open) or on the pool."""
    access = call.services.access
    path = f"/vms/{p.vmid}" if p.vmid is not None else "/vms"
    try:
        access.check(call.identity, path, ["VM.Allocate"])
    except Denied:
        if p.pool is None:
            raise
        access.check(call.identity, f"/pool/{p.pool}", ["VM.Allocate"])


@get(
    "/nodes/{node}/qemu",
    params=Listing,
    allow=Allow.login,
    returns=LIST,
    cli="vm list",
    help="The guests of a node that the caller may see.",
)
async def guests(call: Call, p: Listing) -> Any:
    return Encoded(await call.services.vm_status.listing(call.identity))


@post(
    "/nodes/{node}/qemu",
    params=Create,
    config=VmConfig,
    allow=Allow.by(_may_create, "VM.Allocate on /vms/{vmid} or on /pool/{pool}, and each key's own privilege"),
    returns=UPID,
    cli="vm create",
    help="Make a guest.",
)
async def create(call: Call, p: Create) -> Started:
    return await call.services.vm_create.create(
        call.identity,
        call.config,
        vmid=p.vmid,
        storage=p.storage,
        pool=p.pool,
        start=p.start,
        dryrun=call.dryrun,
    )


@delete(
    "/nodes/{node}/qemu/{vmid}",
    params=Delete,
    allow=Allow("/vms/{vmid}", "VM.Allocate"),
    returns=UPID,
    cli="vm delete {vmid}",
    help="Remove a guest and its volumes.",
)
async def remove(call: Call, p: Delete) -> Started:
    return await call.services.vm_removal.delete(call.identity, p.vmid, unreferenced=p.unreferenced, dryrun=call.dryrun)


@get(
    "/nodes/{node}/qemu/{vmid}/config",
    params=ShowConfig,
    allow=AUDIT,
    returns=OBJECT,
    cli="vm config {vmid}",
    help="A guest's configuration, with what is pending unless `current`.",
)
async def show_config(call: Call, p: ShowConfig) -> Any:
    return call.services.vm_configs.show(p.vmid, current=p.current, snapshot=p.snapshot)


@post(
    "/nodes/{node}/qemu/{vmid}/config",
    params=SetConfigTask,
    config=VmConfig,
    allow=CONFIG,
    returns=UPID,
    cli="vm set {vmid}",
    help="Change a guest's configuration in a task.",
)
async def set_config_task(call: Call, p: SetConfigTask) -> Started | None:
    started = await _update(call, p)
    if p.background_delay is None or isinstance(started, Plan):
        return started
    record = await call.services.jobs.wait(started, p.background_delay)
    return None if record.state.ended and record.error is None else started


@put(
    "/nodes/{node}/qemu/{vmid}/config",
    params=SetConfig,
    config=VmConfig,
    allow=CONFIG,
    returns=NULL,
    plans=True,
    help="Change a guest's configuration and wait for it.",
)
async def set_config(call: Call, p: SetConfig) -> Plan | None:
    return await settle(call, await _update(call, p))


async def _update(call: Call, p: SetConfig) -> Started:
    return await call.services.vm_configs.update(
        call.identity,
        p.vmid,
        call.config,
        delete=p.delete,
        revert=p.revert,
        digest=p.digest,
        force=p.force,
        dryrun=call.dryrun,
    )


@get(
    "/nodes/{node}/qemu/{vmid}/pending",
    reply=list[shapes.PendingRow],
    params=Guest,
    allow=AUDIT,
    returns=LIST,
    cli="vm pending {vmid}",
    help="Every key with its active value and what waits for the next start.",
)
async def pending(call: Call, p: Guest) -> Any:
    return call.services.vm_configs.pending(p.vmid)


@put(
    "/nodes/{node}/qemu/{vmid}/resize",
    params=Resize,
    allow=Allow("/vms/{vmid}", "VM.Config.Disk"),
    returns=UPID,
    cli="vm resize {vmid} {disk} {size}",
    help="Grow a disk.",
)
async def resize(call: Call, p: Resize) -> Started:
    return await call.services.disk_resize.resize(
        call.identity, p.vmid, p.disk, p.size, digest=p.digest, dryrun=call.dryrun
    )


@put(
    "/nodes/{node}/qemu/{vmid}/unlink",
    params=Unlink,
    allow=Allow("/vms/{vmid}", "VM.Config.Disk"),
    returns=NULL,
    plans=True,
    cli="vm unlink {vmid}",
    help="Detach disks; their volumes stay as `unused`, unless by force.",
)
async def unlink(call: Call, p: Unlink) -> Plan | None:
    started = await call.services.vm_configs.update(
        call.identity, p.vmid, {}, delete=p.idlist, force=p.force, dryrun=call.dryrun
    )
    return await settle(call, started)


@put(
    "/nodes/{node}/qemu/{vmid}/sendkey",
    params=Key,
    allow=Allow("/vms/{vmid}", "VM.Console"),
    returns=NULL,
    cli="vm sendkey {vmid} {key}",
    help="Press keys on the guest's keyboard.",
)
async def send_key(call: Call, p: Key) -> None:
    await call.services.consoles.send_key(p.vmid, p.key)


@get(
    "/nodes/{node}/qemu/{vmid}/showcmd",
    params=Guest,
    allow=AUDIT,
    returns=OBJECT,
    cli="vm showcmd {vmid}",
    help="The QEMU command line of a guest: its words (`argv`), and as a shell takes them (`command`).",
)
async def show_command(call: Call, p: Guest) -> Any:
    guest = call.services.guests.get(p.vmid)
    argv = await call.services.launcher.argv(p.vmid, guest.config)
    return {"argv": list(argv), "command": shlex.join(argv)}
