"""A directory storage on a file system that the daemon mounts itself: NFS, CIFS."""

from __future__ import annotations

from typing import Any

from tarmac.drivers.storage.directory import mounts
from tarmac.drivers.storage.directory.storage import DirectoryStorage
from tarmac.model.errors import HostFailure


class MountedStorage(DirectoryStorage):
    """Implements `FileStorage`. It counts as there only while `mount` is mounted: what the empty directory below holds
    is never taken for its contents. A guest's files keep their owner on the server."""

    def __init__(self, id: str, mount: mounts.Mount, **settings: Any) -> None:
        super().__init__(id, mount.target, **settings)
        self.mount = mount

    async def activate(self) -> None:
        await mounts.mount(self.mount)
        await super().activate()

    async def deactivate(self) -> None:
        await mounts.unmount(self.mount)

    def _check_there(self) -> None:
        if not mounts.is_mounted(self.mount):
            raise HostFailure(
                f"storage '{self._id}' is not mounted",
                code="storage-not-mounted",
                cause="its file system is not mounted on this node",
                evidence=f"nothing from {self.mount.source} at {self.mount.target}",
            )
        super()._check_there()
