"""The daemon's memory while 200 requests a second go on for half an hour: reads, changes, logins, refusals, followers.

    .venv/bin/python benchmarks/soak.py [--minutes 30] [--rate 200] [--guests 1000]

The figure that counts is the slope: what memory grows in an hour after the first fifth of the time, by the straight
line that fits best.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import time

import aiohttp
import psutil
from common import FIRST, Row, TestDaemon, daemon_with, report

from support.event_client import follow
from tarmac.lib import places
from tarmac.services.storage.space import growth

WORKERS = 10
SAMPLE_SECONDS = 5.0
HOUR = 3600.0
MIB = 1 << 20


def calls(guests: int) -> list[tuple[str, str, dict[str, str]]]:
    """One round: as clients call, mostly reads; every tenth is a change, some are refused."""
    one, other = f"/nodes/n1/qemu/{FIRST}", f"/nodes/n1/qemu/{FIRST + guests // 2}"
    reads = [
        "/version",
        "/cluster/resources?type=node",
        f"{one}/config",
        f"{one}/status/current",
        "/nodes",
        f"{other}/config",
        f"{other}/pending",
        "/cluster/status",
        "/nodes/n1/storage",
        "/access/permissions",
        "/cluster/tasks",
        f"{other}/rrddata?timeframe=hour",
        "/nodes/n1/qemu/999999999/config",
        "/cluster/nothing",
        f"{one}/config?bogus=1",
        "/cluster/nextid",
    ]
    found = [("GET", path, dict[str, str]()) for path in reads]
    found.insert(5, ("PUT", f"{one}/config", {"description": "soak"}))
    found.append(("POST", f"{other}/config", {"description": "soak"}))
    return found


async def soak(daemon: TestDaemon, guests: int, minutes: float, rate: float) -> list[Row]:
    assert daemon.process is not None
    process = psutil.Process(daemon.process.pid)
    unix = str(places.api_socket(daemon.data))
    until = time.monotonic() + minutes * 60
    done: list[float] = []
    samples: list[tuple[float, int]] = []
    turns = itertools.cycle(calls(guests))
    numbers = itertools.count()

    async def work(session: aiohttp.ClientSession) -> None:
        due = time.monotonic()
        while time.monotonic() < until:
            method, path, form = next(turns)
            form = {key: f"{text} {next(numbers)}" for key, text in form.items()}
            begun = time.perf_counter()
            async with session.request(method, f"http://x/api2/json{path}", data=form or None) as reply:
                await reply.read()
            done.append((time.perf_counter() - begun) * 1000)
            due = max(due + WORKERS / rate, time.monotonic() - 1)
            await asyncio.sleep(max(0.0, due - time.monotonic()))

    async def listen() -> None:
        async with follow(unix=unix, query="?watch=*") as client:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(minutes * 60):
                    while await client.next() is not None:
                        client.messages.clear()

    async def sample() -> None:
        while time.monotonic() < until:
            samples.append((time.monotonic(), process.memory_info().rss))
            await asyncio.sleep(SAMPLE_SECONDS)

    connector = aiohttp.UnixConnector(unix, limit=0)
    async with aiohttp.ClientSession(connector=connector) as session, asyncio.TaskGroup() as group:
        for _ in range(WORKERS):
            group.create_task(work(session))
        group.create_task(listen())
        group.create_task(sample())
    settled = samples[len(samples) // 5 :]
    label = f"soak of {minutes:g} minutes"
    return [
        Row(f"{label}: requests answered", "requests/s", [len(done) / (minutes * 60)]),
        Row(f"{label}: latency, median", "ms", done),
        Row(f"{label}: memory after the first fifth", "MiB", [settled[0][1] / MIB]),
        Row(f"{label}: memory at the end", "MiB", [settled[-1][1] / MIB]),
        Row(f"{label}: growth", "MiB/h", [growth(settled) * HOUR / MIB]),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--rate", type=float, default=200, help="requests a second")
    parser.add_argument("--guests", type=int, default=1000)
    options = parser.parse_args()
    with daemon_with(options.guests) as daemon:
        report("soak", asyncio.run(soak(daemon, options.guests, options.minutes, options.rate)))


if __name__ == "__main__":
    main()
