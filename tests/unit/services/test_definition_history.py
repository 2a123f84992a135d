"""The history of definitions: what is sought is found, and a long history holds up nobody."""

from __future__ import annotations

import json

import pytest

from support.loop import attempts
from tarmac.drivers.store.memory import MemoryStore
from tarmac.services.changes.definitions import DefinitionHistory, Sought
from tarmac.services.changes.record import HISTORY, KEPT

MEMBERS = [f"user{n}@pve" for n in range(100)]


@pytest.fixture
async def history() -> DefinitionHistory:
    store = MemoryStore()
    for n in range(KEPT):
        change = {
            "when": float(n), "who": "ann@pve", "what": "change a group",
            "before": {f"group/g{n % 7}": {"members": MEMBERS}}, "after": {f"group/g{n % 7}": {"members": []}},
        }  # fmt: skip
        await store.put(f"{HISTORY}access/{n:020d}", json.dumps(change).encode())
    return DefinitionHistory(store=store, groups_of=lambda userid: [])


async def test_the_newest_of_what_is_sought_come_first(history: DefinitionHistory) -> None:
    total, rows = await history.search(Sought(kind="group", name="g3", until=100), limit=2)
    assert total == 14
    assert [row["time"] for row in rows] == [94.0, 87.0]


async def test_a_long_history_holds_up_nobody(history: DefinitionHistory) -> None:
    for attempt in attempts():
        with attempt:
            total, rows = await history.search(Sought(), limit=200)
    assert (total, len(rows)) == (KEPT, 200)
