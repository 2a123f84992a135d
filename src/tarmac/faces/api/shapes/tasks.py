"""Shapes of tasks."""

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict

from tarmac.faces.api.shapes.common import ErrorParts


class TaskProgress(TypedDict):
    done: float
    total: float
    unit: str


class TaskStep(TypedDict):
    title: str
    state: str


class TaskResult(TypedDict):
    """What a task made. Of clones: their numbers, and what took how many seconds."""

    vmids: NotRequired[list[int]]
    times: NotRequired[dict[str, dict[str, float]]]


class TaskRow(TypedDict):
    """`status` is `RUNNING`, or how it ended."""

    upid: str
    node: str
    pid: int
    pstart: int
    starttime: int
    type: str
    id: str
    user: str
    tokenid: NotRequired[str]
    endtime: NotRequired[int]
    status: str


TaskStatus = TypedDict(
    "TaskStatus",
    {
        "upid": str,
        "node": str,
        "type": str,
        "id": str,
        "user": str,
        "starttime": int,
        "status": Literal["running", "stopped"],
        "state": str,
        "steps": list[TaskStep],
        "exitstatus": NotRequired[str],
        "error": NotRequired[ErrorParts],
        "result": NotRequired[TaskResult],
        "progress": NotRequired[TaskProgress],
        "waits-for": NotRequired[str],
    },
)


class LogLine(TypedDict):
    n: int
    t: str
