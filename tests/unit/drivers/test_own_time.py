"""Limits that do not run while a process waits for a processor: real processes that share one."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tarmac.drivers.qemu.own_time import own_time, waited

BUSY = "while True: pass"


@pytest.fixture
def starved() -> Iterator[int]:
    """A process that shares one processor with three others as busy as it."""
    processor = min(os.sched_getaffinity(0))
    children = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(4)]
    try:
        for child in children:
            os.sched_setaffinity(child.pid, {processor})
        yield children[0].pid
    finally:
        for child in children:
            child.kill()
            child.wait()


async def test_waiting_for_a_processor_does_not_count(starved: int) -> None:
    before = sum(waited(starved).values())
    async with own_time(starved, 1.5, most=60):
        while sum(waited(starved).values()) - before < 1.6:  # so the block takes longer than its limit
            await asyncio.sleep(0.02)


async def test_a_process_that_does_nothing_has_the_plain_limit() -> None:
    with subprocess.Popen(["sleep", "60"]) as child:
        with pytest.raises(TimeoutError):
            async with own_time(child.pid, 0.05, most=60):
                await asyncio.sleep(60)
        child.kill()


async def test_there_is_an_end(starved: int) -> None:
    with pytest.raises(TimeoutError):
        async with own_time(starved, 0.6, most=0.7):
            await asyncio.sleep(60)
