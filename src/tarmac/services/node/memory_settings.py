"""How carefully this node counts its memory: what it keeps for itself, and how much an instant clone is counted for.
In memory, and in the store under `settings/memory` (docs/format/state.md)."""

from __future__ import annotations

import json

import msgspec

from tarmac.drivers.store.base import Store
from tarmac.model.errors import InvalidInput
from tarmac.model.units import MIB, human_size

KEY = "settings/memory"


class MemoryRules(msgspec.Struct, frozen=True, kw_only=True):
    """`keep_free`: bytes that no start and no clone may take; `instant_reserve`: percent of its memory that an instant
    clone counts as its own from the start, where its maker says nothing else."""

    format: int = 1
    keep_free: int = 128 * MIB
    instant_reserve: int = 25


class MemorySettings:
    """`rules` are in force for what is started from now on; clones keep the reserve that they were made with."""

    def __init__(self, store: Store, *, total: int) -> None:
        self._store = store
        self._total = total
        self.rules = MemoryRules()

    async def load(self) -> None:
        """Read them; called once."""
        entry = await self._store.get(KEY)
        if entry is not None:
            self.rules = msgspec.json.decode(entry.value, type=MemoryRules)

    async def change(self, *, keep_free: int | None = None, instant_reserve: int | None = None) -> None:
        """Other rules; None leaves one as it is. Durable on return. Raises InvalidInput when nothing would be left."""
        if keep_free is not None and keep_free >= self._total:
            raise InvalidInput.of("keep-free", f"the host has {human_size(self._total)} in all")
        new = MemoryRules(
            keep_free=self.rules.keep_free if keep_free is None else keep_free,
            instant_reserve=self.rules.instant_reserve if instant_reserve is None else instant_reserve,
        )
        await self._store.put(KEY, json.dumps(msgspec.to_builtins(new)).encode())
        self.rules = new
