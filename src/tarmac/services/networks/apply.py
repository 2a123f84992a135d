"""`reloadnetworkall`: what is defined comes into force, in steps that a crash cannot leave half done.

First each network's bridge and DHCP, which a failure undoes; then the record of what is in force, the point of no
return; then guests that have cards on a network get their addresses, and what is no longer defined goes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tarmac.model.errors import Conflict, Fix, TarmacError
from tarmac.model.job import Plan, PlannedStep, Started
from tarmac.model.lifecycle import State
from tarmac.model.network_rules import Definitions, Network, networks_of
from tarmac.services.access.access import Identity
from tarmac.services.guests.guests import Guests
from tarmac.services.jobs.jobs import Jobs
from tarmac.services.jobs.steps import Registry, StepContext
from tarmac.services.networks.addresses import Addresses
from tarmac.services.networks.definitions import NetworkDefinitions
from tarmac.services.networks.host import NetworkHost

KIND = "reloadnetworkall"
QUEUE = "networks"


class NetworkApply:
    """`apply` starts the task. One at a time: all hold the queue `networks`."""

    def __init__(
        self,
        *,
        node: str,
        definitions: NetworkDefinitions,
        addresses: Addresses,
        host: NetworkHost,
        guests: Guests,
        jobs: Jobs,
        registry: Registry,
    ) -> None:
        self._node = node
        self._definitions = definitions
        self._addresses = addresses
        self._host = host
        self._guests = guests
        self._jobs = jobs
        registry.step("network-put", self._do_put, self._undo_put)
        registry.step("networks-enforce", self._do_enforce, commits=True)
        registry.step("networks-addresses", self._do_addresses)
        registry.step("network-remove", self._do_remove)
        registry.kind(KIND, self._plan)

    async def apply(
        self, identity: Identity, *, token: str | None = None, release: bool = True, dryrun: bool = False
    ) -> Started:
        """`PUT /cluster/sdn`: returns the UPID, or the plan. `release`: the lock that `token` is of is given up.

        Raises Conflict (a lock; guests that run on a network that would go), Denied without root, WrongState where
        an interface that is not ours has a network's name."""
        self._definitions.check_lock(token)
        wanted = self._definitions.wanted
        args = {"target": {**wanted.record(), "version": self._definitions.running.version + 1}}
        plan = await self._jobs.plan(KIND, args)
        if dryrun:
            return plan
        upid = await self._jobs.submit(KIND, id="", user=identity.name, args=args, queues=[QUEUE])
        if release and token is not None:
            await self._definitions.unlock(token)
        return upid

    async def _plan(self, args: Mapping[str, Any]) -> Plan:
        target = Definitions.of(args["target"])
        new, old = networks_of(target, self._node), networks_of(self._definitions.running, self._node)
        gone = sorted(old.keys() - new.keys())
        for vnet in gone:
            self._check_unused(vnet)
        puts = []
        for vnet, network in sorted(new.items()):
            await self._host.check(network)
            title = f"make the network {vnet}" if vnet not in old else f"bring the network {vnet} up to date"
            puts.append(PlannedStep(step="network-put", title=title, args={"vnet": vnet, "target": args["target"]}))
        removes = [
            PlannedStep(step="network-remove", title=f"remove the network {vnet}", args={"vnet": vnet}) for vnet in gone
        ]
        enforce = PlannedStep(
            step="networks-enforce", title="bring the definitions into force", args={"target": args["target"]}
        )
        addresses = PlannedStep(step="networks-addresses", title="give guests their addresses", args={})
        effects = tuple(f"what was reserved on {vnet} is given back" for vnet in gone)
        return Plan(steps=(*puts, enforce, addresses, *removes), effects=effects)

    def _check_unused(self, vnet: str) -> None:
        running = [
            guest.vmid
            for guest in self._guests
            if guest.state is not State.STOPPED and any(nic.bridge == vnet for nic in guest.config.net.values())
        ]
        if running:
            raise Conflict(
                f"vnet '{vnet}' is in use",
                code="vnet-in-use",
                cause="running guests have cards on it; they would lose their network",
                evidence="guests " + ", ".join(map(str, sorted(running))),
                fixes=[Fix(text="stop them, or give their cards another bridge")],
            )

    # -- steps --------------------------------------------------------------------------------------------------

    async def _do_put(self, ctx: StepContext, vnet: str, target: Mapping[str, Any]) -> None:
        await self._host.put(networks_of(Definitions.of(target), self._node)[vnet])

    async def _undo_put(self, ctx: StepContext, vnet: str, target: Mapping[str, Any]) -> None:
        before: Network | None = self._definitions.networks.get(vnet)
        if before is None:
            await self._host.take_away(vnet)
        else:
            await self._host.put(before)

    async def _do_enforce(self, ctx: StepContext, target: Mapping[str, Any]) -> None:
        await self._definitions.enforce(Definitions.of(target))

    async def _do_addresses(self, ctx: StepContext) -> None:
        """A guest for which no address is left keeps the others from none, and is named."""
        for guest in list(self._guests):
            try:
                await self._guests.write_beside(guest)
            except TarmacError as problem:
                ctx.warn(f"guest {guest.vmid}: {problem.message} ({problem.evidence})")

    async def _do_remove(self, ctx: StepContext, vnet: str) -> None:
        await self._host.take_away(vnet)
        await self._addresses.forget(vnet)
