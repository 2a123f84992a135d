"""Disks frozen under a running guest into base images of another: what instant clones of a running guest stand on.

    900/base-900-disk-0.qcow2    was 100/vm-100-disk-0.qcow2 until the moment of the freeze; nothing changes it
    100/vm-100-disk-0.qcow2      an overlay on it under the volume's old name, which the guest goes on with

As with snapshots' layers the image gets a second name before an empty overlay takes the first, and a join writes the
overlay into the base and then lets the base's file take the overlay's name. The overlay on a raw image is qcow2 and so
has a name of its own (`standing`); the raw one goes when the base is guarded. Layers of snapshots below the image get
second names, too (`held.py`). Whatever a crash leaves is told by looking.
"""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

from tarmac.drivers.storage import image
from tarmac.drivers.storage.directory import files, held
from tarmac.drivers.storage.directory import layers as layering
from tarmac.drivers.storage.directory.bases import BASE_MODE, DirectoryBases
from tarmac.drivers.storage.ground import refuse_snapshots
from tarmac.drivers.storage.headers import read_qcow2
from tarmac.drivers.storage.values import Advance, Owner
from tarmac.lib.files import fsync_directory
from tarmac.model.errors import Conflict, InvalidInput
from tarmac.model.ids import VolumeId

OVERLAY = "qcow2"


class DirectoryFrozen(DirectoryBases):
    """`freeze_base` and what belongs to it; see `FreezingStorage` in `base.py` for the contract."""

    _names_count = True  # a file tells how many names it has, and which are its own

    def standing(self, volid: VolumeId, base: VolumeId) -> VolumeId:
        name, below = self._image(volid), dataclasses.replace(self._image(base), base=None)
        return VolumeId(self._id, f"{below}/{name.vmid}/{name.file.rpartition('.')[0]}.{OVERLAY}")

    async def freeze_base(self, volid: VolumeId, base: VolumeId, *, owner: Owner | None = None) -> None:
        place, frozen, overlay = self._places(volid, base)
        format = self._image(volid).format
        part = files.part_of(overlay, f"freeze {base}")
        number = self.parse(base).vmid or 0
        self._making[number] += 1
        try:
            if await self._volume(volid, lambda: _overlaid(place, frozen, overlay)):
                return
            layers = await self._volume(volid, lambda: layering.below(place))
            if layers and not self._names_count:
                raise held.names_not_counted(layers)
            await self._run(lambda: self._image_directory(number), f"cannot freeze '{volid}'")
            size = await self._volume(volid, lambda: self._checked_size(place, format))
            await self._run(lambda: files.drop(part), f"cannot freeze '{volid}'")
            await image.create(part, OVERLAY, size, backing=(os.path.relpath(frozen, place.parent), format))
            await self._volume(volid, lambda: self._switch_names(volid, place, frozen, overlay, part))
            if owner is not None:
                await self._run(lambda: files.hand_over(overlay, owner), f"cannot freeze '{volid}'")
        finally:
            await self._run(lambda: files.drop(part), f"cannot freeze '{volid}'")
            self._making[number] -= 1
            await self._tidy(number)

    @staticmethod
    def _switch_names(volid: VolumeId, place: Path, frozen: Path, overlay: Path, part: Path) -> None:
        if overlay != place:  # snapshots would no longer find their volume
            refuse_snapshots(volid, [layer.snapshot for layer in layering.frozen_layers(place)])
        if overlay != place and overlay.exists():
            raise Conflict(
                f"volume '{volid}' cannot be frozen: the name of its overlay is taken",
                code="volume-exists",
                evidence=str(overlay),
            )
        held.hold(layering.below(place), frozen.parent)
        if not frozen.exists():
            layering.second_name(place, frozen)
        files.take_place(part, overlay, like=frozen)

    async def guard_base(self, volid: VolumeId, base: VolumeId, *, gid: int | None = None) -> None:
        old, place, overlay = self._places(volid, base)

        def guard() -> None:
            layering.set_immutable(place, False)
            if old != overlay:
                files.remove(old)
            if os.geteuid() == 0:
                os.chown(place, 0, -1 if gid is None else gid)
            place.chmod(BASE_MODE)
            layering.seal(place)
            layering.set_immutable(place, True)
            held.guard(layering.below(place), gid)

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
        place, frozen, overlay = self._places(volid, base)
        what = f"cannot join '{volid}' with what it stands on"
        if not await self._run(lambda: _written(place, frozen, overlay), what):
            await self._take_name_back(volid, base, owner)
            return
        await self.unguard_base(base)
        await self._run(lambda: frozen.chmod(0o600), what)
        chain = await self._volume(volid, lambda: self._chain(overlay, OVERLAY))
        size = await self._volume(volid, lambda: overlay.stat().st_blocks * 512)
        await image.commit(chain, size=size, advance=advance)
        await self._take_name_back(volid, base, owner)

    async def _take_name_back(self, volid: VolumeId, base: VolumeId, owner: Owner | None) -> None:
        """The base's file gets the volume's name, rights and owner; the overlay is gone. Repeatable."""
        place, frozen, overlay = self._places(volid, base)

        def take() -> None:
            if not frozen.exists():
                held.let_go(frozen.parent)
                return
            if owner is not None and os.geteuid() == 0:
                files.hand_over(frozen, owner)
            else:
                frozen.chmod(0o640)
            if overlay != place and overlay.exists() and _stands_on(overlay, frozen):
                files.remove(overlay)
            if _same(place, frozen):
                frozen.unlink()  # two names of one file: renaming would do nothing
            elif overlay != place and place.exists():
                raise Conflict(f"disk image '{place}' already exists", code="volume-exists", evidence=str(frozen))
            else:
                frozen.rename(place)
            fsync_directory(place.parent)
            fsync_directory(frozen.parent)
            held.let_go(frozen.parent)

        await self._run(take, f"cannot give '{volid}' its image back")
        await self._tidy(self.parse(base).vmid or 0)

    def _places(self, volid: VolumeId, base: VolumeId) -> tuple[Path, Path, Path]:
        """The places of an image, of the base image that it becomes, and of the overlay. Raises InvalidInput."""
        name, below = self._image(volid), self._image(base)
        if name.is_base or not below.is_base or name.format != below.format:
            raise InvalidInput(
                f"volume '{volid}' cannot be frozen into '{base}'",
                code="volume-not-freezable",
                cause="an image becomes a base image of the same format",
            )
        return self._place(name), self._place(below), self.path(self.standing(volid, base))


def _written(place: Path, frozen: Path, overlay: Path) -> bool:
    """Whether a guest may have written to the overlay."""
    return frozen.exists() and overlay.exists() and (overlay != place or not _same(place, frozen))


def _same(place: Path, frozen: Path) -> bool:
    return place.exists() and place.samefile(frozen)


def _stands_on(overlay: Path, frozen: Path) -> bool:
    with overlay.open("rb") as file:
        return read_qcow2(file.fileno()).backing_file == os.path.relpath(frozen, overlay.parent)


def _overlaid(place: Path, frozen: Path, overlay: Path) -> bool:
    """Whether the freeze is done: an overlay stands on the base. Raises Conflict when the base's name is another's."""
    if not frozen.exists() or (overlay == place and _same(place, frozen)):
        return False
    if overlay.exists() and _stands_on(overlay, frozen):
        return True
    if _same(place, frozen):
        return False
    raise Conflict(
        f"base image {frozen.name} exists already",
        code="volume-exists",
        cause="its name belongs to another image",
        evidence=str(frozen),
    )
