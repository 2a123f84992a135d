"""The layers of an image on a directory: names, who stands on whom, freezing, merging, sharing blocks. All block.

    vm-100-disk-0.qcow2                the active layer, under the volume's own name
    snap-before-vm-100-disk-0.qcow2    what snapshot `before` froze; the active layer stands on it (Proxmox VE 9's name)

A layer is frozen by giving its file a second name and then letting an empty overlay take the first one: the volume's
name leads to a whole image at every moment, and whatever a crash leaves can be told by looking. A layer is merged by
writing what the one above it holds into it, and then letting its file take that one's name.

    900/snap-before-vm-100-disk-0.qcow2    the same file once more: a frozen state of guest 100 stands on it (`held.py`)

On file systems that share blocks between files (btrfs, xfs) a point in time is a copy under the same kind of name.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tarmac.drivers.storage.directory import files
from tarmac.drivers.storage.headers import read_qcow2
from tarmac.lib.files import fsync_directory
from tarmac.model.errors import Conflict, DataCorrupt, Fix

_LAYER = re.compile(r"snap-(?P<snapshot>[A-Za-z][A-Za-z0-9_-]*?)-(?P<file>(?:vm|base)-\d+-.+)")
_SEAL = "user.tarmac.sealed"
_FICLONE = 0x40049409  # linux/fs.h: _IOW(0x94, 9, int)
_FS_IOC_GETFLAGS, _FS_IOC_SETFLAGS, _FS_IMMUTABLE = 0x80086601, 0x40086602, 0x10
_CANNOT = {errno.EOPNOTSUPP, errno.ENOTTY, errno.EINVAL, errno.EXDEV, errno.ENOSYS, errno.EPERM, errno.EACCES}


def layer_of(file: str) -> tuple[str | None, str]:
    """(snapshot, file name of the volume) of an image's file name; the snapshot is None for a volume itself."""
    match = _LAYER.fullmatch(file)
    return (match["snapshot"], match["file"]) if match else (None, file)


def frozen_place(place: Path, snapshot: str) -> Path:
    """Where the layer of a snapshot of the volume at `place` lies."""
    return place.with_name(f"snap-{snapshot}-{place.name}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Frozen:
    """A snapshot's layer. `on` is the file name that it stands on; `used` bytes on disk; `made` when it was frozen;
    `held` the frozen states that stand on it, too."""

    snapshot: str
    place: Path
    on: str | None
    used: int
    made: float
    held: tuple[int, ...]


def frozen_layers(place: Path) -> list[Frozen]:
    """The frozen layers of a volume, those below before those above; copies, which stand on nothing, by age."""
    found = {}
    for path in _siblings(place):
        snapshot, volume = layer_of(path.name)
        if snapshot is not None and volume == place.name:
            status = path.stat()
            found[path.name] = Frozen(
                snapshot=snapshot,
                place=path,
                on=stands_on(path),
                used=status.st_blocks * 512,
                made=status.st_mtime,
                held=holders(path),
            )
    ordered: list[Frozen] = []

    def put(layer: Frozen) -> None:
        if layer in ordered:
            return
        if layer.on in found:
            put(found[layer.on])
        ordered.append(layer)

    for layer in sorted(found.values(), key=lambda one: one.made):
        put(layer)
    return ordered


def lost_layers(images: Path) -> Iterator[tuple[int, Path]]:
    """The frozen layers below a directory of images whose volume is gone, with the guest's number."""
    for folder in sorted(images.glob("[1-9]*")):
        names = {path.name: path for path in _siblings(folder / "any")} if folder.name.isdecimal() else {}
        for name, path in sorted(names.items()):
            snapshot, volume = layer_of(name)
            if snapshot is not None and volume not in names and not of_another(path):
                yield int(folder.name), path


def _siblings(place: Path) -> Iterator[Path]:
    try:
        with os.scandir(place.parent) as entries:
            yield from [Path(e.path) for e in entries if e.is_file(follow_symlinks=False)]
    except (FileNotFoundError, NotADirectoryError):
        return


def stands_on(place: Path) -> str | None:
    """The name of the image that this one stands on, if it lies beside it. Raises DataCorrupt for no qcow2."""
    if place.suffix != ".qcow2":
        return None
    fd = os.open(place, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        below = read_qcow2(fd).backing_file
    finally:
        os.close(fd)
    return below if below is not None and "/" not in below else None


def holders(layer: Path) -> tuple[int, ...]:
    """The frozen states that stand on a snapshot's layer: it has a second name in their directories."""
    if layer.stat().st_nlink == 1:
        return ()
    others = [path for path in layer.parent.parent.glob(f"[1-9]*/{layer.name}") if path.parent != layer.parent]
    return tuple(sorted(int(path.parent.name) for path in others if path.samefile(layer)))


def of_another(layer: Path) -> bool:
    """Whether a layer lies in the directory of a frozen state: it belongs to the guest that its name says."""
    match = re.fullmatch(r"(?:vm|base)-(\d+)-.+", layer_of(layer.name)[1])
    return match is not None and match[1] != layer.parent.name


def below(place: Path) -> list[Path]:
    """The layers beside an image that it stands on, those above first."""
    found: list[Path] = []
    while (name := stands_on(found[-1] if found else place)) is not None:
        found.append(place.with_name(name))
    return found


def standing_on(place: Path, frozen: Path) -> list[Path]:
    """The layers of the volume at `place` that stand on one of its frozen ones."""
    layers = [place, *(layer.place for layer in frozen_layers(place))]
    return [layer for layer in layers if layer.exists() and stands_on(layer) == frozen.name]


def is_frozen(place: Path, frozen: Path) -> bool | None:
    """How far freezing is: None not begun, False the layer has both names, True an overlay stands on it.

    Raises Conflict when the name belongs to an older point in time."""
    try:
        below = frozen.stat()
    except FileNotFoundError:
        return None
    top = place.stat()
    if (below.st_dev, below.st_ino) == (top.st_dev, top.st_ino):
        return False
    if stands_on(place) == frozen.name:
        return True
    raise Conflict(
        f"snapshot '{layer_of(frozen.name)[0]}' of {place.name} exists already",
        code="snapshot-exists",
        cause="its name still belongs to an older point in time, perhaps one that other branches stand on",
        evidence=frozen.name,
    )


def freeze(place: Path, frozen: Path, overlay: Path) -> None:
    """The image at `place` becomes `frozen`, the prepared `overlay` takes its name, owner and rights, durably."""
    if not frozen.exists():
        second_name(place, frozen)
    take_place(overlay, place)


def second_name(place: Path, frozen: Path) -> None:
    """Give the image at `place` the name `frozen` too, durably; where files have one name only, instead."""
    try:
        os.link(place, frozen, follow_symlinks=False)
    except OSError as problem:
        if problem.errno not in (errno.EPERM, errno.ENOTSUP, errno.ENOSYS):
            raise
        place.rename(frozen)  # a file system without hard links: for a moment the volume's name leads nowhere
    fsync_directory(frozen.parent)


def thaw(place: Path, frozen: Path) -> None:
    """Take `freeze` back: the layer gets the volume's name, the overlay on it is gone. Fine when it never happened."""
    if not frozen.exists():
        return
    if not place.exists() or not place.samefile(frozen):
        frozen.rename(place)
    frozen.unlink(missing_ok=True)
    fsync_directory(place.parent)


def absorb(place: Path, frozen: Path) -> None:
    """What stood on `frozen` has been merged into it: its file takes the name of the one it absorbed."""
    above = standing_on(place, frozen)
    if len(above) == 1:
        frozen.rename(above[0])
        fsync_directory(place.parent)


def take_place(part: Path, place: Path) -> None:
    """`part` becomes `place` with the owner and rights of what is there, or of the layer that it stands on."""
    files.take_place(part, place, like=None if place.exists() else place.with_name(stands_on(part) or ""))


def share(source: Path, target: Path) -> None:
    """A new file with the contents of another, which shares its blocks. Raises OSError where that cannot be."""
    with source.open("rb") as old, target.open("xb") as new:
        os.fchmod(new.fileno(), 0o600)
        fcntl.ioctl(new.fileno(), _FICLONE, old.fileno())


def shares_blocks(root: Path) -> bool:
    """Whether the file system below a directory can do that; tried out."""
    one, two = (root / f".sharing-{os.getpid()}-{n}.part" for n in "ab")
    try:
        one.write_bytes(b"\0" * 4096)
        share(one, two)
    except OSError:
        return False
    finally:
        files.drop(one, two)
    return True


def seal(place: Path) -> None:
    """Remember what a base image looks like, so that `check_seal` finds out when somebody wrote into it after all."""
    try:
        os.setxattr(place, _SEAL, _looks(place))
    except OSError as problem:
        if problem.errno not in _CANNOT:
            raise


def check_seal(place: Path) -> None:
    """Raises DataCorrupt naming a base image that was written to since it was sealed; fine where it never was."""
    try:
        sealed = os.getxattr(place, _SEAL)
    except OSError as problem:
        if problem.errno not in (_CANNOT | {errno.ENODATA}):
            raise
        return
    if sealed != (now := _looks(place)):
        raise DataCorrupt(
            f"the base image {place.name} was changed",
            code="base-changed",
            cause="something wrote into a template's disk; every clone that stands on it is damaged by that",
            evidence=f"{place}: size and time of change were {sealed.decode()}, are {now.decode()}",
            fixes=[Fix(text="bring the file back from a backup, with its time of change")],
        )


def unseal(place: Path) -> None:
    """Forget it again."""
    with contextlib.suppress(OSError):
        os.removexattr(place, _SEAL)


def _looks(place: Path) -> bytes:
    status = place.stat()
    return f"{status.st_size} {status.st_mtime_ns}".encode()


def set_immutable(place: Path, immutable: bool) -> bool:
    """Guard a file against everybody, root included (`chattr +i`), or lift that. False where it cannot be: not root, or
    the file system has no such flag."""
    try:
        fd = os.open(place, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW)
    except FileNotFoundError:
        return False
    try:
        flags = struct.unpack("l", fcntl.ioctl(fd, _FS_IOC_GETFLAGS, struct.pack("l", 0)))[0]
        wanted = flags | _FS_IMMUTABLE if immutable else flags & ~_FS_IMMUTABLE
        if wanted != flags:
            fcntl.ioctl(fd, _FS_IOC_SETFLAGS, struct.pack("l", wanted))
    except OSError as problem:
        if problem.errno not in _CANNOT:
            raise
        return False
    finally:
        os.close(fd)
    return True
