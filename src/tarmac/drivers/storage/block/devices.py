"""What pools of block devices have in common: QEMU opens a device file, and names are flat.

ZFS has NOT YET BEEN RUN AGAINST A REAL KERNEL: it was not to be had where this was written. Its commands are checked
word by word by tests; a definition must say `allow-untested 1`. LVM is run by `./dev kernel-storages`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tarmac.drivers.storage.base import Storage
from tarmac.drivers.storage.block.commands import BlockCommands
from tarmac.drivers.storage.block.ground import Means
from tarmac.drivers.storage.block.storage import BlockStorage
from tarmac.drivers.storage.values import Capabilities, SnapshotKind
from tarmac.drivers.storage.volume_names import Content, VolumeName, parse_flat_name
from tarmac.model.storage import StorageDefinition

MIB = 1 << 20


def device_capabilities(*, thin: bool, points: bool, clones: bool, shared: bool = False) -> Capabilities:
    """Of a pool of raw devices."""
    return Capabilities(
        formats=("raw",),
        default_format="raw",
        files=False,
        linked_clones=clones,
        plain_clones=frozenset({"raw"} if clones else ()),
        snapshots={"raw": SnapshotKind.COPY} if points else {},
        grows_first=True,
        thin=thin,
        shared=shared,
    )


def builder(
    commands: Callable[[StorageDefinition], BlockCommands],
) -> Callable[[StorageDefinition, Mapping[str, str], Means], Storage]:
    """`build` of a kind of pool without secrets."""

    def build(definition: StorageDefinition, secrets: Mapping[str, str], means: Means) -> Storage:
        contents = [Content(word) for word in definition.content if word != "none"]
        return BlockStorage(definition.storage, commands(definition), means=means, content=contents)

    return build


def device_node(path: str) -> Mapping[str, Any]:
    """QEMU's protocol node for a device file."""
    return {"driver": "host_device", "filename": path}


def rows(output: str, separator: str, count: int) -> list[list[str]]:
    """Lines of a tool's table with exactly `count` columns; others are none of ours."""
    found = [[cell.strip() for cell in line.split(separator)] for line in output.splitlines() if line.strip()]
    return [row for row in found if len(row) == count]


class DeviceCommands:
    """The parts of `BlockCommands` that are the same for all of them."""

    kind = ""
    env: Mapping[str, str] = {}
    zeroed = True
    beside = False

    def parse(self, text: str) -> VolumeName:
        return parse_flat_name(text, self.kind)

    def clone_name(self, base: VolumeName, vmid: int, stem: str) -> VolumeName:
        return self.parse(stem)

    def device(self, name: str, point: str | None = None) -> str:
        """The device file's path."""
        raise NotImplementedError

    def location(self, name: str) -> str:
        return self.device(name)

    def node(self, name: str, point: str | None = None) -> Mapping[str, Any]:
        return device_node(self.device(name, point))

    def files(self) -> Mapping[Path, str]:
        return {}

    def lingers(self, words: str) -> bool:
        return False

    def devices(self, name: str) -> Sequence[Path]:
        return (Path(self.device(name)),)
