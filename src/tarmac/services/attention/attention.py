"""Gathers what somebody should look at, as far as he may see it: `GET /cluster/attention`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tarmac.model.errors import TarmacError
from tarmac.model.job import JobRecord
from tarmac.model.lifecycle import State
from tarmac.services.access.access import Access, Identity
from tarmac.services.access.tfa import SecondFactors
from tarmac.services.attention import findings
from tarmac.services.attention.findings import SEVERITIES, Finding
from tarmac.services.disks.orphans import Orphans
from tarmac.services.figures.metrics import Metrics
from tarmac.services.guests.guests import Guest, Guests
from tarmac.services.jobs.jobs import Jobs
from tarmac.services.storage.views import StorageViews

MOST = 1000
TASKS = 200
SLICE = 500
"""Guests that are looked at before others get their turn."""
ORPHANS_SECONDS = 60.0
"""How long a storage's list of orphans is good: making it reads the storage."""
_SEE_STORAGE = ("Datastore.Audit", "Datastore.AllocateSpace")


class Attention:
    """Reads; changes nothing. `certificates` are the rows of `GET .../certificates/info`; `networks`: of each its zone,
    its name, what is wrong with it, and how often its DHCP was started again."""

    def __init__(
        self,
        *,
        node: str,
        guests: Guests,
        jobs: Jobs,
        access: Access,
        storages: StorageViews,
        orphans: Orphans,
        metrics: Metrics,
        second_factors: SecondFactors,
        certificates: Callable[[], Sequence[Mapping[str, Any]]],
        networks: Callable[[], Sequence[tuple[str, str, TarmacError | None, int]]] = tuple,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._node = node
        self._guests = guests
        self._jobs = jobs
        self._access = access
        self._storages = storages
        self._orphans = orphans
        self._metrics = metrics
        self._second_factors = second_factors
        self._certificates = certificates
        self._networks = networks
        self._clock = clock
        self._listed: dict[str, tuple[float, list[dict[str, Any]]]] = {}

    async def listing(self, identity: Identity) -> tuple[int, list[dict[str, Any]]]:
        """How many findings there are, and the rows of the first thousand: the most severe first, among these the
        newest."""
        found = [
            *await self._of_guests(identity),
            *await self._of_storages(identity),
            *self._of_networks(identity),
            *await self._of_tasks(identity),
            *await self._of_node(identity),
        ]
        found.sort(key=lambda one: (SEVERITIES.index(one.severity), -(one.since or 0), one.object))
        return len(found), [one.row() for one in found[:MOST]]

    async def _of_guests(self, identity: Identity) -> list[Finding]:
        allowed = self._access.filter(identity, "/vms/{}", ("VM.Audit",))
        found: list[Finding] = []
        for number, guest in enumerate(list(self._guests), 1):
            if allowed(guest.vmid):
                found += _of_guest(guest)
            if number % SLICE == 0:
                await asyncio.sleep(0)
        return found

    async def _of_storages(self, identity: Identity) -> list[Finding]:
        may = self._access.filter(identity, "/storage/{}", _SEE_STORAGE)
        may_remove = self._access.filter(identity, "/storage/{}", ("Datastore.Allocate",))
        found: list[Finding] = []
        for row in self._storages.rows():
            name = row["storage"]
            object = f"storage/{self._node}/{name}"
            if may(name):
                found += findings.of_storage(row, object)
            if may_remove(name) and row["active"] and not row.get("stale") and "images" in row["content"]:
                found += findings.of_orphans(name, object, await self._orphans_of(name))
        return found

    async def _orphans_of(self, storage: str) -> list[dict[str, Any]]:
        """The list of a moment ago; the old one where the storage does not answer."""
        at, rows = self._listed.get(storage, (0.0, []))
        if self._clock() - at < ORPHANS_SECONDS:
            return rows
        try:
            rows = await self._orphans.listing(storage)
        except TarmacError:
            pass
        self._listed[storage] = (self._clock(), rows)
        return rows

    def task_ended(self, record: JobRecord) -> None:
        """Volumes may have come or gone: orphans are looked for anew. For `Jobs.on_end`."""
        self._listed.clear()

    def _of_networks(self, identity: Identity) -> list[Finding]:
        may = self._access.filter(identity, "/sdn/zones/{}", ("SDN.Audit",))
        found: list[Finding] = []
        for zone, vnet, problem, restarts in self._networks():
            if may(zone):
                found += findings.of_network(vnet, f"sdn/{self._node}/{zone}", problem, restarts)
        return found

    async def _of_tasks(self, identity: Identity) -> list[Finding]:
        now = self._clock()
        where: list[tuple[str, list[Any]]] = [("created >= ?", [now - findings.FAILED_SECONDS])]
        if not self._access.allowed(identity, f"/nodes/{self._node}", ["Sys.Audit"]):
            where.append(("(user = ? OR user LIKE ?)", [identity.user, f"{identity.user}!%"]))
        _, ended = await self._jobs.ended(where, limit=TASKS)
        return findings.of_tasks(ended, self._node, now, lambda vmid: self._guests.find(vmid) is not None)

    async def _of_node(self, identity: Identity) -> list[Finding]:
        found: list[Finding] = []
        if self._access.allowed(identity, f"/nodes/{self._node}", ["Sys.Audit"]):
            for row in await asyncio.to_thread(self._certificates):
                found += findings.of_certificate(row, self._node, self._clock())
        if self._access.allowed(identity, "/", ["Sys.Audit"]):
            problems = self._metrics.problems.items()
            found += [findings.of_metric_server(name, problem, self._node) for name, problem in problems]
        if self._access.allowed(identity, "/access/groups", ["User.Modify"]):
            rows = self._second_factors.all(identity, lambda userid: True)
            locked = [row for row in rows if "totp-locked" in row or "tfa-locked-until" in row]
            found += [findings.of_locked_user(row, self._node) for row in locked]
        return found


def _of_guest(guest: Guest) -> list[Finding]:
    title = f"{guest.vmid} ({guest.name})" if guest.name else str(guest.vmid)
    if guest.state is State.STOPPED:
        return [findings.of_exit(guest.vmid, title, guest.last_exit)] if guest.last_exit else []
    found: list[Finding] = []
    if guest.halted is not None and guest.state is State.IO_ERROR:
        found.append(findings.of_halted(guest.vmid, guest.halted))
    file = guest.file
    if file.pending or file.pending_delete:
        found.append(findings.of_pending(guest.vmid, title, sorted({*file.pending, *file.pending_delete})))
    return found
