"""What each running guest uses: processor, memory, network, disks; sampled in turn, or each second for who looks.

Processor and memory come from the kernel (`/proc/PID`), which never hangs; counters of disks come from QEMU, each
guest asked on its own with a deadline, so that a hung one hurts nobody.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil

from tarmac.drivers.network.names import tap_name
from tarmac.model.errors import TarmacError
from tarmac.model.units import MIB
from tarmac.services.guests.guests import Guest, Guests

SECONDS = 1.0
ROUNDS = 10
ASK_SECONDS = 2.0
_TICK = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


class UsageSampler:
    """Keeps `Guest.usage` fresh: `cpu` as a fraction of the guest's own vCPUs, sizes and counters in bytes.

    Each guest is sampled every `ROUNDS` rounds, those whose ids are in `wanted()` in each; `sampled` are called with
    the ids. `instance` is the mark in the names of taps."""

    def __init__(self, guests: Guests, instance: str) -> None:
        self._guests = guests
        self._instance = instance
        self._last: dict[int, tuple[int, float, float]] = {}
        self._round = 0
        self.wanted: Callable[[], Collection[str]] = tuple
        self.sampled: list[Callable[[Collection[str]], None]] = []

    def taps(self) -> dict[str, tuple[int, str]]:
        """The interfaces of running guests' cards on the host: (VMID, card) by name."""
        running = [guest for guest in self._guests if guest.process is not None]
        return {
            tap_name(self._instance, guest.vmid, index): (guest.vmid, f"net{index}")
            for guest in running
            for index in guest.config.net
        }

    async def sample(self) -> None:
        """One round: the guests whose turn it is, spread so that each round costs the same."""
        self._round += 1
        wanted = self.wanted()
        running = [guest for guest in self._guests if guest.process is not None]
        due = [g for g in running if self._is_due(g) or f"qemu/{g.vmid}" in wanted]
        if due:
            await self._sample(due)
        pids = {guest.vmid for guest in running}
        self._last = {vmid: last for vmid, last in self._last.items() if vmid in pids}
        ids = [f"node/{self._guests.node}", *(f"qemu/{guest.vmid}" for guest in due)]
        for listener in self.sampled:
            listener(ids)

    def _is_due(self, guest: Guest) -> bool:
        return guest.vmid not in self._last or (guest.vmid + self._round) % ROUNDS == 0

    async def _sample(self, due: Sequence[Guest]) -> None:
        pids = {g.vmid: g.process.pid for g in due if g.process is not None}
        found, counters = await asyncio.to_thread(_read_all, pids, any(_taps(g) for g in due))
        # In turn only, also for those that are looked at closely: it takes the kernel long.
        clones = {g.vmid: pids[g.vmid] for g in due if self._is_due(g) and g.shares_memory}
        shares = await asyncio.to_thread(read_shares, clones) if clones else {}
        now = time.monotonic()
        for guest in due:
            if guest.vmid in found and guest.process is not None:
                self._take(guest, pids[guest.vmid], *found[guest.vmid], now)
                self._take_network(guest, counters)
            if guest.vmid in shares and guest.process is not None:
                guest.usage["private"], guest.usage["shared"] = shares[guest.vmid]
        async with asyncio.TaskGroup() as group:
            for guest in due:
                group.create_task(_ask(guest))

    def _take(self, guest: Guest, pid: int, cpu_seconds: float, memory: int, now: float) -> None:
        before = self._last.get(guest.vmid)
        if before is not None and before[0] == pid and now > before[2]:
            used = (cpu_seconds - before[1]) / (now - before[2])
            guest.usage["cpu"] = round(max(0.0, used / guest.config.present_vcpus), 4)
        self._last[guest.vmid] = (pid, cpu_seconds, now)
        guest.usage["memhost"] = memory
        # The process also holds what QEMU needs for itself; under emulation, the translated code.
        guest.usage["mem"] = min(memory, guest.config.memory_mib * MIB)
        guest.usage["uptime"] = time.time() - (guest.started or time.time())

    def _take_network(self, guest: Guest, counters: Network) -> None:
        names = [tap_name(self._instance, guest.vmid, index) for index in guest.config.net]
        taps = [counters[name] for name in names if name in counters]
        if taps:
            # What the tap receives is what the guest sent.
            guest.usage["netin"] = sum(sent for sent, _ in taps)
            guest.usage["netout"] = sum(received for _, received in taps)


Network = Mapping[str, tuple[int, int]]
"""Interface -> bytes sent and received."""


def _taps(guest: Guest) -> bool:
    return any(nic.bridge for nic in guest.config.net.values())


def _read_all(pids: dict[int, int], network: bool) -> tuple[dict[int, tuple[float, int]], Network]:
    """Seconds of processor and resident bytes of each process, and the host's interfaces if wanted. Blocks."""
    found = {}
    for vmid, pid in pids.items():
        with contextlib.suppress(OSError, ValueError, IndexError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
            found[vmid] = ((int(fields[11]) + int(fields[12])) / _TICK, pages * _PAGE)
    counters = psutil.net_io_counters(pernic=True) if network else {}
    return found, {name: (c.bytes_sent, c.bytes_recv) for name, c in counters.items()}


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
        guest.usage.update(_totals(rows))


def _totals(rows: list[dict[str, Any]]) -> dict[str, float]:
    stats = [row.get("stats", {}) for row in rows if row.get("qdev") or row.get("device")]
    return {
        "diskread": sum(s.get("rd_bytes", 0) for s in stats),
        "diskwrite": sum(s.get("wr_bytes", 0) for s in stats),
    }
