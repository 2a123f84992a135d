"""Volumes to which nothing refers are found; whatever a configuration, a snapshot, a clone or a task names is none."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest

from support.storage_site import Site, site
from tarmac.drivers.storage.values import NewImage
from tarmac.model.job import Plan, PlannedStep
from tarmac.services.disks.orphans import Orphans
from tarmac.services.guests.guests import Guests
from tarmac.services.jobs.steps import StepContext


class Book:
    """As much of `Guests` as is asked for."""

    def __init__(self, site: Site) -> None:
        self.site = site

    def __iter__(self) -> Any:
        return iter(self.site.guests.values())

    def find(self, vmid: int) -> Any:
        return self.site.guests.get(vmid)


@pytest.fixture
async def local() -> AsyncIterator[Site]:
    async with site() as made:
        yield made


async def orphans(local: Site) -> dict[str, str]:
    found = Orphans(storages=local.storages, guests=cast(Guests, Book(local)), jobs=local.jobs)
    return {row["volid"]: row["reason"] for row in await found.listing("local")}


async def test_what_counts_and_what_does_not(local: Site) -> None:
    names = ("vm-100-disk-0.qcow2", "vm-100-disk-1.raw", "vm-100-disk-2.qcow2", "vm-100-disk-10.raw")
    disk, snapped, lost, similar = [await local.volumes.create("local", 100, name, "1M") for name in names]
    stray = await local.volumes.create("local", 300, "vm-300-disk-0.raw", "1M")
    storage = local.storages.get("local")
    base = await storage.make_base(await storage.allocate(NewImage(900, "qcow2"), size=1 << 20))
    clone = await storage.clone(base, NewImage(101, "qcow2"))
    local.guest(
        100,
        f"scsi0: {disk}\nparent: before\n\n[before]\nscsi0: {disk}\nsnaptime: 1\nscsi1: {snapped}\n",
    )
    local.guest(101, "scsi0: local:101/vm-101-disk-0.qcow2,size=1M\n")
    found = await orphans(local)
    assert set(found) == {lost, similar, stray}
    assert found[stray] == "there is no guest 300 on this node, and nothing else names it"
    assert found[lost] == "neither guest 100 nor another one names it"
    del local.guests[101]
    assert set(await orphans(local)) == {lost, similar, stray, str(clone)}, "the clone; its base is still needed"
    await storage.free(clone)
    assert str(base) in await orphans(local)
    local.guest(900, f"template: 1\nscsi0: {base},size=1M\n")
    assert set(await orphans(local)) == {lost, similar, stray}
    await storage.free(base)  # it is guarded against plain removal


async def test_what_a_task_makes_just_now_is_none(local: Site) -> None:
    going, release = asyncio.Event(), asyncio.Event()

    async def wait(ctx: StepContext, volid: str) -> None:
        going.set()
        await release.wait()

    async def plan(_: object) -> Plan:
        return Plan(steps=(PlannedStep(step="test-wait", title="wait", args={"volid": made}),))

    made = await local.volumes.create("local", 100, "vm-100-disk-0.raw", "1M")
    assert set(await orphans(local)) == {made}
    local.jobs.registry.step("test-wait", wait)
    local.jobs.registry.kind("test", plan)
    upid = await local.jobs.submit("test", id="", user="root@pam")
    async with asyncio.timeout(30):
        await going.wait()
    assert await orphans(local) == {}
    release.set()
    await local.done(upid)
    assert set(await orphans(local)) == {made}
