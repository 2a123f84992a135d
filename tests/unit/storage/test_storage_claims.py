"""Space that is spoken for: two jobs that begin at once are not both let in on the same free bytes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from support.storage_site import Site, site
from tarmac.drivers.storage.values import NewImage
from tarmac.model.errors import HostFailure, NoSpace
from tarmac.model.job import JobState, Plan, PlannedStep
from tarmac.services.jobs.steps import StepContext
from tarmac.services.storage.claims import takes_of
from tarmac.services.transfers.uploads import UploadFields


class Work:
    """A job that takes most of what a storage has free, and waits at a gate while it takes it."""

    def __init__(self, made: Site) -> None:
        self.gate = asyncio.Event()
        self.begun = asyncio.Event()
        self.fail = False
        self.context: StepContext | None = None
        registry = made.jobs.registry
        registry.step("fill", self.fill)
        registry.kind("filling", self.plan, recover="resume")

    async def plan(self, args: Any) -> Plan:
        steps = [
            PlannedStep(step="fill", title="fill", takes={"local": size}, regardless=bool(args.get("regardless")))
            for size in args["sizes"]
        ]
        return Plan(steps=tuple(steps))

    async def fill(self, ctx: StepContext) -> None:
        self.context = ctx
        self.begun.set()
        await self.gate.wait()
        if self.fail:
            raise HostFailure("it failed")


async def _free(made: Site) -> int:
    return (await made.storages.get("local").status()).available


async def _ready(made: Site) -> Work:
    await made.storages.update("local", {"reserve": "1"})
    return Work(made)


async def _submit(made: Site, *sizes: int, **args: Any) -> str:
    id = args.pop("id", "100")
    return await made.jobs.submit("filling", id=id, user="root@pam", args={"sizes": sizes, **args})


def _claimed(made: Site) -> int:
    return sum(claim.size for claim in made.storages.space.claims.of("local"))


@pytest.fixture
async def local() -> AsyncIterator[Site]:
    async with site() as made:
        yield made


async def test_of_two_at_once_the_second_is_refused_and_told_who_was_first(local: Site) -> None:
    work, most = await _ready(local), await _free(local) * 6 // 10
    first, second = await _submit(local, most), await _submit(local, most)
    refused = await local.done(second)
    assert refused.state is JobState.FAILED and refused.error is not None
    error = refused.error
    assert error["code"] == "storage-reserve"
    assert all(error[part] for part in ("message", "cause", "evidence", "fixes"))
    assert first in error["evidence"] and "filling 100 of root@pam" in error["evidence"]
    assert "try again when" in error["fixes"][0]["text"]
    assert local.views.rows(storage="local")[0]["claimed"] == most
    with pytest.raises(NoSpace, match="no room"):
        await local.storages.space.check(local.storages.get("local"), most)
    work.gate.set()
    assert (await local.done(first)).exitstatus == "OK"
    assert _claimed(local) == 0 and "claimed" not in local.views.rows(storage="local")[0]
    assert (await local.done(await _submit(local, most))).exitstatus == "OK", "room again"


async def test_the_steps_of_one_job_count_together(local: Site) -> None:
    work, most = await _ready(local), await _free(local) * 6 // 10
    work.gate.set()
    refused = await local.done(await _submit(local, most, most))
    assert refused.error is not None and refused.error["code"] == "storage-reserve"
    assert "others have claimed" not in refused.error["evidence"]
    assert not work.begun.is_set(), "refused before its first step"


async def test_what_is_written_is_no_longer_claimed(local: Site) -> None:
    work, part = await _ready(local), await _free(local) // 10
    upid = await _submit(local, part, part)
    await work.begun.wait()
    assert _claimed(local) == 2 * part
    assert work.context is not None
    work.context.progress(75, 100, "bytes")
    assert _claimed(local) == part + part // 4
    work.context.progress(1, 2, "files")
    assert _claimed(local) == 2 * part, "what is no progress in bytes tells nothing"
    work.gate.set()
    await local.done(upid)
    assert _claimed(local) == 0


@pytest.mark.parametrize("how", ["fails", "is cancelled"])
async def test_a_job_that_does_not_succeed_gives_its_claim_back(local: Site, how: str) -> None:
    work, part = await _ready(local), await _free(local) // 10
    upid = await _submit(local, part)
    await work.begun.wait()
    if how == "fails":
        work.fail = True
        work.gate.set()
    else:
        await local.jobs.cancel(upid)
    assert (await local.done(upid)).state in (JobState.FAILED, JobState.CANCELLED)
    assert _claimed(local) == 0


async def test_after_a_crash_the_jobs_that_go_on_claim_again(tmp_path: Path) -> None:
    async with site(tmp_path) as made:
        work, most = await _ready(made), await _free(made) * 6 // 10
        upid = await _submit(made, most)
        await work.begun.wait()  # leaving cuts it off
    async with site(tmp_path) as made:
        work = await _ready(made)
        assert await made.jobs.recover() == [upid]
        assert _claimed(made) == most, "before it has its turn"
        refused = await made.done(await _submit(made, most, id="101"))
        assert refused.error is not None and upid in refused.error["evidence"]
        work.gate.set()
        assert (await made.done(upid)).exitstatus == "OK"
        assert _claimed(made) == 0


async def test_what_frees_space_may_use_the_reserve(local: Site) -> None:
    work, free = await _ready(local), await _free(local)
    upid = await _submit(local, free * 2, regardless=True)
    await work.begun.wait()
    assert _claimed(local) == free * 2, "others see it all the same"
    work.gate.set()
    assert (await local.done(upid)).exitstatus == "OK"


async def test_an_upload_claims_what_it_was_announced_with(local: Site) -> None:
    work, most = await _ready(local), await _free(local) * 6 // 10
    work.gate.set()
    go_on = asyncio.Event()

    async def chunks() -> AsyncIterator[bytes]:
        yield b"a"
        await go_on.wait()
        yield b"b"

    fields = UploadFields(content="iso", filename="x.iso")
    async with asyncio.TaskGroup() as group:
        receiving = group.create_task(local.uploads.receive("local", fields, chunks(), size=most))
        while not _claimed(local):
            await asyncio.sleep(0.01)
        refused = await local.done(await _submit(local, most))
        assert refused.error is not None and "upload of x.iso" in refused.error["evidence"]
        go_on.set()
    await local.uploads.drop(receiving.result())
    assert _claimed(local) == 0


async def test_copies_imports_and_preallocated_disks_say_what_they_take(local: Site) -> None:
    plans = local.volumes.plans
    made = await plans.plan_new(100, "local", 1 << 40)
    [claimed] = made.step.takes.values()
    driver, volume = local.storages.of(made.volid)
    await driver.allocate(NewImage(100, "qcow2"), size=1 << 40)
    used = (await driver.info(volume)).used
    assert used is not None and claimed * 0.99 < used <= claimed, "thin, but for its tables"
    await driver.free(volume)
    assert not (await plans.plan_new(100, "local", 1 << 40, format="raw")).step.takes, "thin"
    await local.storages.update("local", {"preallocation": "falloc"})
    made = await plans.plan_new(100, "local", 1 << 20, format="raw")
    assert made.step.takes == {"local": 1 << 20}
    await local.volumes.create("local", 100, "vm-100-disk-0.raw", "4M")
    await local.storages.get("local").resize(local.storages.of("local:100/vm-100-disk-0.raw")[1], 6 << 20)
    image = local.root / "storage/images/100/vm-100-disk-0.raw"
    assert image.stat().st_blocks * 512 >= 6 << 20, "what grows is allocated, too"
    await local.storages.update("local", {"preallocation": "off"})
    copied = await plans.plan_copy(101, "local:100/vm-100-disk-0.raw")
    if not local.storages.get("local").capabilities.shares_blocks:
        assert copied.step.takes == {"local": 6 << 20}
    assert takes_of(Plan(steps=(copied.step, copied.step))).get("local", 0) == 2 * copied.step.takes.get("local", 0)


async def test_a_mirror_takes_its_space_while_it_is_filled(local: Site) -> None:
    await local.volumes.create("local", 100, "vm-100-disk-0.raw", "4M")
    image = local.root / "storage/images/100/vm-100-disk-0.raw"
    image.write_bytes(b"x" * (4 << 20))
    made = await local.volumes.plans.plan_mirror(101, "local:100/vm-100-disk-0.raw", storage=None, format="qcow2")
    assert made.step.takes["local"] < 1 << 20 and made.filling == {"local": 4 << 20}
