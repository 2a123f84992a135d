"""Durable commits a second: the store beside plain SQLite with one commit a write, on the same disk in the same run.

    .venv/bin/python benchmarks/store_commits.py [DIRECTORY]

Give a directory on the disk that counts; the default, below the current one, is that of the checkout.
"""

from __future__ import annotations

import asyncio
import sqlite3
import statistics
import sys
import tempfile
import time
from pathlib import Path

from tarmac.drivers.store.sqlite import SqliteStore

SECONDS = 2.0
VALUE = b"x" * 1000


def plain(path: Path) -> float:
    """Writes a second of plain SQLite with the same settings, each in a transaction of its own."""
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=FULL")
    db.execute("CREATE TABLE t (key BLOB UNIQUE, value BLOB)")
    begun, count = time.perf_counter(), 0
    while time.perf_counter() - begun < SECONDS:
        db.execute("INSERT OR REPLACE INTO t VALUES (?, ?)", (f"k/{count % 1000}".encode(), VALUE))
        count += 1
    db.close()
    return count / SECONDS


async def ours(path: Path, writers: int) -> tuple[float, float, float]:
    """(writes a second, median and 99th percentile of one write's time in ms) with so many writers at once."""
    store = await SqliteStore.open(path)
    took: list[float] = []
    end = time.perf_counter() + SECONDS

    async def write(n: int) -> None:
        while time.perf_counter() < end:
            begun = time.perf_counter()
            await store.put(f"k/{n}/{len(took) % 1000}", VALUE)
            took.append(time.perf_counter() - begun)

    async with asyncio.TaskGroup() as group:
        for n in range(writers):
            group.create_task(write(n))
    await store.close()
    cuts = statistics.quantiles(took, n=100)
    return len(took) / SECONDS, cuts[49] * 1000, cuts[98] * 1000


async def reads_beside_writes(path: Path) -> tuple[float, float]:
    """Median and 99th percentile of a read in ms while 64 writers keep the disk busy."""
    store = await SqliteStore.open(path)
    await store.put("read", VALUE)
    took: list[float] = []
    end = time.perf_counter() + SECONDS

    async def write(n: int) -> None:
        while time.perf_counter() < end:
            await store.put(f"k/{n}", VALUE)

    async def read() -> None:
        while time.perf_counter() < end:
            begun = time.perf_counter()
            await store.get("read")
            took.append(time.perf_counter() - begun)
            await asyncio.sleep(0.001)

    async with asyncio.TaskGroup() as group:
        for n in range(64):
            group.create_task(write(n))
        group.create_task(read())
    await store.close()
    cuts = statistics.quantiles(took, n=100)
    return cuts[49] * 1000, cuts[98] * 1000


def main() -> None:
    with tempfile.TemporaryDirectory(dir=sys.argv[1] if len(sys.argv) > 1 else ".") as name:
        directory = Path(name)
        base = plain(directory / "plain.db")
        print(f"plain SQLite, a commit each      {base:8.0f} writes/s")
        for writers in (1, 8, 64, 256):
            rate, median, high = asyncio.run(ours(directory / f"{writers}.db", writers))
            print(
                f"store, {writers:3} writers               {rate:8.0f} writes/s  {rate / base:5.1f} x"
                f"   p50 {median:6.2f} ms  p99 {high:6.2f} ms"
            )
        median, high = asyncio.run(reads_beside_writes(directory / "reads.db"))
        print(f"a read beside 64 writers                           p50 {median:6.2f} ms  p99 {high:6.2f} ms")


if __name__ == "__main__":
    main()
