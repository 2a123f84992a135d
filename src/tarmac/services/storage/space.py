"""How long a storage's space lasts: the reserve that new volumes leave, growth and its forecast, what is promised.

    reserve     space that no new volume may take, so that the disks that are there can still grow
    committed   what the images may still come to take: their guests' sizes less what they take now
    growth      bytes an hour over the last two hours, from the probes

A storage is said to run low before it is full: below its reserve, or full within a day at the present rate.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tarmac.drivers.storage.base import Storage, StorageStatus, VolumeInfo
from tarmac.drivers.storage.volume_names import Content
from tarmac.model.errors import Fix, NoSpace
from tarmac.model.storage import StorageDefinition
from tarmac.model.units import MIB, human_size

SAMPLE_SECONDS = 60.0
SAMPLES = 120
SPAN_SECONDS = 600.0
"""No forecast from less than this."""
WARN_SECONDS = 24 * 3600.0
COUNT_SECONDS = 300.0
"""How often the images are added up."""
_HOUR = 3600.0
Sample = tuple[float, int]


def growth(samples: Sequence[Sample]) -> float:
    """Bytes a second: the slope of the straight line that fits best (least squares) to (seconds, bytes used)."""
    if len(samples) < 2:
        return 0.0
    middle_t = sum(t for t, _ in samples) / len(samples)
    middle_u = sum(u for _, u in samples) / len(samples)
    spread = sum((t - middle_t) ** 2 for t, _ in samples)
    return sum((t - middle_t) * (u - middle_u) for t, u in samples) / spread if spread else 0.0


def committed(volumes: Sequence[VolumeInfo]) -> int:
    """Bytes that images may still take beyond what they take now; where that is not known, nothing."""
    return sum(max(0, v.size - v.used) for v in volumes if v.content is Content.IMAGES and v.used is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """One storage's space in bytes; `growth` in bytes an hour, `full_in` in seconds (None: not foreseeable)."""

    available: int
    reserve: int
    committed: int | None
    growth: int | None
    full_in: float | None

    @property
    def warning(self) -> str:
        """Why somebody should act, "" when nobody has to."""
        if self.available < self.reserve:
            free, kept = human_size(self.available), human_size(self.reserve)
            return f"only {free} free, less than the reserve of {kept}"
        if self.full_in is not None and self.full_in < WARN_SECONDS:
            return f"full in about {max(1, round(self.full_in / _HOUR))} hours at the present rate"
        return ""


def outlook(status: StorageStatus, reserve: int, samples: Sequence[Sample], promised: int | None) -> Outlook:
    """Pure."""
    rate, full_in = None, None
    if samples and samples[-1][0] - samples[0][0] >= SPAN_SECONDS:
        rate = growth(samples)
        full_in = status.available / rate if rate > 0 else None
    return Outlook(
        available=status.available,
        reserve=reserve,
        committed=promised,
        growth=None if rate is None else int(rate * _HOUR),
        full_in=full_in,
    )


def room_to_go_on(status: StorageStatus) -> int:
    """Bytes that must be free before guests that waited for space go on: enough that they do not stop at once."""
    return max(MIB, min(status.total // 50, 1024 * MIB))


class StorageSpace:
    """What the probes told of each storage. `definition` gives a storage's definition."""

    def __init__(
        self, definition: Callable[[str], StorageDefinition], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._definition = definition
        self._clock = clock
        self._samples: dict[str, deque[Sample]] = {}
        self._counted: dict[str, tuple[float, int]] = {}

    def take(self, storage: str, status: StorageStatus) -> None:
        """A probe's answer; one a minute is kept."""
        samples = self._samples.setdefault(storage, deque(maxlen=SAMPLES))
        now = self._clock()
        if not samples or now - samples[-1][0] >= SAMPLE_SECONDS:
            samples.append((now, status.used))

    async def count(self, storage: Storage) -> None:
        """Add up the images, if that is some time ago. Raises what listing them raises."""
        last = self._counted.get(storage.id)
        if last is None or self._clock() - last[0] >= COUNT_SECONDS:
            volumes = await storage.list(Content.IMAGES)
            self._counted[storage.id] = (self._clock(), committed(volumes))

    def forget(self, storage: str) -> None:
        self._samples.pop(storage, None)
        self._counted.pop(storage, None)

    def outlook(self, storage: str, status: StorageStatus) -> Outlook:
        counted = self._counted.get(storage)
        reserve = self._definition(storage).reserved(status.total)
        return outlook(status, reserve, self._samples.get(storage, ()), counted[1] if counted else None)

    def row(self, storage: str, status: StorageStatus) -> dict[str, Any]:
        """The fields that lists show beside Proxmox's; `warning` only when there is one."""
        seen = self.outlook(storage, status)
        row: dict[str, Any] = {"reserve": seen.reserve}
        if seen.committed is not None:
            row["committed"] = seen.committed
        if seen.growth is not None:
            row["growth"] = seen.growth
        if seen.full_in is not None:
            row["full-in"] = int(seen.full_in)
        if seen.warning:
            row["warning"] = seen.warning
        return row

    async def check(self, storage: Storage, need: int = 0) -> None:
        """Whether a new volume that takes `need` bytes at once (an estimate) leaves the reserve free; with a reserve of
        0 nothing is checked beforehand. Raises NoSpace."""
        status = await storage.status()
        seen = self.outlook(storage.id, status)
        if seen.reserve == 0 or status.available - need >= seen.reserve:
            return
        raise NoSpace(
            f"storage '{storage.id}' has no room for a new volume",
            code="storage-reserve",
            cause="what is free is kept for the disks that are there, so that their guests do not have to stop",
            evidence=f"{human_size(status.available)} are free, {human_size(need)} would be taken at once, "
            f"{human_size(seen.reserve)} are the reserve",
            fixes=[
                Fix(text="remove volumes that nobody needs", action=f"tarmac storage orphans {storage.id}"),
                Fix(text="use another storage"),
                Fix(text="lower the reserve", action=f"PUT /storage/{storage.id}", parameters={"reserve": "1%"}),
            ],
        )
