"""Who will still take how much of which storage: claims that jobs and uploads hold, so that two that begin at once are
not both let in on the same free space.

A job claims what its plan takes (`PlannedStep.takes`) before its first step; the claim shrinks as its steps are done,
for what they have written is no longer free, and is gone when the job ends. After a crash the jobs that go on claim
again. Claims live in memory: they are no promise that outlasts who holds it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tarmac.model.job import JobRecord, Plan, StepRecord, StepState
from tarmac.model.units import human_size


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """`size` bytes of a storage that `holder` (for people) may still take."""

    holder: str
    size: int


class Claims:
    """What is claimed at present. Pure bookkeeping, no waiting."""

    def __init__(self) -> None:
        self._jobs: dict[str, tuple[JobRecord, Sequence[StepRecord]]] = {}
        self._others: list[tuple[str, Claim]] = []

    def add(self, record: JobRecord, steps: Sequence[StepRecord]) -> None:
        """What a job's steps take; nothing is noted of one that takes nothing."""
        if any(step.takes for step in steps):
            self._jobs[record.upid] = (record, steps)

    def release(self, upid: str) -> None:
        self._jobs.pop(upid, None)

    @contextlib.contextmanager
    def held(self, storage: str, holder: str, size: int) -> Iterator[None]:
        """A claim of what is no job's plan, as long as the block runs."""
        entry = (storage, Claim(holder=holder, size=size))
        self._others.append(entry)
        try:
            yield
        finally:
            self._others.remove(entry)

    def of(self, storage: str) -> list[Claim]:
        """The claims on a storage, largest first; those of which all is written are left out."""
        found = [
            Claim(holder=f"{record.kind} {record.id} of {record.user} ({record.upid})", size=size)
            for record, steps in self._jobs.values()
            if (size := sum(_left(record, step, storage) for step in steps)) > 0
        ]
        found += [claim for id, claim in self._others if id == storage and claim.size > 0]
        return sorted(found, key=lambda claim: -claim.size)


def takes_of(plan: Plan) -> Mapping[str, int]:
    """What a plan takes of each storage's free space above the reserve; only its storages with a say are in it."""
    found: dict[str, int] = {}
    for step in plan.steps:
        for storage, size in step.takes.items() if not step.regardless else ():
            found[storage] = found.get(storage, 0) + size
    return found


def told(claims: Sequence[Claim]) -> str:
    """Claims for a piece of evidence."""
    shown = [f"{human_size(claim.size)} by {claim.holder}" for claim in claims[:5]]
    return ", ".join(shown) + (f" and {len(claims) - 5} more" if len(claims) > 5 else "")


def _left(record: JobRecord, step: StepRecord, storage: str) -> int:
    """What a step has not written yet, as far as its progress tells."""
    size = step.takes.get(storage, 0)
    if step.state in (StepState.DONE, StepState.UNDONE):
        return 0
    if step.state is StepState.INTENT and record.progress is not None and "steps" not in step.args:
        done, total, unit = record.progress
        if unit == "bytes" and total > 0:
            return int(size * max(0.0, 1 - done / total))
    return size
