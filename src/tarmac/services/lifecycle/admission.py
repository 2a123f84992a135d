"""May this guest start here? Its memory must be free; what the host keeps and what clones were promised is not."""

from __future__ import annotations

import psutil

from tarmac.model.errors import Fix, HostFailure
from tarmac.model.units import MIB, human_size
from tarmac.model.vm import VmConfig

PROPOSED = 0.9  # of what is free: that changes while somebody reads
LEAST_MIB = 16


def check_memory(vmid: int, config: VmConfig, *, keep_free: int, promised: int = 0) -> None:
    """Raises HostFailure when the host cannot carry the guest's memory now; `promised` bytes belong to others already,
    who have not taken them yet (instant clones), and `keep_free` to the host itself."""
    wanted = config.memory_mib * MIB
    host = psutil.virtual_memory()
    free = host.available - promised
    if wanted + keep_free <= free:
        return
    fits = max(0, int((free - keep_free) * PROPOSED)) // MIB // LEAST_MIB * LEAST_MIB
    smaller = Fix(text=f"give the guest at most {fits} MiB", action="PUT .../config", parameters={"memory": str(fits)})
    raise HostFailure(
        f"not enough memory to start VM {vmid}: it needs {human_size(wanted)}, {human_size(max(0, free))} are free",
        code="memory-short",
        cause="the guests that run here and the host itself take the rest",
        evidence=f"memory: {config.memory_mib} MiB; host: {human_size(host.total)} in all"
        + f", of which it keeps {human_size(keep_free)}"
        + (f", {human_size(promised)} of it promised to instant clones" if promised else ""),
        fixes=[
            Fix(text="stop another guest"),
            *([smaller] if fits >= LEAST_MIB else []),
        ],
    )
