"""The supervisor of background tasks."""

from __future__ import annotations

import asyncio

import pytest

from tarmac.lib.tasks import Supervisor


async def test_failure_is_reported_and_siblings_go_on() -> None:
    reports: list[tuple[str, BaseException]] = []
    done = asyncio.Event()

    async def fail() -> None:
        raise ValueError("broken")

    async with Supervisor(lambda name, error: reports.append((name, error))) as supervisor:
        waiter = supervisor.start(done.wait(), name="waiter")
        failing = supervisor.start(fail(), name="failing")
        await asyncio.wait([failing])
        assert supervisor.running == ("waiter",)
        done.set()
        assert await waiter is True
    assert [(name, str(error)) for name, error in reports] == [("failing", "broken")]


async def test_close_cancels_and_lets_clean_up_finish() -> None:
    steps: list[str] = []
    started = asyncio.Event()

    async def work() -> None:
        try:
            started.set()
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            steps.append("cleaned")

    supervisor = Supervisor()
    supervisor.start(work(), name="w")
    await started.wait()
    await supervisor.close()
    await supervisor.close()
    assert steps == ["cleaned"]
    assert supervisor.running == ()


async def test_start_after_close_is_refused() -> None:
    supervisor = Supervisor()
    await supervisor.close()
    with pytest.raises(RuntimeError, match="closed"):
        supervisor.start(asyncio.sleep(0), name="late")


async def test_a_task_that_resists_cancellation_is_reported() -> None:
    reports: list[str] = []
    release, started = asyncio.Event(), asyncio.Event()

    async def stubborn() -> None:
        started.set()
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue

    supervisor = Supervisor(lambda name, error: reports.append(f"{name}: {error}"))
    task = supervisor.start(stubborn(), name="stubborn")
    await started.wait()
    await supervisor.close(grace=0.01)
    assert reports == ["stubborn: did not end within 0.01 s of its cancellation"]
    release.set()
    await task


async def test_repeat_goes_on_after_a_failure() -> None:
    reports: list[str] = []
    turns = 0
    third = asyncio.Event()

    async def turn() -> None:
        nonlocal turns
        turns += 1
        if turns == 1:
            raise OSError("once")
        if turns == 3:
            third.set()

    async with Supervisor(lambda name, error: reports.append(f"{name}: {error}")) as supervisor:
        supervisor.repeat(turn, every=0.001, name="sampler")
        await third.wait()
    assert reports == ["sampler: once"]
