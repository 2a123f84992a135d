"""What is kept of each instant clone, apart from its configuration: where it came from, and whether its identity is its
own yet. In memory, and in the store under `instant/ID` (docs/format/state.md)."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass

import msgspec

from tarmac.drivers.store.base import Store

PREFIX = "instant/"
PENDING, DONE = "pending", "done"


@dataclass(frozen=True, kw_only=True)
class InstantRecord:
    """One instant clone.

    template   whose machine it went on from;  set: the SHA-256 of that live state's manifest
    memory     the identity of the memory file it was started on (`live.memory.identity`)
    identity   `pending` until it has its own (host name, keys, clock), then `done`; `left` says what is missing
    reserve    percent of its memory that admission counts for what it may still copy"""

    format: int = 1
    template: int
    set: str
    memory: str = ""
    identity: str = PENDING
    left: str = ""
    reserve: int

    @property
    def pending(self) -> bool:
        return self.identity == PENDING


class InstantRecords:
    """All records of this node. Every change is durable before the method returns."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._records: dict[int, InstantRecord] = {}

    async def load(self) -> None:
        """Read all; called once."""
        for entry in await self._store.range(PREFIX):
            self._records[int(entry.key.removeprefix(PREFIX))] = msgspec.json.decode(entry.value, type=InstantRecord)

    def find(self, vmid: int) -> InstantRecord | None:
        return self._records.get(vmid)

    def of_template(self, template: int) -> dict[int, InstantRecord]:
        """The clones of a template, by number."""
        return {vmid: record for vmid, record in self._records.items() if record.template == template}

    def all(self) -> dict[int, InstantRecord]:
        return dict(self._records)

    async def put(self, vmid: int, record: InstantRecord) -> None:
        await self._store.put(f"{PREFIX}{vmid}", json.dumps(dataclasses.asdict(record)).encode())
        self._records[vmid] = record

    async def change(self, vmid: int, **values: str) -> None:
        """Replace fields of a record; fine when there is none."""
        record = self._records.get(vmid)
        if record is not None:
            await self.put(vmid, dataclasses.replace(record, **values))  # type: ignore[arg-type]

    async def forget(self, vmid: int) -> None:
        """The guest is gone; repeatable."""
        if self._records.pop(vmid, None) is not None:
            await self._store.transact([], deletes=[f"{PREFIX}{vmid}"])
