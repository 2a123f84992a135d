"""The running side of guests: launch, adopt, watch, stop. Only here `Guest.state` and `Guest.process` are set.

A guest's process belongs to itself: the daemon adopts it at start, watches it, and cleans up after its end, whether a
job ended it, the guest switched itself off, or somebody killed it. Changes of one guest's process go through its
runtime lock, so a clean-up and a new start never meet.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from tarmac.drivers.qemu.process import GuestProcess, adopt
from tarmac.drivers.qemu.qmp import Qmp
from tarmac.drivers.qemu.record import read_record
from tarmac.lib.tasks import Supervisor
from tarmac.model.errors import DataCorrupt, Fix, HostFailure, TarmacError, Unavailable, WrongState
from tarmac.model.lifecycle import State, not_running
from tarmac.model.vm import VmConfig
from tarmac.services.guests.guests import Guest, Guests
from tarmac.services.running.agents import Agents
from tarmac.services.running.consoles import Consoles
from tarmac.services.running.ending import QMP_SECONDS, ask_to_end, cut_power, ends, how_it_ended, not_shut_down
from tarmac.services.running.launcher import Launcher

log = logging.getLogger(__name__)

LAUNCH_SECONDS = 60.0
ADOPT_SECONDS = 3.0
RECONNECT_SECONDS = 5.0
ASK_SECONDS = 5.0
TRIM_ROUNDS = 12
_STATES = {
    "running": State.RUNNING,
    "paused": State.PAUSED,
    "prelaunch": State.PAUSED,
    "inmigrate": State.PAUSED,
    "postmigrate": State.PAUSED,
    "finish-migrate": State.PAUSED,
    "suspended": State.PAUSED,
    "debug": State.PAUSED,
    "io-error": State.IO_ERROR,
    "internal-error": State.PAUSED,
    "guest-panicked": State.PAUSED,
    "watchdog": State.PAUSED,
    "shutdown": State.PAUSED,
}
_BY_EVENT = {"STOP", "RESUME", "BLOCK_IO_ERROR", "RESET", "GUEST_PANICKED"}
Listener = Callable[[Guest], None]
Start = Callable[[Guest, Callable[[str], None]], Awaitable[GuestProcess]]


class Runtime:
    """See the module. `changed` are called after a guest's observed state changed."""

    def __init__(
        self, *, guests: Guests, launcher: Launcher, consoles: Consoles, agents: Agents, supervisor: Supervisor
    ) -> None:
        self._guests = guests
        self._launcher = launcher
        self._consoles = consoles
        self._agents = agents
        self._supervisor = supervisor
        self._locks: defaultdict[int, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._gone: defaultdict[int, asyncio.Event] = defaultdict(asyncio.Event)
        self.changed: list[Listener] = []

    # -- start --------------------------------------------------------------------------------------------------

    async def check(self, guest: Guest, texts: dict[str, str]) -> None:
        """Whether a launch could be built from these texts; raises what the launch would raise, touches nothing."""
        await self._launcher.plan(guest.vmid, VmConfig.parse(texts))

    async def launch(
        self,
        guest: Guest,
        say: Callable[[str], None],
        start: Start | None = None,
        *,
        ran: Sequence[str] | None = None,
    ) -> dict[str, Any]:
        """Start QEMU, by a cold boot unless `start` says otherwise (`ran`: see `Launcher.launch`). On any failure
        nothing of it is left: no process, tap, cgroup, socket."""
        async with self._locks[guest.vmid]:
            if guest.process is not None:
                raise WrongState(f"VM {guest.vmid} already running", code="already-running")
            try:
                async with asyncio.timeout(LAUNCH_SECONDS):
                    if start is not None:
                        process = await start(guest, say)
                    else:
                        process = await self._launcher.launch(guest, say, ran=ran)
            except TimeoutError:
                await self._launcher.clean(guest.vmid)
                raise HostFailure(
                    f"VM {guest.vmid} did not start within {LAUNCH_SECONDS:.0f} s",
                    code="start-timeout",
                    cause="QEMU runs but does not answer its monitor",
                    evidence=f"no answer for {LAUNCH_SECONDS:.0f} s",
                    fixes=[Fix(text="look at the host's load, and at the storage of its disks")],
                ) from None
            except TarmacError:
                await self._launcher.clean(guest.vmid)
                raise
            await self._take(guest, process)
        return {"pid": process.pid}

    async def _take(self, guest: Guest, process: GuestProcess) -> None:
        guest.process = process
        self._gone[guest.vmid].clear()
        guest.started = process.record.started
        guest.usage = {}
        self._consoles.attach(guest.vmid, process.directory)
        self._supervisor.start(self._watch(guest, process), name=f"watch {guest.vmid}")
        await self.observe(guest)

    # -- adoption -----------------------------------------------------------------------------------------------

    async def adopt_all(self) -> dict[str, int]:
        """Take up every guest that runs, and clean up after those that ended meanwhile; all at once, each on its own.

        Returns how many were adopted and how many had ended."""
        counts = {"adopted": 0, "ended": 0, "silent": 0}

        async def one(guest: Guest) -> None:
            outcome = await self._adopt_one(guest)
            if outcome:
                counts[outcome] += 1

        async with asyncio.TaskGroup() as group:
            for guest in self._guests:
                group.create_task(one(guest))
        return counts

    async def _adopt_one(self, guest: Guest) -> str | None:
        directory = self._launcher.directory(guest.vmid)
        try:
            record = await asyncio.to_thread(read_record, directory)
            if record is None:
                return None
            process = await adopt(record, cgroup=self._launcher.cgroup(guest.vmid), patience=ADOPT_SECONDS)
        except (DataCorrupt, HostFailure) as problem:
            log.error("a running guest could not be adopted", extra={"vmid": guest.vmid, "problem": problem.message})
            guest.note = problem.message
            return None
        if process is None:
            await self._launcher.clean(guest.vmid)
            return "ended"
        await self._take(guest, process)
        return "silent" if process.qmp is None else "adopted"

    # -- observation --------------------------------------------------------------------------------------------

    def monitor(self, guest: Guest) -> Qmp:
        """The guest's control connection. Raises WrongState when it is stopped, Unavailable when QEMU is silent."""
        if guest.process is None:
            raise not_running(guest.vmid)
        return guest.process.monitor()

    async def observe(self, guest: Guest) -> State:
        """Ask QEMU for its state and write it down; `unknown` when it does not answer."""
        process = guest.process
        if process is None:
            return self._set(guest, State.STOPPED)
        try:
            async with asyncio.timeout(QMP_SECONDS):
                status = await process.monitor().query_status()
        except (TarmacError, TimeoutError):
            return self._set(guest, State.STOPPED if process.exited.is_set() else State.UNKNOWN)
        return self._set(guest, _STATES.get(status, State.RUNNING))

    def _set(self, guest: Guest, state: State) -> State:
        if guest.state is not state:
            guest.state = state
            log.info("guest state", extra={"vmid": guest.vmid, "state": state.value})
            for listener in self.changed:
                listener(guest)
        return state

    async def _watch(self, guest: Guest, process: GuestProcess) -> None:
        """Follow one process to its end, then clean up after it."""
        async with asyncio.TaskGroup() as group:
            follower = group.create_task(self._follow(guest, process))
            connector = group.create_task(self._keep_connected(guest, process))
            await process.exited.wait()
            connector.cancel()  # the follower hears the last events and ends with them
        await self._ended(guest, process, orderly=follower.result())

    async def _follow(self, guest: Guest, process: GuestProcess) -> bool:
        """Whether QEMU said that it would end, once it has."""
        orderly = False
        with process.events(*_BY_EVENT, "SHUTDOWN") as events:
            async for event in events:
                if event.name == "SHUTDOWN":
                    orderly = True
                    continue
                if event.name == "GUEST_PANICKED":
                    guest.note = "the guest's kernel panicked"
                await self.observe(guest)
        return orderly

    async def _keep_connected(self, guest: Guest, process: GuestProcess) -> None:
        """QEMU is asked now and then, because one that hangs says so to nobody; the connection is made anew when it
        is lost; the log is kept short on the same rounds."""
        for round_ in itertools.count(1):
            qmp = process.qmp
            if qmp is not None and qmp.connected:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(ASK_SECONDS):
                        await qmp.closed.wait()
                    continue
            else:
                with contextlib.suppress(TarmacError):
                    await process.reconnect(patience=QMP_SECONDS)
            await self.observe(guest)
            if round_ % TRIM_ROUNDS == 0:
                await asyncio.to_thread(process.trim_log)
            if process.qmp is None:
                await asyncio.sleep(RECONNECT_SECONDS)

    async def _ended(self, guest: Guest, process: GuestProcess, *, orderly: bool) -> None:
        async with self._locks[guest.vmid]:
            if guest.process is not process:
                return
            words = (await asyncio.to_thread(process.last_words))[-500:]
            guest.last_exit = how_it_ended(process.exit_code, words, orderly=orderly)
            if guest.last_exit:
                log.warning("guest ended by itself", extra={"vmid": guest.vmid, "how": guest.last_exit})
            await self._drop_connections(guest)
            await process.close()
            await self._launcher.clean(guest.vmid)
            guest.process, guest.started, guest.usage = None, None, {}
            self._set(guest, State.STOPPED)
            self._gone[guest.vmid].set()

    async def _drop_connections(self, guest: Guest) -> None:
        self._consoles.detach(guest.vmid)
        await self._agents.close(guest.vmid)

    # -- stop ---------------------------------------------------------------------------------------------------

    async def stop(self, guest: Guest, timeout: float) -> None:
        """End QEMU: `quit`, then SIGTERM, then SIGKILL, each with its share of `timeout`. Stopped already is fine."""
        process = guest.process
        if process is None:
            return
        await cut_power(guest, process, timeout)
        await self._settled(guest)

    async def shutdown(self, guest: Guest, timeout: float, *, force: bool, say: Callable[[str], None]) -> None:
        """Ask the guest to switch itself off; after `timeout` seconds cut its power (`force`) or raise Unavailable."""
        process = guest.process
        if process is None:
            return
        deadline = time.monotonic() + timeout
        try:
            await ask_to_end(guest, process, self._agents, say)
        except TimeoutError:
            say("QEMU does not answer its monitor")
        except Unavailable:
            if not process.exited.is_set() and not force:
                raise
        if await ends(process, deadline - time.monotonic()):
            await self._settled(guest)
            return
        if force:
            say(f"still running after {timeout:.0f} s: the power is cut")
            await self.stop(guest, 10)
            return
        raise not_shut_down(timeout)

    async def _settled(self, guest: Guest) -> None:
        """The process has ended; wait until its clean-up has, too."""
        await self._gone[guest.vmid].wait()

    async def settled(self, guest: Guest, seconds: float) -> None:
        """Wait until a guest whose process has ended is cleaned up. Raises Unavailable when that takes longer."""
        try:
            async with asyncio.timeout(seconds):
                await self._settled(guest)
        except TimeoutError:
            raise Unavailable(
                f"VM {guest.vmid} has ended and is not cleaned up", code="still-ending", evidence=f"{seconds:g} s"
            ) from None

    async def forget(self, vmid: int) -> None:
        """Remove what a deleted guest left in the runtime directory."""
        await self._launcher.clean(vmid)
        self._locks.pop(vmid, None)
        self._gone.pop(vmid, None)

    async def let_go(self) -> None:
        """The daemon stops: close every connection, touch no guest."""
        for guest in self._guests:
            if guest.process is not None:
                await self._drop_connections(guest)
                await guest.process.close()
