"""The event stream with the services under it, on real sockets: what changes is changed by the test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.api_site import Site, serve
from tarmac.drivers.qemu.facts import NodeFacts
from tarmac.drivers.store.journal import Journal
from tarmac.drivers.store.memory import MemoryStore
from tarmac.faces.api.declare import collect
from tarmac.faces.api.endpoints.cluster import cluster, events
from tarmac.lib.signing import Signer
from tarmac.lib.tasks import Supervisor
from tarmac.model.job import Plan, PlannedStep
from tarmac.model.users import User
from tarmac.services.access.access import Access
from tarmac.services.access.acls import Acls
from tarmac.services.access.directory import Directory
from tarmac.services.access.pools import Pools
from tarmac.services.access.tickets import Tickets
from tarmac.services.access.tokens import Tokens
from tarmac.services.access.users import Users
from tarmac.services.events.events import Events
from tarmac.services.figures.figures import Figures
from tarmac.services.guests.guests import Guests
from tarmac.services.jobs.jobs import Jobs
from tarmac.services.jobs.locks import Queues
from tarmac.services.jobs.steps import Registry, StepContext
from tarmac.services.jobs.task_log import TaskLogs
from tarmac.services.node.nodes import Nodes
from tarmac.services.registry import Services
from tarmac.services.resources.cluster import Cluster


@dataclass(slots=True)
class EventSite:
    """The face, its services, and a gate that lets the job kind `test` end."""

    site: Site
    services: Services
    directory: Directory
    gate: asyncio.Event
    storages: list[dict[str, Any]]

    @property
    def unix(self) -> str:
        return str(self.site.unix)

    async def guest(self, vmid: int, text: str = "memory: 512\n") -> None:
        await self.services.guests.create(vmid, text, uid=None, user="root@pam")

    async def user(self, userid: str, path: str = "", role: str = "PVEVMUser") -> dict[str, str]:
        """A user with a role on a path; returns the headers of a login."""
        async with self.directory.lock:
            await self.directory.commit({("user", userid): User(userid=userid)}, by="root@pam", what="test")
        if path:
            await self.grant(userid, path, role)
        return {"Cookie": f"PVEAuthCookie={await self.services.tickets.issue(userid)}"}

    async def grant(self, userid: str, path: str, role: str = "PVEVMUser", *, delete: bool = False) -> None:
        from tarmac.services.access.access import Identity

        await self.services.acls.update(Identity("root@pam"), path, roles=[role], users=[userid], delete=delete)


@asynccontextmanager
async def event_site(tmp_path: Path) -> AsyncIterator[EventSite]:
    store, gate = MemoryStore(), asyncio.Event()
    directory = Directory(store)
    await directory.load()
    access, signer = Access(directory), Signer(tmp_path / "keys")
    await signer.load()
    guests = Guests(store=store, node="n1", mirror=tmp_path / "guests")
    await guests.load()
    nodes = Nodes(node="n1", facts=NodeFacts(), data_dir=tmp_path)
    await nodes.refresh()
    logs, journal, registry = TaskLogs(tmp_path / "tasks"), await Journal.open(tmp_path / "journal.db"), Registry()
    _kinds(registry, gate)
    storages: list[dict[str, Any]] = [{"storage": "local", "status": "available", "disk": 1, "maxdisk": 2}]
    async with Supervisor() as supervisor:
        jobs = Jobs(node="n1", journal=journal, logs=logs, queues=Queues(), registry=registry, supervisor=supervisor)
        s = Services(node="n1", version="0", access=access, jobs=jobs, guests=guests, nodes=nodes)
        s.tickets, s.tokens, s.acls = Tickets(directory, signer), Tokens(directory), Acls(directory, access)
        s.users = Users(directory, access, None)  # type: ignore[arg-type]
        pools = Pools(directory, access)
        s.cluster = Cluster(
            guests=guests, nodes=nodes, access=access, storages=lambda: storages, zones=list, pools=pools
        )
        s.figures = Figures(guests, nodes)
        s.events = Events(
            cluster=s.cluster,
            guests=guests,
            jobs=jobs,
            logs=logs,
            access=access,
            tickets=s.tickets,
            figures=s.figures,
        )
        s.events.connect(guests=guests, jobs=jobs, logs=logs, directory=directory)
        await s.events.begin()
        async with serve(s, collect(cluster, events), tmp_path) as site:
            yield EventSite(site, s, directory, gate, storages)
            s.events.close()
    await journal.close()
    logs.close()


def _kinds(registry: Registry, gate: asyncio.Event) -> None:
    async def work(ctx: StepContext) -> None:
        ctx.log("first line")
        ctx.progress(1, 4, "steps")
        await gate.wait()
        ctx.log("last line")

    async def plan(args: Any) -> Plan:
        return Plan(steps=(PlannedStep(step="work", title="work"),))

    registry.step("work", work)
    registry.kind("test", plan)
