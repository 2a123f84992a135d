"""The first bytes of disk images: which format they claim, how large the disk is, and which other files they name.

Read without QEMU, from a bounded part of the file, so it is safe on anything and cheap enough for lists. It decides
two things: that a foreign image is what it is said to be before any tool opens it, and that an image of ours does not
point at a file that it has no business with. Source: QEMU docs/interop/qcow2.txt; VMware Virtual Disk Format 1.1.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass

from tarmac.model.errors import DataCorrupt

# magic, version, backing_file_offset, backing_file_size, cluster_bits, size, crypt_method, l1_size, l1_table_offset,
# refcount_table_offset, refcount_table_clusters, nb_snapshots, snapshots_offset
_QCOW2 = struct.Struct(">4sIQIIQIIQQIIQ")
assert _QCOW2.size == 72
# incompatible, compatible, autoclear features, refcount_order, header_length (version 3)
_QCOW2_V3 = struct.Struct(">QQQII")
assert _QCOW2_V3.size == 32
# magic, version, flags, capacity (512-byte sectors)
_VMDK = struct.Struct("<4sIIQ")
assert _VMDK.size == 20

DIRTY, CORRUPT, DATA_FILE, COMPRESSION, EXTENDED_L2 = 1, 2, 4, 8, 16
_KNOWN = DIRTY | CORRUPT | DATA_FILE | COMPRESSION | EXTENDED_L2
HEAD = 4096
_BACKING_MAX = 1023


@dataclass(frozen=True, slots=True, kw_only=True)
class Qcow2Header:
    """The fields that matter for safety. `backing_file` is the text in the image, None without one."""

    version: int
    size: int
    cluster_bits: int
    encrypted: bool
    l1_entries: int
    refcount_table_bytes: int
    snapshots: int
    incompatible: int
    backing_file: str | None

    @property
    def data_file(self) -> bool:
        return bool(self.incompatible & DATA_FILE)

    @property
    def l1_entries_needed(self) -> int:
        """How many L1 entries a disk of this size takes: one for each cluster full of 8-byte L2 entries (16 bytes with
        extended L2)."""
        entry = 16 if self.incompatible & EXTENDED_L2 else 8
        per_table = (1 << self.cluster_bits) // entry
        return -(-self.size // ((1 << self.cluster_bits) * per_table))


def read_qcow2(fd: int) -> Qcow2Header:
    """The header of the qcow2 image open as `fd`. Blocks. Raises DataCorrupt when it is none, or not plausible enough
    to be read further."""
    head = os.pread(fd, _QCOW2.size + _QCOW2_V3.size, 0)
    if len(head) < _QCOW2.size or head[:4] != b"QFI\xfb":
        raise _broken("it does not begin with qcow2's magic number", head[:4].hex())
    fields = _QCOW2.unpack_from(head)
    _, version, backing_offset, backing_size, cluster_bits, size, crypt, l1_size, _, _, table_clusters, snapshots, _ = (
        fields
    )
    if version not in (2, 3):
        raise _broken("its version is not 2 or 3", f"version {version}")
    if not 9 <= cluster_bits <= 21:
        raise _broken("its cluster size is not allowed", f"cluster_bits {cluster_bits}")
    incompatible = 0
    if version == 3:
        if len(head) < _QCOW2.size + _QCOW2_V3.size:
            raise _broken("it ends within its header", f"{len(head)} bytes")
        incompatible, _, _, order, _ = _QCOW2_V3.unpack_from(head, _QCOW2.size)
        if order > 6:
            raise _broken("its refcount width is not allowed", f"refcount_order {order}")
        if unknown := incompatible & ~_KNOWN:
            raise _broken("it uses features that are not known", f"incompatible features {unknown:#x}")
    return Qcow2Header(
        version=version,
        size=size,
        cluster_bits=cluster_bits,
        encrypted=crypt != 0,
        l1_entries=l1_size,
        refcount_table_bytes=table_clusters << cluster_bits,
        snapshots=snapshots,
        incompatible=incompatible,
        backing_file=_backing(fd, backing_offset, backing_size),
    )


def _backing(fd: int, offset: int, size: int) -> str | None:
    if offset == 0:
        return None
    if size > _BACKING_MAX or offset > 1 << 21:
        raise _broken("its backing file's name is not where one may be", f"offset {offset}, {size} bytes")
    return os.pread(fd, size, offset).decode(errors="surrogateescape")


def vmdk_size(fd: int) -> int | None:
    """Bytes of a sparse VMDK's disk, None when it is not one (a text descriptor, for instance). Blocks."""
    head = os.pread(fd, _VMDK.size, 0)
    if len(head) < _VMDK.size or head[:4] != b"KDMV":
        return None
    return int(_VMDK.unpack(head)[3]) * 512


def sniff(fd: int) -> str:
    """The format that the first bytes claim: qcow2, qed, vmdk, vmdk-descriptor, vhdx, vdi, luks, vpc; else raw.

    Blocks. Only to refuse an image that is not what its name says: a raw volume stays raw, whatever it begins with."""
    head = os.pread(fd, HEAD, 0)
    if head[:4] == b"QFI\xfb":
        return "qcow2"
    if head[:4] == b"QED\0":
        return "qed"
    if head[:4] in (b"KDMV", b"COWD"):
        return "vmdk"
    if b"# Disk DescriptorFile" in head:
        return "vmdk-descriptor"
    if head[:8] == b"vhdxfile":
        return "vhdx"
    if head[64:68] == b"\x7f\x10\xda\xbe":
        return "vdi"
    if head[:6] == b"LUKS\xba\xbe":
        return "luks"
    return "vpc" if _has_vhd_footer(fd, head) else "raw"


def _has_vhd_footer(fd: int, head: bytes) -> bool:
    if head[:8] == b"conectix":
        return True
    size = os.fstat(fd).st_size
    return size >= 512 and os.pread(fd, 8, size - 512) == b"conectix"


def _broken(cause: str, evidence: str) -> DataCorrupt:
    return DataCorrupt("the image is no usable qcow2 image", code="image-broken", cause=cause, evidence=evidence)
