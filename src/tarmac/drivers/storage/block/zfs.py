"""Volumes of a ZFS pool or dataset (`zfspool`): exact commands, planned only.

NOT YET RUN AGAINST A REAL KERNEL (see `devices`). What work made a volume is a property of it (`tarmac:mark`); a linked
clone is a ZFS clone of the base image's snapshot `__base__`, as in Proxmox. A volume goes back to its newest snapshot
only. Source: PVE::Storage::ZFSPoolPlugin of Proxmox VE 9, zfs-list(8), zfsprops(7).
"""

from __future__ import annotations

from collections.abc import Sequence

from tarmac.drivers.storage.block.commands import BASE_POINT, Argv, BlockImage, Point
from tarmac.drivers.storage.block.devices import MIB, DeviceCommands, builder, device_capabilities, rows
from tarmac.drivers.storage.values import StorageStatus
from tarmac.drivers.storage.volume_names import VolumeName
from tarmac.model.storage import StorageDefinition

_MARK = "tarmac:mark"
_COLUMNS = f"name,volsize,origin,usedbydataset,creation,{_MARK}"
_WIDTH = 6
_LINK_SECONDS = 10


class ZfsCommands(DeviceCommands):
    """`BlockCommands` of a pool or dataset."""

    kind = "zfs"

    def __init__(self, pool: str, *, sparse: bool = False, block_size: str | None = None) -> None:
        self.capabilities = device_capabilities(thin=sparse, points=True, clones=True)
        self._pool = pool
        self._sparse = sparse
        self._block_size = block_size

    def clone_name(self, base: VolumeName, vmid: int, stem: str) -> VolumeName:
        return self.parse(f"{base.file}/{stem}")

    def device(self, name: str, point: str | None = None) -> str:
        return f"/dev/zvol/{self._full(name, point)}"

    def _full(self, name: str, point: str | None = None) -> str:
        return f"{self._pool}/{name}" + (f"@{point}" if point is not None else "")

    # -- reading ------------------------------------------------------------------------------------------------

    def status(self) -> Sequence[Argv]:
        return (("zfs", "get", "-Hp", "-o", "value", "available,used", self._pool),)

    def read_status(self, outputs: Sequence[str]) -> StorageStatus:
        free, used = (int(word) for word in outputs[0].split())
        return StorageStatus(total=free + used, used=used, available=free)

    def names(self) -> Argv:
        return ("zfs", "list", "-H", "-t", "volume", "-d", "1", "-o", "name", self._pool)

    def read_names(self, output: str) -> Sequence[str]:
        return [line.rpartition("/")[2] for line in output.split()]

    def listing(self) -> Argv:
        return ("zfs", "list", "-Hp", "-t", "volume", "-d", "1", "-o", _COLUMNS, self._pool)

    def read_listing(self, output: str) -> Sequence[BlockImage]:
        return [self._image(row) for row in rows(output, "\t", _WIDTH)]

    def _image(self, row: Sequence[str]) -> BlockImage:
        origin, _, point = row[2].partition("@")
        ours = point == BASE_POINT and origin.rpartition("/")[0] == self._pool
        return BlockImage(
            name=row[0].rpartition("/")[2],
            size=int(row[1]),
            used=int(row[3]) if row[3].isdecimal() else None,
            ctime=int(row[4]),
            parent=origin.rpartition("/")[2] if ours else None,
            mark=row[5] if row[5] != "-" else "",
        )

    def show(self, name: str) -> Sequence[Argv]:
        return (("zfs", "list", "-Hp", "-t", "volume", "-o", _COLUMNS, self._full(name)),)

    def read_show(self, name: str, outputs: Sequence[str]) -> BlockImage:
        (row,) = rows(outputs[0], "\t", _WIDTH)
        return self._image(row)

    def points(self, name: str) -> Argv:
        return ("zfs", "list", "-H", "-t", "snapshot", "-d", "1", "-s", "createtxg", "-o", "name", self._full(name))

    def read_points(self, name: str, output: str) -> Sequence[Point]:
        return [Point(name=line.partition("@")[2]) for line in output.split()]

    def mark(self, name: str) -> Argv:
        return ("zfs", "get", "-H", "-o", "value", _MARK, self._full(name))

    def read_mark(self, output: str) -> str:
        return output.strip() if output.strip() != "-" else ""

    def is_missing(self, words: str) -> bool:
        return "dataset does not exist" in words

    def is_taken(self, words: str) -> bool:
        return "dataset already exists" in words

    def is_busy(self, words: str) -> bool:
        return "dataset is busy" in words or "has dependent clones" in words

    # -- changing -----------------------------------------------------------------------------------------------

    def activate(self) -> Sequence[Argv]:
        """The pool must be imported; volumes' device files come by themselves."""
        return (("zfs", "list", "-H", "-o", "name", self._pool),)

    def create(self, name: str, size: int, vmid: int, mark: str) -> Sequence[Argv]:
        words = [*(["-s"] if self._sparse else []), *(["-b", self._block_size] if self._block_size else [])]
        words += ["-V", f"{_kib(size)}k", "-o", f"{_MARK}={mark}", self._full(name)]
        return (("zfs", "create", *words),)

    def clone(self, base: str, name: str, vmid: int, mark: str) -> Sequence[Argv]:
        return (("zfs", "clone", "-o", f"{_MARK}={mark}", self._full(base, BASE_POINT), self._full(name)),)

    def open(self, name: str, point: str | None = None) -> Sequence[Argv]:
        seen = (("zfs", "set", "snapdev=visible", self._full(name)),) if point is not None else ()
        wait = ("udevadm", "settle", f"--timeout={_LINK_SECONDS}", f"--exit-if-exists={self.device(name, point)}")
        return (*seen, wait)

    def rename(self, old: str, new: str) -> Sequence[Argv]:
        return (("zfs", "rename", self._full(old), self._full(new)),)

    def remove(self, name: str, points: Sequence[Point]) -> Sequence[Argv]:
        return (("zfs", "destroy", "-r", self._full(name)),)

    def resize(self, name: str, size: int) -> Sequence[Argv]:
        return (("zfs", "set", f"volsize={_kib(size)}k", self._full(name)),)

    def snapshot(self, name: str, point: str) -> Sequence[Argv]:
        return (("zfs", "snapshot", self._full(name, point)),)

    def rollback(self, name: str, point: str, points: Sequence[Point], part: str, there: bool) -> Sequence[Argv]:
        if points and points[-1].name != point:
            raise ValueError(f"can't rollback, '{point}' is not most recent snapshot on '{name}'")
        return (("zfs", "rollback", self._full(name, point)),)

    def drop(self, name: str, point: Point) -> Sequence[Argv]:
        return (("zfs", "destroy", self._full(name, point.name)),)

    def seal(self, name: str, points: Sequence[Point]) -> Sequence[Argv]:
        return () if any(point.name == BASE_POINT for point in points) else self.snapshot(name, BASE_POINT)

    def unseal(self, name: str, points: Sequence[Point]) -> Sequence[Argv]:
        return [argv for point in points if point.name == BASE_POINT for argv in self.drop(name, point)]


def _kib(size: int) -> int:
    """Whole MiB, in KiB: any volume's block size divides it (as in Proxmox)."""
    return -(-size // MIB) * 1024


def _commands(definition: StorageDefinition) -> ZfsCommands:
    assert definition.pool is not None
    return ZfsCommands(definition.pool, sparse=definition.sparse, block_size=definition.blocksize)


build = builder(_commands)
