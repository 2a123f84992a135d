"""Shapes of tasks."""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict

from tarmac.faces.api.shapes.common import ErrorParts


class TaskProgress(TypedDict):
    done: float
    total: float
    unit: str


class TaskStep(TypedDict):
    title: str
    state: str


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
        "result": NotRequired[dict[str, Any]],
        "progress": NotRequired[TaskProgress],
        "waits-for": NotRequired[str],
    },
)


class LogLine(TypedDict):
    n: int
    t: str
