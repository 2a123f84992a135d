"""The subvolumes of a btrfs storage: Proxmox's layout, and the `btrfs` commands. Needs root: only it may delete them.

    images/100/vm-100-disk-0/disk.raw           the raw image vm-100-disk-0.raw, in a subvolume of its own
    images/100/vm-100-disk-0@before/disk.raw    its point in time `before`, a read-only snapshot

Source: PVE::Storage::BTRFSPlugin of Proxmox VE 9.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from tarmac.drivers.storage.volume_names import DISK_FILE
from tarmac.lib.process import run

_SNAPSHOT = re.compile(r"(?P<volume>[^@/]+)@(?P<snapshot>[A-Za-z][A-Za-z0-9_-]*)")
_ROOT_INODE = 256  # of every subvolume (btrfs(5))


def subvolume_of(image: Path) -> Path:
    """The subvolume of a raw image's file."""
    return image.parent


def at_snapshot(image: Path, snapshot: str) -> Path:
    """A raw image's file in one of its points in time."""
    folder = subvolume_of(image)
    return folder.with_name(f"{folder.name}@{snapshot}") / DISK_FILE


def snapshots_of(image: Path) -> list[str]:
    """The points in time of a raw image, by name. Blocks."""
    folder = subvolume_of(image)
    found = []
    for entry in _folders(folder.parent):
        match = _SNAPSHOT.fullmatch(entry)
        if match and match["volume"] == folder.name:
            found.append(match["snapshot"])
    return sorted(found)


def images_in(folder: Path) -> list[str]:
    """The raw images of a guest's directory, by the names that they have in volume ids. Blocks."""
    names = [name for name in _folders(folder) if "@" not in name and not name.startswith(".")]
    return sorted(f"{name}.raw" for name in names if (folder / name / DISK_FILE).is_file())


def _folders(folder: Path) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
    except (FileNotFoundError, NotADirectoryError):
        return []


def is_subvolume(folder: Path) -> bool:
    """Blocks."""
    try:
        return folder.stat(follow_symlinks=False).st_ino == _ROOT_INODE
    except FileNotFoundError:
        return False


async def is_btrfs(folder: Path) -> bool:
    return (await run(["stat", "-f", "-c", "%T", "--", folder])).text.strip() == "btrfs"


async def create(folder: Path, *, nocow: bool) -> None:
    """A new, empty subvolume. `nocow`: files in it are written in place."""
    await run(["btrfs", "subvolume", "create", "--", folder])
    if nocow:
        await run(["chattr", "+C", "--", folder])


async def snapshot(source: Path, target: Path, *, read_only: bool) -> None:
    """`target` becomes what `source` is now, durably and in one step; it must not exist."""
    await run(["btrfs", "subvolume", "snapshot", *(["-r"] if read_only else []), "--", source, target])


async def delete(folder: Path) -> None:
    """Remove a subvolume, durably."""
    await run(["btrfs", "subvolume", "delete", "--commit-after", "--", folder])


async def set_read_only(folder: Path, read_only: bool) -> None:
    await run(["btrfs", "property", "set", "-f", "-t", "subvol", folder, "ro", "true" if read_only else "false"])
