"""The frozen states that instant clones of running guests stand on: which guest each was made of, and its disks. In
memory, and in the store under `frozen/ID` (docs/format/state.md).

A frozen state is a template of its own number that nobody asked for by name: it comes with the first clones and goes
with the last (`services.instant.frozen_ends`)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TypedDict

import msgspec

from tarmac.drivers.store.base import Store

PREFIX = "frozen/"


class FrozenDisk(TypedDict):
    """One disk of the source by its `key`. `volid` was its volume before, `base` is that image now, `named` the overlay
    on it with which the source goes on, and which has the file name of old."""

    key: str
    volid: str
    base: str
    named: str


class FrozenRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One frozen state: the guest it was made of, when (seconds since the epoch), and that guest's disks."""

    format: int = 1
    source: int
    created: float
    disks: tuple[FrozenDisk, ...]


class FrozenRecords:
    """All of this node. Every change is durable before the method returns."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._records: dict[int, FrozenRecord] = {}

    async def load(self) -> None:
        """Read all; called once."""
        for entry in await self._store.range(PREFIX):
            self._records[int(entry.key.removeprefix(PREFIX))] = msgspec.json.decode(entry.value, type=FrozenRecord)

    def find(self, vmid: int) -> FrozenRecord | None:
        return self._records.get(vmid)

    def all(self) -> Mapping[int, FrozenRecord]:
        return dict(self._records)

    async def put(self, vmid: int, record: FrozenRecord) -> None:
        await self._store.put(f"{PREFIX}{vmid}", json.dumps(msgspec.to_builtins(record)).encode())
        self._records[vmid] = record

    async def forget(self, vmid: int) -> None:
        """Repeatable."""
        if self._records.pop(vmid, None) is not None:
            await self._store.transact([], deletes=[f"{PREFIX}{vmid}"])
