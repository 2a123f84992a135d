"""What a pool of images needs to say of itself: the exact commands for every verb, and how their output reads. Pure.

`BlockStorage` carries them out and gives them the meaning of `drivers/storage/base.py`: names that appear only when the
image is whole, repetition after a crash, undoing only one's own. A kind of pool is one class with these methods.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from tarmac.drivers.storage.values import Capabilities, StorageStatus
from tarmac.drivers.storage.volume_names import VolumeName

Argv = Sequence[str]
LINGER_SECONDS = 90.0
BASE_POINT = "__base__"
"""The point in time of a base image on which linked clones stand: Proxmox's name. Never listed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockImage:
    """One image of a pool: `size` and `used` in bytes (None: not known), `ctime` seconds since the epoch, `parent` the
    base image that it stands on, `mark` what work made it ("": not known from this output)."""

    name: str
    size: int
    used: int | None = None
    ctime: int = 0
    parent: str | None = None
    mark: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A point in time of an image; `guarded` when it must be unguarded before it can go."""

    name: str
    guarded: bool = False


class BlockCommands(Protocol):
    """The commands of one pool. `Sequence[Argv]` are run one after the other, the first failure ends them."""

    kind: str
    """Proxmox's word in `unable to parse ... volume name`."""
    capabilities: Capabilities
    env: Mapping[str, str]
    """Added to the environment of the tools."""
    zeroed: bool
    """A new image reads as zeros."""
    beside: bool
    """Going back makes an image beside the volume first, which then takes its name."""

    def parse(self, text: str) -> VolumeName:
        """A volume name. Raises ValueError in Proxmox's words."""

    def clone_name(self, base: VolumeName, vmid: int, stem: str) -> VolumeName:
        """What a linked clone is called."""

    def location(self, name: str) -> str:
        """Where Proxmox says that an image is."""

    def node(self, name: str, point: str | None = None) -> Mapping[str, Any]:
        """The options of QEMU's protocol node for an image or a point in time of it."""

    def files(self) -> Mapping[Path, str]:
        """What must be written on this node before the tools or QEMU can reach the pool: contents by path."""

    def devices(self, name: str) -> Sequence[Path]:
        """The device files that QEMU opens, which must belong to a guest's user."""

    # -- reading ------------------------------------------------------------------------------------------------

    def status(self) -> Sequence[Argv]: ...

    def read_status(self, outputs: Sequence[str]) -> StorageStatus:
        """Raises ValueError with what is wrong, for instance that there is no such pool."""

    def names(self) -> Argv:
        """Cheap, and not disturbed by images that come and go meanwhile."""

    def read_names(self, output: str) -> Sequence[str]: ...

    def listing(self) -> Argv: ...

    def read_listing(self, output: str) -> Sequence[BlockImage]: ...

    def show(self, name: str) -> Sequence[Argv]: ...

    def read_show(self, name: str, outputs: Sequence[str]) -> BlockImage: ...

    def points(self, name: str) -> Argv: ...

    def read_points(self, name: str, output: str) -> Sequence[Point]:
        """Oldest first, `BASE_POINT` among them. Raises LookupError where the output says that there is no image."""

    def mark(self, name: str) -> Argv: ...

    def read_mark(self, output: str) -> str: ...

    def is_missing(self, words: str) -> bool:
        """Whether a tool's last words say that there is no such image."""

    def is_taken(self, words: str) -> bool:
        """Whether they say that the name is taken."""

    def is_busy(self, words: str) -> bool:
        """Whether they say that somebody has it open or stands on it."""

    def lingers(self, words: str) -> bool:
        """Whether they say that somebody has it open who may be dead: that passes by itself within LINGER_SECONDS."""

    # -- changing -----------------------------------------------------------------------------------------------

    def activate(self) -> Sequence[Argv]: ...

    def create(self, name: str, size: int, vmid: int, mark: str) -> Sequence[Argv]:
        """An empty image of at least `size` bytes that carries `mark`."""

    def clone(self, base: str, name: str, vmid: int, mark: str) -> Sequence[Argv]:
        """An image on the base image `base`."""

    def open(self, name: str, point: str | None = None) -> Sequence[Argv]:
        """What lets QEMU open it on this node."""

    def rename(self, old: str, new: str) -> Sequence[Argv]: ...

    def remove(self, name: str, points: Sequence[Point]) -> Sequence[Argv]: ...

    def resize(self, name: str, size: int) -> Sequence[Argv]: ...

    def snapshot(self, name: str, point: str) -> Sequence[Argv]: ...

    def rollback(self, name: str, point: str, points: Sequence[Point], part: str, there: bool) -> Sequence[Argv]:
        """`part`: the hidden name for what is made `beside`; `there`: whether the volume is (a crash may have come
        between). Raises ValueError where the pool cannot go back to that one."""

    def drop(self, name: str, point: Point) -> Sequence[Argv]: ...

    def seal(self, name: str, points: Sequence[Point]) -> Sequence[Argv]:
        """Make an image that has the name of a base image one on which clones can stand; done already is fine."""

    def unseal(self, name: str, points: Sequence[Point]) -> Sequence[Argv]: ...
