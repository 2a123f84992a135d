"""Disks that become base images while their guests run, with and without snapshots: what every driver that offers it
must do. Data is compared."""

from __future__ import annotations

import os

import pytest

from support.volume_io import (
    MIB,
    clone_format,
    groups_of,
    holds,
    id_of,
    put,
    without_owners,
)
from tarmac.drivers.storage.base import FileStorage, FreezingStorage
from tarmac.drivers.storage.values import NewImage, Owner, SnapshotKind
from tarmac.model.errors import Busy, Conflict, HostFailure, InvalidInput, WrongState
from tarmac.model.ids import VolumeId


async def frozen(storage: FileStorage, format: str = "qcow2") -> tuple[FreezingStorage, VolumeId, VolumeId]:
    """A volume with two megabytes, of which the second was written after it had become a base image."""
    if format not in storage.capabilities.freezes:
        pytest.skip("no such disk becomes a base image here while its guest runs")
    assert isinstance(storage, FreezingStorage)
    volid = await storage.allocate(NewImage(100, format), size=8 * MIB)
    base = VolumeId(storage.id, f"900/base-900-disk-0.{format}")
    await put(storage, volid, 1)
    await storage.freeze_base(volid, base)
    await storage.freeze_base(volid, base)  # repeated after a crash
    assert storage.path(volid).exists(), "until the guest writes elsewhere"
    await storage.guard_base(volid, base)
    await storage.guard_base(volid, base)
    await put(storage, storage.standing(volid, base), 2, at=1)
    return storage, volid, base


@pytest.mark.parametrize("format", ["qcow2", "raw"])
async def test_a_frozen_disk_is_a_base_image_that_others_stand_on(storage: FileStorage, format: str) -> None:
    freezing, volid, base = await frozen(storage, format)
    overlay = freezing.standing(volid, base)
    assert [v.volid for v in await storage.list(vmid=100)] == [overlay]
    await holds(storage, overlay, 1, 2)
    await holds(storage, base, 1, 0)
    clone = await storage.clone(base, NewImage(101, clone_format(storage, base)))
    assert str(clone).startswith(f"{base}/101/")
    await put(storage, clone, 3, at=1)
    await holds(storage, overlay, 1, 2)
    await storage.free(clone)
    await freezing.join_base(volid, base)
    await freezing.join_base(volid, base)
    await holds(storage, volid, 1, 2)
    assert [v.volid for v in await storage.list()] == [volid], "the base is gone"
    await put(storage, volid, 4)


@pytest.mark.parametrize("format", ["qcow2", "raw"])
async def test_a_freeze_that_nobody_wrote_after_is_taken_back(storage: FileStorage, format: str) -> None:
    if format not in storage.capabilities.freezes:
        pytest.skip("no such disk becomes a base image here while its guest runs")
    assert isinstance(storage, FreezingStorage)
    volid = await storage.allocate(NewImage(100, format), size=8 * MIB)
    base = VolumeId(storage.id, f"900/base-900-disk-0.{format}")
    await storage.unfreeze_base(volid, base)  # it never happened
    await put(storage, volid, 1)
    await storage.freeze_base(volid, base)
    await storage.unfreeze_base(volid, base)
    await storage.unfreeze_base(volid, base)
    await holds(storage, volid, 1, 0)
    assert [v.volid for v in await storage.list()] == [volid]
    # Cut off between the second name and the overlay: both names lead to one image.
    place, below = storage.path(volid), storage.path(base)
    below.parent.mkdir(exist_ok=True)
    os.link(place, below)
    await storage.unfreeze_base(volid, base)
    assert place.exists() and not below.exists()
    os.makedirs(below.parent, exist_ok=True)
    os.link(place, below)
    await storage.freeze_base(volid, base)
    await holds(storage, storage.standing(volid, base), 1, 0)


async def with_a_snapshot(storage: FileStorage) -> tuple[FreezingStorage, VolumeId, VolumeId]:
    """`frozen`, of a volume that had two snapshots before, of which the first holds its first megabyte."""
    if "qcow2" not in storage.capabilities.freezes:
        pytest.skip("no disk becomes a base image here while its guest runs")
    if without_owners(storage):
        pytest.skip("CIFS does not count the names of a file")
    assert isinstance(storage, FreezingStorage)
    owner = Owner(uid=61234, gid=61234) if os.geteuid() == 0 else None
    volid = await storage.allocate(NewImage(100, "qcow2", owner=owner), size=8 * MIB)
    base = VolumeId(storage.id, "900/base-900-disk-0.qcow2")
    await put(storage, volid, 1)
    await storage.snapshot(volid, "first", owner=owner)
    await put(storage, volid, 2, at=1)
    await storage.snapshot(volid, "second", owner=owner)
    await put(storage, volid, 3, at=2)
    await storage.freeze_base(volid, base, owner=owner)
    await storage.freeze_base(volid, base, owner=owner)  # repeated after a crash
    await storage.guard_base(volid, base, gid=61300 if owner else None)
    await put(storage, storage.standing(volid, base), 4, at=3)
    return storage, volid, base


async def test_a_volume_with_snapshots_is_frozen_and_joined(storage: FileStorage) -> None:
    """Its snapshots stay what they were, before and after; those that the frozen state stands on cannot go."""
    freezing, volid, base = await with_a_snapshot(storage)
    layered = storage.capabilities.snapshots["qcow2"] is SnapshotKind.OVERLAY
    overlay = freezing.standing(volid, base)
    await holds(storage, overlay, 1, 2, 3, 4)
    await holds(storage, base, 1, 2, 3, 0)
    await holds(storage, volid, 1, 0, 0, 0, snapshot="first")
    points = {point.name: point.held for point in await storage.snapshots(overlay)}
    assert points == ({"first": (900,), "second": (900,)} if layered else {"first": (), "second": ()})
    clone = await storage.clone(base, NewImage(101, clone_format(storage, base)))
    await put(storage, clone, 5, at=1)
    if layered:
        with pytest.raises(Busy, match="cannot be removed yet"):
            await storage.delete_snapshot(volid, "first")
    await storage.snapshot(overlay, "later")
    await put(storage, overlay, 6, at=3)
    await storage.delete_snapshot(overlay, "later")
    await holds(storage, overlay, 1, 2, 3, 6)
    await storage.free(clone)
    if os.geteuid() == 0:
        assert await storage.give(overlay, Owner(uid=61234, gid=61234)) == groups_of(storage, 61300)
        below = (await storage.layers(overlay))[1:]
        assert {(layer.path.stat().st_uid, layer.path.stat().st_gid) for layer in below} == {(0, 61300)}
        assert all(layer.path.stat().st_mode & 0o333 == 0 for layer in below), "nobody writes to them"
    await freezing.join_base(volid, base, owner=Owner(uid=61234, gid=61234) if os.geteuid() == 0 else None)
    assert [v.volid for v in await storage.list()] == [volid] and await storage.lost_points() == ()
    assert not storage.path(base).parent.exists()
    await holds(storage, volid, 1, 2, 3, 6)
    if os.geteuid() == 0:
        chain = await storage.layers(volid)
        assert {(layer.path.stat().st_uid, layer.path.stat().st_mode & 0o777) for layer in chain} == {(61234, 0o600)}
    await storage.delete_snapshot(volid, "first")
    await holds(storage, volid, 1, 2, 0, 0, snapshot="second")
    await storage.rollback(volid, "second")
    await holds(storage, volid, 1, 2, 0, 0)


async def test_a_volume_goes_back_to_a_snapshot_that_a_frozen_state_stands_on(storage: FileStorage) -> None:
    freezing, volid, base = await with_a_snapshot(storage)
    clone = await storage.clone(base, NewImage(101, clone_format(storage, base)))
    await storage.rollback(volid, "first")
    await put(storage, volid, 7, at=1)
    await holds(storage, volid, 1, 7, 0, 0)
    await holds(storage, clone, 1, 2, 3, 0)
    # Frozen once more: both states stand on the first layer, until the older one goes.
    second = VolumeId(storage.id, "901/base-901-disk-0.qcow2")
    await freezing.freeze_base(volid, second)
    await freezing.guard_base(volid, second, gid=61301 if os.geteuid() == 0 else None)
    await holds(storage, await storage.clone(second, NewImage(102, clone_format(storage, second))), 1, 7)
    await storage.free(clone)
    await storage.free(base)
    await holds(storage, second, 1, 7)
    if os.geteuid() == 0 and storage.capabilities.snapshots["qcow2"] is SnapshotKind.OVERLAY:
        assert {layer.path.stat().st_gid for layer in await storage.layers(second)} == {61301}
    await storage.free(id_of(storage, 102, "vm-102-disk-0", "qcow2"))
    await freezing.join_base(volid, second)
    await storage.delete_snapshot(volid, "second")
    await storage.delete_snapshot(volid, "first")
    await holds(storage, volid, 1, 7)
    assert len(await storage.layers(volid)) == 1 and [v.volid for v in await storage.list()] == [volid]


async def test_clones_outlive_a_volume_with_snapshots(storage: FileStorage) -> None:
    freezing, volid, base = await with_a_snapshot(storage)
    clone = await storage.clone(base, NewImage(101, clone_format(storage, base)))
    await storage.free(freezing.standing(volid, base))
    await holds(storage, clone, 1, 2, 3, 0)
    assert await storage.lost_points() == (), "they are the frozen state's"
    await storage.free(clone)
    await storage.free(base)
    assert await storage.list() == [] and not storage.path(base).parent.exists()


async def test_snapshots_are_not_frozen_where_names_are_not_counted(
    storage: FileStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on CIFS: nothing would tell that a state stands on them."""
    if storage.capabilities.snapshots.get("qcow2") is not SnapshotKind.OVERLAY:
        pytest.skip("snapshots are no layers here")
    assert isinstance(storage, FreezingStorage)
    monkeypatch.setattr(storage, "_names_count", False)
    volid = await storage.allocate(NewImage(100, "qcow2"), size=8 * MIB)
    await put(storage, volid, 1)
    await storage.snapshot(volid, "first")
    base = VolumeId(storage.id, "900/base-900-disk-0.qcow2")
    with pytest.raises(HostFailure, match="does not say which snapshots") as caught:
        await storage.freeze_base(volid, base)
    assert caught.value.error_code == "names-not-counted" and "snap-first" in caught.value.evidence
    await holds(storage, volid, 1, 0, 0, 0)
    assert [v.volid for v in await storage.list()] == [volid]


async def test_a_raw_volume_with_snapshots_is_not_frozen(storage: FileStorage) -> None:
    if "raw" not in storage.capabilities.freezes or "raw" not in storage.capabilities.snapshots:
        pytest.skip("no raw disk with snapshots becomes a base image here")
    assert isinstance(storage, FreezingStorage)
    volid = await storage.allocate(NewImage(100, "raw"), size=MIB)
    await storage.snapshot(volid, "one")
    with pytest.raises(WrongState, match="has snapshots"):
        await storage.freeze_base(volid, VolumeId(storage.id, "900/base-900-disk-0.raw"))


async def test_what_was_written_before_a_crash_is_joined(storage: FileStorage) -> None:
    """The guest wrote to the overlay, and ended before the raw image had lost its name."""
    if "raw" not in storage.capabilities.freezes:
        pytest.skip("no raw disk becomes a base image here while its guest runs")
    assert isinstance(storage, FreezingStorage)
    volid = await storage.allocate(NewImage(100, "raw"), size=8 * MIB)
    base = VolumeId(storage.id, "900/base-900-disk-0.raw")
    await storage.freeze_base(volid, base)
    await put(storage, storage.standing(volid, base), 2, at=1)
    await storage.join_base(volid, base)
    await holds(storage, volid, 0, 2)
    assert [v.volid for v in await storage.list()] == [volid]


async def test_a_base_of_another_name_is_not_taken(storage: FileStorage) -> None:
    freezing, volid, base = await frozen(storage)
    other = await storage.allocate(NewImage(102, "qcow2"), size=8 * MIB)
    with pytest.raises(Conflict):
        await freezing.freeze_base(other, base)
    with pytest.raises(InvalidInput):
        await freezing.freeze_base(base, volid)
