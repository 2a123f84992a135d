"""A pool of images that are no files: the verbs of `drivers/storage/base.py` over the commands of a `BlockCommands`.

An image appears under its name only when it is whole: it is made under a hidden name (`tarmac-part-MARK`) and then
renamed, which fails if the name is taken meanwhile. The mark of the work that made it stays with the image, so that
undoing that work after a crash removes its own volume and never one that was there before.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from pathlib import Path

from tarmac.drivers.storage import image
from tarmac.drivers.storage.block.bases import BlockBases
from tarmac.drivers.storage.block.commands import BASE_POINT, BlockImage
from tarmac.drivers.storage.block.ground import Means
from tarmac.drivers.storage.block.points import BlockPoints
from tarmac.drivers.storage.ground import refuse_shrinking
from tarmac.drivers.storage.values import Layer, Owner, StorageStatus, VolumeInfo
from tarmac.drivers.storage.volume_names import Content
from tarmac.lib.files import failure_of, write_atomic
from tarmac.model.errors import HostFailure, NotFound
from tarmac.model.ids import VolumeId

__all__ = ["BlockStorage", "Means"]


class BlockStorage(BlockBases, BlockPoints):
    """Implements `Storage`; see `base.py` for the contract."""

    async def activate(self) -> None:
        def write() -> list[Path]:
            new = []
            for path, text in self._commands.files().items():
                path.parent.parent.mkdir(mode=0o711, parents=True, exist_ok=True)
                path.parent.mkdir(mode=0o711, exist_ok=True)
                if not path.exists():
                    new.append(path)
                elif path.read_text() == text:
                    continue  # guests' users may read it by now
                write_atomic(path, text, mode=0o600)
            return new

        what = f"cannot activate storage '{self._id}'"
        try:
            new = await self._calls.run(write)
        except OSError as problem:
            raise failure_of(problem, what) from problem
        try:
            await self._do(self._commands.activate(), what)
            await self.status()
        except BaseException:
            await self._forget(new)  # a definition that was only tried leaves no key behind
            raise

    async def deactivate(self) -> None:
        await self._forget(list(self._commands.files()))

    async def _forget(self, paths: Sequence[Path]) -> None:
        def forget() -> None:
            for path in paths:
                path.unlink(missing_ok=True)
            for folder in {path.parent for path in paths}:
                if folder.is_dir() and not any(folder.iterdir()):
                    folder.rmdir()

        await self._calls.run(forget)

    async def status(self) -> StorageStatus:
        what = f"cannot read the size of storage '{self._id}'"
        texts = [await self._read(argv, what) for argv in self._commands.status()]
        try:
            return self._commands.read_status(texts)
        except (ValueError, LookupError) as problem:
            raise HostFailure(what, code="storage-missing", cause=str(problem), evidence=self._id) from None

    async def list(self, content: Content | None = None, vmid: int | None = None) -> list[VolumeInfo]:
        if Content.IMAGES not in (self._content if content is None else self._content & {content}):
            return []
        found = []
        for one in await self._images():
            try:
                info = self._info(one)
            except ValueError:  # somebody else's image
                continue
            if vmid in (None, info.vmid):
                found.append(info)
        return sorted(found, key=lambda volume: str(volume.volid))

    def _info(self, found: BlockImage) -> VolumeInfo:
        """Raises ValueError for an image with a name that is none of ours."""
        name = self._commands.parse(found.name)
        if found.parent is not None:
            name = self._commands.parse(f"{found.parent}/{found.name}")
        return VolumeInfo(
            volid=self._volid(name),
            content=Content.IMAGES,
            format="raw",
            size=found.size,
            used=found.used,
            ctime=found.ctime,
            vmid=name.vmid,
            parent=f"{found.parent}@{BASE_POINT}" if found.parent is not None else None,
        )

    async def info(self, volid: VolumeId) -> VolumeInfo:
        return self._info(await self._shown(self.parse(volid).file))

    async def layers(self, volid: VolumeId, snapshot: str | None = None) -> Sequence[Layer]:
        file = self.parse(volid).file
        points = await self._own_points(file)
        if snapshot is not None and not any(point.name == snapshot for point in points):
            raise NotFound(f"snapshot '{snapshot}' of '{volid}' does not exist", code="no-such-snapshot")
        await self._do(self._commands.open(file, snapshot), f"cannot open volume '{volid}'", file)
        return (self._layer(file, snapshot),)

    async def give(self, volid: VolumeId, owner: Owner) -> frozenset[int]:
        file = self.parse(volid).file
        await self._do(self._commands.open(file), f"cannot open volume '{volid}'", file)
        await self._grant(file, owner)
        return frozenset()

    async def free(self, volid: VolumeId, *, token: str = "") -> bool:
        name = self.parse(volid)
        if token:
            mark = self._marked(token)
            await self._remove(self._hidden(mark))
            try:
                if await self._made_by(name.file) != mark:
                    return False
            except NotFound:
                return False
        return await self._remove(name.file)

    async def resize(self, volid: VolumeId, size: int) -> None:
        file = self.parse(volid).file
        now = (await self._shown(file)).size
        refuse_shrinking(volid, now, size)
        if size > now:
            await self._do(self._commands.resize(file, size), f"cannot resize volume '{volid}'", file)

    async def replace(self, volid: VolumeId, contents: bytes) -> None:
        (target,) = await self.layers(volid)
        part = self._means.scratch / f"replace-{secrets.token_hex(8)}.raw"

        def write() -> None:
            part.parent.mkdir(mode=0o711, parents=True, exist_ok=True)
            write_atomic(part, contents, mode=0o600)

        try:
            await self._calls.run(write)
            source = Layer(path=part, format="raw", direct=True)
            await image.fill_layer(source, target, size=len(contents), zeroed=False)
        finally:
            await asyncio.to_thread(part.unlink, True)
