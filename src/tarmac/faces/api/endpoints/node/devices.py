"""The host's devices: disks and their health, PCI, USB."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from tarmac.faces.api.declare import LIST, OBJECT, Allow, Call, get
from tarmac.faces.api.endpoints.common import Node
from tarmac.model.settings import setting
from tarmac.services.node import devices

SHOWN = Allow("/", "Sys.Audit", "Sys.Modify", any=True)


@dataclass(frozen=True, kw_only=True)
class Disks(Node):
    include_partitions: bool = setting(False, name="include-partitions", help="Also their partitions.")
    skipsmart: bool = setting(False, help="Without asking each disk for its health.")
    type: str | None = setting(None, choices=("unused", "journal_disks"), help="Only these.")


@dataclass(frozen=True, kw_only=True)
class Disk(Node):
    disk: str = setting(pattern=r"^/dev/[a-zA-Z0-9\/]+$", help="The disk's device file.")
    healthonly: bool = setting(False, help="Without the attributes.")


@dataclass(frozen=True, kw_only=True)
class PciScan(Node):
    pci_class_blacklist: tuple[str, ...] = setting(
        ("05", "06", "0b"), name="pci-class-blacklist", help="Leave out devices whose class begins so."
    )
    verbose: bool = setting(True, help="With names, not numbers alone.")


@dataclass(frozen=True, kw_only=True)
class PciDevice(Node):
    pci_id_or_mapping: str = setting(
        name="pci-id-or-mapping",
        pattern=r"(?:(?:[0-9a-fA-F]{4}:)?[0-9a-fA-F]{2}:[0-9a-fA-F]{2}\.[0-9a-fA-F])|([a-zA-Z][a-zA-Z0-9_-]+)",
        help="The device, as `0000:00:02.0`.",
    )


@get(
    "/nodes/{node}/disks/list",
    params=Disks,
    allow=Allow("/", "Sys.Audit") | Allow("/nodes/{node}", "Sys.Audit"),
    returns=LIST,
    cli="node disks",
    help="The host's disks, what they carry, and their health.",
)
async def disks(call: Call, p: Disks) -> Any:
    if p.type == "journal_disks":  # for Ceph's journals, which nobody sets up here
        return []
    return await devices.disks(partitions=p.include_partitions, unused=p.type == "unused", health=not p.skipsmart)


@get(
    "/nodes/{node}/disks/smart",
    params=Disk,
    allow=Allow("/", "Sys.Audit"),
    returns=OBJECT,
    cli="node smart {disk}",
    help="What a disk says of its own health (needs smartmontools).",
)
async def smart(call: Call, p: Disk) -> Any:
    return await devices.smart(p.disk, only_health=p.healthonly)


@get(
    "/nodes/{node}/hardware/pci",
    params=PciScan,
    allow=SHOWN,
    returns=LIST,
    cli="node pci",
    help="The host's PCI devices.",
)
async def pci(call: Call, p: PciScan) -> Any:
    return await asyncio.to_thread(devices.pci, hidden=p.pci_class_blacklist, names=p.verbose)


@get(
    "/nodes/{node}/hardware/pci/{pci-id-or-mapping}/mdev",
    params=PciDevice,
    allow=SHOWN,
    returns=LIST,
    help="What a PCI device can be divided into.",
)
async def mdevs(call: Call, p: PciDevice) -> Any:
    return await asyncio.to_thread(devices.mdevs, p.pci_id_or_mapping)


@get(
    "/nodes/{node}/hardware/usb",
    params=Node,
    allow=Allow("/", "Sys.Modify"),
    returns=LIST,
    cli="node usb",
    help="The host's USB devices.",
)
async def usb(call: Call, p: Node) -> Any:
    return await asyncio.to_thread(devices.usb)
