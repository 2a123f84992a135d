"""Points in time of a pool's images: the pool keeps them itself (`SnapshotKind.COPY`)."""

from __future__ import annotations

from collections.abc import Sequence

from tarmac.drivers.storage.block.ground import BlockGround
from tarmac.drivers.storage.values import Advance, Owner, SnapshotInfo
from tarmac.model.errors import HostFailure, NotFound, WrongState
from tarmac.model.ids import VolumeId


class BlockPoints(BlockGround):
    """The snapshots of `Storage`."""

    async def snapshots(self, volid: VolumeId) -> Sequence[SnapshotInfo]:
        points = await self._own_points(self.parse(volid).file)
        return tuple(SnapshotInfo(name=point.name, parent=None, used=None, merges=0) for point in points)

    async def snapshot(self, volid: VolumeId, name: str, *, owner: Owner | None = None) -> None:
        file = self.parse(volid).file
        self._check_can(volid)
        if not any(point.name == name for point in await self._own_points(file)):
            await self._do(self._commands.snapshot(file, name), f"cannot snapshot '{volid}'", file)

    async def unsnapshot(self, volid: VolumeId, name: str) -> None:
        await self.delete_snapshot(volid, name)

    async def rollback(self, volid: VolumeId, name: str, *, owner: Owner | None = None) -> None:
        file = self.parse(volid).file
        points = await self._own_points(file)
        if not any(point.name == name for point in points):
            raise NotFound(f"snapshot '{name}' of '{volid}' does not exist", code="no-such-snapshot")
        part, there = self._hidden(self._marked(f"rollback {volid}")), True
        if self._commands.beside:
            await self._remove(part)
            there = file in await self._names()
        try:
            commands = self._commands.rollback(file, name, points, part, there)
        except ValueError as problem:
            raise WrongState(
                str(problem),
                code="rollback-not-newest",
                cause="this kind of pool goes back to the newest snapshot only",
                evidence=", ".join(point.name for point in points),
            ) from None
        await self._do(commands, f"cannot roll back '{volid}'", file)
        if owner is not None:
            await self._do(self._commands.open(file), f"cannot open volume '{volid}'", file)
            await self._grant(file, owner)

    async def delete_snapshot(self, volid: VolumeId, name: str, *, advance: Advance | None = None) -> None:
        file = self.parse(volid).file
        for point in await self._own_points(file):
            if point.name == name:
                what = f"cannot remove snapshot '{name}' of '{volid}'"
                await self._do(self._commands.drop(file, point), what, file)

    async def merged(self, volid: VolumeId, name: str) -> None:
        """Nothing is merged here."""

    def _check_can(self, volid: VolumeId) -> None:
        if not self.capabilities.snapshots:
            raise HostFailure(
                "snapshot feature is not available",
                code="no-snapshots",
                cause=f"storage '{self._id}' cannot keep points in time",
                evidence=str(volid),
            )
