"""Images from outside or of a QEMU that was taken over: what their tests share."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.storage_site import temporary_root
from tarmac.drivers.storage.directory.storage import DirectoryStorage
from tarmac.drivers.storage.jail import Jail, JailLimits

MIB = 1 << 20
SECRET = b"the host's secret, not for guests\n" * 64


@pytest.fixture
def folder() -> Iterator[Path]:
    made = temporary_root()
    yield made
    shutil.rmtree(made)


@pytest.fixture
def secret(folder: Path) -> Path:
    """A file of the host that everybody may read: only the jail's own walls keep it out."""
    path = folder / "secret"
    path.write_bytes(SECRET.ljust(MIB, b"."))
    path.chmod(0o644)
    return path


def img(*words: object) -> None:
    subprocess.run(["qemu-img", *map(str, words)], check=True, capture_output=True, timeout=60)


def storage(folder: Path, **limits: int) -> DirectoryStorage:
    return DirectoryStorage("local", folder / "store", jail=Jail(limits=JailLimits(**limits) if limits else None))
