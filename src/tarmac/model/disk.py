"""A guest's disks: the texts of `scsi0`, `virtio0`, `sata0`, `ide0`, `efidisk0`, `tpmstate0`, `unused0`.

What a bus does not know is a plain attribute with its neutral value on `Disk`, and a declared option on the bus's own
class, so that code reads `disk.iothread` of any disk while only scsi and virtio accept the text.
Source of keys and limits: PVE::QemuServer::Drive of Proxmox VE 9.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from tarmac.model.ids import VolumeId
from tarmac.model.settings import setting
from tarmac.model.units import KIB, MIB, Bytes, parse_size

_ALLOCATE = re.compile(r"[A-Za-z][\w.-]*:(\d+(?:\.\d+)?)", re.ASCII)
_CLOUDINIT = re.compile(r"(?:[^/]+/)?vm-\d+-cloudinit(?:\.(?:raw|qcow2))?|cloudinit", re.ASCII)
BUS_COUNTS: Mapping[str, int] = {"ide": 4, "sata": 6, "scsi": 31, "virtio": 16}


class Cache(enum.StrEnum):
    """How the host caches: append-only words of Proxmox."""

    NONE = "none"
    WRITETHROUGH = "writethrough"
    WRITEBACK = "writeback"
    UNSAFE = "unsafe"
    DIRECTSYNC = "directsync"


class Aio(enum.StrEnum):
    NATIVE = "native"
    THREADS = "threads"
    IO_URING = "io_uring"


class Media(enum.StrEnum):
    DISK = "disk"
    CDROM = "cdrom"


@dataclass(frozen=True, kw_only=True)
class Volume:
    """What every disk text has: the volume and how large it is."""

    file: str = setting(
        format="pve-volume-id-or-none",
        default_key=True,
        aliases=("volume",),
        help="The volume, `STORAGE:GIB` to allocate a new one, or `none` for an empty CD-ROM drive.",
    )
    size: str | None = setting(None, format="disk-size", unit="bytes", help="Size of the volume, kept by the platform.")
    format: str | None = setting(
        None,
        choices=("raw", "qcow", "qed", "qcow2", "vmdk", "cloop"),
        help="Image format of the volume.",
    )
    import_from: str | None = setting(
        None,
        name="import-from",
        format="pve-volume-id",
        help="Fill the new volume with a copy of this volume or image.",
    )

    @property
    def allocate(self) -> Bytes | None:
        """The size to allocate when `file` is `STORAGE:GIB` (Proxmox counts GiB), up to a whole KiB as there; None when
        it names a volume. QEMU's rbd driver aborts on an image whose end is in the midst of a sector."""
        match = _ALLOCATE.fullmatch(self.file)
        return Bytes(-(-parse_size(match[1] + "G") // KIB) * KIB) if match else None

    @property
    def storage(self) -> str | None:
        """The storage's id, None for `none`."""
        storage, colon, _ = self.file.partition(":")
        return storage if colon else None

    @property
    def volume(self) -> VolumeId | None:
        """The volume, None when the drive is empty or the volume is still to be allocated."""
        if self.empty or self.allocate is not None:
            return None
        return VolumeId.parse(self.file)

    @property
    def empty(self) -> bool:
        return self.file in ("none", "cdrom")

    @property
    def size_bytes(self) -> Bytes | None:
        return parse_size(self.size) if self.size is not None else None


@dataclass(frozen=True, kw_only=True)
class Throttle:
    """Limits of input and output, mixed into every disk. `mbps` counts MiB a second; a `_max` is a burst's height and
    a `_length` its seconds."""

    bps: int | None = setting(None, unit="B/s", built=False, help="Old spelling of mbps, in bytes a second.")
    bps_rd: int | None = setting(None, unit="B/s", built=False, help="Old spelling of mbps_rd, in bytes a second.")
    bps_wr: int | None = setting(None, unit="B/s", built=False, help="Old spelling of mbps_wr, in bytes a second.")
    mbps: float | None = setting(None, ge=0, unit="MiB/s", help="Limit of reads and writes together.")
    mbps_rd: float | None = setting(None, ge=0, unit="MiB/s", help="Limit of reads.")
    mbps_wr: float | None = setting(None, ge=0, unit="MiB/s", help="Limit of writes.")
    mbps_max: float | None = setting(None, ge=0, unit="MiB/s", help="Burst of reads and writes together.")
    mbps_rd_max: float | None = setting(None, ge=0, unit="MiB/s", help="Burst of reads.")
    mbps_wr_max: float | None = setting(None, ge=0, unit="MiB/s", help="Burst of writes.")
    bps_max_length: int | None = setting(None, ge=1, unit="s", help="How long a burst of both may last.")
    bps_rd_max_length: int | None = setting(
        None, ge=1, unit="s", aliases=("bps_rd_length",), help="How long a burst of reads may last."
    )
    bps_wr_max_length: int | None = setting(
        None, ge=1, unit="s", aliases=("bps_wr_length",), help="How long a burst of writes may last."
    )
    iops: int | None = setting(None, ge=0, unit="1/s", help="Limit of operations.")
    iops_rd: int | None = setting(None, ge=0, unit="1/s", help="Limit of read operations.")
    iops_wr: int | None = setting(None, ge=0, unit="1/s", help="Limit of write operations.")
    iops_max: int | None = setting(None, ge=0, unit="1/s", help="Burst of operations.")
    iops_rd_max: int | None = setting(None, ge=0, unit="1/s", help="Burst of read operations.")
    iops_wr_max: int | None = setting(None, ge=0, unit="1/s", help="Burst of write operations.")
    iops_max_length: int | None = setting(None, ge=1, unit="s", help="How long a burst of operations may last.")
    iops_rd_max_length: int | None = setting(
        None, ge=1, unit="s", aliases=("iops_rd_length",), help="How long a burst of read operations may last."
    )
    iops_wr_max_length: int | None = setting(
        None, ge=1, unit="s", aliases=("iops_wr_length",), help="How long a burst of write operations may last."
    )

    def throttle_limits(self) -> dict[str, int]:
        """QEMU's `x-` names of the throttle group's limits -> value, only those that are set (qapi/block-core.json)."""
        limits: dict[str, int] = {}
        for ours, theirs in (("", "total"), ("_rd", "read"), ("_wr", "write")):
            for unit, scale in (("bps", MIB), ("iops", 1)):
                name = "mbps" if unit == "bps" else "iops"
                found = {
                    f"{unit}-{theirs}": (getattr(self, f"{name}{ours}"), scale),
                    f"{unit}-{theirs}-max": (getattr(self, f"{name}{ours}_max"), scale),
                    f"{unit}-{theirs}-max-length": (getattr(self, f"{unit}{ours}_max_length"), 1),
                }
                limits.update({key: int(value * by) for key, (value, by) in found.items() if value})
        return limits


@dataclass(frozen=True, kw_only=True)
class Disk(Volume, Throttle):
    """A disk or CD-ROM drive on any bus."""

    media: Media = setting(Media.DISK, help="A disk or a CD-ROM drive.")
    cache: Cache | None = setting(None, default_text="none", help="How the host caches reads and writes.")
    aio: Aio | None = setting(None, default_text="io_uring", help="How the host does input and output.")
    discard: str | None = setting(
        None, choices=("ignore", "on"), default_text="ignore", help="Pass the guest's discards on to the storage."
    )
    detect_zeroes: bool | None = setting(
        None, default_text="1", help="Turn writes of zeroes into holes (with discard) or cheap zero writes."
    )
    backup: bool | None = setting(None, default_text="1", help="Include the disk in backups.")
    replicate: bool = setting(True, help="Include the disk in replication jobs.")
    rerror: str | None = setting(
        None, choices=("ignore", "report", "stop"), default_text="report", help="What a failed read does."
    )
    werror: str | None = setting(
        None,
        choices=("enospc", "ignore", "report", "stop"),
        default_text="enospc",
        help="What a failed write does; enospc pauses the guest when the storage is full.",
    )
    serial: str | None = setting(
        None, format="urlencoded", max_length=60, help="Serial number shown to the guest, percent-encoded."
    )
    shared: bool = setting(False, help="The volume is the same on every node although its storage is local.")
    snapshot: bool | None = setting(None, built=False, help="Throw the guest's writes away when it stops.")

    # What only some buses declare; neutral here so that any disk can be asked.
    ssd: bool | None = None
    iothread: bool | None = None
    ro: bool | None = None
    queues: int | None = None
    wwn: str | None = None
    product: str | None = None
    vendor: str | None = None
    scsiblock: bool = False
    model: str | None = None

    @property
    def is_cdrom(self) -> bool:
        return self.media is Media.CDROM or self.empty or self.is_cloudinit

    @property
    def is_cloudinit(self) -> bool:
        """A cloud-init medium, by its volume name as in Proxmox (`vm-100-cloudinit`)."""
        return _CLOUDINIT.fullmatch(self.file.partition(":")[2]) is not None

    @property
    def serial_text(self) -> str | None:
        return unquote(self.serial) if self.serial is not None else None

    @property
    def model_text(self) -> str | None:
        return unquote(self.model) if self.model is not None else None


def _wwn() -> str | None:
    found: str | None = setting(None, pattern=r"0x[0-9a-fA-F]{16}", help="World-wide name, 16 hex digits after 0x.")
    return found


def _ssd() -> bool | None:
    found: bool | None = setting(None, help="Show the disk to the guest as solid-state.")
    return found


def _iothread() -> bool | None:
    found: bool | None = setting(None, help="Give the disk a thread of its own.")
    return found


def _ro() -> bool | None:
    found: bool | None = setting(None, help="The guest may only read.")
    return found


@dataclass(frozen=True, kw_only=True)
class ScsiDisk(Disk):
    """`scsi0` ... `scsi30`."""

    ssd: bool | None = _ssd()
    iothread: bool | None = _iothread()
    ro: bool | None = _ro()
    wwn: str | None = _wwn()
    queues: int | None = setting(None, ge=2, help="Number of queues of the disk's own controller.")
    product: str | None = setting(None, pattern=r"[A-Za-z0-9_\s-]{0,16}", help="Product name shown to the guest.")
    vendor: str | None = setting(None, pattern=r"[A-Za-z0-9_\s-]{0,8}", help="Vendor name shown to the guest.")
    scsiblock: bool = setting(False, built=False, help="Pass a host's block device through whole.")


@dataclass(frozen=True, kw_only=True)
class VirtioDisk(Disk):
    """`virtio0` ... `virtio15`."""

    iothread: bool | None = _iothread()
    ro: bool | None = _ro()


@dataclass(frozen=True, kw_only=True)
class SataDisk(Disk):
    """`sata0` ... `sata5`."""

    ssd: bool | None = _ssd()
    wwn: str | None = _wwn()


@dataclass(frozen=True, kw_only=True)
class IdeDisk(Disk):
    """`ide0` ... `ide3`."""

    ssd: bool | None = _ssd()
    wwn: str | None = _wwn()
    model: str | None = setting(
        None, format="urlencoded", max_length=120, help="Model name shown to the guest, percent-encoded."
    )


@dataclass(frozen=True, kw_only=True)
class EfiDisk(Volume):
    """`efidisk0`: where UEFI firmware keeps its variables."""

    efitype: str = setting("2m", choices=("2m", "4m"), help="Size of the firmware's variable store; 4m is today's.")
    pre_enrolled_keys: bool = setting(
        False, name="pre-enrolled-keys", help="Start with Microsoft's and the distributions' keys and secure boot."
    )
    ms_cert: str = setting(
        "2011",
        name="ms-cert",
        choices=("2011", "2023", "2023w", "2023k"),
        help="Which of Microsoft's certificates the variable store holds.",
    )


@dataclass(frozen=True, kw_only=True)
class TpmState(Volume):
    """`tpmstate0`: where the emulated TPM keeps its state."""

    version: str = setting("v1.2", choices=("v1.2", "v2.0"), help="TPM version; v2.0 for current systems.")


@dataclass(frozen=True, kw_only=True)
class UnusedDisk:
    """`unused0` ...: a volume that belongs to the guest and hangs on no bus."""

    file: str = setting(
        format="pve-volume-id", default_key=True, aliases=("volume",), help="The volume that is not attached."
    )
