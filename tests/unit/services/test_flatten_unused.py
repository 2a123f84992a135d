"""A disk out of use of a guest that runs is left alone: its QEMU may still have it open, and can write its header."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tarmac.model.ids import VolumeId
from tarmac.services.clones.flatten import Flatten
from tarmac.services.guests.guests import Guest
from tarmac.services.jobs.steps import Registry

VOLUME = "local:900/base-900-disk-0.qcow2/100/vm-100-disk-0.qcow2"


class Driver:
    """As much of a storage as a turn asks for."""

    detached = False

    async def snapshots(self, volume: VolumeId) -> tuple[()]:
        return ()

    async def layers(self, volume: VolumeId) -> tuple[str, str]:
        return ("own", "base")

    async def detach(self, volume: VolumeId, **how: Any) -> None:
        self.detached = True
        raise RuntimeError("far enough")


async def turn(*, running: bool) -> tuple[bool, list[str]]:
    """Whether one of our tools went at it, and what was warned of."""
    guest, driver, warned = Guest(100, f"unused0: {VOLUME}\n", 1), Driver(), list[str]()
    if running:
        guest.process = cast(Any, SimpleNamespace())
    given: dict[str, Any] = {"guests": SimpleNamespace(find=lambda vmid: guest), "registry": Registry()}

    async def until_wanted(queue: str) -> None:
        await asyncio.Event().wait()

    jobs: Any = SimpleNamespace(queues=SimpleNamespace(until_wanted=until_wanted))
    flatten = Flatten(jobs=jobs, storages=cast(Any, None), runtime=cast(Any, None), **given)
    ctx: Any = SimpleNamespace(warn=warned.append, log=warned.append, advance=lambda *told: None)
    volume: Any = VolumeId.parse(VOLUME)
    if running:
        assert await flatten._turn(ctx, guest, cast(Any, driver), volume, 0)
    else:
        with pytest.raises(RuntimeError, match="far enough"):
            await flatten._turn(ctx, guest, cast(Any, driver), volume, 0)
    return driver.detached, warned


async def test_of_a_running_guest_it_stays_linked() -> None:
    detached, warned = await turn(running=True)
    assert not detached
    assert warned == [f"{VOLUME} stays linked: it is out of use, and its guest runs; flatten it when the guest is off"]


async def test_of_a_stopped_one_it_is_copied() -> None:
    assert await turn(running=False) == (True, [])
