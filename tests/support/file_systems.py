"""Small file systems of other kinds, mounted from a sparse file; always unmounted again, the loop device freed with it.

Only root can; a test that needs one is skipped with the reason where it cannot be had.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.daemon import TestDaemon

MKFS = {
    "ext4": ("mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=1"),
    "xfs": ("mkfs.xfs", "-q", "-m", "reflink=1"),
    "btrfs": ("mkfs.btrfs", "-q"),
}


@contextlib.contextmanager
def tight_storage(daemon: TestDaemon, mib: int, content: str = "images") -> Iterator[Path]:
    """A storage `tight` of a daemon, `mib` large, on a tmpfs of its own, where nothing is refused before it is tried.
    Afterwards the daemon is removed with all its guests, which may have files open there."""
    place = Path(tempfile.mkdtemp(prefix="tarmac-tight-"))
    mount = ["mount", "-t", "tmpfs", "-o", f"size={mib}m,mode=0711", "tarmac-test", str(place)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode:
        place.rmdir()
        pytest.skip("this machine lets nobody mount a small file system")
    try:
        daemon.post("/storage", storage="tight", type="dir", path=str(place), content=content, reserve="0")
        yield place
    finally:
        daemon.remove()
        subprocess.run(["umount", "--lazy", str(place)], check=True)
        place.rmdir()


def fill(place: Path, leave: int) -> Path:
    """A file that leaves so many bytes of the file system at `place` free."""
    figures = os.statvfs(place)
    ballast = place / "ballast"
    with ballast.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, figures.f_bavail * figures.f_frsize - leave)
    return ballast


@contextlib.contextmanager
def file_system(kind: str, mib: int = 512) -> Iterator[Path]:
    """A mounted file system of `kind` (xfs: 300 MiB at least, btrfs 110). Its root is 0711."""
    if os.geteuid() != 0:
        pytest.skip(f"only root can mount {kind}")
    if shutil.which(MKFS[kind][0]) is None:
        pytest.skip(f"{MKFS[kind][0]} is not installed")
    place = Path(tempfile.mkdtemp(prefix=f"tarmac-{kind}-"))
    image, root = place / "image", place / "root"
    try:
        with image.open("wb") as file:
            file.truncate(mib << 20)
        subprocess.run([*MKFS[kind], image], check=True, capture_output=True)
        root.mkdir()
        done = subprocess.run(["mount", "-t", kind, "-o", "loop", image, root], capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"this kernel mounts no {kind}: {done.stderr.strip()}")
        place.chmod(0o711)
        root.chmod(0o711)
        yield root
    finally:
        if root.is_mount():
            subprocess.run(["umount", "--lazy", root], check=True)
        shutil.rmtree(place)
