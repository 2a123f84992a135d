"""What a node shows of its storages: rows of `GET /nodes/{node}/storage` and of their contents."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Any

from tarmac.drivers.storage.values import VolumeInfo
from tarmac.drivers.storage.volume_names import Content
from tarmac.model.errors import InvalidInput, NotFound
from tarmac.model.storage import StorageDefinition
from tarmac.services.storage.patience import does_not_answer
from tarmac.services.storage.storages import Storages

LIST_SECONDS = 4.5
"""How long a content list may take: below the 5 s after which usual clients give up."""


class StorageViews:
    """Read-only; figures come from the last probes, contents from the storages themselves."""

    def __init__(self, storages: Storages) -> None:
        self._storages = storages

    def rows(
        self, *, content: Collection[str] = (), storage: str | None = None, enabled: bool = False, format: bool = False
    ) -> list[dict[str, Any]]:
        """`GET /nodes/{node}/storage`: all, or one, or those that may hold any of `content`."""
        found = []
        for id in [d["storage"] for d in self._storages.definitions()]:
            definition = self._storages.definition_record(id)
            if storage not in (None, id) or (enabled and definition.disable):
                continue
            if content and not set(content) & set(definition.content):
                continue
            if definition.nodes and self._storages.node not in definition.nodes:
                continue
            found.append({"storage": id, **self._row(definition, format=format)})
        return found

    def status(self, storage: str) -> dict[str, Any]:
        """`GET .../storage/{storage}/status`. Raises InvalidInput in the words that clients look for."""
        rows = self.rows(storage=storage)
        if not rows:
            raise InvalidInput.of("storage", "No such storage.", code="no-such-storage")
        return {key: value for key, value in rows[0].items() if key != "storage"}

    def resources(self) -> list[dict[str, Any]]:
        """Rows of this node's storages for `GET /cluster/resources`."""
        return [
            {
                "storage": row["storage"],
                "plugintype": row["type"],
                "status": "available" if row["active"] else "unknown",
                "content": row["content"],
                "shared": row["shared"],
                "disk": row["used"],
                "maxdisk": row["total"],
                **({"warning": row["warning"]} if "warning" in row else {}),
            }
            for row in self.rows(enabled=True)
        ]

    def _row(self, definition: StorageDefinition, *, format: bool) -> dict[str, Any]:
        id = definition.storage
        probed = self._storages.probe[id]
        status = probed.status
        row: dict[str, Any] = {
            "type": definition.type,
            "content": ",".join(sorted(definition.content)),
            "enabled": int(not definition.disable),
            "shared": int(definition.is_shared),
            "active": int(probed.active and not definition.disable),
            "total": status.total if status else 0,
            "used": status.used if status else 0,
            "avail": status.available if status else 0,
        }
        if status and status.total:
            row["used_fraction"] = status.used / status.total
            row |= self._storages.space.row(id, status)
        if probed.stale:
            row |= {"stale": 1, "age": int(self._storages.probe.age(id) or 0)}
        if probed.problem is not None:
            row["problem"] = probed.problem.message
        if format and not definition.disable:
            capabilities = self._storages.get(id).capabilities
            row["formats"] = {"supported": sorted(capabilities.formats), "default": capabilities.default_format}
        return row

    async def content(
        self, storage: str, *, content: str | None = None, vmid: int | None = None
    ) -> list[dict[str, Any]]:
        """`GET .../storage/{storage}/content`: every volume, referred to or not.

        Raises NotFound, InvalidInput for a content type that is none, Unavailable when the storage does not answer in
        time."""
        driver = self._storages.get(storage)
        wanted = _content(content) if content else None
        try:
            async with asyncio.timeout(LIST_SECONDS):
                volumes = await driver.list(wanted, vmid)
        except TimeoutError:
            raise does_not_answer(storage, LIST_SECONDS) from None
        return [volume_row(volume) for volume in volumes]

    async def volume(self, volid: str) -> dict[str, Any]:
        """`GET .../content/{volume}`: path, size, used and format. Raises NotFound."""
        driver, parsed = self._storages.of(volid)
        try:
            async with asyncio.timeout(LIST_SECONDS):
                info = await driver.info(parsed)
        except TimeoutError:
            raise does_not_answer(parsed.storage, LIST_SECONDS) from None
        return {
            "path": driver.location(parsed),
            "size": info.size,
            "used": info.size if info.used is None else info.used,
            "format": info.format,
        }

    def full_volid(self, storage: str | None, volume: str) -> str:
        """The volume id that a path of the API names: `local:iso/x.iso`, or `iso/x.iso` with the storage beside it.

        Raises InvalidInput when both name a storage and differ."""
        if ":" not in volume:
            if storage is None:
                raise NotFound(f"volume '{volume}' does not exist", code="no-such-volume")
            return f"{storage}:{volume}"
        if storage is not None and volume.partition(":")[0] != storage:
            raise InvalidInput.of("volume", f"storage ID missmatch ({storage} != {volume.partition(':')[0]})")
        return volume


def _content(word: str) -> Content:
    try:
        return Content(word)
    except ValueError:
        raise InvalidInput.of("content", f"invalid format - invalid content type '{word}'") from None


def volume_row(volume: VolumeInfo) -> dict[str, Any]:
    """A volume as in content lists."""
    row: dict[str, Any] = {
        "volid": str(volume.volid),
        "content": str(volume.content),
        "format": volume.format,
        "size": volume.size,
        "ctime": volume.ctime,
    }
    if volume.used is not None and volume.content is Content.IMAGES:
        row["used"] = volume.used
    if volume.vmid is not None:
        row["vmid"] = volume.vmid
    if volume.parent is not None:
        row["parent"] = volume.parent
    return row
