"""Points in time, base images and clones: what every storage driver that offers them must do. Data is compared."""

from __future__ import annotations

import json
import os
import subprocess

import pytest

from support.volume_io import (
    MIB,
    clone_format,
    groups_of,
    holds,
    id_of,
    io,
    keeps_owners,
    needs,
    opened,
    put,
    without_owners,
)
from tarmac.drivers.storage.base import FileStorage, FreezingStorage, Storage
from tarmac.drivers.storage.values import NewImage, Owner, SnapshotKind
from tarmac.model.errors import Busy, Conflict, HostFailure, InvalidInput, NotFound, WrongState
from tarmac.model.ids import VolumeId


def able(storage: Storage) -> str:
    """A format whose points in time the storage keeps."""
    return "qcow2" if "qcow2" in storage.capabilities.snapshots else "raw"


async def new(storage: Storage, vmid: int = 100, format: str = "") -> VolumeId:
    format = format or able(storage)
    if format not in storage.capabilities.snapshots:
        pytest.skip(f"no points in time of {format} images here")
    return await storage.allocate(NewImage(vmid, format), size=8 * MIB)


def cloning(storage: Storage, format: str = "") -> str:
    """The format; skips the test where no base images of it are to be had."""
    if not storage.capabilities.linked_clones:
        pytest.skip("no base images here")
    return needs(storage, format or storage.capabilities.formats[0])


@pytest.mark.parametrize("format", ["qcow2", "raw"])
async def test_a_point_in_time_keeps_what_was(storage: Storage, format: str) -> None:
    volid = await new(storage, format=format)
    await put(storage, volid, 1)
    await storage.snapshot(volid, "before")
    await storage.snapshot(volid, "before")  # repeated after a crash
    await put(storage, volid, 2)
    await holds(storage, volid, 2, 0)
    await holds(storage, volid, 1, 0, snapshot="before")
    assert [s.name for s in await storage.snapshots(volid)] == ["before"]
    assert [v.volid for v in await storage.list()] == [volid], "layers are hidden"
    await storage.rollback(volid, "before")
    await storage.rollback(volid, "before")
    await holds(storage, volid, 1, 0)
    await put(storage, volid, 3, at=1)
    await storage.delete_snapshot(volid, "before")
    await storage.delete_snapshot(volid, "before")
    await holds(storage, volid, 1, 3)
    assert await storage.snapshots(volid) == ()
    assert len(await storage.layers(volid)) == 1
    with pytest.raises(NotFound, match="snapshot 'before' of"):
        await storage.rollback(volid, "before")


async def test_a_tree_of_them_and_removals_in_any_order(storage: Storage) -> None:
    volid = await new(storage)
    for mark, name in ((1, "a"), (2, "b"), (3, "c")):
        await put(storage, volid, mark)
        await put(storage, volid, mark, at=mark)
        await storage.snapshot(volid, name)
    await put(storage, volid, 9)
    await storage.rollback(volid, "a")
    await put(storage, volid, 7, at=4)
    await storage.snapshot(volid, "d")
    await put(storage, volid, 8)
    await holds(storage, volid, 8, 1, 0, 0, 7)
    if storage.capabilities.snapshots[able(storage)] is SnapshotKind.OVERLAY:
        parents = {s.name: s.parent for s in await storage.snapshots(volid)}
        assert parents == {"a": None, "b": "a", "c": "b", "d": "a"}
    await storage.delete_snapshot(volid, "b")
    await holds(storage, volid, 3, 1, 2, 3, snapshot="c")
    await storage.delete_snapshot(volid, "a")  # two branches stand on it where points in time are layers
    await holds(storage, volid, 1, 1, 0, 0, 7, snapshot="d")
    await holds(storage, volid, 8, 1, 0, 0, 7)
    await storage.delete_snapshot(volid, "c")
    await storage.delete_snapshot(volid, "a")
    await holds(storage, volid, 8, 1, 0, 0, 7)
    await holds(storage, volid, 1, 1, 0, 0, 7, snapshot="d")
    await storage.delete_snapshot(volid, "d")
    await holds(storage, volid, 8, 1, 0, 0, 7)
    assert await storage.snapshots(volid) == ()


async def test_a_snapshot_is_taken_back(storage: Storage) -> None:
    volid = await new(storage)
    await storage.unsnapshot(volid, "never")
    await put(storage, volid, 1)
    await storage.snapshot(volid, "early")
    await put(storage, volid, 2)
    await storage.snapshot(volid, "taken")
    await storage.unsnapshot(volid, "taken")
    await storage.unsnapshot(volid, "taken")
    await holds(storage, volid, 2)
    assert [s.name for s in await storage.snapshots(volid)] == ["early"]


async def test_a_name_that_is_taken_by_an_older_one(storage: Storage) -> None:
    volid = await new(storage)
    if storage.capabilities.snapshots[able(storage)] is not SnapshotKind.OVERLAY:
        pytest.skip("copies stand beside each other")
    await storage.snapshot(volid, "one")
    await storage.snapshot(volid, "two")
    with pytest.raises(Conflict, match="snapshot 'one' of .* exists already"):
        await storage.snapshot(volid, "one")


async def test_a_grown_volume_keeps_its_size_when_a_snapshot_goes(storage: Storage) -> None:
    volid = await new(storage)
    await put(storage, volid, 1)
    await storage.snapshot(volid, "small")
    await storage.resize(volid, 16 * MIB)
    await put(storage, volid, 2, at=12)
    await storage.delete_snapshot(volid, "small")
    assert (await storage.info(volid)).size == 16 * MIB
    await holds(storage, volid, 1, *[0] * 11, 2)


async def test_removing_a_volume_removes_its_points_in_time(storage: Storage) -> None:
    volid = await new(storage)
    await storage.snapshot(volid, "a")
    await storage.snapshot(volid, "b")
    assert await storage.free(volid) is True
    assert await storage.list() == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
async def test_layers_belong_to_the_guest(storage: Storage) -> None:
    owner = Owner(uid=61234, gid=61235)
    if not storage.capabilities.files:
        pytest.skip("no files")
    keeps_owners(storage)
    volid = await storage.allocate(NewImage(100, "qcow2", owner=owner), size=MIB)
    await storage.snapshot(volid, "a", owner=owner)
    assert await storage.give(volid, owner) == frozenset()
    for layer in await storage.layers(volid):
        status = layer.path.stat()
        assert (status.st_uid, status.st_mode & 0o7777) == (61234, 0o600), layer.path


# -- base images and clones --------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", ["qcow2", "raw"])
async def test_clones_stand_on_a_base_that_nothing_changes(storage: Storage, format: str) -> None:
    source = await storage.allocate(NewImage(9000, cloning(storage, format)), size=8 * MIB)
    await put(storage, source, 1)
    base = await storage.make_base(source, gid=61300)
    assert base == id_of(storage, 9000, "base-9000-disk-0", format)
    assert await storage.make_base(base) == base
    assert await storage.make_base(source) == base
    kind = clone_format(storage, base)
    clones = [await storage.clone(base, NewImage(vmid, kind, token=f"job {vmid}")) for vmid in (100, 101)]
    name = storage.parse(clones[0])
    assert str(name) == str(storage.clone_name(storage.parse(base), 100, "vm-100-disk-0"))
    assert name.format == (format if format in storage.capabilities.plain_clones else "qcow2")
    if format in storage.capabilities.plain_clones:
        assert len(await storage.layers(clones[0])) == 1
    again = await storage.clone(base, NewImage(100, kind, name=name.file, token="job 100"))
    assert again == clones[0], "repeated after a crash"
    await put(storage, clones[0], 2)
    await holds(storage, clones[0], 2, 0)
    await holds(storage, clones[1], 1, 0)
    if storage.capabilities.files:
        clones.append(await _overlay(storage, base, format))
    assert {str(v.volid) for v in await storage.list()} == {str(base), *map(str, clones)}
    for clone in clones:
        assert await storage.free(clone) is True


async def _overlay(storage: Storage, base: VolumeId, format: str) -> VolumeId:
    """An overlay on a base image of files, whatever linked clones of that format are; and what guards the base."""
    overlay = await storage.clone(base, NewImage(102, "qcow2", name="vm-102-disk-0.qcow2"))
    assert str(overlay) == f"local:9000/base-9000-disk-0.{format}/102/vm-102-disk-0.qcow2"
    below = (await storage.layers(overlay))[-1]
    io(below, "read -P 1 0 1M", read_only=True)
    if os.geteuid() == 0:
        given = await storage.give(overlay, Owner(uid=61234, gid=61235))
        assert given == groups_of(storage, 61300)
        flags = subprocess.run(["lsattr", "-d", below.path], capture_output=True, text=True).stdout
        flags = flags.partition(" ")[0]  # nothing where the file system has none
        if "i" in flags:
            with pytest.raises(PermissionError):
                below.path.open("r+b")
        if str(below.path).endswith("/disk.raw"):
            with pytest.raises(OSError, match="Read-only file system"):
                below.path.open("r+b")
    return overlay


@pytest.mark.parametrize("format", ["qcow2", "raw"])
async def test_a_base_becomes_a_plain_image_again(storage: Storage, format: str) -> None:
    source = await storage.allocate(NewImage(9000, cloning(storage, format)), size=MIB)
    base = await storage.make_base(source)
    assert await storage.unmake_base(base) == source
    assert await storage.unmake_base(source) == source
    io((await storage.layers(source))[0], "write -P 5 0 64k")


async def test_what_cannot_be_a_base(storage: Storage) -> None:
    volid = await new(storage)
    with pytest.raises(InvalidInput, match="no base image"):
        await storage.clone(volid, NewImage(101, able(storage)))
    with pytest.raises(NotFound):
        await storage.make_base(id_of(storage, 100, "vm-100-disk-7", able(storage)))
    await storage.snapshot(volid, "a")
    with pytest.raises(WrongState, match="has snapshots"):
        await storage.make_base(volid)


async def test_a_clone_has_points_in_time_and_becomes_a_base_itself(storage: Storage) -> None:
    format = cloning(storage)
    base = await storage.make_base(await storage.allocate(NewImage(9000, format), size=8 * MIB))
    clone = await storage.clone(base, NewImage(100, clone_format(storage, base)))
    await put(storage, clone, 1)
    await storage.snapshot(clone, "a")
    await put(storage, clone, 2)
    await holds(storage, clone, 1, snapshot="a")
    await storage.rollback(clone, "a")
    await holds(storage, clone, 1)
    await storage.delete_snapshot(clone, "a")
    await holds(storage, clone, 1)
    second = await storage.make_base(clone)
    named = storage.clone_name(storage.parse(base), 100, "base-100-disk-0")
    assert second == VolumeId(storage.id, str(named))
    lower = id_of(storage, 100, "base-100-disk-0", format)
    upper = await storage.clone(lower, NewImage(101, clone_format(storage, lower)))
    await holds(storage, upper, 1)
    assert len(await storage.layers(upper)) == (3 if storage.capabilities.files else 1)
    assert await storage.free(upper) is True


@pytest.mark.parametrize("format", ["qcow2", "raw"])
async def test_a_full_copy_stands_on_nothing(storage: Storage, format: str) -> None:
    needs(storage, format)
    base = await storage.make_base(await storage.allocate(NewImage(9000, cloning(storage)), size=8 * MIB))
    clone = await storage.clone(base, NewImage(100, clone_format(storage, base)))
    await put(storage, clone, 4)
    await storage.snapshot(clone, "a")
    await put(storage, clone, 5)
    for snapshot, mark in ((None, 5), ("a", 4)):
        copied = await storage.copy((await storage.layers(clone, snapshot))[0], NewImage(101, format))
        await holds(storage, copied, mark, 0)
        assert len(await storage.layers(copied)) == 1
        words = opened((await storage.layers(copied))[0])
        told = subprocess.run(["qemu-img", "info", "--output", "json", *words], capture_output=True)
        assert "backing-filename" not in json.loads(told.stdout)


@pytest.mark.parametrize("format", ["qcow2", "raw"])
async def test_shared_blocks_take_no_space(storage: Storage, format: str) -> None:
    if not storage.capabilities.shares_blocks:
        pytest.skip("this file system shares no blocks")
    volid = await new(storage, format=format)
    io((await storage.layers(volid))[0], "write -P 1 0 8M")
    os.sync()
    before = (await storage.status()).used
    for name in ("a", "b", "c"):
        await storage.snapshot(volid, name)
    copies = [await storage.copy((await storage.layers(volid))[0], NewImage(101 + n, format)) for n in range(3)]
    os.sync()
    assert (await storage.status()).used - before < 4 * MIB
    await put(storage, copies[0], 2)
    await holds(storage, volid, *[1] * 8)
    await holds(storage, volid, *[1] * 8, snapshot="a")
    await holds(storage, copies[0], 2, 1)
    await holds(storage, copies[1], *[1] * 8)


# -- frozen under a running guest ------------------------------------------------------------------------------------


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
