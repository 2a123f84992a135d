"""The figures of nodes, guests and storages over time, as `rrddata` shows them.

Once a minute a row of each guest that runs, of each storage and of the node goes to its file (`lib.round_robin`), in a
thread; what does not run costs nothing and leaves a gap. Processor and memory are averages over the samples of the
minute, counters become bytes a second.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tarmac.lib.round_robin import RoundRobin
from tarmac.services.figures.figures import Figures
from tarmac.services.guests.guests import Guest, Guests
from tarmac.services.node.nodes import Nodes
from tarmac.services.resources.cluster import boot_disk_bytes, memory_bytes
from tarmac.services.resources.encoded_rows import SLICE_SECONDS

log = logging.getLogger(__name__)

SECONDS = 60
LEVELS = ((60, 1440), (1800, 1440), (21_600, 1460))
DECADE = (7 * 86_400, 520)
FRAMES = {"hour": (60, 60), "day": (60, 1440), "week": (1800, 336), "month": (1800, 1440), "year": (21_600, 1460)}
"""Timeframe -> (seconds of a row, rows), Proxmox's of version 9."""
NODE_FRAMES = {**FRAMES, "decade": DECADE}
RATES = ("netin", "netout", "diskread", "diskwrite")
GUEST = RoundRobin(("cpu", "maxcpu", "mem", "maxmem", "disk", "maxdisk", *RATES, "memhost"), LEVELS)
NODE = RoundRobin(
    (
        "loadavg", "maxcpu", "cpu", "iowait", "memtotal", "memused", "memavailable", "swaptotal", "swapused",
        "roottotal", "rootused", "netin", "netout",
    ),
    (*LEVELS, DECADE),
)  # fmt: skip
STORAGE = RoundRobin(("total", "used"), LEVELS)
Values = dict[str, float]
Row = tuple[RoundRobin, Path, Values]


@dataclass(slots=True)
class Gathered:
    """What was sampled of one object since its last row, and its counters at that row."""

    samples: int = 0
    sums: Values = field(default_factory=dict)
    counters: Values = field(default_factory=dict)
    at: float = 0.0

    def add(self, values: Values) -> None:
        self.samples += 1
        for name, value in values.items():
            self.sums[name] = self.sums.get(name, 0.0) + value

    def averages(self) -> Values:
        """The averages since the last call, which begin anew."""
        found = {name: total / self.samples for name, total in self.sums.items()}
        self.samples, self.sums = 0, {}
        return found

    def rates(self, counters: Values, now: float) -> Values:
        """What grew, by the second since the last call; a counter that fell began anew and is left out."""
        last, seconds, self.counters, self.at = self.counters, now - self.at, counters, now
        grown = {name: (value - last[name]) / seconds for name, value in counters.items() if name in last}
        return {name: rate for name, rate in grown.items() if rate >= 0}


class History:
    """`record` is called every minute, `sampled` with each new sample; `rows` answers `rrddata`."""

    def __init__(
        self,
        *,
        directory: Path,
        guests: Guests,
        nodes: Nodes,
        figures: Figures,
        storages: Callable[[], list[dict[str, Any]]],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._directory = directory
        self._guests = guests
        self._nodes = nodes
        self._figures = figures
        self._storages = storages
        self._clock = clock
        self._gathered: dict[str, Gathered] = {}
        self._gone: list[Path] = []

    def sampled(self, ids: Collection[str]) -> None:
        """Keep the new figures of these for the average of the minute."""
        for id in ids:
            figures = self._figures.of(id)
            if figures is not None:
                values = zip(Figures.COLUMNS[:2], figures[:2], strict=True)
                told = {name: value for name, value in values if value is not None}
                self._gathered.setdefault(id, Gathered()).add(told)

    def guest_changed(self, vmid: int) -> None:
        """A guest that is gone takes its figures along."""
        if self._guests.find(vmid) is None:
            self._gathered.pop(f"qemu/{vmid}", None)
            self._gone.append(self._path(f"qemu/{vmid}"))

    async def record(self) -> None:
        """Write the minute's rows, in a thread. A disk that cannot be written costs its rows and nothing else."""
        now = self._clock()
        gone, self._gone = self._gone, []
        rows = [self._node_row(now)]
        rows += [(STORAGE, self._path(f"storage/{row['storage']}"), _storage(row)) for row in self._storages()]
        until = time.perf_counter() + SLICE_SECONDS
        running = [guest for guest in self._guests if guest.process is not None]
        for guest in running:
            rows.append(self._guest_row(guest, now))
            if time.perf_counter() > until:
                await asyncio.sleep(0)
                until = time.perf_counter() + SLICE_SECONDS
        ids = {f"qemu/{guest.vmid}" for guest in running}
        self._gathered = {id: g for id, g in self._gathered.items() if id in ids or id.startswith("node/")}
        await asyncio.to_thread(_write, rows, now, gone)

    async def sweep(self) -> None:
        """Remove the files of guests that are no more; called once at the start."""
        known = {f"{guest.vmid}.rr" for guest in self._guests}

        def remove() -> None:
            for path in (self._directory / "qemu").glob("*.rr"):
                if path.name not in known:
                    path.unlink(missing_ok=True)

        await asyncio.to_thread(remove)

    async def rows(self, id: str, timeframe: str, *, maximum: bool = False) -> list[dict[str, float]]:
        """The rows of a timeframe, oldest first: `time`, and each figure that is known of that moment."""
        kind = id.partition("/")[0]
        form = {"node": NODE, "qemu": GUEST, "storage": STORAGE}[kind]
        seconds, count = (NODE_FRAMES if kind == "node" else FRAMES)[timeframe]
        path, now = self._path(id), self._clock()
        rows = await asyncio.to_thread(form.read, path, seconds, count, now, maximum=maximum)
        return [
            {"time": int(start), **{n: v for n, v in zip(form.columns, figures, strict=True) if not math.isnan(v)}}
            for start, *figures in rows
        ]

    async def storage_use(self, storage: str) -> list[tuple[float, int]]:
        """What is known of a storage's use in the last day: seconds since the epoch and bytes, oldest first."""
        rows = await self.rows(f"storage/{storage}", "day")
        return [(row["time"], int(row["used"])) for row in rows if "used" in row]

    def _path(self, id: str) -> Path:
        return self._directory / f"{id}.rr"

    def _node_row(self, now: float) -> Row:
        id, sample = f"node/{self._nodes.node}", self._nodes.sample
        gathered = self._gathered.setdefault(id, Gathered())
        averages = gathered.averages()
        values = {
            "loadavg": sample.load,
            "maxcpu": self._nodes.summary()["maxcpu"],
            "cpu": averages.get("cpu", sample.cpu),
            "iowait": sample.wait,
            "memtotal": sample.memory["total"],
            "memused": averages.get("mem", sample.memory["used"]),
            "memavailable": sample.memory["available"],
            "swaptotal": sample.swap["total"],
            "swapused": sample.swap["used"],
            "roottotal": sample.root["total"],
            "rootused": sample.root["used"],
            **gathered.rates({"netin": sample.netin, "netout": sample.netout}, now),
        }
        return NODE, self._path(id), values

    def _guest_row(self, guest: Guest, now: float) -> Row:
        id, config, usage = f"qemu/{guest.vmid}", guest.config, guest.usage
        gathered = self._gathered.setdefault(id, Gathered())
        values = {
            **gathered.averages(),
            "maxcpu": config.present_vcpus,
            "maxmem": memory_bytes(config),
            "disk": 0,
            "maxdisk": boot_disk_bytes(config),
            **gathered.rates({name: usage[name] for name in RATES if name in usage}, now),
        }
        if "memhost" in usage:
            values["memhost"] = usage["memhost"]
        return GUEST, self._path(id), values


def _storage(row: dict[str, Any]) -> Values:
    return {"total": row["maxdisk"], "used": row["disk"]} if row["status"] == "available" else {}


def _write(rows: list[Row], now: float, gone: list[Path]) -> None:
    for path in gone:
        path.unlink(missing_ok=True)
    for form, path, values in rows:
        try:
            form.add(path, now, values)
        except OSError as problem:
            log.warning("figures could not be written", extra={"path": str(path), "problem": str(problem)})
            return  # the others lie on the same disk
