"""The `debian-12` image: a cloud image made from the mirror by mmdebstrap, starting from BIOS and from UEFI.

Steps: mmdebstrap makes a tar archive of the system (as root, or in a user namespace), mke2fs fills the root file
system from it, and the loader is written by `grub`; nothing is mounted on the host or attached to a loop device.
"""

from __future__ import annotations

import asyncio
import os
import shlex
import tarfile
import uuid
from dataclasses import dataclass
from pathlib import Path

from tarmac.drivers.images import debian_files, grub, tools
from tarmac.drivers.images.base import BuiltImage, Report, scratch
from tarmac.drivers.images.disk import RawDisk
from tarmac.drivers.images.mirrors import sources
from tarmac.drivers.images.table import (
    GPT_BIOS_BOOT,
    GPT_EFI_SYSTEM,
    GPT_LINUX_ROOT,
    SECTOR,
    Partition,
    gpt,
)
from tarmac.model.errors import Bug
from tarmac.model.units import GIB, MIB

_SIZE = 4 * GIB
_PER_MIB = MIB // SECTOR
_EFI_FILES = {
    "EFI/BOOT/BOOTX64.EFI": "usr/lib/shim/shimx64.efi.signed",
    "EFI/BOOT/grubx64.efi": "usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed",
    "EFI/BOOT/mmx64.efi": "usr/lib/shim/mmx64.efi.signed",
    "EFI/debian/grub.cfg": "boot/grub/early.cfg",
}
_BOOT_IMG, _CORE_IMG = "boot/grub/i386-pc/boot.img", "boot/grub/i386-pc/core.img"
_PACKAGE_LIST = "usr/share/tarmac-image.txt"
_STAGES = (
    ("update", 0.02),
    ("download", 0.05),
    ("extract", 0.12),
    ("install", 0.2),
    ("customize", 0.6),
    ("clean", 0.7),
)


@dataclass(frozen=True, slots=True)
class _Layout:
    """The disk's partitions: root is number 1 and the last on the disk, so that it can grow."""

    bios: Partition
    efi: Partition
    root: Partition
    root_uuid: str
    efi_serial: str

    @classmethod
    def new(cls) -> _Layout:
        def part(start_mib: int, end: int, kind: str, name: str, number: int) -> Partition:
            start = start_mib * _PER_MIB
            identity = str(uuid.uuid4())
            return Partition(start=start, sectors=end - start, kind=kind, name=name, number=number, identity=identity)

        last = _SIZE // SECTOR - _PER_MIB  # the backup table's place
        return cls(
            bios=part(1, 4 * _PER_MIB, GPT_BIOS_BOOT, "bios", 14),
            efi=part(4, 68 * _PER_MIB, GPT_EFI_SYSTEM, "efi", 15),
            root=part(68, last, GPT_LINUX_ROOT, "root", 1),
            root_uuid=str(uuid.uuid4()),
            efi_serial=uuid.uuid4().hex[:8].upper(),
        )

    @property
    def efi_uuid(self) -> str:
        """A FAT volume's serial number as Linux writes it."""
        return f"{self.efi_serial[:4]}-{self.efi_serial[4:]}"


@dataclass(frozen=True, slots=True)
class DebianRecipe:
    """Builds a Debian cloud image. As root directly, otherwise in a user namespace (needs `uidmap`)."""

    name: str = "debian-12"
    title: str = "Debian 12 with cloud-init, guest agent and SSH"
    suite: str = "bookworm"
    debian_packages: tuple[str, ...] = (
        "apt",
        "debian-archive-keyring",
        "e2fsprogs",
        "mmdebstrap",
        "mtools",
        "qemu-utils",
        "tar",
        "uidmap",
    )

    async def build(self, destination: Path, work: Path, report: Report) -> BuiltImage:
        """See base.Recipe."""
        for tool in ("mmdebstrap", "mke2fs", "qemu-img", "mformat", "mcopy", "mmd", "tar"):
            tools.find(tool)
        if os.geteuid() != 0:
            tools.find("newuidmap")
            tools.need_subordinate_ids()
        layout = _Layout.new()
        with scratch(work) as directory:
            system = directory / "system.tar"
            await self._bootstrap(layout, directory, system, work / "cache/debs", report)
            report("writing the root file system", 0.75)
            disk = RawDisk.create(directory / "disk.raw", _SIZE)
            await _fill(disk, layout, system, directory)
            report("writing the boot loaders", 0.85)
            parts = await asyncio.to_thread(_extract, system, directory / "parts")
            await _boot_loaders(disk, layout, parts)
            report("writing the image", 0.9)
            digest = await disk.place(destination, compress=True)
            packages = dict(line.split() for line in (parts / _PACKAGE_LIST).read_text().splitlines())
        report("done", 1.0)
        return BuiltImage(
            path=destination,
            virtual_size=_SIZE,
            file_size=destination.stat().st_size,
            sha256=digest,
            packages=packages,
            login_user="debian",
            firmware=("bios", "uefi"),
            notes=(
                f"Debian {self.suite}, kernel {packages.get('linux-image-amd64', '')}; consoles ttyS0 and tty0",
                "no passwords and no host keys: give the user a key or a password by cloud-init (NoCloud, ConfigDrive)",
                f"masked: {', '.join(debian_files.MASKED)}",
            ),
        )

    async def _bootstrap(self, layout: _Layout, directory: Path, system: Path, cache: Path, report: Report) -> None:
        """mmdebstrap's run: `system` becomes the tar archive. Downloaded packages are kept in `cache`."""
        cache.mkdir(parents=True, exist_ok=True)
        early, late = directory / "early.tar", directory / "late.tar"
        early.write_bytes(debian_files.tar(debian_files.early_files()))
        late.write_bytes(debian_files.tar(debian_files.files(layout.root_uuid, layout.efi_uuid, self.suite)))
        archives = "/var/cache/apt/archives"
        hooks = [
            f'--setup-hook=mkdir -p "$1{archives}"',
            f"--setup-hook=sync-in {shlex.quote(str(cache))} {archives}",
            f"--essential-hook=tar-in {shlex.quote(str(early))} /",
            f"--customize-hook=sync-out {archives} {shlex.quote(str(cache))}",
            f"--customize-hook=tar-in {shlex.quote(str(late))} /",
            '--customize-hook=chroot "$1" sh /setup.sh',
        ]
        options = [
            f"--mode={'root' if os.geteuid() == 0 else 'unshare'}",
            "--variant=minbase",
            "--format=tar",
            "--skip=essential/unlink",
            f"--include={','.join(debian_files.INCLUDE)}",
            *(f"--dpkgopt=path-exclude=/usr/share/{part}/*" for part in ("man", "info", "locale", "doc")),
            "--dpkgopt=path-include=/usr/share/doc/*/copyright",
            "--dpkgopt=path-include=/usr/share/locale/locale.alias",
        ]
        lines = "\n".join([*await sources(self.suite), ""])
        progress = _Progress(report)
        argv = ["mmdebstrap", *options, *hooks, self.suite, str(system), "-"]
        # as root the half-made system lies in `work`; a user namespace could not reach it there
        place = {"TMPDIR": str(directory)} if os.geteuid() == 0 else {}
        await tools.run(*argv, input=lines.encode(), env=place, on_line=progress)


class _Progress:
    """mmdebstrap's lines to people, with a fraction guessed from its stages."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._fraction = 0.0

    def __call__(self, line: str) -> None:
        if not line.startswith(("I:", "W:", "E:")):
            return
        for word, fraction in _STAGES:
            if word in line and fraction > self._fraction:
                self._fraction = fraction
        self._report(line[2:].strip(), self._fraction)


async def _fill(disk: RawDisk, layout: _Layout, system: Path, directory: Path) -> None:
    """The root file system from the tar archive. Without root this happens in a user namespace, where the files can
    have their owners; they are removed there too, because outside nobody could.

    Inside the namespace we are another user, to whom the way to `directory` may be barred (a home directory is 0700):
    all names are relative to it, and it lets that user in. Device files cannot be made there and are left out: the
    kernel brings /dev."""
    place = directory / "tree"
    place.mkdir()
    make = disk.ext4_command(layout.root, "root", "-U", layout.root_uuid, "-d", "tree/root")
    make[0], make[-2] = tools.find("mke2fs"), disk.path.name
    unpack = ["tar", "-xp", "--numeric-owner", "--xattrs", "--xattrs-include=*", "--exclude=./dev/*"]
    unpack += ["-f", system.name, "-C", "tree/root"]
    traps = "trap 'rm -rf tree/root' EXIT\ntrap 'exit 143' TERM\n"
    script = f"{traps}set -e\nmkdir tree/root\n{shlex.join(unpack)}\n{shlex.join(make)}\n"
    if os.geteuid() == 0:
        await tools.run("sh", "-c", script, cwd=directory)
        return
    directory.chmod(0o755)
    place.chmod(0o777)
    system.chmod(0o644)
    disk.path.chmod(0o666)
    await tools.run("mmdebstrap", "--unshare-helper", "sh", "-c", script, cwd=directory)


def _extract(system: Path, target: Path) -> Path:
    """The few files of the new system that the loaders need, read from the archive."""
    wanted = {*_EFI_FILES.values(), _BOOT_IMG, _CORE_IMG, _PACKAGE_LIST}
    with tarfile.open(system) as archive:
        for member in archive:
            name = member.name.removeprefix("./")
            if name in wanted and (stream := archive.extractfile(member)) is not None:
                path = target / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(stream.read())
                wanted.discard(name)
    if wanted:
        raise Bug(f"The new system lacks {', '.join(sorted(wanted))}.", evidence=str(system))
    return target


async def _boot_loaders(disk: RawDisk, layout: _Layout, parts: Path) -> None:
    """Partition tables with GRUB's first sector, its core in the BIOS boot partition, the EFI system partition."""
    start = layout.bios.start
    code = grub.boot_code((parts / _BOOT_IMG).read_bytes(), start)
    partitions = [layout.root, layout.bios, layout.efi]
    disk.write(gpt(partitions, _SIZE // SECTOR, str(uuid.uuid4()), code))
    core = grub.core_image((parts / _CORE_IMG).read_bytes(), start, layout.bios.sectors * SECTOR)
    disk.write({start * SECTOR: core})
    efi = {name: parts / source for name, source in _EFI_FILES.items()}
    await disk.fat(layout.efi, "EFI", efi, cluster=1, serial=layout.efi_serial)
