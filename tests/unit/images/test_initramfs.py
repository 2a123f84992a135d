"""The cpio archive as busybox reads it; modules and libraries as the guest will look for them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tarmac.drivers.images import initramfs
from tarmac.model.errors import HostFailure


def test_archive_is_what_cpio_reads(tmp_path: Path) -> None:
    archive = initramfs.Cpio()
    archive.file("etc/deep/file", b"text\n", 0o640)
    archive.file("empty", b"")
    archive.link("bin/sh", "busybox")
    archive.character("dev/null", 1, 3, 0o666)
    archive.directory("etc")
    data = archive.finish()
    done = subprocess.run(["busybox", "cpio", "-tv"], input=data, capture_output=True, check=True)
    lines = done.stdout.decode().splitlines()
    names = [line.split()[-1] if " -> " not in line else line.split()[-3] for line in lines]
    assert names == ["etc", "etc/deep", "etc/deep/file", "empty", "bin", "bin/sh", "dev", "dev/null"]
    assert any(line.startswith("-rw-r-----") and line.endswith("etc/deep/file") for line in lines)
    assert any(line.startswith("crw-rw-rw-") for line in lines)
    out = subprocess.run(["busybox", "cpio", "-i", "--to-stdout", "etc/deep/file"], input=data, capture_output=True)
    assert out.stdout == b"text\n"


def _module(root: Path, name: str, *info: str) -> None:
    path = root / f"lib/modules/6.1-test/kernel/drivers/{name}.ko"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"\x7fELF\0" + b"".join(text.encode() + b"\0" for text in info) + b"rest")


def test_modules_come_with_what_they_need(tmp_path: Path) -> None:
    _module(tmp_path, "virtio-ring", "depends=")
    _module(tmp_path, "virtio", "depends=virtio-ring")
    _module(tmp_path, "virtio_blk", "alias=virtio:d00000002v*", "depends=virtio_ring,virtio")
    _module(tmp_path, "unused", "depends=virtio")
    modules = initramfs.Modules(tmp_path)
    names = modules.closure(["virtio_blk", "not_in_this_kernel"])
    assert names == ["virtio_ring", "virtio", "virtio_blk"]
    archive = initramfs.Cpio()
    modules.add_to(archive, names)
    data = archive.finish()
    assert b"kernel/virtio_blk.ko: kernel/virtio.ko kernel/virtio-ring.ko\n" in data
    assert b"alias virtio:d00000002v* virtio_blk\n" in data
    assert b"unused" not in data


def test_libraries_of_a_program_are_all_found(tmp_path: Path) -> None:
    """Against this machine's own root: what ldd says, we say."""
    program = Path("/usr/bin/qemu-img")
    lines = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout.splitlines()
    expected = {Path(line.split()[0]).name for line in lines} - {"linux-vdso.so.1"}
    found = initramfs.libraries(program, Path("/"))
    assert {Path(name).name for name in found} == expected
    assert all(path.is_file() and not path.is_symlink() for path in found.values())


def test_a_library_that_no_package_has_is_named(tmp_path: Path) -> None:
    with pytest.raises(HostFailure) as caught:
        initramfs.libraries(Path("/usr/bin/qemu-img"), tmp_path)
    assert caught.value.error_code == "library-absent"
