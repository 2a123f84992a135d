"""Bulk actions: start, shut down, suspend or migrate many guests in one task, each with its own outcome.

In the guests' startup order (backwards for what ends), at most `workers` tasks at a time. A guest that needs nothing is
skipped with the reason. The task fails when one guest failed, and its result tells of each:

    {"guests": [{"vmid": 100, "outcome": "ok", "status": "OK", "upid": "UPID:..."}, ...]}

Source of the rules and words: PVE::API2::Cluster::BulkAction::Guest of Proxmox VE 9.1.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tarmac.model.errors import Fix, HostFailure
from tarmac.model.job import Plan, PlannedStep, Started
from tarmac.model.lifecycle import State
from tarmac.services.access.access import Access, Identity
from tarmac.services.guests.guests import Guest, Guests
from tarmac.services.jobs.jobs import Jobs
from tarmac.services.jobs.steps import Registry, StepContext
from tarmac.services.lifecycle.many import FAILED, LAST, Work, by_order, delay, each, names

WORKERS = 4
DOWN_SECONDS = 180
_DOING = {"start": "start", "shutdown": "shut down", "suspend": "suspend", "migrate": "migrate"}
_BACKWARDS = {"shutdown", "suspend"}


class BulkActions:
    """`start`, `shutdown`, `suspend`, `migrate`: each begins a task `bulk-<action>`. `vms` are the guests meant;
    empty: all that the action applies to. `workers` None: what the datacenter's options say, else `WORKERS`."""

    def __init__(
        self,
        *,
        guests: Guests,
        jobs: Jobs,
        access: Access,
        registry: Registry,
        default_workers: Callable[[], int | None] = lambda: None,
    ) -> None:
        self._guests = guests
        self._jobs = jobs
        self._access = access
        self._default_workers = default_workers
        registry.step("bulk-group", self._do_group)
        registry.step("bulk-report", self._do_report)
        for action in _DOING:
            registry.kind(f"bulk-{action}", self._planner(action), recover="resume")

    def check_rights(self, identity: Identity, vms: Sequence[int], privilege: str) -> None:
        """The privilege on each guest that is named, or on `/` for all. Raises Denied."""
        for path in [f"/vms/{vmid}" for vmid in vms] or ["/"]:
            self._access.check(identity, path, [privilege])

    async def start(
        self, identity: Identity, vms: Sequence[int] = (), *, workers: int | None = None, dryrun: bool = False
    ) -> Started:
        """Start those that are stopped, resume those that are suspended."""
        return await self._begin(identity, "start", vms, {}, workers or self._default_workers() or WORKERS, dryrun)

    async def shutdown(
        self,
        identity: Identity,
        vms: Sequence[int] = (),
        *,
        timeout: int = DOWN_SECONDS,
        force: bool = True,
        workers: int | None = None,
        dryrun: bool = False,
    ) -> Started:
        """Shut down. `timeout`: seconds for each guest whose `startup` has no `down`; `force`: cut its power then."""
        options = {"timeout": timeout, "force": force}
        chosen = workers or self._default_workers() or WORKERS
        return await self._begin(identity, "shutdown", vms, options, chosen, dryrun)

    async def suspend(
        self, identity: Identity, vms: Sequence[int] = (), *, workers: int | None = None, dryrun: bool = False
    ) -> Started:
        """Halt the processors; the memory stays where it is."""
        return await self._begin(identity, "suspend", vms, {}, workers or self._default_workers() or WORKERS, dryrun)

    async def migrate(
        self,
        identity: Identity,
        vms: Sequence[int] = (),
        *,
        target: str,
        workers: int | None = None,
        dryrun: bool = False,
    ) -> Started:
        """What a Proxmox of one node does: guests are there already, and another node does not exist."""
        chosen = workers or self._default_workers() or 1
        return await self._begin(identity, "migrate", vms, {"target": target}, chosen, dryrun)

    async def _begin(
        self,
        identity: Identity,
        action: str,
        vms: Sequence[int],
        options: Mapping[str, Any],
        workers: int,
        dryrun: bool,
    ) -> Started:
        args = {"vms": sorted(set(vms)), "workers": workers, "options": dict(options)}
        if dryrun:
            return await self._jobs.plan(f"bulk-{action}", args)
        return await self._jobs.submit(f"bulk-{action}", id="", user=identity.name, args=args)

    # -- plan ---------------------------------------------------------------------------------------------------

    def _planner(self, action: str) -> Any:
        async def plan(args: Mapping[str, Any]) -> Plan:
            options, named = args["options"], args["vms"]
            works = {g.vmid: self._work(action, g.vmid, options) for g in self._guests}
            chosen = named or [vmid for vmid, work in works.items() if not work.skip or action == "migrate"]
            steps = []
            for order, vmids in self._groups(chosen, backwards=action in _BACKWARDS):
                title = f"{_DOING[action]} {names(vmids)}" + (f" (order {order})" if order != LAST else "")
                given = {"action": action, "vmids": vmids, "workers": args["workers"], "options": dict(options)}
                steps.append(PlannedStep(step="bulk-group", title=title, args=given))
            steps.append(PlannedStep(step="bulk-report", title="report", args={"action": action}))
            skips = [work for vmid in chosen if (work := works.get(vmid) or self._work(action, vmid, options)).skip]
            return Plan(steps=tuple(steps), effects=tuple(f"guest {w.vmid}: {w.skip}" for w in skips))

        return plan

    def _groups(self, vmids: Sequence[int], *, backwards: bool) -> list[tuple[int, list[int]]]:
        """In startup order; those that do not exist come last, so that the outcome tells of them, too."""
        known = [guest for vmid in vmids if (guest := self._guests.find(vmid)) is not None]
        groups = [(order, [g.vmid for g in group]) for order, group in by_order(known)]
        groups = groups[::-1] if backwards else groups
        unknown = [vmid for vmid in vmids if vmid not in self._guests]
        return [*groups, (LAST, unknown)] if unknown else groups

    def _work(self, action: str, vmid: int, options: Mapping[str, Any]) -> Work:
        """What the action means for a guest as it is now."""
        guest = self._guests.find(vmid)
        if guest is None:
            return Work(vmid=vmid, skip=f"guest {vmid} does not exist", fails=True)
        if action == "migrate":
            return self._migration(guest, options["target"])
        if guest.template:
            return Work(vmid=vmid, skip="it is a template")
        if action == "start":
            if guest.state is State.STOPPED:
                return Work(vmid=vmid, kind="qmstart")
            resumable = guest.state in (State.PAUSED, State.IO_ERROR)
            return Work(vmid=vmid, kind="qmresume") if resumable else Work(vmid=vmid, skip="already running")
        if guest.state is State.STOPPED:
            return Work(vmid=vmid, skip="not running")
        if action == "suspend":
            return Work(vmid=vmid, kind="qmpause")
        timeout = delay(guest, "down") or options["timeout"]
        return Work(vmid=vmid, kind="qmshutdown", args={"timeout": timeout, "force": options["force"]})

    def _migration(self, guest: Guest, target: str) -> Work:
        node = self._guests.node
        if target in (node, "localhost"):
            return Work(vmid=guest.vmid, skip=f"already on {node}")
        return Work(vmid=guest.vmid, skip=f"no such cluster node '{target}'", fails=True)

    # -- steps --------------------------------------------------------------------------------------------------

    async def _do_group(
        self, ctx: StepContext, action: str, vmids: Sequence[int], workers: int, options: Mapping[str, Any]
    ) -> list[dict[str, Any]]:
        works = [self._work(action, vmid, options) for vmid in vmids]
        rows = await each(ctx, self._jobs, works, workers=workers)
        if action == "start":
            begun = [guest for row in rows if "upid" in row and (guest := self._guests.find(row["vmid"])) is not None]
            if wait := max((delay(guest, "up") or 0 for guest in begun), default=0):
                ctx.log(f"waiting for {wait} seconds (startup delay)")
                await asyncio.sleep(wait)
        return rows

    async def _do_report(self, ctx: StepContext, action: str) -> None:
        """Each guest's outcome goes into the task's result. Raises HostFailure when one of them failed."""
        rows = [row for group in ctx.results.values() if isinstance(group, list) for row in group]
        ctx.publish("guests", rows)
        failed = [row for row in rows if row["outcome"] == FAILED]
        if not failed:
            return
        told = ", ".join(str(row["vmid"]) for row in failed)
        raise HostFailure(
            f"Some guests failed to {action}: {told}",
            code="some-failed",
            cause=f"{len(failed)} of {len(rows)} guests failed; the others are done",
            evidence="; ".join(f"{row['vmid']}: {row['status']}" for row in failed)[:2000],
            fixes=[
                Fix(text="look at each guest's own task; its id is in the result", action="GET .../tasks/{upid}/log")
            ],
        )
