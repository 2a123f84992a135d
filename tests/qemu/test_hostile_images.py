"""Images from outside that are made to harm: each is refused or comes out clean, and nothing of the host gets into a
guest's disk. Those that a guest's own QEMU writes: `test_hostile_guests.py`."""

from __future__ import annotations

import os
import shutil
import struct
from pathlib import Path

import pytest

from support.hostile_images import MIB, folder, img, secret, storage
from tarmac.drivers.storage.directory.storage import DirectoryStorage
from tarmac.drivers.storage.jail import Jail, JailLimits
from tarmac.drivers.storage.values import NewImage
from tarmac.model.errors import HostFailure, InvalidInput, NoSpace, TarmacError

__all__ = ["folder", "secret"]


async def refused(folder: Path, image: Path, format: str, word: str = "") -> TarmacError:
    """The image can neither be looked at nor imported, and nothing is left of the attempt."""
    target = storage(folder)
    await target.activate()
    image.chmod(0o644)
    with pytest.raises(InvalidInput) as caught:
        await target.import_image(image, format, NewImage(100, "raw"))
    assert caught.value.error_code == "image-refused"
    assert word in f"{caught.value.cause} {caught.value.evidence}"
    assert caught.value.fixes and caught.value.evidence
    assert [p for p in (folder / "store").rglob("*") if p.is_file()] == []
    return caught.value


async def test_a_backing_file(folder: Path, secret: Path) -> None:
    img("create", "-f", "qcow2", "-b", secret, "-F", "raw", folder / "x.qcow2")
    problem = await refused(folder, folder / "x.qcow2", "qcow2", "backing file")
    assert str(secret) in problem.evidence


async def test_a_data_file(folder: Path, secret: Path) -> None:
    img("create", "-f", "qcow2", "-o", f"data_file={folder}/data,data_file_raw=on", folder / "x.qcow2", "1M")
    await refused(folder, folder / "x.qcow2", "qcow2", "data")


async def test_a_data_file_hidden_from_our_own_look(folder: Path, secret: Path) -> None:
    """Were our reading of the header wrong, the tool inside the jail still could not open another file."""
    img("create", "-f", "qcow2", "-o", f"data_file={folder}/data,data_file_raw=on", folder / "x.qcow2", "1M")
    shutil.copy(secret, folder / "data")
    (folder / "data").chmod(0o644)
    (folder / "x.qcow2").chmod(0o644)
    jail = Jail()
    jail._check_first_bytes = lambda fd, name, format: os.fstat(fd).st_size  # type: ignore[method-assign]
    with pytest.raises(InvalidInput) as caught:
        await jail.inspect(folder / "x.qcow2", "qcow2")
    assert "Permission denied" in caught.value.evidence or "data" in caught.value.cause


@pytest.mark.parametrize("method", [1, 2])
async def test_encryption(folder: Path, method: int) -> None:
    """AES and LUKS, by the header's word (making a real one measures the CPU, which fails on a busy machine)."""
    img("create", "-f", "qcow2", folder / "x.qcow2", "1M")
    await refused(folder, patched(folder / "x.qcow2", 32, ">I", method), "qcow2", "encrypted")


@pytest.mark.parametrize("kind", ["monolithicFlat", "twoGbMaxExtentSparse", "twoGbMaxExtentFlat"])
async def test_vmdk_of_several_files(folder: Path, kind: str) -> None:
    img("create", "-f", "vmdk", "-o", f"subformat={kind}", folder / "x.vmdk", "1M")
    await refused(folder, folder / "x.vmdk", "vmdk", "vmdk-descriptor")


def descriptor(extent: Path) -> str:
    lines = ["# Disk DescriptorFile", "version=1", "CID=1", "parentCID=ffffffff", 'createType="monolithicFlat"']
    return "\n".join([*lines, f'RW 2048 FLAT "{extent}" 0', ""])


async def test_vmdk_with_a_foreign_extent(folder: Path, secret: Path) -> None:
    text = descriptor(secret)
    (folder / "x.vmdk").write_text(text)
    await refused(folder, folder / "x.vmdk", "vmdk", "vmdk-descriptor")


async def test_sparse_vmdk_that_carries_such_a_descriptor(folder: Path, secret: Path) -> None:
    """QEMU reads the descriptor inside a sparse VMDK whose header says capacity 0."""
    text = descriptor(secret)
    header = struct.pack("<4sIIQQQQ", b"KDMV", 1, 3, 0, 128, 8, 8)
    (folder / "x.vmdk").write_bytes(header.ljust(8 * 512, b"\0") + text.encode().ljust(8 * 512, b"\0"))
    await refused(folder, folder / "x.vmdk", "vmdk", "capacity 0")


async def test_vmdk_with_a_parent(folder: Path, secret: Path) -> None:
    img("create", "-f", "vmdk", folder / "base.vmdk", "1M")
    img("create", "-f", "vmdk", "-b", folder / "base.vmdk", "-F", "vmdk", folder / "x.vmdk")
    await refused(folder, folder / "x.vmdk", "vmdk")


@pytest.mark.parametrize("format", ["vmdk", "vhdx", "vdi", "vpc", "qcow2"])
async def test_another_format_than_its_name_says(folder: Path, secret: Path, format: str) -> None:
    other = "qcow2" if format != "qcow2" else "vmdk"
    img("create", "-f", other, folder / "x", "1M")
    await refused(folder, folder / "x", format, "its first bytes do not")


def patched(path: Path, offset: int, layout: str, value: int) -> Path:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(struct.pack(layout, value))
    return path


@pytest.mark.parametrize(
    ("offset", "layout", "value", "word"),
    [
        (24, ">Q", 1 << 62, "larger than"),
        (36, ">I", 1 << 31, "first-level table"),
        (56, ">I", 1 << 24, "reference count table"),
        (20, ">I", 40, "cluster size"),
        (4, ">I", 9, "version"),
        (96, ">I", 60, "refcount"),
        (72, ">Q", 1 << 40, "not known"),
    ],
)
async def test_implausible_headers(folder: Path, offset: int, layout: str, value: int, word: str) -> None:
    img("create", "-f", "qcow2", folder / "x.qcow2", "64M")
    await refused(folder, patched(folder / "x.qcow2", offset, layout, value), "qcow2", word)


@pytest.mark.parametrize("keep", [0, 3, 50, 100, 70_000])
async def test_cut_off_images(folder: Path, keep: int) -> None:
    img("create", "-f", "qcow2", folder / "x.qcow2", "1G")
    with (folder / "x.qcow2").open("r+b") as file:
        file.truncate(keep)
    if keep == 70_000:  # its tables are gone: what can be read is zeroes, or an error, but never a hang
        target = storage(folder)
        try:
            await target.import_image(folder / "x.qcow2", "qcow2", NewImage(100, "qcow2"))
        except (InvalidInput, HostFailure):
            assert await target.list() == []
        return
    await refused(folder, folder / "x.qcow2", "qcow2")


async def test_noise(folder: Path) -> None:
    (folder / "x.qcow2").write_bytes(b"QFI\xfb\0\0\0\3" + os.urandom(100_000))
    await refused(folder, folder / "x.qcow2", "qcow2")


async def test_an_uploaded_raw_image_with_a_qcow2_header(folder: Path, secret: Path) -> None:
    img("create", "-f", "qcow2", "-b", secret, "-F", "raw", folder / "x.raw", "1M")
    (folder / "x.raw").chmod(0o644)
    target = storage(folder)
    made = await target.import_image(folder / "x.raw", "raw", NewImage(100, "raw"))
    contents = (folder / "x.raw").read_bytes()
    assert target.path(made).read_bytes() == contents + bytes(-len(contents) % 512)


async def test_a_small_image_that_unfolds(folder: Path) -> None:
    """32 GiB in a file of 200 KiB stay sparse; an image that would fill the disk ends at the reserve."""
    img("create", "-f", "qcow2", folder / "x.qcow2", "32G")
    target = storage(folder)
    made = await target.import_image(folder / "x.qcow2", "qcow2", NewImage(100, "raw"))
    info = await target.info(made)
    assert info.size == 32 << 30
    assert info.used is not None and info.used < MIB
    await target.free(made)

    img("create", "-f", "raw", folder / "full.raw", "256M")
    with (folder / "full.raw").open("r+b") as file:
        for _ in range(256):
            file.write(b"x" * MIB)
    img("convert", "-c", "-O", "qcow2", folder / "full.raw", folder / "bomb.qcow2")
    assert (folder / "bomb.qcow2").stat().st_size < 2 * MIB
    total = (await target.status()).total
    greedy = DirectoryStorage("local", folder / "store", jail=Jail(limits=JailLimits(reserve=total, reserve_share=1.0)))
    with pytest.raises(NoSpace) as caught:
        await greedy.import_image(folder / "bomb.qcow2", "qcow2", NewImage(100, "raw"))
    assert caught.value.evidence and caught.value.fixes and caught.value.cause
    assert await target.list() == []


async def test_limits_of_memory_and_time_end_the_tool(folder: Path) -> None:
    img("create", "-f", "qcow2", folder / "x.qcow2", "1G")
    (folder / "x.qcow2").chmod(0o644)
    with pytest.raises(InvalidInput):
        await Jail(limits=JailLimits(memory=8 * MIB)).inspect(folder / "x.qcow2", "qcow2")
    with pytest.raises(InvalidInput) as caught:
        await Jail(limits=JailLimits(virtual_size=MIB)).inspect(folder / "x.qcow2", "qcow2")
    assert "larger than 1.00 MiB" in caught.value.cause


async def test_special_files_are_not_opened(folder: Path) -> None:
    os.mkfifo(folder / "x.qcow2")
    with pytest.raises(HostFailure):
        await Jail().inspect(folder / "x.qcow2", "qcow2")
