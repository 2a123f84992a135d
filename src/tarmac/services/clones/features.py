"""What can be done with a guest where its disks are: `GET .../feature`."""

from __future__ import annotations

from typing import Any

from tarmac.model.ids import VolumeId
from tarmac.services.guests.guests import Guests
from tarmac.services.snapshots.snapshots import VmSnapshots
from tarmac.services.storage.storages import Storages


class VmFeatures:
    """Answered from the capabilities of the storages; nothing is tried."""

    def __init__(self, *, guests: Guests, storages: Storages, snapshots: VmSnapshots, node: str) -> None:
        self._guests = guests
        self._storages = storages
        self._snapshots = snapshots
        self._node = node

    def has(self, vmid: int, feature: str, snapshot: str | None = None) -> dict[str, Any]:
        """Whether `snapshot`, `clone` (a linked one, so of a template) or `copy` is possible:
        `{"hasFeature", "nodes"}`. Raises NotFound."""
        self._guests.get(vmid)
        able = feature == "copy"
        if feature == "snapshot":
            able = self._snapshots.feature(vmid, snapshot)
        elif feature == "clone":
            able = self._linked(vmid)
        return {"hasFeature": int(able), "nodes": [self._node] if able else []}

    def _linked(self, vmid: int) -> bool:
        config = self._guests.get(vmid).config
        disks = [d for d in config.disks.values() if not d.is_cdrom and not d.is_cloudinit]
        volumes = [VolumeId.parse(disk.file) for disk in disks]
        return bool(config.template) and all(self._storages.get(v.storage).capabilities.linked_clones for v in volumes)
