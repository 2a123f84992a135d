"""Uids of guests: never two guests with the same, not reused soon, written with the guests they are for."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tarmac.drivers.store.memory import MemoryStore
from tarmac.model.errors import Conflict
from tarmac.services.guests import uids as module
from tarmac.services.guests.guests import Guests
from tarmac.services.guests.uids import Uids


@pytest.fixture
def as_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.os, "geteuid", lambda: 0)


def make(store: MemoryStore) -> Uids:
    return Uids(store=store, instance="test", default_instance=True)


@pytest.mark.usefixtures("as_root")
async def test_each_guest_has_its_own_and_keeps_it() -> None:
    store = MemoryStore()
    uids = make(store)
    found = [await uids.allocate(vmid) for vmid in (100, 101, 100)]
    assert found[0] == found[2] != found[1]
    await uids.release(101)
    assert await make(store).allocate(102) not in found, "not reused soon"


@pytest.mark.usefixtures("as_root")
async def test_several_are_written_with_their_guests_or_not_at_all(tmp_path: Path) -> None:
    store = MemoryStore()
    uids, guests = make(store), Guests(store=store, node="n1", mirror=tmp_path)
    known = await uids.allocate(100)
    before = await store.revision()
    async with uids.together([100, 101, 102]) as new:
        await guests.create_many(new.uids, "lock: clone\n", user="root@pam", compares=new.compares, also=new.puts)
    assert await store.revision() == before + 1, "one transaction"
    numbers = [guests.get(vmid).uid for vmid in (100, 101, 102)]
    assert numbers[0] == known and len(set(numbers)) == 3
    assert [await uids.allocate(vmid) for vmid in (100, 101, 102)] == numbers
    await store.put("guests/104", b"{}")
    with pytest.raises(Conflict):
        async with uids.together([103, 104]) as new:
            await guests.create_many(new.uids, "lock: clone\n", user="x", compares=new.compares, also=new.puts)
    assert await store.get("uids/103") is None
    async with asyncio.timeout(5):
        assert await uids.allocate(103) not in numbers


@pytest.mark.usefixtures("as_root")
async def test_one_that_was_given_away_meanwhile_is_not_written_again() -> None:
    store = MemoryStore()
    async with make(store).together([100]) as new:
        other = await make(store).allocate(101)
        assert new.uids == {100: other}
        with pytest.raises(Conflict):
            await store.transact(new.compares, new.puts)


async def test_without_root_there_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.os, "geteuid", lambda: 1000)
    async with make(MemoryStore()).together([100]) as new:
        assert new.uids == {100: None} and not new.puts
