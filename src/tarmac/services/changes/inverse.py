"""What would undo a task: the inverse call of the API, where there is one.

Only of tasks that ended well, and only where the inverse brings back what was: a guest that was made or removed, a disk
that grew, a roll-back have none.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from tarmac.model.ids import Upid
from tarmac.model.job import JobRecord, JobState
from tarmac.services.changes.calls import ApiCall, at

_POWER: Mapping[str, str] = {
    "qmstart": "shutdown",
    "qmshutdown": "start",
    "qmstop": "start",
    "qmpause": "resume",
    "qmresume": "suspend",
}
# What a guest's own task in a bulk action did, and the bulk action that undoes it.
_BULK: Mapping[str, str] = {"qmstart": "shutdown", "qmresume": "suspend", "qmshutdown": "start", "qmpause": "start"}


class Inverses:
    """`of` a task. `changed_by(vmid, upid)` are the inverse calls of the change that a `qmconfig` made."""

    def __init__(self, *, node: str, changed_by: Callable[[int, str], Awaitable[list[ApiCall]]]) -> None:
        self._node = node
        self._changed_by = changed_by

    async def of(self, record: JobRecord) -> list[dict[str, Any]]:
        """The calls to make, in their order; empty where there is no way back."""
        if record.state is not JobState.DONE:
            return []
        if record.kind.startswith("bulk-"):
            return _bulk(record)
        if not record.id.isdecimal():
            return []
        if record.kind == "qmconfig":
            return [call.row() for call in await self._changed_by(int(record.id), record.upid)]
        guest = ("nodes", self._node, "qemu", record.id)
        if word := _POWER.get(record.kind):
            return [ApiCall(method="POST", path=at(*guest, "status", word)).row()]
        if record.kind == "qmsnapshot":
            return [ApiCall(method="DELETE", path=at(*guest, "snapshot", record.args["name"])).row()]
        return []


def _bulk(record: JobRecord) -> list[dict[str, Any]]:
    """Of the guests that the action did something to."""
    done: dict[str, list[str]] = {}
    for row in (record.result or {}).get("guests", []):
        if row.get("outcome") == "ok" and (action := _BULK.get(Upid.parse(row["upid"]).type)):
            done.setdefault(action, []).append(str(row["vmid"]))
    return [
        ApiCall(method="POST", path=at("cluster", "bulk-action", "guest", action), parameters={"vms": vms}).row()
        for action, vms in done.items()
    ]
