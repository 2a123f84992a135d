"""What storages of files must do beside what all must: one suite, one parameter per driver."""

from __future__ import annotations

import os
import subprocess

import pytest

from support.volume_io import keeps_owners
from tarmac.drivers.storage.base import FileStorage
from tarmac.drivers.storage.values import NewImage, Owner
from tarmac.drivers.storage.volume_names import Content, parse_volume_name
from tarmac.model.errors import Conflict, InvalidInput, NotFound
from tarmac.model.ids import VolumeId

MIB = 1 << 20


def volid(text: str) -> VolumeId:
    return VolumeId.parse(text)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("vm-100-disk-0.raw", "illegal name 'vm-100-disk-0.raw' - wrong extension for format ('raw != 'qcow2')"),
        ("../vm-1.qcow2", "unable to parse volume filename '../vm-1.qcow2'"),
        ("nothing", "unable to parse volume filename 'nothing'"),
    ],
)
async def test_a_bad_name_is_refused_and_leaves_nothing(files: FileStorage, name: str, text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        await files.allocate(NewImage(100, "qcow2", name=name), size=MIB)
    assert caught.value.message == text
    assert await files.list() == []


async def test_an_image_of_ours_is_copied_with_its_contents(files: FileStorage) -> None:
    source = await files.allocate(NewImage(100, "raw"), size=8 * MIB)
    contents = os.urandom(MIB)
    with files.path(source).open("r+b") as file:
        file.write(contents)
    steps: list[tuple[int, int]] = []
    made = await files.import_image(
        files.path(source), "raw", NewImage(101, "qcow2"), foreign=False, advance=lambda *a: steps.append(a)
    )
    back = await files.import_image(files.path(made), "qcow2", NewImage(102, "raw"), foreign=False)
    assert files.path(back).read_bytes() == contents + bytes(7 * MIB)
    assert steps[-1] == (8 * MIB, 8 * MIB)


@pytest.mark.parametrize("format", ["qcow2", "raw"])
async def test_replaced_contents(files: FileStorage, format: str) -> None:
    made = await files.allocate(NewImage(100, format), size=MIB)
    mode = files.path(made).stat().st_mode
    with files.path(made).open("rb") as opened:
        old = opened.read()
        await files.replace(made, b"new" + bytes(MIB - 3))
        opened.seek(0)
        assert opened.read() == old, "whoever has it open keeps the old contents"
    (layer,) = await files.layers(made)
    flat = files.path(made).with_name("flat")
    subprocess.run(["qemu-img", "convert", "-f", layer.format, "-O", "raw", layer.path, flat], check=True)
    assert flat.read_bytes() == b"new" + bytes(MIB - 3)
    flat.unlink()
    assert files.path(made).stat().st_mode == mode
    assert [v.volid for v in await files.list()] == [made]
    with pytest.raises(NotFound):
        await files.replace(volid("local:100/vm-100-disk-7.raw"), b"")


async def test_files_come_in_whole(files: FileStorage) -> None:
    name = parse_volume_name("iso/debian.iso")
    staged = await files.stage(name, "job/1")
    staged.write_bytes(b"half")
    assert await files.list(Content.ISO) == []
    staged = await files.stage(name, "job/1")
    staged.write_bytes(b"whole")
    made = await files.install(staged, name, replace=False)
    assert await files.install(staged, name, replace=False) == made, "repeating it after a crash is no error"
    assert [(v.volid, v.size, v.format) for v in await files.list(Content.ISO)] == [(made, 5, "iso")]
    second = await files.stage(name, "job/2")
    second.write_bytes(b"second")
    with pytest.raises(Conflict, match="refusing to override existing file 'debian.iso'"):
        await files.install(second, name, replace=False)
    assert files.path(made).read_bytes() == b"whole"
    await files.install(second, name, replace=True)
    assert files.path(made).read_bytes() == b"second"


async def test_the_next_start_removes_what_a_crash_left(files: FileStorage) -> None:
    iso = parse_volume_name("iso/debian.iso")
    disk = parse_volume_name("100/vm-100-disk-0.qcow2")
    for name in (iso, disk):
        (await files.stage(name, "dead")).write_bytes(b"rest")
    alive = await files.stage(iso, "alive")
    removed = await files.sweep(keep=["alive"])
    assert len(removed) == 2
    assert alive.exists()
    assert await files.list() == []
    await files.discard(iso, "alive")
    assert not alive.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
async def test_a_guests_volume_is_its_own(files: FileStorage) -> None:
    keeps_owners(files)
    made = await files.allocate(NewImage(100, "raw", owner=Owner(uid=61234, gid=61235)), size=MIB)
    status = files.path(made).stat()
    assert (status.st_uid, status.st_gid, status.st_mode & 0o7777) == (61234, 61235, 0o600)
    plain = await files.allocate(NewImage(100, "raw"), size=MIB)
    assert files.path(plain).stat().st_mode & 0o7777 == 0o640
