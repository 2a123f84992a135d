"""The steps that make, fill and remove volumes.

A volume that a step makes carries the task's token, so that a step that is repeated recognizes its own work and an undo
removes nothing else.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from tarmac.drivers.storage.base import Storage
from tarmac.drivers.storage.values import NewImage
from tarmac.drivers.storage.volume_names import Content
from tarmac.model.errors import InvalidInput, NotFound
from tarmac.model.ids import VolumeId
from tarmac.model.job import PlannedStep
from tarmac.services.jobs.steps import Registry, StepContext
from tarmac.services.storage.storages import Storages

CheckUnused = Callable[[Storage, VolumeId], Awaitable[None]]


class VolumeSteps:
    """Registered as `volume-*`; `check_unused` raises Conflict or Busy while something refers to a volume."""

    def __init__(self, *, storages: Storages, registry: Registry, check_unused: CheckUnused) -> None:
        self._storages = storages
        self._check_unused = check_unused
        registry.step("volume-allocate", self._do_allocate, self._undo_made)
        registry.step("volume-import", self._do_import, self._undo_made)
        registry.step("volume-clone", self._do_clone, self._undo_made)
        registry.step("volume-copy", self._do_copy, self._undo_made)
        registry.step("volume-make-base", self._do_make_base, self._undo_make_base)
        registry.step("volume-free", self._do_free, commits=True)

    def _new(self, ctx: StepContext, volid: str) -> tuple[Storage, VolumeId, NewImage]:
        """Where an image is to be made, and what is asked for. Raises InvalidInput."""
        driver, parsed = self._storages.of(volid)
        name = driver.parse(parsed)
        if name.vmid is None or name.content is not Content.IMAGES:
            raise InvalidInput(f"volume '{volid}' is no disk image", code="volume-content")
        return driver, parsed, NewImage(name.vmid, name.format, name=name.file, token=_token(ctx, volid))

    async def _do_allocate(self, ctx: StepContext, volid: str, size: int) -> dict[str, Any]:
        driver, _, new = self._new(ctx, volid)
        await driver.allocate(new, size=size)
        await self._warn(ctx, driver)
        return {"volid": volid}

    async def _do_import(
        self, ctx: StepContext, volid: str, source: str | None = None, template: str | None = None
    ) -> dict[str, Any]:
        """`source`: a volume; `template`: a raw file of this host that the platform trusts (a firmware's variables)."""
        driver, parsed, new = self._new(ctx, volid)
        if template is not None:
            await driver.import_image(Path(template), "raw", new, foreign=False, advance=ctx.advance)
        else:
            assert source is not None
            origin, from_volid = self._storages.of(source)
            name = origin.parse(from_volid)
            if name.content is Content.IMPORT:
                files, _ = self._storages.file_of(from_volid)
                await driver.import_image(files.path(from_volid), name.format, new, advance=ctx.advance)
            else:
                await driver.copy((await origin.layers(from_volid))[0], new, advance=ctx.advance)
        await self._warn(ctx, driver)
        return {"volid": volid, "size": (await driver.info(parsed)).size}

    async def _do_clone(self, ctx: StepContext, base: str, volid: str) -> dict[str, Any]:
        driver, _, new = self._new(ctx, volid)
        made = await driver.clone(VolumeId.parse(base), new)
        await self._warn(ctx, driver)
        return {"volid": str(made)}

    async def _do_copy(
        self, ctx: StepContext, volid: str, source: str, snapshot: str | None = None, speed: int = 0
    ) -> dict[str, Any]:
        """`snapshot` None: what the volume holds now; nobody writes to it meanwhile."""
        driver, _, new = self._new(ctx, volid)
        origin, from_volid = self._storages.of(source)
        layers = await origin.layers(from_volid, snapshot)
        made = await driver.copy(layers[0], new, speed=speed, advance=ctx.advance)
        await self._warn(ctx, driver)
        return {"volid": str(made)}

    async def _do_make_base(self, ctx: StepContext, volid: str, gid: int | None) -> dict[str, Any]:
        driver, parsed = self._storages.of(volid)
        return {"volid": str(await driver.make_base(parsed, gid=gid))}

    async def _undo_make_base(self, ctx: StepContext, volid: str, gid: int | None) -> None:
        driver, parsed = self._storages.of(volid)
        await driver.unmake_base(parsed)

    async def _warn(self, ctx: StepContext, driver: Storage) -> None:
        """Say in the task's log that a storage runs low."""
        if warning := self._storages.space.outlook(driver.id, await driver.status()).warning:
            ctx.log(f"WARN: storage '{driver.id}': {warning}")

    async def _undo_made(self, ctx: StepContext, volid: str, **_: Any) -> None:
        """Removes the volume only if this very step made it; one that was there before stays."""
        try:
            driver, parsed = self._storages.of(volid)
        except NotFound:
            return
        await driver.free(parsed, token=_token(ctx, volid))

    async def _do_free(self, ctx: StepContext, volid: str) -> None:
        driver, parsed = self._storages.of(volid)
        if not driver.capabilities.allocates:
            ctx.log(f"{volid} stays: it is what its server offers")
            return
        await self._check_unused(driver, parsed)
        if not await driver.free(parsed):
            ctx.log(f"{volid} was already gone")


def free_step(volid: str) -> PlannedStep:
    """`volume-free`: remove a volume, unless something refers to it by then."""
    return PlannedStep(step="volume-free", title=f"remove {volid}", args={"volid": volid})


def _token(ctx: StepContext, volid: str) -> str:
    return f"{ctx.upid} {volid}"
