"""Moving a disk to another storage or into another format, of a stopped guest or under a running one.

Stopped: copy, then write the configuration. Running: the disk is mirrored, and once both sides are the same the guest
stands still for the moment in which the configuration is written and QEMU goes over to the target. So at no moment do
the configuration and the newest data part: whatever fails in between, either volume holds everything.
The source becomes `unusedN`, or goes with `delete`, only after that.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from tarmac.drivers.storage.volume_names import Content
from tarmac.model.digest import OF_A_GUEST, check_digest
from tarmac.model.disk import Disk, UnusedDisk, Volume
from tarmac.model.errors import Fix, HostFailure, InvalidInput, NeedsStop, TarmacError, WrongState
from tarmac.model.job import Plan, PlannedStep, Started
from tarmac.model.lifecycle import State
from tarmac.model.parse import split_property_string
from tarmac.model.snapshots import kept_by
from tarmac.model.vm_change import Change, apply_set
from tarmac.services.access.access import Access, Identity
from tarmac.services.configuration.disk_plans import drive_text
from tarmac.services.configuration.steps import file_of, file_record, put_step
from tarmac.services.disks.gifts import DiskGifts
from tarmac.services.disks.medium_moves import MediumMoves
from tarmac.services.disks.mirrors import DiskMirrors, Mirror
from tarmac.services.guests.guests import Guest, Guests
from tarmac.services.guests.work import submit_for_guest
from tarmac.services.jobs.jobs import Jobs
from tarmac.services.jobs.steps import Registry, StepContext
from tarmac.services.storage.storages import Storages
from tarmac.services.storage.volume_plans import NewVolume, check_allocates
from tarmac.services.storage.volume_steps import free_step
from tarmac.services.storage.volumes import Volumes


class DiskMoves:
    """`qmmove`. A job that a crash cut off goes on: a mirror that still runs in QEMU is followed further."""

    def __init__(
        self,
        *,
        guests: Guests,
        jobs: Jobs,
        access: Access,
        storages: Storages,
        volumes: Volumes,
        mirrors: DiskMirrors,
        media: MediumMoves,
        gifts: DiskGifts,
        registry: Registry,
    ) -> None:
        self._guests = guests
        self._jobs = jobs
        self._access = access
        self._storages = storages
        self._volumes = volumes
        self._mirrors = mirrors
        self._media = media
        self._gifts = gifts
        registry.step("disk-mirror", self._do_mirror, self._undo_mirror)
        registry.step("disk-switch", self._do_switch, commits=True)
        registry.kind("qmmove", self._plan, recover="resume")

    async def move(
        self,
        identity: Identity,
        vmid: int,
        disk: str,
        *,
        storage: str | None = None,
        format: str | None = None,
        delete: bool = False,
        digest: str | None = None,
        speed: int = 0,
        dryrun: bool = False,
    ) -> Started:
        """`POST move_disk`; `speed` in bytes a second, 0 for no limit. Returns the task, or the plan.

        Raises InvalidInput, WrongState, Denied, Conflict (`digest`)."""
        guest = self._guests.get(vmid)
        check_digest(digest, guest.digest, words=OF_A_GUEST, read="GET .../config")
        if storage is None:
            raise InvalidInput.of("storage", "property is missing and it is not optional")
        self._access.check(identity, f"/storage/{storage}", ["Datastore.AllocateSpace"])
        args = {"vmid": vmid, "disk": disk, "storage": storage, "format": format, "delete": delete, "speed": speed}
        if dryrun:
            return await self._jobs.plan("qmmove", args)
        if self._jobs.lock_of(f"guest/{vmid}") is None:
            await self._plan(args)
        return await submit_for_guest(self._jobs, "qmmove", vmid, user=identity.name, args=args)

    async def _plan(self, args: Mapping[str, Any]) -> Plan:
        if "target" in args:
            return await self._gifts.plan(args)
        guest, key = self._guests.get(args["vmid"]), args["disk"]
        volume = self._movable(guest, key, runs=guest.runs(args))
        self._check_target(volume.file, args)
        if isinstance(volume, Disk) and volume.is_cloudinit:
            return await self._media.plan(guest, key, volume, args)
        live = guest.runs(args) and not isinstance(volume, UnusedDisk)
        plans, where = self._volumes.plans, {"storage": args["storage"], "format": args["format"]}
        if live:
            made = await plans.plan_mirror(guest.vmid, volume.file, **where)
        else:
            made = await plans.plan_copy(guest.vmid, volume.file, speed=args["speed"], **where)
        file, freed = self._moved(guest, key, volume, made, delete=args["delete"])
        steps = [made.step]
        if live:
            mirror = {"vmid": guest.vmid, "key": key, "source": volume.file, "target": made.volid}
            going_on = {"running": guest.state is State.RUNNING, "file": file_record(file)}
            steps += [
                PlannedStep(
                    step="disk-mirror",
                    title=f"mirror {key} of running guest {guest.vmid}",
                    args={**mirror, "speed": args["speed"]},
                    takes=made.filling,
                ),
                PlannedStep(step="disk-switch", title=f"switch {key} over to {made.volid}", args=mirror | going_on),
            ]
        else:
            steps.append(put_step(guest, file, f"let {key} be {made.volid}"))
        if freed:
            steps.append(free_step(volume.file))
        changes = ({"key": key, "old": volume.file, "new": made.volid, "when": "now"},)
        return Plan(steps=tuple(steps), effects=(f"{volume.file} is removed",) if freed else (), changes=changes)

    def _movable(self, guest: Guest, key: str, *, runs: bool) -> Volume | UnusedDisk:
        config = guest.config
        unused = {f"unused{index}": disk for index, disk in config.unused.items()}
        found: dict[str, Any] = {
            **config.disks, "efidisk0": config.efidisk0, "tpmstate0": config.tpmstate0, **unused,
        }  # fmt: skip
        volume: Volume | UnusedDisk | None = found.get(key)
        if volume is None:
            raise InvalidInput.of("disk", f"disk '{key}' does not exist")
        if isinstance(volume, Disk) and volume.is_cdrom and not volume.is_cloudinit:
            raise InvalidInput.of("disk", f"you can't move a cdrom ('{key}')")
        if self._volumes.is_base(volume.file):
            raise WrongState(
                f"can't move the base volume '{volume.file}' of a template",
                code="is-base",
                cause="clones stand on it where it is",
                evidence=f"{key}: {volume.file}",
                fixes=[Fix(text="make a full clone on the other storage instead")],
            )
        if key in guest.file.pending or key in guest.file.pending_delete:
            raise WrongState(
                f"{key} has changes that wait for the next start",
                code="disk-pending",
                cause="they name the volume that would be moved away",
                evidence=f"pending: {guest.file.pending.get(key, '(removal)')}",
                fixes=[Fix(text="revert them first", action="PUT .../config", parameters={"revert": key})],
            )
        if key == "tpmstate0" and runs:
            raise NeedsStop(
                "cannot move TPM state while VM is running",
                code="tpm-running",
                cause="the emulated TPM has its state open as long as the guest runs",
                evidence=f"tpmstate0: {volume.file}",
                fixes=[Fix(text="move it when the guest is off")],
            )
        return volume

    def _check_target(self, volid: str, args: Mapping[str, Any]) -> None:
        driver, source = self._storages.of(volid)
        if args["delete"]:
            check_allocates(driver, "free space")
        target = self._storages.get(args["storage"], Content.IMAGES)
        name = driver.parse(source)
        same = target.id == driver.id and args["format"] in (None, name.format)
        if same and name.base is None:  # a linked clone becomes a whole image by it
            raise InvalidInput(
                "you can't move to the same storage with same format",
                code="move-nowhere",
                evidence=f"{volid} is {name.format} on {driver.id} already",
                parameters={"storage": "you can't move to the same storage with same format"},
            )

    def _moved(
        self, guest: Guest, key: str, volume: Volume | UnusedDisk, made: NewVolume, *, delete: bool
    ) -> tuple[Any, bool]:
        """The configuration after the move, and whether the source goes."""
        sections = guest.file.snapshots.values()
        kept = kept_by(guest.file, volume.file) or any(volume.file in " ".join(texts.values()) for texts in sections)
        if delete and kept:
            raise WrongState(
                "you can't move a disk with snapshots and delete the source",
                code="disk-in-snapshots",
                cause="snapshots of the guest stand on it",
                evidence=volume.file,
                fixes=[Fix(text="move it without `delete`, or remove the snapshots first")],
            )
        current = dict(guest.file.current)
        if isinstance(volume, UnusedDisk):
            current[key] = made.volid
            if not delete:
                free = next(i for i in range(256) if f"unused{i}" not in current)
                current[f"unused{free}"] = volume.file
            return dataclasses.replace(guest.file, current=current), delete
        options = split_property_string(type(volume), current[key])
        options.pop("file")
        change = Change(current=current, pending={}, pending_delete={})
        apply_set(change, key, drive_text(made.volid, options, made.size))
        after = {k: v for k, v in change.current.items() if not (delete and v == volume.file)}
        if not delete and volume.file not in after.values():  # efidisk0, tpmstate0
            after[f"unused{next(i for i in range(256) if f'unused{i}' not in after)}"] = volume.file
        return dataclasses.replace(guest.file, current=after), delete

    # -- steps --------------------------------------------------------------------------------------------------

    async def _do_mirror(self, ctx: StepContext, vmid: int, key: str, source: str, target: str, speed: int) -> None:
        guest, mirror = self._guests.get(vmid), Mirror(key=key, source=source, target=target)
        await self._mirrors.begin(guest, mirror, speed=speed)
        await self._mirrors.until_ready(guest, [mirror], ctx.advance)

    async def _undo_mirror(self, ctx: StepContext, vmid: int, key: str, source: str, target: str, speed: int) -> None:
        guest = self._guests.find(vmid)
        if guest is not None:
            await self._mirrors.abandon(guest, Mirror(key=key, source=source, target=target))

    async def _do_switch(
        self,
        ctx: StepContext,
        vmid: int,
        key: str,
        source: str,
        target: str,
        running: bool,
        file: Mapping[str, Any],
    ) -> None:
        """Past this there is no undo, so a failure before the guest is on the target is made good here."""
        guest, mirror = self._guests.get(vmid), Mirror(key=key, source=source, target=target)
        old, new = guest.file, file_of(file)
        if old.current != new.current:
            try:
                await self._mirrors.until_same(guest, mirror)
                ctx.point("paused")
                await self._guests.write(guest, new, user=ctx.user, task=ctx.upid)
            except TarmacError:
                await self._give_up(guest, mirror, running)
                raise
        ctx.point("written")
        # Both hold the same now. If QEMU gets no further, the next start is from the target.
        if guest.process is None:
            return
        try:
            await self._mirrors.switch(guest, mirror)
        except HostFailure:
            if guest.process is not None and old.current != new.current:
                await self._guests.write(guest, old, user=ctx.user, task=ctx.upid)
                await self._give_up(guest, mirror, running)
            raise
        await self._mirrors.release(guest, resume=running, thaw=False)
        await self._mirrors.leave(guest, mirror)

    async def _give_up(self, guest: Guest, mirror: Mirror, running: bool) -> None:
        """The guest stays on the source, the target goes."""
        await self._mirrors.abandon(guest, mirror)
        await self._mirrors.release(guest, resume=running, thaw=False)
        driver, volume = self._storages.of(mirror.target)
        await driver.free(volume)
