"""Files that are either whole or not there: atomic, fsynced writes, bounded reads, bounded logs.

Everything here blocks (a disk may take its time), so coroutines call it through `asyncio.to_thread`. Errors of the
operating system come out as OSError; `failure_of` turns one into the error tree where the caller knows the object.
"""

from __future__ import annotations

import errno
import os
import secrets
from pathlib import Path

from tarmac.model.errors import Denied, Fix, HostFailure, NoSpace, TarmacError

_NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def write_atomic(path: Path, data: bytes | str, *, mode: int = 0o640, uid: int = -1, gid: int = -1) -> None:
    """Replace `path` by `data` so that a reader, also after a power cut, sees the old or the new text, never a part.

    Returns after file and directory are on disk. On an error (OSError) the old file is untouched and no temporary
    file is left. `uid` and `gid` -1 mean unchanged; a symbolic link at `path` is replaced, not followed.
    """
    raw = data.encode() if isinstance(data, str) else data
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}.tmp")
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        try:
            _write_all(fd, raw)
            if (uid, gid) != (-1, -1):
                os.fchown(fd, uid, gid)
            os.fchmod(fd, mode)
            os.fsync(fd)
        finally:
            os.close(fd)
        temporary.rename(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    fsync_directory(path.parent)


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def fsync_directory(path: Path) -> None:
    """Make names that were created, renamed or removed in the directory `path` durable."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def fsync_file(path: Path) -> None:
    """Make the contents of `path` durable, whoever wrote them (a tool such as qemu-img, for instance)."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def remove_durably(path: Path) -> bool:
    """Unlink `path` and make that durable. True if it was there; a name that is gone already is no error."""
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    fsync_directory(path.parent)
    return True


def read_bounded(path: Path, limit: int) -> bytes:
    """The whole file, or OSError(EFBIG) when it has more than `limit` bytes: never a silent part."""
    with path.open("rb") as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise OSError(errno.EFBIG, f"larger than {limit} bytes", str(path))
    return data


def read_tail(path: Path, limit: int) -> bytes:
    """The last `limit` bytes of a file; nothing when the file is missing."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - limit))
            return file.read(limit)
    except FileNotFoundError:
        return b""


def trim_log(path: Path, *, above: int, keep: int) -> bool:
    """Cut a log that another process appends to with O_APPEND down to its last `keep` bytes once it exceeds `above`.

    The file is shortened in place, so that the writer's descriptor stays good; a line written in the instant between
    reading and cutting may be lost, which a diagnostic log can bear. True if it was cut.
    """
    try:
        fd = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        size = os.fstat(fd).st_size
        if size <= above:
            return False
        tail = os.pread(fd, keep, size - keep)
        tail = tail[tail.find(b"\n") + 1 :]
        # Truncating first keeps an O_APPEND writer behind our text: it continues wherever the end is.
        os.ftruncate(fd, 0)
        os.lseek(fd, 0, os.SEEK_SET)
        _write_all(fd, tail)
        return True
    finally:
        os.close(fd)


def failure_of(error: OSError, message: str) -> TarmacError:
    """The five-part form of an OSError: NoSpace for a full disk or quota, Denied for missing rights, else HostFailure.

    `message` says what was tried, with the object's name (`cannot write /x/y`)."""
    evidence = f"[Errno {error.errno}] {error.strerror}" + (f": {error.filename}" if error.filename else "")
    if error.errno in _NO_SPACE:
        where = error.filename or "the file system"
        return NoSpace(
            message,
            cause="there is no space left",
            evidence=evidence,
            fixes=[Fix(text=f"free some space where {where} lies, or use another storage")],
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        return Denied(
            message,
            code="host-permission",
            cause=f"the daemon (uid {os.geteuid()}) lacks the rights for it",
            evidence=evidence,
            fixes=[Fix(text="run the daemon as root, or give its user the rights")],
        )
    return HostFailure(message, cause="the operating system refused it", evidence=evidence)
