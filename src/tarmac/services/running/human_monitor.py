"""QEMU's human monitor: for people who look for a fault, command by command.

Source of the rights: Proxmox's `POST .../monitor`: whoever may only look (`Sys.Audit`) may ask `info` and `help`.
What is changed here is changed behind the platform's back, in this run of the guest alone.
"""

from __future__ import annotations

from tarmac.model.errors import Denied, Fix
from tarmac.services.access.access import Access, Identity
from tarmac.services.guests.guests import Guests
from tarmac.services.running.runtime import Runtime

_HARMLESS = ("info", "help", "?")
SECONDS = 25.0


class HumanMonitor:
    """Commands to a running guest's QEMU."""

    def __init__(self, *, guests: Guests, runtime: Runtime, access: Access) -> None:
        self._guests = guests
        self._runtime = runtime
        self._access = access

    async def command(self, identity: Identity, vmid: int, text: str) -> str:
        """What QEMU answers. Raises NotFound, WrongState when the guest does not run, Denied, HostFailure."""
        guest = self._guests.get(vmid)
        words = text.split()
        harmless = not words or words[0] in _HARMLESS
        if not harmless and not self._access.allowed(identity, f"/vms/{vmid}", ["Sys.Modify"]):
            raise Denied(
                f"Permission check failed (/vms/{vmid}, Sys.Modify)",
                code="permission",
                cause="without Sys.Modify only `info` and `help` may be asked",
                evidence=f"the command begins with '{words[0]}'",
                fixes=[Fix(text=f"have somebody grant you Sys.Modify on /vms/{vmid}")],
            )
        qmp = self._runtime.monitor(guest)
        async with qmp.within(SECONDS):
            return str(await qmp.execute("human-monitor-command", {"command-line": text}))
