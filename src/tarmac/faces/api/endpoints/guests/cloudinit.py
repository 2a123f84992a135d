"""Cloud-init: what a guest is told at its first boot, generated or written by its owner."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tarmac.faces.api.declare import LIST, OBJECT, TEXT, Allow, Call, delete, get, put
from tarmac.faces.api.endpoints.common import Guest
from tarmac.model.settings import setting

BASE = "/nodes/{node}/qemu/{vmid}/cloudinit"
AUDIT = Allow("/vms/{vmid}", "VM.Audit")
CHANGE = Allow("/vms/{vmid}", "VM.Config.Cloudinit")
KINDS = ("user", "network", "meta", "vendor")


@dataclass(frozen=True, kw_only=True)
class Dump(Guest):
    type: str = setting(choices=KINDS, help="Which document.")


@dataclass(frozen=True, kw_only=True)
class Document(Guest):
    type: str = setting(choices=KINDS, help="Which document.")


@dataclass(frozen=True, kw_only=True)
class SetDocument(Document):
    content: str = setting(max_length=262_144, help="The whole document, as cloud-init reads it.")


@get(
    BASE,
    params=Guest,
    allow=AUDIT,
    returns=LIST,
    cli="vm cloudinit-pending {vmid}",
    help="The cloud-init keys, and what changed since the medium was written.",
)
async def pending(call: Call, p: Guest) -> Any:
    return await call.services.cloudinit.pending(p.vmid)


@put(BASE, params=Guest, allow=CHANGE, cli="vm cloudinit-update {vmid}", help="Write the cloud-init medium anew.")
async def regenerate(call: Call, p: Guest) -> None:
    await call.services.cloudinit.regenerate(p.vmid)


@get(
    f"{BASE}/dump",
    params=Dump,
    allow=AUDIT,
    returns=TEXT,
    cli="vm cloudinit {vmid} {type}",
    help="A document as the guest would get it now.",
)
async def dump(call: Call, p: Dump) -> Any:
    return await call.services.cloudinit.dump(p.vmid, p.type)


@get(
    f"{BASE}/documents",
    params=Guest,
    allow=AUDIT,
    returns=OBJECT,
    cli="vm cloudinit-documents {vmid}",
    help="The documents that were set, by kind.",
)
async def documents(call: Call, p: Guest) -> Any:
    return await call.services.cloudinit.documents(p.vmid)


@put(
    f"{BASE}/documents/{{type}}",
    params=SetDocument,
    allow=CHANGE,
    returns=OBJECT,
    help="Set a document in place of the generated one; checked against cloud-init's published schema first.",
)
async def set_document(call: Call, p: SetDocument) -> Any:
    return await call.services.cloudinit.set_document(p.vmid, p.type, p.content)


@delete(
    f"{BASE}/documents/{{type}}",
    params=Document,
    allow=CHANGE,
    cli="vm cloudinit-reset {vmid} {type}",
    help="Go back to the generated document.",
)
async def delete_document(call: Call, p: Document) -> None:
    await call.services.cloudinit.delete_document(p.vmid, p.type)
