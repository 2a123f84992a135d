"""A storage that is a directory of the node, with Proxmox's `dir` layout and names to the letter.

A volume appears under its name only when it is whole and on disk: it is made as a hidden file beside it
(`.NAME.TOKEN.part`), synced, and then linked, which fails if the name is taken meanwhile. The token of the work that
made it stays on the file as an extended attribute, so that undoing that work after a crash removes its own volume and
never one that was there before.
"""

from __future__ import annotations

import os
import secrets
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import TypeVar

from tarmac.drivers.storage import directory_files as files
from tarmac.drivers.storage import image
from tarmac.drivers.storage.base import Advance, Capabilities, Layer, Owner, StorageStatus, VolumeInfo
from tarmac.drivers.storage.directory_list import list_volumes, volume_info
from tarmac.drivers.storage.jail import Jail
from tarmac.drivers.storage.volume_names import (
    LAYOUT,
    Content,
    VolumeName,
    free_disk_name,
    image_name,
    parse_volume_name,
)
from tarmac.lib.files import failure_of
from tarmac.lib.hostcalls import HostCalls
from tarmac.model.errors import Conflict, HostFailure, InvalidInput, NotFound
from tarmac.model.ids import VolumeId

T = TypeVar("T")
_FORMATS = ("qcow2", "raw")


class DirectoryStorage:
    """Implements `FileStorage`; see `base.py` for the contract.

    `preallocation` is Proxmox's setting; `is_mountpoint` a path that must be a mount point for the storage to count
    as there; `create` whether missing directories are made; `layout` other places for some contents."""

    def __init__(
        self,
        id: str,
        path: Path,
        *,
        jail: Jail,
        content: Collection[Content] = tuple(Content),
        default_format: str = "qcow2",
        preallocation: str = "metadata",
        is_mountpoint: Path | None = None,
        create: bool = True,
        layout: Mapping[Content, str] | None = None,
    ) -> None:
        self._id = id
        self.root = path
        self._content = frozenset(content)
        self._preallocation = preallocation
        self._mountpoint = is_mountpoint
        self._create = create
        self._jail = jail
        self.layout = {**LAYOUT, **(layout or {})}
        self._calls = HostCalls(f"storage-{id}")
        self._making: Counter[int] = Counter()  # guests whose directory must not be removed just now
        self._capabilities = Capabilities(
            formats=_FORMATS, default_format=default_format, files=True, linked_clones=True
        )

    @property
    def id(self) -> str:
        return self._id

    @property
    def content(self) -> frozenset[Content]:
        return self._content

    @property
    def capabilities(self) -> Capabilities:
        return self._capabilities

    def parse(self, volid: VolumeId) -> VolumeName:
        if volid.storage != self._id:
            raise InvalidInput(f"volume '{volid}' is none of storage '{self._id}'")
        try:
            return parse_volume_name(volid.name)
        except ValueError as problem:
            raise InvalidInput(str(problem), code="volume-name") from None

    def path(self, volid: VolumeId) -> Path:
        return self._place(self.parse(volid))

    def _place(self, name: VolumeName) -> Path:
        return self.root / name.path(self.layout)

    async def activate(self) -> None:
        def prepare() -> None:
            self._check_there()
            if self._create:
                for content in sorted(self._content):
                    files.make_directory(self.root / self.layout[content], below=self.root)

        await self._run(prepare, f"cannot prepare storage '{self._id}'")

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

    def _check_there(self) -> None:
        if self._mountpoint is not None and not os.path.ismount(self._mountpoint):
            raise HostFailure(
                f"unable to activate storage '{self._id}' - directory is expected to be a mount point but is not "
                f"mounted: '{self._mountpoint}'",
                code="storage-not-mounted",
                cause="nothing is mounted there",
            )
        if not self._create and not self.root.is_dir():
            raise HostFailure(
                f"unable to activate storage '{self._id}' - directory '{self.root}' does not exist",
                code="storage-missing",
                cause="the directory is not there and the storage may not create it",
            )

    async def list(self, content: Content | None = None, vmid: int | None = None) -> list[VolumeInfo]:
        wanted = self._content if content is None else self._content & {content}
        return await self._run(
            lambda: list_volumes(self._id, self.root, self.layout, wanted, vmid), f"cannot list storage '{self._id}'"
        )

    async def info(self, volid: VolumeId) -> VolumeInfo:
        name = self.parse(volid)
        return await self._volume(volid, lambda: volume_info(self._id, self._place(name), name))

    async def allocate(
        self, vmid: int, *, size: int, format: str, name: str | None = None, owner: Owner | None = None, token: str = ""
    ) -> VolumeId:
        async def fill(part: Path) -> None:
            await image.create(part, format, size, preallocation=self._preallocation)

        return await self._new_image(vmid, format, name, owner, token, fill)

    async def import_image(
        self,
        source: Path,
        source_format: str,
        vmid: int,
        *,
        format: str,
        name: str | None = None,
        foreign: bool = True,
        owner: Owner | None = None,
        token: str = "",
        advance: Advance | None = None,
    ) -> VolumeId:
        async def fill(part: Path) -> None:
            if foreign:
                await self._jail.convert(source, source_format, part, format, advance=advance)
                return
            size = await self._run(lambda: self._checked_size(source, source_format), f"cannot read {source.name}")
            await image.copy(source, source_format, part, format, size=size, advance=advance)

        return await self._new_image(vmid, format, name, owner, token, fill)

    async def _new_image(
        self, vmid: int, format: str, file: str | None, owner: Owner | None, token: str, fill: files.Fill
    ) -> VolumeId:
        if format not in self._capabilities.formats:
            raise InvalidInput.of("format", f"storage '{self._id}' has no image format '{format}'")
        token = token or secrets.token_hex(8)
        what = f"cannot create a volume for VM {vmid} on storage '{self._id}'"
        self._making[vmid] += 1
        try:
            await self._run(lambda: self._image_directory(vmid), what)
            if file is not None:
                return await self._make(self._named(vmid, file, format), owner, token, fill, what)
            while True:
                taken = await self._run(lambda: files.names_in(self._directory_of(vmid)), what)
                name = self._named(vmid, free_disk_name(vmid, taken, format), format)
                try:
                    return await self._make(name, owner, token, fill, what)
                except Conflict:  # somebody was faster: the next number
                    continue
        finally:
            self._making[vmid] -= 1
            await self._tidy(vmid)

    def _named(self, vmid: int, file: str, format: str) -> VolumeName:
        try:
            name = image_name(vmid, file)
        except ValueError as problem:
            raise InvalidInput(str(problem), code="volume-name", parameters={"filename": str(problem)}) from None
        if name.format != format:
            text = f"illegal name '{file}' - wrong extension for format ('{name.format} != '{format}')"
            raise InvalidInput(text, code="volume-name", parameters={"filename": text})
        return name

    async def _make(self, name: VolumeName, owner: Owner | None, token: str, fill: files.Fill, what: str) -> VolumeId:
        place = self._place(name)
        volid = VolumeId(self._id, str(name))
        found = await self._run(lambda: files.made_by(place, token), what)
        if found is not None:
            if found:
                return volid
            raise Conflict(f"disk image '{place}' already exists", code="volume-exists", evidence=str(volid))
        part = files.part_of(place, token)
        await self._run(lambda: part.unlink(missing_ok=True), what)
        try:
            await fill(part)
            await self._run(lambda: files.publish(part, place, token, owner), what)
        except FileExistsError:
            raise Conflict(f"disk image '{place}' already exists", code="volume-exists", evidence=str(volid)) from None
        finally:
            await self._run(lambda: files.drop(part), what)
        return volid

    async def free(self, volid: VolumeId, *, token: str = "") -> bool:
        name = self.parse(volid)
        place = self._place(name)

        def remove() -> bool:
            if token:
                files.drop(files.part_of(place, token))
                if not files.made_by(place, token):
                    return False
            return files.remove(place)

        removed = await self._run(remove, f"cannot remove volume '{volid}'")
        if name.content is Content.IMAGES and name.vmid is not None:
            await self._tidy(name.vmid)
        return removed

    async def resize(self, volid: VolumeId, size: int) -> None:
        name, place = self._image(volid), self.path(volid)
        now = (await self.info(volid)).size
        if size < now:
            raise InvalidInput(
                "shrinking disks is not supported",
                code="disk-shrink",
                cause="data beyond the new end would be lost",
                evidence=f"{volid} has {now} bytes, {size} were asked for",
            )
        if size == now:
            return
        await self._volume(volid, lambda: self._check_chain(place, name.format))
        await image.resize(place, name.format, size, preallocation="off")
        await self._volume(volid, lambda: files.sync(place))

    async def replace(self, volid: VolumeId, contents: bytes) -> None:
        name, place = self._image(volid), self.path(volid)
        raw, part = files.part_of(place, f"raw {volid}"), files.part_of(place, f"new {volid}")
        try:
            await self._volume(volid, lambda: files.write_part(raw, contents))
            await image.copy(raw, "raw", part, name.format, size=len(contents))
            await self._volume(volid, lambda: files.take_place(part, place))
        finally:
            await self._run(lambda: files.drop(raw, part), "cannot remove temporary files")

    def _check_chain(self, path: Path, format: str) -> None:
        image.chain(path, format, self._is_image)

    def _checked_size(self, path: Path, format: str) -> int:
        self._check_chain(path, format)
        return image.virtual_size(path, format)

    def _is_image(self, reference: PurePosixPath) -> bool:
        try:
            return parse_volume_name(str(reference)).content is Content.IMAGES
        except ValueError:
            return False

    async def layers(self, volid: VolumeId) -> Sequence[Layer]:
        name, place = self.parse(volid), self.path(volid)

        def find() -> Sequence[Layer]:
            if name.content is not Content.IMAGES:
                return (Layer(path=place, format="raw", direct=files.takes_direct(place)),)
            found = image.chain(place, name.format, self._is_image)
            return tuple(Layer(path=p, format=f, direct=files.takes_direct(p)) for p, f in found)

        return await self._volume(volid, find)

    async def give(self, volid: VolumeId, owner: Owner) -> None:
        name = self.parse(volid)
        layers = await self.layers(volid)
        own = name.content is Content.IMAGES and not name.is_base

        def hand_over() -> None:
            for layer in layers[1 if own else 0 :]:
                files.let_read(layer.path, owner.uid)
            if own:
                files.hand_over(layers[0].path, owner)

        await self._volume(volid, hand_over)

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

    def _directory_of(self, vmid: int) -> Path:
        return self.root / self.layout[Content.IMAGES] / str(vmid)

    def _image_directory(self, vmid: int) -> None:
        self._check_there()
        files.make_directory(self._directory_of(vmid), below=self.root)

    async def _tidy(self, vmid: int) -> None:
        """No empty directories of guests that have no images."""
        if self._making[vmid] <= 0:
            del self._making[vmid]
            await self._run(lambda: files.remove_empty(self._directory_of(vmid)), "cannot remove an empty directory")

    def _image(self, volid: VolumeId) -> VolumeName:
        name = self.parse(volid)
        if name.content is not Content.IMAGES:
            raise InvalidInput(f"volume '{volid}' is no disk image", code="volume-content")
        return name

    async def _run(self, work: Callable[[], T], what: str) -> T:
        """Blocking work in this storage's own threads; the system's refusals as errors of ours."""
        try:
            return await self._calls.run(work)
        except FileExistsError:
            raise
        except OSError as problem:
            raise failure_of(problem, what) from problem

    async def _volume(self, volid: VolumeId, work: Callable[[], T]) -> T:
        def translated() -> T:
            try:
                return work()
            except (FileNotFoundError, NotADirectoryError):
                raise NotFound(f"volume '{volid}' does not exist", code="no-such-volume") from None

        return await self._run(translated, f"cannot read volume '{volid}'")
