"""Holding a running guest still: nothing in flight, file systems flushed, processors stopped, its state written out.

A guest is never left frozen: `held` lets it go again unless its caller says that it has ended for good, also when it
fails or is cancelled, and each of its steps has a limit.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from tarmac.drivers.qemu.agent import Agent
from tarmac.drivers.qemu.process import GuestProcess
from tarmac.drivers.qemu.qmp import Qmp
from tarmac.model.errors import Busy, TarmacError

FREEZE_SECONDS = 10.0
RELEASE_SECONDS = 10.0
_QMP_SECONDS = 5.0
_MIGRATING = frozenset({"setup", "active", "pre-switchover", "device", "postcopy-active", "cancelling"})


@dataclass(slots=True, kw_only=True)
class Held:
    """A guest that stands still. `quiet`: its file systems were flushed and frozen by its agent, else `why` not.
    `ran`: its processors ran before. Set `ended` when it will not go on."""

    quiet: bool
    why: str = ""
    ran: bool = True
    ended: bool = False


async def check_idle(qmp: Qmp) -> None:
    """Raises Busy, naming it, when a block job or a migration is under way."""
    jobs = await qmp.execute("query-block-jobs")
    if jobs:
        raise Busy(
            f"{qmp.label} cannot be frozen while a disk of it is being copied",
            code="live-block-job",
            cause=f"the block job {jobs[0]['device']} ({jobs[0]['type']}) is at work",
            evidence=", ".join(str(job["device"]) for job in jobs),
        )
    status = (await qmp.execute("query-migrate")).get("status")
    if status in _MIGRATING:
        raise Busy(
            f"{qmp.label} cannot be frozen while its state is being transferred",
            code="live-migrating",
            cause="a migration or a snapshot of it is under way",
            evidence=f"query-migrate: {status}",
        )


@contextlib.asynccontextmanager
async def held(process: GuestProcess, agent: Agent | None, say: Callable[[str], None]) -> AsyncIterator[Held]:
    """Stop a guest at a moment at which nothing is in flight; it goes on when the block ends.

    A guest without an answering agent is stopped all the same (as a power cut would find it), and `Held.why` says so.
    Raises Busy (`check_idle`), and what QEMU refuses."""
    qmp = process.monitor()
    await check_idle(qmp)
    async with contextlib.AsyncExitStack() as stack:
        if agent is not None:
            # Whoever else talks to the agent waits until the guest goes on: an answer half-way would be in the state.
            await stack.enter_async_context(agent.reserved())
        ran = await qmp.query_status() == "running"
        found = await _quiet(agent if ran else None)
        found.ran = ran
        try:
            async with qmp.within(_QMP_SECONDS):
                await qmp.stop()
            if found.why:
                say(found.why)
            yield found
        finally:
            if not found.ended:
                await let_go(process, agent if found.quiet else None, say, ran=found.ran)


async def _quiet(agent: Agent | None) -> Held:
    if agent is None:
        return Held(quiet=False, why="no agent to flush its file systems: they are as a power cut would leave them")
    try:
        await agent.fsfreeze_freeze(within=FREEZE_SECONDS)
    except TarmacError as problem:
        with contextlib.suppress(TarmacError):
            await agent.fsfreeze_thaw(within=RELEASE_SECONDS)
        return Held(quiet=False, why=f"the file systems are not flushed ({problem.message})")
    except BaseException:
        # Cancelled half-way: the guest may be frozen by now. Nothing else would thaw it.
        with contextlib.suppress(TarmacError):
            await agent.fsfreeze_thaw(within=RELEASE_SECONDS)
        raise
    # The agent is asked nothing more: it would see the end of the line in the middle of an answer.
    agent.close()
    return Held(quiet=True)


async def let_go(process: GuestProcess, agent: Agent | None, say: Callable[[str], None], *, ran: bool = True) -> None:
    """Let a held guest go on: processors (if they `ran` before), then (with `agent`) file systems. Repeatable; never
    raises a TarmacError."""
    if process.exited.is_set() or not ran:
        return
    try:
        async with asyncio.timeout(RELEASE_SECONDS):
            await process.monitor().cont()
    except (TarmacError, TimeoutError) as problem:
        say(f"the guest could not go on: {problem}")
    if agent is None:
        return
    try:
        await agent.fsfreeze_thaw(within=RELEASE_SECONDS)
    except TarmacError as problem:
        say(f"the guest's file systems could not be thawed: {problem.message}")
