"""What everything else stands on: files, the jobs engine, the directory of users."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tarmac.drivers.store.journal import Journal
from tarmac.drivers.store.sqlite import SqliteStore
from tarmac.lib.tasks import Supervisor
from tarmac.services.access.access import Access
from tarmac.services.access.directory import Directory as UserDirectory
from tarmac.services.jobs.jobs import Jobs
from tarmac.services.jobs.locks import Queues
from tarmac.services.jobs.steps import Registry
from tarmac.services.jobs.task_log import TaskLogs
from tarmac.services.node.instance import Instance

CRASH_AT = "TARMAC_CRASH_AT"  # a file of the fault tests


@dataclass(slots=True, kw_only=True)
class Ground:
    """What everything else stands on."""

    node: str
    instance: Instance
    supervisor: Supervisor
    store: SqliteStore
    registry: Registry
    jobs: Jobs
    logs: TaskLogs
    journal: Journal
    users: UserDirectory
    access: Access

    @property
    def data(self) -> Path:
        return self.instance.data

    @property
    def mark(self) -> str:
        """What makes names on the host unique; empty for the default instance."""
        return "" if self.instance.default else self.instance.id


async def lay_ground(node: str, instance: Instance, stack: contextlib.AsyncExitStack) -> Ground:
    """The files, the jobs engine, the users. Raises what opening them raises."""
    data = instance.data
    store = await SqliteStore.open(data / "tarmac.db")
    stack.push_async_callback(store.close)
    journal = await Journal.open(data / "journal.db")
    stack.push_async_callback(journal.close)
    logs = TaskLogs(data / "tasks")
    stack.callback(logs.close)
    # Ended before the files: no job may find its journal closed.
    supervisor = await stack.enter_async_context(Supervisor())
    registry = Registry()
    jobs = Jobs(
        node=node,
        journal=journal,
        logs=logs,
        queues=Queues(),
        registry=registry,
        supervisor=supervisor,
        on_phase=crash_point(os.environ.get(CRASH_AT, "")),
    )
    stack.callback(jobs.stop)
    users = UserDirectory(store)
    await users.load()
    return Ground(
        node=node,
        instance=instance,
        supervisor=supervisor,
        store=store,
        registry=registry,
        jobs=jobs,
        logs=logs,
        journal=journal,
        users=users,
        access=Access(users),
    )


def crash_point(file: str) -> Callable[[str, str], None]:
    """Kill this process, as a power cut would, at the `step:phase` that is in the file at that moment: the fault tests
    write it. Without a file: nothing."""

    def reached(step: str, phase: str) -> None:
        with contextlib.suppress(OSError):
            if file and Path(file).read_text("utf-8") == f"{step}:{phase}":
                os.kill(os.getpid(), signal.SIGKILL)

    return reached
