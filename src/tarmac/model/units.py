"""Sizes and times: base units inside, Proxmox's texts at the edge."""

from __future__ import annotations

import re
from typing import NewType

Bytes = NewType("Bytes", int)
Seconds = NewType("Seconds", float)

KIB, MIB, GIB, TIB = 1 << 10, 1 << 20, 1 << 30, 1 << 40
_UNITS = {"": 1, "K": KIB, "M": MIB, "G": GIB, "T": TIB}
_SIZE = re.compile(r"(\d{1,15})(?:\.(\d{1,9}))?([KMGT]?)", re.ASCII)


def parse_size(text: str) -> Bytes:
    """`32G`, `512M`, `1.5T`, `4096` (bytes) as bytes, rounded up. Raises ValueError for anything else.

    Source: PVE::JSONSchema::parse_size."""
    match = _SIZE.fullmatch(text)
    if match is None:
        raise ValueError(f"'{text}' is not a size such as 32G, 512M or 4096")
    whole, fraction, unit = match.groups()
    scale = 10 ** len(fraction or "")
    return Bytes(-(-int(whole + (fraction or "")) * _UNITS[unit] // scale))


def format_size(size: int) -> str:
    """Bytes in the largest unit that is exact: 34359738368 is `32G`. Source: PVE::JSONSchema::format_size."""
    for unit in ("T", "G", "M", "K"):
        if size and size % _UNITS[unit] == 0:
            return f"{size // _UNITS[unit]}{unit}"
    return str(size)


def human_size(size: float) -> str:
    """Bytes for people, two digits: `1.25 GiB`."""
    for unit, name in ((TIB, "TiB"), (GIB, "GiB"), (MIB, "MiB"), (KIB, "KiB")):
        if abs(size) >= unit:
            return f"{size / unit:.2f} {name}"
    return f"{int(size)} B"
