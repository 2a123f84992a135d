"""Pools: guests and storages that are granted together. Proxmox has them under two forms of path; both are here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tarmac.faces.api.declare import LIST, OBJECT, Allow, Call, delete, get, post, put
from tarmac.faces.api.shapes import access as shapes
from tarmac.model.errors import InvalidInput
from tarmac.model.settings import setting

KINDS = ("qemu", "lxc", "storage")
AUDIT = Allow("/pool/{poolid}", "Pool.Audit")
ALLOCATE = Allow("/pool/{poolid}", "Pool.Allocate")


@dataclass(frozen=True, kw_only=True)
class One:
    poolid: str = setting(format="pve-poolid", help="The pool; `a/b` is pool b below a.")


@dataclass(frozen=True, kw_only=True)
class Listing:
    poolid: str | None = setting(None, format="pve-poolid", help="Only this pool, with its members.")
    type: str | None = setting(None, choices=KINDS, help="Only members of this type.")


@dataclass(frozen=True, kw_only=True)
class Show(One):
    type: str | None = setting(None, choices=KINDS, help="Only members of this type.")


@dataclass(frozen=True, kw_only=True)
class Create(One):
    comment: str | None = setting(None, max_length=4096, help="Notes.")


@dataclass(frozen=True, kw_only=True)
class Update(Create):
    vms: tuple[str, ...] = setting((), format="pve-vmid", help="Guests to put in, or with `delete` to take out.")
    storage: tuple[str, ...] = setting((), format="pve-storage-id", help="Storages to put in or take out.")
    delete: bool = setting(False, help="Take the guests and storages out.")
    allow_move: bool = setting(False, name="allow-move", help="Also guests that are in another pool.")


@get(
    "/pools",
    reply=list[shapes.PoolRow],
    params=Listing,
    allow=Allow.login,
    returns=LIST,
    cli="pool list",
    help="The pools, or one with members.",
)
async def pools(call: Call, p: Listing) -> Any:
    if p.poolid is None:
        if p.type is not None:
            raise InvalidInput.of("type", "missing property - 'poolid' is required by 'type'")
        return call.services.pools.list(call.identity)
    call.services.access.check(call.identity, f"/pool/{p.poolid}", ["Pool.Audit"])
    return [{"poolid": p.poolid, **call.services.pools.get(call.identity, p.poolid, p.type)}]


@get(
    "/pools/{poolid...}",
    reply=shapes.PoolDetails,
    params=Show,
    allow=AUDIT,
    returns=OBJECT,
    cli="pool show {poolid}",
    help="A pool and its members.",
)
async def pool(call: Call, p: Show) -> Any:
    return call.services.pools.get(call.identity, p.poolid, p.type)


@post("/pools", params=Create, allow=ALLOCATE, cli="pool add {poolid}", help="Make a pool.")
async def create(call: Call, p: Create) -> None:
    await call.services.pools.create(p.poolid, by=call.identity.name, comment=p.comment or "")


@put("/pools", params=Update, allow=ALLOCATE, cli="pool set {poolid}", help="Change a pool's notes and members.")
async def update(call: Call, p: Update) -> None:
    await _update(call, p)


@put("/pools/{poolid...}", params=Update, allow=ALLOCATE, help="Change a pool's notes and members.")
async def update_one(call: Call, p: Update) -> None:
    await _update(call, p)


async def _update(call: Call, p: Update) -> None:
    await call.services.pools.update(
        call.identity,
        p.poolid,
        comment=p.comment,
        guests=[int(vmid) for vmid in p.vms],
        storages=p.storage,
        delete=p.delete,
        allow_move=p.allow_move,
    )


@delete("/pools", params=One, allow=ALLOCATE, cli="pool delete {poolid}", help="Remove an empty pool.")
async def remove(call: Call, p: One) -> None:
    await call.services.pools.delete(p.poolid, by=call.identity.name)


@delete("/pools/{poolid...}", params=One, allow=ALLOCATE, help="Remove an empty pool.")
async def remove_one(call: Call, p: One) -> None:
    await call.services.pools.delete(p.poolid, by=call.identity.name)
