"""Volumes to which nothing refers: found and listed, with why they count as such. They are never removed by themselves.

An image (a disk, or the saved memory of a snapshot) is no orphan while a configuration, a pending change or a snapshot
names it, while another image stands on it, or while a task that runs works with it.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Collection, Iterable
from typing import Any

from tarmac.drivers.storage.base import Storage
from tarmac.drivers.storage.values import VolumeInfo
from tarmac.drivers.storage.volume_names import Content
from tarmac.model.errors import InvalidInput
from tarmac.model.ids import VolumeId
from tarmac.services.guests.guests import Guests
from tarmac.services.jobs.jobs import Jobs
from tarmac.services.storage.patience import does_not_answer
from tarmac.services.storage.storages import Storages
from tarmac.services.storage.views import LIST_SECONDS, volume_row

_STATE = re.compile(r"/vm-(\d+)-state-(.+)\.raw$")
Key = tuple[int | None, str]
"""Owner and file name: one volume, whether it is named with its base image or without."""


class Orphans:
    """Reads; changes nothing. `others` find, in the same form, what is no volume by itself (points in time)."""

    def __init__(self, *, storages: Storages, guests: Guests, jobs: Jobs) -> None:
        self._storages = storages
        self._guests = guests
        self._jobs = jobs
        self.others: list[Callable[[str], Awaitable[list[dict[str, Any]]]]] = []

    async def listing(self, storage: str) -> list[dict[str, Any]]:
        """The rows of a content list with `reason`, largest first. Raises NotFound, Unavailable."""
        driver = self._storages.get(storage)
        try:
            async with asyncio.timeout(LIST_SECONDS):
                volumes = await driver.list(Content.IMAGES)
        except TimeoutError:
            raise does_not_answer(storage, LIST_SECONDS) from None
        texts = [guest.text for guest in self._guests]
        work = [repr((record.args, [step.args for step in record.steps])) for record in self._jobs.running()]
        named = await asyncio.to_thread(_named, driver, [*texts, *work])
        named |= _below(driver, volumes)
        owned = [volume for volume in volumes if volume.vmid is not None]  # what a server offers is nobody's
        found = [volume for volume in owned if _key(driver, volume.volid) not in named]
        rows = [{**volume_row(volume), "reason": self._reason(volume)} for volume in found]
        for find in self.others:
            rows += await find(storage)
        return sorted(rows, key=lambda row: -row.get("used", 0))

    def _reason(self, volume: VolumeInfo) -> str:
        if state := _STATE.search(str(volume.volid)):
            return f"it is the memory of a snapshot '{state[2]}' that guest {state[1]} does not have"
        shared = self._storages.definition_record(volume.volid.storage).is_shared
        beside = "; other nodes share the storage" if shared else ""
        if volume.vmid is not None and self._guests.find(volume.vmid) is None:
            return f"there is no guest {volume.vmid} on this node, and nothing else names it{beside}"
        return f"neither guest {volume.vmid} nor another one names it{beside}"


def _named(driver: Storage, texts: Iterable[str]) -> set[Key]:
    """The volumes of a storage that texts name. Blocks."""
    pattern = re.compile(rf"(?<![\w.-]){re.escape(driver.id)}:[^,\s'\"]+")
    found = set()
    for text in texts:
        for name in pattern.findall(text):
            try:
                found.add(_key(driver, VolumeId.parse(name)))
            except (ValueError, InvalidInput):
                continue
    return found


def _key(driver: Storage, volid: VolumeId) -> Key:
    name = driver.parse(volid)
    return name.vmid, name.file


def _below(driver: Storage, volumes: Collection[VolumeInfo]) -> set[Key]:
    """The base images on which others stand."""
    return {base for volume in volumes if (base := driver.parse(volume.volid).base) is not None}
