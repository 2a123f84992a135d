"""Several things at once, when some of them are meant to fail."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable
from typing import TypeVar

T = TypeVar("T")


async def outcomes(work: Iterable[Awaitable[T]]) -> list[T | Exception]:
    """All of it at once: what each returned or raised, in the order of `work`."""

    async def one(awaited: Awaitable[T]) -> T | Exception:
        try:
            return await awaited
        except Exception as problem:  # noqa: BLE001 - it is the outcome
            return problem

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(awaited)) for awaited in work]
    return [task.result() for task in tasks]
