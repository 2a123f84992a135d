"""The volumes of a clone: which are shared with a template, which are copied, which are made anew. Plans only.

linked   a new image that stores what differs from the template's base image
full     a copy; of a running guest, a mirror that is ended at one moment (`services.clones.live`)
anew     a cloud-init medium, in either case: it carries the clone's own documents
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

from tarmac.model.disk import TpmState, Volume
from tarmac.model.errors import Fix, NeedsStop
from tarmac.model.job import PlannedStep
from tarmac.model.parse import split_property_string
from tarmac.model.vm_clone import CloneDraft, is_cloudinit
from tarmac.services.cloudinit.cloudinit import CloudInit
from tarmac.services.configuration.disk_plans import OF_THE_MAKING, drive_text
from tarmac.services.storage.storages import Storages
from tarmac.services.storage.volume_plans import NewVolume, VolumePlans


class Manner(enum.StrEnum):
    """How a clone's disks come about: on the template's, by copying what nobody writes to, by mirroring a running
    guest."""

    LINKED = "linked"
    COPIED = "copied"
    MIRRORED = "mirrored"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a caller wants of a clone's disks. `storage` and `format` None: as the source's; `snapshot`: of which point
    in time; `speed`: how many bytes a second a copy may take, 0 for no limit; `coming`: base images that are still to
    be made, with their sizes."""

    manner: Manner
    storage: str | None = None
    format: str | None = None
    snapshot: str | None = None
    speed: int = 0
    coming: Mapping[str, int] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class ClonedDisks:
    """The steps that make the volumes, the clone's texts with them, and for a mirror the target of each disk and what
    filling all of them takes of storages."""

    texts: dict[str, str]
    steps: list[PlannedStep] = field(default_factory=list)
    mirrors: dict[str, str] = field(default_factory=dict)
    filling: dict[str, int] = field(default_factory=dict)


class CloneDisks:
    """Plans the volumes of one clone at a time."""

    def __init__(self, *, storages: Storages, plans: VolumePlans, cloudinit: CloudInit) -> None:
        self._storages = storages
        self._plans = plans
        self._cloudinit = cloudinit

    async def prepare(self, vmid: int, draft: CloneDraft, wish: Wish) -> ClonedDisks:
        """Everything that `vmid` needs. Raises InvalidInput (`Linked clone feature for '...' is not available`, a
        storage or format that cannot be), NotFound for a volume that is gone."""
        found = ClonedDisks(texts=dict(draft.texts))
        taken: list[str] = []
        for key, volume in draft.volumes.items():
            made = await self._one(vmid, key, volume, wish, taken)
            found.steps.append(made.step)
            taken.append(made.volid)
            for id, size in made.filling.items():
                found.filling[id] = found.filling.get(id, 0) + size
            if wish.manner is Manner.MIRRORED and not is_cloudinit(volume):
                found.mirrors[key] = made.volid
            options = split_property_string(type(volume), draft.texts[key])
            kept = {name: text for name, text in options.items() if name not in OF_THE_MAKING}
            size = (volume.size_bytes if wish.snapshot else None) or made.size
            found.texts[key] = drive_text(made.volid, kept, size)
        return found

    async def _one(self, vmid: int, key: str, volume: Volume, wish: Wish, taken: list[str]) -> NewVolume:
        if is_cloudinit(volume):
            storage = wish.storage or volume.storage or ""
            return await self._cloudinit.plan_medium(vmid, key, storage)
        if wish.manner is Manner.LINKED and not isinstance(volume, TpmState):  # swtpm reads no layers
            return await self._plans.plan_clone(vmid, volume.file, taken=taken, coming=wish.coming.get(volume.file))
        if wish.manner is Manner.MIRRORED and isinstance(volume, TpmState):
            raise NeedsStop(
                "cannot clone TPM state while VM is running",
                code="tpm-running",
                cause="the emulated TPM has its state open as long as the guest runs",
                evidence=f"{key}: {volume.file}",
                fixes=[Fix(text="clone the guest when it is off")],
            )
        where = {"storage": wish.storage, "format": wish.format}
        if wish.manner is Manner.MIRRORED:
            return await self._plans.plan_mirror(vmid, volume.file, **where, taken=taken)
        return await self._plans.plan_copy(
            vmid, volume.file, snapshot=wish.snapshot, speed=wish.speed, **where, taken=taken
        )

    def storages_of(self, draft: CloneDraft, storage: str | None) -> list[str]:
        """The storages on which the clone takes space."""
        return sorted({storage or volume.storage or "" for volume in draft.volumes.values()})
