"""Moving a cloud-init medium: it is copied, put into the guest's drive in the place of the old one, and the old one
goes, for its contents are made from the configuration anyway. Plans only."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from tarmac.model.disk import Disk
from tarmac.model.errors import Fix, NeedsStop
from tarmac.model.job import Plan, PlannedStep
from tarmac.model.parse import split_property_string
from tarmac.services.cloudinit.cloudinit import CloudInit
from tarmac.services.configuration.disk_plans import drive_text
from tarmac.services.configuration.steps import put_step
from tarmac.services.guests.guests import Guest
from tarmac.services.running.live_changes import VmLive
from tarmac.services.storage.storages import Storages
from tarmac.services.storage.volume_steps import free_step


class MediumMoves:
    """`plan` is a part of `qmmove`."""

    def __init__(self, *, storages: Storages, cloudinit: CloudInit, live: VmLive) -> None:
        self._storages = storages
        self._cloudinit = cloudinit
        self._live = live

    async def plan(self, guest: Guest, key: str, medium: Disk, args: Mapping[str, Any]) -> Plan:
        """Raises NeedsStop for a running guest whose drive cannot take another medium now, InvalidInput, NotFound."""
        driver, volume = self._storages.of(medium.file)
        format = args["format"]
        if format is None:
            format = driver.parse(volume).format
            able = self._storages.get(args["storage"]).capabilities.formats
            format = format if format in able else None
        made = await self._cloudinit.plan_medium(guest.vmid, key, args["storage"], format)
        copied = {"volid": made.volid, "source": medium.file, "speed": args["speed"]}
        steps = [PlannedStep(step="volume-copy", title=f"copy {medium.file} to {made.volid}", args=copied)]
        options = split_property_string(Disk, guest.file.current[key])
        options.pop("file")
        current = {**guest.file.current, key: drive_text(made.volid, options, made.size)}
        if guest.runs(args):
            steps.append(await self._exchange(guest, key, current, made.volid))
        steps.append(put_step(guest, dataclasses.replace(guest.file, current=current), f"let {key} be {made.volid}"))
        changes = ({"key": key, "old": medium.file, "new": made.volid, "when": "now"},)
        if any(medium.file in " ".join(texts.values()) for texts in guest.file.snapshots.values()):
            return Plan(steps=tuple(steps), effects=(f"{medium.file} stays: snapshots name it",), changes=changes)
        steps.append(free_step(medium.file))
        effects = (f"{medium.file} is removed: it is made from the configuration",)
        return Plan(steps=tuple(steps), effects=effects, changes=changes)

    async def _exchange(self, guest: Guest, key: str, current: Mapping[str, str], volid: str) -> PlannedStep:
        if await self._live.obstacle(guest, key, current, [volid]) is not None:
            raise NeedsStop(
                f"the medium of {key} cannot be exchanged in the running guest",
                code="medium-locked",
                cause="its drive takes no other medium while it runs",
                evidence=f"{key}: {guest.file.current[key]}",
                fixes=[Fix(text="move it when the guest is off")],
            )
        args = {"vmid": guest.vmid, "old": dict(guest.file.current), "new": dict(current)}
        return PlannedStep(step="guest-live", title=f"exchange the medium of {key} in the running guest", args=args)
