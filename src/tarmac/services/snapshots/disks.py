"""What snapshots do to disks, as steps of jobs: freeze a layer, switch to a new one, go back, merge one away.

Two kinds of storage (`SnapshotKind`). Where points in time are *layers*, the new layer lies ready beside the old one
(`snapshot-layer`) before the running guest is switched to all of them at one moment (`snapshot-take`); where they are
*copies*, the guest stands still while they are made. Each step finds out by looking how far an earlier daemon came.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from tarmac.drivers.qemu import block_layers as live
from tarmac.drivers.qemu.argv.blockdev import layer_nodes, node_name
from tarmac.drivers.qemu.block_layers import Merge, Overlay
from tarmac.drivers.qemu.facts import VolumeFacts
from tarmac.drivers.qemu.fs_freeze import frozen
from tarmac.drivers.qemu.process import GuestProcess
from tarmac.drivers.storage.ground import refuse_held
from tarmac.drivers.storage.values import Layer
from tarmac.model.errors import Fix, HostFailure, TarmacError, WrongState
from tarmac.model.snapshots import disks_of
from tarmac.services.guests.guests import Guest, Guests
from tarmac.services.jobs.steps import Registry, StepContext
from tarmac.services.node.facts import NodeProbe
from tarmac.services.running.agents import Agents
from tarmac.services.running.runtime import Runtime
from tarmac.services.storage.storages import Storages

ENDED_SECONDS = 30.0
Disks = Sequence[Mapping[str, str]]


class SnapshotDisks:
    """Registers the steps; `moment` and `switch` are also used by what saves memory along."""

    def __init__(
        self,
        *,
        guests: Guests,
        storages: Storages,
        runtime: Runtime,
        agents: Agents,
        probe: NodeProbe,
        registry: Registry,
    ) -> None:
        self._guests = guests
        self._storages = storages
        self._runtime = runtime
        self._agents = agents
        self._probe = probe
        registry.step("snapshot-layer", self._do_layer, self._undo_layer)
        registry.step("snapshot-take", self._do_take, self.undo_take)
        registry.step("snapshot-back", self._do_back, commits=True)
        registry.step("snapshot-merge", self._do_merge)

    # -- taking -------------------------------------------------------------------------------------------------

    async def _do_layer(self, ctx: StepContext, vmid: int, volid: str, name: str) -> None:
        driver, volume = self._storages.of(volid)
        await driver.snapshot(volume, name, owner=self._guests.get(vmid).owner)

    async def _undo_layer(self, ctx: StepContext, vmid: int, volid: str, name: str) -> None:
        """`snapshot-take` is undone by now, or never began: nothing may have been written to the new layer. One that
        QEMU has open all the same stays: its name is where the guest's data is."""
        driver, volume = self._storages.of(volid)
        guest = self._guests.get(vmid)
        key = key_of(guest, volid)
        if guest.process is not None and key is not None:
            qmp = self._runtime.monitor(guest)
            layers = await driver.layers(volume)
            if node_name("f", key, facts_of(layers[0])) in await live.chain(qmp, key) and _is_on(layers, name):
                raise _still_in_use(volid, name)
            await live.close_unused(qmp, key)
        await driver.unsnapshot(volume, name)

    async def _do_take(
        self, ctx: StepContext, vmid: int, name: str, layers: Disks, copies: Disks, freeze: bool, running: bool
    ) -> None:
        """The moment itself: all disks at once. A guest that has ended meanwhile has its moment behind it."""
        guest = self._guests.get(vmid)
        if ctx.resumed:
            await self.forget_copies(copies, name)
        if guest.process is None:
            await self.copy(guest, copies, name)
            return
        overlays = await self.overlays(guest, layers, name)
        async with self._quiet(guest, freeze, ctx):
            if not copies:
                await self.switch(guest, overlays)
                return
            async with self.standing(guest, running):
                await self.switch(guest, overlays)
                await self.copy(guest, copies, name)

    async def undo_take(
        self, ctx: StepContext, vmid: int, name: str, layers: Disks, copies: Disks, running: bool = False, **_: Any
    ) -> None:
        """Back to one layer with all that was written since, in a running or a stopped guest."""
        guest = self._guests.get(vmid)
        await self.forget_copies(copies, name)
        for disk in layers:
            if await self._was_switched(guest, disk["volid"], name):
                await self._merge(ctx, guest, disk["volid"], name, 0, running=running)

    @contextlib.asynccontextmanager
    async def standing(self, guest: Guest, running: bool) -> AsyncIterator[None]:
        """The guest's processors stand still inside the block; they go on after it if they are to."""
        qmp = self._runtime.monitor(guest)
        await qmp.stop()
        try:
            yield
        finally:
            if running:
                await qmp.cont()

    async def overlays(self, guest: Guest, layers: Disks, name: str) -> list[Overlay]:
        """The new layers of a running guest's disks, opened by its QEMU beside what it uses. Those that it uses
        already (an earlier daemon switched it) are left out."""
        qmp, facts = self._runtime.monitor(guest), await self._probe.facts()
        found = []
        for disk in layers:
            key = disk["key"]
            driver, volume = self._storages.of(disk["volid"])
            chain = await driver.layers(volume)
            nodes = layer_nodes(key, disks_of(guest.file.current)[key], facts_of(chain[0]), io_uring=facts.io_uring)
            overlay = Overlay(key=key, nodes=nodes, on=node_name("f", key, facts_of(chain[1])))
            used = await live.chain(qmp, key)
            if overlay.name in used:
                continue
            if overlay.on not in used:
                raise _other_disk(guest, key, used)
            found.append(overlay)
        await live.open_overlays(qmp, found)
        return found

    async def switch(self, guest: Guest, overlays: Sequence[Overlay]) -> None:
        """All disks at one moment."""
        if overlays:
            await live.switch(self._runtime.monitor(guest), overlays)

    async def copy(self, guest: Guest, copies: Disks, name: str) -> None:
        """Points in time that the storages keep themselves; nobody writes meanwhile."""
        for disk in copies:
            driver, volume = self._storages.of(disk["volid"])
            await driver.snapshot(volume, name, owner=guest.owner)

    async def forget_copies(self, copies: Disks, name: str) -> None:
        """Such points in time again: what an earlier daemon made may be of different moments."""
        for disk in copies:
            driver, volume = self._storages.of(disk["volid"])
            await driver.unsnapshot(volume, name)

    @contextlib.asynccontextmanager
    async def _quiet(self, guest: Guest, freeze: bool, ctx: StepContext) -> AsyncIterator[None]:
        """The guest's file systems are frozen inside the block, if they are to be and the agent can."""
        if not freeze:
            yield
            return
        async with self._agents.of(guest.vmid).lent() as socket, frozen(socket) as hold:
            if hold.problem:
                ctx.log(f"file systems are not frozen: {hold.problem}")
            else:
                ctx.log(f"{hold.count} file systems frozen")
            yield
        if hold.late and not hold.problem:
            ctx.warn("the guest's file systems were thawed before the snapshot was taken, or did not answer in time")

    # -- going back ---------------------------------------------------------------------------------------------

    async def _do_back(self, ctx: StepContext, vmid: int, name: str, disks: Disks) -> None:
        guest = self._guests.get(vmid)
        for disk in disks:
            driver, volume = self._storages.of(disk["volid"])
            await driver.rollback(volume, name, owner=guest.owner)

    # -- merging ------------------------------------------------------------------------------------------------

    async def _do_merge(
        self,
        ctx: StepContext,
        vmid: int,
        volid: str,
        name: str,
        speed: int,
        force: bool = False,
        running: bool = False,  # a journal of an older daemon does not say it
    ) -> None:
        try:
            await self._merge(ctx, self._guests.get(vmid), volid, name, speed, running=running)
        except TarmacError as problem:
            if not force:
                raise
            ctx.warn(f"{volid}: {problem.message} ({problem.evidence}); its layer stays")

    async def _merge(self, ctx: StepContext, guest: Guest, volid: str, name: str, speed: int, *, running: bool) -> None:
        """`running`: the guest ran when the job was planned, and nobody else has stopped it since."""
        driver, volume = self._storages.of(volid)
        for point in await driver.snapshots(volume):
            if point.name == name and point.held:
                raise refuse_held(volume, name, point.held)

        process = guest.process
        if process is not None and (key := key_of(guest, volid)) is not None:
            try:
                if await self._merge_live(ctx, guest, process, key, volid, name, speed):
                    return
            except TarmacError:
                if not process.exited.is_set():
                    raise
                ctx.log("the guest has ended: going on without it")
                await self._runtime.settled(guest, ENDED_SECONDS)
            finally:
                if ctx.resumed and running:
                    await live.go_on(process)
        await driver.delete_snapshot(volume, name, advance=ctx.advance)

    async def _merge_live(
        self, ctx: StepContext, guest: Guest, process: GuestProcess, key: str, volid: str, name: str, speed: int
    ) -> bool:
        """Whether that was all of it: a layer that this QEMU does not use is none of its business."""
        driver, volume = self._storages.of(volid)
        qmp = process.monitor()
        layers = await driver.layers(volume)
        at = next((i for i, layer in enumerate(layers) if layer.snapshot == name), None)
        if at is None:
            await live.finish_merge(process, key)
            return False
        points = await driver.snapshots(volume)
        others = [p.name for p in points if p.parent == name and p.name != layers[at - 1].snapshot]
        if others:
            ctx.log(f"{volid}: the layer of '{name}' stays as long as several stand on it ({', '.join(others)})")
            return True

        async def renamed() -> None:
            try:
                await driver.merged(volume, name)
            except TarmacError:
                if any(point.name == name for point in await driver.snapshots(volume)):
                    raise
            ctx.point(f"renamed-{key}")

        merge = Merge(
            key=key,
            top=node_name("f", key, facts_of(layers[at - 1])),
            base=node_name("f", key, facts_of(layers[at])),
            reference=None if at == 1 else layers[at - 1].path.name,
            size=sum(p.merges for p in points if p.name == name),
        )
        used = await live.chain(qmp, key)
        if merge.base not in used:
            return False
        if await live.only_read(qmp, node_name("e", key, facts_of(layers[at]))):
            raise _opened_while_held(guest, name)
        if merge.top in used:
            await live.merge(process, merge, renamed, speed=speed, advance=ctx.advance)
        else:  # merged before an earlier daemon died, or this QEMU was never switched to the upper layer
            await renamed()
            await live.close_unused(qmp, key)
        return True

    async def _was_switched(self, guest: Guest, volid: str, name: str) -> bool:
        """Whether something may have been written to the layer above a snapshot's: by the QEMU that runs, or by one
        that ran. Raises Unavailable when that QEMU cannot be asked."""
        driver, volume = self._storages.of(volid)
        layers = await driver.layers(volume)
        if not _is_on(layers, name):
            return False
        key = key_of(guest, volid)
        if guest.process is None or key is None:
            return True
        return node_name("f", key, facts_of(layers[0])) in await live.chain(self._runtime.monitor(guest), key)


def key_of(guest: Guest, volid: str) -> str | None:
    """The disk by which a guest has a volume at present."""
    return next((key for key, disk in disks_of(guest.file.current).items() if disk.file == volid), None)


def facts_of(layer: Layer) -> VolumeFacts:
    """A layer alone, as QEMU's nodes of it are named and made."""
    return VolumeFacts(
        path=str(layer.path),
        format=layer.format,
        direct=layer.direct,
        identity=layer.identity,
        protocol=layer.protocol,
    )


def _is_on(layers: Sequence[Layer], name: str) -> bool:
    return len(layers) > 1 and layers[1].snapshot == name


def _still_in_use(volid: str, name: str) -> TarmacError:
    return HostFailure(
        f"the snapshot '{name}' of {volid} cannot be taken back",
        code="snapshot-in-use",
        cause="the running guest writes to the new layer already",
        evidence=volid,
        fixes=[Fix(text="create the snapshot again under another name")],
    )


def _opened_while_held(guest: Guest, name: str) -> TarmacError:
    return WrongState(
        f"the snapshot '{name}' of the running guest {guest.vmid} cannot be removed before it is stopped",
        code="snapshot-open-read-only",
        cause="the guest was started while instant clones stood on this snapshot: it may only read its layer",
        evidence=f"guest {guest.vmid} runs",
        fixes=[Fix(text="stop the guest, remove the snapshot, start the guest again")],
    )


def _other_disk(guest: Guest, key: str, used: Sequence[str]) -> TarmacError:
    return HostFailure(
        f"the running guest {guest.vmid} uses another image for {key} than its configuration names",
        code="disk-not-the-same",
        cause="its QEMU has other layers open than the storage has",
        evidence=", ".join(used) or "QEMU has no such disk",
        fixes=[Fix(text="shut the guest down and start it again")],
    )
