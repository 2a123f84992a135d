"""The `tiny` image: Debian's kernel, busybox and the real guest agent, up in about three seconds under emulation.

Everything runs from the initramfs, so the guest needs no root disk; the disk it boots from has a small ext4 file
system, mounted at /data, which is the only thing that lasts. The files in `tiny_files/` are the guest's own.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

from tarmac.drivers.images import initramfs, kernel, tools
from tarmac.drivers.images.base import BuiltImage, Report, scratch
from tarmac.drivers.images.disk import RawDisk, mbr_code
from tarmac.drivers.images.packages import Archive, PackageCache, unpack
from tarmac.drivers.images.table import MBR_FAT, MBR_LINUX, Partition, mbr
from tarmac.model.units import MIB

_SECTORS_PER_MIB = 2048
_SIZE = 64 * MIB
_BOOT = Partition(start=_SECTORS_PER_MIB, sectors=39 * _SECTORS_PER_MIB, kind=MBR_FAT, active=True)
_DATA = Partition(start=40 * _SECTORS_PER_MIB, sectors=24 * _SECTORS_PER_MIB, kind=MBR_LINUX)
_SIGNATURE = 0x7A726D54
DATA_LABEL = "tarmac-data"

_COMMAND_LINE = "console=tty0 console=ttyS0,115200n8 quiet scsi_mod.scan=sync random.trust_cpu=on"
_LOADER = f"DEFAULT tiny\nPROMPT 0\nTIMEOUT 0\nLABEL tiny\nLINUX /vmlinuz\nINITRD /initrd\nAPPEND {_COMMAND_LINE}\n"

_SUITE = "bookworm"
_KERNEL = "linux-image-amd64"
_PACKAGES = (
    "busybox-static",
    "qemu-guest-agent",
    "libc6",
    "libgcc-s1",
    "libglib2.0-0",
    "libnuma1",
    "libpcre2-8-0",
    "libudev1",
    "liburing2",
    "zlib1g",
)
_MODULES = (
    # the bus and what sits on it
    *("virtio_pci", "virtio_blk", "virtio_scsi", "virtio_net", "virtio_console", "virtio_rng", "virtio_balloon"),
    *("virtio_mem", "virtio_input", "vmw_vsock_virtio_transport", "9pnet_virtio", "9p", "virtiofs"),
    # disks of other kinds
    *("sd_mod", "sr_mod", "ata_piix", "ata_generic", "ahci", "sym53c8xx", "megaraid_sas", "vmw_pvscsi", "nvme"),
    # network cards of other kinds
    *("e1000", "e1000e", "8139cp", "vmxnet3"),
    # file systems, with the checksums they ask for by name
    *("ext4", "vfat", "isofs", "nls_cp437", "nls_ascii", "nls_iso8859_1", "nls_utf8", "crc32c_generic", "crc32c_intel"),
    # power button, keyboard, watchdog, panic notice
    *("button", "evdev", "i6300esb", "pvpanic", "pvpanic_pci", "pvpanic_mmio", "qemu_fw_cfg"),
)
_FILES = {
    "init": "init",
    "ready": "etc/tarmac/ready",
    "stop": "etc/tarmac/stop",
    "power": "etc/acpi/PWRF/00000080",
    "hotplug": "etc/tarmac/hotplug",
    "net": "etc/tarmac/net",
    "nocloud": "etc/tarmac/nocloud",
    "network.awk": "etc/tarmac/network.awk",
    "udhcpc": "etc/udhcpc/default.script",
    "shutdown": "usr/sbin/shutdown",
    "chpasswd": "usr/sbin/chpasswd",
    "profile": "etc/profile",
    "os-release": "etc/os-release",
}
_TEXTS = {
    "etc/passwd": "root::0:0:root:/root:/bin/sh\n",
    "etc/shadow": "root::19000:0:99999:7:::\n",
    "etc/group": "root:x:0:\n",
    "etc/hosts": "127.0.0.1 localhost tiny\n",
    "etc/resolv.conf": "",
    "etc/ld.so.conf": "/lib/x86_64-linux-gnu\n",
}


@dataclass(frozen=True, slots=True)
class TinyRecipe:
    """Builds the tiny guest (BIOS only). Needs the host packages below and, for the first build, a Debian mirror."""

    name: str = "tiny"
    title: str = "Tiny guest: Debian's kernel, busybox and the guest agent, for trying things out"
    debian_packages: tuple[str, ...] = (
        "apt",
        "debian-archive-keyring",
        "dpkg",
        "e2fsprogs",
        "lz4",
        "mtools",
        "qemu-utils",
        "syslinux",
        "syslinux-common",
    )

    async def build(self, destination: Path, work: Path, report: Report) -> BuiltImage:
        """See base.Recipe."""
        for tool in ("qemu-img", "mformat", "mcopy", "mke2fs", "lz4", "syslinux", "apt-get", "dpkg-deb"):
            tools.find(tool)
        code = mbr_code()
        destination.parent.mkdir(parents=True, exist_ok=True)
        with scratch(work) as directory:
            report("fetching packages", 0.0)
            archives = await self._fetch(PackageCache(work / "cache", _SUITE))
            report("unpacking packages", 0.3)
            root = directory / "root"
            await unpack(archives.values(), root)
            report("packing the kernel", 0.5)
            image = next((root / "boot").glob("vmlinuz-*"))
            (directory / "vmlinuz").write_bytes(await kernel.repack(image.read_bytes(), directory))
            report("packing the initramfs", 0.7)
            version = await self._initramfs(root, directory)
            report("writing the disk", 0.9)
            disk = await self._disk(directory, code)
            digest = await disk.place(destination)
        report("done", 1.0)
        return BuiltImage(
            path=destination,
            virtual_size=_SIZE,
            file_size=destination.stat().st_size,
            sha256=digest,
            packages={archive.name: archive.version for archive in archives.values()},
            login_user="root",
            firmware=("bios",),
            notes=(
                f"kernel {version}; root shell without password on ttyS0 and, with a VGA card, on tty1",
                "prints 'TARMAC-TINY READY <kernel>' on ttyS0 once the agent runs; /data is kept, the rest is memory",
                "needs 128 MiB; takes host name and addresses from a NoCloud drive; starts with BIOS, not with UEFI",
            ),
        )

    async def _fetch(self, cache: PackageCache) -> dict[str, Archive]:
        wanted = [next(name for name in await cache.depends(_KERNEL) if name.startswith("linux-image-"))]
        return await cache.fetch([*wanted, *_PACKAGES])

    async def _initramfs(self, root: Path, directory: Path) -> str:
        """Writes `initrd` into `directory`; returns the kernel's version."""
        applets = (await tools.run(root / "bin/busybox", "--list-full")).split()
        version, data = await asyncio.to_thread(_archive, root, applets)
        source = directory / "initrd.cpio"
        source.write_bytes(data)
        await tools.run("lz4", "-q", "-f", "-12", "-l", source, directory / "initrd")
        return version

    async def _disk(self, directory: Path, code: bytes) -> RawDisk:
        (directory / "syslinux.cfg").write_text(_LOADER)
        disk = RawDisk.create(directory / "disk.raw", _SIZE)
        disk.write(mbr([_BOOT, _DATA], code, _SIGNATURE))
        files = {name: directory / name for name in ("syslinux.cfg", "vmlinuz", "initrd")}
        await disk.fat(_BOOT, "TINY", files, cluster=32)
        await disk.syslinux(_BOOT)
        await disk.ext4(_DATA, DATA_LABEL, "-O", "^metadata_csum,^64bit,^huge_file", "-J", "size=4", "-N", "1024")
        return disk


def _archive(root: Path, applets: list[str]) -> tuple[str, bytes]:
    """The initramfs's contents, from the unpacked packages and the recipe's own files."""
    archive = initramfs.Cpio()
    for name in ("dev", "proc", "sys", "run", "data", "root", "tmp", "var/log", "mnt"):
        archive.directory(name)
    archive.link("var/run", "../run")
    archive.character("dev/console", 5, 1)
    archive.character("dev/null", 1, 3, 0o666)
    archive.file("bin/busybox", (root / "bin/busybox").read_bytes(), 0o755)
    own = set(_FILES.values())
    for applet in applets:
        if applet not in own and applet != "bin/busybox":
            archive.link(applet, "/bin/busybox")
    archive.link("sbin/shutdown", "/usr/sbin/shutdown")
    agent = root / "usr/sbin/qemu-ga"
    archive.file("usr/sbin/qemu-ga", agent.read_bytes(), 0o755)
    for guest, path in initramfs.libraries(agent, root).items():
        archive.file(guest, path.read_bytes(), 0o755)
    here = Path(__file__).parent / "tiny_files"
    for source, target in _FILES.items():
        plain = source in ("profile", "os-release", "network.awk")
        archive.file(target, (here / source).read_bytes(), 0o644 if plain else 0o755)
    for target, text in _TEXTS.items():
        archive.file(target, text.encode(), 0o600 if target == "etc/shadow" else 0o644)
    modules = initramfs.Modules(root)
    modules.add_to(archive, modules.closure(_MODULES))
    return modules.version, archive.finish()
