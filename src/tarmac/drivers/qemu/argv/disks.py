"""Disks and CD-ROM drives: their controllers, chains and devices. Source: PVE::QemuServer::DriveDevice."""

from __future__ import annotations

from tarmac.drivers.qemu.argv.blockdev import disk_chain
from tarmac.drivers.qemu.argv.draft import Draft, as_json, escape
from tarmac.drivers.qemu.facts import VolumeFacts
from tarmac.model.devices import ScsiHw
from tarmac.model.disk import Cache, Disk
from tarmac.model.errors import HostFailure, InvalidInput
from tarmac.model.vm_rules import is_new_volume

_LSI_DISKS = 7
_LSI = (ScsiHw.LSI, ScsiHw.LSI53C810)


def add_disks(draft: Draft) -> None:
    """Adds controllers, block nodes and devices of every disk. Raises InvalidInput for a disk that is not allocated
    yet, HostFailure for a volume that the launch does not know."""
    made: set[str] = set()
    for key, disk in draft.config.disks.items():
        bus, index = key.rstrip("0123456789"), int(key[len(key.rstrip("0123456789")) :])
        _add_controller(draft, bus, index, disk, made)
        if not disk.empty:
            chain = disk_chain(key, disk, volume_of(draft, key, disk.file), io_uring=draft.node.io_uring)
            draft.object(as_json(chain.group))
            for node in chain.nodes:
                draft.blockdev(node)
            draft.notes += chain.notes
        draft.device(device_text(draft, key, disk))


def volume_of(draft: Draft, key: str, file: str) -> VolumeFacts:
    """Where the launch says that a volume is."""
    found = draft.launch.volumes.get(file)
    if found is not None:
        return found
    if is_new_volume(file):
        raise InvalidInput.of(key, f"volume '{file}' is not allocated yet", code="volume-not-allocated")
    raise HostFailure(
        f"volume '{file}' of {key} was not found",
        code="volume-missing",
        cause="the storage does not have it, or is not there",
        evidence=f"{key}: {file}",
    )


def device_text(draft: Draft, key: str, disk: Disk) -> str:
    """The text of -device (and of device_add, as keys and values) for one disk."""
    bus, index = key.rstrip("0123456789"), int(key[len(key.rstrip("0123456789")) :])
    drive = "" if disk.empty else f",drive=drive-{key}"
    if bus == "virtio":
        text = f"virtio-blk-pci{drive},id={key}{draft.slot(key)}"
        text += f",iothread=iothread-{key}" if disk.iothread else ""
    elif bus == "scsi":
        text = _scsi(draft.config.scsihw, key, index, disk, drive)
    else:
        text = _ide(draft, bus, key, index, disk, drive)
    if key in draft.boot_index:
        text += f",bootindex={draft.boot_index[key]}"
    if disk.serial_text:
        text += f",serial={escape(disk.serial_text)}"
    if not disk.is_cdrom:
        text += f",write-cache={'off' if disk.cache in (Cache.WRITETHROUGH, Cache.DIRECTSYNC) else 'on'}"
    text += f",rerror={disk.rerror}" if disk.rerror else ""
    return text + (f",werror={disk.werror}" if disk.werror else "")


def scsi_place(hardware: ScsiHw, index: int) -> tuple[str, str]:
    """The controller that a SCSI disk hangs on, and its address there."""
    if hardware is ScsiHw.VIRTIO_SCSI_SINGLE:
        return f"virtioscsi{index}", f"channel=0,scsi-id=0,lun={index}"
    if hardware in _LSI:
        return f"scsihw{index // _LSI_DISKS}", f"scsi-id={index % _LSI_DISKS}"
    if hardware is ScsiHw.PVSCSI:
        return "scsihw0", f"scsi-id={index}"
    return "scsihw0", f"channel=0,scsi-id=0,lun={index}"


def _scsi(hardware: ScsiHw, key: str, index: int, disk: Disk, drive: str) -> str:
    controller, address = scsi_place(hardware, index)
    kind = "cd" if disk.is_cdrom else "hd"
    text = f"scsi-{kind},bus={controller}.0,{address}{drive},id={key},device_id=drive-{key}"
    if kind == "hd" and disk.ssd:
        text += ",rotation_rate=1"
    text += f",wwn={disk.wwn}" if disk.wwn else ""
    text += f",vendor={disk.vendor}" if disk.vendor else ""
    return text + (f",product={disk.product}" if disk.product else "")


def _ide(draft: Draft, bus: str, key: str, index: int, disk: Disk, drive: str) -> str:
    kind = "cd" if disk.is_cdrom else "hd"
    if bus == "sata":
        place = f"bus=ahci0.{index}"
    elif draft.q35:
        # q35 has no second unit on a bus; Proxmox keeps even numbers where they always were and moves odd ones up.
        place = f"bus=ide.{index // 2 + 2 * (index % 2)},unit=0"
    else:
        place = f"bus=ide.{index // 2},unit={index % 2}"
    text = f"ide-{kind},{place}{drive},id={key}"
    if kind == "hd":
        text += f",model={escape(disk.model_text)}" if disk.model_text else ""
        text += ",rotation_rate=1" if disk.ssd else ""
    return text + (f",wwn={disk.wwn}" if disk.wwn else "")


def _add_controller(draft: Draft, bus: str, index: int, disk: Disk, made: set[str]) -> None:
    if bus == "virtio" and disk.iothread:
        draft.object(f"iothread,id=iothread-virtio{index}")
    elif bus == "sata" and "ahci0" not in made:
        made.add("ahci0")
        draft.device(f"ahci,id=ahci0,multifunction=on{draft.slot('ahci0')}")
    elif bus == "scsi":
        if disk.iothread and draft.config.scsihw is not ScsiHw.VIRTIO_SCSI_SINGLE:
            draft.notes.append(f"scsi{index}: iothread has no effect, it needs scsihw virtio-scsi-single")
        controller, _ = scsi_place(draft.config.scsihw, index)
        if controller not in made:
            made.add(controller)
            draft.device(_scsi_controller(draft, controller, disk))


def _scsi_controller(draft: Draft, controller: str, disk: Disk) -> str:
    single = draft.config.scsihw is ScsiHw.VIRTIO_SCSI_SINGLE
    model = "virtio-scsi-pci" if single else draft.config.scsihw.value
    text = f"{model},id={controller}{draft.slot(controller)}"
    if single and disk.iothread:
        draft.object(f"iothread,id=iothread-{controller}")
        text += f",iothread=iothread-{controller}"
    return text + (f",num_queues={disk.queues}" if single and disk.queues else "")
