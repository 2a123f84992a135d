"""Base images of templates and linked clones on them, in a pool."""

from __future__ import annotations

import dataclasses

from tarmac.drivers.storage.block.commands import BASE_POINT
from tarmac.drivers.storage.block.making import BlockMaking
from tarmac.drivers.storage.ground import refuse_snapshots
from tarmac.drivers.storage.values import NewImage
from tarmac.drivers.storage.volume_names import base_name, plain_name
from tarmac.model.errors import HostFailure, InvalidInput, NotFound
from tarmac.model.ids import VolumeId


class BlockBases(BlockMaking):
    """`make_base`, `unmake_base` and `clone` of `Storage`."""

    async def make_base(self, volid: VolumeId, *, gid: int | None = None) -> VolumeId:
        name = self.parse(volid)
        if not self.capabilities.linked_clones:
            raise HostFailure(
                f"storage '{self._id}' has no base images",
                code="no-linked-clone",
                cause="its kind has no linked clones",
                evidence=str(volid),
            )
        as_base = name if name.is_base else base_name(name)
        what = f"cannot make volume '{volid}' a base image"
        if not name.is_base and await self._find(as_base.file) is None:
            refuse_snapshots(volid, [point.name for point in await self._points(name.file)])
            await self._do(self._commands.rename(name.file, as_base.file), what, name.file)
        points = await self._points(as_base.file)
        await self._do(self._commands.seal(as_base.file, points), what, as_base.file)
        return self._volid(as_base)

    async def unmake_base(self, volid: VolumeId) -> VolumeId:
        name = self.parse(volid)
        base, plain = (name, plain_name(name)) if name.is_base else (base_name(name), name)
        what = f"cannot make base image '{volid}' a plain one"
        try:
            points = await self._points(base.file)
        except NotFound:
            await self._shown(plain.file)
            return self._volid(plain)
        await self._do(self._commands.unseal(base.file, points), what, base.file)
        await self._do(self._commands.rename(base.file, plain.file), what, base.file)
        return self._volid(plain)

    async def clone(self, base: VolumeId, new: NewImage) -> VolumeId:
        below = self.parse(base)
        if not below.is_base or below.vmid is None:
            raise InvalidInput(f"volume '{base}' is no base image: only a template's disk can be cloned by reference")
        points = await self._points(below.file)
        if self.capabilities.snapshots and not any(point.name == BASE_POINT for point in points):
            await self.make_base(base)  # a crash had come between its name and its seal

        async def make(part: str, mark: str) -> None:
            await self._do(self._commands.clone(below.file, part, new.vmid, mark), self._cannot(new.vmid), below.file)

        made = self.parse(await self._new(new, make))
        named = self._commands.clone_name(below, new.vmid, made.file)
        return self._volid(dataclasses.replace(made, base=named.base))
