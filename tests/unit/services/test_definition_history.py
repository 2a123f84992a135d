"""The history of definitions: what is sought is found, and a long history holds up nobody."""

from __future__ import annotations

import json

import pytest

from support.loop import attempts
from tarmac.drivers.store.memory import MemoryStore
from tarmac.services.change_record import HISTORY
from tarmac.services.changes.definitions import AREAS, KEPT, DefinitionHistory, Sought

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


async def test_the_oldest_changes_of_each_area_go() -> None:
    store = MemoryStore()
    for area in AREAS:
        for n in range(0, KEPT + 150, 50):
            await store.transact([], {f"{HISTORY}{area}/{m:020d}": b"{}" for m in range(n, n + 50)})
    await store.put(f"{HISTORY}guests/100/{1:012d}", b"{}")
    history = DefinitionHistory(store=store, groups_of=lambda userid: [])
    assert await history.prune() == 150 * len(AREAS)
    for area in AREAS:
        left = [entry.key for entry in await store.range(f"{HISTORY}{area}/")]
        assert len(left) == KEPT and left[0] == f"{HISTORY}{area}/{150:020d}"
    assert await history.prune() == 0
    assert len(await store.range(f"{HISTORY}guests/")) == 1
