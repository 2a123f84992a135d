"""The steps that change a guest's configuration, in the store and in its running QEMU, and how plans name them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tarmac.model.conf_file import GuestFile
from tarmac.model.job import PlannedStep
from tarmac.model.lifecycle import State
from tarmac.services.guests.guests import Guest, Guests
from tarmac.services.jobs.steps import Registry, StepContext
from tarmac.services.running.live_changes import VmLive


class ConfigSteps:
    """Registered as `config-put` and `guest-live`."""

    def __init__(self, *, guests: Guests, live: VmLive, registry: Registry) -> None:
        self._guests = guests
        self._live = live
        registry.step("config-put", self._do_put, commits=True)
        registry.step("guest-live", self._do_live, self._undo_live)

    async def _do_put(self, ctx: StepContext, vmid: int, file: Mapping[str, Any]) -> None:
        await self._guests.write(self._guests.get(vmid), file_of(file), user=ctx.user, task=ctx.upid)

    async def _do_live(self, ctx: StepContext, vmid: int, old: Mapping[str, str], new: Mapping[str, str]) -> None:
        guest = self._guests.get(vmid)
        if guest.state is not State.STOPPED:
            await self._live.apply(guest, old, new)

    async def _undo_live(self, ctx: StepContext, vmid: int, old: Mapping[str, str], new: Mapping[str, str]) -> None:
        guest = self._guests.find(vmid)
        if guest is not None and guest.state is not State.STOPPED:
            await self._live.apply(guest, new, old)


def put_step(guest: Guest, file: GuestFile, title: str) -> PlannedStep:
    """`config-put`: the configuration becomes `file`."""
    return file_step("config-put", guest.vmid, file, title)


def file_step(step: str, vmid: int, file: GuestFile, title: str) -> PlannedStep:
    """A step that is given a guest's whole configuration."""
    return PlannedStep(step=step, title=title, args={"vmid": vmid, "file": file_record(file)})


def file_record(file: GuestFile) -> dict[str, Any]:
    """A configuration file as JSON, for the journal."""
    return {
        "current": dict(file.current),
        "pending": dict(file.pending),
        "pending_delete": dict(file.pending_delete),
        "snapshots": {name: dict(texts) for name, texts in file.snapshots.items()},
        "special": {name: dict(texts) for name, texts in file.special.items()},
    }


def file_of(record: Mapping[str, Any]) -> GuestFile:
    """The reverse of `file_record`."""
    return GuestFile(
        current=dict(record["current"]),
        pending=dict(record["pending"]),
        pending_delete=dict(record["pending_delete"]),
        snapshots={name: dict(texts) for name, texts in record["snapshots"].items()},
        special={name: dict(texts) for name, texts in record["special"].items()},
    )
