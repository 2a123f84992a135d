"""What only a real volume group shows: others' volumes, a restart of the node, a full pool. In the guest only."""

from __future__ import annotations

import os
import subprocess

import pytest

from support.volume_io import MIB, holds, io, put
from tarmac.drivers.storage.base import Storage
from tarmac.drivers.storage.values import NewImage, Owner
from tarmac.model.errors import NotFound, TarmacError
from tarmac.model.ids import VolumeId


def lvm(*words: str) -> str:
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


async def test_others_volumes_are_not_listed_and_not_touched(thin: Storage, plain: Storage) -> None:
    lvm("lvcreate", "-q", "-y", "-L", "8M", "-n", "home", "vg")
    lvm("lvcreate", "-q", "-V", "8M", "-n", "theirs", "--thinpool", "vg/data")
    try:
        ours = await thin.allocate(NewImage(100, "raw"), size=MIB)
        also = await plain.allocate(NewImage(101, "raw"), size=MIB)
        assert [v.volid for v in await thin.list()] == [ours]
        assert [v.volid for v in await plain.list()] == [also]
        for made in (thin, plain):
            with pytest.raises(TarmacError):
                await made.free(VolumeId("local", "home"))
        with pytest.raises(NotFound):
            await plain.info(VolumeId("local", "vm-7-disk-0"))
    finally:
        lvm("lvremove", "-q", "-f", "vg/home", "vg/theirs")


async def test_after_a_restart_of_the_node_volumes_open_again(thin: Storage, plain: Storage) -> None:
    """Nothing is active then but what is asked for."""
    base = await thin.make_base(await thin.allocate(NewImage(9000, "raw"), size=8 * MIB))
    for made in (thin, plain):
        volid = (
            await made.clone(base, NewImage(100, "raw"))
            if made is thin
            else await made.allocate(NewImage(101, "raw"), size=8 * MIB)
        )
        await put(made, volid, 5)
        if made is thin:
            await made.snapshot(volid, "before")
        lvm("vgchange", "-an", "vg")
        await made.activate()
        assert not os.path.exists(made.location(volid))
        await made.give(volid, Owner(uid=61234, gid=61235))
        status = os.stat(made.location(volid))
        assert (status.st_uid, status.st_gid) == (61234, 61235)
        await holds(made, volid, 5)
        if made is thin:
            await holds(made, volid, 5, snapshot="before")


async def test_a_volume_in_use_is_not_removed(thin: Storage, plain: Storage) -> None:
    for made in (thin, plain):
        volid = await made.allocate(NewImage(100, "raw"), size=8 * MIB)
        (layer,) = await made.layers(volid)
        with open(layer.path, "rb"):
            with pytest.raises(TarmacError) as caught:
                await made.free(volid)
            assert caught.value.error_code == "volume-busy", caught.value
        io(layer, "write -P 1 0 1M")
        assert await made.free(volid) is True


async def test_a_volume_grows_while_it_is_open(thin: Storage, plain: Storage) -> None:
    for made in (thin, plain):
        volid = await made.allocate(NewImage(100, "raw"), size=8 * MIB)
        (layer,) = await made.layers(volid)
        with open(layer.path, "rb") as opened:
            await made.resize(volid, 16 * MIB)
            assert opened.seek(0, os.SEEK_END) == 16 * MIB


async def test_what_does_not_fit_is_refused_and_leaves_nothing(plain: Storage) -> None:
    with pytest.raises(TarmacError) as caught:
        await plain.allocate(NewImage(100, "raw"), size=64 << 30)
    assert caught.value.error_code == "no-space", caught.value
    assert await plain.list() == []
