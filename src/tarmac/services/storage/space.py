"""How long a storage's space lasts: the reserve that new volumes leave, growth and its forecast, what is promised.

    reserve     space that no new volume may take, so that the disks that are there can still grow
    claimed     what running tasks and uploads will still take (`services.storage.claims`)
    committed   what the images may still come to take: their guests' sizes less what they take now
    growth      bytes an hour over the last two hours, from the probes
    full in     at the rate that most of these hours, or most of the last ten minutes, have seen, if it is less than a
                day: something fills it just now, and not only an image that came; else at the rate of the last day

A storage is said to run low before it is full: below its reserve, or full within its `forecast-days`. What the probes
told is remembered for a day, and after a restart taken from the figures over time (`remember`).
"""

from __future__ import annotations

import contextlib
import itertools
import re
import statistics
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tarmac.drivers.storage.base import Storage
from tarmac.drivers.storage.values import SnapshotKind, StorageStatus, VolumeInfo
from tarmac.drivers.storage.volume_names import Content
from tarmac.model.errors import Fix, NoSpace
from tarmac.model.job import JobRecord, Plan, StepRecord
from tarmac.model.storage import StorageDefinition
from tarmac.model.units import MIB, human_size
from tarmac.services.storage.claims import Claim, Claims, takes_of, told

SAMPLE_SECONDS = 60.0
SAMPLES = 1440
RECENT_SECONDS = 2 * 3600.0
SPAN_SECONDS = 600.0
"""No forecast from less than this."""
LONG_SECONDS = 6 * 3600.0
"""The slow rate is told from no less than this."""
DAY = 24 * 3600.0
COUNT_SECONDS = 300.0
"""How often the images are added up."""
PARTS = 6
"""Growth that fewer than half of so many parts of a time have seen is a step, such as an image that came."""
_HOUR = 3600.0
_STILL = re.compile(r"[:/](?:base-\d+-[^/]*|vm-\d+-state-[^/]*)$")
"""Volumes that no guest writes to."""
Sample = tuple[float, int]


def growth(samples: Sequence[Sample]) -> float:
    """Bytes a second: the slope of the straight line that fits best (least squares) to (seconds, bytes used)."""
    if len(samples) < 2:
        return 0.0
    middle_t = sum(t for t, _ in samples) / len(samples)
    middle_u = sum(u for _, u in samples) / len(samples)
    spread = sum((t - middle_t) ** 2 for t, _ in samples)
    return sum((t - middle_t) * (u - middle_u) for t, u in samples) / spread if spread else 0.0


def steady(samples: Sequence[Sample]) -> float:
    """Bytes a second that at least half of the time has seen: the median of the rates of its parts."""
    if len(samples) < 2:
        return 0.0
    length = _span(samples) / PARTS
    ends = [max(s for s in samples if s[0] <= samples[0][0] + length * n) for n in range(PARTS)] + [samples[-1]]
    pairs = [(a, b) for a, b in itertools.pairwise(ends) if b[0] > a[0]]
    return statistics.median((b[1] - a[1]) / (b[0] - a[0]) for a, b in pairs) if pairs else 0.0


def committed(volumes: Sequence[VolumeInfo]) -> int:
    """Bytes that images may still take beyond what they take now; where that is not known, nothing. Templates' images
    and saved memories do not grow."""
    grow = [v for v in volumes if v.content is Content.IMAGES and not _STILL.search(str(v.volid))]
    return sum(max(0, v.size - v.used) for v in grow if v.used is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """One storage's space in bytes; `growth` in bytes an hour, `full_in` in seconds (None: not foreseeable), and
    within how many somebody should be told (0: never)."""

    available: int
    reserve: int
    committed: int | None
    growth: int | None
    full_in: float | None
    forecast_seconds: float = DAY

    @property
    def warning(self) -> str:
        """Why somebody should act, "" when nobody has to."""
        if self.available < self.reserve:
            free, kept = human_size(self.available), human_size(self.reserve)
            return f"only {free} free, less than the reserve of {kept}"
        if self.full_in is not None and self.full_in < self.forecast_seconds:
            return self.forecast
        return ""

    @property
    def forecast(self) -> str:
        """When it is full, for people; "" when that cannot be foreseen."""
        if self.full_in is None:
            return ""
        if self.full_in >= 2 * DAY:
            return f"full in about {round(self.full_in / DAY)} days at the present rate"
        if self.full_in < 1.5 * _HOUR:
            return "full in about an hour at the present rate"
        return f"full in about {round(self.full_in / _HOUR)} hours at the present rate"


def outlook(
    status: StorageStatus,
    reserve: int,
    samples: Sequence[Sample],
    promised: int | None,
    forecast_seconds: float = DAY,
) -> Outlook:
    """Pure."""
    recent = _last(samples, RECENT_SECONDS)
    rate = growth(recent) if _span(recent) >= SPAN_SECONDS else None
    full_in = (
        None if rate is None else _lasts(status.available, max(steady(recent), steady(_last(recent, SPAN_SECONDS))))
    )
    if (full_in is None or full_in >= DAY) and _span(samples) >= LONG_SECONDS:
        full_in = _lasts(status.available, growth(samples))
    return Outlook(
        forecast_seconds=forecast_seconds,
        available=status.available,
        reserve=reserve,
        committed=promised,
        growth=None if rate is None else int(rate * _HOUR),
        full_in=full_in,
    )


def _last(samples: Sequence[Sample], seconds: float) -> Sequence[Sample]:
    return [sample for sample in samples if samples[-1][0] - sample[0] <= seconds]


def _span(samples: Sequence[Sample]) -> float:
    return samples[-1][0] - samples[0][0] if samples else 0.0


def _lasts(available: int, rate: float | None) -> float | None:
    """Seconds until so many bytes are used up at a rate in bytes a second; None: never."""
    return available / rate if rate is not None and rate > 0 else None


async def _shared_with_snapshots(storage: Storage, volumes: Sequence[VolumeInfo]) -> int:
    """Bytes of images that a snapshot shares: a guest that writes over them takes them a second time. Where snapshots
    are layers, the image above them counts with its whole size already."""
    kinds = storage.capabilities.snapshots
    shared = 0
    for volume in volumes:
        if volume.used and kinds.get(volume.format) is SnapshotKind.COPY and not _STILL.search(str(volume.volid)):
            shared += volume.used if await storage.snapshots(volume.volid) else 0
    return shared


def room_to_go_on(status: StorageStatus) -> int:
    """Bytes that must be free before guests that waited for space go on: enough that they do not stop at once."""
    return max(MIB, min(status.total // 50, 1024 * MIB))


class StorageSpace:
    """What the probes told of each storage. `definition` gives a storage's definition."""

    def __init__(self, definition: Callable[[str], StorageDefinition], clock: Callable[[], float] = time.time) -> None:
        self._definition = definition
        self._clock = clock
        self._samples: dict[str, deque[Sample]] = {}
        self._counted: dict[str, tuple[float, int]] = {}
        self.claims = Claims()

    def take(self, storage: str, status: StorageStatus) -> None:
        """A probe's answer; one a minute is kept."""
        samples = self._samples.setdefault(storage, deque(maxlen=SAMPLES))
        now = self._clock()
        if samples and now < samples[-1][0]:
            samples.clear()  # the clock was set back
        if not samples or now - samples[-1][0] >= SAMPLE_SECONDS:
            samples.append((now, status.used))

    def remember(self, storage: str, samples: Sequence[Sample]) -> None:
        """What was known of its use before this daemon: seconds since the epoch, bytes used; oldest first."""
        known = self._samples.setdefault(storage, deque(maxlen=SAMPLES))
        first = known[0][0] if known else self._clock()
        known.extendleft(sample for sample in reversed(samples) if first - DAY <= sample[0] < first)

    async def count(self, storage: Storage) -> None:
        """Add up the images, if that is some time ago. Raises what listing them raises."""
        last = self._counted.get(storage.id)
        if last is None or self._clock() - last[0] >= COUNT_SECONDS:
            volumes = await storage.list(Content.IMAGES)
            shared = await _shared_with_snapshots(storage, volumes)
            self._counted[storage.id] = (self._clock(), committed(volumes) + shared)

    def forget(self, storage: str) -> None:
        self._samples.pop(storage, None)
        self._counted.pop(storage, None)

    def outlook(self, storage: str, status: StorageStatus) -> Outlook:
        counted = self._counted.get(storage)
        definition = self._definition(storage)
        return outlook(
            status,
            definition.reserved(status.total),
            self._samples.get(storage, ()),
            counted[1] if counted else None,
            definition.forecast_days * DAY,
        )

    def row(self, storage: str, status: StorageStatus) -> dict[str, Any]:
        """The fields that lists show beside Proxmox's; `warning` only when there is one."""
        seen = self.outlook(storage, status)
        row: dict[str, Any] = {"reserve": seen.reserve}
        if claimed := sum(claim.size for claim in self.claims.of(storage)):
            row["claimed"] = claimed
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
        """Whether a new volume that takes `need` bytes at once (an estimate) leaves the reserve free beside what others
        have claimed; with a reserve of 0 nothing is checked beforehand. Claims nothing. Raises NoSpace."""
        await self._check(storage, need, self.claims.of(storage.id))

    async def _check(self, storage: Storage, need: int, claims: Sequence[Claim]) -> None:
        """`claims` are what was claimed before the storage is asked: what is written meanwhile counts twice rather than
        not at all."""
        status = await storage.status()
        reserve = self._definition(storage.id).reserved(status.total)
        claimed = sum(claim.size for claim in claims)
        if reserve == 0 or status.available - claimed - need >= reserve:
            return
        fixes = [
            Fix(text="remove volumes that nobody needs", action=f"tarmac storage orphans {storage.id}"),
            Fix(text="use another storage"),
            Fix(text="lower the reserve", action=f"PUT /storage/{storage.id}", parameters={"reserve": "1%"}),
        ]
        if claims and status.available - need >= reserve:
            fixes.insert(0, Fix(text="try again when the tasks that have claimed the space have ended"))
        raise NoSpace(
            f"storage '{storage.id}' has no room for this",
            code="storage-reserve",
            cause="what is free is kept for the disks that are there, so that their guests do not have to stop",
            evidence=f"{human_size(status.available)} are free, {human_size(need)} would be taken, "
            f"{human_size(reserve)} are the reserve"
            + (f"; others have claimed {human_size(claimed)}: {told(claims)}" if claims else ""),
            fixes=fixes,
        )

    @contextlib.asynccontextmanager
    async def held(self, storage: Storage, holder: str, size: int) -> AsyncIterator[None]:
        """A claim on `size` bytes as long as the block runs, for what no plan knew beforehand. Raises NoSpace."""
        earlier = self.claims.of(storage.id)
        with self.claims.held(storage.id, holder, size):
            await self._check(storage, size, earlier)
            yield


class SpaceAdmission:
    """Jobs claim what their plans take, or are refused (`services.jobs.steps.Admission`). `driver` finds a storage.

    Whoever asks first comes first: a job's own claim is there before the storage is asked, and each looks only at those
    that were there before its own."""

    def __init__(self, space: StorageSpace, driver: Callable[[str], Storage]) -> None:
        self._space = space
        self._driver = driver

    async def admit(self, record: JobRecord, plan: Plan, steps: Sequence[StepRecord]) -> None:
        """Raises NoSpace, and what finding or asking a storage raises."""
        takes = takes_of(plan)
        earlier = {id: self._space.claims.of(id) for id in takes}
        self._space.claims.add(record, steps)
        try:
            for id, size in takes.items():
                await self._space._check(self._driver(id), size, earlier[id])
        except BaseException:
            self._space.claims.release(record.upid)
            raise

    def readmit(self, record: JobRecord) -> None:
        self._space.claims.add(record, record.steps)

    def release(self, record: JobRecord) -> None:
        self._space.claims.release(record.upid)
