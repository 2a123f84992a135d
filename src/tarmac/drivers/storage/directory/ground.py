"""What all of a directory storage's parts stand on: its settings, its names, and how it calls into the file system."""

from __future__ import annotations

import dataclasses
import os
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from pathlib import Path, PurePosixPath
from typing import TypeVar

from tarmac.drivers.storage import image
from tarmac.drivers.storage.directory.layers import layer_of
from tarmac.drivers.storage.ground import StorageGround
from tarmac.drivers.storage.jail import Jail
from tarmac.drivers.storage.pinned import Chain
from tarmac.drivers.storage.values import Capabilities, Layer, SnapshotKind
from tarmac.drivers.storage.volume_names import LAYOUT, Content, VolumeName, image_name, parse_volume_name
from tarmac.lib.files import failure_of
from tarmac.lib.hostcalls import HostCalls
from tarmac.model.errors import HostFailure, InvalidInput, NotFound
from tarmac.model.ids import VolumeId

T = TypeVar("T")
_FORMATS = ("qcow2", "raw")
CLONE_FORMAT = "qcow2"


def capabilities_of(default_format: str, *, shares_blocks: bool, shared: bool) -> Capabilities:
    """Of a directory: points in time are copies where the file system shares blocks between files, else layers."""
    copies = dict.fromkeys(_FORMATS, SnapshotKind.COPY)
    return Capabilities(
        formats=_FORMATS,
        default_format=default_format,
        files=True,
        linked_clones=True,
        snapshots=copies if shares_blocks else {"qcow2": SnapshotKind.OVERLAY},
        shares_blocks=shares_blocks,
        freezes=frozenset(_FORMATS),
        shared=shared,
    )


class DirectoryGround(StorageGround):
    """See `DirectoryStorage`, which has the parameters."""

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
        shared: bool = False,
    ) -> None:
        super().__init__(id, content)
        self.root = path
        self._preallocation = preallocation
        self._mountpoint = is_mountpoint
        self._create = create
        self._jail = jail
        self.layout = {**LAYOUT, **(layout or {})}
        self._calls = HostCalls(f"storage-{id}")
        self._making: Counter[int] = Counter()  # guests whose directory must not be removed just now
        self._capabilities = capabilities_of(default_format, shares_blocks=False, shared=shared)

    @property
    def capabilities(self) -> Capabilities:
        return self._capabilities

    def parse(self, volid: VolumeId) -> VolumeName:
        own = self._own(volid)
        try:
            return parse_volume_name(own)
        except ValueError as problem:
            raise InvalidInput(str(problem), code="volume-name") from None

    def path(self, volid: VolumeId) -> Path:
        return self._place(self.parse(volid))

    def location(self, volid: VolumeId) -> str:
        return str(self.path(volid))

    def image_name(self, vmid: int, stem: str, format: str) -> VolumeName:
        return image_name(vmid, f"{stem}.{format}")

    def clone_name(self, base: VolumeName, vmid: int, stem: str) -> VolumeName:
        if base.format in self.capabilities.plain_clones:
            return self.image_name(vmid, stem, base.format)
        assert base.vmid is not None
        return dataclasses.replace(self.image_name(vmid, stem, CLONE_FORMAT), base=(base.vmid, base.file))

    def planned(self, volid: VolumeId) -> Layer:
        name = self.parse(volid)
        return Layer(path=self._place(name), format=name.format, direct=True)

    def _place(self, name: VolumeName) -> Path:
        return self.root / name.path(self.layout)

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

    def _chain(self, path: Path, format: str) -> Chain:
        return image.chain(path, format, self._is_image)

    def _measured(self, path: Path, format: str) -> tuple[Chain, int]:
        return self._chain(path, format), image.virtual_size(path, format)

    def _checked_size(self, path: Path, format: str) -> int:
        return self._measured(path, format)[1]

    @staticmethod
    def _is_image(reference: PurePosixPath) -> bool:
        vmid, _, file = str(reference).partition("/")
        try:
            return parse_volume_name(f"{vmid}/{layer_of(file)[1]}").content is Content.IMAGES
        except ValueError:
            return False

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
