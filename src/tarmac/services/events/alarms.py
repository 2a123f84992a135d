"""Lasting troubles that people are told of once: when one begins, and when it is over.

An alarm has a key (`storage/local/reserve`). It is kept in the store as long as it lasts, so that the next daemon does
not tell it again, and knows that it is over when it is.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Mapping

from tarmac.drivers.store.base import Store
from tarmac.model.errors import TarmacError

PREFIX = "alarms/"
log = logging.getLogger(__name__)
Notify = Callable[[str, str, str, Mapping[str, str]], None]


class Alarms:
    """`notify(severity, title, text, fields)` tells people (`Notifications.notify`)."""

    def __init__(self, *, store: Store, notify: Notify) -> None:
        self._store = store
        self._notify = notify
        self._raised: dict[str, str] = {}

    async def load(self) -> None:
        """Those that lasted when the last daemon ended."""
        for entry in await self._store.range(PREFIX):
            self._raised[entry.key.removeprefix(PREFIX)] = json.loads(entry.value)["title"]

    def __contains__(self, key: str) -> bool:
        return key in self._raised

    def keys(self, prefix: str) -> list[str]:
        """The alarms that last whose keys begin so."""
        return [key for key in sorted(self._raised) if key.startswith(prefix)]

    async def begin(self, key: str, severity: str, title: str, text: str, fields: Mapping[str, str]) -> None:
        """Tell it, unless it lasts already."""
        if key in self._raised:
            return
        self._raised[key] = title
        self._notify(severity, title, text, fields)
        record = {"format": 1, "title": title, "time": int(time.time())}
        await self._keep(key, json.dumps(record).encode())

    async def end(self, key: str, title: str, text: str, fields: Mapping[str, str]) -> None:
        """Tell that it is over, if it lasted."""
        if self._raised.pop(key, None) is not None:
            self._notify("info", title, text, fields)
            await self._keep(key, None)

    async def forget(self, key: str) -> None:
        """What it was about is no more; nobody is told."""
        if self._raised.pop(key, None) is not None:
            await self._keep(key, None)

    async def _keep(self, key: str, value: bytes | None) -> None:
        """A store that cannot be written (its own disk may be what is full) costs at most a repetition after the next
        start."""
        try:
            if value is None:
                await self._store.transact([], deletes=[PREFIX + key])
            else:
                await self._store.put(PREFIX + key, value)
        except TarmacError as problem:
            log.warning("an alarm could not be kept", extra={"alarm": key, "problem": str(problem)})
