"""Copies of a running guest's disks that follow it: begun, ready, and ended on either side.

A *mirror* is a QEMU job from a disk's format node to a volume of the guest's storage that was made for it. While it
runs the guest writes to its own disk; once ready, both are the same. It is named after guest and disk, so that the next
daemon finds it in the same QEMU. The target's nodes are those that the disk would have at the next start.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass

from tarmac.drivers.qemu import block_jobs
from tarmac.drivers.qemu.argv.blockdev import Node, efi_chain, layer_nodes, node_name, top_node
from tarmac.drivers.qemu.argv.firmware import VARS_SIZE
from tarmac.drivers.qemu.process import GuestProcess
from tarmac.model.errors import HostFailure, TarmacError, WrongState
from tarmac.model.lifecycle import State
from tarmac.model.vm import VmConfig
from tarmac.services.guests.guests import Guest
from tarmac.services.node.facts import NodeProbe
from tarmac.services.running.agents import Agents
from tarmac.services.running.runtime import Runtime
from tarmac.services.storage.storages import Storages
from tarmac.services.storage.volumes import chain_facts

Say = Callable[[str], None]
FREEZE_SECONDS = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Mirror:
    """One disk's copy under way: the guest's disk `key`, from volume `source` to volume `target`."""

    key: str
    source: str
    target: str

    @property
    def job(self) -> str:
        return f"mirror-{self.key}"


class DiskMirrors:
    """Everything is repeatable: a step that runs again after a crash finds what it did before."""

    def __init__(self, *, runtime: Runtime, storages: Storages, probe: NodeProbe, agents: Agents) -> None:
        self._runtime = runtime
        self._storages = storages
        self._probe = probe
        self._agents = agents

    async def begin(self, guest: Guest, mirror: Mirror, *, speed: int = 0) -> None:
        """Start copying, or leave it running. `speed` in bytes a second, 0: as fast as it goes."""
        qmp = self._runtime.monitor(guest)
        if await block_jobs.find(qmp, mirror.job) is not None:
            return
        nodes = await self._target_nodes(guest.config, mirror)
        driver, volume = self._storages.of(mirror.target)
        if guest.owner is not None:
            await driver.give(volume, guest.owner)
        known = {node["node-name"] for node in await qmp.query_named_block_nodes()}
        for node in nodes:
            if node["node-name"] not in known:
                await qmp.blockdev_add(node)
        source = await self.source_node(mirror)
        if source not in known:
            raise HostFailure(
                f"disk {mirror.key} of guest {guest.vmid} is not where it was left",
                code="node-unknown",
                cause="QEMU has no block node of the volume's present image",
                evidence=f"{mirror.source}: {source}",
            )
        await block_jobs.start_mirror(
            qmp,
            mirror.job,
            node=top_node(mirror.key),
            replaces=source,
            target=nodes[-1]["node-name"],
            sync="full",
            speed=speed,
        )

    async def until_ready(
        self, guest: Guest, mirrors: Iterable[Mirror], advance: Callable[[int, int], None] | None = None
    ) -> None:
        """Wait until every target is the same as its disk. Raises NoSpace, HostFailure, WrongState for a guest that
        has ended."""
        done: dict[str, tuple[int, int]] = {}
        process = self._process(guest)
        for mirror in mirrors:

            def moved(part: int, whole: int, job: str = mirror.job) -> None:
                done[job] = (part, whole)
                if advance is not None:
                    advance(sum(p for p, _ in done.values()), sum(w for _, w in done.values()))

            await block_jobs.until_ready(process, mirror.job, moved)

    async def end_without_switching(self, guest: Guest, mirrors: Iterable[Mirror]) -> None:
        """The targets become copies of this moment; the guest stays where it is."""
        process = self._process(guest)
        for mirror in mirrors:
            await block_jobs.finish(process, mirror.job, pivot=False)

    async def let_go(self, guest: Guest, mirrors: Iterable[Mirror]) -> None:
        """Close the targets of mirrors that have ended; what was written is on disk then."""
        for mirror in mirrors:
            await self._remove_nodes(guest, mirror.target, mirror.key)

    async def until_same(self, guest: Guest, mirror: Mirror) -> None:
        """Pause the guest and wait until both sides hold the same, on disk."""
        await self._runtime.monitor(guest).stop()
        await block_jobs.until_same(self._process(guest), mirror.job, top_node(mirror.key))

    async def switch(self, guest: Guest, mirror: Mirror) -> None:
        """The guest goes on on the target. Done already is fine. Raises HostFailure: it is on the source still."""
        process = self._process(guest)
        if await block_jobs.find(process.monitor(), mirror.job) is not None:
            await block_jobs.finish(process, mirror.job, pivot=True)

    async def leave(self, guest: Guest, mirror: Mirror) -> None:
        """Close the source of a mirror that was switched."""
        await self._remove_nodes(guest, mirror.source, mirror.key)

    async def abandon(self, guest: Guest, mirror: Mirror) -> None:
        """End the copy without effect, and take the target out of QEMU; nothing there is fine."""
        if guest.process is None:
            return
        await block_jobs.abandon(guest.process, mirror.job)
        await self._remove_nodes(guest, mirror.target, mirror.key)

    # -- a point in time ----------------------------------------------------------------------------------------

    @contextlib.asynccontextmanager
    async def held(self, guest: Guest, say: Say) -> AsyncIterator[None]:
        """Within this nothing is written: file systems are frozen where an agent answers, and the guest is paused."""
        frozen = await self._freeze(guest, say)
        running = guest.state is State.RUNNING
        try:
            if running:
                await self._runtime.monitor(guest).stop()
            yield
        finally:
            await self.release(guest, resume=running, thaw=frozen)

    async def _freeze(self, guest: Guest, say: Say) -> bool:
        if not guest.config.agent.enabled or guest.state is not State.RUNNING:
            return False
        try:
            await self._agents.of(guest.vmid).fsfreeze_freeze(within=FREEZE_SECONDS)
        except TarmacError as problem:
            say(f"its file systems are not frozen, the copy is as after a power cut: {problem.message}")
            return False
        return True

    async def release(self, guest: Guest, *, resume: bool, thaw: bool) -> None:
        """End a hold, whoever began it; a guest that has ended needs nothing."""
        if guest.process is None:
            return
        if resume:
            await self._runtime.monitor(guest).cont()
        if thaw and guest.config.agent.enabled:
            with contextlib.suppress(TarmacError):
                await self._agents.of(guest.vmid).fsfreeze_thaw(within=FREEZE_SECONDS)

    # -- nodes --------------------------------------------------------------------------------------------------

    async def source_node(self, mirror: Mirror) -> str:
        """The name of the disk's active format node."""
        driver, volume = self._storages.of(mirror.source)
        return node_name("f", mirror.key, chain_facts(await driver.layers(volume)))

    async def _target_nodes(self, config: VmConfig, mirror: Mirror) -> list[Node]:
        """Protocol and format node, bottom first."""
        driver, volume = self._storages.of(mirror.target)
        facts = chain_facts(await driver.layers(volume))
        io_uring = (await self._probe.facts()).io_uring
        if mirror.key == "efidisk0":
            assert config.efidisk0 is not None
            size = VARS_SIZE[config.efidisk0.efitype]
            nodes = efi_chain(mirror.key, config.efidisk0, facts, io_uring=io_uring, size=size).nodes[-3:-1]
        else:
            nodes = tuple(layer_nodes(mirror.key, config.disks[mirror.key], facts, io_uring=io_uring))
        return [dict(node) for node in nodes]

    async def _remove_nodes(self, guest: Guest, volid: str, key: str) -> None:
        """Take a volume's chain out of QEMU, top first; what is not there, or still used, stays out of it."""
        try:
            driver, volume = self._storages.of(volid)
            layers = await driver.layers(volume)
        except TarmacError:
            return  # the volume is gone: its nodes go with the process
        qmp = self._runtime.monitor(guest)
        names = [node_name(kind, key, chain_facts(layers[i:])) for i in range(len(layers)) for kind in "fe"]
        known: Mapping[str, object] = {node["node-name"]: node for node in await qmp.query_named_block_nodes()}
        for name in names:
            if name in known:
                await qmp.blockdev_del(name)

    @staticmethod
    def _process(guest: Guest) -> GuestProcess:
        if guest.process is None:
            raise WrongState(
                f"VM {guest.vmid} not running",
                code="guest-ended",
                cause="it ended while its disks were being copied",
                evidence=guest.last_exit,
            )
        return guest.process
