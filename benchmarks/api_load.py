"""Requests a second and latencies of the ten reads that clients use most, with 10, 1,000 and 10,000 guests and 1, 10
and 50 clients over HTTPS.

    .venv/bin/python benchmarks/api_load.py [--guests 10 1000 10000] [--clients 1 10 50] [--seconds 2]

Each client has a kept connection and waits for each answer. They run in processes of their own (at most four, as many
clients in each); on a machine with few processors they take time from the daemon, so the processor time that the daemon
used for a request stands beside.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import ssl
import time
from collections.abc import Sequence
from typing import Any

import psutil
from common import FIRST, Row, TestDaemon, daemon_with, percentile, report

PROCESSES = 4
START_SECONDS = 60.0


def reads(guests: int) -> dict[str, list[str]]:
    """The most used reads (by the number of clients that call them), with the paths that take turns."""
    some = [FIRST + n * guests // 10 for n in range(10)]
    return {
        "qemu/{vmid}/config": [f"/nodes/n1/qemu/{vmid}/config" for vmid in some],
        "qemu/{vmid}/status/current": [f"/nodes/n1/qemu/{vmid}/status/current" for vmid in some],
        "cluster/resources": ["/cluster/resources"],
        "version": ["/version"],
        "tasks/{upid}/status": [],
        "cluster/nextid": ["/cluster/nextid"],
        "cluster/status": ["/cluster/status"],
        "nodes": ["/nodes"],
        "nodes/{node}/status": ["/nodes/n1/status"],
        "storage/{storage}/content": ["/nodes/n1/storage/local/content"],
    }


class Connection:
    """One kept connection over TLS, with as little of its own as can be."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, token: str) -> None:
        self._reader = reader
        self._writer = writer
        self._token = token

    @classmethod
    async def open(cls, port: int, token: str) -> Connection:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return cls(*await asyncio.open_connection("127.0.0.1", port, ssl=context, limit=1 << 20), token)

    async def get(self, path: str) -> None:
        head = f"GET /api2/json{path} HTTP/1.1\r\nHost: x\r\nAuthorization: PVEAPIToken={self._token}\r\n\r\n"
        self._writer.write(head.encode())
        headers = await self._reader.readuntil(b"\r\n\r\n")
        assert headers.startswith(b"HTTP/1.1 200"), headers
        left = int(headers.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
        while left:
            left -= len(await self._reader.read(min(left, 1 << 20)))


async def _client(connection: Connection, paths: Sequence[str], until: float, took: list[float]) -> None:
    turn = 0
    while time.monotonic() < until:
        begun = time.perf_counter()
        await connection.get(paths[turn % len(paths)])
        took.append((time.perf_counter() - begun) * 1000)
        turn += 1


def _process(port: int, token: str, paths: Sequence[str], count: int, seconds: float, ready: Any, results: Any) -> None:
    took: list[float] = []

    async def run() -> None:
        connections = [await Connection.open(port, token) for _ in range(count)]
        await asyncio.to_thread(ready.wait, START_SECONDS)
        until = time.monotonic() + seconds
        async with asyncio.TaskGroup() as group:
            for connection in connections:
                group.create_task(_client(connection, paths, until, took))

    asyncio.run(run())
    results.put(took)


def crowd(port: int, token: str, paths: Sequence[str], clients: int, seconds: float) -> list[float]:
    """Milliseconds of each request of so many clients."""
    results: Any = multiprocessing.Queue()
    shares = [clients // PROCESSES + (n < clients % PROCESSES) for n in range(min(clients, PROCESSES))]
    ready = multiprocessing.Barrier(len(shares))
    started = [
        multiprocessing.Process(target=_process, args=(port, token, paths, share, seconds, ready, results))
        for share in shares
    ]
    for process in started:
        process.start()
    took = [one for _ in started for one in results.get()]
    for process in started:
        process.join()
    return took


def measure(daemon: TestDaemon, guests: int, clients: Sequence[int], seconds: float) -> list[Row]:
    made = daemon.post("/access/users/root@pam/token/load", privsep=0)
    token = f"{made['full-tokenid']}={made['value']}"
    upid = daemon.put(f"/nodes/n1/qemu/{FIRST}/config", name="load") or daemon.get("/cluster/tasks")[0]["upid"]
    assert daemon.process is not None
    process = psutil.Process(daemon.process.pid)
    rows = []
    for what, paths in reads(guests).items():
        for count in clients:
            before = process.cpu_times()
            took = crowd(daemon.port, token, paths or [f"/nodes/n1/tasks/{upid}/status"], count, seconds)
            after = process.cpu_times()
            used = after.user + after.system - before.user - before.system
            label = f"{guests:,} guests, {count} clients: {what}"
            rows += [
                Row(f"{label}, median", "ms", took),
                Row(f"{label}, p99", "ms", [percentile(took, 0.99)]),
                Row(f"{label}, rate", "requests/s", [len(took) / seconds]),
                Row(f"{label}, daemon's processor", "ms", [1000 * used / len(took)]),
            ]
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--guests", type=int, nargs="+", default=[10, 1000, 10_000])
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 10, 50])
    parser.add_argument("--seconds", type=float, default=2.0, help="for each figure")
    options = parser.parse_args()
    for guests in options.guests:
        with daemon_with(guests) as daemon:
            report("api_load", measure(daemon, guests, options.clients, options.seconds))


if __name__ == "__main__":
    main()
