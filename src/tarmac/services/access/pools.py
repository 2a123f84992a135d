"""Pools: guests and storages that are granted together. A guest is in at most one pool; a storage may be in several."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

from tarmac.model.errors import Conflict, Fix, InvalidInput, NotFound, TarmacError
from tarmac.model.formats import check_format
from tarmac.model.job import PlannedStep
from tarmac.model.users import Grants, Pool
from tarmac.services.access.access import Access, Identity
from tarmac.services.access.directory import Directory, Key

Rows = list[dict[str, Any]]
SEEN_BY = ("Pool.Audit",)


class Pools:
    """Verbs on pools. `guest_row` and `storage_row` give a member as `GET /cluster/resources` shows it, and None for
    what does not exist; `changed` is told the guests whose pool is another one now."""

    def __init__(self, directory: Directory, access: Access) -> None:
        self._directory = directory
        self._access = access
        self._version = -1
        self._of_guest: dict[int, str] = {}
        self.guest_row: Callable[[int], dict[str, Any] | None] = lambda vmid: None
        self.storage_row: Callable[[str], dict[str, Any] | None] = lambda storage: None
        self.changed: Callable[[Sequence[int]], None] = lambda vmids: None

    def of_guest(self, vmid: int) -> str | None:
        """The pool that a guest is in."""
        if self._version != self._directory.version:
            self._version = self._directory.version
            self._of_guest = {g: pool.poolid for pool in self._directory.pools.values() for g in pool.guests}
        return self._of_guest.get(vmid)

    # -- reading ------------------------------------------------------------------------------------------------

    def list(self, identity: Identity) -> Rows:
        """Rows of `GET /pools`: those on which the caller has Pool.Audit."""
        pools = sorted(self._directory.pools.values(), key=lambda pool: pool.poolid)
        return [
            {"poolid": pool.poolid, **_comment(pool)}
            for pool in pools
            if self._access.allowed(identity, f"/pool/{pool.poolid}", SEEN_BY)
        ]

    def resources(self, identity: Identity) -> Rows:
        """The same as rows of `GET /cluster/resources`."""
        return [self.row(f"/pool/{row['poolid']}") for row in self.list(identity)]

    def ids(self) -> Sequence[str]:
        """The ids of all pools as resources."""
        return [f"/pool/{poolid}" for poolid in sorted(self._directory.pools)]

    @staticmethod
    def row(id: str) -> dict[str, Any]:
        """A pool as a resource."""
        return {"id": id, "type": "pool", "pool": id.rpartition("/")[2]}

    def get(self, identity: Identity, poolid: str, kind: str | None = None) -> dict[str, Any]:
        """A pool with the members that the caller may see, all or of one kind (`qemu`, `lxc`, `storage`).

        Raises NotFound `pool 'p' does not exist`."""
        pool = self._find(poolid)
        members: Rows = []
        if kind in (None, "qemu"):
            members += [row for vmid in pool.guests if (row := self._seen_guest(identity, vmid)) is not None]
        if kind in (None, "storage"):
            members += [row for name in pool.storages if (row := self._seen_storage(identity, name)) is not None]
        return {"members": members, **_comment(pool)}

    def _seen_guest(self, identity: Identity, vmid: int) -> dict[str, Any] | None:
        return self.guest_row(vmid) if self._access.allowed(identity, f"/vms/{vmid}", ["VM.Audit"]) else None

    def _seen_storage(self, identity: Identity, name: str) -> dict[str, Any] | None:
        see = ("Datastore.Audit", "Datastore.AllocateSpace")
        return self.storage_row(name) if self._access.allowed(identity, f"/storage/{name}", see, any=True) else None

    # -- changing -----------------------------------------------------------------------------------------------

    async def create(self, poolid: str, *, by: str, comment: str = "") -> None:
        """Raises Conflict `create pool failed: pool 'p' already exists`, InvalidInput for a name that is none."""
        try:
            check_format("pve-poolid", poolid)
        except ValueError as problem:
            raise InvalidInput.of("poolid", str(problem)) from None
        async with self._directory.lock:
            if poolid in self._directory.pools:
                raise _failed(Conflict, f"create pool failed: pool '{poolid}' already exists", "pool-exists", poolid)
            parent = poolid.rpartition("/")[0]
            if parent and parent not in self._directory.pools:
                text = f"create pool failed: parent '{parent}' of pool '{poolid}' does not exist"
                raise _failed(NotFound, text, "no-such-pool", parent)
            await self._put(Pool(poolid=poolid, comment=comment), by=by, what=f"create pool {poolid}")

    async def update(
        self,
        identity: Identity,
        poolid: str,
        *,
        comment: str | None = None,
        guests: Sequence[int] = (),
        storages: Sequence[str] = (),
        delete: bool = False,
        allow_move: bool = False,
    ) -> None:
        """Change notes and members; `delete` takes the named members out. All or nothing.

        Raises NotFound, Conflict (a member already, of another pool, not a member), Denied without the right to hand
        on each member."""
        for path in (*(f"/vms/{vmid}" for vmid in guests), *(f"/storage/{name}" for name in storages)):
            needed = "VM.Allocate" if path.startswith("/vms/") else "Datastore.Allocate"
            self._access.check(identity, path, ["Permissions.Modify", needed], any=True)
        async with self._directory.lock:
            pool = self._find(poolid, "update pool failed: ")
            records: dict[Key, Any] = {}
            if delete:
                new = _without(pool, guests, storages)
            else:
                new = self._with(pool, guests, storages)
                records = self._moved(pool, guests, allow_move)
            if comment is not None:
                new = dataclasses.replace(new, comment=comment)
            records[("pool", poolid)] = new
            await self._directory.commit(records, by=identity.name, what=f"update pool {poolid}")
        self.changed(guests)

    async def delete(self, poolid: str, *, by: str) -> None:
        """Remove an empty pool with what is granted on it. Raises NotFound and Conflict `delete pool failed: ...`."""
        async with self._directory.lock:
            pool = self._find(poolid, "delete pool failed: ")
            below = [p for p in self._directory.pools if p.startswith(f"{poolid}/")]
            # A storage that went while the daemon was killed may still stand here.
            storages = [name for name in pool.storages if self.storage_row(name) is not None]
            for kind, held in (("guests", pool.guests), ("storages", storages), ("pools", below)):
                if held:
                    shown = ", ".join(map(str, held[:10]))
                    text = f"delete pool failed: pool '{poolid}' is not empty (contains {kind} {shown})"
                    raise _failed(Conflict, text, "pool-not-empty", shown)
            records: dict[Key, Any] = {("pool", poolid): None}
            for owner, grants in self._directory.grants.items():
                kept = tuple(entry for entry in grants.entries if entry.path != f"/pool/{poolid}")
                if kept != grants.entries:
                    records[("grants", owner)] = Grants(entries=kept) if kept else None
            await self._directory.commit(records, by=by, what=f"delete pool {poolid}")

    async def add_guest(self, poolid: str, vmid: int, *, by: str) -> None:
        """Put a guest that is being made into a pool; repeating it is fine. Raises NotFound."""
        async with self._directory.lock:
            pool = self._find(poolid)
            if vmid not in pool.guests:
                new = dataclasses.replace(pool, guests=tuple(sorted({*pool.guests, vmid})))
                await self._put(new, by=by, what=f"add guest {vmid} to pool {poolid}")
        self.changed([vmid])

    async def forget_guest(self, vmid: int, *, by: str) -> None:
        """Take a guest out of its pool, because it is going away; that it is in none is fine."""
        async with self._directory.lock:
            for pool in list(self._directory.pools.values()):
                if vmid in pool.guests:
                    new = dataclasses.replace(pool, guests=tuple(g for g in pool.guests if g != vmid))
                    await self._put(new, by=by, what=f"guest {vmid} leaves pool {pool.poolid}")

    async def forget_storage(self, storage: str, *, by: str) -> None:
        """Take a storage out of all pools, because it is going away."""
        async with self._directory.lock:
            for pool in list(self._directory.pools.values()):
                if storage in pool.storages:
                    new = dataclasses.replace(pool, storages=tuple(s for s in pool.storages if s != storage))
                    await self._put(new, by=by, what=f"storage {storage} leaves pool {pool.poolid}")

    def check(self, poolid: str) -> None:
        """Raises NotFound `pool 'p' does not exist`."""
        self._find(poolid)

    def _with(self, pool: Pool, guests: Sequence[int], storages: Sequence[str]) -> Pool:
        for vmid in guests:
            if vmid in pool.guests:
                raise _failed(Conflict, f"VM {vmid} is already a pool member", "already-a-member", str(vmid))
            if self.guest_row(vmid) is None:
                raise _failed(NotFound, f"VM {vmid} does not exist", "no-such-guest", str(vmid))
        for name in storages:
            if name in pool.storages:
                raise _failed(Conflict, f"Storage '{name}' is already a pool member", "already-a-member", name)
            if self.storage_row(name) is None:
                raise _failed(NotFound, f"storage '{name}' does not exist", "no-such-storage", name)
        all_guests, all_storages = {*pool.guests, *guests}, {*pool.storages, *storages}
        return dataclasses.replace(pool, guests=tuple(sorted(all_guests)), storages=tuple(sorted(all_storages)))

    def _moved(self, pool: Pool, guests: Sequence[int], allow_move: bool) -> dict[Key, Any]:
        """The pools that lose guests to `pool`."""
        records: dict[Key, Any] = {}
        for other in self._directory.pools.values():
            taken = [vmid for vmid in guests if vmid in other.guests]
            if other.poolid == pool.poolid or not taken:
                continue
            if not allow_move:
                text = f"VM {taken[0]} belongs already to pool '{other.poolid}' and 'allow-move' is not set"
                raise _failed(Conflict, text, "in-another-pool", other.poolid)
            kept = tuple(vmid for vmid in other.guests if vmid not in taken)
            records[("pool", other.poolid)] = dataclasses.replace(other, guests=kept)
        return records

    async def _put(self, pool: Pool, *, by: str, what: str) -> None:
        await self._directory.commit({("pool", pool.poolid): pool}, by=by, what=what)

    def _find(self, poolid: str, doing: str = "") -> Pool:
        pool = self._directory.pools.get(poolid)
        if pool is None:
            raise _failed(NotFound, f"{doing}pool '{poolid}' does not exist", "no-such-pool", poolid)
        return pool


def pool_step(pool: str, vmid: int) -> PlannedStep:
    """Put a guest whose number is taken into a pool."""
    return PlannedStep(step="guest-pool", title=f"put guest {vmid} into pool {pool}", args={"vmid": vmid, "pool": pool})


def _without(pool: Pool, guests: Sequence[int], storages: Sequence[str]) -> Pool:
    for vmid in guests:
        if vmid not in pool.guests:
            raise _failed(Conflict, f"VM {vmid} is not a pool member", "not-a-member", str(vmid))
    for name in storages:
        if name not in pool.storages:
            raise _failed(Conflict, f"Storage '{name}' is not a pool member", "not-a-member", name)
    return dataclasses.replace(
        pool,
        guests=tuple(g for g in pool.guests if g not in guests),
        storages=tuple(s for s in pool.storages if s not in storages),
    )


def _comment(pool: Pool) -> dict[str, Any]:
    return {"comment": pool.comment} if pool.comment else {}


def _failed(kind: type[TarmacError], text: str, code: str, evidence: str) -> TarmacError:
    fix = Fix(text="look at the pools and their members", action="GET /pools")
    return kind(text, code=code, cause="the pools are as they are", evidence=evidence, fixes=[fix])
