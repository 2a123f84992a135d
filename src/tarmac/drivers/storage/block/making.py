"""How a new image comes about in a pool: a free name, a hidden image, its contents, its appearance."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from pathlib import Path, PurePosixPath

from tarmac.drivers.storage import image
from tarmac.drivers.storage.block.ground import BlockGround
from tarmac.drivers.storage.values import Advance, Layer, NewImage, Owner
from tarmac.drivers.storage.volume_names import VolumeName, free_disk_stem
from tarmac.model.errors import Conflict, InvalidInput, NotFound
from tarmac.model.ids import VolumeId

Make = Callable[[str, str], Awaitable[None]]
"""(hidden name, mark): the image."""


def _nothing(reference: PurePosixPath) -> bool:
    """An image that comes whole stands on nothing."""
    return False


class BlockMaking(BlockGround):
    """`allocate`, `import_image`, `copy` of `Storage`, and what `clone` shares with them."""

    async def allocate(self, new: NewImage, *, size: int) -> VolumeId:
        async def make(part: str, mark: str) -> None:
            await self._do(self._commands.create(part, size, new.vmid, mark), self._cannot(new.vmid), part)

        return await self._new(new, make)

    async def import_image(
        self, source: Path, source_format: str, new: NewImage, *, foreign: bool = True, advance: Advance | None = None
    ) -> VolumeId:
        if not foreign:
            await self._calls.run(image.chain, source, source_format, _nothing)
            ours = Layer(path=source, format=source_format, direct=True)
            return await self.copy(ours, new, advance=advance)
        flat = self._means.scratch / f"import-{secrets.token_hex(8)}.raw"
        await asyncio.to_thread(flat.parent.mkdir, mode=0o711, parents=True, exist_ok=True)
        try:  # the jail has no network: what it made is carried over by us
            await self._means.jail.convert(source, source_format, flat, "raw", advance=advance)
            clean = Layer(path=flat, format="raw", direct=True)
            return await self.copy(clean, new)
        finally:
            await asyncio.to_thread(flat.unlink, True)

    async def copy(self, source: Layer, new: NewImage, *, speed: int = 0, advance: Advance | None = None) -> VolumeId:
        if source.protocol:
            size = await image.layer_size(source)
        else:
            size = await self._calls.run(image.virtual_size, source.path, source.format)

        async def make(part: str, mark: str) -> None:
            await self._do(self._commands.create(part, size, new.vmid, mark), self._cannot(new.vmid), part)
            await self._do(self._commands.open(part), self._cannot(new.vmid), part)
            target = self._layer(part)
            await image.fill_layer(
                source, target, size=size, zeroed=self._commands.zeroed, speed=speed, advance=advance
            )

        return await self._new(new, make)

    async def _name(self, part: str, file: str) -> None:
        """Give a finished image its name. One at a time: of two that rename to one name at the same moment, librbd may
        let both believe that they have it. Raises Conflict when the name is taken."""
        async with self._naming:
            if await self._find(file) is not None:
                raise Conflict(f"disk image '{file}' already exists", code="volume-exists", evidence=file)
            await self._do(self._commands.rename(part, file), f"cannot name volume '{file}'", file)

    def _cannot(self, vmid: int) -> str:
        return f"cannot create a volume for VM {vmid} on storage '{self._id}'"

    async def _new(self, new: NewImage, make: Make) -> VolumeId:
        if new.format not in self.capabilities.formats:
            raise InvalidInput.of("format", f"storage '{self._id}' has no image format '{new.format}'")
        mark = self._marked(new.token)
        if new.name is not None:
            return await self._make(self._named(new.vmid, new.name), new.owner, mark, make)
        while True:
            taken = await self._names()
            try:
                return await self._make(self._parsed(free_disk_stem(new.vmid, taken)), new.owner, mark, make)
            except Conflict:  # somebody was faster: the next number
                continue

    def _named(self, vmid: int, file: str) -> VolumeName:
        name = self._parsed(file)
        if name.vmid != vmid or name.base is not None or name.is_base:
            text = f"illegal name '{file}' - should be 'vm-{vmid}-*'"
            raise InvalidInput(text, code="volume-name", parameters={"filename": text})
        return name

    async def _make(self, name: VolumeName, owner: Owner | None, mark: str, make: Make) -> VolumeId:
        if await self._find(name.file) is not None:
            if await self._made_by(name.file) == mark:
                return self._volid(name)
            raise Conflict(f"disk image '{name.file}' already exists", code="volume-exists", evidence=name.file)
        part, made = self._hidden(mark), False
        await self._remove(part)
        try:
            await make(part, mark)
            await self._name(part, name.file)
            made = True
            if owner is not None:
                await self._do(self._commands.open(name.file), f"cannot open volume '{name.file}'", name.file)
                await self._grant(name.file, owner)
        except NotFound as problem:  # of the part: somebody took it away
            raise Conflict(f"disk image '{name.file}' was taken away", code="volume-exists") from problem
        finally:
            if not made:
                await self._remove(part)
        return self._volid(name)
