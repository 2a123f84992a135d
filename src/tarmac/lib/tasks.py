"""Background tasks with an owner: the one place besides a TaskGroup where a task may be started.

A TaskGroup ends all its members when one fails, which is right inside one operation and wrong for the daemon's
long-lived, independent watchers. A `Supervisor` starts such tasks, keeps them from being collected, reports what
fails (a background failure is never silent), and ends all of them when it is closed.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Self, TypeVar

T = TypeVar("T")
Report = Callable[[str, BaseException], None]

_log = logging.getLogger(__name__)


def _log_failure(name: str, error: BaseException) -> None:
    _log.error("background task %s failed", name, exc_info=error)


class Supervisor:
    """Owns background tasks. An async context manager; `close()` ends what still runs."""

    def __init__(self, report: Report = _log_failure) -> None:
        self._report = report
        self._tasks: set[asyncio.Task[Any]] = set()
        self._closed = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    @property
    def running(self) -> tuple[str, ...]:
        """Names of the tasks that run now, sorted: for diagnosis and tests."""
        return tuple(sorted(task.get_name() for task in self._tasks))

    def start(self, work: Coroutine[Any, Any, T], *, name: str) -> asyncio.Task[T]:
        """Run `work` until it ends, fails or this supervisor is closed. The caller may await or cancel the task;
        nobody has to: a failure is given to `report`. Raises RuntimeError after `close()`."""
        if self._closed:
            work.close()
            raise RuntimeError(f"cannot start {name}: the supervisor is closed")
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def repeat(self, work: Callable[[], Awaitable[object]], *, every: float, name: str) -> asyncio.Task[None]:
        """Call `work` now and then `every` seconds after each end, until closed. One failing call is reported and
        the next one made all the same; calls never overlap."""
        return self.start(self._repeat(work, every, name), name=name)

    async def _repeat(self, work: Callable[[], Awaitable[object]], every: float, name: str) -> None:
        while True:
            try:
                await work()
            except Exception as error:  # noqa: BLE001 - the boundary of a watcher: its next turn must come
                self._report(name, error)
            await asyncio.sleep(every)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._report(task.get_name(), error)

    async def close(self, grace: float = 5.0) -> None:
        """Cancel every task and wait up to `grace` seconds for their clean-up. Those that do not end are reported
        by name (TimeoutError), not waited for any longer. Closing twice is fine."""
        self._closed = True
        tasks = set(self._tasks)
        for task in tasks:
            task.cancel()
        if not tasks:
            return
        _, late = await asyncio.wait(tasks, timeout=grace)
        for task in late:
            self._report(task.get_name(), TimeoutError(f"did not end within {grace} s of its cancellation"))


async def first_ends(*works: Coroutine[Any, Any, None]) -> None:
    """Run side by side until the first ends; the others are cancelled. Raises an ExceptionGroup of what fails."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(work) for work in works]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()


async def whole(work: Coroutine[Any, Any, T], undo: Callable[[T], Awaitable[object]]) -> T:
    """Await `work`, which must not be torn apart by a cancellation (starting a process, for instance).

    When the caller is cancelled meanwhile, this waits for `work`'s end all the same, awaits `undo` with its result and
    only then lets the cancellation through; so nothing that `work` made is left without an owner. For short work.
    """
    task = asyncio.get_running_loop().create_task(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        # Further cancellations may come while we wait; what was made must be dealt with all the same.
        while not task.done():
            try:
                await asyncio.wait([task])
            except asyncio.CancelledError:
                continue
        if not task.cancelled() and task.exception() is None:
            await undo(task.result())
        raise


async def whole_in_thread(work: Callable[[], T], undo: Callable[[T], object]) -> T:
    """`whole` for blocking `work`: it and, after a cancellation, `undo` run in a thread."""

    async def clean_up(result: T) -> None:
        await asyncio.to_thread(undo, result)

    return await whole(asyncio.to_thread(work), clean_up)
