"""The hidden file of a resumable upload: what it holds is how far the upload has come."""

from __future__ import annotations

import asyncio
import contextlib
import os
from pathlib import Path

from tarmac.lib.files import failure_of
from tarmac.model.errors import NotFound
from tarmac.services.storage.storages import Storages
from tarmac.services.transfers.intake import Sink
from tarmac.services.transfers.upload_records import UploadRecord


class UploadFiles:
    """By the upload's record; the storage gives the place. All raise NotFound for a storage that is no more."""

    def __init__(self, storages: Storages) -> None:
        self._storages = storages

    def path(self, record: UploadRecord) -> Path:
        return self._storages.files(record.storage).staged(record.name, record.token)

    async def size(self, record: UploadRecord) -> int:
        """How many bytes it holds. Raises NotFound when it is gone, HostFailure."""
        try:
            return (await asyncio.to_thread(os.stat, self.path(record))).st_size
        except FileNotFoundError:
            raise NotFound(
                f"upload '{record.id}' does not exist", code="no-such-upload", cause="its file is gone"
            ) from None
        except OSError as problem:
            raise failure_of(problem, f"cannot read the upload of {record.filename}") from problem

    async def cut(self, record: UploadRecord, size: int) -> None:
        """Drop what is behind its first `size` bytes. Raises HostFailure, Denied."""
        try:
            await asyncio.to_thread(os.truncate, self.path(record), size)
        except OSError as problem:
            raise failure_of(problem, f"cannot write the upload of {record.filename}") from problem

    async def synced(self, record: UploadRecord, sink: Sink) -> int:
        """Bring to disk what has come in; how much it is by what the file holds: a write that was cut off may have
        failed unseen."""
        await sink.end()
        return await self.size(record)

    async def discard(self, record: UploadRecord) -> None:
        """Remove it, if it is there."""
        with contextlib.suppress(NotFound):  # the storage is no more
            await self._storages.files(record.storage).discard(record.name, record.token)
