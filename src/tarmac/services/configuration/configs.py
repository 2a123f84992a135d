"""A guest's configuration through its whole use: shown, changed, waiting, reverted.

A change is a job (`qmconfig`) like everything that touches a guest: it waits its turn, is planned by the pure
`model.vm_change`, allocates what it needs, writes the configuration, and only then gives up what nothing refers to.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from tarmac.model.conf_file import GuestFile
from tarmac.model.digest import OF_A_GUEST, check_digest
from tarmac.model.errors import Fix, InvalidInput, WrongState
from tarmac.model.job import Plan, PlannedStep, Started
from tarmac.model.lifecycle import State
from tarmac.model.snapshots import check_not_kept, section
from tarmac.model.vm import HOST, VmConfig
from tarmac.model.vm_change import (
    ON_MEDIUM,
    Change,
    Late,
    apply_pending,
    change_config,
    is_cloudinit_key,
    is_device,
)
from tarmac.model.vm_privileges import bridges_of, needed_privileges, reaches_host
from tarmac.model.vm_rules import check_change
from tarmac.services.access.access import Access, Identity
from tarmac.services.configuration.disk_plans import DiskPlans
from tarmac.services.configuration.steps import ConfigSteps, put_step
from tarmac.services.configuration.storage_rights import StorageRights
from tarmac.services.configuration.tags import TagRules
from tarmac.services.configuration.values import refuse_internal, shown, shown_value, without_secrets
from tarmac.services.guests.birth_marks import completed
from tarmac.services.guests.guests import Guest, Guests
from tarmac.services.guests.work import submit_for_guest
from tarmac.services.jobs.jobs import Jobs
from tarmac.services.jobs.steps import Registry
from tarmac.services.running.live_changes import VmLive, touches_guest
from tarmac.services.storage.volume_steps import free_step
from tarmac.services.storage.volumes import Volumes, base_in_use


class VmConfigs:
    """Reads and changes configurations. Who may change which key is decided key by key (`check_keys`)."""

    def __init__(
        self,
        *,
        guests: Guests,
        jobs: Jobs,
        access: Access,
        disks: DiskPlans,
        live: VmLive,
        volumes: Volumes,
        storage_rights: StorageRights,
        tags: TagRules,
        zone_of: Callable[[str], str | None],
        registry: Registry,
    ) -> None:
        self._guests = guests
        self._storage_rights = storage_rights
        self._tags = tags
        self._zone_of = zone_of
        self._jobs = jobs
        self._access = access
        self._disks = disks
        self._live = live
        self._volumes = volumes
        ConfigSteps(guests=guests, live=live, registry=registry)
        registry.kind("qmconfig", self._plan_update, recover="undo")

    # -- reading ------------------------------------------------------------------------------------------------

    def show(self, vmid: int, *, current: bool = False, snapshot: str | None = None) -> dict[str, Any]:
        """The configuration with its `digest`; what is pending is merged in unless `current`. Types as Proxmox gives
        them: integers and booleans are numbers, everything else is text."""
        guest = self._guests.get(vmid)
        if snapshot is not None:
            texts = section(guest.file, snapshot)
        else:
            texts = guest.file.current if current else guest.file.merged()
        return {**shown(texts), "digest": guest.digest}

    def pending(self, vmid: int) -> list[dict[str, Any]]:
        """Every key with its active value and what waits: `pending` (new value) or `delete` (1; 2 by force)."""
        guest = self._guests.get(vmid)
        file = guest.file
        rows = []
        for key in sorted({*file.current, *file.pending}):
            row: dict[str, Any] = {"key": key}
            if key in file.current:
                row["value"] = shown_value(key, file.current[key])
            if key in file.pending:
                row["pending"] = shown_value(key, file.pending[key])
            if key in file.pending_delete:
                row["delete"] = 2 if file.pending_delete[key] else 1
            rows.append(row)
        rows.append({"key": "digest", "value": guest.digest})
        return rows

    # -- changing -----------------------------------------------------------------------------------------------

    async def update(
        self,
        identity: Identity,
        vmid: int,
        texts: Mapping[str, str],
        *,
        delete: Iterable[str] = (),
        revert: Iterable[str] = (),
        digest: str | None = None,
        force: bool = False,
        dryrun: bool = False,
    ) -> Started:
        """Set, delete and revert keys; returns the UPID of `qmconfig`, or the plan. `force`: disks that are deleted
        lose their volumes, too.

        Raises InvalidInput (wrong value, unbuilt or internal key), Denied (by key), Conflict for another `digest`."""
        guest = self._guests.get(vmid)
        check_digest(digest, guest.digest, words=OF_A_GUEST, read="GET .../config")
        deletes, reverts = list(delete), list(revert)
        if not texts and not deletes and not reverts:
            raise WrongState("no options specified", code="nothing-to-change")
        before = guest.file.merged()
        self.check_keys(identity, vmid, [*texts, *deletes, *reverts], texts=(before, texts))
        self.check_values(identity, vmid, texts)
        self.check_bridges(identity, {key: text for key, text in before.items() if key in (*texts, *deletes)})
        if "tags" in (*texts, *deletes):
            self._tags.check(identity, before.get("tags", ""), texts.get("tags", ""))
        refuse_internal(texts)
        args = {
            "vmid": vmid,
            "texts": await without_secrets(texts),
            "delete": deletes,
            "revert": reverts,
            "digest": digest,
            "force": force,
        }
        if dryrun:
            return await self._jobs.plan("qmconfig", args)
        await self._change(guest, args)
        return await submit_for_guest(self._jobs, "qmconfig", vmid, user=identity.name, args=args)

    def check_keys(
        self,
        identity: Identity,
        vmid: int,
        keys: Iterable[str],
        *,
        pool: str | None = None,
        texts: Collection[Mapping[str, str]] = (),
    ) -> None:
        """Each key's own privilege, on the guest, or on the `pool` in which it is about to be made. `texts`: the values
        before and after, for keys whose privilege depends on them. Raises Denied."""
        groups: dict[tuple[str, ...], None] = {}
        for key in keys:
            known = [values[key] for values in texts if key in values]
            for text in known or (None,):
                groups |= dict.fromkeys(needed_privileges(key, text))
        for group in groups:
            if group == (HOST,):
                self._access.check(identity, "/", group)
            elif not (pool and self._access.allowed(identity, f"/pool/{pool}", group, any=True)):
                self._access.check(identity, f"/vms/{vmid}", group, any=True)

    def check_host(self, identity: Identity, texts: Mapping[str, str]) -> None:
        """What reaches the host comes by a clone or a snapshot only to whom might set it. Raises Denied."""
        if any(reaches_host(key, text) for key, text in texts.items()):
            self._access.check(identity, "/", [HOST])

    def check_bridges(self, identity: Identity, texts: Mapping[str, str]) -> None:
        """`SDN.Use` on the bridges, and their VLANs, on which the network cards of `texts` hang. Raises Denied.

        Source: check_bridge_access of PVE::QemuServer."""
        for path in sorted({path for key, text in texts.items() for path in bridges_of(key, text, self._zone_of)}):
            self._access.check(identity, path, ["SDN.Use"])

    def check_values(
        self, identity: Identity, vmid: int, texts: Mapping[str, str], *, default_storage: str | None = None
    ) -> None:
        """What the values need beside their keys' privileges: rights on the storages and bridges that they name. Raises
        Denied."""
        self.check_bridges(identity, texts)
        self._storage_rights.check(identity, vmid, texts, default_storage=default_storage)

    def check_tags(self, identity: Identity, tags: str) -> None:
        """Whether the caller may give a new guest these tags. Raises Denied."""
        self._tags.check(identity, "", tags)

    async def _plan_update(self, args: Mapping[str, Any]) -> Plan:
        guest = self._guests.get(args["vmid"])
        check_digest(args["digest"], guest.digest, words=OF_A_GUEST, read="GET .../config")
        change, disk_steps = await self._change(guest, args)
        new = _with_sections(guest.file, change)
        put = put_step(guest, new, f"write the configuration of guest {guest.vmid}")
        live = self._live_step(guest, change)
        frees = [free_step(volid) for volid in change.freed]
        before = guest.file.current
        steps = (*disk_steps, *live, put, *frees)
        return Plan(steps=steps, effects=change.effects(before), changes=change.rows(before))

    async def _change(self, guest: Guest, args: Mapping[str, Any]) -> tuple[Change, list[PlannedStep]]:
        """What the change makes of the configuration; raises InvalidInput for every rule it breaks."""
        texts = completed(args["texts"], self._guests.mac_prefix())
        steps, texts = await self._disks.prepare(guest.vmid, texts, guest.config.volumes.values())
        planned = [step.args["volid"] for step in steps]
        live, reasons = await self._live_keys(guest, texts, args["delete"], planned)
        change = change_config(
            current=guest.file.current,
            pending=guest.file.pending,
            pending_delete=guest.file.pending_delete,
            running=guest.state is not State.STOPPED,
            set_=texts,
            delete=args["delete"],
            revert=args["revert"],
            live_keys=live,
            reasons=reasons,
            force=args.get("force", False),
        )
        later = apply_pending(change.current, {}, change.pending_delete).freed
        check_not_kept(guest.file, [*change.freed, *later])
        new = _with_sections(guest.file, change)
        merged = new.merged()
        check_change(VmConfig.parse(merged), texts)
        self._guests.check_beside(guest.vmid, new)
        await self._check_template(guest, merged, change.freed)
        return change, steps

    async def _check_template(self, guest: Guest, merged: Mapping[str, str], freed: Iterable[str]) -> None:
        """A template with base images stays one, and none of them goes while clones stand on it."""
        for volid in freed:
            if clones := await self._volumes.clones_of(volid):
                raise base_in_use(volid, [str(clone) for clone in clones])
        if guest.template and not VmConfig.parse(merged).template:
            bases = [volid for volid in guest.config.volumes.values() if self._volumes.is_base(volid)]
            if bases:
                raise InvalidInput.of(
                    "template",
                    "a template cannot become an ordinary guest again: clones may stand on its disks",
                    fixes=[Fix(text="make a full clone of it", action=f"POST .../qemu/{guest.vmid}/clone")],
                )

    async def _live_keys(
        self, guest: Guest, texts: Mapping[str, str], delete: Iterable[str], planned: Collection[str]
    ) -> tuple[list[str], dict[str, Late]]:
        """The disks and network cards that can be changed, plugged or unplugged in the running guest, and why others,
        and what it reads from its cloud-init medium, are not in force at once."""
        live, reasons = list[str](), dict[str, Late]()
        if guest.state is State.STOPPED:
            return live, reasons
        wanted: dict[str, str | None] = {**texts, **dict.fromkeys(delete)}
        medium = any(disk.is_cloudinit for disk in guest.config.disks.values())
        for key, text in wanted.items():
            if is_device(key):
                new = {k: v for k, v in {**guest.file.current, key: text}.items() if v is not None}
                if obstacle := await self._live.obstacle(guest, key, new, planned):
                    reasons[key] = obstacle
                else:
                    live.append(key)
            elif medium and is_cloudinit_key(key):
                reasons[key] = ON_MEDIUM
        return live, reasons

    @staticmethod
    def _live_step(guest: Guest, change: Change) -> list[PlannedStep]:
        keys = [key for key in change.live if touches_guest(key)]
        if guest.state is State.STOPPED or not keys:
            return []
        old = dict(guest.file.current)
        new = {k: v for k, v in old.items() if k not in keys} | {k: v for k, v in change.current.items() if k in keys}
        title = f"change {', '.join(keys)} in the running guest"
        return [PlannedStep(step="guest-live", title=title, args={"vmid": guest.vmid, "old": old, "new": new})]


def _with_sections(file: GuestFile, change: Change) -> GuestFile:
    """A configuration file with the sections that a change made."""
    return dataclasses.replace(
        file, current=change.current, pending=change.pending, pending_delete=change.pending_delete
    )
