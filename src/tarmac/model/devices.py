"""The smaller texts of a guest's configuration, one declared class each: memory, agent, display, machine and the like.

Disks, cards, CPU, boot order, cloud-init and SMBIOS have files of their own. What this version does not build is
declared all the same, so that a configuration that has it is understood, kept and refused by name.
Source of keys and limits: PVE::QemuServer, ::Machine, ::Agent, ::RNG, ::USB, ::PCI, ::Virtiofs of Proxmox VE 9.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass

from tarmac.model.settings import setting

_RANGES = r"\d{1,5}(?:-\d{1,5})?(?:;\d{1,5}(?:-\d{1,5})?)*"
_PCI = r"(?:[a-f0-9]{4,8}:)?[a-f0-9]{2}:[a-f0-9]{2}(?:\.[a-f0-9])?"
_HEX4 = r"0x[0-9a-fA-F]{4}"
MACHINE = (
    r"pc|pc(-i440fx)?-\d+(\.\d+)+(\+pve\d+)?(\.pxe)?|q35|pc-q35-\d+(\.\d+)+(\+pve\d+)?(\.pxe)?"
    r"|virt(?:-\d+(\.\d+)+)?(\+pve\d+)?"
)
_VERSIONED = re.compile(r"pc(?:-(i440fx|q35))?-(\d+(?:\.\d+)+)(?:\+pve\d+)?(?:\.pxe)?", re.ASCII)


class ScsiHw(enum.StrEnum):
    LSI = "lsi"
    LSI53C810 = "lsi53c810"
    VIRTIO_SCSI_PCI = "virtio-scsi-pci"
    VIRTIO_SCSI_SINGLE = "virtio-scsi-single"
    MEGASAS = "megasas"
    PVSCSI = "pvscsi"


class Bios(enum.StrEnum):
    SEABIOS = "seabios"
    OVMF = "ovmf"


@dataclass(frozen=True, kw_only=True)
class Memory:
    current: int = setting(512, ge=16, unit="MiB", default_key=True, help="Memory of the guest.")


@dataclass(frozen=True, kw_only=True)
class Agent:
    """The channel to the guest agent."""

    enabled: bool = setting(default_key=True, help="Give the guest a channel for the QEMU guest agent.")
    type: str = setting("virtio", choices=("virtio", "isa"), help="A virtio port, or an ISA serial port.")
    freeze_fs: bool = setting(
        True,
        name="freeze-fs",
        aliases=("freeze-fs-on-backup", "guest-fsfreeze"),
        help="Freeze the guest's file systems for backups, snapshots and clones.",
    )
    fstrim_cloned_disks: bool = setting(False, help="Trim the guest's file systems after a disk was moved or cloned.")


@dataclass(frozen=True, kw_only=True)
class Vga:
    """The display."""

    type: str = setting(
        "std",
        choices=(
            "cirrus", "qxl", "qxl2", "qxl3", "qxl4", "none", "serial0", "serial1", "serial2", "serial3", "std",
            "virtio", "virtio-gl", "vmware",
        ),
        default_key=True,
        help="The graphics card, `none`, or a serial port as the console.",
    )  # fmt: skip
    memory: int | None = setting(None, ge=4, le=512, unit="MiB", help="Memory of the graphics card.")
    clipboard: str | None = setting(None, choices=("vnc",), built=False, help="Share the clipboard over VNC.")

    @property
    def serial(self) -> int | None:
        """The serial port that is the console, if one is."""
        return int(self.type[6:]) if self.type.startswith("serial") else None


@dataclass(frozen=True, kw_only=True)
class Machine:
    """The chipset, with or without a version: `q35`, `pc-i440fx-7.2`, `pc-q35-9.0+pve1`."""

    type: str | None = setting(
        None,
        pattern=MACHINE,
        max_length=40,
        default_key=True,
        default_text="pc",
        help="Chipset, pinned or not.",
    )
    viommu: str | None = setting(None, choices=("intel", "virtio"), built=False, help="Give the guest an IOMMU.")
    aw_bits: float | None = setting(
        None, name="aw-bits", ge=32, le=64, built=False, help="Address bits of the guest's IOMMU."
    )
    enable_s3: bool | None = setting(None, name="enable-s3", help="Offer suspend to RAM to the guest.")
    enable_s4: bool | None = setting(None, name="enable-s4", help="Offer suspend to disk to the guest.")

    @property
    def q35(self) -> bool:
        return self.type is not None and (self.type == "q35" or self.type.startswith("pc-q35"))

    @property
    def arm(self) -> bool:
        return self.type is not None and self.type.startswith("virt")

    @property
    def version(self) -> tuple[int, ...] | None:
        """The pinned version as numbers (9, 0); None when the newest is meant."""
        match = _VERSIONED.fullmatch(self.type or "")
        return tuple(int(n) for n in match[2].split(".")) if match else None


@dataclass(frozen=True, kw_only=True)
class Rng:
    """A random number generator fed by the host."""

    source: str = setting(
        choices=("/dev/urandom", "/dev/random", "/dev/hwrng"), default_key=True, help="Where the host takes it from."
    )
    max_bytes: int = setting(1024, ge=0, unit="bytes", help="Most that the guest gets per period; 0 for no limit.")
    period: int = setting(1000, ge=1, unit="ms", help="Length of a period.")


@dataclass(frozen=True, kw_only=True)
class Watchdog:
    model: str = setting("i6300esb", choices=("i6300esb", "ib700"), default_key=True, help="The device.")
    action: str | None = setting(
        None,
        choices=("reset", "shutdown", "poweroff", "pause", "debug", "none"),
        default_text="reset",
        help="What happens when the guest stops feeding it.",
    )


@dataclass(frozen=True, kw_only=True)
class Startup:
    """When the guest starts and stops with its host: `order=1,up=30,down=60`."""

    order: int | None = setting(None, ge=0, default_key=True, help="Lower starts earlier and stops later.")
    up: int | None = setting(None, ge=0, unit="s", help="Wait after its start before the next guest starts.")
    down: int | None = setting(None, ge=0, unit="s", help="Wait for its shutdown before it is stopped.")


@dataclass(frozen=True, kw_only=True)
class Meta:
    """Written when the guest is created."""

    creation_qemu: str | None = setting(
        None, name="creation-qemu", pattern=r"\d+(\.\d+)+", help="QEMU version it was made with."
    )
    ctime: int | None = setting(None, ge=0, unit="s", help="When it was made, seconds since 1970.")


@dataclass(frozen=True, kw_only=True)
class Audio:
    device: str = setting(choices=("ich9-intel-hda", "intel-hda", "AC97"), help="The sound card.")
    driver: str = setting("spice", choices=("spice", "none"), help="Where the sound goes.")


@dataclass(frozen=True, kw_only=True)
class Spice:
    foldersharing: bool = setting(False, help="Share folders over SPICE.")
    videostreaming: str = setting("off", choices=("off", "all", "filter"), help="Compress what looks like video.")


@dataclass(frozen=True, kw_only=True)
class HostPci:
    """A PCI device of the host."""

    host: str | None = setting(None, pattern=rf"{_PCI}(;{_PCI})*", default_key=True, help="PCI address(es).")
    mapping: str | None = setting(None, format="pve-configid", help="A device known by name.")
    rombar: bool = setting(True, help="Show the device's ROM.")
    romfile: str | None = setting(None, pattern=r"[^,;/]+", help="File with a ROM of one's own.")
    pcie: bool = setting(False, help="As a PCI Express device (q35).")
    x_vga: bool = setting(False, name="x-vga", help="As the guest's primary display.")
    legacy_igd: bool = setting(False, name="legacy-igd", help="As an old-style Intel display.")
    mdev: str | None = setting(None, pattern=r"[^/.:]+", help="Type of mediated device.")
    vendor_id: str | None = setting(None, name="vendor-id", pattern=_HEX4, help="Vendor shown to the guest.")
    device_id: str | None = setting(None, name="device-id", pattern=_HEX4, help="Device shown to the guest.")
    sub_vendor_id: str | None = setting(None, name="sub-vendor-id", pattern=_HEX4, help="Subvendor shown.")
    sub_device_id: str | None = setting(None, name="sub-device-id", pattern=_HEX4, help="Subdevice shown.")
    driver: str = setting("vfio", choices=("vfio", "keep"), help="Bind to vfio-pci, or keep the driver it has.")


@dataclass(frozen=True, kw_only=True)
class Usb:
    """A USB device of the host."""

    host: str | None = setting(
        None,
        pattern=r"(0x)?[0-9A-Fa-f]{4}:(0x)?[0-9A-Fa-f]{4}|\d+-\d+(\.\d+)*|[Ss][Pp][Ii][Cc][Ee]",
        default_key=True,
        help="Vendor and product, or bus and port, or spice.",
    )
    mapping: str | None = setting(None, format="pve-configid", help="A device known by name.")
    usb3: bool = setting(False, help="On a USB 3 controller.")


@dataclass(frozen=True, kw_only=True)
class Virtiofs:
    """A directory of the host, shared with the guest."""

    dirid: str = setting(format="pve-configid", default_key=True, help="Name of the directory.")
    cache: str = setting("auto", choices=("auto", "always", "metadata", "never"), help="What the guest may cache.")
    direct_io: bool = setting(False, name="direct-io", help="Honour the guest's O_DIRECT.")
    expose_acl: bool = setting(False, name="expose-acl", help="Show POSIX ACLs.")
    expose_xattr: bool = setting(False, name="expose-xattr", help="Show extended attributes.")


@dataclass(frozen=True, kw_only=True)
class Ivshmem:
    size: int = setting(ge=1, unit="MiB", help="Size of the shared memory.")
    name: str | None = setting(None, pattern=r"[a-zA-Z0-9-]+", help="Name of the shared memory.")


@dataclass(frozen=True, kw_only=True)
class NumaNode:
    cpus: str = setting(pattern=_RANGES, help="Virtual CPUs of the node.")
    memory: float | None = setting(None, ge=0, unit="MiB", help="Memory of the node.")
    hostnodes: str | None = setting(None, pattern=_RANGES, help="Nodes of the host it is bound to.")
    policy: str | None = setting(None, choices=("preferred", "bind", "interleave"), help="How it is bound.")


@dataclass(frozen=True, kw_only=True)
class Sev:
    type: str = setting(choices=("std", "es", "snp"), default_key=True, help="Which generation of SEV.")
    no_debug: bool = setting(False, name="no-debug", help="Forbid debugging of the guest.")
    no_key_sharing: bool = setting(False, name="no-key-sharing", help="Forbid sharing of keys.")
    allow_smt: bool = setting(True, name="allow-smt", help="Allow sibling threads (SNP).")
    kernel_hashes: bool = setting(False, name="kernel-hashes", help="Measure a directly loaded kernel.")


@dataclass(frozen=True, kw_only=True)
class Tdx:
    type: str = setting(choices=("tdx",), default_key=True, help="TDX.")
    attestation: bool = setting(True, help="Offer attestation.")
    vsock_cid: int = setting(2, name="vsock-cid", ge=2, help="Where quotes are made: CID.")
    vsock_port: int = setting(4050, name="vsock-port", ge=0, help="Where quotes are made: port.")
