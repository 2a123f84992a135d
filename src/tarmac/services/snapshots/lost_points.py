"""Points in time of disks to which no snapshot refers: found, listed with the reason, and removed when somebody asks.

    local:100/vm-100-disk-0.qcow2@before      what snapshot `before` froze of that volume

They come about when a configuration is lost or brought back from elsewhere, when a snapshot is removed by force, or by
hands in the directory. A guest on which a task works has none: its snapshot may be about to be recorded.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, cast

from tarmac.drivers.storage.base import FileStorage, Storage
from tarmac.drivers.storage.values import SnapshotInfo
from tarmac.drivers.storage.volume_names import Content
from tarmac.model.errors import Busy, Conflict, Fix, NotFound, TarmacError
from tarmac.model.ids import VolumeId
from tarmac.model.job import Plan, PlannedStep, Started
from tarmac.model.lifecycle import State
from tarmac.model.snapshots import disks_of
from tarmac.model.units import human_size
from tarmac.services.guests.guests import Guests
from tarmac.services.guests.work import submit_for_guest
from tarmac.services.jobs.jobs import Jobs
from tarmac.services.jobs.steps import Registry, StepContext
from tarmac.services.snapshots.snapshots import MERGE_SPEED
from tarmac.services.storage.storages import Storages

_POINT = re.compile(r"(?P<volume>[^:]+:(?:\d+/[^/@]+/)?\d+/[^/@]+)@(?P<name>[A-Za-z][A-Za-z0-9_-]*)")


def point_of(volid: str) -> tuple[str, str] | None:
    """(volume, name) where a volume id names a point in time of a disk image, else None. Pure."""
    match = _POINT.fullmatch(volid)
    return (match["volume"], match["name"]) if match else None


class LostPoints:
    """See the module. `listing` reads; `delete` starts the task `imgdelpoint`."""

    def __init__(self, *, storages: Storages, guests: Guests, jobs: Jobs, registry: Registry) -> None:
        self._storages = storages
        self._guests = guests
        self._jobs = jobs
        registry.step("point-free", self._do_free)
        registry.kind("imgdelpoint", self._plan, recover="resume")

    async def listing(self, storage: str) -> list[dict[str, Any]]:
        """Rows as of a content list, with `reason`. Raises NotFound, Unavailable."""
        driver = self._storages.get(storage)
        found = []
        for volume in await driver.list(Content.IMAGES):
            if volume.vmid is None or self._busy(volume.vmid):
                continue
            points = await driver.snapshots(volume.volid) if driver.capabilities.snapshots else ()
            wanted = self._wanted(driver, volume.volid, volume.vmid)
            for point in points:
                if point.name not in wanted:
                    reason = self._reason(volume.vmid, point, points, await _active_on(driver, volume.volid))
                    found.append(_row(volume.volid, volume.vmid, volume.format, volume.size, point, reason))
        for volid, point in await _without_volume(driver):
            name = driver.parse(volid)
            if name.vmid is not None and not self._busy(name.vmid):
                reason = f"its volume {volid} is gone"
                found.append(_row(volid, name.vmid, name.format, point.used or 0, point, reason))
        return found

    def _busy(self, vmid: int) -> bool:
        return self._jobs.queues.holder(f"guest/{vmid}") is not None

    def _wanted(self, driver: Storage, volid: VolumeId, vmid: int) -> set[str]:
        """The snapshots of guests that have this volume: by owner and file, however a linked clone's id is written."""
        guest = self._guests.find(vmid)
        if guest is None:
            return set()
        file = driver.parse(volid).file
        return {
            name
            for name, texts in guest.file.snapshots.items()
            for disk in disks_of(texts).values()
            if disk.file.startswith(f"{driver.id}:") and disk.file.rpartition("/")[2] == file
        }

    def _reason(self, vmid: int, point: SnapshotInfo, points: Sequence[SnapshotInfo], active: str | None) -> str:
        if self._guests.find(vmid) is None:
            return f"there is no guest {vmid} on this node"
        standing = _standing(point, points, active)
        if len(standing) > 1:
            return f"guest {vmid} has no snapshot '{point.name}'; {', '.join(standing)} stand on it, so it has to stay"
        return f"guest {vmid} has no snapshot '{point.name}'"

    async def delete(self, user: str, volid: str, *, dryrun: bool = False) -> Started:
        """`DELETE content/{volume}` of a point in time. Raises NotFound, Conflict for one of a snapshot that the guest
        has, Busy while several others stand on it."""
        args = {"volid": volid}
        plan = await self._plan(args)
        if dryrun:
            return plan
        owner = self._owner(volid)
        return await submit_for_guest(self._jobs, "imgdelpoint", owner, user=user, args=args)

    def _owner(self, volid: str) -> int:
        parts = point_of(volid)
        assert parts is not None
        driver, volume = self._storages.of(parts[0])
        vmid = driver.parse(volume).vmid
        assert vmid is not None
        return vmid

    async def _plan(self, args: Mapping[str, Any]) -> Plan:
        volid = args["volid"]
        parts = point_of(volid)
        if parts is None:
            raise NotFound(f"volume '{volid}' does not exist", code="no-such-volume")
        driver, volume = self._storages.of(parts[0])
        name, vmid = parts[1], self._owner(volid)
        point, points, active = await self._find(driver, volume, name)
        if name in self._wanted(driver, volume, vmid):
            raise Conflict(
                f"'{volid}' belongs to a snapshot",
                code="point-in-use",
                cause=f"guest {vmid} has a snapshot '{name}' of this disk",
                evidence=f"[{name}] in its configuration",
                fixes=[Fix(text="remove the snapshot", action=f"DELETE .../qemu/{vmid}/snapshot/{name}")],
            )
        if len(standing := _standing(point, points, active)) > 1:
            raise Busy(
                f"'{volid}' cannot be removed yet",
                code="point-stood-on",
                cause="several layers stand on it; it can be merged when one is left",
                evidence=", ".join(standing),
                fixes=[Fix(text="remove the snapshots that stand on it first")],
            )
        title = f"remove {volid}" + (f" ({human_size(point.merges)} to merge)" if point.merges else "")
        step = "point-free"
        step_args: dict[str, Any] = {"volid": str(volume), "name": name}
        if (guest := self._guests.find(vmid)) is not None and points:
            step = "snapshot-merge"  # its QEMU may have the layers open
            step_args |= {"vmid": vmid, "speed": MERGE_SPEED, "running": guest.state is State.RUNNING}
        takes = {driver.id: point.merges} if point.merges else {}
        planned = PlannedStep(step=step, title=title, args=step_args, takes=takes, regardless=True)
        return Plan(steps=(planned,), effects=(f"what the disk held at '{name}' is lost",))

    @staticmethod
    async def _find(
        driver: Storage, volume: VolumeId, name: str
    ) -> tuple[SnapshotInfo, Sequence[SnapshotInfo], str | None]:
        """The point, all of its volume (none where that is gone), and which one the active layer stands on."""
        try:
            points = await driver.snapshots(volume)
            active = await _active_on(driver, volume)
        except NotFound:
            points, active = (), None
        for point in points or [p for v, p in await _without_volume(driver) if v == volume]:
            if point.name == name:
                return point, points, active
        raise NotFound(f"volume '{volume}@{name}' does not exist", code="no-such-volume")

    async def _do_free(self, ctx: StepContext, volid: str, name: str) -> None:
        driver, volume = self._storages.of(volid)
        await driver.delete_snapshot(volume, name, advance=ctx.advance)


async def _without_volume(driver: Storage) -> Sequence[tuple[VolumeId, SnapshotInfo]]:
    return await cast(FileStorage, driver).lost_points() if driver.capabilities.files else ()


async def _active_on(driver: Storage, volume: VolumeId) -> str | None:
    """The snapshot's layer on which a volume's active one stands."""
    try:
        below = (await driver.layers(volume))[1:2]
    except TarmacError:  # a damaged chain: what stands on what is not known
        return None
    return below[0].snapshot if below else None


def _standing(point: SnapshotInfo, points: Sequence[SnapshotInfo], active: str | None) -> list[str]:
    """What stands on a layer: names of others, and `the disk itself`."""
    return [p.name for p in points if p.parent == point.name] + (["the disk itself"] if active == point.name else [])


def _row(volid: VolumeId, vmid: int, format: str, size: int, point: SnapshotInfo, reason: str) -> dict[str, Any]:
    row = {"volid": f"{volid}@{point.name}", "content": str(Content.IMAGES), "format": format, "size": size}
    return row | {"vmid": vmid, "reason": reason, **({} if point.used is None else {"used": point.used})}
