"""What every storage driver must do: one suite, one parameter per driver."""

from __future__ import annotations

import asyncio
import os
import subprocess

import pytest

from tarmac.drivers.storage.base import FileStorage, Owner
from tarmac.drivers.storage.volume_names import Content, parse_volume_name
from tarmac.model.errors import Conflict, InvalidInput, NotFound
from tarmac.model.ids import VolumeId

MIB = 1 << 20


def volid(text: str) -> VolumeId:
    return VolumeId.parse(text)


@pytest.mark.parametrize("format", ["qcow2", "raw"])
async def test_a_volume_from_allocation_to_removal(storage: FileStorage, format: str) -> None:
    made = await storage.allocate(100, size=64 * MIB, format=format)
    assert str(made) == f"local:100/vm-100-disk-0.{format}"
    info = await storage.info(made)
    assert (info.size, info.format, info.vmid, info.content, info.parent) == (64 * MIB, format, 100, "images", None)
    assert info.used is not None and info.used < 8 * MIB
    assert [v.volid for v in await storage.list()] == [made]
    seen = subprocess.run(
        ["qemu-img", "info", "-f", format, storage.path(made)], capture_output=True, text=True, check=True
    )
    assert "virtual size: 64 MiB (67108864 bytes)" in seen.stdout
    assert await storage.free(made) is True
    assert await storage.free(made) is False
    assert await storage.list() == []
    with pytest.raises(NotFound, match=f"volume '{made}' does not exist"):
        await storage.info(made)


async def test_names_are_the_first_free_ones_and_the_owners_own(storage: FileStorage) -> None:
    a = await storage.allocate(100, size=MIB, format="qcow2")
    b = await storage.allocate(100, size=MIB, format="raw")
    c = await storage.allocate(101, size=MIB, format="raw")
    await storage.free(a)
    d = await storage.allocate(100, size=MIB, format="raw")
    assert [str(v).partition(":")[2] for v in (a, b, c, d)] == [
        "100/vm-100-disk-0.qcow2",
        "100/vm-100-disk-1.raw",
        "101/vm-101-disk-0.raw",
        "100/vm-100-disk-0.raw",
    ]
    assert [v.volid for v in await storage.list(vmid=101)] == [c]
    assert await storage.list(Content.ISO) == []


async def test_many_at_once_get_different_names(storage: FileStorage) -> None:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(storage.allocate(100, size=MIB, format="raw")) for _ in range(12)]
    assert len({str(t.result()) for t in tasks}) == 12
    assert len(await storage.list()) == 12


async def test_a_given_name_is_kept_verbatim(storage: FileStorage) -> None:
    made = await storage.allocate(9999, size=MIB, format="raw", name="vm-9999-pvc-0b3c.raw")
    assert str(made) == "local:9999/vm-9999-pvc-0b3c.raw"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("vm-100-disk-0.raw", "illegal name 'vm-100-disk-0.raw' - wrong extension for format ('raw != 'qcow2')"),
        ("../vm-1.qcow2", "unable to parse volume filename '../vm-1.qcow2'"),
        ("nothing", "unable to parse volume filename 'nothing'"),
    ],
)
async def test_a_bad_name_is_refused_and_leaves_nothing(storage: FileStorage, name: str, text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        await storage.allocate(100, size=MIB, format="qcow2", name=name)
    assert caught.value.message == text
    assert await storage.list() == []


async def test_an_existing_volume_is_never_touched(storage: FileStorage) -> None:
    made = await storage.allocate(100, size=MIB, format="raw", token="one")
    storage.path(made).write_bytes(b"precious" + bytes(MIB - 8))
    with pytest.raises(Conflict, match="already exists"):
        await storage.allocate(100, size=MIB, format="raw", name="vm-100-disk-0.raw", token="two")
    assert await storage.free(made, token="two") is False
    assert storage.path(made).read_bytes().startswith(b"precious")
    # The same work again is a repetition, and only it may take its volume back.
    again = await storage.allocate(100, size=MIB, format="raw", name="vm-100-disk-0.raw", token="one")
    assert again == made
    assert storage.path(made).read_bytes().startswith(b"precious")
    assert await storage.free(made, token="one") is True


@pytest.mark.parametrize("format", ["qcow2", "raw"])
async def test_growing(storage: FileStorage, format: str) -> None:
    made = await storage.allocate(100, size=64 * MIB, format=format)
    await storage.resize(made, 96 * MIB)
    await storage.resize(made, 96 * MIB)
    assert (await storage.info(made)).size == 96 * MIB
    with pytest.raises(InvalidInput) as caught:
        await storage.resize(made, 64 * MIB)
    assert caught.value.message == "shrinking disks is not supported"
    assert (await storage.info(made)).size == 96 * MIB


async def test_status_adds_up(storage: FileStorage) -> None:
    status = await storage.status()
    assert 0 < status.available <= status.total
    assert 0 < status.used <= status.total


async def test_names_of_other_storages_and_nonsense(storage: FileStorage) -> None:
    for text in ("other:100/vm-100-disk-0.raw", "local:nonsense", "local:iso/x.exe"):
        with pytest.raises(InvalidInput):
            storage.path(volid(text))
    with pytest.raises(NotFound):
        await storage.resize(volid("local:100/vm-100-disk-7.raw"), MIB)


async def test_an_image_of_ours_is_copied_with_its_contents(storage: FileStorage) -> None:
    source = await storage.allocate(100, size=8 * MIB, format="raw")
    contents = os.urandom(MIB)
    with storage.path(source).open("r+b") as file:
        file.write(contents)
    steps: list[tuple[int, int]] = []
    made = await storage.import_image(
        storage.path(source), "raw", 101, format="qcow2", foreign=False, advance=lambda *a: steps.append(a)
    )
    back = await storage.import_image(storage.path(made), "qcow2", 102, format="raw", foreign=False)
    assert storage.path(back).read_bytes() == contents + bytes(7 * MIB)
    assert steps[-1] == (8 * MIB, 8 * MIB)


@pytest.mark.parametrize("format", ["qcow2", "raw"])
async def test_replaced_contents(storage: FileStorage, format: str) -> None:
    made = await storage.allocate(100, size=MIB, format=format)
    mode = storage.path(made).stat().st_mode
    with storage.path(made).open("rb") as opened:
        old = opened.read()
        await storage.replace(made, b"new" + bytes(MIB - 3))
        opened.seek(0)
        assert opened.read() == old, "whoever has it open keeps the old contents"
    (layer,) = await storage.layers(made)
    flat = storage.path(made).with_name("flat")
    subprocess.run(["qemu-img", "convert", "-f", layer.format, "-O", "raw", layer.path, flat], check=True)
    assert flat.read_bytes() == b"new" + bytes(MIB - 3)
    flat.unlink()
    assert storage.path(made).stat().st_mode == mode
    assert [v.volid for v in await storage.list()] == [made]
    with pytest.raises(NotFound):
        await storage.replace(volid("local:100/vm-100-disk-7.raw"), b"")


async def test_files_come_in_whole(storage: FileStorage) -> None:
    name = parse_volume_name("iso/debian.iso")
    staged = await storage.stage(name, "job/1")
    staged.write_bytes(b"half")
    assert await storage.list(Content.ISO) == []
    staged = await storage.stage(name, "job/1")
    staged.write_bytes(b"whole")
    made = await storage.install(staged, name, replace=False)
    assert await storage.install(staged, name, replace=False) == made, "repeating it after a crash is no error"
    assert [(v.volid, v.size, v.format) for v in await storage.list(Content.ISO)] == [(made, 5, "iso")]
    second = await storage.stage(name, "job/2")
    second.write_bytes(b"second")
    with pytest.raises(Conflict, match="refusing to override existing file 'debian.iso'"):
        await storage.install(second, name, replace=False)
    assert storage.path(made).read_bytes() == b"whole"
    await storage.install(second, name, replace=True)
    assert storage.path(made).read_bytes() == b"second"


async def test_the_next_start_removes_what_a_crash_left(storage: FileStorage) -> None:
    iso = parse_volume_name("iso/debian.iso")
    disk = parse_volume_name("100/vm-100-disk-0.qcow2")
    for name in (iso, disk):
        (await storage.stage(name, "dead")).write_bytes(b"rest")
    alive = await storage.stage(iso, "alive")
    removed = await storage.sweep(keep=["alive"])
    assert len(removed) == 2
    assert alive.exists()
    assert await storage.list() == []
    await storage.discard(iso, "alive")
    assert not alive.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
async def test_a_guests_volume_is_its_own(storage: FileStorage) -> None:
    made = await storage.allocate(100, size=MIB, format="raw", owner=Owner(uid=61234, gid=61235))
    status = storage.path(made).stat()
    assert (status.st_uid, status.st_gid, status.st_mode & 0o7777) == (61234, 61235, 0o600)
    plain = await storage.allocate(100, size=MIB, format="raw")
    assert storage.path(plain).stat().st_mode & 0o7777 == 0o640
