"""Schedules of snapshots against a real store: what is due is asked for once, only what they made is pruned."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import pytest

from tarmac.drivers.store.memory import MemoryStore
from tarmac.model import snapshots as tree
from tarmac.model.conf_file import GuestFile, print_conf
from tarmac.model.errors import Conflict, HostFailure, InvalidInput, NotFound
from tarmac.services.access.access import Identity
from tarmac.services.guests.guests import Guests
from tarmac.services.snapshots.schedules import SnapshotSchedules

ROOT = Identity("root@pam")


class Everything:
    """Who may do anything: rights are tested where they are decided."""

    def check(self, identity: Identity, path: str, privileges: list[str]) -> None:
        assert path.startswith(("/vms", "/pool/"))


class OnePool:
    """The pool `crowd` and its members."""

    def __init__(self) -> None:
        self.members: set[int] = set()

    def of_guest(self, vmid: int) -> str | None:
        return "crowd" if vmid in self.members else None

    def check(self, poolid: str) -> None:
        if poolid != "crowd":
            raise NotFound(f"pool '{poolid}' does not exist")


class Takers:
    """Takes and removes snapshots in the configuration at once, without disks."""

    def __init__(self, guests: Guests) -> None:
        self.guests = guests
        self.fails: set[int] = set()
        self.working: set[int] = set()
        self.asked: list[str] = []

    def busy(self, vmid: int) -> bool:
        return vmid in self.working

    async def create(self, user: str, vmid: int, name: str, **more: Any) -> str:
        if vmid in self.fails:
            raise HostFailure("snapshot feature is not available", evidence="scsi0")
        self.asked.append(f"{vmid} {name}")
        guest = self.guests.get(vmid)
        await self.guests.write(guest, tree.taken(guest.file, name, time=1, description=""), user=user)
        return "UPID"

    async def delete(self, user: str, vmid: int, name: str) -> str:
        guest = self.guests.get(vmid)
        await self.guests.write(guest, tree.without(guest.file, name), user=user)
        return "UPID"


class Site:
    def __init__(self, store: MemoryStore, guests: Guests) -> None:
        self.now = datetime.datetime(2026, 11, 28, 15, 37)
        self.store, self.guests, self.takers, self.pool = store, guests, Takers(guests), OnePool()
        self.schedules = self.anew()

    def anew(self) -> SnapshotSchedules:
        return SnapshotSchedules(
            store=self.store,
            guests=self.guests,
            snapshots=self.takers,  # type: ignore[arg-type]
            access=Everything(),  # type: ignore[arg-type]
            pools=self.pool,  # type: ignore[arg-type]
            clock=lambda: self.now,
        )

    async def pass_(self, **time: float) -> None:
        self.now += datetime.timedelta(**time)
        await self.schedules.run()

    def names(self, vmid: int) -> list[str]:
        return sorted(self.guests.get(vmid).file.snapshots)


@pytest.fixture
async def site(tmp_path: Path) -> Site:
    store = MemoryStore()
    guests = Guests(store=store, node="n1", mirror=tmp_path / "guests")
    await guests.load()
    for vmid, tags in ((100, "web"), (101, "db"), (102, "web;db")):
        await guests.create(vmid, print_conf(GuestFile(current={"tags": tags})), uid=None, user="root@pam")
    return Site(store, guests)


async def test_made_each_hour_and_pruned(site: Site) -> None:
    await site.schedules.create(ROOT, {"id": "often", "tag": "web", "keep-hourly": "2"})
    await site.schedules.run()
    assert site.names(100) == [], "the first one comes with the next hour"
    assert "last" not in site.schedules.show(ROOT, "often"), "nothing was taken yet"
    for _ in range(4):
        await site.pass_(minutes=30)
        await site.pass_(minutes=30)
    assert site.names(100) == site.names(102) == ["often-20261128-1800", "often-20261128-1900"]
    assert "last" in site.schedules.show(ROOT, "often")
    assert site.names(101) == []
    assert len(site.takers.asked) == 8


async def test_who_is_in_the_pool_at_the_time(site: Site) -> None:
    with pytest.raises(NotFound):
        await site.schedules.create(ROOT, {"id": "often", "pool": "other", "keep-hourly": "2"})
    await site.schedules.create(ROOT, {"id": "often", "pool": "crowd", "keep-hourly": "2"})
    site.pool.members = {100, 101}
    await site.pass_(hours=1)
    site.pool.members = {101, 102}
    await site.pass_(hours=1)
    assert [len(site.names(vmid)) for vmid in (100, 101, 102)] == [1, 2, 1]


async def test_made_at_the_times_of_a_calendar_event(site: Site) -> None:
    # It begins on a Saturday at 15:37.
    await site.schedules.create(ROOT, {"id": "work", "tag": "web", "schedule": "mon..fri 22:30", "keep-daily": "2"})
    await site.schedules.run()
    await site.pass_(days=2)
    assert site.names(100) == []
    await site.pass_(hours=7)  # Monday, 22:37
    assert site.names(100) == ["work-20261130-2230"]
    for _ in range(3):
        await site.pass_(days=1)
    assert site.names(100) == ["work-20261202-2230", "work-20261203-2230"]
    with pytest.raises(InvalidInput) as caught:
        await site.schedules.update(ROOT, "work", {"schedule": "mon..fri 25:30"})
    assert "schedule" in caught.value.parameters


async def test_missed_ones_are_made_up_for_once_by_the_next_daemon(site: Site) -> None:
    await site.schedules.create(ROOT, {"id": "daily", "guests": "100", "keep-daily": "7"})
    await site.pass_(days=3)
    site.schedules = site.anew()
    await site.schedules.load()
    await site.pass_(days=5)
    await site.schedules.run()
    assert site.names(100) == ["daily-20261201-0000", "daily-20261206-0000"]


async def test_what_others_made_is_never_pruned(site: Site) -> None:
    for name in ("by-hand", "often-20200101-0000"):
        await site.takers.create("me", 100, name)
    await site.schedules.create(ROOT, {"id": "often", "all": "1", "keep-hourly": "1"})
    for _ in range(3):
        await site.pass_(hours=1)
    assert site.names(100) == ["by-hand", "often-20200101-0000", "often-20261128-1800"]


async def test_a_busy_guest_is_pruned_later_and_a_failing_one_told(site: Site) -> None:
    await site.schedules.create(ROOT, {"id": "often", "guests": "100,101", "keep-hourly": "1"})
    await site.pass_(hours=1)
    site.takers.working, site.takers.fails = {100}, {101}
    await site.pass_(hours=1)
    assert len(site.names(100)) == 2
    assert site.schedules.show(ROOT, "often")["problems"] == {"101": "snapshot feature is not available (scsi0)"}
    site.takers.working = set()
    await site.pass_(minutes=1)
    assert site.names(100) == ["often-20261128-1700"]
    assert site.names(101) == ["often-20261128-1600"], "what cannot be replaced is kept"


async def test_verbs(site: Site) -> None:
    for texts in (
        {"id": "x1", "keep-daily": "1"},
        {"id": "x1", "all": "1"},
        {"id": "1", "all": "1", "keep-daily": "1"},
    ):
        with pytest.raises(InvalidInput):
            await site.schedules.create(ROOT, texts)
    await site.schedules.create(ROOT, {"id": "night", "all": "1", "keep-daily": "3"})
    with pytest.raises(Conflict):
        await site.schedules.create(ROOT, {"id": "night", "all": "1", "keep-daily": "3"})
    await site.schedules.update(ROOT, "night", {"keep-weekly": "2", "enabled": "0"})
    row = site.schedules.show(ROOT, "night")
    assert (row["keep-weekly"], row["keep-daily"], row["enabled"]) == (2, 3, 0)
    await site.pass_(days=2)
    assert site.names(100) == []
    await site.schedules.delete(ROOT, "night")
    assert site.schedules.listing(ROOT) == []
    with pytest.raises(NotFound):
        site.schedules.show(ROOT, "night")
