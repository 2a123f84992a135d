"""The storages over which the contract suites run: every driver, on every kind of file system it is made for."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import cast

import pytest

from support.ceph import Ceph, ceph, missing
from support.file_systems import file_system
from support.kernel_storages import FILES, HERE, kernel_storage
from support.kernel_storages import KINDS as KERNEL_KINDS
from support.volume_io import means_below, remove_all
from tarmac.drivers.storage.base import FileStorage, Storage
from tarmac.drivers.storage.build import build_storage
from tarmac.drivers.storage.directory.btrfs import BtrfsStorage
from tarmac.drivers.storage.directory.storage import DirectoryStorage
from tarmac.drivers.storage.jail import Jail
from tarmac.model.storage import definition_of

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


@pytest.fixture(scope="session")
def cluster() -> Iterator[Ceph]:
    """A small Ceph, started when it is first asked for."""
    if lacking := missing():
        pytest.skip(lacking)
    with ceph() as made:
        yield made


@pytest.fixture(params=KERNEL_KINDS if HERE else [*KINDS, "rbd"])
async def storage(request: pytest.FixtureRequest, mounted: Callable[[str], Path]) -> AsyncIterator[Storage]:
    """An empty storage that makes volumes, of every kind; afterwards its volumes are removed and nothing may be left,
    hidden or not."""
    if request.param in KERNEL_KINDS:
        async with kernel_storage(request.param) as made:
            yield made
    elif request.param == "rbd":
        async with _pool(request.getfixturevalue("cluster")) as pool:
            yield pool
    else:
        async with _directory(request.param, mounted) as directory:
            yield directory


@pytest.fixture(params=FILES if HERE else list(KINDS))
async def files(request: pytest.FixtureRequest, mounted: Callable[[str], Path]) -> AsyncIterator[FileStorage]:
    """The same, only those of files."""
    if request.param in FILES:
        async with kernel_storage(request.param) as made:
            yield cast(FileStorage, made)
        return
    async with _directory(request.param, mounted) as made:
        yield made


@asynccontextmanager
async def _pool(cluster: Ceph) -> AsyncIterator[Storage]:
    """The pool `rbd` of a cluster, in a namespace of its own: what one test leaves is not the next one's trouble."""
    base = Path(tempfile.mkdtemp(prefix="tarmac-storage-"))
    base.chmod(0o711)
    space = f"tests-{base.name[-8:]}"
    cluster("rbd", "namespace", "create", f"rbd/{space}")
    texts = {"storage": "pool", "type": "rbd", "monhost": cluster.monhost, "pool": "rbd", "namespace": space}
    made = build_storage(definition_of(texts), {"keyring": cluster.keyring}, means=means_below(base, Jail()))
    await made.activate()
    yield made
    await remove_all(made)
    assert cluster("rbd", "ls", f"rbd/{space}") == ""
    await made.deactivate()
    assert [path for path in base.rglob("*") if path.is_file()] == []
    shutil.rmtree(base)


@asynccontextmanager
async def _directory(kind_of: str, mounted: Callable[[str], Path]) -> AsyncIterator[FileStorage]:
    driver, kind = KINDS[kind_of]
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
