"""What storages are given and what they answer with: owners, capabilities, volumes, layers, points in time. Pure."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path
from typing import Any

from tarmac.drivers.storage.volume_names import Content
from tarmac.model.ids import VolumeId

Advance = Callable[[int, int], None]
"""Progress in bytes: done, total. Called on the event loop, returns at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """Who may use a volume's file: the guest's uid and gid. The file is then 0600, else 0640."""

    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class NewImage:
    """An image of a guest that is to be made, whatever fills it.

    name    its file name, None for the first free one
    owner   whose it is from the start
    token   the mark of the work that makes it: work that is repeated finds its own image and succeeds, and what undoes
            it removes no other (`free`)"""

    vmid: int
    format: str
    _: KW_ONLY
    name: str | None = None
    owner: Owner | None = None
    token: str = ""


class SnapshotKind(enum.StrEnum):
    """How a storage keeps a point in time of an image.

    overlay   the image becomes a frozen layer and an empty one above it takes its name: a running guest's QEMU must be
              switched to the new layer, and removing a snapshot merges layers (work in proportion to what was written)
    copy      the storage itself keeps the point in time (shared blocks, its own snapshots): a running guest's writes
              must be held meanwhile, and removing one costs nothing"""

    OVERLAY = "overlay"
    COPY = "copy"


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What a driver can do; a service asks this instead of the driver's name. Known once the storage is active, since
    some of it depends on the file system below.

    files            volumes are files (`FileStorage`): uploads, ISO images and snippets are possible
    allocates        volumes can be made and removed here; False: they are what the server offers
    linked_clones    a new image can stand on a base image, storing only what differs
    plain_clones     formats whose linked clones are images in their own right that share blocks with the base image, in
                     the same format and under plain names; others stand on it as qcow2
    snapshots        how images of each format keep points in time; a format that is not in it cannot
    shares_blocks    a full copy within the storage shares blocks until they are written: it takes no time
    freezes          formats whose images can become base images of another guest while their own runs on
                     (`FreezingStorage`)
    resize_online    an image can grow while a guest runs on it
    grows_first      for that, the storage grows it before QEMU is told; else QEMU does all of it
    thin             space is taken when it is written, not when an image is made
    shared           all nodes see the same volumes"""

    formats: tuple[str, ...]
    default_format: str
    files: bool
    linked_clones: bool
    allocates: bool = True
    plain_clones: frozenset[str] = frozenset()
    snapshots: Mapping[str, SnapshotKind] = field(default_factory=dict)
    shares_blocks: bool = False
    freezes: frozenset[str] = frozenset()
    resize_online: bool = True
    grows_first: bool = False
    thin: bool = True
    shared: bool = False


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
    """One image of a volume's chain.

    path        the file; of what is no file a text that names it, for people and for node names
    direct      O_DIRECT works there
    identity    names the image as long as it lives, whatever file name it has at the moment: QEMU's node names are made
                of it. "": the path does
    protocol    how QEMU opens it when it is no file: the options of its protocol node (`{"driver": "rbd", ...}`)
    snapshot    the volume's snapshot whose contents it holds, None for the active layer and for what lies below all
                snapshots (a base image)
    held        a frozen state stands on it, too: nobody writes to it, and nothing is merged into it
    below       what it stands on, as it was found when the chain was checked: nobody asks the image again"""

    path: Path
    format: str
    direct: bool
    identity: str = ""
    protocol: Mapping[str, Any] = field(default_factory=dict)
    snapshot: str | None = None
    held: bool = False
    below: Layer | None = field(default=None, compare=False, repr=False)

    @property
    def chain(self) -> list[tuple[Path, str]]:
        """It and all below it, top first, as (file, format)."""
        return [(self.path, self.format), *(self.below.chain if self.below is not None else [])]


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotInfo:
    """One point in time that a storage keeps of a volume.

    parent   the snapshot on which it stands, None for the first;  used: bytes it takes by itself (None: not known)
    merges   bytes that must be copied to remove it; 0 where removing costs nothing
    held     the frozen states that stand on it, by number: nothing may be merged into it meanwhile"""

    name: str
    parent: str | None
    used: int | None
    merges: int
    held: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageStatus:
    """Bytes of the file system or pool behind a storage."""

    total: int
    used: int
    available: int
