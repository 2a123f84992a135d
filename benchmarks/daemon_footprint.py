"""What a daemon costs that has nothing to do: memory and processor with so many guests known and some running.

    .venv/bin/python benchmarks/daemon_footprint.py [--guests 1000] [--running 0 10 50] [--seconds 20]

Running guests are real QEMUs whose processors are stopped (`freeze`), so that what is measured is the watching. The
peer is a libvirtd that knows the same number, where it is installed. Memory is the resident set of the daemon.
"""

from __future__ import annotations

import argparse
import time

import libvirt_peer
import psutil
from common import FIRST, Row, TestDaemon, daemon_with, report

SETTLE_SECONDS = 5.0


def footprint(process: psutil.Process, seconds: float) -> tuple[float, float]:
    """(MiB resident, percent of one core) of a process over the next seconds, the children it keeps included."""
    time.sleep(SETTLE_SECONDS)
    before, begun = _cpu(process), time.monotonic()
    time.sleep(seconds)
    used = (_cpu(process) - before) / (time.monotonic() - begun) * 100
    return process.memory_info().rss / 2**20, used


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def start_frozen(daemon: TestDaemon, first: int, count: int) -> None:
    """Guests without disks and with stopped processors."""
    for vmid in range(first, first + count):
        daemon.task("POST", daemon.qemu, vmid=vmid, memory=64, freeze=1, vga="none", serial0="socket")
        daemon.task("POST", f"{daemon.qemu}/{vmid}/status/start")


def measure(guests: int, running: list[int], seconds: float) -> list[Row]:
    memory: list[Row] = []
    begun = time.perf_counter()
    with daemon_with(guests) as daemon:
        memory.append(
            Row(f"{guests:,} guests: fill the store and start the daemon", "s", [time.perf_counter() - begun])
        )
        assert daemon.process is not None
        process, first = psutil.Process(daemon.process.pid), FIRST + guests
        for count in sorted(running):
            start_frozen(daemon, first, FIRST + guests + count - first)
            first = FIRST + guests + count
            label = f"{guests:,} known, {count} running"
            for moment in ("after the start", "after lists and reads") if count == min(running) else ("then",):
                if moment == "after lists and reads":
                    daemon.get("/cluster/resources")
                    daemon.get(daemon.qemu)
                    for vmid in range(FIRST, FIRST + guests):
                        daemon.get(f"{daemon.qemu}/{vmid}/config")
                rss, cpu = footprint(process, seconds)
                memory.append(Row(f"{label}, {moment}: memory", "MiB", [rss]))
                memory.append(Row(f"{label}, {moment}: idle", "% of a core", [cpu]))
    return memory


def libvirt_footprint(guests: int, seconds: float) -> tuple[float, float]:
    with libvirt_peer.libvirt(guests):
        daemon = next(p for p in psutil.process_iter(["name"]) if p.info["name"] == "libvirtd")
        return footprint(daemon, seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--guests", type=int, default=1000)
    parser.add_argument("--running", type=int, nargs="+", default=[0, 10, 50])
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--no-virsh", action="store_true")
    options = parser.parse_args()
    rows = measure(options.guests, options.running, options.seconds)
    if libvirt_peer.installed() and not options.no_virsh:
        rss, cpu = libvirt_footprint(options.guests, options.seconds)
        for row, value in ((rows[1], rss), (rows[2], cpu)):
            row.peer, row.peer_values = "libvirtd", [value]
    report("daemon_footprint", rows)


if __name__ == "__main__":
    main()
