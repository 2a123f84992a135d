"""What instant clones claim of the host's memory: what they share is there once, what they may still copy is counted.

A clone starts with almost nothing of its own and may in the end have copied every page. So a share of its memory
(`reserve`, percent) is counted as claimed until it has taken it; 100 is a promise that it can have all.
"""

from __future__ import annotations

import psutil

from tarmac.model.errors import Fix, HostFailure
from tarmac.model.units import MIB, human_size
from tarmac.services.guests.guests import Guest, Guests
from tarmac.services.instant.records import InstantRecords
from tarmac.services.instant.states import LiveStates
from tarmac.services.node.memory_settings import MemorySettings

# QEMU's own memory: some tens of MiB, under emulation also the translated code of a guest that has just come up.
OVERHEAD = {"kvm": 48 * MIB, "tcg": 96 * MIB}


class CloneAdmission:
    """Counts; nothing here is kept."""

    def __init__(
        self, *, guests: Guests, records: InstantRecords, states: LiveStates, settings: MemorySettings
    ) -> None:
        self._guests = guests
        self._records = records
        self._states = states
        self._settings = settings

    @property
    def reserve(self) -> int:
        """Percent, where nobody says another."""
        return self._settings.rules.instant_reserve

    @property
    def keep_free(self) -> int:
        """Bytes that nobody may take."""
        return self._settings.rules.keep_free

    def outstanding(self) -> int:
        """Bytes that running clones have been promised and have not taken yet."""
        total = 0
        for vmid, record in self._records.all().items():
            guest = self._guests.find(vmid)
            if guest is not None and guest.shares_memory:
                total += max(0, self._claim(guest, record.reserve) - int(guest.usage.get("private", 0)))
        return total

    @staticmethod
    def _claim(guest: Guest, reserve: int) -> int:
        return guest.config.memory_mib * MIB * reserve // 100

    async def check(
        self, template: int, memory: int, accelerator: str, count: int, reserve: int, *, looking: bool = False
    ) -> None:
        """Whether `count` clones fit now. Memory held in readiness is given up first, or with `looking` only counted.
        Raises HostFailure."""
        shared = 0 if self._states.held(template) else memory
        each = memory * reserve // 100 + OVERHEAD[accelerator]
        wanted = shared + count * each
        if wanted <= self._free():
            return
        if looking and wanted <= self._free() + self._states.idle_except(template):
            return
        if not looking and await self._states.drop_idle_except(template) and wanted <= self._free():
            return
        free = max(0, self._free())
        fit = max(0, (free - shared) // each)
        raise HostFailure(
            f"not enough memory for {count} instant clone(s) of VM {template}: {human_size(wanted)} are wanted, "
            f"{human_size(free)} are free",
            code="memory-short",
            cause=f"each may copy {reserve} % of its {human_size(memory)}, and QEMU takes "
            f"{human_size(OVERHEAD[accelerator])} of its own; what running clones may still copy is promised to them",
            evidence=f"available: {human_size(psutil.virtual_memory().available)}; promised: "
            f"{human_size(self.outstanding())}; shared memory still to be filled: {human_size(shared)}",
            fixes=[
                Fix(text=f"make {fit} clone(s)", parameters={"count": str(fit)})
                if fit
                else Fix(text="stop another guest"),
                Fix(
                    text="count less for each, if they write little", parameters={"reserve": str(max(0, reserve // 2))}
                ),
            ],
        )

    def _free(self) -> int:
        return int(psutil.virtual_memory().available) - self._settings.rules.keep_free - self.outstanding()
