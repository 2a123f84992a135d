"""Whose turn it is to work on a resumable upload: one at a time, and who comes later takes over."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field


@dataclass(slots=True)
class UploadTurn:
    """`limit` is that of the one who takes bytes in, so that a later one can end it."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    limit: asyncio.Timeout | None = None
    waiting: int = 0


class UploadTurns:
    """The turns by upload, as long as anybody works on one or waits."""

    def __init__(self) -> None:
        self._turns: dict[str, UploadTurn] = {}

    def __contains__(self, id: str) -> bool:
        return id in self._turns

    @contextlib.asynccontextmanager
    async def take(self, id: str) -> AsyncIterator[UploadTurn]:
        """Become the one who works on an upload. Whoever does so now is told to stop: his client may be long gone."""
        turn = self._turns.setdefault(id, UploadTurn())
        turn.waiting += 1
        try:
            if turn.limit is not None:
                turn.limit.reschedule(asyncio.get_running_loop().time())
                turn.limit = None
            async with turn.lock:
                yield turn
        finally:
            turn.waiting -= 1
            if not turn.waiting:
                self._turns.pop(id, None)
