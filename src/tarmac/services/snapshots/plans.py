"""What a snapshot, a rollback and a removal take, found out beforehand: which disks, how, and at what cost. Touches
nothing."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from tarmac.drivers.storage.base import Storage
from tarmac.drivers.storage.values import SnapshotInfo, SnapshotKind
from tarmac.model.disk import Disk, EfiDisk
from tarmac.model.errors import Conflict, Fix, HostFailure, NotFound, TarmacError
from tarmac.model.ids import VolumeId
from tarmac.model.job import PlannedStep
from tarmac.model.snapshots import disks_of, image_of
from tarmac.model.units import human_size
from tarmac.services.guests.guests import Guest
from tarmac.services.storage.storages import Storages

Found = Mapping[str, str]
BASE = ""  # stands for the active layer among the names of snapshots, which are never empty


@dataclass(frozen=True, slots=True, kw_only=True)
class Taking:
    """The disks of a snapshot by the kind of point in time; each entry has `key` and `volid`."""

    layers: tuple[Found, ...]
    copies: tuple[Found, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Merging:
    """One layer to be merged away. `moves`: bytes that are copied for it."""

    volid: str
    name: str
    moves: int


class SnapshotPlans:
    """Reads configurations and storages."""

    def __init__(self, storages: Storages) -> None:
        self._storages = storages

    async def taking(self, texts: Mapping[str, str], name: str) -> Taking:
        """How each disk is kept. Raises HostFailure `snapshot feature is not available` naming the disk that cannot
        be, Conflict when the name belongs to a layer that others still stand on, NoSpace below a storage's reserve."""
        layers: list[Found] = []
        copies: list[Found] = []
        for key, disk in disks_of(texts).items():
            driver, volume = self._storages.of(disk.file)
            kind = self._kind(key, disk, driver, volume)
            if any(point.name == name for point in await driver.snapshots(volume)):
                raise _name_taken(name, disk.file)
            await self._storages.space.check(driver)  # what is written from now on takes space anew
            (layers if kind is SnapshotKind.OVERLAY else copies).append({"key": key, "volid": disk.file})
        return Taking(layers=tuple(layers), copies=tuple(copies))

    def can(self, texts: Mapping[str, str]) -> bool:
        """Whether all disks can be kept (`GET feature`)."""
        try:
            for key, disk in disks_of(texts).items():
                self._kind(key, disk, *self._storages.of(disk.file))
        except TarmacError:
            return False
        return True

    @staticmethod
    def _kind(key: str, disk: Disk | EfiDisk, driver: Storage, volume: VolumeId) -> SnapshotKind:
        format = driver.parse(volume).format
        kind = driver.capabilities.snapshots.get(format)
        if kind is None:
            able = ", ".join(sorted(driver.capabilities.snapshots)) or "none"
            raise HostFailure(
                "snapshot feature is not available",
                code="no-snapshots",
                cause=f"storage '{driver.id}' cannot keep points in time of {format} images (it can of: {able})",
                evidence=f"{key}: {disk.file}",
                fixes=_ways_out(key, driver),
            )
        return kind

    async def going_back(self, texts: Mapping[str, str], name: str) -> tuple[Found, ...]:
        """The disks of a snapshot's section, each known to have it. Raises NotFound naming the one that has not."""
        found = []
        for key, disk in disks_of(texts).items():
            driver, volume = self._storages.of(disk.file)
            if not any(point.name == name for point in await driver.snapshots(volume)):
                raise NotFound(
                    f"can't rollback, snapshot '{name}' does not exist on '{disk.file}'",
                    code="no-such-snapshot",
                    cause="the storage no longer has this point in time of the disk",
                    evidence=f"{key}: {disk.file}",
                )
            found.append({"key": key, "volid": disk.file})
        return tuple(found)

    async def merging(
        self, texts: Mapping[str, str], name: str, kept: Mapping[str, Collection[str]]
    ) -> tuple[list[Merging], list[str]]:
        """What removing a snapshot merges, in order, and lines on what stays. `kept`: by image (`image_of`), the
        snapshots that the configuration still has afterwards. A disk whose volume is gone needs nothing."""
        merges: list[Merging] = []
        notes: list[str] = []
        for disk in disks_of(texts).values():
            try:
                driver, volume = self._storages.of(disk.file)
                points = await driver.snapshots(volume)
                active = (await driver.layers(volume))[1:2]
            except NotFound:
                continue
            stands = active[0].snapshot if active else None
            layers = driver.capabilities.snapshots.get(driver.parse(volume).format) is SnapshotKind.OVERLAY or stands
            stay = {*kept.get(image_of(disk.file), ()), *(point.name for point in points if point.held)}
            going = removable(points, stands if layers else None, name, stay, layers=bool(layers))
            merges += [Merging(volid=disk.file, name=point.name, moves=point.merges) for point in going]
            if name not in [point.name for point in going] and any(point.name == name for point in points):
                notes.append(f"{disk.file}: the layer of '{name}' stays hidden, since several others stand on it")
        return merges, notes

    async def held(self, texts: Mapping[str, str], name: str) -> dict[str, Sequence[int]]:
        """By disk of a snapshot's section, the frozen states that stand on its layer."""
        found: dict[str, Sequence[int]] = {}
        for disk in disks_of(texts).values():
            with contextlib.suppress(NotFound):
                driver, volume = self._storages.of(disk.file)
                states = [state for p in await driver.snapshots(volume) if p.name == name for state in p.held]
                if states:
                    found[disk.file] = states
        return found

    async def costs(self, guest: Guest) -> dict[str, dict[str, int]]:
        """By snapshot: `used` and `merges`, bytes over all its disks."""
        found: dict[str, dict[str, int]] = {name: {"used": 0, "merges": 0} for name in guest.file.snapshots}
        volumes = {d.file for texts in guest.file.snapshots.values() for d in disks_of(texts).values()}
        for volid in sorted(volumes):
            driver, volume = self._storages.of(volid)
            for point in await driver.snapshots(volume):
                if point.name in found:
                    found[point.name]["used"] += point.used or 0
                    found[point.name]["merges"] += point.merges
        return found


def removable(
    points: Sequence[SnapshotInfo], active: str | None, name: str, kept: Collection[str], *, layers: bool
) -> list[SnapshotInfo]:
    """The points in time that can go once nobody wants `name` any more, in the order of going: `name` itself unless
    several layers stand on it, and hidden ones below that only waited for it. `active` is the one that the active layer
    stands on. Pure."""
    known = {point.name: point for point in points}
    parents: dict[str, str | None] = {point.name: point.parent for point in points}
    if active is not None:
        parents[BASE] = active
    going: list[SnapshotInfo] = []
    while True:
        standing = Counter(parent for parent in parents.values()) if layers else Counter()
        waiting = [n for n in parents if n != BASE and n not in kept and standing[n] <= 1]
        if not waiting:
            return going
        gone = name if name in waiting else waiting[0]
        going.append(known[gone])
        for child, parent in parents.items():
            if parent == gone:
                parents[child] = parents[gone]
        del parents[gone]


def merge_steps(vmid: int, merges: Sequence[Merging], speed: int, *, force: bool, running: bool) -> list[PlannedStep]:
    """The steps of a removal; `running`: in a guest whose processors run."""
    return [
        PlannedStep(
            step="snapshot-merge",
            title=f"remove '{m.name}' from {m.volid}" + (f" ({human_size(m.moves)} to merge)" if m.moves else ""),
            args={
                "vmid": vmid,
                "volid": m.volid,
                "name": m.name,
                "speed": speed,
                "force": force,
                "running": running,
            },
            takes={VolumeId.parse(m.volid).storage: m.moves} if m.moves else {},
            regardless=True,
        )
        for m in merges
    ]


def _ways_out(key: str, driver: Storage) -> list[Fix]:
    """What helps where a disk's format cannot be kept on its storage."""
    if "qcow2" in driver.capabilities.snapshots:
        what = "the firmware's variables" if key == "efidisk0" else "the disk"
        parameters = {"disk": key, "storage": driver.id, "format": "qcow2", "delete": "1"}
        return [Fix(text=f"turn {what} into qcow2", action="POST .../move_disk", parameters=parameters)]
    return [
        Fix(text="move the disk to a storage that can", action="POST .../move_disk", parameters={"disk": key}),
        Fix(text="take it out of the guest for the time being"),
    ]


def _name_taken(name: str, volid: str) -> Conflict:
    return Conflict(
        f"snapshot name '{name}' already used",
        code="snapshot-name-taken",
        cause="a removed snapshot of that name still carries layers of others, and goes when only one is left",
        evidence=volid,
        fixes=[Fix(text="use another name"), Fix(text="remove the snapshots that stand on it")],
    )
