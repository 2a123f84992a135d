"""The guest agents: one connection per guest, opened when it is needed, closed with the guest.

An agent that hangs hurts only who asks it; every call has a limit of time. The texts are Proxmox's.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from tarmac.drivers.qemu.agent import Agent
from tarmac.model.errors import Fix, Unavailable, WrongState
from tarmac.model.lifecycle import State
from tarmac.services.guests import Guest, Guests

CALL_SECONDS = 30.0
PING_SECONDS = 3.0


class Agents:
    """Calls into guests. Raises WrongState (`VM 100 is not running`, `No QEMU guest agent configured`), Unavailable
    (`QEMU guest agent is not running`)."""

    def __init__(self, guests: Guests) -> None:
        self._guests = guests
        self._open: dict[int, tuple[int, Agent]] = {}

    def of(self, vmid: int) -> Agent:
        """The guest's agent; nothing is sent yet."""
        guest = self._guests.get(vmid)
        if guest.process is None:
            raise WrongState(f"VM {vmid} is not running", code="not-running")
        if not guest.config.agent.enabled:
            raise WrongState(
                "No QEMU guest agent configured",
                code="no-agent",
                cause="the guest's configuration has no agent=1",
                evidence=f"agent: {guest.config.texts.get('agent', '(not set)')}",
                fixes=[Fix(text="switch it on and restart the guest", action="PUT .../config", parameters={"agent": "1"})],
            )
        kept = self._open.get(vmid)
        if kept is None or kept[0] != guest.process.pid:
            kept = (guest.process.pid, Agent(guest.process.directory / "qga.sock"))
            self._open[vmid] = kept
        return kept[1]

    async def call(
        self, vmid: int, command: str, arguments: dict[str, Any] | None = None, *, seconds: float = CALL_SECONDS
    ) -> Any:
        """One agent command and its answer."""
        agent = self.of(vmid)
        try:
            async with asyncio.timeout(seconds):
                return await agent.call(command, arguments)
        except TimeoutError:
            raise Unavailable(
                "QEMU guest agent is not running",
                code="agent-silent",
                cause="the agent did not answer in time: the guest still boots, is overloaded, or the agent hangs",
                evidence=f"no answer to {command} within {seconds:.0f} s",
                fixes=[Fix(text="wait until the guest has booted, and see that qemu-guest-agent runs in it")],
            ) from None

    async def ping(self, vmid: int) -> None:
        await self.call(vmid, "guest-ping", seconds=PING_SECONDS)

    def forget(self, guest: Guest) -> None:
        """A listener of `Runtime.changed`: a stopped guest's connection is closed."""
        if guest.state is State.STOPPED:
            kept = self._open.pop(guest.vmid, None)
            if kept is not None:
                with contextlib.suppress(OSError):
                    kept[1].close()
