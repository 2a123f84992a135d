"""Figures over time of the node, guests and storages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tarmac.drivers.qemu.facts import NodeFacts
from tarmac.drivers.store.memory import MemoryStore
from tarmac.services.figures.figures import Figures
from tarmac.services.figures.history import FRAMES, History
from tarmac.services.guests.guests import Guests
from tarmac.services.node.nodes import Nodes

START = 1_800_000_000


class House:
    """History with real files; time goes as the test says."""

    def __init__(self, tmp_path: Path) -> None:
        self.now = float(START)
        self.directory = tmp_path / "metrics"
        self.guests = Guests(store=MemoryStore(), node="n1", mirror=tmp_path / "guests")
        self.nodes = Nodes(node="n1", facts=NodeFacts(), data_dir=tmp_path)
        self.storages: list[dict[str, Any]] = [
            {"storage": "local", "status": "available", "disk": 10, "maxdisk": 40},
            {"storage": "dead", "status": "unknown", "disk": 0, "maxdisk": 0},
        ]
        self.history = History(
            directory=self.directory,
            guests=self.guests,
            nodes=self.nodes,
            figures=Figures(self.guests, self.nodes),
            storages=lambda: self.storages,
            clock=lambda: self.now,
        )
        self.guests.changed.append(self.history.guest_changed)

    async def minute(self, vmid: int = 0, **usage: float) -> None:
        """A minute with these figures of a guest."""
        if vmid:
            guest = self.guests.get(vmid)
            guest.process = object()  # type: ignore[assignment]  # only that there is one matters
            guest.usage.update(usage)
            self.history.sampled([f"qemu/{vmid}"])
        await self.history.record()
        self.now += 60

    async def last(self, id: str, count: int, **told: Any) -> list[dict[str, float]]:
        self.now -= 60
        try:
            return (await self.history.rows(id, "hour", **told))[-count:]
        finally:
            self.now += 60


@pytest.fixture
async def house(tmp_path: Path) -> House:
    house = House(tmp_path)
    await house.guests.load()
    await house.nodes.refresh()
    return house


async def test_a_guests_rows(house: House) -> None:
    await house.guests.create(100, "memory: 512\ncores: 2\n", uid=None, user="t")
    await house.minute(100, cpu=0.5, mem=1000, memhost=1500, netin=0, diskwrite=600)
    await house.minute(100, cpu=0.25, mem=3000, netin=6000, diskwrite=600)
    first, second = await house.last("qemu/100", 2)
    assert first == {
        "time": START, "cpu": 0.5, "maxcpu": 2, "mem": 1000, "memhost": 1500, "maxmem": 512 << 20, "disk": 0,
        "maxdisk": 0,
    }  # fmt: skip
    assert (second["cpu"], second["netin"], second["diskwrite"]) == (0.25, 100, 0)


async def test_samples_of_a_minute_are_averaged(house: House) -> None:
    await house.guests.create(100, "memory: 512\n", uid=None, user="t")
    guest = house.guests.get(100)
    guest.process = object()  # type: ignore[assignment]
    for cpu in (0.25, 0.5):
        guest.usage["cpu"] = cpu
        house.history.sampled(["qemu/100", "qemu/999"])
    await house.minute(100, cpu=0.75)
    assert (await house.last("qemu/100", 1))[0]["cpu"] == 0.5


async def test_a_counter_that_begins_anew_is_no_rate(house: House) -> None:
    await house.guests.create(100, "memory: 512\n", uid=None, user="t")
    for value in (6000, 0, 600):
        await house.minute(100, netin=value)
    rows = await house.last("qemu/100", 3)
    assert ["netin" in row for row in rows] == [False, False, True]
    assert rows[2]["netin"] == 10


async def test_who_does_not_run_leaves_a_gap_and_no_file(house: House) -> None:
    await house.guests.create(100, "memory: 512\n", uid=None, user="t")
    await house.minute()
    assert not (house.directory / "qemu" / "100.rr").exists()
    assert [set(row) for row in await house.last("qemu/100", 3)] == [{"time"}] * 3


async def test_the_node_and_storages(house: House) -> None:
    await house.minute()
    (node,) = await house.last("node/n1", 1)
    assert node["memtotal"] == pytest.approx(house.nodes.sample.memory["total"], rel=1e-6)
    assert node.keys() >= {"cpu", "maxcpu", "iowait", "loadavg", "memused", "roottotal", "rootused", "swaptotal"}
    assert await house.last("storage/local", 1) == [{"time": START, "total": 40, "used": 10}]
    assert await house.last("storage/dead", 1) == [{"time": START}]


async def test_a_deleted_guests_figures_go_and_do_not_come_back(house: House) -> None:
    await house.guests.create(100, "memory: 512\n", uid=None, user="t")
    await house.minute(100, cpu=1)
    assert (house.directory / "qemu" / "100.rr").exists()
    await house.guests.remove(100)
    await house.guests.create(100, "memory: 512\n", uid=None, user="t")
    await house.minute()
    assert not (house.directory / "qemu" / "100.rr").exists()


async def test_what_a_crash_left_goes_at_the_start(house: House) -> None:
    for name in ("100.rr", "101.rr"):
        (house.directory / "qemu").mkdir(parents=True, exist_ok=True)
        (house.directory / "qemu" / name).write_bytes(b"x")
    await house.guests.create(101, "memory: 512\n", uid=None, user="t")
    await house.history.sweep()
    assert [path.name for path in (house.directory / "qemu").iterdir()] == ["101.rr"]


@pytest.mark.parametrize("frame", sorted(FRAMES))
async def test_a_frame_is_complete_and_ends_now(house: House, frame: str) -> None:
    seconds, count = FRAMES[frame]
    rows = await house.history.rows("qemu/100", frame)
    assert len(rows) == count and rows[-1]["time"] == house.now // seconds * seconds
    assert {b["time"] - a["time"] for a, b in zip(rows, rows[1:], strict=False)} == {seconds}


async def test_a_disk_that_cannot_be_written_costs_its_rows(house: House) -> None:
    house.directory.write_text("no directory")
    await house.minute()
    house.directory.unlink()
    await house.minute()
    assert len(await house.last("node/n1", 1)) == 1


async def test_the_use_of_a_storage_is_there_for_the_next_daemon(tmp_path: Path) -> None:
    house = House(tmp_path)
    for used in (10, 20, 30):
        house.storages[0]["disk"] = used
        await house.minute()
    again = House(tmp_path)
    again.now = house.now
    assert await again.history.storage_use("local") == [(START, 10), (START + 60, 20), (START + 120, 30)]
    assert await again.history.storage_use("dead") == []
