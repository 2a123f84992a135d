"""Downloads of disks in a format for elsewhere. (Ours; Proxmox has none.)"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from aiohttp import web

from tarmac.faces.api.declare import RAW, Allow, Call, get
from tarmac.faces.api.endpoints.common import Guest
from tarmac.faces.api.endpoints.guests.qemu_clone import MOVABLE
from tarmac.faces.api.endpoints.storage.storage import OnNode
from tarmac.model.settings import setting
from tarmac.services.transfers.exports import FORMATS

_HEADERS = {"Content-Type": "application/octet-stream", "Cache-Control": "no-store"}


@dataclass(frozen=True, kw_only=True)
class OfGuest(Guest):
    disk: str = setting(choices=MOVABLE, help="The disk.")
    format: str = setting("qcow2", choices=FORMATS, help="The format of the file.")
    snapname: str | None = setting(None, max_length=40, format="pve-configid", help="As it was in this snapshot.")


@dataclass(frozen=True, kw_only=True)
class OfStorage(OnNode):
    volume: str = setting(max_length=500, help="The disk image, as a volume id or its name in the storage.")
    format: str = setting("qcow2", choices=FORMATS, help="The format of the file.")


@get(
    "/nodes/{node}/qemu/{vmid}/export",
    params=OfGuest,
    allow=Allow("/vms/{vmid}", "VM.Backup"),
    returns=RAW,
    help="Download a disk of a stopped guest, or of a snapshot, in a format of one's choice.",
)
async def export_disk(call: Call, p: OfGuest) -> web.StreamResponse:
    volid = call.services.exports.volume_of(p.vmid, p.disk, p.snapname)
    return await _send(call, volid, p.format, p.snapname)


async def _may_export(call: Call, p: Any) -> None:
    """`VM.Backup` on the guest whose disk it is."""
    owner = call.services.exports.owner_of(_volid(call, p))
    call.services.access.check(call.identity, f"/vms/{owner}", ["VM.Backup"])


def _volid(call: Call, p: OfStorage) -> str:
    volid: str = call.services.storage_views.full_volid(p.storage, p.volume)
    return volid


@get(
    "/nodes/{node}/storage/{storage}/export",
    params=OfStorage,
    allow=Allow.by(_may_export, "VM.Backup on the guest to which the image belongs"),
    returns=RAW,
    help="Download a disk image that no running guest uses, in a format of one's choice.",
)
async def export_volume(call: Call, p: OfStorage) -> web.StreamResponse:
    return await _send(call, _volid(call, p), p.format, None)


async def _send(call: Call, volid: str, format: str, snapshot: str | None) -> web.StreamResponse:
    async with call.services.exports.opened(volid, format, snapshot=snapshot) as path:
        response = web.FileResponse(path, headers=_HEADERS)
        await response.prepare(call.http)  # sends all of it
        return response
