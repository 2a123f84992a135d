"""A directory storage on a file system that the daemon mounts itself: NFS, CIFS."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tarmac.drivers.storage.directory import mounts
from tarmac.drivers.storage.directory.ground import T
from tarmac.drivers.storage.directory.storage import DirectoryStorage
from tarmac.model.errors import Denied, Fix, HostFailure


class MountedStorage(DirectoryStorage):
    """Implements `FileStorage`. It counts as there only while `mount` is mounted: what the empty directory below holds
    is never taken for its contents. A guest's files keep their owner on the server."""

    def __init__(self, id: str, mount: mounts.Mount, **settings: Any) -> None:
        super().__init__(id, mount.target, **settings)
        self.mount = mount
        # An NFS server that manages groups itself (Debian's does) knows none of a guest's user: everybody reads bases.
        self._groups_count = mount.type != "nfs"
        # A CIFS server sets the time of a write some time after it, and two names of a file look like two files.
        self._times_count = self._names_count = mount.type != "cifs"

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

    async def _run(self, work: Callable[[], T], what: str) -> T:
        try:
            return await super()._run(work, what)
        except Denied as refused:
            if self.mount.type == "nfs":
                export = Fix(text="let the server export it to this node with no_root_squash: guests' files get owners")
                refused.cause, refused.fixes = "the server refuses it to this node's root", (export, *refused.fixes)
            raise
