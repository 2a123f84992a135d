"""One unprivileged uid per guest: allocated in the store, never given to two guests, not reused soon.

The range is 65,536 uids above those that systemd and subuid files use (docs: UIDS-GIDS of systemd), one range an
instance, so that guests of two daemons on one host never share a uid. Without root, guests run as the daemon's user.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import zlib
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass

from tarmac.drivers.store.base import Compare, Store
from tarmac.model.errors import HostFailure

FIRST, SIZE, SLOTS = 0x70000000, 65_536, 4_000
PREFIX, NEXT = "uids/", "uid-next"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewUids:
    """Uids by guest (None: the daemon is not root), and what of them must be written."""

    uids: Mapping[int, int | None]
    compares: Sequence[Compare]
    puts: Mapping[str, bytes]


class Uids:
    """`allocate` is repeatable for the same guest; `release` makes the uid available again once the range has gone
    round, so files that a removed guest may have left are not readable by the next one."""

    def __init__(self, *, store: Store, instance: str, default_instance: bool) -> None:
        self._store = store
        slot = 0 if default_instance else 1 + zlib.crc32(instance.encode()) % (SLOTS - 1)
        self._base = FIRST + slot * SIZE
        self._lock = asyncio.Lock()

    @property
    def jail(self) -> int:
        """The last uid of the range: whom tools that open foreign images become. Never a guest's."""
        return self._base + SIZE - 1

    @property
    def shares(self) -> int:
        """The group that reaches the files of shares without owners (CIFS): guests with disks there. No guest's."""
        return self._base + SIZE - 2

    async def allocate(self, vmid: int) -> int | None:
        """The guest's uid (and gid); None when the daemon is not root."""
        if os.geteuid() != 0:
            return None
        async with self._lock:
            return await self._allocate(vmid)

    @contextlib.asynccontextmanager
    async def together(self, vmids: Sequence[int]) -> AsyncIterator[NewUids]:
        """Uids for several guests that the caller writes within the block, in one transaction with what else it writes
        of them (`compares`, `puts`). Those that have one keep it."""
        if os.geteuid() != 0:
            yield NewUids(uids=dict.fromkeys(vmids), compares=(), puts={})
            return
        async with self._lock:
            yield await self._chosen(vmids)

    async def _allocate(self, vmid: int) -> int:
        new = await self._chosen([vmid])
        if new.puts:
            await self._store.transact(new.compares, puts=new.puts)
        uid = new.uids[vmid]
        assert uid is not None
        return uid

    async def _chosen(self, vmids: Sequence[int]) -> NewUids:
        """Reads, writes nothing; the lock is held."""
        known = {e.key.removeprefix(PREFIX): int(json.loads(e.value)) for e in await self._store.range(PREFIX)}
        counter = await self._store.get(NEXT)
        position = int(counter.value) if counter else 0
        used, uids, puts = set(known.values()), dict[int, int | None](), dict[str, bytes]()
        for vmid in vmids:
            if str(vmid) in known:
                uids[vmid] = known[str(vmid)]
                continue
            uids[vmid] = uid = self._free(position, used)
            used.add(uid)
            position = uid - self._base + 1
            puts |= {f"{PREFIX}{vmid}": json.dumps(uid).encode(), NEXT: str(position).encode()}
        guard = Compare.unchanged(NEXT, counter.revision) if counter else Compare.absent(NEXT)
        return NewUids(uids=uids, compares=(guard,) if puts else (), puts=puts)

    def _free(self, position: int, used: Collection[int]) -> int:
        for step in range(SIZE - 2):
            uid = self._base + (position + step) % (SIZE - 2)
            if uid not in used:
                return uid
        raise HostFailure("no uid is free for another guest", evidence=f"{len(used)} guests, {SIZE - 2} uids")

    async def release(self, vmid: int) -> None:
        await self._store.transact([], deletes=[f"{PREFIX}{vmid}"])
