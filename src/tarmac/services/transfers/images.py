"""Guest images that this node makes by itself, from recipes; they become `import` volumes to make guests from."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tarmac.drivers.images.base import clear
from tarmac.drivers.images.recipes import RECIPES
from tarmac.drivers.storage.base import FileStorage
from tarmac.drivers.storage.jail import Jail
from tarmac.drivers.storage.volume_names import Content, VolumeName
from tarmac.model.errors import InvalidInput
from tarmac.model.ids import VolumeId
from tarmac.model.job import Plan, PlannedStep, Started
from tarmac.services.access.access import Identity
from tarmac.services.jobs.jobs import Jobs
from tarmac.services.jobs.steps import Registry, StepContext
from tarmac.services.storage.storages import Storages
from tarmac.services.transfers.intake import finish


class Images:
    """`imgbuild`: one build at a time (the queue `images`), because each takes all cores it can get."""

    def __init__(self, *, storages: Storages, jail: Jail, jobs: Jobs, registry: Registry, cache: Path) -> None:
        self._storages = storages
        self._jail = jail
        self._jobs = jobs
        self._cache = cache
        registry.step("image-build", self._do_build, self._undo_build)
        registry.step("image-finish", self._do_finish, commits=True)
        registry.kind("imgbuild", self._plan)

    def listing(self) -> list[dict[str, Any]]:
        """What can be built: name, title, the Debian packages of the tools that it takes."""
        return [
            {"name": recipe.name, "title": recipe.title, "packages": list(recipe.debian_packages)}
            for recipe in RECIPES.values()
        ]

    async def build(self, identity: Identity, name: str, *, storage: str = "local", dryrun: bool = False) -> Started:
        """Build an image as `STORAGE:import/NAME.qcow2`; an older one of that name is replaced when it is complete.

        Raises InvalidInput for a name without a recipe, NotFound or InvalidInput for the storage."""
        args = {"name": name, "storage": storage}
        plan = await self._plan(args)
        if dryrun:
            return plan
        queues = ["images", f"volume/{plan.result['volid']}"]
        return await self._jobs.submit("imgbuild", id=name, user=identity.name, args=args, queues=queues)

    async def _plan(self, args: Mapping[str, Any]) -> Plan:
        name = args["name"]
        if name not in RECIPES:
            known = ", ".join(RECIPES)
            raise InvalidInput.of("name", f"value '{name}' does not have a value in the enumeration '{known}'")
        self._storages.files(args["storage"], Content.IMPORT)
        volid = f"{args['storage']}:import/{name}.qcow2"
        where = {"name": name, "volid": volid}
        steps = (
            PlannedStep(step="image-build", title=f"build {volid}", args=where),
            PlannedStep(step="image-finish", title=f"put {volid} in its place", args=where),
        )
        return Plan(steps=steps, result={"volid": volid})

    async def _do_build(self, ctx: StepContext, name: str, volid: str) -> dict[str, Any]:
        driver, file = self._place_of(volid)
        staged = await driver.stage(file, ctx.upid)
        await asyncio.to_thread(clear, staged, self._cache / name)

        def report(line: str, fraction: float | None) -> None:
            if line:
                ctx.log(line)
            if fraction is not None:
                ctx.progress(round(fraction * 100, 1), 100, "%")

        built = await RECIPES[name].build(staged, self._cache / name, report)
        record = {
            "volid": volid,
            "sha256": built.sha256,
            "size": built.virtual_size,
            "user": built.login_user,
            "firmware": list(built.firmware),
            "packages": dict(built.packages),
        }
        ctx.log(json.dumps({k: v for k, v in record.items() if k != "packages"}))
        return record

    async def _undo_build(self, ctx: StepContext, name: str, volid: str) -> None:
        driver, file = self._place_of(volid)
        await asyncio.to_thread(clear, driver.staged(file, ctx.upid), self._cache / name)
        await driver.discard(file, ctx.upid)

    async def _do_finish(self, ctx: StepContext, name: str, volid: str) -> dict[str, str]:
        driver, file = self._place_of(volid)
        return {"volid": str(await finish(driver, self._jail, file, ctx.upid, replace=True))}

    def _place_of(self, volid: str) -> tuple[FileStorage, VolumeName]:
        parsed = VolumeId.parse(volid)
        driver = self._storages.files(parsed.storage, Content.IMPORT)
        return driver, driver.parse(parsed)
