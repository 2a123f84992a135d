"""How a guest's QEMU is brought to its end, and what kind of end it was. Cleaning up afterwards is `Runtime`'s."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Callable

from tarmac.drivers.qemu.process import GuestProcess
from tarmac.model.errors import Fix, HostFailure, TarmacError, Unavailable
from tarmac.model.lifecycle import State
from tarmac.services.guests.guests import Guest
from tarmac.services.running.agents import Agents

QMP_SECONDS = 5.0
AGENT_SECONDS = 3.0


async def cut_power(guest: Guest, process: GuestProcess, timeout: float) -> None:
    """`quit`, then SIGTERM, then SIGKILL, each with its share of `timeout`; the process has ended on return. Raises
    HostFailure when it is there even so."""
    if guest.state is not State.UNKNOWN:
        with contextlib.suppress(TarmacError, TimeoutError):
            async with asyncio.timeout(min(10.0, timeout)):
                await process.monitor().quit()
    for number, seconds in ((None, 5.0), (signal.SIGTERM, 5.0), (signal.SIGKILL, max(5.0, timeout))):
        if number is not None:
            process.send_signal(number)
        if await ends(process, seconds):
            return
    raise HostFailure(
        f"VM {guest.vmid} cannot be stopped",
        code="process-stuck",
        cause="its QEMU waits in the kernel, usually for a storage that hangs, and dies only when that answers",
        evidence=f"pid {process.pid} is there after SIGKILL",
        fixes=[Fix(text="bring the storage of its disks back")],
    )


async def ask_to_end(guest: Guest, process: GuestProcess, agents: Agents, say: Callable[[str], None]) -> None:
    """By the agent where there is one (it works without ACPI, and at once), else by the power button. Raises
    TimeoutError or Unavailable when QEMU does not answer."""
    async with asyncio.timeout(QMP_SECONDS):
        if guest.state is not State.RUNNING:
            await process.monitor().cont()
    if guest.config.agent.enabled:
        try:
            await agents.of(guest.vmid).shutdown(within=AGENT_SECONDS)
            return
        except TarmacError as problem:
            say(f"{problem.message}: pressing the power button instead")
    async with asyncio.timeout(QMP_SECONDS):
        await process.monitor().system_powerdown()


async def ends(process: GuestProcess, seconds: float) -> bool:
    """Whether the process ends within so many seconds."""
    try:
        async with asyncio.timeout(max(0.0, seconds)):
            await process.exited.wait()
    except TimeoutError:
        return False
    return True


def not_shut_down(timeout: float) -> Unavailable:
    """The error for a guest that was asked to switch itself off and did not."""
    return Unavailable(
        "VM quit/powerdown failed - got timeout",
        code="shutdown-timeout",
        cause=f"the guest did not switch itself off within {timeout:.0f} s",
        evidence="no answer to the power button; it may not listen to ACPI, or be busy",
        fixes=[
            Fix(text="try again with a longer time-out", parameters={"timeout": str(int(timeout * 2))}),
            Fix(text="cut the power", action="POST .../status/stop"),
        ],
    )


def how_it_ended(code: int | None, words: str, *, orderly: bool) -> str:
    """In words, "" for an end that was asked for. `code` as of `GuestProcess.exit_code`: None for a process that an
    earlier daemon started; then only its farewell (`orderly`) tells a shutdown from a kill."""
    if code == 0 or (code is None and orderly):
        return ""
    if code is None:
        how = "QEMU ended without a word: it was killed, or it crashed"
    elif code < 0:
        how = f"QEMU was killed by signal {-code} ({signal.strsignal(-code)})"
    else:
        how = f"QEMU ended with code {code}"
    return f"{how}: {words.strip()}" if words.strip() else how
