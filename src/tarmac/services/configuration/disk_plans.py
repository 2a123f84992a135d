"""From what a caller writes into a disk key to what must be made and what is stored.

    scsi0: local:32,discard=on                        a new volume of 32 GiB
    scsi0: local:0,import-from=local:import/x.qcow2   a new volume with a copy of that image
    ide2: local:cloudinit                             a cloud-init medium
    scsi1: local:100/vm-100-disk-1.qcow2              a volume that is there already
    ide2: local:iso/debian.iso,media=cdrom            an image to read

Planning reads and decides; the steps that it returns do it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tarmac.drivers.storage.values import VolumeInfo
from tarmac.drivers.storage.volume_names import Content
from tarmac.model.disk import Disk, EfiDisk, Volume
from tarmac.model.errors import InvalidInput, NotFound
from tarmac.model.job import PlannedStep
from tarmac.model.parse import parse_property_string, split_property_string
from tarmac.model.settings import find_setting
from tarmac.model.units import format_size
from tarmac.model.vm import VmConfig
from tarmac.services.cloudinit.cloudinit import CloudInit
from tarmac.services.configuration.firmware import variables_template
from tarmac.services.storage.storages import Storages
from tarmac.services.storage.volume_plans import NewVolume, VolumePlans

OF_THE_MAKING = frozenset({"file", "format", "import-from", "size"})


class DiskPlans:
    """Plans the disk keys of one guest at a time."""

    def __init__(self, *, storages: Storages, plans: VolumePlans, cloudinit: CloudInit) -> None:
        self._storages = storages
        self._plans = plans
        self._cloudinit = cloudinit

    async def prepare(
        self, vmid: int, texts: Mapping[str, str], taken: Iterable[str] = (), *, default_storage: str | None = None
    ) -> tuple[list[PlannedStep], dict[str, str]]:
        """The steps that make the volumes these texts ask for, and the texts to store.

        `taken`: volume ids the guest already names. Raises InvalidInput naming the key for a volume that is missing,
        a size that makes no sense, or somebody else's disk."""
        if "cicustom" in texts:
            await self._cloudinit.check_custom(texts["cicustom"])
        steps: list[PlannedStep] = []
        stored = dict(texts)
        names = [volid for volid in taken if ":" in volid]
        for key, text in texts.items():
            found = find_setting(VmConfig, key)
            if found is None or not issubclass_of(found[0].python, Volume):
                continue
            declared = found[0].python
            disk = parse_property_string(declared, text)
            if disk.file in ("none", "cdrom"):
                continue
            options = {k: v for k, v in split_property_string(declared, text).items() if k not in OF_THE_MAKING}
            made = await self._new(vmid, key, disk, names, default_storage)
            if made is not None:
                steps.append(made.step)
                names.append(made.volid)
                volid, size = made.volid, made.size
            else:
                volid, size = disk.file, await self._existing(vmid, key, disk)
            if isinstance(disk, Disk) and disk.is_cloudinit:
                options["media"] = "cdrom"
            stored[key] = drive_text(volid, options, size)
        return steps, stored

    async def _new(
        self, vmid: int, key: str, disk: Volume, taken: list[str], default_storage: str | None
    ) -> NewVolume | None:
        """The volume to make, or None when the text names one that is there."""
        if disk.file.partition(":")[2] == "cloudinit":
            return await self._cloudinit.plan_medium(vmid, key, disk.storage or "", disk.format)
        if disk.allocate is None:
            return None
        if isinstance(disk, EfiDisk) and disk.import_from is None:
            template, size = variables_template(key, disk)
            storage = disk.storage or default_storage or ""
            format = disk.format or self._format_with_snapshots(storage)
            return await self._plans.plan_filled(vmid, storage, template, size, format=format, taken=taken)
        return await self._plans.plan_disk(vmid, key, disk, taken=taken, default_storage=default_storage)

    def _format_with_snapshots(self, storage: str) -> str:
        """The format of a new variable store: raw, unless the storage keeps points in time only of qcow2 images. Then
        a raw one would keep the whole guest from having snapshots."""
        able = self._storages.get(storage, Content.IMAGES).capabilities.snapshots
        return "qcow2" if "qcow2" in able and "raw" not in able else "raw"

    async def _existing(self, vmid: int, key: str, disk: Volume) -> int:
        info = await self._info(key, disk.file)
        cdrom = isinstance(disk, Disk) and disk.is_cdrom
        if info.content is Content.IMAGES and info.vmid not in (vmid, None):
            raise InvalidInput.of(key, f"volume '{disk.file}' belongs to guest {info.vmid}, not to {vmid}")
        if info.content not in (Content.IMAGES, Content.ISO) or (info.content is Content.ISO and not cdrom):
            raise InvalidInput.of(key, f"volume '{disk.file}' ({info.content}) cannot be this kind of drive")
        return info.size

    async def _info(self, key: str, volid: str) -> VolumeInfo:
        try:
            driver, parsed = self._storages.of(volid)
            return await driver.info(parsed)
        except NotFound as problem:
            raise InvalidInput.of(key, f"volume '{volid}' does not exist") from problem


def issubclass_of(kind: object, base: type) -> bool:
    """Whether a setting's Python type is a class below `base`."""
    return isinstance(kind, type) and issubclass(kind, base)


def drive_text(volid: str, options: Mapping[str, str], size: int) -> str:
    """A drive as Proxmox stores it: the volume first, then its options by name, the size among them."""
    every = {**options, "size": format_size(size)}
    return ",".join([volid, *(f"{k}={v}" for k, v in sorted(every.items()))])
