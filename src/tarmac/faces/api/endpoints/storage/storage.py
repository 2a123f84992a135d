"""Storages: their definitions, and what a node shows of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tarmac.faces.api.declare import LIST, OBJECT, Allow, Call, NoParams, delete, get, post, put
from tarmac.faces.api.endpoints.common import Changing, Node
from tarmac.faces.api.shapes import storage as shapes
from tarmac.model.settings import setting
from tarmac.model.storage import CONTENTS, TYPES, StorageDefinition, StorageOptions

SEE = ("Datastore.Audit", "Datastore.AllocateSpace")
MANAGE = Allow("/storage", "Datastore.Allocate")


@dataclass(frozen=True, kw_only=True)
class Listing:
    type: str | None = setting(None, choices=TYPES, help="Only storages of this type.")


@dataclass(frozen=True, kw_only=True)
class One:
    storage: str = setting(format="pve-storage-id", help="The storage's identifier.")


@dataclass(frozen=True, kw_only=True)
class Change(One, Changing):
    pass


@dataclass(frozen=True, kw_only=True)
class NodeListing(Node):
    content: tuple[str, ...] = setting((), choices=CONTENTS, help="Only storages that may hold one of these.")
    enabled: bool = setting(False, help="Only storages that are not disabled.")
    format: bool = setting(False, help="Also which formats each can hold.")
    storage: str | None = setting(None, format="pve-storage-id", help="Only this storage.")
    target: str | None = setting(None, format="pve-node", built=False, help="Only what this other node has too.")


@dataclass(frozen=True, kw_only=True)
class OnNode(Node):
    storage: str = setting(format="pve-storage-id", help="The storage.")


@get(
    "/storage",
    params=Listing,
    allow=Allow.login,
    returns=LIST,
    help="The definitions of the storages that the caller may see.",
)
async def definitions(call: Call, p: Listing) -> list[dict[str, Any]]:
    may = call.services.access.filter(call.identity, "/storage/{}", SEE)
    return [row for row in call.services.storages.definitions(p.type) if may(row["storage"])]


@post(
    "/storage",
    params=NoParams,
    config=StorageDefinition,
    allow=MANAGE,
    returns=OBJECT,
    cli="storage add {storage}",
    help="Define a storage.",
)
async def create(call: Call, p: NoParams) -> Any:
    return await call.services.storages.create(call.config, by=call.identity.name)


@get(
    "/storage/{storage}",
    params=One,
    allow=Allow("/storage/{storage}", "Datastore.Allocate"),
    returns=OBJECT,
    cli="storage show {storage}",
    help="A storage's definition.",
)
async def definition(call: Call, p: One) -> Any:
    return call.services.storages.definition(p.storage)


@put(
    "/storage/{storage}",
    params=Change,
    config=StorageOptions,
    allow=MANAGE,
    returns=OBJECT,
    cli="storage set {storage}",
    help="Change a storage's definition.",
)
async def update(call: Call, p: Change) -> Any:
    return await call.services.storages.update(
        p.storage, call.config, delete=p.delete, digest=p.digest, by=call.identity.name
    )


@delete(
    "/storage/{storage}",
    params=One,
    allow=MANAGE,
    cli="storage remove {storage}",
    help="Forget a storage's definition; its volumes stay where they are.",
)
async def remove(call: Call, p: One) -> None:
    used = [g.vmid for g in call.services.guests if f"{p.storage}:" in g.text]
    await call.services.storages.delete(p.storage, used_by=used, by=call.identity.name)
    await call.services.pools.forget_storage(p.storage, by=call.identity.name)
    await call.services.acls.forget(f"/storage/{p.storage}", by=call.identity.name)


@get(
    "/nodes/{node}/storage",
    reply=list[shapes.StorageRow],
    params=NodeListing,
    allow=Allow.login,
    returns=LIST,
    cli="storage list",
    help="The storages of a node that the caller may see, with their space.",
)
async def on_node(call: Call, p: NodeListing) -> list[dict[str, Any]]:
    may = call.services.access.filter(call.identity, "/storage/{}", SEE)
    rows = call.services.storage_views.rows(content=p.content, storage=p.storage, enabled=p.enabled, format=p.format)
    return [row for row in rows if may(row["storage"])]


@get(
    "/nodes/{node}/storage/{storage}/status",
    reply=shapes.StorageStatus,
    params=OnNode,
    allow=Allow("/storage/{storage}", *SEE, any=True),
    returns=OBJECT,
    cli="storage status {storage}",
    help="A storage's space and state.",
)
async def status(call: Call, p: OnNode) -> Any:
    return call.services.storage_views.status(p.storage)
