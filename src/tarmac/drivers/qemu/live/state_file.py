"""The bytes of a live state volume: docs/format/live-state.md says what they mean.

Device state and RAM come first, packed; the manifest (JSON) behind them names every piece with its SHA-256; the header
at the front is written last and names the manifest. So a volume is whole or it is none, and no byte that counts can
change unnoticed. Standard library only: `fill.py` runs this in a process of its own.
"""

from __future__ import annotations

import hashlib
import json
import mmap
import os
import struct
from collections.abc import Callable, Iterator
from typing import Any

MAGIC = b"TARMAC\x00S"
VERSION = 1
HEADER_BYTES = 4096
PAGE = 4096
SEGMENT = 4 * 1024 * 1024
_COARSE = 1024 * 1024
_OTHER = 256 * 1024 * 1024
_MANIFEST_LIMIT = 64 * 1024 * 1024
_HEADER = struct.Struct("<8sIIQQ32s")
_RUN = struct.Struct("<QQ")
_ZERO_PAGE, _ZERO_COARSE = bytes(PAGE), bytes(_COARSE)

Advance = Callable[[int, int], None]


class Damaged(Exception):
    """The volume is not what was written: the text says where."""


def capacity(ram: int) -> int:
    """Bytes that suffice for a machine with so much RAM: no page zero, every second one a run of its own; and for its
    device state with what else lies in QEMU (a display's memory, firmware)."""
    runs = ram // PAGE // 2 * _RUN.size
    segments = (ram // SEGMENT + 2) * 160
    need = HEADER_BYTES + ram + runs + segments + _OTHER
    return -(-need // (1024 * 1024)) * 1024 * 1024


def write(
    fd: int,
    record: dict[str, Any],
    pieces: dict[str, bytes],
    ram: int | None,
    size: int,
    advance: Advance | None = None,
) -> int:
    """Write a live state to the volume `fd`: `record` is the manifest's own part, `pieces` are kept by name (the device
    state is `state`), `ram` is the memory file's descriptor (None: the RAM is kept in memory only), `size` its bytes.
    Everything is on disk on return; the number of bytes that count is returned. Blocks. After an OSError the volume has
    no valid header."""
    _write_all(fd, bytes(HEADER_BYTES), 0)
    position = HEADER_BYTES
    places: dict[str, Any] = {"pieces": {}}
    for name, data in pieces.items():
        places["pieces"][name] = _put(fd, position, data)
        position += len(data)
    if ram is not None:
        position = _put_ram(fd, position, places, ram, size, advance)
    manifest = json.dumps({**record, "ram_size": size, "page": PAGE, **places}, sort_keys=True).encode()
    _write_all(fd, manifest, position)
    os.fsync(fd)
    digest = hashlib.sha256(manifest).digest()
    header = _HEADER.pack(MAGIC, VERSION, HEADER_BYTES, position, len(manifest), digest)
    header += hashlib.sha256(header).digest()
    _write_all(fd, header.ljust(HEADER_BYTES, b"\0"), 0)
    os.fsync(fd)
    return position + len(manifest)


def _put_ram(fd: int, position: int, places: dict[str, Any], ram: int, size: int, advance: Advance | None) -> int:
    """The pages that are not zero, packed; returns where they end."""
    with mmap.mmap(ram, size, mmap.MAP_SHARED, mmap.PROT_READ) as memory:
        runs = list(_runs(memory, size))
        table = b"".join(_RUN.pack(*run) for run in runs)
        places["runs"] = _put(fd, position, table)
        position += len(table)
        places["segments"] = []
        total = sum(count for _, count in runs) * PAGE
        done = 0
        for piece in _segments(memory, runs):
            places["segments"].append(_put(fd, position, piece))
            position += len(piece)
            done += len(piece)
            if advance is not None:
                advance(done, total)
    return position


def read_manifest(fd: int) -> dict[str, Any]:
    """The manifest of a volume. Raises Damaged. Blocks."""
    raw = os.pread(fd, HEADER_BYTES, 0)
    fixed, rest = raw[: _HEADER.size], raw[_HEADER.size :]
    if not any(raw):
        raise Damaged("it has no header: it was never completed")
    if len(raw) < HEADER_BYTES or raw[:8] != MAGIC:
        raise Damaged("it does not begin with the mark of a live state")
    if rest != hashlib.sha256(fixed).digest().ljust(HEADER_BYTES - _HEADER.size, b"\0"):
        raise Damaged("its header is not what was written")
    _, version, _, position, length, digest = _HEADER.unpack(fixed)
    if version != VERSION:
        raise Damaged(f"it has format {version}, this version knows {VERSION}")
    manifest = os.pread(fd, min(length, _MANIFEST_LIMIT), position)
    if hashlib.sha256(manifest).digest() != digest:
        raise Damaged("its manifest is not what was written")
    record: dict[str, Any] = json.loads(manifest)
    return record


def read_pieces(fd: int, manifest: dict[str, Any]) -> dict[str, bytes]:
    """Everything but the RAM, by name. Raises Damaged. Blocks."""
    return {name: _get(fd, place, f"the piece {name}") for name, place in manifest["pieces"].items()}


def read_ram(fd: int, manifest: dict[str, Any], ram: int) -> None:
    """Fill the memory file `ram` (of the manifest's size, all zero) from the volume. Raises Damaged; the memory is of
    no use then. Blocks."""
    size = manifest["ram_size"]
    table = _get(fd, manifest["runs"], "the table of pages")
    runs = list(_RUN.iter_unpack(table))
    with mmap.mmap(ram, size) as memory:
        places = _places(runs)
        for number, segment in enumerate(manifest["segments"]):
            piece = _get(fd, segment, f"piece {number} of the memory")
            taken = 0
            while taken < len(piece):
                start, length = next(places)
                memory[start : start + length] = piece[taken : taken + length]
                taken += length


def _runs(memory: mmap.mmap, size: int) -> Iterator[tuple[int, int]]:
    """(first page, pages) of what is not zero."""
    first = -1
    for coarse in range(0, size, _COARSE):
        block = memory[coarse : coarse + _COARSE]
        if block == _ZERO_COARSE[: len(block)]:
            if first >= 0:
                yield first, coarse // PAGE - first
                first = -1
            continue
        for offset in range(0, len(block), PAGE):
            used = block[offset : offset + PAGE] != _ZERO_PAGE
            page = (coarse + offset) // PAGE
            if used and first < 0:
                first = page
            elif not used and first >= 0:
                yield first, page - first
                first = -1
    if first >= 0:
        yield first, size // PAGE - first


def _places(runs: list[Any]) -> Iterator[tuple[int, int]]:
    """(offset, length) in memory of the packed bytes, in pieces that never cross the end of a segment."""
    room = SEGMENT
    for first, count in runs:
        offset, left = first * PAGE, count * PAGE
        while left:
            length = min(left, room)
            yield offset, length
            offset, left = offset + length, left - length
            room = room - length or SEGMENT


def _segments(memory: mmap.mmap, runs: list[tuple[int, int]]) -> Iterator[bytes]:
    piece = bytearray()
    for offset, length in _places(runs):
        piece += memory[offset : offset + length]
        if len(piece) == SEGMENT:
            yield bytes(piece)
            piece.clear()
    if piece:
        yield bytes(piece)


def _put(fd: int, position: int, data: bytes) -> list[Any]:
    _write_all(fd, data, position)
    return [position, len(data), hashlib.sha256(data).hexdigest()]


def _get(fd: int, place: list[Any], what: str) -> bytes:
    position, length, digest = place
    data = os.pread(fd, length, position)
    while len(data) < length:
        more = os.pread(fd, length - len(data), position + len(data))
        if not more:
            raise Damaged(f"{what} is cut short: {len(data)} of {length} bytes at {position}")
        data += more
    if hashlib.sha256(data).hexdigest() != digest:
        raise Damaged(f"{what} is not what was written: {length} bytes at {position}")
    return data


def _write_all(fd: int, data: bytes, position: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(fd, view, position)
        view, position = view[written:], position + written
