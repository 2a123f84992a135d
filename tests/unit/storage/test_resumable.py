"""Resumable uploads on a real directory: what a restart of the host leaves of one, expiry, the reserve."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from support.storage_site import Site, site
from support.together import outcomes
from tarmac.model.errors import Busy, Conflict, Denied, InvalidInput, NoSpace, NotFound
from tarmac.services.transfers.resumable import KEPT_OF_ONE, ResumableUploads
from tarmac.services.transfers.upload_records import DAY, KEPT_AFTER_END, UploadRecords
from tarmac.services.transfers.uploads import MOST_OF_ONE, UploadFields

WHO = "joe@pve"
CONTENT = bytes(range(256)) * 1000


class World:
    """Resumable uploads of a site whose clock and host can be moved on."""

    def __init__(self, here: Site) -> None:
        self.site = here
        self.now = 1000.0
        self.host = "first"
        self.service = self.anew()

    def anew(self) -> ResumableUploads:
        records = UploadRecords(self.site.store)
        return ResumableUploads(
            storages=self.site.storages,
            uploads=self.site.uploads,
            records=records,
            clock=lambda: self.now,
            boot=lambda: self.host,
        )

    async def restart(self, host: str) -> None:
        """Another daemon; with another `host`, the machine was started anew, too."""
        self.host, self.service = host, self.anew()
        await self.service.load()
        await self.site.uploads.sweep()

    async def begin(self, size: int = len(CONTENT), **more: str) -> str:
        fields = {"content": "iso", "filename": "x.iso", **more}
        record = await self.service.create(WHO, "local", UploadFields.of(fields, fields["filename"]), size)
        return record.id

    async def send(self, id: str, offset: int, data: bytes, at: int | None = None) -> int:
        async def chunks() -> AsyncIterator[bytes]:
            yield data
            if at is not None:
                raise ConnectionResetError("the client went away")

        _, there = await self.service.append(WHO, "local", id, offset, chunks())
        return there

    async def offset(self, id: str) -> int:
        return (await self.service.look(WHO, "local", id))[1]

    def part(self) -> Path:
        (found,) = (self.site.root / "storage").rglob(".*.part")
        return found


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with site() as here:
        yield World(here)


async def test_a_sweep_leaves_what_can_be_gone_on_with(world: World) -> None:
    id = await world.begin()
    assert await world.send(id, 0, CONTENT[:100]) == 100
    await world.restart("first")
    assert await world.offset(id) == 100


async def test_after_a_restart_of_the_host_only_what_was_synced_counts(world: World) -> None:
    id = await world.begin()
    await world.send(id, 0, CONTENT[:100])
    with world.part().open("ab") as file:  # as the kernel may leave a file behind: longer than what is good in it
        file.write(b"\0" * 5000)
    await world.restart("first")
    assert await world.offset(id) == 5100
    await world.restart("second")
    assert await world.offset(id) == 100
    assert world.part().read_bytes() == CONTENT[:100]
    await world.send(id, 100, CONTENT[100:])
    record, _ = await world.service.look(WHO, "local", id)
    assert (await world.site.done(record.task)).error is None


async def test_a_broken_connection_leaves_what_came(world: World) -> None:
    id = await world.begin()
    with pytest.raises(ConnectionResetError):
        await world.send(id, 0, CONTENT[:5000], at=5000)
    await world.restart("second")
    assert await world.offset(id) == 5000


async def test_one_that_nobody_goes_on_with_is_removed(world: World) -> None:
    id, other = await world.begin(), await world.begin(size=10)
    world.now += DAY - 1
    assert await world.service.expire() == []
    await world.send(other, 0, b"x")
    world.now += 2
    assert await world.service.expire() == [id]
    with pytest.raises(NotFound):
        await world.offset(id)
    assert await world.offset(other) == 1
    assert [path.stat().st_size for path in [world.part()]] == [1]


async def test_one_that_is_being_sent_is_not_removed(world: World) -> None:
    """However long it takes: its time counts from the last byte."""
    id = await world.begin()

    async def slowly() -> AsyncIterator[bytes]:
        yield CONTENT[:100]
        world.now += 2 * DAY
        assert await world.service.expire() == []
        yield CONTENT[100:]

    record, there = await world.service.append(WHO, "local", id, 0, slowly())
    assert there == len(CONTENT)
    assert (await world.site.done(record.task)).error is None


async def test_an_end_can_be_asked_for_a_while(world: World) -> None:
    id = await world.begin(size=0)
    record, offset = await world.service.look(WHO, "local", id)
    assert offset == 0 and (await world.site.done(record.task)).error is None
    world.now += KEPT_AFTER_END + 1
    assert await world.service.expire() == [id]
    assert world.site.files() == ["template/iso/x.iso"]


async def test_all_of_every_open_upload_must_fit_beside_the_reserve(world: World) -> None:
    await world.site.storages.refresh()
    status = await world.site.storages.get("local").status()
    half = int(status.available * 0.45)
    await world.begin(size=half)
    with pytest.raises(NoSpace) as refused:
        await world.begin(size=half + status.available // 10)
    assert refused.value.error_code == "storage-reserve"
    assert len(world.service.rows(WHO, "local")) == 1


async def test_offsets_and_lengths_are_kept(world: World) -> None:
    id = await world.begin(size=10)
    with pytest.raises(Conflict):
        await world.send(id, 1, b"x")
    with pytest.raises(InvalidInput):
        await world.send(id, 0, b"01234567890")
    assert await world.offset(id) == 0
    with pytest.raises(NotFound):
        await world.service.look("ann@pve", "local", id)


async def test_a_wrong_checksum_leaves_no_file(world: World) -> None:
    digest = hashlib.sha256(b"other").hexdigest()
    id = await world.begin(size=3, checksum=digest, **{"checksum-algorithm": "sha256"})
    await world.send(id, 0, b"abc")
    record, _ = await world.service.look(WHO, "local", id)
    ended = await world.site.done(record.task)
    assert ended.error is not None and ended.error["code"] == "checksum-mismatch"
    assert world.site.files() == []


async def test_many_at_once_find_no_way_past_the_limits(world: World) -> None:
    begun = await outcomes(world.begin(filename=f"{n}.iso") for n in range(MOST_OF_ONE + 8))
    assert sum(isinstance(one, str) for one in begun) == MOST_OF_ONE
    assert sum(isinstance(one, Busy) for one in begun) == 8
    for id in begun[:2]:
        assert isinstance(id, str)
        await world.service.remove(WHO, "local", id)
    free = (await world.site.storages.get("local").status()).available
    large = await outcomes(world.begin(free * 2 // 3, filename=f"large{n}.iso") for n in range(2))
    assert any(isinstance(one, NoSpace) for one in large), "each fits, both do not"


async def test_of_many_complete_ones_the_oldest_are_forgotten(world: World) -> None:
    ids = []
    for n in range(KEPT_OF_ONE + 3):
        world.now += 1
        ids.append(await world.begin(0, filename=f"{n % 3}.iso"))
    kept = [record.id for record in world.service.rows(WHO, "local")]
    assert kept == ids[-len(kept) :] and KEPT_OF_ONE <= len(kept) <= KEPT_OF_ONE + 1


async def test_who_may_not_replace_it_any_more_is_refused_at_the_end(world: World) -> None:
    """What keeps one from putting a file in its place may have come about while the upload was open."""
    id = await world.begin(filename="note.yaml", content="snippets")

    def refuse(volid: str) -> None:
        raise Denied(f"not {volid}")

    async def chunks() -> AsyncIterator[bytes]:
        yield CONTENT

    with pytest.raises(Denied, match="not local:snippets/note.yaml"):
        await world.service.append(WHO, "local", id, 0, chunks(), check=refuse)
    assert "snippets/note.yaml" not in world.site.files()
    assert world.service.rows(WHO, "local")[0].task == ""
    with pytest.raises(Denied):
        await world.service.create(WHO, "local", UploadFields(content="snippets", filename="n.yaml"), 10, check=refuse)
    assert len(world.service.rows(WHO, "local")) == 1


async def test_a_snippet_that_is_too_long_is_not_begun(world: World) -> None:
    with pytest.raises(InvalidInput) as refused:
        await world.begin(300_000, filename="note.yaml", content="snippets")
    assert refused.value.error_code == "snippet-too-long"
    assert world.service.rows(WHO, "local") == []
