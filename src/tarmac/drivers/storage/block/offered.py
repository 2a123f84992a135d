"""A storage whose volumes are what a server offers: none is made, removed, grown or renamed here.

Guests reach them by QEMU's own driver. Whose they are only their configurations say: such volumes have no owner.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from tarmac.drivers.storage import image
from tarmac.drivers.storage.block.commands import Argv
from tarmac.drivers.storage.ground import StorageGround
from tarmac.drivers.storage.values import (
    Advance,
    Capabilities,
    Layer,
    NewImage,
    Owner,
    SnapshotInfo,
    StorageStatus,
    VolumeInfo,
)
from tarmac.drivers.storage.volume_names import Content, VolumeName
from tarmac.lib.process import run
from tarmac.model.errors import HostFailure, InvalidInput, NotFound
from tarmac.model.ids import VolumeId

OFFERED = Capabilities(
    formats=("raw",),
    default_format="raw",
    files=False,
    linked_clones=False,
    allocates=False,
    resize_online=False,
    thin=False,
    shared=True,
)


class Offer(Protocol):
    """A kind of server. Pure."""

    kind: str
    """Proxmox's word in `unable to parse ... volume name`."""

    def knows(self, name: str) -> bool:
        """Whether a volume can be called so."""

    def location(self, name: str) -> str: ...

    def node(self, name: str) -> Mapping[str, Any]:
        """The options of QEMU's protocol node."""

    def listing(self) -> Argv: ...

    def read_listing(self, output: str) -> Sequence[str]:
        """The names of what the server offers."""


class OfferedStorage(StorageGround):
    """Implements `Storage`; see `base.py` for the contract. Sizes are read as QEMU sees them."""

    def __init__(self, id: str, offer: Offer, *, content: Collection[Content]) -> None:
        super().__init__(id, content)
        self._offer = offer

    @property
    def capabilities(self) -> Capabilities:
        return OFFERED

    def parse(self, volid: VolumeId) -> VolumeName:
        own = self._own(volid)
        if not self._offer.knows(own):
            raise InvalidInput(f"unable to parse {self._offer.kind} volume name '{own}'", code="volume-name")
        return VolumeName(content=Content.IMAGES, file=own, format="raw", flat=True)

    def location(self, volid: VolumeId) -> str:
        return self._offer.location(self.parse(volid).file)

    def planned(self, volid: VolumeId) -> Layer:
        name = self.parse(volid).file
        return Layer(path=Path(self._offer.location(name)), format="raw", direct=True, protocol=self._offer.node(name))

    # -- reading ------------------------------------------------------------------------------------------------

    async def activate(self) -> None:
        await self._names()

    async def deactivate(self) -> None:
        """Nothing was taken."""

    async def status(self) -> StorageStatus:
        """No figures, as in Proxmox: the server tells none. It must answer all the same."""
        await self._names()
        return StorageStatus(total=0, used=0, available=0)

    async def list(self, content: Content | None = None, vmid: int | None = None) -> list[VolumeInfo]:
        if vmid is not None or Content.IMAGES not in (self._content if content is None else self._content & {content}):
            return []
        found = []
        for name in sorted(await self._names()):
            try:
                found.append(await self._volume(name))
            except HostFailure:  # not a disk, or not for us
                continue
        return found

    async def info(self, volid: VolumeId) -> VolumeInfo:
        return await self._volume(await self._there(volid))

    async def layers(self, volid: VolumeId, snapshot: str | None = None) -> Sequence[Layer]:
        if snapshot is not None:
            raise NotFound(f"snapshot '{snapshot}' of '{volid}' does not exist", code="no-such-snapshot")
        await self._there(volid)
        return (self.planned(volid),)

    async def give(self, volid: VolumeId, owner: Owner) -> frozenset[int]:
        """Everybody who reaches the server may open it."""
        await self._there(volid)
        return frozenset()

    async def snapshots(self, volid: VolumeId) -> Sequence[SnapshotInfo]:
        await self._there(volid)
        return ()

    async def _names(self) -> Sequence[str]:
        try:
            done = await run(self._offer.listing())
        except HostFailure as problem:
            if problem.error_code != "tool-failed":
                raise
            raise HostFailure(
                f"cannot read storage '{self._id}'",
                code="storage-missing",
                cause="its server does not answer as one, or is not there",
                evidence=problem.evidence,
            ) from problem
        return [name for name in self._offer.read_listing(done.text) if self._offer.knows(name)]

    async def _there(self, volid: VolumeId) -> str:
        name = self.parse(volid).file
        if name not in await self._names():
            raise NotFound(f"volume '{volid}' does not exist", code="no-such-volume")
        return name

    async def _volume(self, name: str) -> VolumeInfo:
        volid = VolumeId(self._id, name)
        size = await image.layer_size(self.planned(volid))
        return VolumeInfo(volid=volid, content=Content.IMAGES, format="raw", size=size, used=None, ctime=0)

    # -- what there is none of ----------------------------------------------------------------------------------

    def image_name(self, vmid: int, stem: str, format: str) -> VolumeName:
        raise self._fixed("allocate space")

    def clone_name(self, base: VolumeName, vmid: int, stem: str) -> VolumeName:
        raise self._fixed("clone images")

    async def allocate(self, new: NewImage, *, size: int) -> VolumeId:
        raise self._fixed("allocate space")

    async def free(self, volid: VolumeId, *, token: str = "") -> bool:
        raise self._fixed("free space")

    async def resize(self, volid: VolumeId, size: int) -> None:
        raise self._fixed("resize volumes")

    async def replace(self, volid: VolumeId, contents: bytes) -> None:
        raise self._fixed("make media")

    async def import_image(
        self, source: Path, source_format: str, new: NewImage, *, foreign: bool = True, advance: Advance | None = None
    ) -> VolumeId:
        raise self._fixed("allocate space")

    async def copy(self, source: Layer, new: NewImage, *, speed: int = 0, advance: Advance | None = None) -> VolumeId:
        raise self._fixed("allocate space")

    async def make_base(self, volid: VolumeId, *, gid: int | None = None) -> VolumeId:
        raise self._fixed("create base images")

    async def unmake_base(self, volid: VolumeId) -> VolumeId:
        raise self._fixed("create base images")

    async def clone(self, base: VolumeId, new: NewImage) -> VolumeId:
        raise self._fixed("clone images")

    async def snapshot(self, volid: VolumeId, name: str, *, owner: Owner | None = None) -> None:
        raise self._fixed("take snapshots")

    async def unsnapshot(self, volid: VolumeId, name: str) -> None:
        """Fine: there is none."""

    async def rollback(self, volid: VolumeId, name: str, *, owner: Owner | None = None) -> None:
        raise NotFound(f"snapshot '{name}' of '{volid}' does not exist", code="no-such-snapshot")

    async def delete_snapshot(self, volid: VolumeId, name: str, *, advance: Advance | None = None) -> None:
        """Fine: there is none."""

    async def merged(self, volid: VolumeId, name: str) -> None:
        """Nothing is merged here."""

    def _fixed(self, what: str) -> InvalidInput:
        return InvalidInput(
            f"can't {what} in {self._offer.kind} storage",
            code="storage-fixed",
            cause="its volumes are what its server offers",
            evidence=f"storage: {self._id}",
        )
