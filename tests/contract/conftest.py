"""The storages over which the contract suites run: every driver, on every kind of file system it is made for."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from support.file_systems import file_system
from tarmac.drivers.storage.base import FileStorage
from tarmac.drivers.storage.btrfs import BtrfsStorage
from tarmac.drivers.storage.directory import DirectoryStorage
from tarmac.drivers.storage.jail import Jail

KINDS: dict[str, tuple[type[DirectoryStorage], str | None]] = {
    "dir": (DirectoryStorage, None),
    "dir-xfs": (DirectoryStorage, "xfs"),
    "dir-btrfs": (DirectoryStorage, "btrfs"),
    "btrfs": (BtrfsStorage, "btrfs"),
}


@pytest.fixture(scope="module")
def mounted() -> Iterator[Callable[[str], Path]]:
    """Mounts a kind of file system when it is first asked for."""
    roots: dict[str, Path] = {}
    with ExitStack() as stack:

        def root(kind: str) -> Path:
            if kind not in roots:
                roots[kind] = stack.enter_context(file_system(kind))
            return roots[kind]

        yield root


@pytest.fixture(params=KINDS)
async def storage(request: pytest.FixtureRequest, mounted: Callable[[str], Path]) -> AsyncIterator[FileStorage]:
    """An empty storage `local`; afterwards its volumes are removed, and nothing may be left, hidden or not."""
    driver, kind = KINDS[request.param]
    root = Path(tempfile.mkdtemp(prefix="tarmac-storage-", dir=mounted(kind) if kind else None))
    root.chmod(0o711)
    made = driver("local", root, jail=Jail())
    await made.activate()
    yield made
    for volume in await made.list():
        await made.free(volume.volid)
    left = [p for p in root.rglob("*") if p.is_file()]
    shutil.rmtree(root)
    assert not left
