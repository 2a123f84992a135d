"""Templates: a guest whose disks become base images that nothing changes, so that clones can stand on them.

`qmtemplate` renames each volume (`vm-9000-disk-0` becomes `base-9000-disk-0`), guards it against writing, and only then
writes the configuration that names them. Which clones came from which state of a template is kept with each clone
(`Guest.origin`), whether they still share blocks with it or not.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from tarmac.model.disk import Volume
from tarmac.model.errors import InvalidInput, NeedsStop, WrongState
from tarmac.model.job import Plan, PlannedStep, Started
from tarmac.model.parse import split_property_string
from tarmac.model.vm_clone import is_cloudinit, volumes_of
from tarmac.services.access.access import Access, Identity
from tarmac.services.configuration.steps import put_step
from tarmac.services.guests.guests import Guest, Guests
from tarmac.services.guests.work import submit_for_guest
from tarmac.services.jobs.jobs import Jobs
from tarmac.services.jobs.steps import Registry
from tarmac.services.storage.storages import Storages
from tarmac.services.storage.volumes import Volumes


class Templates:
    """`make` turns a guest into a template; `clones` lists what came from one."""

    def __init__(
        self,
        *,
        guests: Guests,
        jobs: Jobs,
        access: Access,
        storages: Storages,
        volumes: Volumes,
        registry: Registry,
    ) -> None:
        self._guests = guests
        self._jobs = jobs
        self._access = access
        self._storages = storages
        self._volumes = volumes
        registry.kind("qmtemplate", self._plan)

    async def make(self, identity: Identity, vmid: int, *, disk: str | None = None, dryrun: bool = False) -> Started:
        """`POST template`: the whole guest, or of its disks only `disk`. Returns the task, or the plan.

        Raises in Proxmox's words NeedsStop for a guest that runs, WrongState for one that has snapshots, or is a
        template already."""
        args = {"vmid": vmid, "disk": disk}
        self._guests.get(vmid)
        if dryrun:
            return await self._jobs.plan("qmtemplate", args)
        if self._jobs.lock_of(f"guest/{vmid}") is None:
            await self._plan(args)
        return await submit_for_guest(self._jobs, "qmtemplate", vmid, user=identity.name, args=args)

    async def _plan(self, args: Mapping[str, Any]) -> Plan:
        guest, disk = self._guests.get(args["vmid"]), args["disk"]
        wanted = {key: v for key, v in volumes_of(guest.config).items() if self._convertible(v)}
        if disk is not None and disk not in volumes_of(guest.config):
            raise InvalidInput.of("disk", f"disk '{disk}' does not exist, or has nothing that a clone could share")
        self._check(guest, wanted, disk, runs=guest.runs(args))
        if disk is not None:
            wanted = {key: v for key, v in wanted.items() if key == disk}
        steps, texts = self._turned(guest, wanted)
        file = dataclasses.replace(guest.file, current=texts)
        put = put_step(guest, file, f"make guest {guest.vmid} a template")
        row = {"key": "template", "new": "1", "when": "now"}
        effects = (f"guest {guest.vmid} can no longer be started, only cloned",)
        return Plan(steps=(*steps, put), effects=effects, changes=() if guest.template else (row,))

    def base_steps(self, guest: Guest) -> tuple[list[PlannedStep], dict[str, str]]:
        """The steps that turn a guest's disks into base images, and its texts with them."""
        return self._turned(guest, {k: v for k, v in volumes_of(guest.config).items() if self._convertible(v)})

    def _turned(self, guest: Guest, wanted: Mapping[str, Volume]) -> tuple[list[PlannedStep], dict[str, str]]:
        steps, texts = list[PlannedStep](), {**guest.file.current, "template": "1"}
        for key, volume in wanted.items():
            base = self._volumes.base_of(volume.file)
            args = {"volid": volume.file, "gid": guest.uid}
            steps.append(PlannedStep(step="volume-make-base", title=f"turn {volume.file} into {base}", args=args))
            texts[key] = _with_volume(volume, texts[key], base)
        return steps, texts

    def _convertible(self, volume: Volume) -> bool:
        """Disks that stand on a storage without linked clones stay as they are, as in Proxmox."""
        if is_cloudinit(volume) or self._volumes.is_base(volume.file):
            return False
        driver, _ = self._storages.of(volume.file)
        return driver.capabilities.linked_clones

    @staticmethod
    def _check(guest: Guest, wanted: Mapping[str, Volume], disk: str | None, *, runs: bool) -> None:
        if guest.file.snapshots:
            raise WrongState(
                "unable to create template, because VM contains snapshots",
                code="template-has-snapshots",
                cause="a base image must be one image that never changes",
                evidence=", ".join(guest.file.snapshots),
            )
        if guest.template and not wanted and disk is None:
            raise WrongState("you can't convert a template to a template", code="template-already")
        if runs:
            raise NeedsStop(
                "you can't convert a VM to template if VM is running",
                code="template-running",
                cause="its disks must not change any more",
                evidence=f"state: {guest.state}",
            )

    # -- clones -------------------------------------------------------------------------------------------------

    def clones(self, identity: Identity, vmid: int) -> list[dict[str, Any]]:
        """The guests that came from this one and that the caller may see, by number.

        `linked`: they share blocks with it; `current`: it has not changed since they were made (`version` is the digest
        of its configuration then). Raises NotFound."""
        source = self._guests.get(vmid)
        allowed = self._access.filter(identity, "/vms/{}", ("VM.Audit",))
        rows = [self._row(source, guest) for guest in self._guests if allowed(guest.vmid) and guest is not source]
        return sorted((row for row in rows if row is not None), key=lambda row: int(row["vmid"]))

    def _row(self, source: Guest, guest: Guest) -> dict[str, Any] | None:
        linked = [volid for volid in guest.config.volumes.values() if self._volumes.stands_on(volid) == source.vmid]
        origin = guest.origin if guest.origin and guest.origin["vmid"] == source.vmid else None
        if not linked and origin is None:
            return None
        row: dict[str, Any] = {"vmid": guest.vmid, "name": guest.name, "linked": int(bool(linked))}
        if linked:
            row["volumes"] = linked
        if origin is not None:
            row |= {
                "version": origin["digest"],
                "current": int(origin["digest"] == source.digest),
                "source-name": origin["name"],
                "cloned": origin["time"],
            }
            if origin.get("snapshot"):
                row["snapshot"] = origin["snapshot"]
        return row


def _with_volume(volume: Volume, text: str, volid: str) -> str:
    """A drive's text with another volume, its options as they were."""
    parts = split_property_string(type(volume), text)
    parts.pop("file")
    return ",".join([volid, *(f"{k}={v}" for k, v in parts.items())])
