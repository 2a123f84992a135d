"""The configuration of a guest: every key of Proxmox's `qemu-server/ID.conf`, declared once.

`VmConfig.parse` turns the texts into typed values; `texts` keeps them as written, so nothing is lost on the way back.
Defaults are the attributes' values; `X | None` means that the default is computed where it is used (`default_text`).
Rules between keys stand in `model.vm_rules`, the file's form in `model.conf_file`.
Source of keys, limits and privileges: PVE::QemuServer and PVE::API2::Qemu of Proxmox VE 9.
"""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Mapping
from dataclasses import dataclass

from tarmac.model import devices
from tarmac.model.boot import LEGACY_DEFAULT, Boot
from tarmac.model.cloudinit import CiCustom, IpConfig
from tarmac.model.cpu import Cpu
from tarmac.model.devices import Bios, ScsiHw
from tarmac.model.disk import Disk, EfiDisk, IdeDisk, SataDisk, ScsiDisk, TpmState, UnusedDisk, VirtioDisk
from tarmac.model.nic import Nic
from tarmac.model.os_type import OsType
from tarmac.model.parse import collect_record, parse_record
from tarmac.model.settings import indexed, setting
from tarmac.model.smbios import Smbios

CPU, MEMORY, DISK, CDROM = "VM.Config.CPU", "VM.Config.Memory", "VM.Config.Disk", "VM.Config.CDROM"
NETWORK, HWTYPE, OPTIONS = "VM.Config.Network", "VM.Config.HWType", "VM.Config.Options"
CLOUDINIT, POWER, HOST = "VM.Config.Cloudinit", "VM.PowerMgmt", "Sys.Modify"

KEYBOARDS = (
    "de", "de-ch", "da", "en-gb", "en-us", "es", "fi", "fr", "fr-be", "fr-ca", "fr-ch", "hu", "is", "it", "ja", "lt",
    "mk", "nl", "no", "pl", "pt", "pt-br", "sv", "sl", "tr",
)  # fmt: skip
LOCKS = (
    "backup", "clone", "create", "migrate", "rollback", "snapshot", "snapshot-delete", "suspending", "suspended",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class VmConfig:
    """One guest as configured. Build it with `parse`."""

    # What it is called and when it runs
    name: str | None = setting(
        None, format="dns-name", privilege=OPTIONS, hotplug="any", default_text="VM ID", help="Name of the guest."
    )
    description: str | None = setting(
        None, max_length=8192, privilege=OPTIONS, hotplug="any", help="Notes about the guest."
    )
    tags: tuple[str, ...] = setting((), format="pve-tag", privilege=OPTIONS, hotplug="any", help="Labels.")
    onboot: bool = setting(False, privilege=OPTIONS, hotplug="any", help="Start the guest with its host.")
    startup: devices.Startup | None = setting(
        None, privilege=OPTIONS, hotplug="any", help="Order and waits of start and shutdown with the host."
    )
    protection: bool = setting(
        False, privilege=OPTIONS, hotplug="any", help="Refuse to remove the guest or one of its disks."
    )
    template: bool = setting(False, privilege=OPTIONS, help="The guest is a template for clones.")
    autostart: bool = setting(
        False, privilege=OPTIONS, hotplug="any", built=False, help="Start again after a crash (ignored by Proxmox)."
    )
    hookscript: str | None = setting(
        None, format="pve-volume-id", privilege=HOST, built=False, help="Script run on the host around start and stop."
    )
    hotplug: str = setting(
        "network,disk,usb", format="pve-hotplug-features", privilege=HWTYPE, hotplug="any",
        help="What may change while the guest runs: network, disk, cpu, memory, usb, cloudinit; 0 for nothing.",
    )  # fmt: skip
    reboot: bool = setting(True, privilege=OPTIONS, help="Allow a reboot; without it the guest ends instead.")
    freeze: bool = setting(False, privilege=POWER, help="Do not let the CPU run at start.")

    # The machine
    ostype: OsType = setting(OsType.OTHER, privilege=OPTIONS, help="The system inside; sets what suits it.")
    machine: devices.Machine = setting(devices.Machine(), privilege=HWTYPE, help="Chipset and its version.")
    arch: str | None = setting(
        None, choices=("x86_64", "aarch64"), privilege=HWTYPE, default_text="the host's", help="Processor architecture."
    )
    bios: Bios = setting(Bios.SEABIOS, privilege=OPTIONS, help="Firmware: BIOS or UEFI.")
    kvm: bool | None = setting(
        None, privilege=HWTYPE, default_text="1 where KVM works",
        help="Hardware virtualization; unset uses it where it works, 1 insists, 0 emulates.",
    )  # fmt: skip
    acpi: bool = setting(True, privilege=HWTYPE, help="ACPI tables.")
    tablet: bool | None = setting(
        None, privilege=HWTYPE, hotplug="usb", default_text="1", help="A USB tablet for exact mouse positions in VNC."
    )
    keyboard: str | None = setting(None, choices=KEYBOARDS, privilege=OPTIONS, help="Keyboard layout for VNC.")
    localtime: bool | None = setting(
        None, privilege=OPTIONS, default_text="1 for Windows", help="The hardware clock shows local time."
    )
    startdate: str = setting(
        "now", pattern=r"now|\d{4}-\d{1,2}-\d{1,2}(T\d{1,2}:\d{1,2}:\d{1,2})?", privilege=OPTIONS,
        help="What the hardware clock shows at start.",
    )  # fmt: skip
    tdf: bool | None = setting(
        None, privilege=OPTIONS, default_text="1 for Windows with ACPI", help="Correct the clock for lost ticks."
    )
    smbios1: Smbios = setting(Smbios(), max_length=512, privilege=HWTYPE, help="Names shown in the firmware's tables.")
    vmgenid: str | None = setting(
        None, pattern=r"[a-fA-F0-9]{8}(-[a-fA-F0-9]{4}){3}-[a-fA-F0-9]{12}|[01]", privilege=HWTYPE,
        default_text="1 (generated)", help="Generation id: tells the guest of a clone or rollback; 0 for none.",
    )  # fmt: skip
    args: str | None = setting(None, privilege=HOST, built=False, help="Further arguments for QEMU.")
    amd_sev: devices.Sev | None = setting(None, name="amd-sev", privilege=HWTYPE, built=False, help="AMD SEV.")
    intel_tdx: devices.Tdx | None = setting(None, name="intel-tdx", privilege=HWTYPE, built=False, help="Intel TDX.")

    # Processor and memory
    sockets: int = setting(1, ge=1, privilege=CPU, help="Number of CPU sockets.")
    cores: int = setting(1, ge=1, privilege=CPU, help="Cores of each socket.")
    vcpus: int | None = setting(
        None, ge=1, privilege=CPU, hotplug="cpu", default_text="sockets x cores", help="Virtual CPUs present at start."
    )
    smp: int | None = setting(None, ge=1, privilege=CPU, built=False, help="Old name of sockets.")
    cpu: Cpu = setting(Cpu(), privilege=CPU, help="The processor the guest sees.")
    cpulimit: float = setting(0.0, ge=0, le=128, unit="CPUs", privilege=CPU, hotplug="any", help="CPU time; 0: all.")
    cpuunits: int | None = setting(
        None, ge=1, le=262144, privilege=CPU, hotplug="any", default_text="100", help="Weight against other guests."
    )
    affinity: str | None = setting(
        None,
        format="pve-cpuset",
        privilege=HOST,
        hotplug="any",
        built=False,
        help="CPUs of the host that it may use: 0,5,8-11",
    )
    numa: bool = setting(False, privilege=CPU, built=False, help="Show NUMA nodes to the guest.")
    numa_nodes: Mapping[int, devices.NumaNode] = indexed(
        8, name="numa", privilege=CPU, built=False, help="A NUMA node."
    )
    memory: devices.Memory = setting(devices.Memory(), privilege=MEMORY, hotplug="memory", help="Memory in MiB.")
    balloon: int | None = setting(
        None, ge=0, unit="MiB", privilege=MEMORY, hotplug="any", default_text="memory",
        help="Memory it can be asked to shrink to; 0 removes the balloon.",
    )  # fmt: skip
    shares: int = setting(
        1000, ge=0, le=50000, privilege=MEMORY, hotplug="any", help="Weight when memory is shared out by balloon."
    )
    allow_ksm: bool = setting(
        True, name="allow-ksm", privilege=MEMORY, help="Let the kernel merge pages that are equal in several guests."
    )
    instant: bool = setting(
        False, privilege=MEMORY,
        help="Keep the memory in a file from the start, so that freezing the guest for instant clones takes a moment.",
    )  # fmt: skip
    hugepages: str | None = setting(
        None, choices=("any", "2", "1024"), privilege=MEMORY, built=False, help="Memory from huge pages (MiB)."
    )
    keephugepages: bool = setting(False, privilege=MEMORY, built=False, help="Keep the huge pages after the end.")
    ivshmem: devices.Ivshmem | None = setting(None, privilege=HWTYPE, built=False, help="Memory shared with others.")

    # Disks and how they boot
    scsihw: ScsiHw = setting(ScsiHw.LSI, privilege=HWTYPE, help="The SCSI controller.")
    scsi: Mapping[int, ScsiDisk] = indexed(31, privilege=DISK, hotplug="disk", help="A SCSI disk or CD-ROM drive.")
    virtio: Mapping[int, VirtioDisk] = indexed(16, privilege=DISK, hotplug="disk", help="A virtio block device.")
    sata: Mapping[int, SataDisk] = indexed(6, privilege=DISK, help="A SATA disk or CD-ROM drive.")
    ide: Mapping[int, IdeDisk] = indexed(4, privilege=DISK, help="An IDE disk or CD-ROM drive.")
    cdrom: IdeDisk | None = setting(None, privilege=CDROM, built=False, help="Old name of ide2.")
    efidisk0: EfiDisk | None = setting(None, privilege=DISK, help="Where UEFI firmware keeps its variables.")
    tpmstate0: TpmState | None = setting(None, privilege=DISK, built=False, help="An emulated TPM and its state.")
    unused: Mapping[int, UnusedDisk] = indexed(256, privilege=DISK, hotplug="any", help="A detached volume.")
    boot: Boot = setting(Boot(), privilege=DISK, help="From where the guest boots.")
    bootdisk: str | None = setting(
        None, pattern=r"(ide|sata|scsi|virtio)\d+", privilege=DISK, help="Old form: the disk that `c` in boot means."
    )

    # Network, display, ports
    net: Mapping[int, Nic] = indexed(32, privilege=NETWORK, hotplug="network", help="A network card.")
    vga: devices.Vga = setting(devices.Vga(), privilege=HWTYPE, help="The display.")
    serial: Mapping[int, str] = indexed(
        4, pattern=r"/dev/[^,]+|socket", privilege=HWTYPE, help="A serial port: `socket` for the console."
    )
    parallel: Mapping[int, str] = indexed(
        3, pattern=r"/dev/parport\d+|/dev/usb/lp\d+", privilege=HOST, built=False, help="A parallel port of the host."
    )
    agent: devices.Agent = setting(
        devices.Agent(enabled=False), privilege=OPTIONS, hotplug="any", help="The guest agent's channel."
    )
    rng0: devices.Rng | None = setting(None, privilege=HWTYPE, help="A random number generator.")
    watchdog: devices.Watchdog | None = setting(None, privilege=HWTYPE, help="A watchdog.")
    audio0: devices.Audio | None = setting(None, privilege=HWTYPE, built=False, help="A sound card.")
    spice_enhancements: devices.Spice | None = setting(None, privilege=OPTIONS, built=False, help="Extras of SPICE.")
    usb: Mapping[int, devices.Usb] = indexed(
        14, privilege=HWTYPE, hotplug="usb", built=False, help="A USB device of the host."
    )
    hostpci: Mapping[int, devices.HostPci] = indexed(
        16, privilege=HWTYPE, built=False, help="A PCI device of the host."
    )
    virtiofs: Mapping[int, devices.Virtiofs] = indexed(10, privilege=OPTIONS, built=False, help="A shared directory.")

    # Cloud-init
    citype: str | None = setting(
        None, choices=("configdrive2", "nocloud", "opennebula"), privilege=CLOUDINIT, hotplug="cloudinit",
        default_text="nocloud; configdrive2 for Windows", help="Form of the cloud-init medium.",
    )  # fmt: skip
    ciuser: str | None = setting(
        None, privilege=CLOUDINIT, hotplug="cloudinit", default_text="the image's", help="User that is set up."
    )
    cipassword: str | None = setting(
        None, privilege=CLOUDINIT, hotplug="cloudinit", secret=True, help="Password of that user."
    )
    ciupgrade: bool = setting(
        True, privilege=CLOUDINIT, hotplug="cloudinit", help="Upgrade the packages at the first boot."
    )
    cicustom: CiCustom | None = setting(
        None, privilege=CLOUDINIT, hotplug="cloudinit", help="Documents of one's own for cloud-init: snippets."
    )
    sshkeys: str | None = setting(
        None, format="ssh-keys", privilege=CLOUDINIT, hotplug="cloudinit",
        help="SSH keys of that user, one a line, percent-encoded.",
    )  # fmt: skip
    searchdomain: str | None = setting(
        None, privilege=CLOUDINIT, hotplug="cloudinit", default_text="the host's", help="DNS search domain(s)."
    )
    nameserver: tuple[str, ...] = setting(
        (), format="address", privilege=CLOUDINIT, hotplug="cloudinit", default_text="the host's", help="DNS servers."
    )
    ipconfig: Mapping[int, IpConfig] = indexed(
        32, privilege=CLOUDINIT, hotplug="cloudinit", help="Addresses of the network card of the same number."
    )

    # Migration, suspend
    migrate_speed: int = setting(0, ge=0, unit="MB/s", privilege=OPTIONS, hotplug="any", help="Limit; 0 for none.")
    migrate_downtime: float = setting(
        0.1, ge=0, unit="s", privilege=OPTIONS, hotplug="any", help="Longest pause that a migration aims at."
    )
    vmstatestorage: str | None = setting(
        None, format="pve-storage-id", privilege=DISK, hotplug="any", help="Storage of saved machine states."
    )

    # Written by the platform, never by a caller
    lock: str | None = setting(None, choices=LOCKS, internal=True, privilege=HOST, help="Mark of Proxmox's, kept.")
    meta: devices.Meta | None = setting(None, internal=True, privilege=OPTIONS, help="How the guest was made.")
    parent: str | None = setting(
        None, format="pve-configid", max_length=40, internal=True, privilege=OPTIONS, help="Snapshot it came from."
    )
    snaptime: int | None = setting(
        None, ge=0, unit="s", internal=True, privilege=OPTIONS, help="When the snapshot was taken."
    )
    vmstate: str | None = setting(
        None, format="pve-volume-id", internal=True, privilege=DISK, help="Volume with the saved machine state."
    )
    runningmachine: devices.Machine | None = setting(
        None, internal=True, privilege=HWTYPE, help="Machine type of the saved state."
    )
    runningcpu: str | None = setting(
        None, pattern=r"([+-]?[\w.=-]+,?)+", internal=True, privilege=CPU, help="CPU of the saved state, for QEMU."
    )
    running_nets_host_mtu: str | None = setting(
        None, name="running-nets-host-mtu", pattern=r"net\d+=\d+(,net\d+=\d+)*", internal=True, privilege=NETWORK,
        help="MTU of the network cards of the saved state.",
    )  # fmt: skip

    texts: Mapping[str, str] = dataclasses.field(default_factory=lambda: types.MappingProxyType({}), repr=False)
    problems: Mapping[str, str] = dataclasses.field(default_factory=lambda: types.MappingProxyType({}))

    @classmethod
    def parse(cls, texts: Mapping[str, str], lenient: bool = True) -> VmConfig:
        """The texts by key as typed values.

        lenient (stored configurations): never raises; a key that is unknown or whose text is wrong stays in `texts`
        and is named, with the reason, in `problems`; booleans may be on/yes/true.
        Else raises InvalidInput that names every wrong key. Unbuilt keys are parsed either way: `vm_rules` refuses
        them where it must."""
        if lenient:
            config, problems = collect_record(cls, texts)
        else:
            config, problems = parse_record(cls, texts), {}
        return dataclasses.replace(
            config, texts=types.MappingProxyType(dict(texts)), problems=types.MappingProxyType(problems)
        )

    @property
    def disks(self) -> dict[str, Disk]:
        """All disks and CD-ROM drives by their keys, in Proxmox's order: ide, sata, scsi, virtio."""
        groups: tuple[tuple[str, Mapping[int, Disk]], ...] = (
            ("ide", self.ide), ("sata", self.sata), ("scsi", self.scsi), ("virtio", self.virtio),
        )  # fmt: skip
        return {f"{bus}{index}": disk for bus, group in groups for index, disk in group.items()}

    def disk(self, key: str) -> Disk | None:
        """The disk or CD-ROM drive of a key such as `scsi0`, None when there is none."""
        return self.disks.get(key)

    def boot_devices(self) -> tuple[str, ...]:
        """The keys of the devices that the firmware may boot from, first to try first; the old letters resolved.

        Source: device_bootorder, bootorder_from_legacy of PVE::QemuServer."""
        if self.boot.order is not None and self.boot.legacy is None:
            return self.boot.order
        disks = self.disks
        ranked = [f"{bus}{n}" for bus in ("ide", "scsi", "virtio", "sata") for n in getattr(self, bus)]
        harddisk = next((key for key in ranked if not disks[key].is_cdrom), None)
        groups = {
            "c": [k for k in (self.bootdisk or harddisk,) if k is not None],
            "d": [key for key in disks if disks[key].is_cdrom and not disks[key].is_cloudinit],
            "n": [f"net{index}" for index in self.net],
            "a": [],
        }
        return tuple(key for letter in self.boot.legacy or LEGACY_DEFAULT for key in groups[letter])

    @property
    def volumes(self) -> dict[str, str]:
        """The volume ids that the configuration refers to, by key (disks, EFI, TPM, unused, saved state)."""
        found = {key: disk.file for key, disk in self.disks.items()}
        found.update({f"unused{i}": disk.file for i, disk in self.unused.items()})
        if self.efidisk0 is not None:
            found["efidisk0"] = self.efidisk0.file
        if self.tpmstate0 is not None:
            found["tpmstate0"] = self.tpmstate0.file
        if self.vmstate is not None:
            found["vmstate"] = self.vmstate
        return {key: file for key, file in found.items() if file not in ("none", "cdrom")}

    @property
    def hotplug_classes(self) -> frozenset[str]:
        """The classes of settings that may change while the guest runs. Source: parse_hotplug_features."""
        text = "network,disk,usb" if self.hotplug == "1" else self.hotplug
        return frozenset(w for w in text.replace(";", ",").replace(" ", ",").split(",") if w not in ("", "0"))

    @property
    def max_vcpus(self) -> int:
        return self.sockets * self.cores

    @property
    def present_vcpus(self) -> int:
        return self.vcpus or self.max_vcpus

    @property
    def memory_mib(self) -> int:
        return self.memory.current
