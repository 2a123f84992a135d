"""The layers of a running guest's disks: what its QEMU has open, empty ones put on top, one merged into the next below.

Names of nodes are those of `argv.blockdev` (made of a layer's identity), names of disks are the keys of the
configuration. Source: docs/interop/live-block-operations of QEMU.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tarmac.drivers.qemu import block_jobs as jobs
from tarmac.drivers.qemu.argv.blockdev import top_node
from tarmac.drivers.qemu.block_jobs import Advance
from tarmac.drivers.qemu.process import GuestProcess
from tarmac.drivers.qemu.qmp import Qmp
from tarmac.lib.tasks import whole
from tarmac.model.errors import HostFailure, OutcomeUnknown, TarmacError

ASK_SECONDS = 10.0
_PATIENCE_SECONDS = 30.0
_SYNCHRONOUS = frozenset({"efidisk0"})
"""Disks (the firmware's flash) to which a processor writes and waits with QEMU's big lock in its hand: while a held job
keeps it waiting, QEMU would hear no command any more, that to release the job neither."""


async def chain(qmp: Qmp, key: str) -> tuple[str, ...]:
    """The nodes of a disk from its throttle filter down, as QEMU has them now; () for a disk that it does not have."""
    for entry in await qmp.query_blockstats():
        if entry.get("node-name") == top_node(key):
            found = []
            while entry:
                found.append(str(entry.get("node-name", "")))
                entry = entry.get("backing") or {}
            return tuple(found)
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlay:
    """An empty layer to be put on top of a disk: its nodes, bottom first, and the node that it comes to stand on."""

    key: str
    nodes: tuple[Mapping[str, Any], ...]
    on: str

    @property
    def name(self) -> str:
        return str(self.nodes[-1]["node-name"])


async def open_overlays(qmp: Qmp, overlays: Sequence[Overlay]) -> None:
    """Let QEMU open them, beside its chains. Repeatable."""
    known = {str(node["node-name"]) for node in await qmp.query_named_block_nodes()}
    for overlay in overlays:
        for node in overlay.nodes:
            if node["node-name"] not in known:
                await qmp.blockdev_add(node)


async def switch(qmp: Qmp, overlays: Sequence[Overlay]) -> None:
    """From one moment on, all these disks write to their overlays; all or none. An answer that is lost is looked up.

    Raises HostFailure when QEMU refused; then nothing is switched."""
    actions = [{"type": "blockdev-snapshot", "data": {"node": o.on, "overlay": o.name}} for o in overlays]
    try:
        await qmp.transaction(actions)
    except OutcomeUnknown:
        async with qmp.within(ASK_SECONDS):
            if overlays[0].name not in await chain(qmp, overlays[0].key):
                raise


async def close_unused(qmp: Qmp, key: str) -> None:
    """Let QEMU forget the nodes of a disk's layers that are no part of its chain any more. Repeatable."""
    used = set(await chain(qmp, key))
    formats = [name for name in await _named(qmp, f"f-{key}-") if name not in used]
    for name in formats:
        await qmp.blockdev_del(name)
    for name in await _named(qmp, f"e-{key}-"):
        with contextlib.suppress(HostFailure):  # in use: it belongs to a layer of the chain
            await qmp.blockdev_del(name)


async def only_read(qmp: Qmp, node: str) -> bool:
    """Whether QEMU has a node open for reading only."""
    return any(n["node-name"] == node and n.get("ro") for n in await qmp.query_named_block_nodes())


async def _named(qmp: Qmp, prefix: str) -> list[str]:
    names = [str(node.get("node-name", "")) for node in await qmp.query_named_block_nodes()]
    return [name for name in names if name.startswith(prefix)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Merge:
    """One layer of a disk merged into the one below it, by the format nodes of both. `reference`: how the layer above
    `top` names what it stands on; None when `top` is the active layer. `size`: bytes that are about to be copied."""

    key: str
    top: str
    base: str
    reference: str | None
    size: int = 0

    @property
    def job(self) -> str:
        return f"merge-{self.key}"


async def merge(
    process: GuestProcess, merge: Merge, renamed: Callable[[], Awaitable[None]], *, speed: int, advance: Advance | None
) -> None:
    """Merge and forget the upper layer. `renamed()` gives the lower layer's file the upper one's name, or raises and
    has not; for the active layer it is called while both hold the same and nothing is written. Resumes what an earlier
    daemon began.

    When it fails or is cancelled the job is ended and the guest goes on with the layers as they were; what is already
    merged stays so, which changes no content but that of the lower layer alone."""
    job = merge.job
    try:
        await _begin(process, merge, speed)
        if merge.reference is None:
            await _until_ready(process, merge, speed, advance)
        else:
            await jobs.until_ended(process, job, advance)
    except BaseException:
        with contextlib.suppress(TarmacError):
            await jobs.abandon(process, job)
        raise
    # From here to the end nothing may come between: a name without its pivot would be the older layer's.
    await whole(_swap(process, merge, renamed), _nothing)


async def _until_ready(process: GuestProcess, merge: Merge, speed: int, advance: Advance | None) -> None:
    """A guest that writes faster than the limit would keep the two layers apart for ever: after twice the time that
    the copy should take, the limit is lifted."""
    if speed:
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS + 2 * merge.size / speed):
                await jobs.until_ready(process, merge.job, advance)
                return
        except TimeoutError:
            await jobs.set_speed(process.monitor(), merge.job, 0)
    await jobs.until_ready(process, merge.job, advance)


async def _swap(process: GuestProcess, merge: Merge, renamed: Callable[[], Awaitable[None]]) -> None:
    if merge.reference is None:
        async with _standing(process) if merge.key in _SYNCHRONOUS else contextlib.nullcontext():
            await _pivot(process, merge, renamed)
    else:
        await renamed()
    await close_unused(process.monitor(), merge.key)


async def _pivot(process: GuestProcess, merge: Merge, renamed: Callable[[], Awaitable[None]]) -> None:
    try:
        await jobs.hold(process, merge.job)
        await renamed()
    except TarmacError:
        await jobs.abandon(process, merge.job)
        raise
    await jobs.release(process, merge.job)


@contextlib.asynccontextmanager
async def _standing(process: GuestProcess) -> AsyncIterator[None]:
    """The guest's processors stand still inside the block, a few milliseconds; one that was paused stays so. If the
    daemon dies in it, the next one lets the guest go on (`go_on`)."""
    qmp = process.monitor()
    running = await qmp.query_status() == "running"
    if running:
        await qmp.stop()
    try:
        yield
    finally:
        if running:
            await process.monitor().cont()


async def go_on(process: GuestProcess) -> None:
    """Of a guest that ran when its merge began, after a crash of the daemon in it: its processors do not stay where
    `_standing` stopped them. Repeatable; never raises a TarmacError."""
    with contextlib.suppress(TarmacError):
        if await process.monitor().query_status() == "paused":
            await process.monitor().cont()


async def _nothing(result: object) -> None:
    """What is done is done."""


async def finish_merge(process: GuestProcess, key: str) -> None:
    """After a crash of the daemon between the new name and the pivot: let the job that waits end. Repeatable."""
    job = f"merge-{key}"
    if await jobs.find(process.monitor(), job) is not None:
        await jobs.release(process, job)
    await close_unused(process.monitor(), key)


async def _begin(process: GuestProcess, merge: Merge, speed: int) -> None:
    qmp = process.monitor()
    found = await jobs.find(qmp, merge.job)
    if found is not None and found.error is None and found.status not in ("concluded", "null", "aborting"):
        return
    if found is not None:
        await jobs.abandon(process, merge.job)
    await jobs.start_commit(
        qmp, merge.job, device=top_node(merge.key), top=merge.top, base=merge.base,
        speed=speed, backing_file=merge.reference,
    )  # fmt: skip
