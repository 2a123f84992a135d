"""Linked clones made independent of their template, in the background, while they are used.

`qmflatten` copies into each disk what it has of its template's base image, until it stands on nothing: through the QEMU
of a guest that runs (a stream), with `qemu-img rebase` for one that does not. Both only add clusters, so either can be
broken off at any moment and goes on where it was. The task works on a guest only as long as nobody else wants to:
whoever asks for something (a start, a snapshot, its removal) has his turn within a moment. One guest at a time.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import Mapping
from typing import Any, cast

from tarmac.drivers.qemu import block_jobs
from tarmac.drivers.qemu import block_layers as live
from tarmac.drivers.qemu.argv.blockdev import node_name
from tarmac.drivers.qemu.process import GuestProcess
from tarmac.drivers.storage.base import FileStorage, Storage
from tarmac.lib.tasks import first_ends
from tarmac.model.conf_file import GuestFile, Texts
from tarmac.model.errors import TarmacError, WrongState
from tarmac.model.ids import VolumeId
from tarmac.model.job import Plan, PlannedStep, Started
from tarmac.services.guests.guests import Guest, Guests
from tarmac.services.jobs.jobs import Jobs
from tarmac.services.jobs.steps import Registry, StepContext
from tarmac.services.running.runtime import Runtime
from tarmac.services.snapshots.disks import facts_of, key_of
from tarmac.services.storage.storages import Storages

QUEUE = "flatten"
ENDED_SECONDS = 30.0


class Flatten:
    """See the module. `start` is the verb; `submit` begins it for clones that were just made."""

    def __init__(self, *, guests: Guests, jobs: Jobs, storages: Storages, runtime: Runtime, registry: Registry) -> None:
        self._guests = guests
        self._jobs = jobs
        self._storages = storages
        self._runtime = runtime
        registry.step("disk-flatten", self._do)
        registry.step("clones-flatten", self._do_submit)
        registry.kind("qmflatten", self._plan, recover="resume")

    async def start(self, user: str, vmid: int, *, speed: int = 0, dryrun: bool = False) -> Started:
        """`POST flatten`; `speed` in bytes a second, 0 for no limit. Raises WrongState for a guest that stands on
        nothing, NoSpace, NotFound."""
        args = {"vmid": vmid, "speed": speed}
        plan = await self._plan(args)
        if not plan.steps:
            raise WrongState(
                f"VM {vmid} is no linked clone",
                code="not-linked",
                cause="none of its disks stands on a template's",
                evidence=", ".join(self._guests.get(vmid).config.volumes.values()) or "it has no disks",
            )
        return plan if dryrun else await self._submit(user, args)

    async def _submit(self, user: str, args: Mapping[str, Any]) -> str:
        return await self._jobs.submit("qmflatten", id=str(args["vmid"]), user=user, args=args, queues=[QUEUE])

    @staticmethod
    def step(vmids: list[int], speed: int) -> PlannedStep:
        """Begin it for clones, each as a task of its own; the last step of making them."""
        title = "let them become independent in the background"
        return PlannedStep(step="clones-flatten", title=title, args={"vmids": vmids, "speed": speed})

    async def _do_submit(self, ctx: StepContext, vmids: list[int], speed: int) -> None:
        """Repeated after a crash it begins tasks that find nothing to do."""
        started = {
            str(vmid): await self._submit(ctx.user, {"vmid": vmid, "speed": speed})
            for vmid in vmids
            if self._guests.find(vmid) is not None
        }
        ctx.publish("flatten", started)

    async def _plan(self, args: Mapping[str, Any]) -> Plan:
        guest = self._guests.get(args["vmid"])
        steps = []
        for volid in dict.fromkeys(guest.config.volumes.values()):
            driver, volume = self._storages.of(volid)
            base = driver.parse(volume).base
            if base is None or not driver.capabilities.files:
                continue
            below = await driver.info(VolumeId(driver.id, f"{base[0]}/{base[1]}"))
            takes = below.size if below.used is None else below.used
            await self._storages.space.check(driver, takes)
            step_args = {"vmid": guest.vmid, "volid": volid, "speed": args["speed"]}
            title = f"copy into {volid} what it has of its template"
            steps.append(PlannedStep(step="disk-flatten", title=title, args=step_args, takes={driver.id: takes}))
        return Plan(steps=tuple(steps))

    # -- the step -----------------------------------------------------------------------------------------------

    async def _do(self, ctx: StepContext, vmid: int, volid: str, speed: int) -> None:
        """Again and again until it is done, each time as long as nobody waits for the guest."""
        driver, volume = self._storages.of(volid)
        while (guest := self._guests.find(vmid)) is not None:
            async with self._jobs.queues.hold([f"guest/{vmid}"], ctx.upid):
                if await self._turn(ctx, guest, driver, volume, speed):
                    return
        ctx.log(f"guest {vmid} is gone")

    async def _turn(self, ctx: StepContext, guest: Guest, driver: Storage, volume: VolumeId, speed: int) -> bool:
        """Work while the guest is ours; whether that was all."""
        if self._guests.find(guest.vmid) is not guest or str(volume) not in guest.text:
            ctx.log(f"{volume} is no longer a disk of the guest")
            return True
        if points := await driver.snapshots(volume):
            names = ", ".join(point.name for point in points)
            ctx.warn(f"{volume} stays linked: its snapshots ({names}) stand on the template; flatten it without them")
            return True
        layered = len(await driver.layers(volume)) > 1
        if layered and guest.process is not None and key_of(guest, str(volume)) is None:
            # The guest's QEMU can still write to it, also to its header, while a tool of ours would trust that.
            ctx.warn(f"{volume} stays linked: it is out of use, and its guest runs; flatten it when the guest is off")
            return True
        if layered and not await self._copied(ctx, guest, driver, volume, speed):
            return False
        await self._guests.write(guest, renamed(guest.file, str(volume), _alone(driver, volume)), user=ctx.user)
        ctx.log(f"{volume} stands on nothing any more")
        return True

    async def _copied(self, ctx: StepContext, guest: Guest, driver: Storage, volume: VolumeId, speed: int) -> bool:
        """False when it was broken off, because somebody waits or the guest has ended."""
        done = False

        async def work() -> None:
            nonlocal done
            process, key = guest.process, key_of(guest, str(volume))
            if process is not None and key is not None:
                done = await self._streamed(ctx, guest, process, key, driver, volume, speed)
            else:
                await cast(FileStorage, driver).detach(volume, speed=speed, advance=ctx.advance)
                done = True

        try:
            await first_ends(work(), self._jobs.queues.until_wanted(f"guest/{guest.vmid}"))
        except ExceptionGroup as several:
            raise several.exceptions[0] from several
        return done

    async def _streamed(
        self,
        ctx: StepContext,
        guest: Guest,
        process: GuestProcess,
        key: str,
        driver: Storage,
        volume: VolumeId,
        speed: int,
    ) -> bool:
        """Through the guest's QEMU; goes on with a stream that an earlier daemon began."""
        job, qmp = f"flatten-{key}", process.monitor()
        node = node_name("f", key, facts_of((await driver.layers(volume))[0]))
        try:
            if await block_jobs.find(qmp, job) is None:
                await block_jobs.start_stream(qmp, job, node=node, speed=speed)
            ctx.point("streaming")
            await block_jobs.until_ended(process, job, ctx.advance)
            await live.close_unused(qmp, key)
        except TarmacError:
            if not process.exited.is_set():
                raise
            await self._runtime.settled(guest, ENDED_SECONDS)
            return False
        except asyncio.CancelledError:
            with contextlib.suppress(TarmacError):
                await block_jobs.abandon(process, job)
            raise
        return True


def renamed(file: GuestFile, old: str, new: str) -> GuestFile:
    """The file with another id of a volume, wherever it stands. Pure."""

    def texts(section: Texts) -> Texts:
        return {key: _with_volume(text, old, new) for key, text in section.items()}

    return dataclasses.replace(
        file,
        current=texts(file.current),
        pending=texts(file.pending),
        snapshots={name: texts(section) for name, section in file.snapshots.items()},
    )


def _with_volume(text: str, old: str, new: str) -> str:
    words = text.split(",")
    return ",".join(
        word.removesuffix(old) + new if word in (old, f"file={old}", f"volume={old}") else word for word in words
    )


def _alone(driver: Storage, volume: VolumeId) -> str:
    """A linked clone's id without its base."""
    return str(VolumeId(driver.id, str(dataclasses.replace(driver.parse(volume), base=None))))
