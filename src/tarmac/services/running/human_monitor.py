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
# Whose words cannot hold a secret. Others are many, and grow with QEMU: drives and objects with passwords, keys typed.
_TOLD = {
    *_HARMLESS,
    *("balloon", "block_job_cancel", "block_job_complete", "block_job_pause", "block_job_resume", "block_resize"),
    *("block_set_io_throttle", "boot_set", "c", "cont", "delvm", "device_del", "drive_del", "eject", "loadvm", "log"),
    *("migrate_cancel", "netdev_del", "nmi", "object_del", "p", "print", "q", "quit", "s", "savevm", "screendump"),
    *("set_link", "stop", "sum", "system_powerdown", "system_reset", "system_wakeup", "watchdog_action", "x", "xp"),
}
MASK = "**********"
SECONDS = 25.0


def told(text: str) -> str:
    """What of a command the audit trail and logs are told: all of it where it cannot hold a secret, else its verb."""
    verb, *rest = text.split(None, 1)[:2] or [""]
    return text if verb in _TOLD or not rest else f"{verb[:40]} {MASK}"


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
