"""What a storage can be asked: the protocol that every driver fulfils. The values it takes and answers: `values.py`.

A *storage* holds *volumes*; a volume is named by its volume id (`local:100/vm-100-disk-0.qcow2`), and the name's form
belongs to the driver: services ask it for names (`image_name`, `clone_name`), never put one together. A volume need not
be a file: what QEMU opens is a `Layer`. Storages of files offer more (`FileStorage`). Methods take no timeouts:
callers bound them with `asyncio.timeout`. A storage whose host call hangs blocks nobody but its own callers. The
contract suite is tests/contract/test_storage.py.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

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
from tarmac.model.ids import VolumeId


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

    def location(self, volid: VolumeId) -> str:
        """Where a volume is, as the API shows it: a path, or a text such as `rbd:pool/vm-100-disk-0`. Pure: says
        nothing about existence. Raises InvalidInput."""

    def image_name(self, vmid: int, stem: str, format: str) -> VolumeName:
        """The name that an image of a guest has here, from one without extension (`vm-100-disk-0`). Pure."""

    def clone_name(self, base: VolumeName, vmid: int, stem: str) -> VolumeName:
        """The name, and with it the format, that a linked clone of `base` gets here. Pure."""

    def planned(self, volid: VolumeId) -> Layer:
        """The active layer of a volume that is still to be made, as QEMU will open it. Pure."""

    async def activate(self) -> None:
        """Make it usable (directories, mounts); repeatable. Raises HostFailure or Denied when it cannot be."""

    async def deactivate(self) -> None:
        """Give back what `activate` took of the node (mounts); volumes stay as they are. Repeatable."""

    async def status(self) -> StorageStatus:
        """Sizes, read now. Raises HostFailure when the storage is not there (not mounted, for instance)."""

    async def list(self, content: Content | None = None, vmid: int | None = None) -> list[VolumeInfo]:
        """All volumes, also such as no guest refers to, sorted by volume id. An unreadable one is left out."""

    async def info(self, volid: VolumeId) -> VolumeInfo:
        """One volume, read now."""

    async def layers(self, volid: VolumeId, snapshot: str | None = None) -> Sequence[Layer]:
        """The volume's image and, for one with layers, what lies below it, top first; with `snapshot` the chain that
        holds that point in time.

        Raises DataCorrupt when an image points at anything but an image of this storage, NotFound."""

    async def give(self, volid: VolumeId, owner: Owner) -> frozenset[int]:
        """Let a guest's user open the volume: an image of its own, with its layers, becomes its file; base images and
        ISO images it may read. Returns the groups that its process must be in for that (those of templates).
        Repeatable. Only root can."""

    # What makes an image raises Conflict (`disk image '...' already exists`) when its name is taken, except by an image
    # that was made with the same token: then the call is a repetition and succeeds. The image is durable on return.

    async def allocate(self, new: NewImage, *, size: int) -> VolumeId:
        """An empty image of `size` bytes."""

    async def free(self, volid: VolumeId, *, token: str = "") -> bool:
        """Remove a volume, durably. False when it was not there. With a `token`, remove it only if it was made with
        that token, together with what a cut-off creation left; else return False."""

    async def resize(self, volid: VolumeId, size: int) -> None:
        """Grow an image that no guest runs on; the same size is no error.

        Raises InvalidInput (`shrinking disks is not supported`) for a smaller one."""

    async def replace(self, volid: VolumeId, contents: bytes) -> None:
        """Give an image other contents in one step, as for a cloud-init medium; whoever has it open keeps the old
        ones. Its format and owner stay; a reader sees the old or the new contents, never a part (where volumes are no
        files it is written in place: a reader may see a part of each). Raises NotFound."""

    async def import_image(
        self, source: Path, source_format: str, new: NewImage, *, foreign: bool = True, advance: Advance | None = None
    ) -> VolumeId:
        """An image with the contents of `source`, which stays untouched. `foreign`: the source came from outside and is
        opened only inside the jail; else it is an image of a storage here."""

    async def copy(self, source: Layer, new: NewImage, *, speed: int = 0, advance: Advance | None = None) -> VolumeId:
        """An image with the contents of a chain of this node's storages, given by its top layer, that nobody writes
        to meanwhile. It stands on nothing; where `shares_blocks` holds and the source is a whole image of this storage
        in the same format, it shares blocks and takes no time. `speed`: at most so many bytes a second, 0 for no
        limit."""

    # Base images and linked clones

    async def make_base(self, volid: VolumeId, *, gid: int | None = None) -> VolumeId:
        """Turn an image into a base image (`vm-9000-disk-0` becomes `base-9000-disk-0`), which nothing may change from
        then on; returns its new id. `gid`: the group whose members may read it (`give` tells clones' processes).
        Repeatable: a base image comes back as it is, and the old name finds the new one.

        Raises InvalidInput for a volume that is no image, HostFailure where the storage has no linked clones,
        WrongState for one with snapshots."""

    async def unmake_base(self, volid: VolumeId) -> VolumeId:
        """The reverse, for a base image without clones. Repeatable."""

    async def clone(self, base: VolumeId, new: NewImage) -> VolumeId:
        """A linked clone of a base image, in the format that `clone_name` says: a new image that stores only what
        differs. Its id names the base (`local:9000/base-9000-disk-0.qcow2/100/vm-100-disk-0.qcow2`)."""

    # Points in time. `capabilities.snapshots` says of which kind a format's are.

    async def snapshots(self, volid: VolumeId) -> Sequence[SnapshotInfo]:
        """What the storage keeps of a volume, parents before children."""

    async def snapshot(self, volid: VolumeId, name: str, *, owner: Owner | None = None) -> None:
        """Keep the volume's present contents as `name`, durably.

        COPY: the caller holds the writes of a running guest until this returns. OVERLAY: when this returns, the frozen
        layer has a hidden name and the volume is an empty overlay on it; a QEMU that had the image open still writes to
        the frozen layer and must be switched. At no moment does the volume's name lead nowhere. Repeatable: the newest
        point in time is not taken again. Raises Conflict when `name` belongs to an older one."""

    async def unsnapshot(self, volid: VolumeId, name: str) -> None:
        """Take back a `snapshot` that no guest has written after (OVERLAY: the overlay goes, the layer gets its name
        back). Repeatable; fine when it never happened."""

    async def rollback(self, volid: VolumeId, name: str, *, owner: Owner | None = None) -> None:
        """The volume's contents become those of `name`; what was written since is lost. No guest runs on it. The
        snapshot stays, and so do those made after it. Repeatable. Raises NotFound."""

    async def delete_snapshot(self, volid: VolumeId, name: str, *, advance: Advance | None = None) -> None:
        """Forget a point in time of a volume that no guest runs on; the volume and its other snapshots stay as they
        are. OVERLAY: merges the layer with the one above it. Repeatable; fine when it is gone. A crash in the midst of
        it damages no other point in time."""

    async def merged(self, volid: VolumeId, name: str) -> None:
        """OVERLAY, after a running guest's QEMU has merged the layer above `name` into it: that layer's file takes the
        name of the one that it has absorbed. Repeatable."""


class FileStorage(Storage, Protocol):
    """A storage whose volumes are files in directories: it also takes uploads."""

    def path(self, volid: VolumeId) -> Path:
        """The file. Pure: says nothing about existence. Raises InvalidInput."""

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

    async def rename(self, volid: VolumeId, new: VolumeId) -> None:
        """Give an image without snapshots another name, also another guest's, durably; its base stays. Repeatable: one
        that has its new name already is fine. Raises Conflict when that is taken, NotFound."""

    async def detach(self, volid: VolumeId, *, speed: int = 0, advance: Advance | None = None) -> None:
        """Copy into a linked clone that no guest runs on what it has of its base image, so that it stands on nothing;
        `speed` in bytes a second, 0 for no limit. What breaks it off at whatever moment harms nothing: it is still a
        linked clone, and a repetition goes on. Fine for an image that stands on nothing."""

    async def lost_points(self) -> Sequence[tuple[VolumeId, SnapshotInfo]]:
        """Points in time whose volume is gone, with that volume's id. `delete_snapshot` removes them."""

    async def sweep(self, keep: Collection[str] = ()) -> Sequence[str]:
        """Remove temporary files that no unfinished work owns (`keep`: tokens of such work). Returns their names."""


@runtime_checkable
class FreezingStorage(FileStorage, Protocol):
    """A storage on which a running guest's disk can become another guest's base image (`capabilities.freezes`)."""

    def standing(self, volid: VolumeId, base: VolumeId) -> VolumeId:
        """What the volume is called while it is an overlay on `base`."""

    async def freeze_base(self, volid: VolumeId, base: VolumeId, *, owner: Owner | None = None) -> None:
        """The image `volid` becomes the base image `base`, and an empty overlay on it is there (`standing`), durably. A
        QEMU that had the image open still writes to it, until it is switched and the base guarded. At no moment does
        the name lead nowhere. Snapshots of the volume stay, and are `held` while the base stands on them. Repeatable.
        Raises Conflict when the base's name is taken, WrongState for a raw image with snapshots."""

    async def guard_base(self, volid: VolumeId, base: VolumeId, *, gid: int | None = None) -> None:
        """Nothing may change the base from now on, and no name but the overlay's leads to the volume; `gid`: the group
        whose members may read it. Repeatable."""

    async def unguard_base(self, base: VolumeId) -> None:
        """Lift that, before a running guest's QEMU writes its overlay into the base. Repeatable."""

    async def unfreeze_base(self, volid: VolumeId, base: VolumeId, *, owner: Owner | None = None) -> None:
        """Take `freeze_base` back, when nothing was written to the overlay. Repeatable; fine when it never happened."""

    async def joined(self, volid: VolumeId, base: VolumeId, *, owner: Owner | None = None) -> None:
        """After a running guest's QEMU has written the overlay into the base: the base is the volume again.
        Repeatable."""

    async def join_base(
        self, volid: VolumeId, base: VolumeId, *, owner: Owner | None = None, advance: Advance | None = None
    ) -> None:
        """The same for a volume that no guest runs on: write the overlay into the base, which is the volume then.
        Nobody else stands on the base. Repeatable; a crash in the midst of it damages nothing."""
