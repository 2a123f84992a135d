"""What a caller needs on storages for the volumes that a configuration names. Proxmox's rules:

- a new disk or cloud-init medium: `Datastore.AllocateSpace` on its storage, also where the saved state shall go;
- an ISO image, an image to import, a snippet: `Datastore.AllocateSpace` or `Datastore.Audit` on its storage (for
  snippets Proxmox asks for nothing, but who names one reads it);
- a guest's disk, to be copied: `VM.Clone` on that guest;
- another guest's disk itself: `Datastore.Audit` on its storage and `VM.Config.Disk` on that guest;
- the host's own CD-ROM drive: `Sys.Console` on `/`;
- the guest's own disks: nothing more;
- anything else: `Datastore.Allocate`.

Source: check_storage_access of PVE::API2::Qemu, check_volume_access of PVE::Storage.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tarmac.drivers.storage.volume_names import Content
from tarmac.model.cloudinit import CiCustom
from tarmac.model.disk import Disk, Volume
from tarmac.model.errors import InvalidInput, NotFound, TarmacError
from tarmac.model.parse import parse_property_string, parse_value
from tarmac.model.settings import find_setting
from tarmac.model.vm import VmConfig
from tarmac.services.access.access import Access, Identity
from tarmac.services.configuration.disk_plans import issubclass_of
from tarmac.services.storage.storages import Storages

SPACE = "Datastore.AllocateSpace"


class StorageRights:
    """`check` before anything of a change is planned."""

    def __init__(self, *, access: Access, storages: Storages) -> None:
        self._access = access
        self._storages = storages

    def check(
        self, identity: Identity, vmid: int, texts: Mapping[str, str], *, default_storage: str | None = None
    ) -> None:
        """Raises Denied for the first volume that the caller may not name. Texts that make no sense pass: what is
        wrong with them is told where they are looked at."""
        for volume in _volumes(texts):
            if volume.file == "cdrom":
                self._access.check(identity, "/", ["Sys.Console"])
            storage = volume.storage or default_storage
            if volume.empty or storage is None:
                continue
            if volume.allocate is not None or volume.file.partition(":")[2] == "cloudinit":
                self._access.check(identity, f"/storage/{storage}", [SPACE])
            else:
                self._named(identity, vmid, volume.file)
            if volume.import_from is not None:
                self._copied(identity, vmid, volume.import_from)
        for volid in _snippets(texts):
            path = f"/storage/{volid.partition(':')[0]}"
            self._access.check(identity, path, [SPACE, "Datastore.Audit"], any=True)
        if state := texts.get("vmstatestorage"):
            self._access.check(identity, f"/storage/{state}", [SPACE])

    def _copied(self, identity: Identity, vmid: int, volid: str) -> None:
        owner = self._owner(volid)
        if owner is not None:
            self._access.check(identity, f"/vms/{owner}", ["VM.Clone"])
        else:
            self._named(identity, vmid, volid)

    def _owner(self, volid: str) -> int | None:
        """Whose disk it is."""
        try:
            driver, parsed = self._storages.of(volid)
            name = driver.parse(parsed)
        except TarmacError:
            return None
        return name.vmid if name.content is Content.IMAGES else None

    def _named(self, identity: Identity, vmid: int, volid: str) -> None:
        """A volume that is there already."""
        try:
            driver, parsed = self._storages.of(volid)
            name = driver.parse(parsed)
        except (InvalidInput, NotFound):
            return
        except TarmacError:  # a storage that cannot be used now keeps nobody from naming it; its rights hold
            self._access.check(identity, f"/storage/{volid.partition(':')[0]}", ["Datastore.Allocate"])
            return
        path = f"/storage/{parsed.storage}"
        if name.content in (Content.ISO, Content.IMPORT):
            self._access.check(identity, path, [SPACE, "Datastore.Audit"], any=True)
        elif name.content is Content.IMAGES and name.vmid is not None:
            if name.vmid != vmid:
                self._access.check(identity, path, ["Datastore.Audit"])
                self._access.check(identity, f"/vms/{name.vmid}", ["VM.Config.Disk"])
        else:
            self._access.check(identity, path, ["Datastore.Allocate"])


def _snippets(texts: Mapping[str, str]) -> list[str]:
    try:
        custom = parse_property_string(CiCustom, texts.get("cicustom", ""))
    except ValueError:
        return []
    return [volid for volid in (custom.user, custom.network, custom.meta, custom.vendor) if volid]


def _volumes(texts: Mapping[str, str]) -> Iterator[Volume]:
    for key, text in texts.items():
        found = find_setting(VmConfig, key)
        if found is None or not issubclass_of(found[0].python, Volume) or key.startswith("unused"):
            continue
        try:
            volume: Disk = parse_value(found[0], text, lenient=True)
        except ValueError:
            continue
        yield volume
