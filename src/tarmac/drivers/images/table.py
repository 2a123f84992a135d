"""Partition tables as bytes.

Sources: UEFI 2.10 section 5 (GPT, protective MBR); for the MBR the layout every BIOS knows: 440 bytes of code, a
disk signature, four entries of 16 bytes at 446, 55 AA.
"""

from __future__ import annotations

import struct
import uuid
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

SECTOR = 512
_ENTRIES, _ENTRY_SIZE = 128, 128
_TABLE_SECTORS = _ENTRIES * _ENTRY_SIZE // SECTOR
FIRST_USABLE = 2 + _TABLE_SECTORS

MBR_FAT, MBR_LINUX = 0x0C, 0x83
GPT_BIOS_BOOT = "21686148-6449-6E6F-744E-656564454649"
GPT_EFI_SYSTEM = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"
GPT_LINUX_ROOT = "4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709"


@dataclass(frozen=True, slots=True, kw_only=True)
class Partition:
    """One partition. `start` and `sectors` count sectors of 512 bytes; `kind` is an MBR type or a GPT type's UUID."""

    start: int
    sectors: int
    kind: int | str
    name: str = ""
    active: bool = False
    identity: str = ""
    number: int = 0


def mbr(partitions: Sequence[Partition], code: bytes, signature: int) -> dict[int, bytes]:
    """The first sector of a disk with up to four primary partitions: byte offset -> bytes. Raises ValueError."""
    if len(partitions) > 4 or len(code) > 440:
        raise ValueError(
            f"an MBR has room for 4 partitions and 440 bytes of code, not {len(partitions)} and {len(code)}"
        )
    entries = b""
    for part in partitions:
        if not isinstance(part.kind, int) or part.start + part.sectors > 1 << 32:
            raise ValueError(f"partition at sector {part.start} does not fit an MBR")
        entries += _mbr_entry(part.start, part.sectors, part.kind, part.active)
    return {0: code.ljust(440, b"\0") + struct.pack("<IH", signature, 0) + entries.ljust(64, b"\0") + b"\x55\xaa"}


def gpt(partitions: Sequence[Partition], disk_sectors: int, identity: str, code: bytes = b"") -> dict[int, bytes]:
    """Protective MBR (with boot code), primary and backup tables: byte offset -> bytes. Raises ValueError.

    A partition's `number` (1 to 128) is its place in the table, so that the root partition, which grows, can be the
    last on the disk and still have number 1."""
    last_usable = disk_sectors - FIRST_USABLE
    table = bytearray(_ENTRIES * _ENTRY_SIZE)
    for index, part in enumerate(partitions):
        if part.start < FIRST_USABLE or part.start + part.sectors - 1 > last_usable:
            raise ValueError(f"partition '{part.name}' lies outside the usable sectors {FIRST_USABLE} to {last_usable}")
        at = ((part.number or index + 1) - 1) * _ENTRY_SIZE
        table[at : at + _ENTRY_SIZE] = _gpt_entry(part)
    primary = _gpt_header(1, disk_sectors - 1, 2, last_usable, identity, bytes(table))
    backup_table = disk_sectors - 1 - _TABLE_SECTORS
    backup = _gpt_header(disk_sectors - 1, 1, backup_table, last_usable, identity, bytes(table))
    protective = _mbr_entry(1, min(disk_sectors - 1, 0xFFFFFFFF), 0xEE, active=False)
    first = code.ljust(440, b"\0") + bytes(6) + protective.ljust(64, b"\0") + b"\x55\xaa"
    return {
        0: first,
        SECTOR: primary,
        2 * SECTOR: bytes(table),
        backup_table * SECTOR: bytes(table),
        (disk_sectors - 1) * SECTOR: backup,
    }


def _mbr_entry(start: int, sectors: int, kind: int, active: bool) -> bytes:
    """CHS fields say 'beyond' (FE FF FF), so that every reader uses the sector numbers."""
    beyond = b"\xfe\xff\xff"
    return struct.pack("<B3sB3sII", 0x80 if active else 0, beyond, kind, beyond, start, sectors)


def _gpt_entry(part: Partition) -> bytes:
    name = part.name.encode("utf-16-le")
    if len(name) > 72 or not isinstance(part.kind, str):
        raise ValueError(f"'{part.name}' is not a GPT partition")
    kind, identity = uuid.UUID(part.kind).bytes_le, uuid.UUID(part.identity).bytes_le
    return struct.pack("<16s16sQQQ72s", kind, identity, part.start, part.start + part.sectors - 1, 0, name)


def _gpt_header(here: int, other: int, table: int, last_usable: int, identity: str, entries: bytes) -> bytes:
    def pack(checksum: int) -> bytes:
        return struct.pack(
            "<8sIIIIQQQQ16sQIII",
            b"EFI PART",
            0x00010000,
            92,
            checksum,
            0,
            here,
            other,
            FIRST_USABLE,
            last_usable,
            uuid.UUID(identity).bytes_le,
            table,
            _ENTRIES,
            _ENTRY_SIZE,
            zlib.crc32(entries),
        )

    return pack(zlib.crc32(pack(0))).ljust(SECTOR, b"\0")
