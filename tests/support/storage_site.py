"""The storage services on a temporary directory, with a real journal and a memory store."""

from __future__ import annotations

import functools
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from support.volume_io import means_below
from tarmac.drivers.storage.build import build_storage
from tarmac.drivers.storage.jail import Jail
from tarmac.drivers.store.journal import Journal
from tarmac.drivers.store.memory import MemoryStore
from tarmac.lib.tasks import Supervisor
from tarmac.lib.web import FetchRules
from tarmac.model.conf_file import parse_conf
from tarmac.model.errors import NotFound
from tarmac.model.job import JobRecord
from tarmac.services.cloudinit.cloudinit import CloudInit
from tarmac.services.cloudinit.schema import Schemas
from tarmac.services.guests.guests import Guest
from tarmac.services.jobs.jobs import Jobs
from tarmac.services.jobs.locks import Queues
from tarmac.services.jobs.steps import Registry
from tarmac.services.jobs.task_log import TaskLogs
from tarmac.services.storage.space import SpaceAdmission
from tarmac.services.storage.storages import Storages
from tarmac.services.storage.views import StorageViews
from tarmac.services.storage.volumes import Volumes
from tarmac.services.transfers.downloads import Downloads
from tarmac.services.transfers.uploads import Uploads


@dataclass
class Site:
    """Everything a test needs; `guests` are configurations by number that refer to volumes."""

    root: Path
    store: MemoryStore
    jobs: Jobs
    jail: Jail
    storages: Storages
    views: StorageViews
    volumes: Volumes
    uploads: Uploads
    downloads: Downloads
    cloudinit: CloudInit
    guests: dict[int, Guest] = field(default_factory=dict)

    async def done(self, upid: Any) -> JobRecord:
        """The task's record once it has ended."""
        assert isinstance(upid, str)
        return await self.jobs.wait(upid, 60)

    def files(self) -> list[str]:
        """All files of the storage `local`, relative, hidden ones too."""
        base = self.root / "storage"
        return sorted(str(p.relative_to(base)) for p in base.rglob("*") if p.is_file())

    def guest(self, vmid: int, text: str) -> Guest:
        self.guests[vmid] = Guest(vmid, text, 1)
        parse_conf(text)
        return self.guests[vmid]


def temporary_root() -> Path:
    """A directory that other users can walk through."""
    root = Path(tempfile.mkdtemp(prefix="tarmac-site-"))
    root.chmod(0o711)
    return root


@asynccontextmanager
async def site(
    root: Path | None = None,
    *,
    jail: Jail | None = None,
    rules: FetchRules | None = None,
    allowed: Sequence[str] = (),
    own: Callable[[], Sequence[str]] | None = None,
    on_phase: Callable[[str, str], None] = lambda step, phase: None,
    schemas: Path | None = None,
) -> AsyncIterator[Site]:
    """The services; what lies below `root` is kept only if the caller gave it."""
    base = root or temporary_root()
    store, registry, prison = MemoryStore(), Registry(), jail or Jail()
    journal = await Journal.open(base / "journal.db")
    logs = TaskLogs(base / "tasks")
    guests: dict[int, Guest] = {}

    def references(volid: str) -> list[int]:
        return [g.vmid for g in guests.values() if volid in g.text]

    def find(vmid: int) -> Guest:
        try:
            return guests[vmid]
        except KeyError:
            raise NotFound(f"Configuration file 'nodes/n1/qemu-server/{vmid}.conf' does not exist") from None

    try:
        async with Supervisor() as supervisor:
            jobs = Jobs(
                node="n1", journal=journal, logs=logs, queues=Queues(), registry=registry, supervisor=supervisor,
                on_phase=on_phase,
            )  # fmt: skip
            storages = Storages(
                node="n1",
                store=store,
                build=functools.partial(build_storage, means=means_below(base, prison)),
                data=base / "storage",
            )
            await storages.start()
            jobs.admissions.append(SpaceAdmission(storages.space, storages.get))
            nets = {"own": own} if own is not None else {}
            yield Site(
                root=base,
                store=store,
                jobs=jobs,
                jail=prison,
                storages=storages,
                views=StorageViews(storages),
                volumes=Volumes(storages=storages, jail=prison, jobs=jobs, registry=registry, references=references),
                uploads=Uploads(storages=storages, jail=prison, jobs=jobs, registry=registry),
                downloads=Downloads(
                    storages=storages, jail=prison, jobs=jobs, registry=registry, rules=rules, allowed=allowed, **nets
                ),
                cloudinit=CloudInit(
                    store=store,
                    storages=storages,
                    schemas=Schemas(schemas or base / "schemas"),
                    registry=registry,
                    guest=find,
                ),
                guests=guests,
            )
            jobs.stop()
    finally:
        await journal.close()
        logs.close()
        if root is None:
            shutil.rmtree(base)
