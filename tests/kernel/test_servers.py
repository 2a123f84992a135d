"""File servers that go away and come back, and guests' users on file systems of the network. In the guest only."""

from __future__ import annotations

import asyncio
import functools
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import cast

import pytest

from support.kernel_storages import DEFINITIONS, SECRETS, kernel_storage
from support.volume_io import MIB, holds, means_below, put, without_owners
from tarmac.drivers.storage.base import FileStorage, Storage
from tarmac.drivers.storage.build import build_storage
from tarmac.drivers.storage.jail import Jail
from tarmac.drivers.storage.values import NewImage, Owner
from tarmac.drivers.store.memory import MemoryStore
from tarmac.model.errors import TarmacError
from tarmac.model.ids import VolumeId
from tarmac.services.storage.storages import Storages

HOUSE = {"local", "nfs", "cifs", "lvmthin"}
GUEST = Owner(uid=61234, gid=61235)


def sh(words: str) -> str:
    done = subprocess.run(["sh", "-ec", words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


STOP = {"nfs": "rpc.nfsd 0", "cifs": "pkill -STOP smbd"}
START = {"nfs": "rpc.nfsd -G 10 -L 10 4; echo Y >/proc/fs/nfsd/v4_end_grace", "cifs": "pkill -CONT smbd"}


@pytest.fixture
async def storages() -> AsyncIterator[Storages]:
    """The service with `local`, a share of either kind, and thin volumes."""
    base = Path(tempfile.mkdtemp(prefix="tarmac-site-"))
    build = functools.partial(build_storage, means=means_below(base, Jail()))
    made = Storages(node="n1", store=MemoryStore(), build=build, data=base / "storage")
    await made.start()
    for kind in ("nfs", "cifs", "lvmthin"):
        more = {"path": f"/mnt/pve/{kind}"} if "path" in DEFINITIONS[kind] else {}
        await created(made, {**DEFINITIONS[kind], **SECRETS.get(kind, {}), **more, "storage": kind})
    yield made
    for kind in ("nfs", "cifs", "lvmthin"):
        driver = made.get(kind)
        for volume in await driver.list():
            await driver.free(volume.volid)
        await made.delete(kind)


async def created(storages: Storages, texts: dict[str, str]) -> None:
    """What is made must answer within seconds, which a crowded machine may not manage at the first try."""
    deadline = time.monotonic() + 120
    while True:
        try:
            await storages.create(texts)
            return
        except TarmacError as problem:
            if problem.error_code != "storage-timeout" or time.monotonic() > deadline:
                raise


async def eventually(done: Callable[[], bool], again: Callable[[], object]) -> None:
    deadline = time.monotonic() + 120
    while not done():
        assert time.monotonic() < deadline
        await asyncio.sleep(1)
        result = again()
        if asyncio.iscoroutine(result):
            await result


@pytest.mark.parametrize("kind", STOP)
async def test_a_server_that_goes_away_is_stale_and_hurts_nobody_and_comes_back(storages: Storages, kind: str) -> None:
    far = storages.get(kind)
    volid = await far.allocate(NewImage(100, "qcow2"), size=8 * MIB)
    await put(far, volid, 7)
    await eventually(lambda: all(storages.probe[id].active for id in HOUSE), storages.refresh)
    sh(STOP[kind])
    try:
        async with asyncio.timeout(60):  # its deadline, on a crowded machine
            await storages.refresh()
        probed = storages.probe[kind]
        assert probed.stale and probed.problem is not None and probed.problem.error_code == "storage-timeout"
        for id in HOUSE - {kind}:
            made = await storages.get(id).allocate(NewImage(101, "raw"), size=MIB)
            await storages.get(id).free(made)
        with pytest.raises(TarmacError):
            await far.info(volid)
    finally:
        sh(START[kind])
    await eventually(lambda: storages.probe[kind].active, storages.refresh)
    await holds(far, volid, 7)
    await far.free(volid)


@pytest.mark.parametrize("kind", ["nfs", "cifs"])
async def test_a_guests_user_opens_its_own_disk_and_nobody_else_does(kind: str) -> None:
    async with kernel_storage(kind) as made:
        volid = await made.allocate(NewImage(100, "qcow2", owner=GUEST), size=8 * MIB)
        base = await made.make_base(await made.allocate(NewImage(9000, "qcow2"), size=8 * MIB), gid=61300)
        clone = await made.clone(base, NewImage(101, "qcow2", owner=GUEST))
        await made.snapshot(volid, "a", owner=GUEST)
        for volume in (volid, clone):
            groups = await made.give(volume, GUEST)
            words = as_guest(made, volume, GUEST.uid, groups)
            sh(words + " -c 'write -P 9 0 1M' -c flush")
            others = frozenset[int]() if without_owners(made) else groups
            assert "Permission denied" in refused(as_guest(made, volume, GUEST.uid + 1, others) + " -c 'read 0 1M'")
        assert "Permission denied" in refused(as_guest(made, base, GUEST.uid, groups) + " -c 'write 0 1M'")


def as_guest(made: Storage, volid: VolumeId, uid: int, groups: frozenset[int]) -> str:
    """qemu-io as QEMU opens a disk of a guest: its own user, O_DIRECT, locks."""
    extra = ",".join(map(str, groups))
    more = f"--groups {extra}" if extra else "--clear-groups"
    return f"setpriv --reuid {uid} --regid {GUEST.gid} {more} qemu-io -n -f qcow2 {cast(FileStorage, made).path(volid)}"


def refused(words: str) -> str:
    done = subprocess.run(["sh", "-c", words], capture_output=True, text=True)
    return done.stdout + done.stderr


async def test_a_server_that_squashes_root_says_what_helps() -> None:
    texts = {"storage": "nas", "type": "nfs", "server": "127.0.0.1", "export": "/srv/squashed", "path": "/mnt/squashed"}
    base = Path(tempfile.mkdtemp(prefix="tarmac-squashed-"))
    build = functools.partial(build_storage, means=means_below(base, Jail()))
    storages = Storages(node="n1", store=MemoryStore(), build=build, data=base / "storage")
    await storages.start()
    await created(storages, texts)
    made = storages.get("nas")
    with pytest.raises(TarmacError) as caught:
        await made.allocate(NewImage(100, "raw", owner=GUEST), size=MIB)
    assert any("no_root_squash" in fix.text for fix in caught.value.fixes), caught.value
    assert await made.list() == []
    plain = await made.allocate(NewImage(100, "raw"), size=MIB)
    with pytest.raises(TarmacError) as caught:
        await made.give(plain, GUEST)
    assert any("no_root_squash" in fix.text for fix in caught.value.fixes), caught.value
    await made.free(plain)
    await storages.delete("nas")


async def test_a_share_that_refuses_or_is_not_there_says_why() -> None:
    base = Path(tempfile.mkdtemp(prefix="tarmac-refused-"))
    build = functools.partial(build_storage, means=means_below(base, Jail()))
    storages = Storages(node="n1", store=MemoryStore(), build=build, data=base / "storage")
    await storages.start()
    for texts in (
        {**DEFINITIONS["nfs"], "export": "/nothing"},
        {**DEFINITIONS["cifs"], "password": "wrong"},
        {**DEFINITIONS["cifs"], "password": "secret", "share": "nothing"},
    ):
        with pytest.raises(TarmacError) as caught:
            await storages.create({**texts, "storage": "nas"})
        assert caught.value.error_code == "storage-mount", caught.value
        print(caught.value.message, caught.value.cause, caught.value.evidence)
        assert "secret" not in caught.value.evidence
