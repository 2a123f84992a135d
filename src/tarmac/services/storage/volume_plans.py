"""Planning new volumes: which storage, which name, what size, and the step that makes it. Reads, touches nothing."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tarmac.drivers.storage.base import Storage
from tarmac.drivers.storage.jail import Jail
from tarmac.drivers.storage.values import SnapshotKind, VolumeInfo
from tarmac.drivers.storage.volume_names import Content, VolumeName, free_disk_stem
from tarmac.model.disk import Volume
from tarmac.model.errors import Fix, InvalidInput, TarmacError
from tarmac.model.ids import VolumeId
from tarmac.model.job import PlannedStep
from tarmac.model.units import KIB, human_size
from tarmac.services.storage.storages import Storages

OVERLAY_BYTES = 256 * KIB
"""A qcow2 image without a block of its own: header, tables, their count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewVolume:
    """A planned volume: its id, its size in bytes once the step is done. `filling`: what filling it takes
    of storages, where a later step does that."""

    volid: str
    size: int
    step: PlannedStep
    filling: Mapping[str, int] = field(default_factory=dict)


class VolumePlans:
    """Makes `NewVolume`s; the names are chosen here, so that a repeated step means the same volume."""

    def __init__(self, *, storages: Storages, jail: Jail) -> None:
        self._storages = storages
        self._jail = jail

    async def plan_disk(
        self, vmid: int, key: str, disk: Volume, *, taken: Collection[str] = (), default_storage: str | None = None
    ) -> NewVolume:
        """The new volume that a disk's text asks for: `local:32`, or `local:0,import-from=local:import/x.qcow2`.

        `taken`: volume ids planned before in the same job. Raises InvalidInput naming `key`, NotFound."""
        id = disk.storage or default_storage
        gib = disk.allocate
        if id is None or gib is None:
            raise InvalidInput.of(key, f"'{disk.file}' is not STORAGE:GIB")
        if disk.import_from is not None:
            if gib:
                raise InvalidInput.of(
                    key, "'import-from' requires special syntax - use <storage ID>:0,import-from=<source>"
                )
            return await self._plan_import(vmid, key, id, disk.import_from, disk.format, taken)
        if not gib:
            raise InvalidInput.of(key, "a disk needs a size of more than 0")
        return await self.plan_new(vmid, id, gib, format=disk.format, taken=taken)

    async def plan_new(
        self, vmid: int, storage: str, size: int, *, format: str | None = None, taken: Collection[str] = ()
    ) -> NewVolume:
        """An empty volume of `size` bytes under the first free name."""
        driver = self._target_storage(storage)
        chosen = self.format_of(driver, format)
        takes = self.growing(storage, size, chosen)
        await self._check_room(driver, takes)
        volid = await self._free_volid(driver, vmid, chosen, taken)
        args = {"volid": volid, "size": size}
        title = f"allocate {volid} ({human_size(size)})"
        step = PlannedStep(step="volume-allocate", title=title, args=args, takes=takes)
        return NewVolume(volid=volid, size=size, step=step)

    async def plan_filled(
        self, vmid: int, storage: str, template: Path, size: int, *, format: str, taken: Collection[str] = ()
    ) -> NewVolume:
        """A volume with the contents of a raw file of this host that the platform itself ships or trusts (a firmware's
        variables), `size` bytes long."""
        driver = self._target_storage(storage)
        volid = await self._free_volid(driver, vmid, format, taken)
        args = {"volid": volid, "template": str(template)}
        title = f"fill {volid} from {template.name}"
        step = PlannedStep(step="volume-import", title=title, args=args, takes=self._taking(storage, size))
        return NewVolume(volid=volid, size=size, step=step)

    async def _plan_import(
        self, vmid: int, key: str, storage: str, source: str, format: str | None, taken: Collection[str]
    ) -> NewVolume:
        driver = self._target_storage(storage)
        origin, volid = self._storages.of(source)
        name = origin.parse(volid)
        if name.content not in (Content.IMAGES, Content.IMPORT):
            raise InvalidInput.of(key, f"volume '{source}' has content '{name.content}': only images and import do")
        info = await origin.info(volid)
        size = info.size
        if name.content is Content.IMPORT:
            files, _ = self._storages.file_of(volid)
            size = (await self._jail.inspect(files.path(volid), name.format)).virtual_size
        chosen = self.format_of(driver, format)
        takes = self._taking(storage, size if info.used is None else min(size, info.used))
        await self._check_room(driver, takes)
        target = await self._free_volid(driver, vmid, chosen, taken)
        args = {"volid": target, "source": source}
        title = f"import {source} as {target} ({human_size(size)})"
        step = PlannedStep(step="volume-import", title=title, args=args, takes=takes)
        return NewVolume(volid=target, size=size, step=step)

    async def plan_clone(
        self, vmid: int, base: str, *, taken: Collection[str] = (), coming: int | None = None
    ) -> NewVolume:
        """A linked clone of a base image; `coming`: the image is still to be made, and will have so many bytes. Raises
        InvalidInput in Proxmox's words where that cannot be, NotFound."""
        driver, volid = self._storages.of(base)
        name = driver.parse(volid)
        if not name.is_base or name.vmid is None or not driver.capabilities.linked_clones:
            raise InvalidInput(
                f"Linked clone feature for '{base}' is not available",
                code="no-linked-clone",
                cause="only a template's base image can be shared, on a storage that has linked clones",
                evidence=base,
                fixes=[Fix(text="make a full clone", parameters={"full": "1"})],
            )
        size = (await driver.info(volid)).size if coming is None else coming
        takes = self.overlay(driver)
        await self._check_room(driver, takes)
        named = driver.clone_name(name, vmid, await self._free_stem(driver, vmid, taken))
        target = str(VolumeId(driver.id, str(named)))
        title = f"clone {base} as {target} (linked)"
        step = PlannedStep(step="volume-clone", title=title, args={"base": base, "volid": target}, takes=takes)
        return NewVolume(volid=target, size=size, step=step)

    async def plan_copy(
        self,
        vmid: int,
        source: str,
        *,
        snapshot: str | None = None,
        storage: str | None = None,
        format: str | None = None,
        speed: int = 0,
        taken: Collection[str] = (),
    ) -> NewVolume:
        """A full copy of a volume, or of a point in time of it. Without `storage` beside its source, without `format`
        in its source's if that can be there; at most `speed` bytes a second. Raises InvalidInput, NotFound."""
        target, size, chosen, takes = await self._target(vmid, source, storage, format, taken)
        args = {"volid": target, "source": source, "snapshot": snapshot, "speed": speed}
        title = f"copy {source}{f' as in {snapshot}' if snapshot else ''} to {target} ({human_size(size)})"
        step = PlannedStep(step="volume-copy", title=title, args=args, takes=takes)
        return NewVolume(volid=target, size=size, step=step)

    async def plan_mirror(
        self, vmid: int, source: str, *, storage: str | None, format: str | None, taken: Collection[str] = ()
    ) -> NewVolume:
        """An empty volume into which a running guest's disk will be mirrored (what that takes is `filling`, for the
        step that does it); as `plan_copy` otherwise."""
        target, size, chosen, filling = await self._target(vmid, source, storage, format, taken)
        id = VolumeId.parse(target).storage
        takes = self.growing(id, size, chosen)
        if self._storages.definition_record(id).fills_at_once:
            filling = {}  # one that is allocated whole takes nothing when it is filled
        await self._check_room(self._storages.get(id), takes)
        args = {"volid": target, "size": size}
        title = f"allocate {target} ({human_size(size)})"
        step = PlannedStep(step="volume-allocate", title=title, args=args, takes=takes)
        return NewVolume(volid=target, size=size, step=step, filling=filling)

    async def _target(
        self, vmid: int, source: str, storage: str | None, format: str | None, taken: Collection[str]
    ) -> tuple[str, int, str, Mapping[str, int]]:
        """(volume id, size in bytes, format, bytes taken) of what a copy of `source` will be."""
        origin, volid = self._storages.of(source)
        info = await origin.info(volid)
        driver = self._target_storage(storage or origin.id)
        if format is None and origin.parse(volid).format in driver.capabilities.formats:
            format = origin.parse(volid).format
        chosen = self.format_of(driver, format)
        shares = driver.id == origin.id and chosen == info.format and driver.capabilities.shares_blocks
        takes = self._taking(driver.id, 0 if shares else await self._held(origin, volid, info))
        await self._check_room(driver, takes)
        return await self._free_volid(driver, vmid, chosen, taken), info.size, chosen, takes

    @staticmethod
    async def _held(driver: Storage, volid: VolumeId, info: VolumeInfo) -> int:
        """How many bytes a whole copy of a volume takes: at most its size, and what all of its layers hold."""
        if info.used is None:
            return info.size
        parsed = driver.parse(volid)
        below = []
        if driver.capabilities.snapshots.get(parsed.format) is SnapshotKind.OVERLAY:
            below = [point.used or 0 for point in await driver.snapshots(volid)]
        if parsed.base is not None:
            try:
                base = await driver.info(VolumeId(driver.id, f"{parsed.base[0]}/{parsed.base[1]}"))
            except TarmacError:
                return info.size
            below.append(base.size if base.used is None else base.used)
        return min(info.size, info.used + sum(below))

    async def _check_room(self, driver: Storage, takes: Mapping[str, int]) -> None:
        """Raises NoSpace where a new volume would take what is kept for the others."""
        await self._storages.space.check(driver, takes.get(driver.id, 0))

    @staticmethod
    def _taking(storage: str, size: int) -> Mapping[str, int]:
        return {storage: size} if size else {}

    def growing(self, storage: str, size: int, format: str) -> Mapping[str, int]:
        """What a new volume of `size` bytes takes at once."""
        return self._taking(storage, self._storages.definition_record(storage).takes_at_once(size, format))

    def overlay(self, driver: Storage) -> Mapping[str, int]:
        """What an empty image on another one takes at once."""
        return self._taking(driver.id, OVERLAY_BYTES if driver.capabilities.files else 0)

    @staticmethod
    def format_of(driver: Storage, format: str | None) -> str:
        """The image format: the one asked for, or the storage's own. Raises InvalidInput."""
        chosen = format or driver.capabilities.default_format
        if chosen not in driver.capabilities.formats:
            raise InvalidInput.of("format", f"storage '{driver.id}' has no image format '{chosen}'")
        return chosen

    def _target_storage(self, id: str) -> Storage:
        """A storage for new volumes. Raises what `Storages.get` raises, and InvalidInput where there are none to be
        made."""
        driver = self._storages.get(id, Content.IMAGES)
        check_allocates(driver)
        return driver

    async def _free_volid(self, driver: Storage, vmid: int, format: str, taken: Collection[str]) -> str:
        name: VolumeName = driver.image_name(vmid, await self._free_stem(driver, vmid, taken), format)
        return str(VolumeId(driver.id, str(name)))

    async def _free_stem(self, driver: Storage, vmid: int, taken: Collection[str]) -> str:
        there = [volume.volid for volume in await driver.list(Content.IMAGES, vmid)]
        planned = [VolumeId.parse(text) for text in taken]
        names = [driver.parse(volid).file for volid in (*there, *planned) if volid.storage == driver.id]
        return free_disk_stem(vmid, names)


def check_allocates(driver: Storage, what: str = "allocate space") -> None:
    """Raises InvalidInput where the volumes are given and none can be made, removed or grown."""
    if not driver.capabilities.allocates:
        raise InvalidInput(
            f"can't {what} on storage '{driver.id}'",
            code="storage-fixed",
            cause="its volumes are what its server offers; none is made or removed here",
            evidence=f"storage: {driver.id}",
            fixes=[
                Fix(text="use a volume that is there", action=f"GET .../storage/{driver.id}/content"),
                Fix(text="use another storage"),
            ],
        )
