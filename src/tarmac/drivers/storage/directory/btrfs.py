"""A storage on btrfs: raw images are subvolumes with snapshots of their own, everything else is as in a directory.

A new raw image is a hidden subvolume (`.vm-100-disk-0.MARK.part`) until it is whole and on disk; then it gets its name,
which fails if that is taken. Its mark lies on the subvolume. qcow2 images share blocks as on any file system that can.
"""

from __future__ import annotations

import dataclasses
import errno
import os
from collections.abc import Awaitable, Callable, Collection, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from tarmac.drivers.storage.directory import files, subvolumes
from tarmac.drivers.storage.directory import layers as layering
from tarmac.drivers.storage.directory.listing import volume_info
from tarmac.drivers.storage.directory.storage import DirectoryStorage
from tarmac.drivers.storage.ground import refuse_snapshots
from tarmac.drivers.storage.values import Advance, Capabilities, Layer, NewImage, Owner, SnapshotInfo, VolumeInfo
from tarmac.drivers.storage.volume_names import DISK_FILE, Content, VolumeName, base_name, image_name, plain_name
from tarmac.lib.files import fsync_directory, fsync_file
from tarmac.model.errors import Conflict, Denied, HostFailure, NotFound
from tarmac.model.ids import VolumeId


class BtrfsStorage(DirectoryStorage):
    """Implements `FileStorage`; see `base.py` for the contract. `nocow`: new raw images are written in place."""

    def __init__(self, *args: Any, nocow: bool = False, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self._nocow = nocow

    @property
    def capabilities(self) -> Capabilities:
        return dataclasses.replace(super().capabilities, plain_clones=frozenset({"raw"}), freezes=frozenset({"qcow2"}))

    async def activate(self) -> None:
        if os.geteuid() != 0:
            raise Denied(
                f"storage '{self._id}' needs root",
                code="storage-root",
                cause="btrfs lets only root remove subvolumes",
            )
        await super().activate()
        if not await subvolumes.is_btrfs(self.root):
            raise HostFailure(
                f"unable to activate storage '{self._id}' - '{self.root}' is not on btrfs",
                code="storage-not-btrfs",
                cause="its directory lies on another file system",
            )

    # -- where raw images lie -----------------------------------------------------------------------------------

    def _place(self, name: VolumeName) -> Path:
        place = super()._place(name)
        return place.with_suffix("") / DISK_FILE if _in_subvolume(name) else place

    @staticmethod
    def _is_image(reference: PurePosixPath) -> bool:
        if reference.name == DISK_FILE:
            reference = reference.parent.with_name(f"{reference.parent.name}.raw")
        return DirectoryStorage._is_image(reference)

    def _listed(self, vmid: int | None) -> list[VolumeInfo]:
        images = self.root / self.layout[Content.IMAGES]
        guests = [str(vmid)] if vmid is not None else [n for n in files.names_in(images) if n.isdecimal()]
        found = []
        for guest in guests:
            for file in subvolumes.images_in(images / guest):
                try:
                    name = image_name(int(guest), file)
                    found.append(volume_info(self._id, self._place(name), name))
                except (OSError, ValueError):
                    continue
        return found

    async def list(self, content: Content | None = None, vmid: int | None = None) -> list[VolumeInfo]:
        found = [v for v in await super().list(content, vmid) if not _in_subvolume(self.parse(v.volid))]
        if Content.IMAGES in (self._content if content is None else self._content & {content}):
            found += await self._run(lambda: self._listed(vmid), f"cannot list storage '{self._id}'")
        return sorted(found, key=lambda volume: str(volume.volid))

    async def layers(self, volid: VolumeId, snapshot: str | None = None) -> Sequence[Layer]:
        name = self.parse(volid)
        if snapshot is None or not _in_subvolume(name):
            return await super().layers(volid, snapshot)
        place = subvolumes.at_snapshot(self._place(name), snapshot)

        def find() -> Layer:
            return Layer(path=place, format="raw", direct=files.takes_direct(place), snapshot=snapshot)

        return (await self._volume(volid, find),)

    async def rename(self, volid: VolumeId, new: VolumeId) -> None:
        name = self._image(volid)
        if not _in_subvolume(name):
            await super().rename(volid, new)
            return
        old = subvolumes.subvolume_of(self._place(name))
        place = subvolumes.subvolume_of(self._place(self._image(new)))

        def turn() -> None:
            files.make_directory(place.parent, below=self.root)
            if old.exists() or not place.exists():
                old.stat()
                if place.exists():
                    raise FileExistsError(str(place))
                old.rename(place)
                fsync_directory(old.parent)
                fsync_directory(place.parent)

        await self._turn(volid, turn)
        assert name.vmid is not None
        await self._tidy(name.vmid)

    # -- making and removing ------------------------------------------------------------------------------------

    async def _make(self, name: VolumeName, owner: Owner | None, token: str, fill: files.Fill, what: str) -> VolumeId:
        if not _in_subvolume(name):
            return await super()._make(name, owner, token, fill, what)

        async def make(folder: Path) -> None:
            await subvolumes.create(folder, nocow=self._nocow)
            await fill(folder / DISK_FILE)

        return await self._make_subvolume(name, owner, token, make, what)

    async def _make_subvolume(
        self, name: VolumeName, owner: Owner | None, token: str, make: Callable[[Path], Awaitable[None]], what: str
    ) -> VolumeId:
        """`make(folder)` makes the subvolume with the image in it."""
        folder, volid = subvolumes.subvolume_of(self._place(name)), VolumeId(self._id, str(name))
        taken = Conflict(f"disk image '{folder}' already exists", code="volume-exists", evidence=str(volid))
        found = await self._run(lambda: files.made_by(folder, token), what)
        if found is not None:
            if found:
                return volid
            raise taken
        part = files.part_of(folder, token)
        await self._drop(part)
        try:
            await make(part)
            await self._run(lambda: _publish(part, folder, token, owner), what)
        except FileExistsError:
            raise taken from None
        finally:
            await self._drop(part)
        return volid

    async def _drop(self, folder: Path) -> None:
        if await self._run(lambda: subvolumes.is_subvolume(folder), f"cannot read {folder}"):
            await subvolumes.delete(folder)

    async def free(self, volid: VolumeId, *, token: str = "") -> bool:
        name = self.parse(volid)
        if not _in_subvolume(name):
            return await super().free(volid, token=token)
        place = self._place(name)
        folder = subvolumes.subvolume_of(place)
        what = f"cannot remove volume '{volid}'"
        if token:
            await self._drop(files.part_of(folder, token))
            if not await self._run(lambda: files.made_by(folder, token), what):
                return False
        there = await self._run(lambda: subvolumes.is_subvolume(folder), what)
        await self._drop(folder)
        for snapshot in await self._run(lambda: subvolumes.snapshots_of(place), what):
            await self._drop(subvolumes.subvolume_of(subvolumes.at_snapshot(place, snapshot)))
        if name.vmid is not None:
            await self._tidy(name.vmid)
        return there

    async def sweep(self, keep: Collection[str] = ()) -> Sequence[str]:
        removed = [*await super().sweep(keep)]
        images = self.root / self.layout[Content.IMAGES]
        marks = {files.mark_of(token) for token in keep}
        what = f"cannot clean up storage '{self._id}'"
        for folder in await self._run(lambda: files.left_folders(images, marks), what):
            await self._drop(folder)
            removed.append(folder.name)
        inside = [
            subvolumes.subvolume_of(self.path(v.volid)) for v in await self._run(lambda: self._listed(None), what)
        ]
        removed += await self._run(lambda: files.sweep(inside, marks), what)
        return sorted(removed)

    # -- points in time -----------------------------------------------------------------------------------------

    async def snapshots(self, volid: VolumeId) -> Sequence[SnapshotInfo]:
        name = self.parse(volid)
        if not _in_subvolume(name):
            return await super().snapshots(volid)
        await self.info(volid)
        names = await self._volume(volid, lambda: subvolumes.snapshots_of(self._place(name)))
        return tuple(SnapshotInfo(name=name, parent=None, used=None, merges=0) for name in names)

    async def snapshot(self, volid: VolumeId, name: str, *, owner: Owner | None = None) -> None:
        if not _in_subvolume(self.parse(volid)):
            await super().snapshot(volid, name, owner=owner)
            return
        await self.info(volid)
        place, kept = self.path(volid), subvolumes.subvolume_of(subvolumes.at_snapshot(self.path(volid), name))
        if not await self._volume(volid, lambda: subvolumes.is_subvolume(kept)):
            await subvolumes.snapshot(subvolumes.subvolume_of(place), kept, read_only=True)

    async def unsnapshot(self, volid: VolumeId, name: str) -> None:
        if not _in_subvolume(self.parse(volid)):
            await super().unsnapshot(volid, name)
            return
        await self._drop(subvolumes.subvolume_of(subvolumes.at_snapshot(self.path(volid), name)))

    async def delete_snapshot(self, volid: VolumeId, name: str, *, advance: Advance | None = None) -> None:
        if not _in_subvolume(self.parse(volid)):
            await super().delete_snapshot(volid, name, advance=advance)
            return
        await self.unsnapshot(volid, name)

    async def rollback(self, volid: VolumeId, name: str, *, owner: Owner | None = None) -> None:
        """The image's file takes a copy of the snapshot's, which shares its blocks: one renaming, whatever happens."""
        if not _in_subvolume(self.parse(volid)):
            await super().rollback(volid, name, owner=owner)
            return
        place = self.path(volid)
        kept, part = subvolumes.at_snapshot(place, name), files.part_of(place, f"rollback {name}")

        def take() -> None:
            files.drop(part)
            try:
                layering.share(kept, part)
                files.take_place(part, place)
            except FileNotFoundError:
                raise NotFound(f"snapshot '{name}' of '{volid}' does not exist", code="no-such-snapshot") from None
            finally:
                files.drop(part)
            if owner is not None:
                files.hand_over(place, owner)

        await self._run(take, f"cannot roll back '{volid}'")

    # -- base images --------------------------------------------------------------------------------------------

    async def make_base(self, volid: VolumeId, *, gid: int | None = None) -> VolumeId:
        name = self._image(volid)
        if not _in_subvolume(name) or name.is_base:
            return await super().make_base(volid, gid=gid)
        base = base_name(name)
        old, new = self._place(name), self._place(base)

        def turn() -> None:
            if old.exists() or not new.exists():
                refuse_snapshots(volid, subvolumes.snapshots_of(old))
                os.chown(old, 0, -1 if gid is None else gid)
                old.chmod(0o440)
                layering.seal(old)
                _rename(subvolumes.subvolume_of(old), subvolumes.subvolume_of(new))

        await self._turn(volid, turn)
        await subvolumes.set_read_only(subvolumes.subvolume_of(new), True)
        return VolumeId(self._id, str(base))

    async def unmake_base(self, volid: VolumeId) -> VolumeId:
        name = self._image(volid)
        if not _in_subvolume(name):
            return await super().unmake_base(volid)
        base, plain = (name, plain_name(name)) if name.is_base else (base_name(name), name)
        old, new = self._place(base), self._place(plain)
        if await self._run(old.exists, f"cannot read '{volid}'"):
            await subvolumes.set_read_only(subvolumes.subvolume_of(old), False)

        def turn_back() -> None:
            if old.exists() or not new.exists():
                layering.unseal(old)
                old.chmod(0o640)
                _rename(subvolumes.subvolume_of(old), subvolumes.subvolume_of(new))

        await self._turn(volid, turn_back)
        return VolumeId(self._id, str(plain))

    async def clone(self, base: VolumeId, new: NewImage) -> VolumeId:
        """Of a raw base image: a writable snapshot under a plain name, as in Proxmox; as qcow2 an overlay."""
        below = self._image(base)
        if not _in_subvolume(below) or not below.is_base or new.format != "raw":
            return await super().clone(base, new)
        await self.info(base)
        source = subvolumes.subvolume_of(self._place(below))

        async def make(folder: Path) -> None:
            await subvolumes.snapshot(source, folder, read_only=False)
            await self._run(lambda: layering.unseal(folder / DISK_FILE), f"cannot clone '{base}'")

        return await self._new_named(
            new, lambda name, mark, what: self._make_subvolume(name, new.owner, mark, make, what)
        )


def _in_subvolume(name: VolumeName) -> bool:
    return name.content is Content.IMAGES and name.format == "raw"


def _publish(part: Path, folder: Path, token: str, owner: Owner | None) -> None:
    """A finished subvolume gets its name, if that is free. Raises FileExistsError."""
    image = part / DISK_FILE
    if owner is not None:
        os.chown(image, owner.uid, owner.gid)
    image.chmod(0o600 if owner is not None else 0o640)
    part.chmod(0o711)
    files.mark(part, folder, token)
    fsync_file(image)
    fsync_directory(part)
    _rename(part, folder)


def _rename(old: Path, new: Path) -> None:
    """Durably; rename(2) never replaces a folder with something in it. Raises FileExistsError."""
    try:
        old.rename(new)
    except OSError as problem:
        if problem.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        raise FileExistsError(errno.EEXIST, "File exists", str(new)) from None
    fsync_directory(new.parent)
