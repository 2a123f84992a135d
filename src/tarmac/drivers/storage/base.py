"""What a storage can be asked: the protocol that every driver fulfils, and the values it answers with.

A *storage* holds *volumes*; a volume is named by its volume id (`local:100/vm-100-disk-0.qcow2`), and the name's form
belongs to the driver. Methods take no timeouts: callers bound them with `asyncio.timeout`. A storage whose host call
hangs blocks nobody but its own callers. The contract suite is tests/contract/test_storage.py.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tarmac.drivers.storage.volume_names import Content, VolumeName
from tarmac.model.ids import VolumeId

Advance = Callable[[int, int], None]
"""Progress in bytes: done, total. Called on the event loop, returns at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """Who may use a volume's file: the guest's uid and gid. The file is then 0600, else 0640."""

    uid: int
    gid: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What a driver can do; a service asks this instead of the driver's name."""

    formats: tuple[str, ...]
    default_format: str
    files: bool
    """Volumes are files: uploads, ISO images and snippets are possible."""
    linked_clones: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeInfo:
    """One volume. `size` is what a guest sees, `used` what it takes on the storage (bytes, None: not known);
    `ctime` seconds since the epoch; `parent` the image below a linked clone, relative as it stands in the image."""

    volid: VolumeId
    content: Content
    format: str
    size: int
    used: int | None
    ctime: int
    vmid: int | None = None
    parent: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One file of a volume's chain. `direct`: O_DIRECT works there."""

    path: Path
    format: str
    direct: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageStatus:
    """Bytes of the file system or pool behind a storage."""

    total: int
    used: int
    available: int


class Storage(Protocol):
    """One storage on this node.

    Errors of all methods: InvalidInput for a name that is none of this storage's, NotFound for a volume that is not
    there, NoSpace for a full storage, Denied or HostFailure for what the system refused. After an error the volume
    concerned is as it was, or not there if it was to be made; nothing half made is left.
    """

    @property
    def id(self) -> str: ...

    @property
    def content(self) -> frozenset[Content]:
        """The content types that the definition allows here."""

    @property
    def capabilities(self) -> Capabilities: ...

    def parse(self, volid: VolumeId) -> VolumeName:
        """The parts of a volume's name. Pure. Raises InvalidInput."""

    def path(self, volid: VolumeId) -> Path:
        """What QEMU opens. Pure: says nothing about existence. Raises InvalidInput."""

    async def activate(self) -> None:
        """Make it usable (directories, mounts); repeatable. Raises HostFailure or Denied when it cannot be."""

    async def status(self) -> StorageStatus:
        """Sizes, read now. Raises HostFailure when the storage is not there (not mounted, for instance)."""

    async def list(self, content: Content | None = None, vmid: int | None = None) -> list[VolumeInfo]:
        """All volumes, also such as no guest refers to, sorted by volume id. An unreadable one is left out."""

    async def info(self, volid: VolumeId) -> VolumeInfo:
        """One volume, read now."""

    async def layers(self, volid: VolumeId) -> Sequence[Layer]:
        """The volume's file and, for an image, what lies below it, top first.

        Raises DataCorrupt when an image points at anything but an image of this storage."""

    async def give(self, volid: VolumeId, owner: Owner) -> None:
        """Let a guest's user open the volume: an image of its own becomes its file, everything below it, base images
        and ISO images it may read. Repeatable. Only root can."""

    async def allocate(
        self, vmid: int, *, size: int, format: str, name: str | None = None, owner: Owner | None = None, token: str = ""
    ) -> VolumeId:
        """A new empty image of `size` bytes, durable on return; `name` None: the first free one.

        Raises Conflict (`disk image '...' already exists`), except when `token` is not empty and that image was made
        with the same token: then the call is a repetition and succeeds."""

    async def free(self, volid: VolumeId, *, token: str = "") -> bool:
        """Remove a volume, durably. False when it was not there. With a `token`, remove it only if it was made with
        that token, together with what a cut-off creation left; else return False."""

    async def resize(self, volid: VolumeId, size: int) -> None:
        """Grow an image that no guest runs on; the same size is no error.

        Raises InvalidInput (`shrinking disks is not supported`) for a smaller one."""

    async def replace(self, volid: VolumeId, contents: bytes) -> None:
        """Give an image other contents in one step, as for a cloud-init medium; whoever has it open keeps the old
        ones. Its format and owner stay; a reader sees the old or the new contents, never a part. Raises NotFound."""

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
        """A new image with the contents of `source`, which stays untouched. `foreign`: the source came from outside
        and is opened only inside the jail; else it is an image of a storage here. `token` as in `allocate`."""


class FileStorage(Storage, Protocol):
    """A storage whose volumes are files in directories: it also takes uploads."""

    async def stage(self, name: VolumeName, token: str) -> Path:
        """Create the empty temporary file in which a new volume's bytes are gathered; same file system, hidden from
        lists, mode 0600. An older file of the same token is replaced."""

    def staged(self, name: VolumeName, token: str) -> Path:
        """The path of such a file. Pure."""

    async def install(self, staged: Path, name: VolumeName, *, replace: bool, gid: int | None = None) -> VolumeId:
        """Make a staged file the volume `name`: contents on disk, then renamed, then the name on disk. Mode 0640,
        group `gid` if given. Raises Conflict (`refusing to override existing file '...'`) unless `replace`."""

    async def discard(self, name: VolumeName, token: str) -> None:
        """Remove a staged file, if it is there."""

    async def sweep(self, keep: Collection[str] = ()) -> Sequence[str]:
        """Remove temporary files that no unfinished work owns (`keep`: tokens of such work). Returns their names."""
