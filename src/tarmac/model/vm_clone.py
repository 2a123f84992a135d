"""What the configuration of a clone is, decided from its source's. Pure; disks are decided here and made elsewhere.

A clone has everything of its source but what makes a guest one of its kind (MAC addresses, firmware UUID, generation
id, the record of its making), what belongs to its source alone (unused volumes, snapshots, locks), and the volumes:
those are the caller's to make. Media in CD-ROM drives stay as they are.
Source: clone_vm of PVE::API2::Qemu.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from tarmac.model.disk import Disk, Volume
from tarmac.model.errors import InvalidInput
from tarmac.model.formats import FORMATS
from tarmac.model.vm import VmConfig

_OF_THE_SOURCE = frozenset(
    {
        "lock", "parent", "snaptime", "vmstate", "snapstate", "meta", "template", "runningmachine", "runningcpu",
        "running-nets-host-mtu",
    }
)  # fmt: skip
_UNUSED = re.compile(r"unused\d+")
COUNTED = ("{n}", "{vmid}")


@dataclass(frozen=True, slots=True, kw_only=True)
class CloneDraft:
    """A clone's configuration before it has volumes: `texts` without identity marks (MAC addresses, `smbios1`'s UUID
    and `vmgenid` are for the caller to renew), `volumes` the keys that need a volume of their own, cloud-init media
    among them."""

    texts: dict[str, str]
    volumes: dict[str, Volume]


def draft_clone(texts: Mapping[str, str], *, name: str | None = None, description: str | None = None) -> CloneDraft:
    """The clone of a guest (or of a snapshot) with these texts."""
    kept = {key: text for key, text in texts.items() if key not in _OF_THE_SOURCE and not _UNUSED.fullmatch(key)}
    if name is not None:
        kept["name"] = name
    if description is not None:
        kept["description"] = description
    return CloneDraft(texts=kept, volumes=volumes_of(VmConfig.parse(kept)))


def volumes_of(config: VmConfig) -> dict[str, Volume]:
    """The keys whose volumes a clone cannot share: disks, cloud-init media, the firmware's and the TPM's state."""
    found: dict[str, Volume] = {
        key: disk for key, disk in config.disks.items() if not disk.empty and (disk.is_cloudinit or not disk.is_cdrom)
    }
    for key, volume in (("efidisk0", config.efidisk0), ("tpmstate0", config.tpmstate0)):
        if volume is not None:
            found[key] = volume
    return found


def is_cloudinit(volume: Volume) -> bool:
    """Whether a key's volume is a medium that is made anew instead of copied."""
    return isinstance(volume, Disk) and volume.is_cloudinit


def clone_name(pattern: str | None, source: str, *, number: int, vmid: int, count: int) -> str:
    """The name of the `number`th of `count` clones: `pattern` with `{n}` and `{vmid}` filled in; without one, Proxmox's
    `Copy-of-VM-SOURCE`. Several clones without a place for their number get it at the end.

    Raises InvalidInput when that is no name."""
    text = pattern if pattern is not None else f"Copy-of-VM-{source}"
    if count > 1 and not any(place in text for place in COUNTED):
        text += "-{n}"
    name = text.replace("{n}", str(number)).replace("{vmid}", str(vmid))
    try:
        FORMATS["dns-name"](name)
    except ValueError as problem:
        raise InvalidInput.of("name", f"{problem} (it would be '{name}')") from None
    return name
