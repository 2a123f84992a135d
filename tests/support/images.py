"""Guest images for tests: built once per content of the recipe, shared by all runs.

The cache is `$TARMAC_TEST_CACHE` or `~/.cache/tarmac-tests`. Fixtures hand out a read-only copy in a directory that
unprivileged guests can reach; a test that writes makes an overlay (`qemu-img create -b`) or a copy of it.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCES = Path(__file__).resolve().parents[2] / "src/tarmac/drivers/images"
_OWN = {"tiny": ("tiny", "kernel", "initramfs", "boot_stub"), "debian-12": ("debian",)}
_OLD_SECONDS = 24 * 3600.0


def cache_directory() -> Path:
    return Path(os.environ.get("TARMAC_TEST_CACHE") or Path.home() / ".cache/tarmac-tests")


def built_image(recipe: str) -> Path:
    """The image of this state of the recipe, built now if no run has done it before. One process at a time builds."""
    cache = cache_directory()
    cache.mkdir(parents=True, exist_ok=True)
    path = cache / f"{recipe}-{recipe_key(recipe)}.qcow2"
    with (cache / f"{recipe}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            argv = [sys.executable, "-m", "tarmac.drivers.images", "build", recipe, path, cache / f"work-{recipe}"]
            done = subprocess.run(argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
            if done.returncode != 0:
                pytest.fail(f"building the image '{recipe}' failed:\n{done.stderr}")
            _remove_old(cache, recipe, path)
    return path


def recipe_key(recipe: str) -> str:
    """A short hash of every source file that the recipe is made from."""
    others = tuple(prefix for name, prefixes in _OWN.items() if name != recipe for prefix in prefixes)
    digest = hashlib.sha256()
    for path in sorted(SOURCES.rglob("*")):
        relative = path.relative_to(SOURCES)
        if path.is_file() and "__pycache__" not in relative.parts and not str(relative).startswith(others):
            digest.update(f"{relative}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def _remove_old(cache: Path, recipe: str, keep: Path) -> None:
    for path in cache.glob(f"{recipe}-*.qcow2"):
        if path != keep and time.time() - path.stat().st_mtime > _OLD_SECONDS:
            path.unlink(missing_ok=True)


def _handed_out(recipe: str) -> Iterator[Path]:
    directory = Path(tempfile.mkdtemp(prefix="tm-image-", dir="/tmp"))
    try:
        directory.chmod(0o711)
        path = directory / f"{recipe}.qcow2"
        shutil.copyfile(built_image(recipe), path)
        path.chmod(0o444)
        yield path
    finally:
        shutil.rmtree(directory)


@pytest.fixture(scope="session")
def tiny_image() -> Iterator[Path]:
    """The tiny guest's qcow2, read-only, reachable by every user."""
    yield from _handed_out("tiny")


@pytest.fixture(scope="session")
def debian_image() -> Iterator[Path]:
    """The debian-12 qcow2, read-only, reachable by every user. The first build takes minutes."""
    yield from _handed_out("debian-12")
