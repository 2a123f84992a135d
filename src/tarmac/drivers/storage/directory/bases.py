"""Base images of templates, linked clones on them, and copies, in a directory."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from pathlib import Path

from tarmac.drivers.storage import image
from tarmac.drivers.storage.directory import files
from tarmac.drivers.storage.directory import layers as layering
from tarmac.drivers.storage.directory.ground import CLONE_FORMAT
from tarmac.drivers.storage.directory.images import DirectoryImages
from tarmac.drivers.storage.ground import refuse_snapshots
from tarmac.drivers.storage.values import Advance, Layer, NewImage
from tarmac.drivers.storage.volume_names import base_name, plain_name
from tarmac.lib.files import fsync_directory
from tarmac.model.errors import Conflict, InvalidInput
from tarmac.model.ids import VolumeId

BASE_MODE = 0o440


class DirectoryBases(DirectoryImages):
    """`make_base`, `unmake_base`, `clone` and `copy` of `Storage`; see `base.py` for the contract."""

    async def make_base(self, volid: VolumeId, *, gid: int | None = None) -> VolumeId:
        name = self._image(volid)
        if name.is_base:
            await self.info(volid)
            return volid
        as_base = base_name(name)
        old, new = self._place(name), self._place(as_base)

        def turn() -> None:
            if old.exists() or not new.exists():
                old.stat()
                refuse_snapshots(volid, [layer.snapshot for layer in layering.frozen_layers(old)])
                if os.geteuid() == 0:
                    os.chown(old, 0, -1 if gid is None else gid)
                old.chmod(BASE_MODE)
                layering.seal(old)
                files.rename_new(old, new)
            if new.stat().st_mode & 0o222:
                new.chmod(BASE_MODE)  # removing the old name has lifted it: CIFS
            layering.set_immutable(new, True)

        await self._turn(volid, turn)
        return VolumeId(self._id, str(as_base))

    async def unmake_base(self, volid: VolumeId) -> VolumeId:
        name = self._image(volid)
        base, plain = (name, plain_name(name)) if name.is_base else (base_name(name), name)
        old, new = self._place(base), self._place(plain)

        def turn_back() -> None:
            if old.exists() or not new.exists():
                layering.set_immutable(old, False)
                layering.unseal(old)
                old.chmod(0o640)
                files.rename_new(old, new)

        await self._turn(volid, turn_back)
        return VolumeId(self._id, str(plain))

    async def _turn(self, volid: VolumeId, work: Callable[[], None]) -> None:
        try:
            await self._volume(volid, work)
        except FileExistsError:
            raise Conflict(f"volume '{volid}' cannot be renamed: the name is taken", code="volume-exists") from None

    async def clone(self, base: VolumeId, new: NewImage) -> VolumeId:
        below = self._image(base)
        if not below.is_base or below.vmid is None:
            raise InvalidInput(f"volume '{base}' is no base image: only a template's disk can be cloned by reference")
        if new.format != CLONE_FORMAT:
            raise InvalidInput.of("format", f"storage '{self._id}' has no linked clones of format '{new.format}'")
        place = self._place(below)
        size = await self._volume(base, lambda: self._checked_size(place, below.format))

        async def fill(part: Path) -> None:
            reference = os.path.relpath(place, part.parent)
            await image.create(part, CLONE_FORMAT, size, backing=(reference, below.format))

        made = await self._new_image(new, fill)
        return VolumeId(self._id, str(dataclasses.replace(self.parse(made), base=(below.vmid, below.file))))

    async def rename(self, volid: VolumeId, new: VolumeId) -> None:
        name, renamed = self._image(volid), self._image(new)
        old_place, new_place = self._place(name), self._place(renamed)
        assert name.vmid is not None

        def turn() -> None:
            files.make_directory(new_place.parent, below=self.root)
            if old_place.exists() or not new_place.exists():
                old_place.stat()
                refuse_snapshots(volid, [layer.snapshot for layer in layering.frozen_layers(old_place)])
                files.rename_new(old_place, new_place)
                fsync_directory(old_place.parent)

        await self._turn(volid, turn)
        await self._tidy(name.vmid)

    async def detach(self, volid: VolumeId, *, speed: int = 0, advance: Advance | None = None) -> None:
        name = self._image(volid)
        place = self._place(name)
        if name.format != "qcow2":
            return
        chain, size = await self._volume(volid, lambda: self._measured(place, name.format))
        if len(chain) > 1:
            await image.detach(chain, size=size, speed=speed, advance=advance)
        await image.give_back(place)  # a guest that was killed in the midst of this may have left something
        await self._volume(volid, lambda: files.sync(place))

    async def copy(self, source: Layer, new: NewImage, *, speed: int = 0, advance: Advance | None = None) -> VolumeId:
        async def fill(part: Path) -> None:
            what = f"cannot copy {source.path.name}"
            if source.protocol:
                size = await image.layer_size(source)
            else:
                size = await self._run(lambda: image.virtual_size(source.path, source.format), what)
                if new.format == source.format and await self._run(lambda: self._shared(source, part), what):
                    return
            await image.copy_layer(source, part, new.format, size=size, speed=speed, advance=advance)

        return await self._new_image(new, fill)

    def _shared(self, source: Layer, part: Path) -> bool:
        """Whether the copy could be made by sharing blocks. Blocks."""
        whole = image.describe(source.path, source.format)[1] is None
        if not whole or not self._capabilities.shares_blocks or not source.path.is_relative_to(self.root):
            return False
        try:
            layering.share(source.path, part)
        except OSError:
            files.drop(part)
            return False
        return True
