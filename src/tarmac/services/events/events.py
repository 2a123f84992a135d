"""What changes, as it changes: facts come up here from the services and go out to whoever follows.

A service says *that* an object changed (`touch`); what it looks like is asked of its owner when somebody is told, and
encoded once for all. Changes are gathered for a moment, so an object that changes often is sent once. A follower has
no queue: `services.events.subscription` sends it what changed since what it has seen, so one that is slow gets fewer
and newer states, and costs nothing. The form on the wire is in `docs/format/events.md`.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from collections.abc import Collection, Iterable

import msgspec

from tarmac.model.job import JobRecord
from tarmac.services.access.access import Access, Identity
from tarmac.services.access.directory import Directory
from tarmac.services.access.tickets import Tickets
from tarmac.services.events.change_log import ChangeLog
from tarmac.services.events.subscription import EVERYTHING, Subscription
from tarmac.services.figures.figures import Figures
from tarmac.services.guests.guests import Guest, Guests
from tarmac.services.jobs.jobs import Jobs
from tarmac.services.jobs.task_log import TaskLogs
from tarmac.services.jobs.tasks import live_row
from tarmac.services.resources.cluster import Cluster, Sees

GATHER_SECONDS = 0.25
"""The least time between two deltas."""
FIRST_SECONDS = 0.02
"""How long the first change after a pause waits for others."""
TASKS_KEPT = 100
TASKS_SHOWN = 25
CHECK_SECONDS = 10.0
TASK = "UPID:"
_encode = msgspec.json.Encoder().encode


class Events:
    """The hub. `epoch` names this daemon's run: numbers of another one mean nothing here."""

    def __init__(
        self,
        *,
        cluster: Cluster,
        guests: Guests,
        jobs: Jobs,
        logs: TaskLogs,
        access: Access,
        tickets: Tickets,
        figures: Figures,
    ) -> None:
        self.epoch = secrets.token_hex(8)
        self.changes = ChangeLog()
        self.cluster = cluster
        self.logs = logs
        self.access = access
        self.tickets = tickets
        self.figures = figures
        self.node = guests.node
        self.acl_seq = 0
        self._jobs = jobs
        self._guests = guests
        self._touched: dict[str, None] = {}  # a set that keeps the order
        self._timer: asyncio.TimerHandle | None = None
        self._flushed = 0.0
        self._tasks: dict[str, JobRecord] = {}
        self._ended: deque[str] = deque()
        self._rows: dict[str, bytes | None] = {}
        self._followers: set[Subscription] = set()

    def connect(self, *, guests: Guests, jobs: Jobs, logs: TaskLogs, directory: Directory) -> None:
        """Hear of what these do from now on."""
        guests.changed.append(self.touch_vmid)
        jobs.on_change.append(self.touch_task)
        logs.grown = self.grown
        directory.on_change(self.rights_changed)

    async def begin(self) -> None:
        """Take up the newest tasks. Called once, when the jobs are known."""
        _, ended = await self._jobs.ended(limit=TASKS_SHOWN)
        for record in reversed(ended):
            self.touch_task(record)
        for record in reversed(self._jobs.running()):
            self.touch_task(record)

    # -- facts come in ------------------------------------------------------------------------------------------

    def touch(self, key: str) -> None:
        """An object changed, came or went: `qemu/100`, `storage/NODE/local`, a task's UPID."""
        self._touched[key] = None
        if self._timer is None:
            loop = asyncio.get_running_loop()
            delay = max(FIRST_SECONDS, self._flushed + GATHER_SECONDS - loop.time())
            self._timer = loop.call_later(delay, self._flush)

    def touch_guest(self, guest: Guest) -> None:
        self.touch(f"qemu/{guest.vmid}")

    def touch_vmid(self, vmid: int) -> None:
        self.touch(f"qemu/{vmid}")

    def touch_storage(self, storage: str) -> None:
        self.touch(f"storage/{self.node}/{storage}")

    def touch_task(self, record: JobRecord) -> None:
        """A job began, went on or ended; only the newest that ended are kept."""
        if record.state.ended and record.upid not in self._ended:
            self._ended.append(record.upid)
        self._tasks[record.upid] = record
        while len(self._ended) > TASKS_KEPT:
            old = self._ended.popleft()
            self._tasks.pop(old, None)
            self.changes.forget_later(old)
        self.touch(record.upid)
        if record.state.ended:
            self.grown(record.upid)

    def grown(self, upid: str) -> None:
        """A task's log has another line."""
        for follower in self._followers:
            follower.log_grown(upid)

    def sampled(self, ids: Collection[str]) -> None:
        """New figures of these were taken."""
        for follower in self._followers:
            follower.sampled(ids)

    def rights_changed(self) -> None:
        """Users, grants or pools changed: everybody may see more or less now, or nothing any more."""
        self.acl_seq = self.changes.mark(())
        for follower in self._followers:
            follower.rights_changed()

    async def check(self) -> None:
        """End followers whose login, user or token has ended by itself; called every `CHECK_SECONDS`."""
        for follower in list(self._followers):
            follower.check()

    # -- and go out ---------------------------------------------------------------------------------------------

    def subscribe(self, identity: Identity, *, until: float, epoch: str = "", since: int | None = None) -> Subscription:
        """Begin to follow; see `Subscription`, which the caller closes. `until`: when the login ends."""
        follower = Subscription(self, identity, until=until, epoch=epoch, since=since)
        self._followers.add(follower)
        return follower

    def unsubscribe(self, follower: Subscription) -> None:
        self._followers.discard(follower)

    def close(self) -> None:
        """End every follower: the daemon stops."""
        for follower in list(self._followers):
            follower.end("the daemon stops")

    def wanted(self) -> set[str]:
        """The ids whose figures somebody follows closely."""
        return {id for follower in self._followers for id in follower.watched if id != EVERYTHING}

    def row(self, key: str) -> bytes | None:
        """An object as JSON, None when it is gone; encoded once for all who are told of the same change."""
        if key not in self._rows:
            self._rows[key] = self._make_row(key)
        return self._rows[key]

    def tasks(self) -> list[str]:
        """The running tasks and the newest that ended, oldest first."""
        running = [upid for upid, record in self._tasks.items() if not record.state.ended]
        return [*list(self._ended)[-TASKS_SHOWN:], *running]

    def sees(self, identity: Identity) -> Sees:
        """Whether somebody may see the object of a key; see `Cluster.sees`."""
        resources = self.cluster.sees(identity)
        all_tasks = self.access.allowed(identity, f"/nodes/{self.node}", ["Sys.Audit"])

        def sees(key: str) -> bool:
            return all_tasks or _owner(key) == identity.user if key.startswith(TASK) else resources(key)

        return sees

    def task_ended(self, upid: str) -> bool:
        """Whether a task's log will not grow any more."""
        record = self._tasks.get(upid)
        return record is None or record.state.ended

    def everything(self) -> Iterable[str]:
        """All resources' ids."""
        return self.cluster.ids()

    def _make_row(self, key: str) -> bytes | None:
        if not key.startswith(TASK):
            return self.cluster.find(key)
        record = self._tasks.get(key)
        return _encode(live_row(record)) if record is not None else None

    def _flush(self) -> None:
        self._timer = None
        self._flushed = asyncio.get_running_loop().time()
        touched, self._touched = self._touched, {}
        self._rows.clear()
        self.changes.mark(touched)
        for key in touched:
            if key.startswith("qemu/") and self._guests.find(int(key[5:])) is None:
                self.changes.forget_later(key)
        for follower in self._followers:
            follower.changed()


def _owner(upid: str) -> str:
    """The user in a UPID, without a token's name."""
    return upid.split(":")[7].partition("!")[0]
