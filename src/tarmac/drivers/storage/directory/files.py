"""The file operations under `directory.py`: hidden temporary files, durable appearance and removal, marks. All block.

A *part* is the hidden file in which a volume is made (`.NAME.MARK.part`). A *mark* is the short hash of the token of
the work that made a volume; it stays on the file as the extended attribute `user.tarmac.made-by`, or, on a file system
without such attributes (NFS before 4.2), as an empty file `.NAME.MARK.made`, which goes with the volume's name.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import stat
from collections.abc import Awaitable, Callable, Collection, Iterable
from pathlib import Path

from tarmac.drivers.storage.values import Owner
from tarmac.lib.acl import grant_read
from tarmac.lib.files import fsync_directory, fsync_file

Fill = Callable[[Path], Awaitable[None]]
_ATTRIBUTE = "user.tarmac.made-by"
_NO_ATTRIBUTES = {errno.ENOTSUP, errno.EPERM, errno.ENOSYS}
_LEFTOVER = re.compile(r"\..+\.(?P<mark>[0-9a-f]{16})\.(?:part|made)")


def mark_of(token: str) -> str:
    """16 hexadecimal digits: safe in a file name, whatever the token looks like."""
    return hashlib.sha256(token.encode()).hexdigest()[:16]


def part_of(place: Path, token: str) -> Path:
    """The hidden file in which the work `token` makes `place`."""
    return place.with_name(f".{place.name}.{mark_of(token)}.part")


def _made_file(place: Path, token: str) -> Path:
    return place.with_name(f".{place.name}.{mark_of(token)}.made")


def _drop_made(place: Path) -> None:
    """Once nothing is at `place` any more: else whatever gets that name later would pass for that work's volume."""
    for left in place.parent.glob(f".{place.name}.*.made"):
        if _LEFTOVER.fullmatch(left.name):
            left.unlink(missing_ok=True)


def make_directory(path: Path, *, below: Path) -> None:
    """Create `path` and what is missing above it, durably. Directories from `below` on get 0711: a guest's QEMU walks
    through to its own files and sees no others' names."""
    if path.is_dir():
        return
    if path.parent != path:
        make_directory(path.parent, below=below)
    try:
        path.mkdir(mode=0o755)
    except FileExistsError:
        return
    if path == below or path.is_relative_to(below):
        path.chmod(0o711)
    fsync_directory(path.parent)


def names_in(directory: Path) -> list[str]:
    """Names in it, hidden parts by the name that they will get; none when it does not exist."""
    try:
        entries = [entry.name for entry in directory.iterdir()]
    except FileNotFoundError:
        return []
    return [entry[1:-22] if _LEFTOVER.fullmatch(entry) else entry for entry in entries]


def made_by(place: Path, token: str) -> bool | None:
    """None when nothing is at `place`; else whether the work `token` made what is there."""
    try:
        found = os.getxattr(place, _ATTRIBUTE, follow_symlinks=False).decode()
    except FileNotFoundError:
        return None
    except OSError as problem:
        if problem.errno not in (_NO_ATTRIBUTES | {errno.ENODATA}):
            raise
        return _made_file(place, token).exists() if os.path.lexists(place) else None
    return found == mark_of(token)


def mark(part: Path, place: Path, token: str) -> None:
    try:
        os.setxattr(part, _ATTRIBUTE, mark_of(token).encode())
    except OSError as problem:
        if problem.errno not in _NO_ATTRIBUTES:
            raise
        _made_file(place, token).touch(mode=0o600)


def publish(part: Path, place: Path, token: str, owner: Owner | None) -> None:
    """Make a finished part appear under its name, if that is free: rights, contents on disk, name, name on disk.

    Raises FileExistsError when the name is taken; the part is then still there."""
    if owner is not None and os.geteuid() == 0:
        os.chown(part, owner.uid, owner.gid)
        part.chmod(0o600)
    else:
        part.chmod(0o640)
    mark(part, place, token)
    fsync_file(part)
    _link(part, place)
    part.unlink(missing_ok=True)
    fsync_directory(place.parent)


def _link(part: Path, place: Path) -> None:
    """Name it without replacing; on file systems without hard links the look and the renaming are two steps."""
    try:
        os.link(part, place, follow_symlinks=False)
    except OSError as problem:
        if problem.errno not in (errno.EPERM, errno.ENOTSUP, errno.ENOSYS):
            raise
        if os.path.lexists(place):
            raise FileExistsError(errno.EEXIST, "File exists", str(place)) from None
        part.rename(place)


def rename_new(old: Path, new: Path) -> None:
    """Give a file another name that must be free, durably; one that has both names by now only loses the old one.
    Raises FileExistsError, FileNotFoundError."""
    if not (new.exists() and old.exists() and old.samefile(new)):
        _link(old, new)
    old.unlink(missing_ok=True)
    _drop_made(old)
    fsync_directory(new.parent)


def create_part(place: Path, token: str) -> Path:
    """A new, empty part, 0600; one that was there is replaced."""
    part = part_of(place, token)
    part.unlink(missing_ok=True)
    os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
    return part


def holds(part: Path, size: int) -> bool:
    """Whether the file system keeps files of `size` bytes. Writes none, and leaves nothing."""
    with part.open("xb") as file:
        try:
            file.truncate(size)
        except OSError as problem:
            if problem.errno not in (errno.EFBIG, errno.EINVAL):
                raise
            return False
        finally:
            part.unlink()
    return True


def install(part: Path, place: Path, *, replace: bool, gid: int | None) -> None:
    """A gathered file gets its name. Repeatable: a part that is gone while the place is there counts as done.

    Raises FileExistsError unless `replace`."""
    if not part.exists() and place.exists():
        return
    if gid is not None and os.geteuid() == 0:
        os.chown(part, -1, gid)
    part.chmod(0o640)
    fsync_file(part)
    if replace:
        part.rename(place)
    else:
        _link(part, place)
        part.unlink(missing_ok=True)
    fsync_directory(place.parent)


def write_part(part: Path, contents: bytes) -> None:
    """A temporary file with these contents."""
    part.unlink(missing_ok=True)
    with part.open("xb") as file:
        part.chmod(0o600)
        file.write(contents)


def take_place(part: Path, place: Path, *, like: Path | None = None) -> None:
    """`part` becomes `place`, durably, with the owner and rights of `like` or of what is at `place`. Raises
    FileNotFoundError."""
    status = (like or place).stat()
    if os.geteuid() == 0:
        os.chown(part, status.st_uid, status.st_gid)
    part.chmod(stat.S_IMODE(status.st_mode))
    fsync_file(part)
    part.rename(place)
    fsync_directory(place.parent)


def drop(*parts: Path) -> None:
    """Remove parts, those that are there."""
    for part in parts:
        part.unlink(missing_ok=True)


def remove(place: Path) -> bool:
    """Unlink a volume durably; False when it was not there. Only files and links: never a directory."""
    try:
        if stat.S_ISDIR(place.lstat().st_mode):
            raise OSError(errno.EISDIR, "Is a directory", str(place))
        place.unlink()
    except FileNotFoundError:
        return False
    _drop_made(place)
    fsync_directory(place.parent)
    return True


def remove_empty(directory: Path) -> None:
    """Remove a guest's directory once it is empty."""
    try:
        directory.rmdir()
    except OSError as problem:
        if problem.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT, errno.EBUSY):
            raise


def takes_direct(place: Path) -> bool:
    """Whether the file can be opened with O_DIRECT (tmpfs of older kernels and some network file systems cannot)."""
    try:
        os.close(os.open(place, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_DIRECT))
    except OSError as problem:
        if problem.errno != errno.EINVAL:
            raise
        return False
    return True


def hand_over(place: Path, owner: Owner) -> int | None:
    """Make a guest's own image its file, readable and writable by nobody else. Where the file system keeps no owners
    (CIFS, which only says that it does) it stays as it is, and the group is returned in which a process must be."""
    status = place.stat()
    if (status.st_uid, status.st_gid) != (owner.uid, owner.gid):
        os.chown(place, owner.uid, owner.gid)
        status = place.stat()
        if status.st_uid != owner.uid:
            return status.st_gid
    if stat.S_IMODE(status.st_mode) != 0o600:
        place.chmod(0o600)
    return None


def let_read(place: Path, uid: int) -> None:
    """Let `uid` read a file that is not its own; without access lists on that file system, everybody."""
    status = place.stat()
    if status.st_mode & stat.S_IROTH or (status.st_uid == uid and status.st_mode & stat.S_IRUSR):
        return
    if not grant_read(place, uid):
        place.chmod(stat.S_IMODE(status.st_mode) | stat.S_IROTH)


def sync(place: Path) -> None:
    """Contents of `place` on disk."""
    fsync_file(place)


def sweep(folders: Iterable[Path], keep: Collection[str]) -> list[str]:
    """Remove parts and `.made` marks in `folders` and one level below, except those with a mark in `keep`.

    Only names of exactly our own form are touched. Returns the removed names."""
    removed = []
    for folder in folders:
        for place in [folder, *(_subfolders(folder))]:
            for entry in _entries(place):
                match = _LEFTOVER.fullmatch(entry.name)
                if match and match["mark"] not in keep and entry.is_file(follow_symlinks=False):
                    Path(entry.path).unlink(missing_ok=True)
                    removed.append(entry.name)
    return sorted(removed)


def left_folders(folder: Path, keep: Collection[str]) -> list[Path]:
    """Directories one level below `folder` that have a part's name, except those with a mark in `keep`."""
    found = []
    for place in _subfolders(folder):
        for entry in _entries(place):
            match = _LEFTOVER.fullmatch(entry.name)
            if match and match["mark"] not in keep and entry.is_dir(follow_symlinks=False):
                found.append(Path(entry.path))
    return found


def _subfolders(folder: Path) -> list[Path]:
    return [Path(e.path) for e in _entries(folder) if e.name.isdecimal() and e.is_dir(follow_symlinks=False)]


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except (FileNotFoundError, NotADirectoryError):
        return []
