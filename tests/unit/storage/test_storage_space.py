"""Reserve, growth, forecast, promises, and when a guest that waits for space may go on: figures by table."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator

import pytest

from support.storage_site import Site, site
from tarmac.drivers.storage.values import StorageStatus
from tarmac.model.errors import NoSpace
from tarmac.model.job import Plan, PlannedStep
from tarmac.model.storage import definition_of
from tarmac.model.units import GIB, MIB
from tarmac.services.guests.guests import Guest
from tarmac.services.lifecycle.io_errors import disk_states, may_go_on, reason
from tarmac.services.storage.space import StorageSpace, committed, growth, outlook, room_to_go_on


def status(available: int, total: int = 100 * GIB) -> StorageStatus:
    return StorageStatus(total=total, used=total - available, available=available)


@pytest.mark.parametrize(
    ("text", "total", "reserve"),
    [
        (None, 100 * GIB, 5 * GIB),
        (None, 4000 * GIB, 20 * GIB),
        ("10%", 100 * GIB, 10 * GIB),
        ("0%", 100 * GIB, 0),
        ("7G", 100 * GIB, 7 * GIB),
        ("4096", 100 * GIB, 4096),
    ],
)
def test_the_reserve(text: str | None, total: int, reserve: int) -> None:
    texts = {"storage": "s1", "type": "dir", "path": "/x"} | ({"reserve": text} if text else {})
    assert definition_of(texts).reserved(total) == reserve


def test_growth_and_forecast() -> None:
    samples = [(60.0 * n, n * GIB) for n in range(31)]
    assert growth(samples) == pytest.approx(GIB / 60)
    seen = outlook(status(30 * GIB), 5 * GIB, samples, None)
    assert seen.growth == pytest.approx(60 * GIB)
    assert seen.full_in == pytest.approx(30 * 60)
    assert seen.warning == "full in about an hour at the present rate"
    assert outlook(status(30 * GIB), 5 * GIB, samples[:5], None).full_in is None, "too short to tell"
    shrinking = [(t, 100 * GIB - used) for t, used in samples]
    assert outlook(status(30 * GIB), 5 * GIB, shrinking, None).full_in is None
    slow = [(t, used // 10_000) for t, used in samples]
    assert outlook(status(30 * GIB), 5 * GIB, slow, None).warning == ""
    assert (
        outlook(status(3 * GIB), 5 * GIB, (), None).warning == "only 3.00 GiB free, less than the reserve of 5.00 GiB"
    )


def test_an_image_that_came_foretells_nothing() -> None:
    came = [(60.0 * n, min(max(n - 2, 0), 3) * GIB) for n in range(31)]  # 3 GiB within three minutes, then nothing
    for minutes in range(2, len(came) + 1):
        assert outlook(status(30 * GIB), 5 * GIB, came[:minutes], None).warning == ""
    goes_on = came + [(60.0 * n, (n - 27) * GIB) for n in range(31, 41)]
    assert outlook(status(30 * GIB), 5 * GIB, goes_on, None).warning == "full in about an hour at the present rate"


def test_one_sample_a_minute_is_kept() -> None:
    now = 0.0
    space = StorageSpace(lambda id: definition_of({"storage": id, "type": "dir", "path": "/x"}), clock=lambda: now)
    for _ in range(700):
        space.take("s1", status(50 * GIB - int(now * MIB)))
        now += 10
    row = space.row("s1", status(40 * GIB))
    assert row["growth"] == pytest.approx(3600 * MIB, rel=0.01)
    assert row["reserve"] == 5 * GIB and row["full-in"] == pytest.approx(40 * 1024, rel=0.01)
    assert "warning" in row and "committed" not in row


@pytest.fixture
async def local() -> AsyncIterator[Site]:
    async with site() as made:
        yield made


async def test_what_is_promised_and_what_is_refused(local: Site) -> None:
    await local.volumes.create("local", 100, "vm-100-disk-0.qcow2", "64G")
    await local.volumes.create("local", 100, "vm-100-disk-1.raw", "1G")
    driver = local.storages.get("local")
    assert committed(await driver.list()) == pytest.approx(65 * GIB, rel=0.01)
    await local.storages.count()
    assert local.views.status("local")["committed"] == pytest.approx(65 * GIB, rel=0.01)
    await local.storages.create(
        {"storage": "tight", "type": "dir", "path": str(local.root / "tight"), "reserve": "900T"}
    )
    assert "reserve" in local.views.status("tight")["warning"]
    with pytest.raises(NoSpace) as caught:
        await local.volumes.create("tight", 100, "vm-100-disk-0.raw", "1M")
    problem = caught.value
    assert problem.error_code == "storage-reserve" and problem.cause and problem.evidence and problem.fixes
    assert not os.path.exists(local.root / "tight/images/100")
    await local.storages.update("tight", {"reserve": "0"})
    await local.volumes.create("tight", 100, "vm-100-disk-0.raw", "1M")


async def test_a_task_that_fills_a_storage_says_so(local: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    async def plan(_: object) -> Plan:
        args = {"volid": "local:100/vm-100-disk-0.raw", "size": MIB}
        return Plan(steps=(PlannedStep(step="volume-allocate", title="allocate", args=args),))

    now = 0.0
    space = StorageSpace(local.storages.definition_record, clock=lambda: now)
    monkeypatch.setattr(local.storages, "space", space)
    free = (await local.storages.get("local").status()).available
    for _ in range(11):
        space.take("local", StorageStatus(total=free * 2, used=int(now * free / 36_000), available=free))
        now += 60
    local.jobs.registry.kind("test", plan)
    upid = await local.jobs.submit("test", id="", user="root@pam")
    assert (await local.done(upid)).exitstatus == "OK"
    _, lines = await local.jobs.log(upid, 0, 0)
    assert any("WARN: storage 'local': full in about 10 hours" in line for line in lines), lines


BLOCKS = [
    {"device": "", "qdev": "scsi0", "io-status": "ok", "inserted": {"node-name": "drive-scsi0"}},
    {"device": "", "qdev": "scsi1", "io-status": "nospace", "inserted": {"node-name": "drive-scsi1"}},
    {"device": "", "qdev": "ide2"},
]


def test_why_a_guest_waits() -> None:
    guest = Guest(100, "scsi0: a1:100/x.raw,size=1G\nscsi1: b1:100/y.raw,size=1G\n", 1)
    states = disk_states(BLOCKS)
    assert states == {"scsi1": "nospace"}
    disks = {"scsi1": "b1"}
    problem = reason(guest, states, disks, {"b1": status(0)})
    assert problem is not None
    assert problem.message == "VM 100 waits: storage 'b1' of its disk scsi1 is full"
    assert "b1:100/y.raw" in problem.evidence
    failed = reason(guest, {**states, "scsi0": "failed"}, {**disks, "scsi0": "a1"}, {})
    assert failed is not None and failed.error_code == "disk-io-error" and "scsi0" in failed.message
    assert reason(guest, {}, {}, {}) is None


@pytest.mark.parametrize(
    ("states", "available", "tried", "goes"),
    [
        ({"scsi1": "nospace"}, 10 * GIB, {}, True),
        ({"scsi1": "nospace"}, 0, {}, False),
        ({"scsi1": "nospace"}, room_to_go_on(status(0)) - 1, {}, False),
        ({"scsi1": "nospace"}, 2 * GIB, {"b1": 2 * GIB}, False),
        ({"scsi1": "nospace"}, 3 * GIB, {"b1": 2 * GIB}, True),
        ({"scsi1": "failed"}, 10 * GIB, {}, False),
        ({"scsi1": "nospace", "scsi0": "failed"}, 10 * GIB, {}, False),
        ({}, 10 * GIB, {}, False),
    ],
)
def test_when_it_goes_on(states: dict[str, str], available: int, tried: dict[str, int], goes: bool) -> None:
    disks = {"scsi1": "b1", "scsi0": "b1"}
    assert may_go_on(states, disks, {"b1": status(available)}, tried) is goes
    assert not may_go_on(states, disks, {}, tried), "a storage that does not answer has no room"
