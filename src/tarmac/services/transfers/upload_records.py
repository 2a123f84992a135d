"""What is kept of a resumable upload, in the state store under `uploads/<id>`; the bytes are in the storage.

    {"format": 1, "user": "joe@pve", "storage": "local", "content": "iso", "filename": "x.iso", "size": 1048576,
     "checksum": "...", "algorithm": "sha256", "created": 1764000000.0, "touched": 1764000100.0, "synced": 524288,
     "boot": "...", "task": ""}

`synced` bytes are certainly on disk. While the host has not been restarted since (`boot`), everything that the file
holds is good: a daemon that is killed loses nothing of what the kernel has. After a restart of the host only what was
synced is.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tarmac.drivers.storage.volume_names import VolumeName, upload_name
from tarmac.drivers.store.base import Store

PREFIX = "uploads/"
FORMAT = 1
DAY = 24 * 3600.0
KEPT_AFTER_END = 3600.0
"""How long one may still ask how an upload ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadRecord:
    """One upload; `task` is the UPID of the task that puts the file in its place, once all of it is there."""

    id: str
    user: str
    storage: str
    content: str
    filename: str
    size: int
    checksum: str | None
    algorithm: str | None
    created: float
    touched: float
    synced: int = 0
    boot: str = ""
    task: str = ""

    @property
    def token(self) -> str:
        """Names the hidden file in the storage."""
        return f"resumable-{self.id}"

    @property
    def name(self) -> VolumeName:
        """The volume that it will be. Raises InvalidInput for a name that no volume of that content may have."""
        return upload_name(self.content, self.filename, snippets=True)

    @property
    def expires(self) -> float:
        return self.touched + (KEPT_AFTER_END if self.task else DAY)

    def row(self, offset: int) -> dict[str, Any]:
        """As a reply shows it."""
        row: dict[str, Any] = {
            "upload": self.id,
            "storage": self.storage,
            "content": self.content,
            "filename": self.filename,
            "size": self.size,
            "offset": offset,
            "created": int(self.created),
            "expires": int(self.expires),
        }
        if self.checksum is not None:
            row |= {"checksum": self.checksum, "checksum-algorithm": self.algorithm}
        if self.task:
            row["task"] = self.task
        return row


class UploadRecords:
    """All records, in memory as in the store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._records: dict[str, UploadRecord] = {}

    async def load(self) -> None:
        """Read all; called once, before anything else."""
        for entry in await self._store.range(PREFIX):
            fields = json.loads(entry.value)
            if fields.pop("format") == FORMAT:
                id = entry.key.removeprefix(PREFIX)
                self._records[id] = UploadRecord(id=id, **fields)

    def __iter__(self) -> Iterator[UploadRecord]:
        return iter(sorted(self._records.values(), key=lambda record: record.created))

    def get(self, id: str) -> UploadRecord | None:
        return self._records.get(id)

    async def put(self, record: UploadRecord) -> UploadRecord:
        """Keep it, durably."""
        fields = {k: v for k, v in dataclasses.asdict(record).items() if k != "id"}
        await self._store.put(PREFIX + record.id, json.dumps({"format": FORMAT, **fields}).encode())
        self._records[record.id] = record
        return record

    async def remove(self, record: UploadRecord) -> None:
        """Forget it, durably. That it is gone already is fine."""
        await self._store.transact([], deletes=[PREFIX + record.id])
        self._records.pop(record.id, None)
