"""What can be done with a guest where its disks are: `GET .../feature`."""

from __future__ import annotations

from typing import Any

from tarmac.model.disk import Disk
from tarmac.model.ids import VolumeId
from tarmac.services.guests import Guests
from tarmac.services.storages import Storages


class VmFeatures:
    """Answered from the capabilities of the storages; nothing is tried."""

    def __init__(self, *, guests: Guests, storages: Storages, node: str) -> None:
        self._guests = guests
        self._storages = storages
        self._node = node

    def has(self, vmid: int, feature: str) -> dict[str, Any]:
        """Whether `snapshot`, `clone` (linked) or `copy` is possible: `{"hasFeature", "nodes"}`. Raises NotFound."""
        config = self._guests.get(vmid).config
        disks = [d for d in config.disks.values() if not d.is_cdrom and not d.is_cloudinit]
        able = feature == "copy" or all(self._able(disk, feature) for disk in disks)
        if feature == "clone":
            able = able and bool(config.template)
        return {"hasFeature": int(able), "nodes": [self._node] if able else []}

    def _able(self, disk: Disk, feature: str) -> bool:
        volume = VolumeId.parse(disk.file)
        capabilities = self._storages.get(volume.storage).capabilities
        if feature == "clone":
            return capabilities.linked_clones
        form = disk.format or volume.name.rpartition(".")[2]
        return (form if form in capabilities.formats else "raw") in capabilities.snapshots
