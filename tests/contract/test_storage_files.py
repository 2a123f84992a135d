"""Renaming for another guest, linked clones made whole, points in time without disk: of storages of files."""

from __future__ import annotations

import pytest

from contract.test_storage_layers import MIB, holds, put
from tarmac.drivers.storage.base import FileStorage, SnapshotKind
from tarmac.model.errors import Conflict, NotFound, WrongState
from tarmac.model.ids import VolumeId


def named(vmid: int, file: str) -> VolumeId:
    return VolumeId("local", f"{vmid}/{file}")


@pytest.mark.parametrize("format", ["qcow2", "raw"])
async def test_an_image_gets_another_guests_name(storage: FileStorage, format: str) -> None:
    volid = await storage.allocate(100, size=2 * MIB, format=format)
    await put(storage, volid, 1)
    other = named(101, f"vm-101-disk-3.{format}")
    await storage.rename(volid, other)
    await storage.rename(volid, other)  # repeated after a crash
    await holds(storage, other, 1, 0)
    assert [v.volid for v in await storage.list()] == [other]
    assert not (storage.path(volid).parent).exists(), "no empty directory stays"
    await storage.rename(other, volid)  # taken back
    await holds(storage, volid, 1, 0)
    taken = await storage.allocate(101, size=MIB, format=format)
    with pytest.raises(Conflict):
        await storage.rename(volid, taken)
    with pytest.raises(NotFound):
        await storage.rename(named(300, f"vm-300-disk-0.{format}"), named(301, f"vm-301-disk-0.{format}"))


async def test_one_with_points_in_time_keeps_its_name(storage: FileStorage) -> None:
    volid = await storage.allocate(100, size=MIB, format="qcow2")
    await storage.snapshot(volid, "before")
    with pytest.raises(WrongState, match="has snapshots"):
        await storage.rename(volid, named(101, "vm-101-disk-0.qcow2"))
    assert [v.volid for v in await storage.list()] == [volid]


async def test_a_linked_clone_is_made_whole(storage: FileStorage) -> None:
    volid = await storage.allocate(9000, size=4 * MIB, format="qcow2")
    await put(storage, volid, 1)
    await put(storage, volid, 2, at=1)
    base = await storage.make_base(volid)
    clone = await storage.clone(base, 100)
    await put(storage, clone, 3, at=1)
    moved: list[tuple[int, int]] = []
    await storage.detach(clone, advance=lambda done, total: moved.append((done, total)))
    await storage.detach(clone)
    plain = named(100, "vm-100-disk-0.qcow2")
    assert len(await storage.layers(plain)) == 1 and moved[-1] == (4 * MIB, 4 * MIB)
    await storage.unmake_base(base)
    await storage.free(volid)
    await holds(storage, plain, 1, 3, 0)
    (volume,) = await storage.list()
    assert volume.volid == plain, "its name no longer has the base in it"


async def test_points_in_time_without_a_disk_are_found_and_can_go(storage: FileStorage) -> None:
    volid = await storage.allocate(100, size=MIB, format="qcow2")
    await storage.snapshot(volid, "one")
    await storage.snapshot(volid, "two")
    assert await storage.lost_points() == ()
    storage.path(volid).unlink()
    found = [(str(id), point.name) for id, point in await storage.lost_points()]
    assert found == [(str(volid), "one"), (str(volid), "two")]
    kind = storage.capabilities.snapshots["qcow2"]
    for name in ("two", "one") if kind is SnapshotKind.OVERLAY else ("one", "two"):
        await storage.delete_snapshot(volid, name)
    assert await storage.lost_points() == ()
