"""Who may give a disk away: rights on both guests and on the storage, asked for before anything is planned."""

from __future__ import annotations

from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any, cast

import pytest

from support.storage_site import Site, site
from tarmac.model.errors import Denied, WrongState
from tarmac.model.job import Plan
from tarmac.services.access.access import Access, Identity
from tarmac.services.disks.gifts import DiskGifts
from tarmac.services.guests.guests import Guests
from tarmac.services.jobs.steps import Registry

JOE = Identity("joe@pve")


class OnlyOn:
    """Somebody whose rights are these, `PATH PRIVILEGE`."""

    def __init__(self, *rights: str) -> None:
        self.rights = rights

    def check(self, identity: Identity, path: str, privileges: list[str]) -> None:
        if any(f"{path} {privilege}" not in self.rights for privilege in privileges):
            raise Denied(f"Permission check failed ({path}, {privileges[0]})")


@pytest.fixture
async def here() -> AsyncIterator[Site]:
    async with site() as made:
        volid = await made.volumes.create("local", 100, "vm-100-disk-0.qcow2", "1M")
        made.guest(100, f"scsi1: {volid},size=1M\n")
        made.guest(101, "memory: 16\n")
        yield made


async def give(here: Site, *rights: str) -> Any:
    gifts = DiskGifts(
        guests=cast(Guests, SimpleNamespace(get=here.guests.__getitem__)),
        jobs=here.jobs,
        access=cast(Access, OnlyOn(*rights)),
        storages=here.storages,
        registry=Registry(),
    )
    return await gifts.give(JOE, 100, "scsi1", 101, dryrun=True)


async def test_who_may_use_the_storage_may_give(here: Site) -> None:
    assert isinstance(await give(here, "/vms/101 VM.Config.Disk", "/storage/local Datastore.AllocateSpace"), Plan)


@pytest.mark.parametrize(
    ("right", "missing"),
    [
        ("/vms/101 VM.Config.Disk", r"/storage/local, Datastore\.AllocateSpace"),
        ("/storage/local Datastore.AllocateSpace", r"/vms/101, VM\.Config\.Disk"),
    ],
)
async def test_one_of_the_rights_is_not_enough(here: Site, right: str, missing: str) -> None:
    with pytest.raises(Denied, match=missing):
        await give(here, right)


@pytest.mark.parametrize("template", [100, 101], ids=["giver", "receiver"])
async def test_a_template_neither_gives_nor_gets_one(here: Site, template: int) -> None:
    """What its clones stand on stays as it is."""
    here.guest(template, f"template: 1\n{here.guests[template].text}")
    with pytest.raises(WrongState) as caught:
        await give(here, "/vms/101 VM.Config.Disk", "/storage/local Datastore.AllocateSpace")
    assert caught.value.error_code == "disk-bound" and "template" in caught.value.evidence
