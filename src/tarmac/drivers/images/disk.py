"""Raw disk images with partitions and file systems, made by an ordinary user: nothing is mounted or attached.

The partition tables are written here (`table.py`); FAT comes from mtools, ext4 from mke2fs, both at an offset inside
the image file; qemu-img makes the qcow2. Files stay sparse throughout.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tarmac.drivers.images import tools
from tarmac.drivers.images.base import partial, publish
from tarmac.drivers.images.table import SECTOR, Partition
from tarmac.model.units import MIB

_MTOOLS = {"MTOOLS_SKIP_CHECK": "1"}


@dataclass(frozen=True, slots=True)
class RawDisk:
    """A raw image file that is being filled. Methods raise HostFailure (a tool is missing or failed) or NoSpace."""

    path: Path

    @classmethod
    def create(cls, path: Path, size: int) -> RawDisk:
        """A new, empty, sparse image of `size` bytes; an old file of that name is replaced."""
        with path.open("wb") as stream:
            os.truncate(stream.fileno(), size)
        return cls(path)

    def write(self, pieces: Mapping[int, bytes]) -> None:
        """Writes raw bytes at byte offsets (boot code, partition tables)."""
        with self.path.open("r+b") as stream:
            for offset, data in pieces.items():
                stream.seek(offset)
                stream.write(data)

    async def fat(
        self, partition: Partition, label: str, files: Mapping[str, Path], *, cluster: int = 8, serial: str = "5441524D"
    ) -> None:
        """Makes a FAT file system (FAT16 or FAT32 by its size) and copies `files` (name in it -> file here).

        `cluster` is in sectors, `serial` eight hexadecimal digits. Directories in the names are created."""
        at = f"{self.path}@@{partition.start * SECTOR}"
        geometry = [
            "-T",
            str(partition.sectors),
            "-h",
            "255",
            "-s",
            "63",
            "-H",
            str(partition.start),
            "-c",
            str(cluster),
        ]
        fat32 = ["-F"] if partition.sectors * SECTOR > 512 * MIB else []
        await tools.run("mformat", "-i", at, "-v", label, *geometry, *fat32, "::", env=_MTOOLS)
        made: set[str] = set()
        for name, source in files.items():
            for parent in [*Path(name).parents][-2::-1]:
                if str(parent) not in made:
                    await tools.run("mmd", "-i", at, f"::/{parent}", env=_MTOOLS)
                    made.add(str(parent))
            await tools.run("mcopy", "-i", at, source, f"::/{name}", env=_MTOOLS)

    async def syslinux(self, partition: Partition) -> None:
        """Installs the SYSLINUX loader into a FAT partition; the master boot record needs `mbr_code` too."""
        await tools.run("syslinux", "--install", "--offset", str(partition.start * SECTOR), self.path)

    async def ext4(self, partition: Partition, label: str, *options: str) -> None:
        """Makes an empty ext4 file system."""
        await tools.run(*self.ext4_command(partition, label, *options))

    def ext4_command(self, partition: Partition, label: str, *options: str) -> list[str]:
        """The mke2fs call that makes it; with `-d DIRECTORY` among the options it is filled, owners as they are."""
        # 4 KiB blocks whatever the size: small file systems would get 1 KiB ones, which are slower
        place = f"offset={partition.start * SECTOR},root_owner=0:0,lazy_itable_init=1,nodiscard"
        what = ["-q", "-F", "-t", "ext4", "-b", "4096", "-m", "1", "-L", label, "-E", place, *options]
        return ["mke2fs", *what, str(self.path), f"{partition.sectors * SECTOR // 1024}k"]

    async def to_qcow2(self, destination: Path, *, compress: bool = False) -> None:
        """Converts to a qcow2 file, leaving out what is zero."""
        how = ("-c", "-o", "compression_type=zstd") if compress else ()
        await tools.run("qemu-img", "convert", "-f", "raw", "-O", "qcow2", *how, self.path, destination)

    async def place(self, destination: Path, *, compress: bool = False) -> str:
        """Converts to qcow2 at `destination`, in one durable step; returns the file's SHA-256. A failure or
        cancellation leaves `destination` as it was and nothing beside it."""
        destination.parent.mkdir(parents=True, exist_ok=True)
        draft = partial(destination)
        try:
            await self.to_qcow2(draft, compress=compress)
            return await publish(draft, destination)
        finally:
            draft.unlink(missing_ok=True)


def mbr_code() -> bytes:
    """SYSLINUX's boot code for the first sector (440 bytes): starts the active partition. Raises HostFailure."""
    path = tools.find_file(Path("/usr/lib/syslinux/mbr/mbr.bin"), "syslinux-common")
    return path.read_bytes()[:440]
