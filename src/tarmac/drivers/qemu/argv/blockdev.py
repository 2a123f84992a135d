"""A disk as a chain of block nodes: throttle filter, format, protocol, and the layers below. Pure; hotplug uses it too.

Each node is one -blockdev (or `blockdev-add`) of its own with a stable name, so that any of them can be named later:
what is inserted goes below the throttle filter, which never changes. Formats are always named, and a layer without a
known layer below it gets `backing: null`, so that what a guest writes into its disk can never make QEMU open a file.
Source: qapi/block-core.json, PVE::QemuServer::Blockdev.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tarmac.drivers.qemu.facts import VolumeFacts
from tarmac.model.disk import Aio, Cache, Disk, EfiDisk

Node = dict[str, Any]
_HAS_BACKING = frozenset({"qcow2", "qcow", "qed", "vmdk"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """The nodes bottom first (the order of blockdev-add; blockdev-del goes backwards) and the throttle group."""

    group: Mapping[str, Any]
    nodes: tuple[Mapping[str, Any], ...]
    top: str
    notes: tuple[str, ...] = ()


def top_node(key: str) -> str:
    """The node that the device uses, the throttle filter: as in Proxmox."""
    return f"drive-{key}"


def throttle_group(key: str) -> str:
    return f"throttle-drive-{key}"


def node_name(kind: str, key: str, volume: VolumeFacts) -> str:
    """The name of a layer's format (`f`) or protocol (`e`) node: the same for the same disk and image, whatever layers
    came and went and whatever its file is called by now; at most 31 characters, which is QEMU's limit."""
    identity = (volume.identity or volume.path).encode("utf-8", "surrogateescape")
    return f"{kind}-{key}-{hashlib.sha256(identity).hexdigest()[:12]}"


def layer_nodes(
    key: str, disk: Disk | EfiDisk, volume: VolumeFacts, *, io_uring: bool
) -> tuple[Mapping[str, Any], ...]:
    """The protocol and format node of one writable layer, to be put on top of a running guest's chain or to be copied
    to: like those of `disk_chain`, and without what lies below (QEMU links that itself)."""
    alone = dataclasses.replace(volume, backing=None)
    if isinstance(disk, EfiDisk):
        return efi_chain(key, disk, alone, io_uring=io_uring, size=0).nodes[-3:-1]
    return disk_chain(key, disk, alone, io_uring=io_uring).nodes[-3:-1]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Manner:
    """How all layers of a disk are opened."""

    direct: bool
    no_flush: bool
    aio: str
    discard: str | None


def disk_chain(key: str, disk: Disk, volume: VolumeFacts, *, io_uring: bool) -> Chain:
    """The chain of a disk or CD-ROM that is not empty."""
    notes: list[str] = []
    manner = _manner(key, disk, volume, io_uring, notes)
    read_only = bool(disk.ro) or disk.is_cdrom or volume.read_only
    common: Node = {"read-only": read_only}
    if not disk.is_cdrom:
        common["discard"] = manner.discard
        common["detect-zeroes"] = _detect_zeroes(disk)
    return _chain(key, volume, manner, common, disk.throttle_limits(), notes)


def efi_chain(key: str, disk: EfiDisk, volume: VolumeFacts, *, io_uring: bool, size: int) -> Chain:
    """The chain of the firmware's variables: cached, because the firmware writes in tiny pieces; a raw volume is cut
    to the flash's exact size (bytes)."""
    manner = _Manner(direct=False, no_flush=False, aio="io_uring" if io_uring else "threads", discard="ignore")
    chain = _chain(key, volume, manner, {"read-only": volume.read_only}, {}, [])
    if volume.format == "raw":
        nodes = tuple({**n, "size": size} if n["driver"] == "raw" else n for n in chain.nodes)
        return Chain(group=chain.group, nodes=nodes, top=chain.top)
    return chain


def _chain(
    key: str, volume: VolumeFacts, manner: _Manner, common: Node, limits: Mapping[str, int], notes: list[str]
) -> Chain:
    nodes: list[Node] = []
    _layers(key, volume, manner, bool(common["read-only"]), nodes)
    filter_: Node = {
        "driver": "throttle",
        "node-name": top_node(key),
        "throttle-group": throttle_group(key),
        "file": nodes[-1]["node-name"],
        **common,
    }
    group = {"qom-type": "throttle-group", "id": throttle_group(key), "limits": dict(limits)}
    return Chain(group=group, nodes=(*nodes, filter_), top=top_node(key), notes=tuple(notes))


def _layers(key: str, volume: VolumeFacts, manner: _Manner, read_only: bool, nodes: list[Node]) -> None:
    """Appends the nodes of a layer after those of the layers below it."""
    if volume.backing is not None:
        _layers(key, volume.backing, manner, True, nodes)
        below: str | None = nodes[-1]["node-name"]
    else:
        below = None
    cache = {"direct": manner.direct, "no-flush": manner.no_flush}
    common: Node = {"read-only": read_only, "cache": cache}
    if manner.discard is not None:
        common["discard"] = manner.discard
    how = volume.protocol or {"driver": "file", "filename": volume.path, "aio": manner.aio}
    # QEMU could reopen a file only under the name by which it opened it, and frozen layers are renamed: one that may
    # have to take up another has its file open for writing from the start. The format node above it is read-only.
    file: Node = {**how, "node-name": node_name("e", key, volume), **common}
    file["read-only"] = read_only and not volume.absorbs
    format_: Node = {
        "driver": volume.format,
        "node-name": node_name("f", key, volume),
        "file": file["node-name"],
        **common,
    }
    if volume.format in _HAS_BACKING:
        format_["backing"] = below
    nodes += [file, format_]


def _manner(key: str, disk: Disk, volume: VolumeFacts, io_uring: bool, notes: list[str]) -> _Manner:
    wanted = disk.cache in (Cache.NONE, Cache.DIRECTSYNC) or (disk.cache is None and not disk.is_cdrom)
    direct = wanted and _direct(volume)
    if wanted and not direct:
        notes.append(f"{key}: cached by the host, because the file system of {volume.path} has no direct access")
    aio = disk.aio or (Aio.IO_URING if io_uring else Aio.NATIVE if direct else Aio.THREADS)
    if aio is Aio.NATIVE and not direct:
        notes.append(f"{key}: aio=threads, because native needs direct access")
        aio = Aio.THREADS
    if aio is Aio.IO_URING and not io_uring:
        notes.append(f"{key}: aio={'native' if direct else 'threads'}, because io_uring does not work here")
        aio = Aio.NATIVE if direct else Aio.THREADS
    discard = None if disk.is_cdrom else "unmap" if disk.discard == "on" else "ignore"
    return _Manner(direct=direct, no_flush=disk.cache is Cache.UNSAFE, aio=aio.value, discard=discard)


def _direct(volume: VolumeFacts) -> bool:
    return volume.direct and (volume.backing is None or _direct(volume.backing))


def _detect_zeroes(disk: Disk) -> str:
    if disk.detect_zeroes is False:
        return "off"
    return "unmap" if disk.discard == "on" else "on"
