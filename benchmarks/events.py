"""What followers of the event stream cost: idle ones, and 10 that are told of 100 changes a second.

    .venv/bin/python benchmarks/events.py [--guests 10000] [--seconds 15] [--idle 100] [--busy 10]

Processor is that of the daemon, in seconds it used by seconds gone, so that other work on the machine counts little.
The peer of the busy followers is what a page would do without a stream: asking for the whole list every 3 seconds.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import multiprocessing
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
from common import CONFIG, FIRST, Row, TestDaemon, daemon_with, percentile, report

from support.event_client import EventClient, follow
from support.event_site import EventSite, event_site
from tarmac.lib import places
from tarmac.services.guests.guests import Guest

POLL_SECONDS = 3.0
SETTLE_SECONDS = 8.0
CHANGES_A_SECOND = 100


def used(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


@contextlib.asynccontextmanager
async def followers(unix: str, count: int) -> AsyncIterator[list[EventClient]]:
    async with contextlib.AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(follow(unix=unix)) for _ in range(count)]
        for client in clients:
            await client.ready()
        yield clients


async def percent(process: psutil.Process, seconds: float) -> float:
    """Percent of a core over the next seconds."""
    before, begun = used(process), time.monotonic()
    await asyncio.sleep(seconds)
    return (used(process) - before) / (time.monotonic() - begun) * 100


async def idle(process: psutil.Process, unix: str, count: int, seconds: float) -> list[Row]:
    alone, memory = await percent(process, seconds), process.memory_info().rss
    async with followers(unix, count):
        more = process.memory_info().rss - memory
        together = await percent(process, seconds)
    label = f"an idle follower (of {count})"
    return [
        Row(f"{label}: processor", "ms a second", [max(0.0, together - alone) * 10 / count]),
        Row(f"{label}: memory", "KiB", [more / count / 1024]),
    ]


async def busy(count: int, guests: int, seconds: float) -> list[Row]:
    """What telling so many followers costs, without what the changes themselves cost: the stream's services in this
    process, followers in another, and the processor time of the loop's thread."""
    with tempfile.TemporaryDirectory() as name:
        async with event_site(Path(name)) as house:
            known = house.services.guests
            for vmid in range(FIRST, FIRST + guests):
                known._guests[vmid] = Guest(vmid, CONFIG.format(vmid=vmid, mac="00:00:01"), 1)
            alone = await _told(house, guests, seconds)
            process = multiprocessing.Process(target=_follow, args=(house.unix, count), daemon=True)
            process.start()
            await asyncio.sleep(SETTLE_SECONDS)
            assert len(house.services.events._followers) == count
            together = await _told(house, guests, seconds)
            process.terminate()
            await asyncio.to_thread(process.join)
    label = f"{count} followers told of {CHANGES_A_SECOND} changes a second"
    return [Row(f"{label}: what that costs", "% of a core", [together - alone])]


async def _told(house: EventSite, guests: int, seconds: float) -> float:
    """Percent of a core of this thread while guests change."""
    events, begun, before = house.services.events, time.monotonic(), time.thread_time()
    for number in range(int(seconds * CHANGES_A_SECOND)):
        events.touch(f"qemu/{FIRST + number * 7 % guests}")
        await asyncio.sleep(max(0.0, begun + number / CHANGES_A_SECOND - time.monotonic()))
    return (time.thread_time() - before) / (time.monotonic() - begun) * 100


def _follow(unix: str, count: int) -> None:
    async def read() -> None:
        async with followers(unix, count) as clients, asyncio.TaskGroup() as group:
            for client in clients:
                group.create_task(_read(client))

    asyncio.run(read())


async def _read(client: EventClient) -> None:
    while await client.next() is not None:
        pass


async def _polling(process: psutil.Process, unix: str, count: int, seconds: float) -> float:
    """Percent of a core while so many ask for the whole list now and then."""
    from aiohttp import ClientSession, UnixConnector

    async def ask(session: ClientSession) -> None:
        while True:
            async with session.get("http://localhost/api2/json/cluster/resources") as reply:
                await reply.read()
            await asyncio.sleep(POLL_SECONDS)

    async with ClientSession(connector=UnixConnector(unix)) as session, asyncio.TaskGroup() as group:
        tasks = [group.create_task(ask(session)) for _ in range(count)]
        found = await percent(process, seconds)
        for task in tasks:
            task.cancel()
    return found


async def latency(daemon: TestDaemon, unix: str, rounds: int = 20) -> list[Row]:
    """From the answer of a change until a follower has it."""
    took = []
    async with follow(unix=unix) as client:
        await client.ready()
        for number in range(rounds):
            await asyncio.sleep(0.3)
            name = f"name{number}"
            await asyncio.to_thread(daemon.put, f"{daemon.qemu}/100/config", name=name)
            begun = time.perf_counter()
            await client.until_true(lambda name=name: client.rows["qemu/100"]["name"] == name)  # type: ignore[misc]
            took.append((time.perf_counter() - begun) * 1000)
    return [
        Row("change to follower, median", "ms", took),
        Row("change to follower, p95", "ms", [percentile(took, 0.95)]),
    ]


async def snapshot(unix: str, guests: int) -> Row:
    took = []
    for _ in range(5):
        begun = time.perf_counter()
        async with follow(unix=unix) as client:
            await client.ready()
            assert len(client.rows) > guests
        took.append((time.perf_counter() - begun) * 1000)
    return Row("connect until the snapshot is complete and understood", "ms", took)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--guests", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=15.0, help="for each figure")
    parser.add_argument("--idle", type=int, default=100)
    parser.add_argument("--busy", type=int, default=10)
    options = parser.parse_args()

    async def measure(daemon: TestDaemon) -> list[Row]:
        assert daemon.process is not None
        process, unix = psutil.Process(daemon.process.pid), str(places.api_socket(daemon.data))
        await asyncio.to_thread(daemon.get, "/cluster/resources")
        rows = [await snapshot(unix, options.guests), *await latency(daemon, unix)]
        rows += await idle(process, unix, options.idle, options.seconds)
        polled = await _polling(process, unix, options.busy, options.seconds)
        told = await busy(options.busy, options.guests, options.seconds)
        told[0].peer, told[0].peer_values = "asking for the list every 3 s", [polled]
        return [*rows, *told]

    with daemon_with(options.guests) as daemon:
        report("events", asyncio.run(measure(daemon)))


if __name__ == "__main__":
    main()
