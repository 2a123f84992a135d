"""Guest images that this node makes by itself, from recipes; they become `import` volumes to make guests from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tarmac.drivers.images.recipes import RECIPES
from tarmac.drivers.storage.volume_names import Content
from tarmac.model.errors import InvalidInput
from tarmac.model.ids import VolumeId
from tarmac.model.job import Plan, PlannedStep
from tarmac.services.access import Identity
from tarmac.services.jobs import Jobs
from tarmac.services.steps import Registry, StepContext
from tarmac.services.storages import Storages

Started = str | Plan


class Images:
    """`imgbuild`: one build at a time (the queue `images`), because each takes all cores it can get."""

    def __init__(self, *, storages: Storages, jobs: Jobs, registry: Registry, cache: Path) -> None:
        self._storages = storages
        self._jobs = jobs
        self._cache = cache
        registry.step("image-build", self._do_build)
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
        return await self._jobs.submit("imgbuild", id=name, user=identity.name, args=args, queues=["images"])

    async def _plan(self, args: Mapping[str, Any]) -> Plan:
        name = args["name"]
        if name not in RECIPES:
            known = ", ".join(RECIPES)
            raise InvalidInput.of("name", f"value '{name}' does not have a value in the enumeration '{known}'")
        self._storages.get(args["storage"], Content.IMPORT)
        volid = f"{args['storage']}:import/{name}.qcow2"
        step = PlannedStep(step="image-build", title=f"build {volid}", args={"name": name, "volid": volid})
        return Plan(steps=(step,), result={"volid": volid})

    async def _do_build(self, ctx: StepContext, name: str, volid: str) -> dict[str, Any]:
        driver, parsed = self._storages.of(VolumeId.parse(volid))
        destination = driver.path(parsed)

        def report(line: str, fraction: float | None) -> None:
            if line:
                ctx.log(line)
            if fraction is not None:
                ctx.progress(round(fraction * 100, 1), 100, "%")

        built = await RECIPES[name].build(destination, self._cache / name, report)
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
