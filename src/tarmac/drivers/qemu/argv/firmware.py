"""BIOS or UEFI: the flash chips, boot order and the tables that name the machine. Source: PVE::QemuServer::OVMF."""

from __future__ import annotations

import uuid
from collections.abc import Mapping

from tarmac.drivers.qemu.argv.blockdev import efi_chain
from tarmac.drivers.qemu.argv.disks import volume_of
from tarmac.drivers.qemu.argv.display import has_display
from tarmac.drivers.qemu.argv.draft import Draft, as_json, escape
from tarmac.model.devices import Bios
from tarmac.model.disk import EfiDisk
from tarmac.model.errors import Fix, HostFailure, InvalidInput
from tarmac.model.vm import VmConfig

# Size of the variable store, bytes, by efitype.
VARS_SIZE: Mapping[str, int] = {"2m": 131072, "4m": 540672}
_MENU_WAIT_MS = 1000


def firmware_files(efi: EfiDisk, *, q35: bool, directory: str) -> tuple[str, str]:
    """The firmware's code, and the template that a new variable store is a copy of."""
    if efi.efitype == "2m":
        return f"{directory}/OVMF_CODE.fd", f"{directory}/OVMF_VARS.fd"
    code = "OVMF_CODE_4M.secboot.fd" if q35 else "OVMF_CODE_4M.fd"
    return f"{directory}/{code}", f"{directory}/OVMF_VARS_4M{'.ms' if efi.pre_enrolled_keys else ''}.fd"


def add_firmware(draft: Draft) -> None:
    """UEFI's flash chips. Without efidisk0 the variables live in memory and are lost at the end."""
    config = draft.config
    if config.bios is not Bios.OVMF:
        return
    if not draft.node.firmware:
        raise HostFailure(
            f"UEFI firmware is not installed on {draft.node.node}",
            code="firmware-missing",
            cause="bios is ovmf, and the Debian package `ovmf` is not there",
            evidence="bios: ovmf",
            fixes=[
                Fix(text="install it", action="apt install ovmf"),
                Fix(text="use BIOS", parameters={"bios": "seabios"}),
            ],
        )
    if config.efidisk0 is None:
        draft.option("-bios", f"{draft.node.firmware.rsplit('/', 1)[0]}/ovmf/OVMF.fd")
        draft.notes.append("bios: no efidisk0, so the firmware forgets its settings when the guest ends")
        return
    code, _ = firmware_files(config.efidisk0, q35=draft.q35, directory=draft.node.firmware)
    draft.blockdev({"driver": "file", "node-name": "pflash0-file", "filename": code, "read-only": True})
    draft.blockdev({"driver": "raw", "node-name": "pflash0", "file": "pflash0-file", "read-only": True})
    volume = volume_of(draft, "efidisk0", config.efidisk0.file)
    size = VARS_SIZE[config.efidisk0.efitype]
    chain = efi_chain("efidisk0", config.efidisk0, volume, io_uring=draft.node.io_uring, size=size)
    draft.object(as_json(chain.group))
    for node in chain.nodes:
        draft.blockdev(node)
    draft.machine_flags += ["pflash0=pflash0", f"pflash1={chain.top}"]


def add_boot(draft: Draft) -> None:
    """The firmware's manners: only listed devices, try again after a second, a menu where somebody can see it."""
    menu = f"menu=on,splash-time={_MENU_WAIT_MS}," if has_display(draft) else ""
    draft.option("-boot", f"{menu}strict=on,reboot-timeout=1000")
    if not draft.config.reboot:
        draft.option("-no-reboot")


def boot_indexes(config: VmConfig) -> dict[str, int]:
    """The boot index of each device. New form: from 100 in order. Old form: letters from 100 in steps of 100, where
    `c` is only `bootdisk`, and without one the firmware finds a disk by itself. Source: device_bootorder."""
    boot = config.boot
    if boot.legacy is None and boot.order is not None:
        return {key: 100 + position for position, key in enumerate(boot.order)}
    base = {letter: 100 * (position + 1) for position, letter in enumerate(boot.legacy or "cdn")}
    found: dict[str, int] = {}
    for key, disk in config.disks.items():
        letter = "d" if disk.is_cdrom and not disk.is_cloudinit else "c"
        if letter not in base:
            continue
        if letter == "d" or key == config.bootdisk:
            found[key] = base[letter]
        base[letter] += 1
    if "n" in base:
        found.update({f"net{index}": base["n"] + position for position, index in enumerate(config.net)})
    return found


def add_identity(draft: Draft) -> str:
    """SMBIOS texts, the UUID and the generation id; returns the UUID. A guest without one gets the same at every
    start. Raises InvalidInput for texts that are not what smbios1 says they are."""
    smbios = draft.config.smbios1
    found = smbios.uuid or str(uuid.uuid5(uuid.NAMESPACE_OID, f"{draft.node.instance}/{draft.launch.vmid}"))
    try:
        texts = [*smbios.texts(), ("uuid", found)]
    except ValueError as problem:
        raise InvalidInput.of("smbios1", str(problem)) from None
    draft.option("-smbios", "type=1" + "".join(f",{name}={escape(text)}" for name, text in sorted(texts)))
    generation = draft.config.vmgenid
    if generation is not None and generation != "0":
        draft.device(f"vmgenid,guid={'auto' if generation == '1' else generation},id=vmgenid")
    return found
