"""Disks frozen under a running guest into base images of another: what instant clones of a running guest stand on.

    900/base-900-disk-0.qcow2    was 100/vm-100-disk-0.qcow2 until the moment of the freeze; nothing changes it
    100/vm-100-disk-0.qcow2      an overlay on it under the volume's old name, which the guest goes on with

As with snapshots' layers the image gets a second name before an empty overlay takes the first, and a join writes the
overlay into the base and then lets the base's file take the overlay's name. Whatever a crash leaves is told by looking.
"""

from __future__ import annotations

import os
from pathlib import Path

from tarmac.drivers.storage import image
from tarmac.drivers.storage.directory import files
from tarmac.drivers.storage.directory import layers as layering
from tarmac.drivers.storage.directory.bases import BASE_MODE, DirectoryBases
from tarmac.drivers.storage.ground import refuse_snapshots
from tarmac.drivers.storage.headers import read_qcow2
from tarmac.drivers.storage.values import Advance, Owner
from tarmac.lib.files import fsync_directory
from tarmac.model.errors import Conflict, InvalidInput
from tarmac.model.ids import VolumeId


class DirectoryFrozen(DirectoryBases):
    """`freeze_base` and what belongs to it; see `FreezingStorage` in `base.py` for the contract."""

    async def freeze_base(self, volid: VolumeId, base: VolumeId, *, owner: Owner | None = None) -> None:
        place, frozen = self._pair(volid, base)
        part = files.part_of(place, f"freeze {base}")
        number = self.parse(base).vmid or 0
        self._making[number] += 1
        try:
            if await self._volume(volid, lambda: _overlaid(place, frozen)):
                return
            await self._run(lambda: self._image_directory(number), f"cannot freeze '{volid}'")
            size = await self._volume(volid, lambda: self._checked_size(place, "qcow2"))
            await self._run(lambda: files.drop(part), f"cannot freeze '{volid}'")
            await image.create(part, "qcow2", size, backing=(os.path.relpath(frozen, place.parent), "qcow2"))
            await self._volume(volid, lambda: self._switch_names(volid, place, frozen, part))
            if owner is not None:
                await self._run(lambda: files.hand_over(place, owner), f"cannot freeze '{volid}'")
        finally:
            await self._run(lambda: files.drop(part), f"cannot freeze '{volid}'")
            self._making[number] -= 1
            await self._tidy(number)

    @staticmethod
    def _switch_names(volid: VolumeId, place: Path, frozen: Path, part: Path) -> None:
        refuse_snapshots(volid, [layer.snapshot for layer in layering.frozen_layers(place)])
        if not frozen.exists():
            layering.second_name(place, frozen)
        files.take_place(part, place, like=frozen)

    async def guard_base(self, base: VolumeId, *, gid: int | None = None) -> None:
        place = self._place(self._image(base))

        def guard() -> None:
            layering.set_immutable(place, False)
            if os.geteuid() == 0:
                os.chown(place, 0, -1 if gid is None else gid)
            place.chmod(BASE_MODE)
            layering.seal(place)
            layering.set_immutable(place, True)

        await self._volume(base, guard)

    async def unguard_base(self, base: VolumeId) -> None:
        place = self._place(self._image(base))

        def unguard() -> None:
            if place.exists():
                layering.set_immutable(place, False)
                layering.unseal(place)

        await self._run(unguard, f"cannot open base image '{base}'")

    async def unfreeze_base(self, volid: VolumeId, base: VolumeId, *, owner: Owner | None = None) -> None:
        await self.unguard_base(base)
        await self._take_name_back(volid, base, owner)

    async def joined(self, volid: VolumeId, base: VolumeId, *, owner: Owner | None = None) -> None:
        await self._take_name_back(volid, base, owner)

    async def join_base(
        self, volid: VolumeId, base: VolumeId, *, owner: Owner | None = None, advance: Advance | None = None
    ) -> None:
        place, frozen = self._pair(volid, base)
        what = f"cannot join '{volid}' with what it stands on"
        if not await self._run(lambda: frozen.exists() and place.exists() and not place.samefile(frozen), what):
            await self._take_name_back(volid, base, owner)
            return
        await self.unguard_base(base)
        await self._run(lambda: frozen.chmod(0o600), what)
        chain = await self._volume(volid, lambda: self._chain(place, "qcow2"))
        size = await self._volume(volid, lambda: place.stat().st_blocks * 512)
        await image.commit(chain, size=size, advance=advance)
        await self._take_name_back(volid, base, owner)

    async def _take_name_back(self, volid: VolumeId, base: VolumeId, owner: Owner | None) -> None:
        """The base's file gets the volume's name, rights and owner; what had the name is gone. Repeatable."""
        place, frozen = self._pair(volid, base)

        def take() -> None:
            if not frozen.exists():
                return
            if owner is not None and os.geteuid() == 0:
                files.hand_over(frozen, owner)
            else:
                frozen.chmod(0o640)
            if place.exists() and place.samefile(frozen):
                frozen.unlink()  # two names of one file: renaming would do nothing
            else:
                frozen.rename(place)
            fsync_directory(place.parent)
            fsync_directory(frozen.parent)

        await self._run(take, f"cannot give '{volid}' its image back")
        await self._tidy(self.parse(base).vmid or 0)

    def _pair(self, volid: VolumeId, base: VolumeId) -> tuple[Path, Path]:
        """The places of an image and of the base image that it becomes. Raises InvalidInput."""
        name, below = self._image(volid), self._image(base)
        if name.is_base or not below.is_base or (name.format, below.format) != ("qcow2", "qcow2"):
            raise InvalidInput(
                f"volume '{volid}' cannot be frozen into '{base}'",
                code="volume-not-freezable",
                cause="only a qcow2 image can become the base image of its own overlay",
            )
        return self._place(name), self._place(below)


def _overlaid(place: Path, frozen: Path) -> bool:
    """Whether the freeze is done: an overlay stands on the base. Raises Conflict when the base's name is another's."""
    if not frozen.exists() or place.samefile(frozen):
        return False
    with place.open("rb") as file:
        if read_qcow2(file.fileno()).backing_file == os.path.relpath(frozen, place.parent):
            return True
    raise Conflict(
        f"base image {frozen.name} exists already",
        code="volume-exists",
        cause="its name belongs to another image",
        evidence=str(frozen),
    )
