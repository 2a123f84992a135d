"""Disks as files for elsewhere: a copy in the wanted format, made for one download and removed after it.

What is copied nobody writes to: the disk of a stopped guest, a template's, or a snapshot. While it is read the guest
waits with what would change it. Two kinds of download need no copy first: a template's base image in its own format is
sent as it is, and where the file system shares blocks the copy of a whole image takes no time and no space.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

from tarmac.drivers.storage import image
from tarmac.drivers.storage.directory.layers import share
from tarmac.drivers.storage.volume_names import Content
from tarmac.model.errors import Fix, InvalidInput, NeedsStop, NotFound
from tarmac.model.lifecycle import State
from tarmac.services.guests.guests import Guests
from tarmac.services.jobs.jobs import Jobs
from tarmac.services.jobs.locks import shared
from tarmac.services.storage.storages import Storages

FORMATS = ("raw", "qcow2", "vmdk", "vpc", "vhdx", "vdi")


class Exports:
    """`folder` holds the copies while they are sent; what an earlier daemon left there is removed by `start`."""

    def __init__(self, *, guests: Guests, storages: Storages, jobs: Jobs, folder: Path) -> None:
        self._guests = guests
        self._storages = storages
        self._jobs = jobs
        self._folder = folder

    async def start(self) -> None:
        """An empty folder that nobody else can look into."""
        await asyncio.to_thread(shutil.rmtree, self._folder, True)
        await asyncio.to_thread(self._folder.mkdir, parents=True, mode=0o700)

    def volume_of(self, vmid: int, disk: str, snapshot: str | None = None) -> str:
        """The volume id of a guest's disk. Raises NotFound, InvalidInput."""
        guest = self._guests.get(vmid)
        if snapshot is not None and snapshot not in guest.file.snapshots:
            raise NotFound(f"snapshot '{snapshot}' does not exist", code="no-such-snapshot")
        texts = guest.file.current if snapshot is None else guest.file.snapshots[snapshot]
        if disk not in texts:
            raise InvalidInput.of("disk", f"disk '{disk}' does not exist")
        return texts[disk].partition(",")[0].removeprefix("file=")

    def owner_of(self, volid: str) -> int:
        """The guest to which a disk image belongs. Raises InvalidInput for what is none."""
        driver, parsed = self._storages.of(volid)
        name = driver.parse(parsed)
        if name.content is not Content.IMAGES or name.vmid is None:
            raise InvalidInput.of("volume", f"volume '{volid}' is no disk image")
        return name.vmid

    @contextlib.asynccontextmanager
    async def opened(self, volid: str, format: str, *, snapshot: str | None = None) -> AsyncIterator[Path]:
        """A file with the volume's contents, there as long as the block runs; of a template perhaps its own: what would
        change the template waits until the block has ended.

        Raises NeedsStop for the disk of a running guest, NoSpace where the copy does not fit, NotFound."""
        owner = self.owner_of(volid)
        driver, parsed = self._storages.of(volid)
        token = secrets.token_hex(8)
        target = self._folder / f"{token}.{format}"
        try:
            async with self._jobs.queues.hold([shared(f"guest/{owner}")], f"export {token}"):
                self._check_still(owner, volid, snapshot)
                layers = await driver.layers(parsed, snapshot)
                top = layers[0]
                whole = len(layers) == 1 and top.format == format and not top.protocol
                if whole and driver.parse(parsed).is_base:
                    yield top.path
                    return
                if not (whole and await asyncio.to_thread(_shared, top.path, target)):
                    size = 0 if top.protocol else await asyncio.to_thread(image.virtual_size, top.path, top.format)
                    await image.copy_layer(top, target, format, size=size)
            yield target
        finally:
            await asyncio.to_thread(target.unlink, True)

    def _check_still(self, vmid: int, volid: str, snapshot: str | None) -> None:
        guest = self._guests.find(vmid)
        if snapshot is not None or guest is None or guest.state is State.STOPPED:
            return
        if volid in guest.config.volumes.values():
            raise NeedsStop(
                f"VM {vmid} is running - its disk cannot be exported",
                code="export-running",
                cause="what is read must not change meanwhile",
                evidence=f"state: {guest.state}",
                fixes=[
                    Fix(text="export a snapshot", parameters={"snapname": "NAME"}),
                    Fix(text="stop the guest first, or clone it and export the clone's disk"),
                ],
            )


def _shared(source: Path, target: Path) -> bool:
    """A copy that shares its source's blocks, if the file system can. Blocks."""
    try:
        share(source, target)
    except OSError:
        target.unlink(missing_ok=True)
        return False
    return True
