"""Long work as values: what is planned, what was done, how it ended.

A *job* is a Proxmox task and more: a *plan* of *steps* made before anything is touched, each step journaled before and
after its effect, so that after a crash the job is finished or undone.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tarmac.model.errors import TarmacError

Json = Any
Row = Mapping[str, str]
OFF = "off"  # among a job's arguments: plan it as if its guest were stopped
_LATENESS = ("now", "reboot", "stop")

QUIET_KINDS = frozenset({"vncproxy"})
"""Jobs whose failure is nobody's trouble: a console that nobody opened, or that a restart of the daemon cut off."""


class JobState(enum.StrEnum):
    """Append-only: the values are stored."""

    QUEUED = "queued"
    RUNNING = "running"
    UNDOING = "undoing"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        return self in (JobState.DONE, JobState.FAILED, JobState.CANCELLED)


class StepState(enum.StrEnum):
    """Append-only: the values are stored."""

    PLANNED = "planned"
    INTENT = "intent"
    DONE = "done"
    UNDONE = "undone"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedStep:
    """One step of a plan: the registered step's name, its JSON arguments, and a line for people.

    `takes`: how many bytes of which storages it may come to take; they are claimed for the job before its first step.
    `regardless`: it may take them from what a storage keeps in reserve (removing a snapshot, which frees more)."""

    step: str
    title: str
    args: Mapping[str, Json] = field(default_factory=dict)
    takes: Mapping[str, int] = field(default_factory=dict)
    regardless: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a job will do, decided before it does anything. `effects` are lines for people (who is affected, what is
    lost); `changes` the same of a configuration, key by key; `result` goes into the finished task. `refusal`: the guest
    runs, so the job itself is refused by this; the plan is that of the stopped guest."""

    steps: tuple[PlannedStep, ...]
    effects: tuple[str, ...] = ()
    changes: tuple[Row, ...] = ()
    result: Mapping[str, Json] = field(default_factory=dict)
    refusal: TarmacError | None = None

    @property
    def when(self) -> str:
        """The latest of what its changes are: `now`, `reboot` or `stop`."""
        found = [row["when"] for row in self.changes] + (["stop"] if self.refusal else [])
        return max(found, key=_LATENESS.index, default="now")

    def as_record(self) -> dict[str, Json]:
        """For `dryrun`: plain values, without the steps' arguments: those are the platform's own, and may hold what
        no reply tells (the hash of a cloud-init password)."""
        late = {"when": "stop", "reason": self.refusal.cause} if self.refusal else {}
        return {
            "when": self.when,
            "steps": [
                {
                    "step": s.step,
                    "title": s.title,
                    **({"takes": dict(s.takes)} if s.takes else {}),
                }
                for s in self.steps
            ],
            "effects": list(self.effects),
            "changes": [{**change, **late} for change in self.changes],
            **({"refusal": self.refusal.as_record()} if self.refusal else {}),
        }


Started = str | Plan
"""What starting a job returns: its UPID, or with `dryrun` its plan."""


@dataclass(slots=True, kw_only=True)
class StepRecord:
    """A step as the journal knows it."""

    position: int
    step: str
    version: int
    title: str
    args: Mapping[str, Json]
    state: StepState = StepState.PLANNED
    result: Json = None
    takes: Mapping[str, int] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class JobRecord:
    """A job as the journal knows it. Times are seconds since the epoch; `error` holds the five parts."""

    upid: str
    node: str
    kind: str
    id: str
    user: str
    args: Mapping[str, Json]
    queues: tuple[str, ...]
    state: JobState
    created: float
    ended: float | None = None
    exitstatus: str | None = None
    error: Mapping[str, Json] | None = None
    result: Mapping[str, Json] | None = None
    steps: list[StepRecord] = field(default_factory=list)
    progress: tuple[float, float, str] | None = None
    waits_for: str | None = None
