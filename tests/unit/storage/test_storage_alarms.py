"""What people are told of storages: once when it begins, once when it is over, not again by the next daemon."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from support.storage_site import Site, site
from tarmac.drivers.store.memory import MemoryStore
from tarmac.model.errors import NoSpace
from tarmac.model.lifecycle import State
from tarmac.model.units import MIB
from tarmac.services.events.alarms import Alarms
from tarmac.services.events.storage_alarms import StorageAlarms
from tarmac.services.guests.guests import Guests


class Told:
    """Everything that was notified: severity, title and `type`."""

    def __init__(self) -> None:
        self.all: list[tuple[str, str, str]] = []

    def notify(self, severity: str, title: str, text: str, fields: Mapping[str, str]) -> None:
        assert text
        self.all.append((severity, title, fields["type"]))

    def taken(self) -> list[tuple[str, str, str]]:
        found, self.all = self.all, []
        return found


async def _alarms(made: Site, told: Told, guests: Guests | None = None) -> StorageAlarms:
    alarms = Alarms(store=made.store, notify=told.notify)
    await alarms.load()
    known = guests or Guests(store=MemoryStore(), node="n1", mirror=made.root / "guests")
    return StorageAlarms(storages=made.storages, guests=known, alarms=alarms)


async def _looks(alarms: StorageAlarms, times: int = 3) -> None:
    for _ in range(times):
        await alarms.look()


async def test_a_storage_below_its_reserve_is_told_once_and_once_when_it_is_over() -> None:
    async with site() as made:
        told = Told()
        alarms = await _alarms(made, told)
        await _looks(alarms)
        assert told.taken() == []
        await made.storages.update("local", {"reserve": "900T"})
        await _looks(alarms)
        assert told.taken() == [("error", "storage 'local' is almost full", "storage-reserve")]
        alarms = await _alarms(made, told)  # another daemon
        await _looks(alarms)
        assert told.taken() == []
        free = (await made.storages.get("local").status()).available
        await made.storages.update("local", {"reserve": str(int(free * 0.95))})
        await _looks(alarms)
        assert told.taken() == [], "just above the reserve it might be below it again at once"
        await made.storages.update("local", {"reserve": str(free // 2)})
        await _looks(alarms)
        assert told.taken() == [("info", "storage 'local' has room again", "storage-reserve")]


async def test_a_storage_that_will_be_full_soon() -> None:
    async with site() as made:
        told = Told()
        alarms = await _alarms(made, told)
        space = made.storages.space
        free = (await made.storages.get("local").status()).available
        now = made.storages.space._clock()
        await made.storages.update("local", {"reserve": "1", "forecast-days": "0"})
        # so that it is full in about four days
        space.forget("local")
        samples = [(now - seconds, -seconds * free // (4 * 86_400)) for seconds in range(80_000, 0, -60)]
        space.remember("local", samples)
        await _looks(alarms)
        assert told.taken() == [], "nobody wants to be told"
        await made.storages.update("local", {"forecast-days": "7"})
        assert "full in about 4 days" in made.views.status("local")["warning"]
        await _looks(alarms)
        assert told.taken() == [("warning", "storage 'local' will be full soon", "storage-forecast")]
        space.forget("local")
        await _looks(alarms)
        assert told.taken() == [("info", "storage 'local' lasts longer again", "storage-forecast")]


async def test_a_storage_that_does_not_answer(tmp_path: Path) -> None:
    async with site() as made:
        told = Told()
        alarms = await _alarms(made, told)
        place = tmp_path / "mounted"
        place.mkdir()
        await made.storages.create({"storage": "nas", "type": "dir", "path": str(place), "mkdir": "0"})
        await _looks(alarms)
        assert told.taken() == []
        place.rename(tmp_path / "away")
        await made.storages.refresh()
        await _looks(alarms)
        assert told.taken() == [("error", "storage 'nas' does not answer", "storage-stale")]
        (tmp_path / "away").rename(place)
        await made.storages.refresh()
        await _looks(alarms)
        assert told.taken() == [("info", "storage 'nas' answers again", "storage-stale")]
        place.rename(tmp_path / "away")
        await made.storages.refresh()
        await _looks(alarms)
        told.taken()
        await made.storages.delete("nas")
        await _looks(alarms)
        assert told.taken() == [], "nobody needs to be told of what was taken away"
        assert not await made.store.range("alarms/")


async def test_a_guest_that_waits_is_told_once_however_often_it_is_tried() -> None:
    async with site() as made:
        told, guests = Told(), Guests(store=MemoryStore(), node="n1", mirror=made.root / "guests")
        (made.root / "guests").mkdir()
        await guests.create(100, "memory: 64\n", uid=None, user="root@pam")
        guest = guests.get(100)
        alarms = await _alarms(made, told, guests)
        guest.state = State.IO_ERROR
        problem = NoSpace("VM 100 waits: storage 'small' of its disk scsi1 is full", cause="x", evidence="y")
        for _ in range(3):
            await alarms.guest_waits(100, problem)
            await alarms.look()
        assert told.taken() == [("error", problem.message, "guest-waits")]
        alarms = await _alarms(made, told, guests)
        await alarms.guest_waits(100, problem)
        assert told.taken() == [], "the next daemon does not repeat it"
        guest.state = State.RUNNING
        await _looks(alarms)
        assert told.taken() == [("info", "VM 100 no longer waits", "guest-waits")]


async def test_a_store_that_is_full_itself_does_not_keep_anybody_from_being_told() -> None:
    class Full(MemoryStore):
        async def put(self, key: str, value: bytes, *, expect: int | None = None, lease: int = 0) -> int:
            raise NoSpace("full")

    told = Told()
    alarms = Alarms(store=Full(), notify=told.notify)
    for _ in range(3):
        await alarms.begin("storage/x/reserve", "error", "t", "text", {"type": "a"})
    assert len(told.taken()) == 1


async def test_growth_is_known_again_after_a_restart() -> None:
    async with site() as made:
        space = made.storages.space
        now, (probed, *_) = space._clock(), space._samples["local"]
        before = [(now - 60 * n, probed[1] - n * MIB) for n in range(100, 0, -1)]
        space.remember("local", before)
        row = made.views.status("local")
        assert abs(row["growth"] - 60 * MIB) < 8 * MIB
        assert len(space._samples["local"]) == 101
        space.remember("local", [(now + 60, 0)])
        assert len(space._samples["local"]) == 101, "only what was before"
