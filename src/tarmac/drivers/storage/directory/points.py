"""Points in time of a directory's images: as layers, or as copies where the file system shares blocks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from tarmac.drivers.storage import image
from tarmac.drivers.storage.directory import files
from tarmac.drivers.storage.directory import layers as layering
from tarmac.drivers.storage.directory.ground import DirectoryGround, T
from tarmac.drivers.storage.ground import refuse_held
from tarmac.drivers.storage.values import Advance, Owner, SnapshotInfo, SnapshotKind
from tarmac.drivers.storage.volume_names import Content, image_name
from tarmac.model.errors import HostFailure, NotFound
from tarmac.model.ids import VolumeId


class DirectoryPoints(DirectoryGround):
    """The snapshots of `Storage`; see `base.py` for the contract."""

    async def snapshots(self, volid: VolumeId) -> Sequence[SnapshotInfo]:
        place = self._image_place(volid)

        def find() -> Sequence[SnapshotInfo]:
            place.stat()
            layers = layering.frozen_layers(place)
            names = {layer.place.name: layer.snapshot for layer in layers}
            return tuple(
                SnapshotInfo(
                    name=layer.snapshot,
                    parent=names.get(layer.on or ""),
                    used=layer.used,
                    merges=_merges(place, layer.place),
                    held=layer.held,
                )
                for layer in layers
            )

        return await self._volume(volid, find)

    async def snapshot(self, volid: VolumeId, name: str, *, owner: Owner | None = None) -> None:
        place = self._image_place(volid)
        frozen, part = layering.frozen_place(place, name), files.part_of(place, f"snapshot {name}")
        try:
            if self._kind(volid) is SnapshotKind.COPY:
                await self._volume(volid, lambda: _keep_copy(place, frozen, part))
                return
            if await self._volume(volid, lambda: layering.is_frozen(place, frozen)):
                return
            size = await self._volume(volid, lambda: self._checked_size(place, place.suffix[1:]))
            await self._run(lambda: files.drop(part), f"cannot snapshot '{volid}'")
            await image.create(part, "qcow2", size, backing=(frozen.name, place.suffix[1:]))
            await self._volume(volid, lambda: layering.freeze(place, frozen, part))
            if owner is not None:
                await self._run(lambda: files.hand_over(place, owner), f"cannot snapshot '{volid}'")
        finally:
            await self._run(lambda: files.drop(part), f"cannot snapshot '{volid}'")

    async def unsnapshot(self, volid: VolumeId, name: str) -> None:
        place = self._image_place(volid)
        frozen, part = layering.frozen_place(place, name), files.part_of(place, f"snapshot {name}")

        def take_back() -> None:
            files.drop(part)
            if place.exists() and frozen.exists() and not layering.standing_on(place, frozen):
                files.remove(frozen)  # a copy, or a layer that only got its second name
                return
            layering.thaw(place, frozen)

        await self._run(take_back, f"cannot take back a snapshot of '{volid}'")

    async def rollback(self, volid: VolumeId, name: str, *, owner: Owner | None = None) -> None:
        place = self._image_place(volid)
        frozen, part = layering.frozen_place(place, name), files.part_of(place, f"rollback {name}")
        what = f"cannot roll back '{volid}'"
        try:
            await self._run(lambda: files.drop(part), what)
            if await self._point(volid, name, lambda: self._is_copy(volid, place, frozen)):
                await self._point(volid, name, lambda: layering.share(frozen, part))
            else:
                size = await self._point(volid, name, lambda: self._checked_size(frozen, frozen.suffix[1:]))
                await image.create(part, "qcow2", size, backing=(frozen.name, frozen.suffix[1:]))
            await self._run(lambda: layering.take_place(part, place), what)
            if owner is not None:
                await self._run(lambda: files.hand_over(place, owner), what)
        finally:
            await self._run(lambda: files.drop(part), what)

    async def delete_snapshot(self, volid: VolumeId, name: str, *, advance: Advance | None = None) -> None:
        place = self._image_place(volid)
        frozen = layering.frozen_place(place, name)
        what = f"cannot remove snapshot '{name}' of '{volid}'"
        if held := await self._run(lambda: layering.holders(frozen) if frozen.exists() else (), what):
            raise refuse_held(volid, name, held)
        above = await self._run(lambda: layering.standing_on(place, frozen) if frozen.exists() else None, what)
        if above is None or len(above) > 1:
            return  # gone already; or branches stand on it: it stays, hidden, until one is left
        if not above:
            await self._run(lambda: files.remove(frozen), what)
            return
        top = above[0]
        chain = await self._volume(volid, lambda: self._chain(top, top.suffix[1:]))
        size = await self._volume(volid, lambda: top.stat().st_blocks * 512)
        await image.commit(chain, size=size, advance=advance)
        await self._volume(volid, lambda: layering.absorb(place, frozen))

    async def lost_points(self) -> Sequence[tuple[VolumeId, SnapshotInfo]]:
        images = self.root / self.layout[Content.IMAGES]

        def find() -> Sequence[tuple[VolumeId, SnapshotInfo]]:
            found = []
            for vmid, path in layering.lost_layers(images):
                snapshot, file = layering.layer_of(path.name)
                try:
                    volid = VolumeId(self._id, str(image_name(vmid, file)))
                except ValueError:
                    continue
                used = path.stat().st_blocks * 512
                found.append((volid, SnapshotInfo(name=snapshot or "", parent=None, used=used, merges=0)))
            return tuple(found)

        return await self._run(find, f"cannot list storage '{self._id}'")

    async def merged(self, volid: VolumeId, name: str) -> None:
        place = self._image_place(volid)
        frozen = layering.frozen_place(place, name)
        if await self._run(frozen.exists, f"cannot read '{volid}'"):
            await self._volume(volid, lambda: layering.absorb(place, frozen))

    def _image_place(self, volid: VolumeId) -> Path:
        return self._place(self._image(volid))

    def _kind(self, volid: VolumeId) -> SnapshotKind:
        format = self._image(volid).format
        kind = self._capabilities.snapshots.get(format)
        if kind is None:
            raise HostFailure(
                "snapshot feature is not available",
                code="no-snapshots",
                cause=f"storage '{self._id}' cannot keep points in time of {format} images",
                evidence=str(volid),
            )
        return kind

    def _is_copy(self, volid: VolumeId, place: Path, frozen: Path) -> bool:
        """Blocks. A layer that others stand on is none, whatever new snapshots of this storage would be."""
        frozen.stat()
        return self._kind(volid) is SnapshotKind.COPY and not layering.standing_on(place, frozen)

    async def _point(self, volid: VolumeId, name: str, work: Callable[[], T]) -> T:
        def translated() -> T:
            try:
                return work()
            except FileNotFoundError:
                raise NotFound(f"snapshot '{name}' of '{volid}' does not exist", code="no-such-snapshot") from None

        return await self._run(translated, f"cannot read snapshot '{name}' of '{volid}'")


def _merges(place: Path, frozen: Path) -> int:
    """Bytes that removing this layer copies: what the one layer on it holds."""
    above = layering.standing_on(place, frozen)
    return above[0].stat().st_blocks * 512 if len(above) == 1 else 0


def _keep_copy(place: Path, frozen: Path, part: Path) -> None:
    if frozen.exists():
        return
    files.drop(part)
    layering.share(place, part)
    files.take_place(part, frozen, like=place)
