"""The guests' agents: one object per running guest, shared by all callers, closed with the guest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tarmac.drivers.qemu.agent import Agent
from tarmac.model.errors import Fix, WrongState
from tarmac.model.lifecycle import not_running
from tarmac.services.guests.guests import Guests

SOCKET = "qga.sock"


class Agents:
    """Finds the agent of a guest; the calls themselves are `drivers.qemu.agent`'s."""

    def __init__(self, guests: Guests) -> None:
        self._guests = guests
        self._open: dict[int, tuple[int, Agent]] = {}

    def of(self, vmid: int) -> Agent:
        """The guest's agent; nothing is sent yet.

        Raises NotFound, WrongState (`VM 100 is not running`, `No QEMU guest agent configured`)."""
        guest = self._guests.get(vmid)
        if guest.process is None:
            raise not_running(vmid, "VM {vmid} is not running")
        if not guest.config.agent.enabled:
            raise WrongState(
                "No QEMU guest agent configured",
                code="no-agent",
                cause="the guest's configuration has no agent=1",
                evidence=f"agent: {guest.config.texts.get('agent', '(not set)')}",
                fixes=[
                    Fix(text="switch it on, then restart the guest", action="PUT .../config", parameters={"agent": "1"})
                ],
            )
        kept = self._open.get(vmid)
        if kept is None or kept[0] != guest.process.pid:
            kept = (guest.process.pid, Agent(guest.process.directory / SOCKET, label=f"VM {vmid}"))
            self._open[vmid] = kept
        return kept[1]

    async def call(self, vmid: int, command: str, arguments: Mapping[str, Any] | None = None) -> Any:
        """One command by its name, for those that need no form of ours."""
        return await self.of(vmid).call(command, arguments)

    async def close(self, vmid: int) -> None:
        """The guest has ended, or the daemon does: let go of the connection."""
        kept = self._open.pop(vmid, None)
        if kept is not None:
            kept[1].close()
