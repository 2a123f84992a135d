"""What can be done with a guest where its disks are: `GET .../feature`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tarmac.model.disk import Disk
from tarmac.model.ids import VolumeId
from tarmac.services.guests import Guests
from tarmac.services.storages import Storages

CanSnapshot = Callable[[int, str | None], bool]


class VmFeatures:
    """Answered from the capabilities of the storages; nothing is tried. `can_snapshot(vmid, snapshot)` is the
    snapshots' own answer."""

    def __init__(self, *, guests: Guests, storages: Storages, node: str, can_snapshot: CanSnapshot) -> None:
        self._guests = guests
        self._storages = storages
        self._node = node
        self._can_snapshot = can_snapshot

    def has(self, vmid: int, feature: str, snapshot: str | None = None) -> dict[str, Any]:
        """Whether `snapshot`, `clone` (linked) or `copy` is possible: `{"hasFeature", "nodes"}`. Raises NotFound."""
        config = self._guests.get(vmid).config
        if feature == "snapshot":
            able = self._can_snapshot(vmid, snapshot)
        elif feature == "clone":
            disks = [d for d in config.disks.values() if not d.is_cdrom and not d.is_cloudinit]
            able = bool(config.template) and all(self._links(disk) for disk in disks)
        else:
            able = True
        return {"hasFeature": int(able), "nodes": [self._node] if able else []}

    def _links(self, disk: Disk) -> bool:
        return self._storages.get(VolumeId.parse(disk.file).storage).capabilities.linked_clones
