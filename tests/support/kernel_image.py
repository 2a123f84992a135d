"""A Debian whose kernel has what this machine's may lack (NFS, CIFS, device mapper), with servers and tools for them.

It is never a machine of its own: QEMU gets its kernel by `-kernel`, an initramfs of a dozen modules mounts the two
disks, and `kernel_guest.sh` is process 1. So it is up seconds after QEMU's start, without firmware, loader or systemd.
Built by mmdebstrap once per content of this file and shared by all runs, like the other guests' images.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from support.images import cache_directory
from tarmac.drivers.images import initramfs, kernel
from tarmac.drivers.images.mirrors import sources

SUITE = "bookworm"
SIZE = 3 << 30
PACKAGES = (
    *("linux-image-amd64", "busybox-static", "udev", "kmod", "iproute2", "procps", "e2fsprogs"),
    *("nfs-kernel-server", "nfs-common", "samba", "cifs-utils", "keyutils", "lvm2", "thin-provisioning-tools"),
    *("python3", "qemu-utils"),
)
PROGRAMS = ("mmdebstrap", "mke2fs", "lz4", "qemu-img", "qemu-system-x86_64")
_MODULES = ("virtio_pci", "virtio_blk", "ext4", "crc32c_generic", "virtio_console")
_INIT = """\
#!/bin/busybox sh
/bin/busybox mount -t devtmpfs dev /dev
/bin/busybox mount -t proc proc /proc
/bin/busybox modprobe -a {modules}
/bin/busybox umount /proc
/bin/busybox mount -t ext4 /dev/vda /root
/bin/busybox mount -t ext4 -o ro /dev/vdb /root/media
/bin/busybox mount --move /dev /root/dev
exec /bin/busybox switch_root /root /bin/sh /media/tree/tests/support/kernel_guest.sh
"""


@dataclass(frozen=True, slots=True)
class KernelImage:
    """The parts that QEMU starts from: a Debian on a disk that nobody may write to, its kernel, the initramfs."""

    disk: Path
    kernel: Path
    initrd: Path


def lacking() -> str:
    """Why there can be no such guest here, "" when there can."""
    absent = [program for program in PROGRAMS if shutil.which(program) is None]
    if absent:
        return f"no {', '.join(absent)}: apt-get install mmdebstrap e2fsprogs lz4 qemu-utils qemu-system-x86"
    return "" if os.geteuid() == 0 else "only root can make the guest's file system"


def kernel_image() -> KernelImage:
    """The image of this state of the recipe, built now (a minute or two) if no run has done it before."""
    cache = cache_directory()
    cache.mkdir(parents=True, exist_ok=True)
    key = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:16]
    folder = cache / f"kernel-{key}"
    with (cache / "kernel.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            for old in cache.glob("kernel-*"):
                shutil.rmtree(old)
            part = cache / "part-kernel"
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir()
            try:
                _build(part, cache / "work-kernel")
                part.rename(folder)
            finally:
                shutil.rmtree(part, ignore_errors=True)
    return KernelImage(folder / "disk.qcow2", folder / "vmlinuz", folder / "initrd")


def _build(target: Path, cache: Path) -> None:
    root = target / "root"
    _bootstrap(root, cache)
    vmlinuz = next((root / "boot").glob("vmlinuz-*")).read_bytes()
    (target / "vmlinuz").write_bytes(asyncio.run(kernel.repack(vmlinuz, target)))
    (target / "initrd").write_bytes(_initramfs(root))
    shutil.rmtree(root / "boot")
    raw = target / "disk.raw"
    with raw.open("wb") as file:
        file.truncate(SIZE)
    _run("mke2fs", "-q", "-t", "ext4", "-E", "lazy_itable_init=1", "-d", str(root), str(raw))
    _run(
        "qemu-img", "convert", "-O", "qcow2", "-c", "-o", "compression_type=zstd", str(raw), str(target / "disk.qcow2")
    )
    for path in (raw, target / "kernel.flat", target / "kernel.lz4"):
        path.unlink()
    shutil.rmtree(root)


def _bootstrap(root: Path, cache: Path) -> None:
    """Debian in a directory. Downloaded packages are kept in `cache`."""
    cache.mkdir(parents=True, exist_ok=True)
    archives = "/var/cache/apt/archives"
    early = 'mkdir -p "$1/etc/initramfs-tools/conf.d"; echo MODULES=list >"$1/etc/initramfs-tools/conf.d/small"'
    lines = "\n".join([*asyncio.run(sources(SUITE)), ""])
    words = [
        *("mmdebstrap", "--quiet", "--mode=root", "--variant=minbase", "--format=directory"),
        "--skip=essential/unlink",
        f"--include={','.join(PACKAGES)}",
        *(f"--dpkgopt=path-exclude=/usr/share/{part}/*" for part in ("man", "info", "locale", "doc")),
        f'--setup-hook=mkdir -p "$1{archives}"',
        f"--setup-hook=sync-in {cache} {archives}",
        f"--essential-hook={early}",
        f"--customize-hook=sync-out {archives} {cache}",
        *(SUITE, str(root), "-"),
    ]
    _run(*words, input=lines)


def _initramfs(root: Path) -> bytes:
    """What finds the disks and hands over; not packed, since QEMU puts it into memory at once."""
    archive = initramfs.Cpio()
    for name in ("dev", "proc", "root"):
        archive.directory(name)
    archive.character("dev/console", 5, 1)
    archive.file("bin/busybox", (root / "bin/busybox").read_bytes(), 0o755)
    modules = initramfs.Modules(root)
    modules.add_to(archive, modules.closure(_MODULES))
    archive.file("init", _INIT.format(modules=" ".join(_MODULES)).encode(), 0o755)
    return archive.finish()


def _run(*words: str, input: str | None = None) -> None:
    done = subprocess.run(words, input=input, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{words[0]} failed:\n{done.stderr[-4000:]}")
