"""Growing disks, of stopped and running guests."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from typing import Any

from tarmac.drivers.qemu.argv.blockdev import top_node
from tarmac.model.digest import OF_A_GUEST, check_digest
from tarmac.model.errors import Fix, InvalidInput, WrongState
from tarmac.model.job import Plan, PlannedStep, Started
from tarmac.model.parse import split_property_string
from tarmac.model.settings import find_setting
from tarmac.model.units import human_size, parse_size
from tarmac.model.vm import VmConfig
from tarmac.services.access.access import Identity
from tarmac.services.configuration.disk_plans import drive_text
from tarmac.services.configuration.steps import put_step
from tarmac.services.guests.guests import Guests
from tarmac.services.guests.work import submit_for_guest
from tarmac.services.jobs.jobs import Jobs
from tarmac.services.jobs.steps import Registry, StepContext
from tarmac.services.running.runtime import Runtime
from tarmac.services.storage.storages import Storages
from tarmac.services.storage.volume_plans import check_allocates

_SECTOR = 512


class DiskResize:
    """`resize`: absolute or `+` sizes become one absolute size in the plan, so a repeated step grows nothing twice."""

    def __init__(self, *, guests: Guests, jobs: Jobs, runtime: Runtime, storages: Storages, registry: Registry) -> None:
        self._guests = guests
        self._jobs = jobs
        self._runtime = runtime
        self._storages = storages
        registry.step("disk-resize", self._do_resize)
        registry.kind("resize", self._plan_resize, recover="resume")

    async def resize(
        self, identity: Identity, vmid: int, disk: str, size: str, *, digest: str | None = None, dryrun: bool = False
    ) -> Started:
        """Grow a disk. Raises InvalidInput, WrongState (`shrinking disks is not supported`), Conflict (`digest`)."""
        guest = self._guests.get(vmid)
        check_digest(digest, guest.digest, words=OF_A_GUEST, read="GET .../config")
        args = {"vmid": vmid, "disk": disk, "size": size}
        plan = await self._plan_resize(args)
        if dryrun:
            return plan
        return await submit_for_guest(self._jobs, "resize", vmid, user=identity.name, args=args)

    async def _plan_resize(self, args: Mapping[str, Any]) -> Plan:
        guest, key = self._guests.get(args["vmid"]), args["disk"]
        disk = guest.config.disks.get(key)
        if disk is None or disk.volume is None:
            raise InvalidInput.of("disk", f"disk '{key}' does not exist")
        if disk.is_cdrom:
            raise InvalidInput.of("disk", f"you can't resize a cdrom ('{key}')")
        if self._storages.of(disk.volume)[0].parse(disk.volume).is_base:
            raise WrongState(
                f"can't resize the base volume '{disk.volume}' of a template",
                code="is-base",
                cause="clones stand on it, so it never changes",
                evidence=f"{key}: {disk.file}",
                fixes=[Fix(text="clone the template and resize the clone's disk")],
            )
        driver, volume = self._storages.of(disk.volume)
        check_allocates(driver, "resize volumes")
        old = (await driver.info(volume)).size
        new = wanted_size(args["size"], old)
        if new < old:
            raise WrongState(
                "shrinking disks is not supported",
                code="disk-shrink",
                cause="what the guest has written beyond the new end would be lost",
                evidence=f"{key} has {human_size(old)}, asked for {human_size(new)}",
            )
        volid = str(disk.volume)
        takes: dict[str, int] = {}
        if guest.process is None and self._storages.definition_record(driver.id).fills_at_once:
            takes = {driver.id: new - old}  # a running guest's QEMU allocates nothing beforehand
            await self._storages.space.check(driver, new - old)
        grow = PlannedStep(
            step="disk-resize",
            title=f"grow {volid} from {human_size(old)} to {human_size(new)}",
            args={"vmid": guest.vmid, "key": key, "volid": volid, "size": new},
            takes=takes,
        )
        current = {**guest.file.current, key: _with_size(key, guest.file.current[key], new)}
        file = dataclasses.replace(guest.file, current=current)
        put = put_step(guest, file, "write the new size into the configuration")
        effects = ("the guest sees the new size at once, its file system does not grow",)
        row = {"key": key, "old": human_size(old), "new": human_size(new), "when": "now"}
        return Plan(steps=(grow, put), effects=effects, changes=(row,))

    async def _do_resize(self, ctx: StepContext, vmid: int, key: str, volid: str, size: int) -> None:
        guest = self._guests.get(vmid)
        driver, volume = self._storages.of(volid)
        if guest.process is None or driver.capabilities.grows_first:
            await driver.resize(volume, size)
        if guest.process is not None:
            await self._runtime.monitor(guest).block_resize(top_node(key), size)


def wanted_size(text: str, old: int) -> int:
    """`+5G` or `32G` as bytes, up to a whole sector. Raises InvalidInput."""
    match = re.fullmatch(r"(\+?)(\d+(?:\.\d+)?[KMGT]?)", text)
    if match is None:
        raise InvalidInput.of("size", "value does not match the regex pattern")
    size = parse_size(match[2]) + (old if match[1] else 0)
    return -(-size // _SECTOR) * _SECTOR


def _with_size(key: str, text: str, size: int) -> str:
    found = find_setting(VmConfig, key)
    assert found is not None
    parts = split_property_string(found[0].python, text)
    return drive_text(parts.pop("file"), parts, size)
