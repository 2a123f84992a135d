"""What followers of the event stream cost: idle ones, and 10 that are told of 100 changes a second.

    .venv/bin/python benchmarks/events.py [--guests 10000] [--seconds 15] [--idle 100] [--busy 10]

Processor is that of the daemon, in seconds it used by seconds gone, so that other work on the machine counts little.
The peer of the busy followers is what a page would do without a stream: asking for the whole list every 3 seconds.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

import psutil
from api_reads import changes
from common import Row, TestDaemon, daemon_with, percentile, report

from support.event_client import EventClient, follow
from tarmac.lib import places

POLL_SECONDS = 3.0


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


async def busy(process: psutil.Process, unix: str, count: int, guests: int, seconds: float) -> list[Row]:
    with changes(unix, guests) as rate:
        alone = await percent(process, seconds)
        async with followers(unix, count) as clients, asyncio.TaskGroup() as group:
            tasks = [group.create_task(_read(client)) for client in clients]
            together = await percent(process, seconds)
            for task in tasks:
                task.cancel()
        sizes = [len(client.messages) / seconds for client in clients]
        polled = await _polling(process, unix, count, seconds)
    label = f"{count} followers amid changes"
    return [
        Row(f"{label}: what they cost", "% of a core", [together - alone], "polling", [polled - alone]),
        Row(f"{label}: deltas a second, each", "messages", sizes),
        Row(f"{label}: changes meanwhile", "changes/s", rate),
    ]


async def _read(client: EventClient) -> None:
    with contextlib.suppress(TimeoutError):
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
        return rows + await busy(process, unix, options.busy, options.guests, options.seconds)

    with daemon_with(options.guests) as daemon:
        report("events", asyncio.run(measure(daemon)))


if __name__ == "__main__":
    main()
