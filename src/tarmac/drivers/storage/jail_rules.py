"""What a foreign image must not be: the rules of the jail, on facts that were read without trust."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from tarmac.drivers.storage.headers import Qcow2Header, read_qcow2
from tarmac.model.errors import Fix, HostFailure, InvalidInput
from tarmac.model.units import MIB

_VMDK_TYPES = ("monolithicSparse", "streamOptimized")
_REFCOUNT_TABLE_MAX = 8 * MIB  # QEMU's own limit
_L1_MAX = 4 * MIB  # entries: 32 MiB, QEMU's own limit


def check_self_contained(header: Qcow2Header, name: str) -> None:
    """Refuse a qcow2 image that refers to another file or is encrypted. Raises InvalidInput (`image-refused`)."""
    if header.backing_file is not None:
        raise refused(name, "it has a backing file", header.backing_file[:200])
    if header.data_file:
        raise refused(name, "it keeps its data in another file", "incompatible feature: external data file")
    if header.encrypted:
        raise refused(name, "it is encrypted", "crypt_method is not 0")


def check_tables(header: Qcow2Header, name: str) -> None:
    """Refuse tables that are far larger than the disk needs: they only cost memory. Raises InvalidInput."""
    if header.l1_entries > min(_L1_MAX, 2 * header.l1_entries_needed + 1024):
        cause = "its first-level table is far larger than its disk needs"
        raise refused(name, cause, f"{header.l1_entries} entries, {header.l1_entries_needed} are needed")
    if header.refcount_table_bytes > _REFCOUNT_TABLE_MAX:
        raise refused(name, "its reference count table is too large", f"{header.refcount_table_bytes} bytes")


def refused(name: str, cause: str, evidence: str) -> InvalidInput:
    """The error for an image that may not come in."""
    return InvalidInput(
        f"the image '{name}' is refused",
        code="image-refused",
        cause=cause,
        evidence=evidence.encode(errors="backslashreplace").decode(),
        fixes=[Fix(text="make a self-contained copy where it came from: qemu-img convert -O qcow2 OLD NEW")],
    )


def check_facts(facts: dict[str, Any], fd: int, name: str, format: str) -> None:
    """`qemu-img info`'s word on the image open as `fd`: no other file anywhere. Raises InvalidInput."""
    for key in ("backing-filename", "full-backing-filename", "encrypted", "data-file"):
        if facts.get(key):
            raise refused(name, "it refers to another file or is encrypted", f"{key}: {str(facts[key])[:200]}")
    if facts.get("format") != format:
        raise refused(name, "it cannot be read as what its name says", f"format {facts.get('format')}")
    details = facts.get("format-specific", {}).get("data", {})
    if details.get("data-file"):
        raise refused(name, "it keeps its data in another file", str(details["data-file"])[:200])
    if format == "vmdk":
        _check_extents(details, fd, name)


def _check_extents(details: dict[str, Any], fd: int, name: str) -> None:
    kind, extents = details.get("create-type"), details.get("extents", [])
    if kind not in _VMDK_TYPES:
        raise refused(name, f"only VMDK images of type {' and '.join(_VMDK_TYPES)} are taken", f"type {kind}")
    if len(extents) != 1 or f"/dev/fd/{fd}" not in str(extents[0].get("filename")):
        raise refused(name, "it consists of other files", str([e.get("filename") for e in extents])[:200])


def check_result(path: Path, format: str, size: int) -> None:
    """A tool that was taken over could have written anything: the copy must be what was asked for. Blocks.

    Raises InvalidInput or HostFailure."""
    if format == "raw":
        found = path.stat().st_size
    else:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            header = read_qcow2(fd)
        finally:
            os.close(fd)
        check_self_contained(header, path.name)
        found = header.size
    if found != size:
        raise HostFailure(
            f"the converted image {path.name} is not what was asked for",
            cause="its size differs from the source's",
            evidence=f"{found} bytes instead of {size}",
        )
