"""Tests that need a kernel with NFS, CIFS and device mapper: run inside the guest of `support/kernel_guest.py`."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from support.kernel_storages import HERE, kernel_storage
from tarmac.drivers.storage.base import Storage

collect_ignore_glob = [] if HERE else ["test_*.py"]


@pytest.fixture
async def thin() -> AsyncIterator[Storage]:
    async with kernel_storage("lvmthin") as made:
        yield made


@pytest.fixture
async def plain() -> AsyncIterator[Storage]:
    async with kernel_storage("lvm") as made:
        yield made
