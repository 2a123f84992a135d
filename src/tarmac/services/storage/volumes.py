"""Volumes: made, grown and removed; who owns them; what QEMU must know of them. Their steps: `volume_steps.py`.

Plans choose the names, so that a step that is repeated or undone after a crash means the same volume. A volume goes
only when nothing refers to it: no configuration, no snapshot, no linked clone.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from tarmac.drivers.qemu.facts import VolumeFacts
from tarmac.drivers.storage.base import Storage
from tarmac.drivers.storage.jail import Jail
from tarmac.drivers.storage.values import Layer, NewImage, Owner, VolumeInfo
from tarmac.drivers.storage.volume_names import Content, base_name
from tarmac.model.conf_file import GuestFile
from tarmac.model.disk import Volume
from tarmac.model.errors import Busy, Conflict, Fix, InvalidInput, NotFound, TarmacError, WrongState
from tarmac.model.ids import VolumeId
from tarmac.model.job import Plan, Started
from tarmac.model.units import GIB, KIB, MIB
from tarmac.model.vm import VmConfig
from tarmac.services.jobs.jobs import Jobs
from tarmac.services.jobs.steps import Registry
from tarmac.services.storage.storages import Storages
from tarmac.services.storage.volume_plans import NewVolume, VolumePlans, check_allocates
from tarmac.services.storage.volume_steps import VolumeSteps, free_step

log = logging.getLogger(__name__)
References = Callable[[str], Sequence[int]]
__all__ = ["NewVolume", "Volumes"]
_SIZE = re.compile(r"(\d{1,15})([MG]?)")
_UNITS = {"": KIB, "M": MIB, "G": GIB}


class OwnedGuest(Protocol):
    """As much of a guest as its volumes need."""

    @property
    def vmid(self) -> int: ...
    @property
    def file(self) -> GuestFile: ...


class Volumes:
    """`references(volid)` names the guests whose configuration or snapshots refer to a volume; `plans` makes
    the steps for new ones."""

    def __init__(
        self,
        *,
        storages: Storages,
        jail: Jail,
        jobs: Jobs,
        registry: Registry,
        references: References,
    ) -> None:
        self._storages = storages
        self.plans = VolumePlans(storages=storages, jail=jail)
        self._jobs = jobs
        self._references = references
        VolumeSteps(storages=storages, registry=registry, check_unused=self._check_unused)
        registry.kind("imgdel", self._plan_delete, recover="resume")

    # -- for plans ----------------------------------------------------------------------------------------------

    async def plan_disk(
        self, vmid: int, key: str, disk: Volume, *, taken: Collection[str] = (), default_storage: str | None = None
    ) -> NewVolume:
        """See `VolumePlans.plan_disk`."""
        return await self.plans.plan_disk(vmid, key, disk, taken=taken, default_storage=default_storage)

    async def plan_filled(
        self, vmid: int, storage: str, template: Path, size: int, *, format: str, taken: Collection[str] = ()
    ) -> NewVolume:
        """See `VolumePlans.plan_filled`."""
        return await self.plans.plan_filled(vmid, storage, template, size, format=format, taken=taken)

    async def info(self, volid: VolumeId) -> VolumeInfo:
        """One volume, read now. Raises NotFound, InvalidInput."""
        driver, _ = self._storages.of(volid)
        return await driver.info(volid)

    async def resize(self, volid: VolumeId, size: int) -> None:
        """Grow an image that no guest runs on. Raises InvalidInput (`shrinking disks is not supported`), NotFound."""
        driver, _ = self._storages.of(volid)
        await driver.resize(volid, size)

    # -- content calls ------------------------------------------------------------------------------------------

    async def create(self, storage: str, vmid: int, filename: str, size: str, format: str | None = None) -> str:
        """`POST content`: a volume with exactly this name, now; `size` in KiB, or with `M` or `G`. Returns its id.

        Raises InvalidInput, Conflict (`disk image '...' already exists`), NoSpace."""
        match = _SIZE.fullmatch(size)
        if match is None:
            raise InvalidInput.of("size", "value does not match the regex pattern")
        driver = self._storages.get(storage, Content.IMAGES)
        check_allocates(driver)
        ending = filename.rpartition(".")[2] if "." in filename else None
        if ending in ("raw", "qcow2", "vmdk"):
            if format is not None and format != ending:
                raise InvalidInput.of("format", f"different storage formats ({format} != {ending})")
            format = ending
        bytes_ = int(match[1]) * _UNITS[match[2]]
        chosen = self.plans.format_of(driver, format)
        takes = self.plans.growing(driver.id, bytes_, chosen).get(driver.id, 0)
        async with self._storages.space.held(driver, f"allocation of {filename}", takes):
            made = await driver.allocate(NewImage(vmid, chosen, name=filename), size=bytes_)
        return str(made)

    async def delete(self, user: str, volid: str, *, dryrun: bool = False) -> Started:
        """`DELETE content/{volume}`: returns the task. Raises NotFound, Conflict while something refers to it."""
        driver, parsed = self._storages.of(volid)
        check_allocates(driver, "free space")
        await driver.info(parsed)
        await self._check_unused(driver, parsed)
        args = {"volid": volid}
        if dryrun:
            return await self._jobs.plan("imgdel", args)
        return await self._jobs.submit("imgdel", id=parsed.storage, user=user, args=args, queues=[f"volume/{volid}"])

    async def _plan_delete(self, args: Mapping[str, Any]) -> Plan:
        volid = args["volid"]
        return Plan(steps=(free_step(volid),), effects=(f"{volid} is lost",))

    # -- guests -------------------------------------------------------------------------------------------------

    async def owned(self, guest: OwnedGuest, *, unreferenced: bool = False) -> list[str]:
        """The volumes that go with a guest: those of its own that its configuration or snapshots name; with
        `unreferenced` also such as nothing names. Never ISO images or other guests' disks."""
        found: dict[str, None] = {}
        sections = (guest.file.current, guest.file.pending, *guest.file.snapshots.values())
        for text in (text for section in sections for text in section.values()):
            volid = text.split(",", 1)[0].removeprefix("file=").removeprefix("volume=")
            if self.owner(volid) == guest.vmid:
                found[volid] = None
        if unreferenced:
            for volume in await self._everywhere(guest.vmid):
                found[str(volume.volid)] = None
        return [volid for volid in found if not set(self._references(volid)) - {guest.vmid}]

    async def _everywhere(self, vmid: int) -> list[VolumeInfo]:
        """A guest's images on all storages that answer; one that does not keeps nobody from removing the guest, and
        what lies there shows up among the orphans."""
        found: list[VolumeInfo] = []
        for driver in self._storages.usable():
            try:
                if (known := self._storages.probe[driver.id].problem) is not None:
                    raise known
                found += await driver.list(Content.IMAGES, vmid)
            except TarmacError as problem:
                log.warning("a storage was not searched", extra={"storage": driver.id, "problem": problem.message})
        return found

    async def clones_of(self, volid: str) -> list[VolumeId]:
        """The images that stand on this one: the linked clones of a base image, whoever's they are."""
        driver, parsed = self._storages.of(volid)
        name = driver.parse(parsed)
        if not name.is_base:
            return []
        images = await driver.list(Content.IMAGES)
        return [v.volid for v in images if driver.parse(v.volid).base == (name.vmid, name.file)]

    def is_base(self, volid: str) -> bool:
        """Whether a volume id is that of a template's image."""
        driver, parsed = self._storages.of(volid)
        return driver.parse(parsed).is_base

    def base_of(self, volid: str) -> str:
        """What an image will be called as a base image."""
        driver, parsed = self._storages.of(volid)
        return str(VolumeId(driver.id, str(base_name(driver.parse(parsed)))))

    def stands_on(self, volid: str) -> int | None:
        """The guest on whose base image a linked clone stands, by its name; None for what is none."""
        try:
            driver, parsed = self._storages.of(volid)
            base = driver.parse(parsed).base
        except (InvalidInput, NotFound, WrongState):
            return None
        return base[0] if base is not None else None

    def owner(self, volid: str) -> int | None:
        """The guest to which a disk image belongs, by its name; None for what is none."""
        try:
            driver, parsed = self._storages.of(volid)
            name = driver.parse(parsed)
        except (InvalidInput, NotFound):
            return None
        return name.vmid if name.content is Content.IMAGES else None

    async def facts(self, config: VmConfig, *, planned: Collection[str] = ()) -> dict[str, VolumeFacts]:
        """Where QEMU finds the volumes of a configuration, with everything below them, by volume id. Those that are
        only `planned` are described as they will be.

        Raises NotFound (`volume '...' does not exist`), DataCorrupt for an image that points elsewhere."""
        found = {}
        for volid in dict.fromkeys(config.volumes.values()):
            driver, parsed = self._storages.of(volid)
            name = driver.parse(parsed)
            if volid in planned:
                found[volid] = chain_facts([driver.planned(parsed)])
                continue
            read_only = name.content is not Content.IMAGES or name.is_base
            found[volid] = chain_facts(await driver.layers(parsed), read_only=read_only)
        return found

    async def own(self, config: VmConfig, uid: int | None) -> frozenset[int]:
        """Let a guest's user open its volumes, before each start; returns the groups that its process must be in to
        read its templates' disks. Nothing to do without a user of its own."""
        groups: set[int] = set()
        if uid is None:
            return frozenset()
        for volid in dict.fromkeys(config.volumes.values()):
            driver, parsed = self._storages.of(volid)
            groups |= await driver.give(parsed, Owner(uid=uid, gid=uid))
        return frozenset(groups)

    async def _check_unused(self, driver: Storage, volid: VolumeId) -> None:
        users = self._references(str(volid))
        if users:
            raise Conflict(
                f"volume '{volid}' is still in use",
                code="volume-in-use",
                cause="a configuration or a snapshot refers to it",
                evidence="guests " + ", ".join(map(str, users)),
                fixes=[Fix(text="detach it there and remove the `unused` entry")],
            )
        if clones := await self.clones_of(str(volid)):
            raise base_in_use(str(volid), [str(clone) for clone in clones])


def base_in_use(volid: str, users: Sequence[str]) -> Busy:
    """The error for a base image with clones; `users` name them."""
    return Busy(
        f"base volume '{volid}' is still in use by linked cloned",  # Proxmox's words, to the letter
        code="volume-is-base",
        cause="linked clones store only what differs from it",
        evidence=", ".join(users[:20]) + (f" and {len(users) - 20} more" if len(users) > 20 else ""),
        fixes=[Fix(text="remove the clones first, or flatten them: move their disks to make them full copies")],
    )


def chain_facts(layers: Sequence[Layer], *, read_only: bool = False) -> VolumeFacts:
    """A chain as a launch needs to know it: only its top may be written, unless `read_only`."""
    below = None
    for layer in reversed(layers):
        top = layer is layers[0]
        below = VolumeFacts(
            path=str(layer.path),
            format=layer.format,
            read_only=read_only or not top,
            absorbs=not read_only and not top and layer.snapshot is not None and not layer.held,
            direct=layer.direct,
            backing=below,
            identity=layer.identity,
            protocol=layer.protocol,
        )
    assert below is not None
    return below
