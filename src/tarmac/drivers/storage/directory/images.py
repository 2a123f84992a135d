"""How a new image comes about in a directory: a free name, a hidden file, its contents, its appearance."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from pathlib import Path

from tarmac.drivers.storage.directory import files
from tarmac.drivers.storage.directory.ground import DirectoryGround
from tarmac.drivers.storage.directory.listing import volume_info
from tarmac.drivers.storage.values import NewImage, Owner, VolumeInfo
from tarmac.drivers.storage.volume_names import Content, VolumeName, free_disk_name, image_name
from tarmac.model.errors import Conflict, InvalidInput
from tarmac.model.ids import VolumeId

Make = Callable[[VolumeName, str, str], Awaitable[VolumeId]]


class DirectoryImages(DirectoryGround):
    """What making an image takes, whatever fills it."""

    async def info(self, volid: VolumeId) -> VolumeInfo:
        name = self.parse(volid)
        return await self._volume(volid, lambda: volume_info(self._id, self._place(name), name))

    async def _new_image(self, new: NewImage, fill: files.Fill) -> VolumeId:
        return await self._new_named(new, lambda name, mark, what: self._make(name, new.owner, mark, fill, what))

    async def _new_named(self, new: NewImage, make: Make) -> VolumeId:
        """`make(name, token, what)` makes it."""
        vmid, format = new.vmid, new.format
        if format not in self._capabilities.formats:
            raise InvalidInput.of("format", f"storage '{self._id}' has no image format '{format}'")
        token = new.token or secrets.token_hex(8)
        what = f"cannot create a volume for VM {vmid} on storage '{self._id}'"
        self._making[vmid] += 1
        try:
            await self._run(lambda: self._image_directory(vmid), what)
            if new.name is not None:
                return await make(self._named(vmid, new.name, format), token, what)
            while True:
                taken = await self._run(lambda: files.names_in(self._directory_of(vmid)), what)
                name = self._named(vmid, free_disk_name(vmid, taken, format), format)
                try:
                    return await make(name, token, what)
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
