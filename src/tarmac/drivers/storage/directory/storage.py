"""A storage that is a directory of the node, with Proxmox's `dir` layout and names to the letter.

A volume appears under its name only when it is whole and on disk: it is made as a hidden file beside it
(`.NAME.TOKEN.part`), synced, and then linked, which fails if the name is taken meanwhile. The token of the work that
made it stays on the file as an extended attribute, so that undoing that work after a crash removes its own volume and
never one that was there before.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from tarmac.drivers.storage import image
from tarmac.drivers.storage.directory import files, held
from tarmac.drivers.storage.directory import layers as layering
from tarmac.drivers.storage.directory.frozen import DirectoryFrozen
from tarmac.drivers.storage.directory.ground import capabilities_of
from tarmac.drivers.storage.directory.listing import list_volumes
from tarmac.drivers.storage.directory.points import DirectoryPoints
from tarmac.drivers.storage.ground import refuse_shrinking
from tarmac.drivers.storage.values import Advance, Layer, NewImage, Owner, StorageStatus, VolumeInfo
from tarmac.drivers.storage.volume_names import Content, VolumeName, is_base
from tarmac.model.errors import Conflict, Fix, HostFailure
from tarmac.model.ids import VolumeId
from tarmac.model.units import human_size


class DirectoryStorage(DirectoryFrozen, DirectoryPoints):
    """Implements `FileStorage`; see `base.py` for the contract.

    `preallocation` is Proxmox's setting; `is_mountpoint` a path that must be a mount point for the storage to count
    as there; `create` whether missing directories are made; `layout` other places for some contents."""

    _groups_count = True  # what a process may read because of the groups it is in
    _times_count = True  # a file that nobody writes to keeps its time of change

    async def activate(self) -> None:
        def prepare() -> None:
            self._check_there()
            if self._create:
                for content in sorted(self._content):
                    files.make_directory(self.root / self.layout[content], below=self.root)
            known = self._capabilities
            self._capabilities = capabilities_of(
                known.default_format, shares_blocks=layering.shares_blocks(self.root), shared=known.shared
            )

        await self._run(prepare, f"cannot prepare storage '{self._id}'")

    async def deactivate(self) -> None:
        """Nothing was taken."""

    async def status(self) -> StorageStatus:
        def read() -> StorageStatus:
            self._check_there()
            figures = os.statvfs(self.root)
            total = figures.f_blocks * figures.f_frsize
            return StorageStatus(
                total=total,
                used=total - figures.f_bfree * figures.f_frsize,
                available=figures.f_bavail * figures.f_frsize,
            )

        return await self._run(read, f"cannot read the size of storage '{self._id}'")

    async def list(self, content: Content | None = None, vmid: int | None = None) -> list[VolumeInfo]:
        wanted = self._content if content is None else self._content & {content}
        return await self._run(
            lambda: list_volumes(self._id, self.root, self.layout, wanted, vmid), f"cannot list storage '{self._id}'"
        )

    async def allocate(self, new: NewImage, *, size: int) -> VolumeId:
        async def fill(part: Path) -> None:
            as_long = new.format == "raw" or self._preallocation != "off"
            # qemu-img would write gigabytes of metadata before it met the file system's limit.
            if as_long and not await self._run(lambda: files.holds(part, size), f"cannot write {part.name}"):
                raise _too_long(self._id, size)
            await image.create(part, new.format, size, preallocation=self._preallocation)

        return await self._new_image(new, fill)

    async def import_image(
        self, source: Path, source_format: str, new: NewImage, *, foreign: bool = True, advance: Advance | None = None
    ) -> VolumeId:
        async def fill(part: Path) -> None:
            if foreign:
                await self._jail.convert(source, source_format, part, new.format, advance=advance)
                return
            chain, size = await self._run(lambda: self._measured(source, source_format), f"cannot read {source.name}")
            await image.copy(chain, part, new.format, size=size, advance=advance)

        return await self._new_image(new, fill)

    async def free(self, volid: VolumeId, *, token: str = "") -> bool:
        name = self.parse(volid)
        place = self._place(name)

        def remove() -> bool:
            if token:
                files.drop(files.part_of(place, token))
                if not files.made_by(place, token):
                    return False
            if name.is_base:
                layering.set_immutable(place, False)
            removed = files.remove(place)
            if name.is_base:
                held.let_go(place.parent)
            if name.content is Content.IMAGES:
                for layer in reversed(layering.frozen_layers(place)):
                    files.remove(layer.place)
            return removed

        removed = await self._run(remove, f"cannot remove volume '{volid}'")
        if name.content is Content.IMAGES and name.vmid is not None:
            await self._tidy(name.vmid)
        return removed

    async def resize(self, volid: VolumeId, size: int) -> None:
        name, place = self._image(volid), self.path(volid)
        now = (await self.info(volid)).size
        refuse_shrinking(volid, now, size)
        if size == now:
            return
        chain = await self._volume(volid, lambda: self._chain(place, name.format))
        # What stands on another image has none of its blocks allocated beforehand, at the new end neither.
        ahead = self._preallocation if len(chain) == 1 and self._preallocation in ("falloc", "full") else "off"
        await image.resize(chain, size, preallocation=ahead)
        await self._volume(volid, lambda: files.sync(place))

    async def replace(self, volid: VolumeId, contents: bytes) -> None:
        name, place = self._image(volid), self.path(volid)
        raw, part = files.part_of(place, f"raw {volid}"), files.part_of(place, f"new {volid}")
        try:
            await self._volume(volid, lambda: files.write_part(raw, contents))
            await image.copy([(raw, "raw")], part, name.format, size=len(contents))
            await self._volume(volid, lambda: files.take_place(part, place))
        finally:
            await self._run(lambda: files.drop(raw, part), "cannot remove temporary files")

    async def layers(self, volid: VolumeId, snapshot: str | None = None) -> Sequence[Layer]:
        name, place = self.parse(volid), self.path(volid)

        def find() -> Sequence[Layer]:
            if name.content is not Content.IMAGES:
                return (Layer(path=place, format="raw", direct=files.takes_direct(place)),)
            top = place if snapshot is None else layering.frozen_place(place, snapshot)
            images = image.chain(top, name.format, self._is_image)
            own = _own(path for path, _ in images)
            for path, _ in images[len(own) :] if self._times_count else ():
                layering.check_seal(path)
            found: list[Layer] = []
            for path, format in reversed(images):
                found.append(_layer(path, format, found[-1] if found else None, own=path in own))
            return tuple(reversed(found))

        return await self._volume(volid, find)

    async def give(self, volid: VolumeId, owner: Owner) -> frozenset[int]:
        name = self.parse(volid)
        layers = await self.layers(volid)
        own = _own(layer.path for layer in layers) if name.content is Content.IMAGES else []

        def hand_over() -> frozenset[int]:
            groups = set()
            for layer in layers:
                if layer.path in own and not layer.held:
                    group = files.hand_over(layer.path, owner)
                    groups |= {group} if group else set()
                elif self._groups_count and (group := held.readers_group(layer.path)) is not None:
                    groups.add(group)
                else:
                    files.let_read(layer.path, owner.uid)
            return frozenset(groups)

        return await self._volume(volid, hand_over)

    async def stage(self, name: VolumeName, token: str) -> Path:
        place = self._place(name)

        def create() -> Path:
            files.make_directory(place.parent, below=self.root)
            return files.create_part(place, token)

        return await self._run(create, f"cannot write to storage '{self._id}'")

    def staged(self, name: VolumeName, token: str) -> Path:
        return files.part_of(self._place(name), token)

    async def install(self, staged: Path, name: VolumeName, *, replace: bool, gid: int | None = None) -> VolumeId:
        place = self._place(name)
        try:
            await self._run(
                lambda: files.install(staged, place, replace=replace, gid=gid), f"cannot store '{name.file}'"
            )
        except FileExistsError:
            raise Conflict(f"refusing to override existing file '{name.file}'", code="volume-exists") from None
        return VolumeId(self._id, str(name))

    async def discard(self, name: VolumeName, token: str) -> None:
        part = files.part_of(self._place(name), token)
        await self._run(lambda: files.drop(part), f"cannot remove a temporary file of storage '{self._id}'")

    async def sweep(self, keep: Collection[str] = ()) -> Sequence[str]:
        marks = {files.mark_of(token) for token in keep}
        folders = [self.root / place for place in sorted(set(self.layout.values()))]
        return await self._run(lambda: files.sweep(folders, marks), f"cannot clean up storage '{self._id}'")


def _own(chain: Iterable[Path]) -> list[Path]:
    """Of a chain from its top down, what is the guest's: all above the first base image."""
    return list(itertools.takewhile(lambda path: not is_base(path), chain))


def _layer(path: Path, format: str, below: Layer | None, *, own: bool) -> Layer:
    """An image as a layer. A cloud-init medium is replaced under its name, so there the name is what lasts. Below a
    base image (not `own`) nothing is a snapshot of this volume."""
    status = path.stat()
    snapshot = layering.layer_of(path.name)[0] if own else None
    lasting = "" if "-cloudinit." in path.name else f"{status.st_dev:x}:{status.st_ino:x}"
    return Layer(
        path=path,
        format=format,
        direct=files.takes_direct(path),
        identity=lasting,
        snapshot=snapshot,
        held=snapshot is not None and bool(layering.holders(path)),
        below=below,
    )


def _too_long(storage: str, size: int) -> HostFailure:
    return HostFailure(
        f"storage '{storage}' cannot hold an image of {human_size(size)}",
        code="image-too-long",
        cause="its file system keeps no file of that length",
        evidence=f"{size} bytes",
        fixes=[
            Fix(text="ask for a smaller disk: sizes without a unit are GiB"),
            Fix(text="use a storage on another file system, such as xfs or btrfs"),
        ],
    )
