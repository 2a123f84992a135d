"""What every kind of storage stands on: its name, what it may hold, and what all refuse in the same words."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from tarmac.drivers.storage.volume_names import Content
from tarmac.model.errors import Busy, Fix, InvalidInput, WrongState
from tarmac.model.ids import VolumeId


class StorageGround:
    """The part of `Storage` that is the same everywhere."""

    def __init__(self, id: str, content: Collection[Content]) -> None:
        self._id = id
        self._content = frozenset(content)

    @property
    def id(self) -> str:
        return self._id

    @property
    def content(self) -> frozenset[Content]:
        return self._content

    def _own(self, volid: VolumeId) -> str:
        """The name within this storage. Raises InvalidInput for another one's volume."""
        if volid.storage != self._id:
            raise InvalidInput(f"volume '{volid}' is none of storage '{self._id}'")
        return volid.name


def refuse_shrinking(volid: VolumeId, now: int, size: int) -> None:
    """Raises InvalidInput for a size in bytes below the present one."""
    if size < now:
        raise InvalidInput(
            "shrinking disks is not supported",
            code="disk-shrink",
            cause="data beyond the new end would be lost",
            evidence=f"{volid} has {now} bytes, {size} were asked for",
        )


def refuse_held(volid: VolumeId, name: str, states: Sequence[int]) -> Busy:
    """The error for a point in time that is to go while frozen states stand on it."""
    return Busy(
        f"snapshot '{name}' of '{volid}' cannot be removed yet",
        code="snapshot-held",
        cause="instant clones stand on a frozen state, and that stands on the snapshot's layer",
        evidence="frozen states: " + ", ".join(map(str, states)),
        fixes=[Fix(text="remove or flatten those clones; a moment later the state is gone, and the snapshot can go")],
    )


def refuse_snapshots(volid: VolumeId, names: Sequence[str]) -> None:
    """Raises WrongState for a volume that has any and is to become a base image."""
    if names:
        raise WrongState(
            f"volume '{volid}' has snapshots",
            code="volume-has-snapshots",
            cause="a base image must be one image that never changes",
            evidence=", ".join(names),
        )
