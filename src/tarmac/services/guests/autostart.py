"""Guests that start with the host (`onboot`) and stop with it, in their startup order.

Source of the rules: Proxmox's startall and stopall. Guests with an order go first, lowest first, all of one order at
once, then those without; `up` and `down` are seconds to wait after a group was started or for a group to end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from itertools import groupby
from typing import Any

from tarmac.model.job import Plan, PlannedStep
from tarmac.model.lifecycle import State
from tarmac.services.access.access import Identity
from tarmac.services.guests.guests import Guest, Guests
from tarmac.services.jobs.jobs import Jobs
from tarmac.services.jobs.steps import Registry, StepContext

DOWN_SECONDS = 180
LAST = 1 << 30


class Autostart:
    """`startall` and `stopall` of the node."""

    def __init__(self, *, node: str, guests: Guests, jobs: Jobs, registry: Registry) -> None:
        self._node = node
        self._guests = guests
        self._jobs = jobs
        registry.step("group-start", self._start_group)
        registry.step("group-shutdown", self._shutdown_group)
        registry.kind("startall", self._plan_start)
        registry.kind("stopall", self._plan_stop)

    async def start_all(
        self, identity: Identity, *, force: bool = False, vms: Iterable[int] = (), dryrun: bool = False
    ) -> str | Plan:
        """Start the guests with `onboot` (all with `force`), or those of `vms` among them."""
        args = {"force": force, "vms": sorted(vms), "user": identity.name}
        if dryrun:
            return await self._jobs.plan("startall", args)
        return await self._jobs.submit("startall", id="", user=identity.name, args=args, queues=["node/power"])

    async def stop_all(
        self,
        identity: Identity,
        *,
        force: bool = True,
        timeout: int | None = None,
        vms: Iterable[int] = (),
        dryrun: bool = False,
    ) -> str | Plan:
        """Shut down all running guests; with `force` cut the power of those that do not end in time."""
        args = {"force": force, "timeout": timeout or DOWN_SECONDS, "vms": sorted(vms)}
        if dryrun:
            return await self._jobs.plan("stopall", args)
        return await self._jobs.submit("stopall", id="", user=identity.name, args=args, queues=["node/power"])

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
        for order, group in _by_order(wanted):
            vmids = [g.vmid for g in group]
            wait = max((_delay(g, "up") or 0 for g in group), default=0)
            title = f"start {_names(vmids)}" + (f" (order {order})" if order != LAST else "")
            steps.append(PlannedStep(step="group-start", title=title, args={"vmids": vmids, "wait": wait}))
        return Plan(steps=tuple(steps))

    async def _plan_stop(self, args: Mapping[str, Any]) -> Plan:
        running = [
            g for g in self._guests if g.state is not State.STOPPED and (not args["vms"] or g.vmid in args["vms"])
        ]
        steps = []
        for _, group in reversed(_by_order(running)):
            vmids = [g.vmid for g in group]
            timeout = max(_delay(g, "down") or args["timeout"] for g in group)
            steps.append(
                PlannedStep(
                    step="group-shutdown",
                    title=f"shut down {_names(vmids)} (up to {timeout} s)",
                    args={"vmids": vmids, "timeout": timeout, "force": bool(args["force"])},
                )
            )
        return Plan(steps=tuple(steps))

    async def _start_group(self, ctx: StepContext, vmids: list[int], wait: int) -> None:
        upids = [await self._submit("qmstart", vmid, {}, ctx.user) for vmid in vmids]
        await self._collect(ctx, vmids, upids)
        await asyncio.sleep(wait)

    async def _shutdown_group(self, ctx: StepContext, vmids: list[int], timeout: int, force: bool) -> None:
        args = {"timeout": timeout, "force": force}
        upids = [await self._submit("qmshutdown", vmid, args, ctx.user) for vmid in vmids]
        await self._collect(ctx, vmids, upids)

    async def _submit(self, kind: str, vmid: int, args: dict[str, Any], user: str) -> str:
        return await self._jobs.submit(
            kind, id=str(vmid), user=user, args={"vmid": vmid, **args}, queues=[f"guest/{vmid}"]
        )

    async def _collect(self, ctx: StepContext, vmids: list[int], upids: list[str]) -> None:
        """Wait for the group; one guest's failure is a warning here, because the others must go on."""
        for vmid, upid in zip(vmids, upids, strict=True):
            record = await self._jobs.wait(upid)
            if record.exitstatus == "OK":
                ctx.log(f"guest {vmid}: OK")
            else:
                ctx.warn(f"guest {vmid}: {record.exitstatus} ({upid})")


def _by_order(guests: Iterable[Guest]) -> list[tuple[int, list[Guest]]]:
    ordered = sorted(guests, key=lambda g: (_order(g), g.vmid))
    return [(order, list(group)) for order, group in groupby(ordered, key=_order)]


def _order(guest: Guest) -> int:
    startup = guest.config.startup
    return LAST if startup is None or startup.order is None else startup.order


def _delay(guest: Guest, word: str) -> int | None:
    startup = guest.config.startup
    return None if startup is None else getattr(startup, word)


def _names(vmids: list[int]) -> str:
    return "guest " + ", ".join(map(str, vmids))
