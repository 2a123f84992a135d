"""A store without a disk, for tests and dry runs. It passes the same contract suite; only durability is missing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from tarmac.drivers.store.base import (
    Compare,
    Entry,
    Event,
    Snapshot,
    changed_meanwhile,
    check_lease_seconds,
    check_request,
    store_closed,
)
from tarmac.drivers.store.leases import LeaseClock
from tarmac.drivers.store.watches import History, Watcher


class MemoryStore:
    """See `base.Store`. Made inside a running event loop; every method completes without waiting."""

    def __init__(self) -> None:
        self._entries: dict[str, Entry] = {}
        self._history = History(0)
        self._leases = LeaseClock(self._end_lease)
        self._last_lease = 0
        self._closed = False

    async def revision(self) -> int:
        self._check_open()
        return self._history.revision

    async def get(self, key: str) -> Entry | None:
        self._check_open()
        return self._entries.get(key)

    async def range(self, prefix: str) -> list[Entry]:
        self._check_open()
        return [self._entries[key] for key in sorted(self._entries) if key.startswith(prefix)]

    async def snapshot(self, prefix: str) -> Snapshot:
        return Snapshot(self._history.revision, tuple(await self.range(prefix)))

    async def put(self, key: str, value: bytes, *, expect: int | None = None, lease: int = 0) -> int:
        compares = [] if expect is None else [Compare(key, expect)]
        return await self.transact(compares, {key: value}, lease=lease)

    async def transact(
        self,
        compares: Sequence[Compare],
        puts: Mapping[str, bytes] | None = None,
        deletes: Iterable[str] = (),
        *,
        lease: int = 0,
    ) -> int:
        self._check_open()
        puts, deletes = dict(puts or {}), list(deletes)
        check_request(compares, puts, deletes)
        if lease:
            self._leases.check(lease)
        for compare in compares:
            entry = self._entries.get(compare.key)
            found = entry.revision if entry else 0
            if found != compare.revision:
                raise changed_meanwhile(compare, found)
        return self._apply(puts, deletes, lease)

    def watch(self, prefix: str, since: int) -> Watcher:
        return self._history.watch(prefix, since)

    async def grant(self, seconds: float) -> int:
        self._check_open()
        check_lease_seconds(seconds)
        self._last_lease += 1
        self._leases.add(self._last_lease, seconds)
        return self._last_lease

    async def renew(self, lease: int) -> None:
        self._check_open()
        self._leases.renew(lease)

    async def revoke(self, lease: int) -> None:
        self._check_open()
        self._leases.forget(lease)
        await self._end_lease(lease)

    async def close(self) -> None:
        self._closed = True
        await self._leases.close()
        self._history.close()

    def _check_open(self) -> None:
        if self._closed:
            raise store_closed("memory")

    async def _end_lease(self, lease: int) -> None:
        self._apply({}, [entry.key for entry in self._entries.values() if entry.lease == lease], 0)

    def _apply(self, puts: Mapping[str, bytes], deletes: Sequence[str], lease: int) -> int:
        gone = [key for key in deletes if key in self._entries]
        if not puts and not gone:
            return self._history.revision
        revision = self._history.revision + 1
        for key in gone:
            del self._entries[key]
        for key, value in puts.items():
            self._entries[key] = Entry(key, bytes(value), revision, lease)
        events = [Event(revision, k, bytes(v)) for k, v in puts.items()] + [Event(revision, k, None) for k in gone]
        self._history.publish(revision, sorted(events, key=lambda event: event.key))
        return revision
