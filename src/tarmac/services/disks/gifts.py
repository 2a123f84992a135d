"""Giving a disk of one guest to another one (`move_disk` with `target-vmid`): its volume is renamed, its options stay.

Both guests' queues are held. The volume is renamed first (undone if anything fails before a configuration is written),
then the receiver's configuration names it, then the giver's no longer does; a crash in between is finished.
Source of the rules and words: Proxmox VE 9, "reassign disk".
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, cast

from tarmac.drivers.storage.base import FileStorage
from tarmac.drivers.storage.volume_names import Content, free_disk_name, image_name
from tarmac.model.conf_file import GuestFile
from tarmac.model.digest import OF_A_GUEST, check_digest
from tarmac.model.disk import Disk, UnusedDisk
from tarmac.model.errors import Conflict, Fix, InvalidInput, NeedsStop, WrongState
from tarmac.model.ids import VolumeId
from tarmac.model.job import Plan, PlannedStep, Started
from tarmac.model.lifecycle import State
from tarmac.model.parse import split_property_string
from tarmac.model.snapshots import is_unused, kept_by
from tarmac.model.vm import VmConfig
from tarmac.services.access.access import Access, Identity
from tarmac.services.configuration.disk_plans import drive_text
from tarmac.services.configuration.steps import put_step
from tarmac.services.guests.guests import Guest, Guests
from tarmac.services.jobs.jobs import Jobs, foreseen
from tarmac.services.jobs.steps import Registry, StepContext
from tarmac.services.storage.storages import Storages


class DiskGifts:
    """`give` starts a `qmmove` with Proxmox's task id, `100-scsi1>101-scsi2`; `plan` makes its steps."""

    def __init__(self, *, guests: Guests, jobs: Jobs, access: Access, storages: Storages, registry: Registry) -> None:
        self._guests = guests
        self._jobs = jobs
        self._access = access
        self._storages = storages
        registry.step("volume-rename", self._do_rename, self._undo_rename)

    async def give(
        self,
        identity: Identity,
        vmid: int,
        disk: str,
        target: int,
        *,
        target_disk: str | None = None,
        digest: str | None = None,
        target_digest: str | None = None,
        dryrun: bool = False,
    ) -> Started:
        """Without `target_disk` the disk has the same key there. Raises InvalidInput, NeedsStop, WrongState, Denied,
        Conflict (a digest, a key that is in use), NotFound."""
        self._access.check(identity, f"/vms/{target}", ["VM.Config.Disk"])
        for number, wanted in ((vmid, digest), (target, target_digest)):
            guest = self._guests.get(number)
            check_digest(wanted, guest.digest, words=OF_A_GUEST, read="GET .../config")
        if (stored := self._guests.get(vmid).file.current.get(disk)) is not None:
            # The receiver gets space that somebody must be allowed to give, as if the disk were made anew.
            storage = stored.removeprefix("file=").partition(":")[0]
            self._access.check(identity, f"/storage/{storage}", ["Datastore.AllocateSpace"])
        args = {"vmid": vmid, "disk": disk, "target": target, "target_disk": target_disk or disk}
        if dryrun:
            return await foreseen(self.plan, args)
        queues = [f"guest/{vmid}", f"guest/{target}"]
        if all(self._jobs.lock_of(queue) is None for queue in queues):
            await self.plan(args)
        id = f"{vmid}-{disk}>{target}-{args['target_disk']}"
        return await self._jobs.submit("qmmove", id=id, user=identity.name, args=args, queues=queues)

    async def plan(self, args: Mapping[str, Any]) -> Plan:
        giver, receiver = self._guests.get(args["vmid"]), self._guests.get(args["target"])
        key, new_key = args["disk"], args["target_disk"]
        volid = self._giveable(giver, receiver, key, runs=giver.runs(args))
        driver, volume = self._storages.of(volid)
        name = driver.parse(volume)
        there = [driver.parse(v.volid).file for v in await driver.list(Content.IMAGES, receiver.vmid)]
        fresh = image_name(receiver.vmid, free_disk_name(receiver.vmid, there, name.format))
        renamed = str(VolumeId(driver.id, str(dataclasses.replace(fresh, base=name.base))))
        size = (await driver.info(volume)).size
        taken = self._taken(receiver, new_key, self._text(giver, key, new_key, renamed, size))
        left = _without(giver.file, key)
        steps = (
            PlannedStep(
                step="volume-rename",
                title=f"rename {volid} to {renamed}",
                args={"volid": volid, "renamed": renamed},
            ),
            put_step(receiver, taken, f"let {new_key} of guest {receiver.vmid} be {renamed}"),
            put_step(giver, left, f"take {key} out of guest {giver.vmid}"),
        )
        waits = (f"guest {receiver.vmid} runs: it gets the disk at its next start",) if new_key in taken.pending else ()
        return Plan(steps=steps, effects=waits, changes=({"key": key, "old": volid, "when": "now"},))

    def _giveable(self, giver: Guest, receiver: Guest, key: str, *, runs: bool) -> str:
        """The volume id. Raises what keeps it where it is."""
        if giver.vmid == receiver.vmid:
            text = "must be different than source VMID to move disk to another VM"
            raise InvalidInput.of("target-vmid", text)
        stored = giver.file.current.get(key)
        if stored is None:
            raise InvalidInput.of("disk", f"disk '{key}' does not exist")
        volid = stored.partition(",")[0].removeprefix("file=")
        driver, volume = self._storages.of(volid)
        found = giver.config.disks.get(key)
        if found is not None and found.is_cdrom:
            raise InvalidInput.of("disk", "CD-ROM drives and cloud-init media stay with their guest")
        if runs and not is_unused(key):
            raise NeedsStop(
                "Cannot move disk to another VM while the source VM is running - detach first",
                code="disk-in-use",
                cause="the guest has it open",
                evidence=f"{key}: {volid}",
                fixes=[
                    Fix(text="detach it: it becomes `unusedN`, which can be given away", parameters={"delete": key})
                ],
            )
        holders = kept_by(giver.file, volid)
        if holders or driver.parse(volume).is_base or giver.template or receiver.template:
            why = f"snapshots: {', '.join(holders)}" if holders else "one of the two guests is a template"
            raise WrongState(
                "Can't move disk used by a snapshot to another VM" if holders else "Can't move disks of templates",
                code="disk-bound",
                cause="what refers to it would no longer find it",
                evidence=f"{volid}; {why}",
            )
        if key in giver.file.pending or key in giver.file.pending_delete:
            raise WrongState(f"{key} has changes that wait for the next start", code="disk-pending", evidence=volid)
        if not driver.capabilities.files:
            raise WrongState(
                "Storage does not support moving of this disk to another VM", code="no-rename", evidence=volid
            )
        return volid

    @staticmethod
    def _text(giver: Guest, key: str, new_key: str, volid: str, size: int) -> str:
        if is_unused(new_key):
            return volid
        old = giver.config.disks.get(key) or getattr(giver.config, key, None)
        declared = Disk if old is None or isinstance(old, UnusedDisk) else type(old)
        options = {} if is_unused(key) else split_property_string(declared, giver.file.current[key])
        options.pop("file", None)
        options.pop("size", None)
        return drive_text(volid, options, size)

    @staticmethod
    def _taken(receiver: Guest, key: str, text: str) -> GuestFile:
        """The receiver's configuration with the disk; in a running guest it waits for the next start."""
        file = receiver.file
        if key in file.current or key in file.pending:
            raise Conflict(
                f"Target disk key '{key}' is already in use for VM '{receiver.vmid}'",
                code="disk-key-in-use",
                cause="there is a disk under that key",
                evidence=f"{key}: {file.merged().get(key, file.current.get(key, ''))}",
                fixes=[Fix(text="choose another one", parameters={"target-disk": "unused0"})],
            )
        VmConfig.parse({**file.merged(), key: text})  # raises for an option that this bus does not have
        if receiver.state is State.STOPPED or is_unused(key):
            return dataclasses.replace(file, current={**file.current, key: text})
        return dataclasses.replace(file, pending={**file.pending, key: text})

    # -- steps --------------------------------------------------------------------------------------------------

    async def _do_rename(self, ctx: StepContext, volid: str, renamed: str) -> None:
        await self._rename(volid, renamed)

    async def _undo_rename(self, ctx: StepContext, volid: str, renamed: str) -> None:
        await self._rename(renamed, volid)

    async def _rename(self, old: str, new: str) -> None:
        driver, volume = self._storages.of(old)
        await cast(FileStorage, driver).rename(volume, VolumeId.parse(new))


def _without(file: GuestFile, key: str) -> GuestFile:
    return dataclasses.replace(file, current={k: v for k, v in file.current.items() if k != key})
