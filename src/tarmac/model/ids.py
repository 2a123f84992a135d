"""Identities as types of their own: guest numbers, node names, task ids, volume ids."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NewType

VmId = NewType("VmId", int)
NodeName = NewType("NodeName", str)
UserId = NewType("UserId", str)

_UPID = re.compile(
    r"UPID:(?P<node>[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?):(?P<pid>[0-9A-Fa-f]{8}):(?P<pstart>[0-9A-Fa-f]{8,9})"
    r":(?P<starttime>[0-9A-Fa-f]{8}):(?P<type>[^:\s/]+):(?P<id>[^:\s/]*):(?P<user>[^:\s/]+):"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Upid:
    """A task's id in Proxmox's form, `UPID:<node>:<pid>:<pstart>:<starttime>:<type>:<id>:<user>:`.

    `pid` and `pstart` make it unique: the daemon's pid and a counter. `starttime` is in seconds (UTC)."""

    node: str
    pid: int
    pstart: int
    starttime: int
    type: str
    id: str
    user: str

    def __str__(self) -> str:
        return (
            f"UPID:{self.node}:{self.pid:08X}:{self.pstart:08X}:{self.starttime:08X}:{self.type}:{self.id}:{self.user}:"
        )

    @classmethod
    def parse(cls, text: str) -> Upid:
        """Raises ValueError unless `text` is a whole UPID (the trailing colon is part of it)."""
        match = _UPID.fullmatch(text)
        if match is None:
            raise ValueError(f"unable to parse worker upid '{text}'")
        part = match.groupdict()
        return cls(
            node=part["node"],
            pid=int(part["pid"], 16),
            pstart=int(part["pstart"], 16),
            starttime=int(part["starttime"], 16),
            type=part["type"],
            id=part["id"],
            user=part["user"],
        )


@dataclass(frozen=True, slots=True)
class VolumeId:
    """`STORAGE:NAME`, as it stands in configurations: `local:100/vm-100-disk-0.qcow2`, `local:iso/x.iso`."""

    storage: str
    name: str

    def __str__(self) -> str:
        return f"{self.storage}:{self.name}"

    @classmethod
    def parse(cls, text: str) -> VolumeId:
        """Raises ValueError unless `text` is a volume id with a safe, relative name."""
        from tarmac.model.formats import FORMATS

        FORMATS["pve-volume-id"](text)
        storage, _, name = text.partition(":")
        return cls(storage, name)
