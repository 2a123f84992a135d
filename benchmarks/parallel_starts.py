"""Fifty guests started at once, with stopped processors (the platform's own cost) and, fewer, really booting.

    .venv/bin/python benchmarks/parallel_starts.py [--frozen 50] [--booting 6] [--runs 3]

Ours: all requests are sent at once, and the time runs until the last task has ended (QEMU answers its monitor, the
guest's processors go or stay stopped as it is configured). The peer: as many QEMUs with the same words, each until it
answers its monitor. Booting: until the last guest's agent answers, for both.
"""

from __future__ import annotations

import argparse
import time
from concurrent.futures import ThreadPoolExecutor

import by_hand
from common import Row, TestDaemon, daemon_with, report

from support.images import built_image

FIRST = 9000


def start_all(daemon: TestDaemon, vmids: list[int]) -> float:
    """Seconds until the last start's task has ended."""
    begun = time.perf_counter()
    with ThreadPoolExecutor(len(vmids)) as pool:
        replies = pool.map(lambda vmid: daemon.reply("POST", f"{daemon.qemu}/{vmid}/status/start", wait=120), vmids)
        for reply in replies:
            assert reply["task"]["exitstatus"] == "OK", reply
    return time.perf_counter() - begun


def stop_all(daemon: TestDaemon, vmids: list[int]) -> None:
    upids = [daemon.post(f"{daemon.qemu}/{vmid}/status/stop") for vmid in vmids]
    for upid in upids:
        daemon.wait_task(upid)


def frozen(daemon: TestDaemon, count: int, runs: int) -> list[Row]:
    """Guests without disks whose processors never go."""
    vmids = list(range(FIRST, FIRST + count))
    for vmid in vmids:
        daemon.task("POST", daemon.qemu, vmid=vmid, memory=64, freeze=1, vga="none", serial0="socket")
    took, hand = [], []
    for _ in range(runs):
        took.append(start_all(daemon, vmids) / count)
        stop_all(daemon, vmids)
        hand.append(by_hand.runs(daemon, vmids) / count)
    for vmid in vmids:
        daemon.task("DELETE", f"{daemon.qemu}/{vmid}")
    return [Row(f"{count} frozen guests at once, each", "s", took, "QEMUs by hand, same argv", hand)]


def booting(daemon: TestDaemon, count: int, runs: int) -> list[Row]:
    """Guests that boot the tiny image, each from a disk of its own."""
    image = daemon.add_image(built_image("tiny"))
    vmids = [daemon.create(FIRST + n, image) for n in range(count)]
    took, hand = [], []
    for _ in range(runs):
        begun = time.perf_counter()
        start_all(daemon, vmids)
        for vmid in vmids:
            daemon.wait_agent(vmid, 300)
        took.append((time.perf_counter() - begun) / count)
        stop_all(daemon, vmids)
        begun = time.perf_counter()
        with ThreadPoolExecutor(count) as pool:
            list(pool.map(lambda vmid: by_hand.agent_answers(daemon, vmid), vmids))
        hand.append((time.perf_counter() - begun) / count)
    return [Row(f"{count} guests at once until their agents answer, each", "s", took, "QEMUs by hand", hand)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frozen", type=int, default=50)
    parser.add_argument("--booting", type=int, default=6)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    rows: list[Row] = []
    with daemon_with(0) as daemon:
        if options.frozen:
            rows += frozen(daemon, options.frozen, options.runs)
        if options.booting:
            rows += booting(daemon, options.booting, options.runs)
    report("parallel_starts", rows)


if __name__ == "__main__":
    main()
