"""What every store promises (`drivers.store.base`), checked against each of them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tarmac.drivers.store.base import MAX_OPERATIONS, MAX_REQUEST_BYTES, Compare, Event, Store, Watch
from tarmac.drivers.store.memory import MemoryStore
from tarmac.drivers.store.sqlite import SqliteStore
from tarmac.drivers.store.watches import History
from tarmac.model.errors import Conflict, InvalidInput, NotFound, TarmacError, Unavailable


@pytest.fixture(params=["memory", "sqlite"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    made: Store = MemoryStore() if request.param == "memory" else await SqliteStore.open(tmp_path / "tarmac.db")
    yield made
    await made.close()


def five_parts(error: TarmacError) -> None:
    assert error.error_code and error.message and error.cause and error.evidence and error.fixes


async def test_new_store_is_empty(store: Store) -> None:
    assert await store.revision() == 0
    assert await store.get("a") is None
    assert await store.range("") == []


async def test_put_and_get_carry_revisions(store: Store) -> None:
    first = await store.put("a", b"1")
    second = await store.put("b", b"2")
    assert (first, second) == (1, 2)
    entry = await store.get("a")
    assert entry is not None and (entry.key, entry.value, entry.revision, entry.lease) == ("a", b"1", 1, 0)
    assert await store.put("a", b"3") == 3
    entry = await store.get("a")
    assert entry is not None and (entry.value, entry.revision) == (b"3", 3)
    assert await store.revision() == 3


async def test_values_are_bytes_of_any_kind(store: Store) -> None:
    every = bytes(range(256)) * 100
    await store.put("ключ/\U0001f6eb", every)
    await store.put("empty", b"")
    found = await store.get("ключ/\U0001f6eb")
    assert found is not None and found.value == every
    empty = await store.get("empty")
    assert empty is not None and empty.value == b""


async def test_put_if_unchanged(store: Store) -> None:
    assert await store.put("a", b"1", expect=0) == 1
    with pytest.raises(Conflict) as caught:
        await store.put("a", b"2", expect=0)
    assert caught.value.error_code == "changed-meanwhile" and "'a'" in caught.value.message
    five_parts(caught.value)
    assert await store.put("a", b"2", expect=1) == 2
    with pytest.raises(Conflict):
        await store.put("a", b"3", expect=1)
    with pytest.raises(Conflict):
        await store.put("never", b"3", expect=1)
    found = await store.get("a")
    assert found is not None and found.value == b"2"
    assert await store.revision() == 2


async def test_of_many_that_expect_the_same_one_wins(store: Store) -> None:
    await store.put("a", b"")

    async def attempt(n: int) -> bool:
        try:
            await store.put("a", str(n).encode(), expect=1)
        except Conflict:
            return False
        return True

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(attempt(n)) for n in range(20)]
    assert sum(task.result() for task in tasks) == 1


async def test_transaction_is_one_revision_and_all_or_nothing(store: Store) -> None:
    await store.put("old", b"x")
    revision = await store.transact([Compare.unchanged("old", 1), Compare.absent("a")], {"a": b"1", "b": b"2"}, ["old"])
    assert revision == 2
    assert [(e.key, e.revision) for e in await store.range("")] == [("a", 2), ("b", 2)]
    with pytest.raises(Conflict):
        await store.transact([Compare.unchanged("a", 2), Compare.absent("b")], {"a": b"9", "c": b"9"}, ["b"])
    assert [(e.key, e.value) for e in await store.range("")] == [("a", b"1"), ("b", b"2")]


async def test_a_transaction_that_changes_nothing_makes_no_revision(store: Store) -> None:
    await store.put("a", b"1")
    assert await store.transact([Compare.unchanged("a", 1)]) == 1
    assert await store.transact([], deletes=["never"]) == 1
    assert await store.revision() == 1
    # Deleted and written again: the new entry has the new revision, so nobody takes it for the old one.
    await store.transact([], deletes=["a"])
    assert await store.put("a", b"1", expect=0) == 3


async def test_range_is_by_prefix_in_order_of_bytes(store: Store) -> None:
    keys = ["guests/100", "guests/99", "guests", "guests0", "guestr\U0010ffff", "guests/é", "guests/\U0001f6eb", "z"]
    for key in keys:
        await store.put(key, b"")
    assert [e.key for e in await store.range("guests/")] == ["guests/100", "guests/99", "guests/é", "guests/\U0001f6eb"]
    assert [e.key for e in await store.range("")] == sorted(keys, key=str.encode)
    assert [e.key for e in await store.range("guestr\U0010ffff")] == ["guestr\U0010ffff"]
    assert await store.range("%") == [] and await store.range("guests/_") == []


async def test_limits_are_etcds(store: Store) -> None:
    full = {f"k{n:03}": b"" for n in range(MAX_OPERATIONS)}
    await store.transact([], full)
    for compares, puts, deletes in (
        ([], {**full, "more": b""}, []),
        ([], full, ["more"]),
        ([Compare.absent(f"c{n}") for n in range(MAX_OPERATIONS + 1)], {}, []),
        ([], {"a": bytes(MAX_REQUEST_BYTES)}, []),
        ([], {"a": bytes(MAX_REQUEST_BYTES // 2), "b": bytes(MAX_REQUEST_BYTES // 2)}, []),
        ([], {"": b""}, []),
        ([], {"a": b""}, ["a"]),
        ([], {}, ["a", "a"]),
    ):
        with pytest.raises(InvalidInput) as caught:
            await store.transact(compares, puts, deletes)
        assert caught.value.error_code == "store-limit"
        five_parts(caught.value)
    assert await store.revision() == 1
    assert await store.put("a", bytes(MAX_REQUEST_BYTES - 1)) == 2


async def test_writers_in_parallel_each_get_a_revision_of_their_own(store: Store) -> None:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(store.put(f"k/{n}", str(n).encode())) for n in range(200)]
    assert sorted(task.result() for task in tasks) == list(range(1, 201))
    assert {e.key: e.revision for e in await store.range("k/")} == {f"k/{n}": t.result() for n, t in enumerate(tasks)}


async def test_one_failing_transaction_does_not_hurt_those_beside_it(store: Store) -> None:
    async def attempt(n: int) -> str:
        try:
            await store.put(f"k/{n}", b"", expect=0 if n % 2 else 77)
        except Conflict:
            return "refused"
        return "written"

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(attempt(n)) for n in range(40)]
    assert [task.result() for task in tasks] == ["refused", "written"] * 20
    assert len(await store.range("k/")) == 20 == await store.revision()


async def test_watch_follows_a_snapshot_without_a_gap(store: Store) -> None:
    await store.put("g/1", b"a")
    await store.put("other", b"a")
    snapshot = await store.snapshot("g/")
    assert (snapshot.revision, [e.key for e in snapshot.entries]) == (2, ["g/1"])
    await store.transact([], {"g/3": b"c", "g/2": b"b", "x": b""}, ["g/1"])
    async with asyncio.timeout(5), store.watch("g/", since=snapshot.revision) as events:
        assert [await anext(events) for _ in range(3)] == [
            Event(3, "g/1", None),
            Event(3, "g/2", b"b"),
            Event(3, "g/3", b"c"),
        ]
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(events.__anext__())
            await asyncio.sleep(0)
            await store.put("other", b"b")
            await store.put("g/2", b"bb")
        assert waiting.result() == Event(5, "g/2", b"bb")


async def test_watch_sees_a_change_before_its_writer_is_answered(store: Store) -> None:
    async with store.watch("", since=0) as events:
        revision = await store.put("a", b"1")
        with pytest.raises(StopIteration) as done:
            events.__anext__().send(None)  # without waiting: the event is there already
        assert done.value.value.revision == revision


async def test_many_watches_see_all_events_in_order(store: Store) -> None:
    async def follow() -> list[int]:
        async with store.watch("k/", since=0) as events:
            return [(await anext(events)).revision for _ in range(100)]

    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        watchers = [group.create_task(follow()) for _ in range(5)]
        for n in range(100):
            group.create_task(store.put(f"k/{n}", b""))
    assert all(task.result() == list(range(1, 101)) for task in watchers)


async def test_watch_of_a_forgotten_past_is_refused(store: Store) -> None:
    store._history = History(0, max_events=5)  # type: ignore[attr-defined]
    async with store.watch("", since=0) as slow:
        for n in range(8):
            await store.put("a", str(n).encode())
        with pytest.raises(Conflict) as caught:
            await anext(slow)
    assert caught.value.error_code == "compacted"
    five_parts(caught.value)
    with pytest.raises(Conflict, match="no longer known"):
        store.watch("", since=2)
    async with store.watch("", since=3) as events:
        assert (await anext(events)).revision == 4


async def test_watch_ends_when_the_store_closes(store: Store) -> None:
    async def collect(events: Watch) -> int:
        return len([event async for event in events])

    async with asyncio.timeout(5), store.watch("", since=0) as events, asyncio.TaskGroup() as group:
        task = group.create_task(collect(events))
        await store.put("a", b"")
        await store.close()
    assert task.result() == 1
    with pytest.raises(Unavailable):
        store.watch("", since=1)


async def test_keys_vanish_when_their_lease_ends(store: Store) -> None:
    lease = await store.grant(2)
    kept = await store.grant(2)
    start = time.monotonic()
    await store.put("held", b"1", lease=lease)
    await store.put("other", b"1", lease=kept)
    await store.put("untied", b"1", lease=lease)
    await store.put("untied", b"1")
    entry = await store.get("held")
    assert entry is not None and entry.lease == lease
    async with asyncio.timeout(10), store.watch("", since=await store.revision()) as events:
        await asyncio.sleep(0.8)
        await store.renew(kept)
        assert await anext(events) == Event(5, "held", None)
    assert time.monotonic() - start > 1.9
    assert [e.key for e in await store.range("")] == ["other", "untied"]
    for call in (store.renew(lease), store.put("held", b"", lease=lease)):
        with pytest.raises(NotFound) as caught:
            await call
        assert caught.value.error_code == "no-such-lease"
        five_parts(caught.value)
    await store.revoke(lease)


async def test_revoking_a_lease_deletes_its_keys_at_once(store: Store) -> None:
    lease = await store.grant(60)
    for n in range(MAX_OPERATIONS + 10):
        await store.put(f"k/{n}", b"", lease=lease)
    await store.revoke(lease)
    assert await store.range("") == []
    with pytest.raises(NotFound):
        await store.put("a", b"", lease=lease)
    assert await store.grant(2) != lease


async def test_short_leases_are_refused(store: Store) -> None:
    for seconds in (0, 1.99, -1, float("nan"), float("inf")):
        with pytest.raises(InvalidInput):
            await store.grant(seconds)


async def test_a_closed_store_says_so(store: Store) -> None:
    await store.close()
    for call in (store.get("a"), store.put("a", b""), store.range(""), store.revision()):
        with pytest.raises(Unavailable) as caught:
            await call
        assert caught.value.error_code == "store-closed"
    await store.close()
