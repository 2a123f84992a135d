"""The registered steps and kinds of jobs: names in journals are looked up here, so they are append-only."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from tarmac.model.errors import Bug
from tarmac.model.job import JobRecord, Plan, StepRecord


@dataclass(slots=True, kw_only=True)
class StepContext:
    """What a step gets beside its arguments.

    `log(line)` writes to the task's log; `progress(done, total, unit)` moves its bar; `results` holds what earlier
    steps returned, by position; `publish(key, value)` adds to the task's result; `resumed` says that an earlier daemon
    may have done this step wholly or in part; `point(name)` marks a moment within a step at which the fault tests kill
    the daemon."""

    upid: str
    user: str
    log: Callable[[str], None]
    progress: Callable[[float, float, str], None]
    results: dict[int, Any] = field(default_factory=dict)
    publish: Callable[[str, Any], None] = lambda key, value: None
    resumed: bool = False
    point: Callable[[str], None] = lambda name: None
    warnings: list[str] = field(default_factory=list)

    def advance(self, done: int, total: int) -> None:
        """`progress` in bytes, as storages and QEMU tell it."""
        self.progress(done, total, "bytes")

    def warn(self, text: str) -> None:
        """A line that makes the task end with `WARNINGS: n` instead of `OK`."""
        self.warnings.append(text)
        self.log(f"WARN: {text}")


Do = Callable[..., Awaitable[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One kind of effect. `do(ctx, **args)` returns JSON (kept in the journal) and must be repeatable, because after a
    crash it may run again. `undo(ctx, **args)` must tolerate that `do` never ran or ran half. `commits`: after this
    step began the job can no longer be cancelled or undone, only finished."""

    name: str
    do: Do
    undo: Do | None = None
    version: int = 1
    commits: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class JobKind:
    """A task type (`qmstart`). `plan(args)` decides everything and touches nothing. `recover` says what happens to a
    job that a crash cut off: its done steps are undone, or it goes on where it was."""

    name: str
    plan: Callable[[Mapping[str, Any]], Awaitable[Plan]]
    recover: Literal["undo", "resume"] = "undo"


class Admission(Protocol):
    """Who has a say before a planned job begins: it claims what the plan takes, or refuses.

    `admit` raises what refuses the job; nothing is claimed then. `readmit` claims for a job that a crash cut off, and
    refuses nothing: it has begun. What is claimed is given back by `release`, when the job has ended."""

    async def admit(self, record: JobRecord, plan: Plan, steps: Sequence[StepRecord]) -> None: ...

    def readmit(self, record: JobRecord) -> None: ...

    def release(self, record: JobRecord) -> None: ...


class Registry:
    """Steps and kinds by name; filled by the services' constructors, complete before the first job runs."""

    def __init__(self) -> None:
        self.steps: dict[str, Step] = {}
        self.kinds: dict[str, JobKind] = {}

    def step(self, name: str, do: Do, undo: Do | None = None, *, version: int = 1, commits: bool = False) -> None:
        if name in self.steps:
            raise Bug(f"step {name} is registered twice")
        self.steps[name] = Step(name=name, do=do, undo=undo, version=version, commits=commits)

    def kind(
        self,
        name: str,
        plan: Callable[[Mapping[str, Any]], Awaitable[Plan]],
        recover: Literal["undo", "resume"] = "undo",
    ) -> None:
        if name in self.kinds:
            raise Bug(f"job kind {name} is registered twice")
        self.kinds[name] = JobKind(name=name, plan=plan, recover=recover)
