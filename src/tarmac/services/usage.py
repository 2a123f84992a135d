"""What each running guest uses, sampled every few seconds: processor, memory, network, disks.

Processor and memory come from the kernel (`/proc/PID`), which never hangs; counters of disks come from QEMU, each
guest asked on its own with a deadline, so that a hung one hurts nobody.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from pathlib import Path
from typing import Any

import psutil

from tarmac.model.errors import TarmacError
from tarmac.services.guests import Guest, Guests
from tarmac.services.live_states import shares_memory

SECONDS = 5.0
ASK_SECONDS = 2.0
_TICK = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


class UsageSampler:
    """Keeps `Guest.usage` fresh: `cpu` as a fraction of the guest's own vCPUs, sizes and counters in bytes."""

    def __init__(self, guests: Guests) -> None:
        self._guests = guests
        self._last: dict[int, tuple[int, float, float]] = {}

    async def sample(self) -> None:
        """One round over all running guests."""
        running = [g for g in self._guests if g.process is not None]
        pids = {g.vmid: g.process.pid for g in running if g.process is not None}
        found = await asyncio.to_thread(_read_all, pids)
        clones = {g.vmid: pids[g.vmid] for g in running if shares_memory(g)}
        shares = await asyncio.to_thread(read_shares, clones) if clones else {}
        now = time.monotonic()
        for guest in running:
            if guest.vmid in found and guest.process is not None:
                self._take(guest, pids[guest.vmid], *found[guest.vmid], now)
            if guest.vmid in shares and guest.process is not None:
                guest.usage["private"], guest.usage["shared"] = shares[guest.vmid]
        async with asyncio.TaskGroup() as group:
            for guest in running:
                group.create_task(_ask(guest))
        self._last = {vmid: last for vmid, last in self._last.items() if vmid in pids}

    def _take(self, guest: Guest, pid: int, cpu_seconds: float, memory: int, now: float) -> None:
        before = self._last.get(guest.vmid)
        if before is not None and before[0] == pid and now > before[2]:
            used = (cpu_seconds - before[1]) / (now - before[2])
            guest.usage["cpu"] = round(max(0.0, used / guest.config.present_vcpus), 4)
        self._last[guest.vmid] = (pid, cpu_seconds, now)
        guest.usage["mem"] = memory
        guest.usage["uptime"] = time.time() - (guest.started or time.time())


def _read_all(pids: dict[int, int]) -> dict[int, tuple[float, int]]:
    found = {}
    for vmid, pid in pids.items():
        with contextlib.suppress(OSError, ValueError, IndexError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
            found[vmid] = ((int(fields[11]) + int(fields[12])) / _TICK, pages * _PAGE)
    return found


def read_shares(pids: dict[int, int]) -> dict[int, tuple[int, int]]:
    """(private, shared) bytes of processes that are on a private mapping of a shared memory. Blocks for some
    milliseconds each: the kernel walks their page tables."""
    found = {}
    for vmid, pid in pids.items():
        with contextlib.suppress(OSError, ValueError, KeyError):
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
            sizes = {line.split(":")[0]: int(line.split()[1]) * 1024 for line in lines}
            # What is anonymous is the process's own: copied pages, and QEMU's heap and translated code.
            found[vmid] = (sizes["Anonymous"], sizes["Rss"] - sizes["Anonymous"])
    return found


async def _ask(guest: Guest) -> None:
    process = guest.process
    if process is None:
        return
    with contextlib.suppress(TarmacError, TimeoutError):
        async with asyncio.timeout(ASK_SECONDS):
            rows = await process.monitor().query_blockstats()
        totals = _totals(rows)
        guest.usage.update(totals)
    counters = psutil.net_io_counters(pernic=True) if any(nic.bridge for nic in guest.config.net.values()) else {}
    names = [name for name in counters if name.startswith(f"tap{guest.vmid}i")]
    if names:
        # What the tap receives is what the guest sent.
        guest.usage["netin"] = sum(counters[n].bytes_sent for n in names)
        guest.usage["netout"] = sum(counters[n].bytes_recv for n in names)


def _totals(rows: list[dict[str, Any]]) -> dict[str, float]:
    stats = [row.get("stats", {}) for row in rows if row.get("qdev") or row.get("device")]
    return {
        "diskread": sum(s.get("rd_bytes", 0) for s in stats),
        "diskwrite": sum(s.get("wr_bytes", 0) for s in stats),
    }
