"""Guests that start with the host (`onboot`) and stop with it, in their startup order.

Source of the rules: Proxmox's startall and stopall. Guests with an order go first, lowest first, those of one order
together (with `workers`: so many at a time), then those without; `up` and `down` are seconds to wait after a group was
started or for a group to end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from tarmac.model.job import Plan, PlannedStep, Started
from tarmac.model.lifecycle import State
from tarmac.services.access.access import Identity
from tarmac.services.guests.guests import Guest, Guests
from tarmac.services.jobs.jobs import Jobs
from tarmac.services.jobs.steps import Registry, StepContext
from tarmac.services.lifecycle.many import LAST, Work, by_order, delay, each, names

DOWN_SECONDS = 180
IN_MEMORY = "its memory stays in this host's memory, and is lost with the host's power"


class Autostart:
    """`startall`, `stopall` and `suspendall` of the node. `onboot_delay` are the seconds that the node's configuration
    says to wait before the first guest is started with the host; `default_workers` how many tasks at a time."""

    def __init__(
        self,
        *,
        node: str,
        guests: Guests,
        jobs: Jobs,
        registry: Registry,
        onboot_delay: Callable[[], int] = lambda: 0,
        default_workers: Callable[[], int | None] = lambda: None,
    ) -> None:
        self._node = node
        self._guests = guests
        self._jobs = jobs
        self._onboot_delay = onboot_delay
        self._default_workers = default_workers
        registry.step("boot-delay", self._boot_delay)
        registry.step("group-start", self._start_group)
        registry.step("group-shutdown", self._shutdown_group)
        registry.step("group-suspend", self._suspend_group)
        registry.kind("startall", self._plan_start)
        registry.kind("stopall", self._plan_stop)
        registry.kind("suspendall", self._plan_suspend)

    async def start_all(
        self,
        identity: Identity,
        *,
        force: bool = False,
        vms: Iterable[int] = (),
        workers: int | None = None,
        dryrun: bool = False,
    ) -> Started:
        """Start the guests with `onboot` (all with `force`), or those of `vms` among them."""
        args = {"force": force, "vms": sorted(vms), "user": identity.name, "workers": workers}
        return await self._begin(identity, "startall", args, dryrun)

    async def stop_all(
        self,
        identity: Identity,
        *,
        force: bool = True,
        timeout: int | None = None,
        vms: Iterable[int] = (),
        workers: int | None = None,
        dryrun: bool = False,
    ) -> Started:
        """Shut down all running guests; with `force` cut the power of those that do not end in time."""
        args = {"force": force, "timeout": timeout or DOWN_SECONDS, "vms": sorted(vms), "workers": workers}
        return await self._begin(identity, "stopall", args, dryrun)

    async def suspend_all(
        self, identity: Identity, *, vms: Iterable[int] = (), workers: int | None = None, dryrun: bool = False
    ) -> Started:
        """Halt the processors of all running guests. Proxmox writes them to disk; until that is built their memory
        stays where it is, and each of them is a warning that says so."""
        return await self._begin(identity, "suspendall", {"vms": sorted(vms), "workers": workers}, dryrun)

    async def _begin(self, identity: Identity, kind: str, args: dict[str, Any], dryrun: bool) -> Started:
        args["workers"] = args["workers"] or self._default_workers()
        if dryrun:
            return await self._jobs.plan(kind, args)
        return await self._jobs.submit(kind, id="", user=identity.name, args=args, queues=["node/power"])

    # -- plans --------------------------------------------------------------------------------------------------

    async def _plan_start(self, args: Mapping[str, Any]) -> Plan:
        wanted = [
            g
            for g in self._guests
            if g.state is State.STOPPED
            and not g.template
            and (g.config.onboot or args["force"])
            and (not args["vms"] or g.vmid in args["vms"])
        ]
        steps = []
        if wanted and not args["force"] and (seconds := self._onboot_delay()):
            steps.append(PlannedStep(step="boot-delay", title=f"wait {seconds} s", args={"seconds": seconds}))
        for order, group in by_order(wanted):
            vmids = [g.vmid for g in group]
            wait = max((delay(g, "up") or 0 for g in group), default=0)
            title = f"start {names(vmids)}" + (f" (order {order})" if order != LAST else "")
            given = {"vmids": vmids, "wait": wait, "workers": args.get("workers")}
            steps.append(PlannedStep(step="group-start", title=title, args=given))
        return Plan(steps=tuple(steps))

    async def _plan_stop(self, args: Mapping[str, Any]) -> Plan:
        steps = []
        for _, group in reversed(by_order(self._running(args["vms"]))):
            vmids = [g.vmid for g in group]
            timeout = max(delay(g, "down") or args["timeout"] for g in group)
            given = {
                "vmids": vmids,
                "timeout": timeout,
                "force": bool(args["force"]),
                "workers": args.get("workers"),
            }
            title = f"shut down {names(vmids)} (up to {timeout} s)"
            steps.append(PlannedStep(step="group-shutdown", title=title, args=given))
        return Plan(steps=tuple(steps))

    async def _plan_suspend(self, args: Mapping[str, Any]) -> Plan:
        steps = []
        for _, group in reversed(by_order(self._running(args["vms"]))):
            vmids = [g.vmid for g in group]
            given = {"vmids": vmids, "workers": args["workers"]}
            steps.append(PlannedStep(step="group-suspend", title=f"suspend {names(vmids)}", args=given))
        return Plan(steps=tuple(steps), effects=(f"a suspended guest: {IN_MEMORY}",) if steps else ())

    def _running(self, vms: Iterable[int]) -> list[Guest]:
        wanted = set(vms)
        return [g for g in self._guests if g.state is not State.STOPPED and (not wanted or g.vmid in wanted)]

    # -- steps --------------------------------------------------------------------------------------------------

    async def _boot_delay(self, ctx: StepContext, seconds: int) -> None:
        await asyncio.sleep(seconds)

    async def _start_group(self, ctx: StepContext, vmids: list[int], wait: int, workers: int | None = None) -> None:
        await self._each(ctx, [Work(vmid=vmid, kind="qmstart") for vmid in vmids], workers)
        await asyncio.sleep(wait)

    async def _shutdown_group(
        self, ctx: StepContext, vmids: list[int], timeout: int, force: bool, workers: int | None = None
    ) -> None:
        args = {"timeout": timeout, "force": force}
        await self._each(ctx, [Work(vmid=vmid, kind="qmshutdown", args=args) for vmid in vmids], workers)

    async def _suspend_group(self, ctx: StepContext, vmids: list[int], workers: int | None = None) -> None:
        await self._each(ctx, [Work(vmid=vmid, kind="qmpause") for vmid in vmids], workers)
        for vmid in vmids:
            ctx.warn(f"guest {vmid} is not on disk: {IN_MEMORY}")

    async def _each(self, ctx: StepContext, works: list[Work], workers: int | None) -> None:
        await each(ctx, self._jobs, works, workers=workers)
