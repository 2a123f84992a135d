"""What a change of a guest's configuration takes: the privileges of its keys, and the bridges it hangs on. Pure."""

from __future__ import annotations

from collections.abc import Callable

from tarmac.model.nic import Nic
from tarmac.model.parse import parse_value
from tarmac.model.settings import Setting, find_setting
from tarmac.model.vm import CDROM, CLOUDINIT, DISK, HOST, NETWORK, VmConfig

_DRIVES = ("scsi", "virtio", "sata", "ide")


def needed_privileges(key: str, text: str | None = None) -> tuple[tuple[str, ...], ...]:
    """The privileges that a change of setting `key` takes, where `text` is its value before or after (None: whatever
    it is): of each group, one.

    Depends on the value where it does in Proxmox: a CD-ROM takes VM.Config.CDROM instead of VM.Config.Disk, a
    cloud-init medium both VM.Config.Cloudinit and VM.Config.CDROM, a device of the host (`/dev/ttyS0`, `/dev/hwrng`)
    Sys.Modify, where Proxmox wants root. All are asked for on /vms/{vmid}, but Sys.Modify, which what reaches the host
    has, on /. Source: check_vm_modify_config_perm, check_drive_perms of PVE::API2::Qemu."""
    found = find_setting(VmConfig, key)
    if found is None or found[0].limits.privilege is None:
        return ()
    privilege = found[0].limits.privilege
    if found[0].attribute in _DRIVES and text is not None:
        return _of_drive(found[0], text)
    if privilege == CLOUDINIT:
        return ((CLOUDINIT, NETWORK),)
    if key == "startup" or _is_hosts_device(found[0], text):
        return ((privilege,), (HOST,))
    return ((privilege,),)


def reaches_host(key: str, text: str) -> bool:
    """Whether a value gives the guest something of the host's, so that it is asked for again where a clone or a
    snapshot brings it. The place in the host's order of starts is none: Proxmox asks for that where it is set, only."""
    return key != "startup" and (HOST,) in needed_privileges(key, text)


def is_drive(key: str) -> bool:
    """Whether a setting names a volume: at a guest's creation those take rights on storages, and no privilege."""
    found = find_setting(VmConfig, key)
    return found is not None and found[0].attribute in (*_DRIVES, "efidisk0", "tpmstate0", "unused")


def _is_hosts_device(found: Setting, text: str | None) -> bool:
    if found.attribute == "serial":
        return text not in (None, "socket")
    return found.attribute == "rng0" and "/dev/hwrng" in (text or "")


def _of_drive(found: Setting, text: str) -> tuple[tuple[str, ...], ...]:
    try:
        disk = parse_value(found, text, lenient=True)
    except ValueError:  # what is wrong with it is told where it is looked at
        return ((DISK,),)
    if disk.is_cloudinit or disk.file.partition(":")[2] == "cloudinit":
        return ((CLOUDINIT,), (CDROM,))
    return ((CDROM if disk.is_cdrom else DISK,),)


def bridges_of(key: str, text: str, zone_of: Callable[[str], str | None] = lambda bridge: None) -> list[str]:
    """The paths of the bridge that a network card hangs on, as Proxmox's ACLs name them; nothing for other keys.
    `zone_of`: the zone of a virtual network, None for another bridge."""
    found = find_setting(VmConfig, key)
    if found is None or found[0].python is not Nic:
        return []
    try:
        nic: Nic = parse_value(found[0], text, lenient=True)
    except ValueError:
        return []
    return [f"/sdn/zones/{zone_of(nic.bridge) or 'localnetwork'}/{nic.bridge}"] if nic.bridge else []
