"""Realms synchronized by the clock: what is due is asked for once, with its owner's rights."""

from __future__ import annotations

import datetime
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tarmac.drivers.store.memory import MemoryStore
from tarmac.model.errors import Conflict, Denied, InvalidInput, NotFound
from tarmac.model.realms import SyncDefaults
from tarmac.model.users import AclEntry, Grants, User
from tarmac.services.access.access import Access, Identity
from tarmac.services.access.directory import Directory
from tarmac.services.access.realm_jobs import RealmJobs
from tarmac.services.access.realms import Realms

ROOT, ANN = Identity("root@pam"), Identity("ann@pve")
LDAP = {"server1": "ldap.example.org", "base_dn": "dc=example,dc=org", "user_attr": "uid"}
NIGHTLY = {"realm": "corp", "schedule": "02:30", "scope": "both"}


class Syncs:
    """Remembers what would be submitted; the task itself is tested where it is."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, str | None, str | None]] = []

    async def sync(self, user: str, realm: str, given: SyncDefaults, *, said: Any, dry: bool) -> str:
        assert not dry
        self.asked.append((user, realm, given.scope, given.remove_vanished))
        return "UPID"


class Site:
    def __init__(self, store: MemoryStore, directory: Directory, realms: Realms) -> None:
        self.now = datetime.datetime(2026, 11, 28, 15, 37)
        self.store, self.directory, self.realms, self.syncs = store, directory, realms, Syncs()
        self.jobs = self.anew()

    def anew(self) -> RealmJobs:
        return RealmJobs(
            store=self.store,
            access=Access(self.directory),
            realms=self.realms,
            sync=self.syncs,  # type: ignore[arg-type]
            clock=lambda: self.now,
        )

    async def pass_(self, **time: float) -> None:
        self.now += datetime.timedelta(**time)
        await self.jobs.run()

    async def grant(self, *roles_at: tuple[str, str]) -> None:
        entries = tuple(AclEntry(path=path, kind="user", who=ANN.user, role=role) for path, role in roles_at)
        await self.directory.commit({("grants", f"user:{ANN.user}"): Grants(entries=entries)}, by="root@pam", what="x")


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    store = MemoryStore()
    directory = Directory(store)
    await directory.load()
    await directory.commit({("user", ANN.user): User(userid=ANN.user)}, by="root@pam", what="set up")
    realms = Realms(directory)
    await realms.create("corp", "ldap", LDAP, by="root@pam")
    yield Site(store, directory, realms)
    await store.close()


async def test_run_at_its_times_and_what_was_missed_once(site: Site) -> None:
    await site.jobs.create(ROOT, "night", {**NIGHTLY, "remove-vanished": "entry;acl"})
    await site.pass_(hours=10)
    assert site.syncs.asked == [], "the first run is at the next time"
    await site.pass_(hours=1)
    await site.pass_(minutes=1)
    assert site.syncs.asked == [("root@pam", "corp", "both", "entry;acl")]
    (row,) = site.jobs.listing()
    assert row["last-run"] == int((site.now - datetime.timedelta(minutes=1)).timestamp())
    assert row["next-run"] == int(datetime.datetime(2026, 11, 30, 2, 30).timestamp())

    site.jobs = site.anew()
    await site.jobs.load()
    await site.jobs.run()
    assert len(site.syncs.asked) == 1, "the next daemon knows what was done"
    await site.pass_(days=5)
    await site.pass_(minutes=1)
    assert len(site.syncs.asked) == 2


async def test_a_job_runs_with_the_rights_of_its_owner(site: Site) -> None:
    with pytest.raises(Denied):
        await site.jobs.create(ANN, "night", NIGHTLY)
    await site.grant(("/access", "PVEUserAdmin"))
    await site.jobs.create(ANN, "night", NIGHTLY)
    await site.pass_(days=1)
    assert site.syncs.asked == [("ann@pve", "corp", "both", None)]
    await site.grant(("/access/realm/corp", "PVEUserAdmin"))
    await site.pass_(days=1)
    assert len(site.syncs.asked) == 1, "not with rights that were taken away"
    with pytest.raises(Denied):
        await site.jobs.update(ANN, "night", {"comment": "mine"}, [])
    await site.jobs.update(ROOT, "night", {"comment": "root's now"}, [])
    await site.pass_(days=1)
    assert site.syncs.asked[-1][0] == "root@pam"


async def test_changed_switched_off_and_removed(site: Site) -> None:
    await site.jobs.create(ROOT, "night", {**NIGHTLY, "enable-new": "0", "comment": "c"})
    await site.jobs.update(ROOT, "night", {"enabled": "0"}, ["comment"])
    shown = site.jobs.show("night")
    assert (shown["type"], shown["enabled"], shown["enable-new"]) == ("realm-sync", 0, 0)
    assert "next-run" not in shown and "comment" not in shown
    await site.pass_(days=3)
    await site.jobs.update(ROOT, "night", {"enabled": "1"}, [])
    await site.pass_(minutes=1)
    assert site.syncs.asked == [], "what came while it was off is not made up for"
    await site.jobs.delete("night")
    assert site.jobs.listing() == []
    for attempt in (site.jobs.delete("night"), site.jobs.update(ROOT, "night", {"enabled": "0"}, [])):
        with pytest.raises(NotFound, match="no such job 'night'"):
            await attempt


@pytest.mark.parametrize(
    ("texts", "key"),
    [
        ({"realm": "pve"}, "realm"),
        ({"schedule": "never"}, "schedule"),
        ({"scope": "all"}, "scope"),
        ({"scope": None}, "scope"),
        ({"schedule": None}, "schedule"),
        ({"realm": None}, "realm"),
        ({"remove-vanished": "everything"}, "remove-vanished"),
    ],
)
async def test_what_makes_no_sense(site: Site, texts: dict[str, str | None], key: str) -> None:
    merged = {name: text for name, text in {**NIGHTLY, **texts}.items() if text is not None}
    with pytest.raises(InvalidInput) as caught:
        await site.jobs.create(ROOT, "night", merged)
    assert set(caught.value.parameters) == {key}
    assert site.jobs.listing() == []


async def test_what_is_there_and_what_is_fixed(site: Site) -> None:
    await site.jobs.create(ROOT, "night", NIGHTLY)
    with pytest.raises(Conflict, match="Job 'night' already exists"):
        await site.jobs.create(ROOT, "night", NIGHTLY)
    for key in ("realm", "schedule", "nonsense"):
        with pytest.raises(InvalidInput):
            await site.jobs.update(ROOT, "night", {}, [key])
