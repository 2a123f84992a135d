"""A storage whose reading calls end in time: what waits for a dead file server gets an error, not an endless wait."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable
from typing import Any, cast

from tarmac.drivers.storage.base import Storage
from tarmac.model.errors import Fix, Unavailable

READ_SECONDS = 10.0
"""How long a reading call may take. Writing ones have no limit: they belong to a job, which can be cancelled."""
_READS = frozenset({"status", "list", "info", "layers", "snapshots", "give"})


def patient(driver: Storage) -> Storage:
    """The same storage; its reading calls raise Unavailable after READ_SECONDS."""
    return cast(Storage, _Patient(driver))


class _Patient:
    def __init__(self, driver: Storage) -> None:
        self._driver = driver

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._driver, name)
        return self._bounded(found) if name in _READS else found

    def _bounded(self, call: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        @functools.wraps(call)
        async def bounded(*args: Any, **kwargs: Any) -> Any:
            clock = asyncio.timeout(READ_SECONDS)
            try:
                async with clock:
                    return await call(*args, **kwargs)
            except TimeoutError:
                if not clock.expired():
                    raise
                raise does_not_answer(self._driver.id, READ_SECONDS) from None

        return bounded


def does_not_answer(storage: str, seconds: float) -> Unavailable:
    """The error for a storage that hangs."""
    return Unavailable(
        f"storage '{storage}' does not answer",
        code="storage-timeout",
        cause="the call into it hangs, as with a dead file server",
        evidence=f"no answer within {seconds:g} s",
        fixes=[Fix(text="look whether its server runs and can be reached; the storage comes back by itself")],
    )
