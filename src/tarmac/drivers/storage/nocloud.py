"""The NoCloud medium: an ISO 9660 image with the label `cidata` that cloud-init reads.

Equal documents give equal bytes: the tool's time stamps are replaced by a fixed one, so that a medium is rewritten only
when something changed. Source: cloud-init's NoCloud data source; ECMA-119 (8.4.26, 9.1.5); RRIP 1.12 (4.1.6).
"""

from __future__ import annotations

import asyncio
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path

from tarmac.lib.process import run

FILES = ("user-data", "network-config", "meta-data", "vendor-data")
_SECTOR = 2048
_DESCRIPTORS = 16 * _SECTOR
_LONG_DATES = (813, 830, 847, 864)  # creation, modification, expiration, effective: 16 digits and a time zone each
_LONG = b"2000010100000000\0"
_SHORT = bytes([100, 1, 1, 0, 0, 0, 0])
_ROCK_RIDGE_DATES = re.compile(rb"TF\x1a\x01\x0e.{21}", re.DOTALL)


async def build_iso(documents: Mapping[str, bytes]) -> bytes:
    """The medium with these files (`user-data`, ...). Raises HostFailure (`tool-missing`: genisoimage)."""
    with tempfile.TemporaryDirectory(prefix="tarmac-cidata-") as scratch:
        folder = Path(scratch)
        await asyncio.to_thread(_write_files, folder / "files", documents)
        target = folder / "medium.iso"
        options = ["-quiet", "-volid", "cidata", "-joliet", "-rock"]
        await run(["genisoimage", *options, "-output", str(target), str(folder / "files")])
        return await asyncio.to_thread(lambda: _with_fixed_dates(target.read_bytes()))


def _write_files(folder: Path, documents: Mapping[str, bytes]) -> None:
    folder.mkdir()
    for name in sorted(documents):
        if name not in FILES:
            raise ValueError(f"'{name}' is no file of a NoCloud medium")
        (folder / name).write_bytes(documents[name])
        (folder / name).chmod(0o644)


def _with_fixed_dates(raw: bytes) -> bytes:
    image = bytearray(raw)
    position = _DESCRIPTORS
    while image[position] != 255:  # until the descriptor that ends the list
        if image[position] in (1, 2):  # primary, supplementary (Joliet)
            for offset in _LONG_DATES:
                image[position + offset : position + offset + 17] = _LONG
            image[position + 156 + 18 : position + 156 + 25] = _SHORT
            start = int.from_bytes(image[position + 158 : position + 162], "little") * _SECTOR
            size = int.from_bytes(image[position + 166 : position + 170], "little")
            _fix_directory(image, start, size)
        position += _SECTOR
    return bytes(image)


def _fix_directory(image: bytearray, start: int, size: int) -> None:
    """The records of the one directory there is; a record's area for Rock Ridge may go on in a sector of its own."""
    position = start
    while position < start + size:
        length = image[position]
        if length == 0:  # the rest of a sector is unused
            position = (position // _SECTOR + 1) * _SECTOR
            continue
        image[position + 18 : position + 25] = _SHORT
        name_length = image[position + 32]
        system_use = position + 33 + name_length + (1 - name_length % 2)
        area = bytes(image[system_use : position + length])
        image[system_use : position + length] = _fixed(area)
        if (at := area.find(b"CE\x1c\x01")) >= 0:
            block, offset, count = (int.from_bytes(area[at + n : at + n + 4], "little") for n in (4, 12, 20))
            more = block * _SECTOR + offset
            image[more : more + count] = _fixed(bytes(image[more : more + count]))
        position += length


def _fixed(area: bytes) -> bytes:
    return _ROCK_RIDGE_DATES.sub(lambda _: b"TF\x1a\x01\x0e" + _SHORT * 3, area)
