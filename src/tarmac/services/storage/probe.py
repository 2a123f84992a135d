"""How full each storage is: probed one by one with a deadline, kept with its age, shown as stale when a probe fails.

A storage that hangs therefore costs its own row and nothing else; lists are answered from what is kept.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from tarmac.drivers.storage.base import Storage
from tarmac.drivers.storage.values import StorageStatus
from tarmac.model.errors import HostFailure, TarmacError
from tarmac.services.storage.patience import does_not_answer

PROBE_SECONDS = 4.0
"""How long one storage may take: below the 5 s after which usual clients give up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Probed:
    """The last answer of a storage. `at` is when it was given (monotonic seconds, None: never); `problem` why the
    last probe failed, None when it did not."""

    status: StorageStatus | None = None
    at: float | None = None
    problem: TarmacError | None = None

    @property
    def active(self) -> bool:
        return self.problem is None and self.status is not None

    @property
    def stale(self) -> bool:
        return self.problem is not None and self.status is not None


class StorageProbe:
    """Keeps `Probed` by storage id. `changed` are called with the id when an answer differs from the one before."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._known: dict[str, Probed] = {}
        self.changed: list[Callable[[str], None]] = []

    def __getitem__(self, storage: str) -> Probed:
        return self._known.get(storage, Probed())

    def age(self, storage: str) -> float | None:
        """Seconds since its last answer, None when it never answered."""
        at = self[storage].at
        return None if at is None else self._clock() - at

    async def refresh(self, storages: Iterable[Storage]) -> Mapping[str, Probed]:
        """Ask all of them at once; returns within the deadline, whatever they do."""
        asked = list(storages)
        async with asyncio.TaskGroup() as group:
            for storage in asked:
                group.create_task(self._ask(storage))
        return {storage.id: self[storage.id] for storage in asked}

    async def fresh(self, storage: Storage) -> Probed:
        """Ask one now."""
        await self._ask(storage)
        return self[storage.id]

    def forget(self, storage: str) -> None:
        self._known.pop(storage, None)
        self._tell(storage)

    def _keep(self, storage: str, probed: Probed) -> None:
        last = self[storage]
        self._known[storage] = probed
        if (probed.status, probed.active) != (last.status, last.active):
            self._tell(storage)

    def _tell(self, storage: str) -> None:
        for listener in self.changed:
            listener(storage)

    async def _ask(self, storage: Storage) -> None:
        last = self[storage.id]
        try:
            async with asyncio.timeout(PROBE_SECONDS):
                status = await storage.status()
        except TimeoutError:
            problem: TarmacError = does_not_answer(storage.id, PROBE_SECONDS)
        except TarmacError as refused:
            problem = refused
        except OSError as refused:
            problem = HostFailure(f"storage '{storage.id}' cannot be read", evidence=str(refused))
        else:
            self._keep(storage.id, Probed(status=status, at=self._clock()))
            return
        self._keep(storage.id, Probed(status=last.status, at=last.at, problem=problem))
