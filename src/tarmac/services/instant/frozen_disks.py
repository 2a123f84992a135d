"""The disks of a frozen state: a running guest's images become base images, and it goes on with overlays; and back.

Steps: `frozen-layer`, the overlay lies ready under the volume's name, and QEMU still writes below; `frozen-join`, what
the guest wrote since goes into the base, which is its volume again. Each finds out by looking how far an earlier daemon
came.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tarmac.drivers.qemu import block_layers as live
from tarmac.drivers.qemu.argv.blockdev import layer_nodes, node_name
from tarmac.drivers.qemu.block_layers import Merge, Overlay
from tarmac.drivers.storage.base import FreezingStorage
from tarmac.drivers.storage.volume_names import Content, base_name, image_name
from tarmac.model.disk import Disk, EfiDisk
from tarmac.model.errors import Fix, InvalidInput, NotFound, TarmacError
from tarmac.model.ids import VolumeId
from tarmac.model.job import PlannedStep
from tarmac.model.lifecycle import State
from tarmac.model.snapshots import disks_of
from tarmac.services.guests.guests import Guest, Guests
from tarmac.services.instant.frozen_records import FrozenDisk
from tarmac.services.jobs.steps import Registry, StepContext
from tarmac.services.node.facts import NodeProbe
from tarmac.services.running.runtime import Runtime
from tarmac.services.snapshots.disks import facts_of
from tarmac.services.storage.storages import Storages
from tarmac.services.storage.volume_plans import OVERLAY_BYTES

MERGE_SPEED = 100 * 1024 * 1024
ENDED_SECONDS = 30.0
Disks = Sequence[FrozenDisk]


class FrozenDisks:
    """`plan` says what becomes of each disk; `switch` is the moment."""

    def __init__(
        self, *, guests: Guests, storages: Storages, runtime: Runtime, probe: NodeProbe, registry: Registry
    ) -> None:
        self._guests = guests
        self._storages = storages
        self._runtime = runtime
        self._probe = probe
        registry.step("frozen-layer", self._do_layer, self._undo_layer)
        registry.step("frozen-join", self._do_join)

    # -- plans --------------------------------------------------------------------------------------------------

    async def plan(self, source: Guest, vmid: int) -> tuple[list[FrozenDisk], dict[str, int]]:
        """The disks of a guest that freezes into the state `vmid`, and their sizes in bytes by future base image.
        Raises InvalidInput naming the disk that cannot."""
        found: list[FrozenDisk] = []
        sizes: dict[str, int] = {}
        for key, disk in disks_of(source.file.current).items():
            made = self._disk(source, key, disk, vmid, len(found))
            driver, volid = self._storages.of(disk.file)
            if driver.parse(volid).format != "qcow2" and await driver.snapshots(volid):
                raise _raw_with_snapshots(key, disk.file)
            found.append(made)
            sizes[made["base"]] = (await driver.info(volid)).size
        return found, sizes

    def _disk(self, source: Guest, key: str, disk: Disk | EfiDisk, vmid: int, number: int) -> FrozenDisk:
        driver, volid = self._storages.of(disk.file)
        name = driver.parse(volid)
        if (
            not isinstance(driver, FreezingStorage)
            or name.format not in driver.capabilities.freezes
            or name.content is not Content.IMAGES
            or name.is_base
            or name.vmid != source.vmid
        ):
            able = ", ".join(sorted(driver.capabilities.freezes)) or "no format"
            raise InvalidInput(
                f"the disk {key} of guest {source.vmid} cannot be shared with clones while the guest goes on",
                code="live-not-possible",
                cause=f"that takes an image of its own in a format that storage '{driver.id}' can freeze ({able})",
                evidence=f"{key}: {disk.file}",
                fixes=[
                    Fix(
                        text="move the disk to a directory storage as qcow2",
                        action="POST .../move_disk",
                        parameters={"disk": key, "format": "qcow2"},
                    ),
                    Fix(text="make a live template: its guest ends", parameters={"live": "1"}),
                ],
            )
        base = base_name(image_name(vmid, f"vm-{vmid}-disk-{number}.{name.format}"))
        below = f"{name.base[0]}/{name.base[1]}/" if name.base else ""
        return FrozenDisk(
            key=key,
            volid=str(volid),
            base=f"{driver.id}:{below}{base}",
            named=str(driver.standing(volid, VolumeId.parse(f"{driver.id}:{base}"))),
        )

    @staticmethod
    def layer_steps(source: Guest, vmid: int, disks: Disks) -> list[PlannedStep]:
        args = {"source": source.vmid, "vmid": vmid, "running": source.state is State.RUNNING}
        return [
            PlannedStep(
                step="frozen-layer",
                title=f"lay an overlay on {disk['volid']}",
                args={**args, "disk": dict(disk)},
                takes={VolumeId.parse(disk["volid"]).storage: OVERLAY_BYTES},
            )
            for disk in disks
        ]

    # -- the moment ---------------------------------------------------------------------------------------------

    async def overlays(self, source: Guest, disks: Disks) -> list[Overlay]:
        """The overlays, opened by the guest's QEMU beside what it uses."""
        qmp, facts = self._runtime.monitor(source), await self._probe.facts()
        config, found = disks_of(source.file.current), []
        for disk in disks:
            driver, overlay = self._storages.of(disk["named"])
            chain = await driver.layers(overlay)
            nodes = layer_nodes(disk["key"], config[disk["key"]], facts_of(chain[0]), io_uring=facts.io_uring)
            below = node_name("f", disk["key"], facts_of(chain[1]))
            found.append(Overlay(key=disk["key"], nodes=nodes, on=below))
        await live.open_overlays(qmp, found)
        return found

    async def switch(self, source: Guest, overlays: Sequence[Overlay]) -> None:
        """All disks at one moment; all or none."""
        await live.switch(self._runtime.monitor(source), overlays)

    async def guard(self, disks: Disks, gid: int | None) -> None:
        """Nothing changes the base images from now on; group `gid` may read them."""
        for disk in disks:
            driver, base = self._freezing(disk["base"])
            await driver.guard_base(VolumeId.parse(disk["volid"]), base, gid=gid)

    # -- steps --------------------------------------------------------------------------------------------------

    def _freezing(self, volid: str) -> tuple[FreezingStorage, VolumeId]:
        driver, parsed = self._storages.of(volid)
        if not isinstance(driver, FreezingStorage):
            raise InvalidInput(f"storage '{driver.id}' freezes no images", code="volume-not-freezable")
        return driver, parsed

    async def _do_layer(
        self, ctx: StepContext, source: int, vmid: int, disk: FrozenDisk, running: bool = False
    ) -> None:
        driver, base = self._freezing(disk["base"])
        await driver.freeze_base(VolumeId.parse(disk["volid"]), base, owner=self._guests.get(source).owner)

    async def _undo_layer(
        self, ctx: StepContext, source: int, vmid: int, disk: FrozenDisk, running: bool = False
    ) -> None:
        guest = self._guests.find(source)
        if guest is not None:
            await self._join(ctx, guest, disk, running)

    async def _do_join(self, ctx: StepContext, source: int, vmid: int, disks: Disks, running: bool = False) -> None:
        for disk in disks:
            await self._join(ctx, self._guests.get(source), disk, running)

    async def _join(self, ctx: StepContext, source: Guest, disk: FrozenDisk, running: bool) -> None:
        """The base is the guest's volume again, with all that was written since the freeze. `running`: the guest ran
        when the job was planned, and nobody else has stopped it since."""
        driver, base = self._freezing(disk["base"])
        volid, owner, process = VolumeId.parse(disk["volid"]), source.owner, source.process
        try:
            await driver.info(base)
        except NotFound:  # never frozen; or joined already, and QEMU only waits to be told
            if process is not None:
                await live.finish_merge(process, disk["key"])
                if ctx.resumed and running:
                    await live.go_on(process)
            return
        if process is not None:
            try:
                await self._join_live(ctx, source, disk, driver)
                return
            except TarmacError:
                if not process.exited.is_set():
                    raise
                ctx.log("the guest has ended: going on without it")
                await self._runtime.settled(source, ENDED_SECONDS)
            finally:
                if ctx.resumed and running:
                    await live.go_on(process)
        await driver.join_base(volid, base, owner=owner, advance=ctx.advance)

    async def _join_live(self, ctx: StepContext, source: Guest, disk: FrozenDisk, driver: FreezingStorage) -> None:
        volid, base, key = VolumeId.parse(disk["volid"]), VolumeId.parse(disk["base"]), disk["key"]
        owner, qmp = source.owner, self._runtime.monitor(source)
        try:
            layers = await driver.layers(VolumeId.parse(disk["named"]))
        except NotFound:  # a raw image, whose overlay has a name of its own
            layers = ()
        if driver.path(base).name not in [layer.path.name for layer in layers]:  # one image with two names as yet
            await driver.unfreeze_base(volid, base, owner=owner)
            return
        used = await live.chain(qmp, key)
        top, below = (node_name("f", key, facts_of(layer)) for layer in layers[:2])
        if top not in used:  # never switched: nothing was written to the overlay, or a join only lacks its names
            if below in used:
                await driver.unfreeze_base(volid, base, owner=owner)
            await live.close_unused(qmp, key)
            return

        async def renamed() -> None:
            await driver.joined(volid, base, owner=owner)
            ctx.point(f"renamed-{key}")

        await driver.unguard_base(base)
        size = (await driver.info(VolumeId.parse(disk["named"]))).used or 0
        merge = Merge(key=key, top=top, base=below, reference=None, size=size)
        process = source.process
        assert process is not None
        await live.merge(
            process,
            merge,
            renamed,
            speed=MERGE_SPEED,
            advance=ctx.advance,
        )


def _raw_with_snapshots(key: str, volid: str) -> InvalidInput:
    return InvalidInput(
        f"the raw disk {key} has snapshots: it cannot be shared with clones while the guest goes on",
        code="live-has-snapshots",
        cause="its guest would go on with a qcow2 overlay, and the snapshots would no longer find their volume",
        evidence=f"{key}: {volid}",
        fixes=[Fix(text="remove the snapshots, and move the disk as qcow2"), Fix(text="clone without `instant`")],
    )


def renamed_volumes(texts: Mapping[str, str], names: Mapping[str, str]) -> dict[str, str]:
    """A configuration in which volumes are called otherwise (old id -> new id), their options as they were."""
    found = {}
    for key, text in texts.items():
        volid, comma, options = text.partition(",")
        prefix = "file=" if volid.startswith("file=") else ""
        found[key] = prefix + names.get(volid.removeprefix(prefix), volid.removeprefix(prefix)) + comma + options
    return found


def as_args(disks: Disks) -> list[dict[str, Any]]:
    """For a step's arguments."""
    return [dict(disk) for disk in disks]
