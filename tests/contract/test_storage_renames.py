"""Renaming for another guest, linked clones made whole, points in time without disk: of storages of files."""

from __future__ import annotations

import pytest

from support.volume_io import MIB, holds, put
from tarmac.drivers.storage.base import FileStorage
from tarmac.drivers.storage.values import NewImage, SnapshotKind
from tarmac.model.errors import Conflict, NotFound, WrongState
from tarmac.model.ids import VolumeId


def named(vmid: int, file: str) -> VolumeId:
    return VolumeId("local", f"{vmid}/{file}")


@pytest.mark.parametrize("format", ["qcow2", "raw"])
async def test_an_image_gets_another_guests_name(files: FileStorage, format: str) -> None:
    volid = await files.allocate(NewImage(100, format), size=2 * MIB)
    await put(files, volid, 1)
    other = named(101, f"vm-101-disk-3.{format}")
    await files.rename(volid, other)
    await files.rename(volid, other)  # repeated after a crash
    await holds(files, other, 1, 0)
    assert [v.volid for v in await files.list()] == [other]
    assert not (files.path(volid).parent).exists(), "no empty directory stays"
    await files.rename(other, volid)  # taken back
    await holds(files, volid, 1, 0)
    taken = await files.allocate(NewImage(101, format), size=MIB)
    with pytest.raises(Conflict):
        await files.rename(volid, taken)
    with pytest.raises(NotFound):
        await files.rename(named(300, f"vm-300-disk-0.{format}"), named(301, f"vm-301-disk-0.{format}"))


async def test_one_with_points_in_time_keeps_its_name(files: FileStorage) -> None:
    volid = await files.allocate(NewImage(100, "qcow2"), size=MIB)
    await files.snapshot(volid, "before")
    with pytest.raises(WrongState, match="has snapshots"):
        await files.rename(volid, named(101, "vm-101-disk-0.qcow2"))
    assert [v.volid for v in await files.list()] == [volid]


async def test_a_linked_clone_is_made_whole(files: FileStorage) -> None:
    volid = await files.allocate(NewImage(9000, "qcow2"), size=4 * MIB)
    await put(files, volid, 1)
    await put(files, volid, 2, at=1)
    base = await files.make_base(volid)
    clone = await files.clone(base, NewImage(100, "qcow2"))
    await put(files, clone, 3, at=1)
    moved: list[tuple[int, int]] = []
    await files.detach(clone, advance=lambda done, total: moved.append((done, total)))
    await files.detach(clone)
    plain = named(100, "vm-100-disk-0.qcow2")
    assert len(await files.layers(plain)) == 1 and moved[-1] == (4 * MIB, 4 * MIB)
    await files.unmake_base(base)
    await files.free(volid)
    await holds(files, plain, 1, 3, 0)
    (volume,) = await files.list()
    assert volume.volid == plain, "its name no longer has the base in it"


async def test_points_in_time_without_a_disk_are_found_and_can_go(files: FileStorage) -> None:
    volid = await files.allocate(NewImage(100, "qcow2"), size=MIB)
    await files.snapshot(volid, "one")
    await files.snapshot(volid, "two")
    assert await files.lost_points() == ()
    files.path(volid).unlink()
    found = [(str(id), point.name) for id, point in await files.lost_points()]
    assert found == [(str(volid), "one"), (str(volid), "two")]
    kind = files.capabilities.snapshots["qcow2"]
    for name in ("two", "one") if kind is SnapshotKind.OVERLAY else ("one", "two"):
        await files.delete_snapshot(volid, name)
    assert await files.lost_points() == ()
