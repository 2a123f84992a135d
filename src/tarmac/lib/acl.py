"""One more reader for a file: POSIX access lists in the extended attribute `system.posix_acl_access`.

A guest's QEMU runs under a uid of its own and may have to read what belongs to nobody in particular: an ISO image, a
template's disk. A group for all guests would let each read everything; an entry for its uid lets it read this.
Source: include/uapi/linux/posix_acl_xattr.h. Functions block.
"""

from __future__ import annotations

import errno
import os
import stat
import struct
from pathlib import Path

_NAME = "system.posix_acl_access"
_HEADER = struct.Struct("<I")
_ENTRY = struct.Struct("<HHI")
_USER_OBJ, _USER, _GROUP_OBJ, _GROUP, _MASK, _OTHER = 1, 2, 4, 8, 16, 32
_READ, _NOBODY = 4, 0xFFFFFFFF
Entries = dict[tuple[int, int], int]


def grant_read(path: Path, uid: int) -> bool:
    """Let `uid` read the file, for good: no other guest gets the uid before all have been given out. False when its
    file system keeps no access lists. Raises OSError."""
    entries = _read(path)
    if entries.get((_USER, uid), 0) & _READ:
        return True
    entries[_USER, uid] = _READ
    return _write(path, entries)


def _read(path: Path) -> Entries:
    try:
        raw = os.getxattr(path, _NAME)
    except OSError as problem:
        if problem.errno not in (errno.ENODATA, errno.ENOTSUP):
            raise
        mode = stat.S_IMODE(path.stat().st_mode)
        return {
            (_USER_OBJ, _NOBODY): mode >> 6 & 7,
            (_GROUP_OBJ, _NOBODY): mode >> 3 & 7,
            (_OTHER, _NOBODY): mode & 7,
        }
    return {(tag, id): rights for tag, rights, id in _ENTRY.iter_unpack(raw[_HEADER.size :])}


def _write(path: Path, entries: Entries) -> bool:
    mask = entries[_GROUP_OBJ, _NOBODY]
    for (tag, _), rights in entries.items():
        if tag in (_USER, _GROUP):
            mask |= rights
    entries[_MASK, _NOBODY] = mask
    lines = b"".join(_ENTRY.pack(tag, rights, id) for (tag, id), rights in sorted(entries.items()))
    try:
        os.setxattr(path, _NAME, _HEADER.pack(2) + lines)
    except OSError as problem:
        if problem.errno == errno.ENOTSUP:
            return False
        raise
    return True
