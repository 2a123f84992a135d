"""What every storage driver must do that makes volumes: one suite, one parameter per driver."""

from __future__ import annotations

import asyncio
import os
import subprocess
import tempfile
from pathlib import Path

import pytest

from support.volume_io import id_of, io, needs, opened
from tarmac.drivers.storage.base import Storage
from tarmac.drivers.storage.values import NewImage
from tarmac.drivers.storage.volume_names import Content
from tarmac.model.errors import Conflict, InvalidInput, NotFound
from tarmac.model.ids import VolumeId

MIB = 1 << 20


@pytest.mark.parametrize("format", ["qcow2", "raw"])
async def test_a_volume_from_allocation_to_removal(storage: Storage, format: str) -> None:
    made = await storage.allocate(NewImage(100, needs(storage, format)), size=64 * MIB)
    assert made == id_of(storage, 100, "vm-100-disk-0", format)
    info = await storage.info(made)
    assert (info.size, info.format, info.vmid, info.content, info.parent) == (64 * MIB, format, 100, "images", None)
    assert info.used is not None and (info.used < 8 * MIB if storage.capabilities.thin else info.used == info.size)
    assert abs(info.ctime - __import__("time").time()) < 86400
    assert [v.volid for v in await storage.list()] == [made]
    (layer,) = await storage.layers(made)
    seen = subprocess.run(["qemu-img", "info", *opened(layer)], capture_output=True, text=True, check=True)
    assert "virtual size: 64 MiB (67108864 bytes)" in seen.stdout
    planned = storage.planned(made)
    assert (planned.path, planned.format, planned.protocol) == (layer.path, layer.format, layer.protocol)
    assert storage.location(made) == str(layer.path)
    assert await storage.free(made) is True
    assert await storage.free(made) is False
    assert await storage.list() == []
    with pytest.raises(NotFound, match=f"volume '{made}' does not exist"):
        await storage.info(made)
    with pytest.raises(NotFound, match=f"volume '{made}' does not exist"):
        await storage.layers(made)


async def test_names_are_the_first_free_ones_and_the_owners_own(storage: Storage) -> None:
    first = storage.capabilities.formats[0]
    a = await storage.allocate(NewImage(100, first), size=MIB)
    b = await storage.allocate(NewImage(100, "raw"), size=MIB)
    c = await storage.allocate(NewImage(101, "raw"), size=MIB)
    await storage.free(a)
    d = await storage.allocate(NewImage(100, "raw"), size=MIB)
    assert [a, b, c, d] == [
        id_of(storage, 100, "vm-100-disk-0", first),
        id_of(storage, 100, "vm-100-disk-1", "raw"),
        id_of(storage, 101, "vm-101-disk-0", "raw"),
        id_of(storage, 100, "vm-100-disk-0", "raw"),
    ]
    assert [v.volid for v in await storage.list(vmid=101)] == [c]
    assert await storage.list(Content.ISO) == []


async def test_many_at_once_get_different_names(storage: Storage) -> None:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(storage.allocate(NewImage(100, "raw"), size=MIB)) for _ in range(6)]
    assert len({str(t.result()) for t in tasks}) == 6
    assert len(await storage.list()) == 6


async def test_a_given_name_is_kept_verbatim(storage: Storage) -> None:
    wanted = storage.image_name(9999, "vm-9999-pvc-0b3c", "raw")
    made = await storage.allocate(NewImage(9999, "raw", name=wanted.file), size=MIB)
    assert made == VolumeId(storage.id, str(wanted))


@pytest.mark.parametrize("name", ["../vm-1.qcow2", "nothing", "vm-100-a b.raw", "a/vm-100-disk-0.raw"])
async def test_a_bad_name_is_refused_and_leaves_nothing(storage: Storage, name: str) -> None:
    with pytest.raises(InvalidInput):
        await storage.allocate(NewImage(100, "raw", name=name), size=MIB)
    assert await storage.list() == []


async def test_an_unknown_format_is_refused(storage: Storage) -> None:
    with pytest.raises(InvalidInput, match="Parameter verification failed"):
        await storage.allocate(NewImage(100, "vdi"), size=MIB)


async def test_an_existing_volume_is_never_touched(storage: Storage) -> None:
    made = await storage.allocate(NewImage(100, "raw", token="one"), size=MIB)
    (layer,) = await storage.layers(made)
    io(layer, "write -P 7 0 1M")
    file = storage.parse(made).file
    with pytest.raises(Conflict, match="already exists"):
        await storage.allocate(NewImage(100, "raw", name=file, token="two"), size=MIB)
    assert await storage.free(made, token="two") is False
    # The same work again is a repetition, and only it may take its volume back.
    again = await storage.allocate(NewImage(100, "raw", name=file, token="one"), size=MIB)
    assert again == made
    io(layer, "read -P 7 0 1M", read_only=True)
    assert await storage.free(made, token="one") is True
    assert await storage.free(made, token="one") is False


@pytest.mark.parametrize("format", ["qcow2", "raw"])
async def test_growing(storage: Storage, format: str) -> None:
    made = await storage.allocate(NewImage(100, needs(storage, format)), size=64 * MIB)
    await storage.resize(made, 96 * MIB)
    await storage.resize(made, 96 * MIB)
    assert (await storage.info(made)).size == 96 * MIB
    with pytest.raises(InvalidInput) as caught:
        await storage.resize(made, 64 * MIB)
    assert caught.value.message == "shrinking disks is not supported"
    assert (await storage.info(made)).size == 96 * MIB


async def test_status_adds_up(storage: Storage) -> None:
    status = await storage.status()
    assert 0 < status.available <= status.total
    assert 0 <= status.used <= status.total


async def test_names_of_other_storages_and_nonsense(storage: Storage) -> None:
    for text in ("other:100/vm-100-disk-0.raw", "other:vm-100-disk-0", f"{storage.id}:nonsense"):
        with pytest.raises(InvalidInput):
            storage.location(VolumeId.parse(text))
    with pytest.raises(NotFound):
        await storage.resize(id_of(storage, 100, "vm-100-disk-7", "raw"), MIB)


async def test_an_image_of_ours_is_copied_with_its_contents(storage: Storage) -> None:
    with tempfile.TemporaryDirectory() as folder:
        source, contents = Path(folder) / "x.raw", os.urandom(MIB)
        source.write_bytes(contents + bytes(7 * MIB))
        steps: list[tuple[int, int]] = []
        new = NewImage(101, storage.capabilities.formats[0])
        made = await storage.import_image(source, "raw", new, foreign=False, advance=lambda *a: steps.append(a))
        assert steps[-1] == (8 * MIB, 8 * MIB)
        back = await storage.copy((await storage.layers(made))[0], NewImage(102, "raw"))
        flat = Path(folder) / "back.raw"
        source_words = opened((await storage.layers(back))[0])
        subprocess.run(["qemu-img", "convert", "-O", "raw", *source_words, flat], check=True)
        assert flat.read_bytes() == contents + bytes(7 * MIB)


async def test_a_foreign_image_comes_in_through_the_jail(storage: Storage) -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        good, bad = Path(folder) / "good.qcow2", Path(folder) / "bad.qcow2"
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", good, "8M"], check=True)
        subprocess.run(["qemu-io", "-f", "qcow2", "-c", "write -P 3 1M 1M", good], check=True, capture_output=True)
        subprocess.run(
            ["qemu-img", "create", "-q", "-u", "-f", "qcow2", "-b", "/etc/shadow", "-F", "raw", bad, "1M"], check=True
        )
        made = await storage.import_image(good, "qcow2", NewImage(100, "raw"))
        io((await storage.layers(made))[0], "read -P 0 0 1M", "read -P 3 1M 1M", read_only=True)
        with pytest.raises(InvalidInput) as caught:
            await storage.import_image(bad, "qcow2", NewImage(100, "raw"))
        assert caught.value.error_code == "image-refused"
        assert [v.volid for v in await storage.list()] == [made]


@pytest.mark.parametrize("format", ["qcow2", "raw"])
async def test_replaced_contents(storage: Storage, format: str) -> None:
    made = await storage.allocate(NewImage(100, needs(storage, format)), size=MIB)
    await storage.replace(made, b"\5" * (MIB // 2) + bytes(MIB // 2))
    (layer,) = await storage.layers(made)
    io(layer, "read -P 5 0 512k", "read -P 0 512k 512k", read_only=True)
    assert [v.volid for v in await storage.list()] == [made]
    with pytest.raises(NotFound):
        await storage.replace(id_of(storage, 100, "vm-100-disk-7", format), b"")
