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
)
from tarmac.drivers.storage.base import Storage
from tarmac.drivers.storage.values import NewImage, Owner, SnapshotKind
from tarmac.model.errors import Conflict, InvalidInput, NotFound, WrongState
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
