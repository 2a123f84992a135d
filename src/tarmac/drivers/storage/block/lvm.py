"""Logical volumes of a volume group (`lvm`) and of a thin pool in one (`lvmthin`): the exact commands.

Thin volumes have snapshots (`snap_vm-100-disk-0_NAME`, as in
Proxmox) and linked clones; plain ones have neither. What work made a volume is a tag of it (`tarmac-MARK`), and so is
its guest (`pve-vm-100`). Source: PVE::Storage::LVMPlugin and LvmThinPlugin of Proxmox VE 9, lvcreate(8), lvs(8).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from tarmac.drivers.storage.block.commands import BASE_POINT, Argv, BlockImage, Point
from tarmac.drivers.storage.block.devices import MIB, DeviceCommands, builder, device_capabilities, rows
from tarmac.drivers.storage.values import StorageStatus
from tarmac.drivers.storage.volume_names import VolumeName
from tarmac.model.errors import InvalidInput, NotBuilt
from tarmac.model.storage import StorageDefinition

_MARK = "tarmac-"
_TABLE = ("--noheadings", "--nosuffix", "--units", "b", "--separator", ":", "--config", 'report/time_format="%s"')
_COLUMNS = "lv_name,lv_size,lv_attr,pool_lv,origin,data_percent,lv_time,lv_tags"
_WIDTH = 8


class LvmCommands(DeviceCommands):
    """`BlockCommands` of a volume group."""

    kind = "lvm"
    env: Mapping[str, str] = {"LVM_SUPPRESS_FD_WARNINGS": "1"}

    def __init__(
        self,
        group: str,
        *,
        shared: bool = False,
        wipe: bool = False,
        step_mib: int = 32,
        tagged_only: bool = False,
    ) -> None:
        self.capabilities = device_capabilities(thin=False, points=False, clones=False, shared=shared)
        self.zeroed = False
        self._group = group
        self._wipe = wipe
        self._step_mib = step_mib
        self._tagged_only = tagged_only

    def parse(self, text: str) -> VolumeName:
        name = super().parse(text)
        if name.base is not None or (name.is_base and not self.capabilities.linked_clones):
            raise ValueError(f"unable to parse lvm volume name '{text}'")
        return name

    def device(self, name: str, point: str | None = None) -> str:
        return f"/dev/{self._group}/{self._lv(name, point)}"

    def _full(self, name: str, point: str | None = None) -> str:
        return f"{self._group}/{self._lv(name, point)}"

    @staticmethod
    def _lv(name: str, point: str | None = None) -> str:
        return f"snap_{name}_{point}" if point is not None else name

    # -- reading ------------------------------------------------------------------------------------------------

    def status(self) -> Sequence[Argv]:
        return (("vgs", *_TABLE, "--options", "vg_size,vg_free", self._group),)

    def read_status(self, outputs: Sequence[str]) -> StorageStatus:
        (row,) = rows(outputs[0], ":", 2)
        total, free = int(row[0]), int(row[1])
        return StorageStatus(total=total, used=total - free, available=free)

    def names(self) -> Argv:
        return ("lvs", "--noheadings", "--options", "lv_name", self._group)

    def read_names(self, output: str) -> Sequence[str]:
        return output.split()

    def listing(self) -> Argv:
        return ("lvs", *_TABLE, "--options", _COLUMNS, self._group)

    def read_listing(self, output: str) -> Sequence[BlockImage]:
        found = [self._image(row) for row in rows(output, ":", _WIDTH) if self._ours(row)]
        return [image for image in found if not image.name.startswith("snap_")]

    def _ours(self, row: Sequence[str]) -> bool:
        """Plain volumes only; with `tagged_only` those that carry a guest's tag."""
        plain = row[2][:1] in ("-", "o") and not row[3]
        return plain and (not self._tagged_only or any(tag.startswith("pve-vm-") for tag in row[7].split(",")))

    def _image(self, row: Sequence[str]) -> BlockImage:
        size = int(row[1])
        mark = next((tag.removeprefix(_MARK) for tag in row[7].split(",") if tag.startswith(_MARK)), "")
        used = int(size * float(row[5]) / 100) if row[5] and row[3] else size
        return BlockImage(name=row[0], size=size, used=used, ctime=int(row[6] or 0), mark=mark)

    def show(self, name: str) -> Sequence[Argv]:
        return (("lvs", *_TABLE, "--options", _COLUMNS, self._full(name)),)

    def read_show(self, name: str, outputs: Sequence[str]) -> BlockImage:
        (row,) = rows(outputs[0], ":", _WIDTH)
        return self._image(row)

    def points(self, name: str) -> Argv:
        """There are none; it fails where the volume is not there."""
        return ("lvs", "--noheadings", "--options", "lv_name", self._full(name))

    def read_points(self, name: str, output: str) -> Sequence[Point]:
        return ()

    def mark(self, name: str) -> Argv:
        return ("lvs", "--noheadings", "--options", "lv_tags", self._full(name))

    def read_mark(self, output: str) -> str:
        tags = output.strip().split(",")
        return next((tag.removeprefix(_MARK) for tag in tags if tag.startswith(_MARK)), "")

    def is_missing(self, words: str) -> bool:
        return "Failed to find logical volume" in words or "Existing logical volume" in words

    def is_taken(self, words: str) -> bool:
        return "already exists in volume group" in words.lower()

    def is_busy(self, words: str) -> bool:
        return "filesystem in use" in words or " in use." in words or "is used by another device" in words

    # -- changing -----------------------------------------------------------------------------------------------

    def activate(self) -> Sequence[Argv]:
        """The group is there; volumes are made active one by one."""
        return (("vgs", "--noheadings", "--options", "vg_name", self._group),)

    def create(self, name: str, size: int, vmid: int, mark: str) -> Sequence[Argv]:
        """As in Proxmox it holds what its extents held before (`saferemove`), less what looks like a file system."""
        sized = ("--size", f"{_kib(size)}k", "--name", name)
        made = ("lvcreate", "-aly", "-Wy", "--yes", *sized, *_tags(vmid, mark), "--setautoactivation", "n", self._group)
        return (made,)

    def clone(self, base: str, name: str, vmid: int, mark: str) -> Sequence[Argv]:
        raise InvalidInput("can't clone images in lvm storage", code="no-linked-clone")

    def open(self, name: str, point: str | None = None) -> Sequence[Argv]:
        return (("lvchange", "-aly", "-K", self._full(name, point)),)

    def rename(self, old: str, new: str) -> Sequence[Argv]:
        return (("lvrename", self._group, old, new),)

    def remove(self, name: str, points: Sequence[Point]) -> Sequence[Argv]:
        if not self._wipe:
            return (("lvremove", "-f", self._full(name)),)
        gone = f"del-{name}"  # Proxmox's name: what is cut off meanwhile is no volume any more
        return (
            *self.open(name),
            *self.rename(name, gone),
            ("blkdiscard", "--zeroout", "--step", str(self._step_mib * MIB), self.device(gone)),
            ("lvremove", "-f", self._full(gone)),
        )

    def resize(self, name: str, size: int) -> Sequence[Argv]:
        return (("lvextend", "--size", f"{_kib(size)}k", self._full(name)),)

    def snapshot(self, name: str, point: str) -> Sequence[Argv]:
        raise InvalidInput("can't take snapshots in lvm storage", code="no-snapshots")

    def rollback(self, name: str, point: str, points: Sequence[Point], part: str, there: bool) -> Sequence[Argv]:
        raise InvalidInput("can't take snapshots in lvm storage", code="no-snapshots")

    def drop(self, name: str, point: Point) -> Sequence[Argv]:
        return (("lvremove", "-f", self._full(name, point.name)),)

    def seal(self, name: str, points: Sequence[Point]) -> Sequence[Argv]:
        raise InvalidInput("can't create base images in lvm storage", code="no-linked-clone")

    def unseal(self, name: str, points: Sequence[Point]) -> Sequence[Argv]:
        raise InvalidInput("can't create base images in lvm storage", code="no-linked-clone")


class LvmThinCommands(LvmCommands):
    """`BlockCommands` of a thin pool. As in Proxmox, a linked clone's name does not say what it stands on."""

    def __init__(self, group: str, pool: str) -> None:
        super().__init__(group)
        self.beside = self.zeroed = True
        self.capabilities = device_capabilities(thin=True, points=True, clones=True)
        self._pool = pool

    def status(self) -> Sequence[Argv]:
        return (("lvs", *_TABLE, "--options", "lv_size,data_percent", self._full(self._pool)),)

    def read_status(self, outputs: Sequence[str]) -> StorageStatus:
        (row,) = rows(outputs[0], ":", 2)
        total = int(row[0])
        used = int(total * float(row[1] or 0) / 100)
        return StorageStatus(total=total, used=used, available=total - used)

    def activate(self) -> Sequence[Argv]:
        return (("lvchange", "-ay", "-K", self._full(self._pool)),)

    def _ours(self, row: Sequence[str]) -> bool:
        return row[2][:1] == "V" and row[3] == self._pool

    def points(self, name: str) -> Argv:
        """The volume, with whether it may be written to, and its snapshots, which are told by their names."""
        chosen = f"lv_name={name} || lv_name=~^snap_{re.escape(name)}_"
        columns = "lv_name,lv_attr"
        return ("lvs", "--noheadings", "--options", columns, "--sort", "lv_time", "--select", chosen, self._group)

    def read_points(self, name: str, output: str) -> Sequence[Point]:
        """A volume whose roll-back was cut off is there as long as its snapshots are. One that is read-only is sealed:
        lvchange fails where there is nothing to change."""
        start = f"snap_{name}_"
        found = [line.split() for line in output.splitlines() if line.strip()]
        if not found:
            raise LookupError(name)
        sealed = [Point(name=BASE_POINT) for lv, attributes in found if lv == name and attributes[1] == "r"]
        return sealed + [Point(name=lv.removeprefix(start)) for lv, _ in found if lv.startswith(start)]

    def create(self, name: str, size: int, vmid: int, mark: str) -> Sequence[Argv]:
        sized = ("-V", f"{_kib(size)}k", "--name", name, "--thinpool", self._full(self._pool))
        return (("lvcreate", "-aly", *sized, *_tags(vmid, mark)), self._no_autoactivation(name))

    def clone(self, base: str, name: str, vmid: int, mark: str) -> Sequence[Argv]:
        made = ("lvcreate", "-n", name, "-prw", "-kn", *_tags(vmid, mark), "-s", self._full(base))
        return (made, self._no_autoactivation(name))

    def _no_autoactivation(self, name: str) -> Argv:
        return ("lvchange", "--setautoactivation", "n", self._full(name))

    def remove(self, name: str, points: Sequence[Point]) -> Sequence[Argv]:
        dropped = [argv for point in points if point.name != BASE_POINT for argv in self.drop(name, point)]
        return (*dropped, ("lvremove", "-f", self._full(name)))

    def snapshot(self, name: str, point: str) -> Sequence[Argv]:
        return (("lvcreate", "-n", self._lv(name, point), "-pr", "-s", self._full(name)),)

    def rollback(self, name: str, point: str, points: Sequence[Point], part: str, there: bool) -> Sequence[Argv]:
        fresh = ("lvcreate", "-kn", "-n", part, "-prw", "-s", self._full(name, point))
        old = (("lvremove", "-f", self._full(name)),) if there else ()
        return (fresh, self._no_autoactivation(part), *old, *self.rename(part, name))

    def seal(self, name: str, points: Sequence[Point]) -> Sequence[Argv]:
        return () if _sealed(points) else (("lvchange", "-an", "-pr", "-ky", self._full(name)),)

    def unseal(self, name: str, points: Sequence[Point]) -> Sequence[Argv]:
        return (("lvchange", "-prw", "-kn", self._full(name)),) if _sealed(points) else ()


def _sealed(points: Sequence[Point]) -> bool:
    return any(point.name == BASE_POINT for point in points)


def _tags(vmid: int, mark: str) -> tuple[str, ...]:
    return ("--addtag", f"pve-vm-{vmid}", "--addtag", _MARK + mark)


def _kib(size: int) -> int:
    return -(-size // 1024)


def _plain(definition: StorageDefinition) -> LvmCommands:
    if definition.base is not None:
        raise NotBuilt("volume groups are not made here: make it on the device, then leave 'base' out")
    if definition.saferemove_throughput is not None:
        raise NotBuilt("'saferemove_throughput' is not built: removed volumes are overwritten at full speed")
    assert definition.vgname is not None
    return LvmCommands(
        definition.vgname,
        shared=definition.shared,
        wipe=definition.saferemove,
        step_mib=int(definition.saferemove_stepsize or 32),
        tagged_only=definition.tagged_only,
    )


def _thin(definition: StorageDefinition) -> LvmThinCommands:
    assert definition.vgname is not None and definition.thinpool is not None
    return LvmThinCommands(definition.vgname, definition.thinpool)


build = builder(_plain)
build_thin = builder(_thin)
