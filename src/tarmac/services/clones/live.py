"""Full clones of running guests: every disk is mirrored, and all mirrors are ended at one moment.

At that moment the guest's file systems are frozen by its agent, where it has one, and its processors stand still for
as long as it takes to end the mirrors: the clone's disks belong together, as after a power cut between two writes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tarmac.drivers.storage.values import Owner
from tarmac.model.job import PlannedStep
from tarmac.model.lifecycle import State
from tarmac.services.disks.mirrors import DiskMirrors, Mirror
from tarmac.services.guests.guests import Guest, Guests
from tarmac.services.jobs.steps import Registry, StepContext
from tarmac.services.storage.storages import Storages


class CloneLive:
    """The step `clone-mirror`."""

    def __init__(self, *, guests: Guests, mirrors: DiskMirrors, storages: Storages, registry: Registry) -> None:
        self._guests = guests
        self._mirrors = mirrors
        self._storages = storages
        registry.step("clone-mirror", self._do, self._undo)

    @staticmethod
    def step(
        source: Guest, vmid: int, targets: Mapping[str, str], *, speed: int = 0, takes: Mapping[str, int]
    ) -> PlannedStep:
        """Fill the volumes `targets` (by disk) of guest `vmid` from the running `source`."""
        volumes = source.config.volumes
        pairs = {key: [volumes[key], target] for key, target in targets.items()}
        title = f"mirror {', '.join(targets)} of running guest {source.vmid}"
        return PlannedStep(
            step="clone-mirror",
            title=title,
            takes=takes,
            args={
                "source": source.vmid,
                "vmid": vmid,
                "disks": pairs,
                "running": source.state is State.RUNNING,
                "speed": speed,
            },
        )

    async def _do(
        self, ctx: StepContext, source: int, vmid: int, disks: Mapping[str, Any], running: bool, speed: int
    ) -> None:
        guest, mirrors = self._guests.get(source), _mirrors(disks)
        if ctx.resumed:
            await self._undo(ctx, source, vmid, disks, running, speed)
        for mirror in mirrors:
            await self._mirrors.begin(guest, mirror, speed=speed)
        await self._mirrors.until_ready(guest, mirrors, ctx.advance)
        async with self._mirrors.held(guest, ctx.log):
            ctx.point("held")
            await self._mirrors.end_without_switching(guest, mirrors)
        await self._mirrors.let_go(guest, mirrors)
        await self._hand_over(vmid, mirrors)

    async def _hand_over(self, vmid: int, mirrors: list[Mirror]) -> None:
        """From now on the clone's user alone can open its volumes."""
        owner = self._guests.get(vmid).uid
        if owner is None:
            return
        for mirror in mirrors:
            driver, volume = self._storages.of(mirror.target)
            await driver.give(volume, Owner(uid=owner, gid=owner))

    async def _undo(
        self, ctx: StepContext, source: int, vmid: int, disks: Mapping[str, Any], running: bool, speed: int
    ) -> None:
        guest = self._guests.find(source)
        if guest is None or guest.process is None:
            return
        for mirror in _mirrors(disks):
            await self._mirrors.abandon(guest, mirror)
        # A daemon that was cut off within the moment has left the guest paused and frozen.
        await self._mirrors.release(guest, resume=running, thaw=True)


def _mirrors(disks: Mapping[str, Any]) -> list[Mirror]:
    return [Mirror(key=key, source=source, target=target) for key, (source, target) in disks.items()]
