"""Blocking calls that may never return (a dead NFS server), kept away from everybody else.

`asyncio.to_thread` shares one pool: a few calls that hang would stop all file work of the daemon, and would hold up its
end. A `HostCalls` has threads of its own, at most `limit` of them, and none is waited for at exit. A caller that gives
up (`asyncio.timeout`) leaves its thread behind; when all hang, later callers wait for their own deadlines.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class HostCalls:
    """Runs functions in daemon threads, at most `limit` at a time. Belongs to one event loop."""

    def __init__(self, name: str, limit: int = 8) -> None:
        self._name = name
        self._free = asyncio.Semaphore(limit)

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """`function(...)` in a thread. After a cancellation the function goes on to its end, unseen."""
        await self._free.acquire()
        loop = asyncio.get_running_loop()
        result: asyncio.Future[T] = loop.create_future()

        def settle(value: T | None, problem: BaseException | None) -> None:
            self._free.release()
            if result.done():
                return
            if problem is not None:
                result.set_exception(problem)
            else:
                result.set_result(value)  # type: ignore[arg-type]

        def work() -> None:
            value: T | None = None
            problem: BaseException | None = None
            try:
                value = function(*args, **kwargs)
            except BaseException as raised:  # noqa: BLE001 - carried over to the caller's task
                problem = raised
            with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile: nobody waits
                loop.call_soon_threadsafe(settle, value, problem)

        threading.Thread(target=work, name=self._name, daemon=True).start()
        return await result
