"""Giving an instant clone its own identity: inside through its agent, from outside its network cards and medium.

Each part looks at what is the case and does what is missing, so it can be repeated after a crash or a failure. Until a
clone has it, its cards are its source's, and what is behind them leads nowhere. One whose identity could not be
finished has its cables out, and its record says `pending`.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Coroutine, Mapping
from typing import Any

from tarmac.drivers.qemu.agent import Agent
from tarmac.drivers.qemu.live.machine import Machine
from tarmac.model.errors import HostFailure, TarmacError
from tarmac.model.vm import VmConfig
from tarmac.services.cloudinit.cloudinit import CloudInit
from tarmac.services.cloudinit.documents import host_names
from tarmac.services.guests.guests import Guest
from tarmac.services.instant import identity_inside
from tarmac.services.instant.identity_inside import NewIdentity
from tarmac.services.instant.records import DONE, InstantRecords
from tarmac.services.instant.states import LiveState
from tarmac.services.jobs.steps import StepContext
from tarmac.services.running.agents import Agents
from tarmac.services.running.live_changes import VmLive
from tarmac.services.running.runtime import Runtime

TRIES = 3
NO_AGENT = (
    "host name, machine id, SSH host keys, DHCP identifier and clock are still the template's: without a guest agent "
    "nothing inside can be changed; its network cards have their cables out"
)


class InstantIdentity:
    """`first_answer`, then `give`."""

    def __init__(
        self,
        *,
        runtime: Runtime,
        agents: Agents,
        live: VmLive,
        cloudinit: CloudInit,
        records: InstantRecords,
    ) -> None:
        self._runtime = runtime
        self._agents = agents
        self._live = live
        self._cloudinit = cloudinit
        self._records = records

    @staticmethod
    def words(machine: Machine) -> tuple[str, ...]:
        """What a plan says about what cannot be done."""
        return () if VmConfig.parse(machine.texts, lenient=True).agent.enabled else (NO_AGENT,)

    def _agent(self, guest: Guest) -> Agent | None:
        return self._agents.of(guest.vmid) if guest.config.agent.enabled else None

    async def first_answer(self, vmid: int, config: VmConfig) -> None:
        """Wait for the agent's first words, if the guest is to have one. One that does not answer fails nothing
        here."""
        if config.agent.enabled:
            with contextlib.suppress(TarmacError):
                await identity_inside.first_words(self._agents.of(vmid))

    async def give(self, guest: Guest, live: LiveState, ctx: StepContext) -> None:
        """Everything that a clone on its template's memory still lacks; what fails is tried again, a few times. What
        cannot be done is a warning of the task, and kept in the record."""
        tries = TRIES if self._agent(guest) is not None else 1
        for left_over in reversed(range(tries)):
            left = await self._given(guest, live, last=not left_over)
            if not left:
                break
            if left_over:
                ctx.log(f"guest {guest.vmid}: {left}; trying again")
        if left:
            await _told(self._pull_all(guest))
        await self._settle(guest, left, ctx)

    async def _given(self, guest: Guest, live: LiveState, *, last: bool) -> str:
        """One try: empty when all is done, else what is not. The cards are changed after the rest, which needs the old
        ones to know theirs; in the `last` try in any case, without cables then."""
        async with asyncio.TaskGroup() as group:
            medium = group.create_task(_told(self._write_medium(guest, live)))
            inside = group.create_task(_told(self._inside(guest, live.machine, quiet=live.quiet)))
        left = inside.result()
        if left and not last:
            return left
        cards = await _told(self._cards(guest, live.machine, linked=not left))
        drives = medium.result() or await _told(self._change_media(guest, live))
        return left or cards or drives

    async def give_booted(self, guest: Guest, machine: Machine | None, ctx: StepContext) -> None:
        """The same for a clone that has booted from its disk meanwhile, with its cables out (`pull_cables`)."""
        left = await _told(self._inside(guest, machine, quiet=False))
        if not left:
            left = await _told(self.plug_cables(guest))
        await self._settle(guest, left, ctx)

    async def _settle(self, guest: Guest, left: str, ctx: StepContext) -> None:
        if left:
            ctx.warn(f"guest {guest.vmid}: {left}")
            await self._records.change(guest.vmid, left=left)
        else:
            await self._records.change(guest.vmid, identity=DONE, left="")

    async def pull_cables(self, guest: Guest) -> None:
        for index in guest.config.net:
            await self._runtime.monitor(guest).set_link(f"net{index}", False)

    async def _pull_all(self, guest: Guest) -> None:
        """Of whatever cards it has, its source's too."""
        qmp = self._runtime.monitor(guest)
        for row in await qmp.execute("qom-list", {"path": "/machine/peripheral"}):
            if re.fullmatch(r"net\d+", row["name"]):
                await qmp.set_link(row["name"], False)

    async def plug_cables(self, guest: Guest) -> None:
        for index, nic in guest.config.net.items():
            await self._runtime.monitor(guest).set_link(f"net{index}", not nic.link_down)

    async def _inside(self, guest: Guest, machine: Machine | None, *, quiet: bool) -> None:
        agent = self._agent(guest)
        if agent is None:
            raise HostFailure(NO_AGENT, code="no-agent")
        await identity_inside.first_words(agent)
        if quiet:
            await agent.fsfreeze_thaw()
        old = VmConfig.parse(machine.texts if machine is not None else {}, lenient=True)
        macs = changed_macs(old, guest.config)
        names = await identity_inside.card_names(agent, macs) if macs else {}
        with_rsa = await identity_inside.has_rsa_key(agent)
        keys = await asyncio.to_thread(identity_inside.make_keys, with_rsa=with_rsa)
        hostname, _ = host_names(guest.config, guest.vmid)
        new = NewIdentity(
            hostname=hostname, machine_id=identity_inside.new_machine_id(), macs=macs, names=names, keys=keys
        )
        # Before the cards are changed: udev looks for new names when the old card goes, and no more for seconds after.
        if not await identity_inside.assume(agent, new):
            with contextlib.suppress(HostFailure):  # a guest without a hardware clock says so after having set its own
                await identity_inside.set_clock(agent)

    async def _unplugged(self, guest: Guest, machine: Machine) -> None:
        """The source's cards are gone; those that are the clone's own already stay."""
        old = await self._foreign_cards(guest, machine)
        if old:
            await self._live.unplug_cards(guest, old)

    async def _foreign_cards(self, guest: Guest, machine: Machine) -> list[str]:
        qmp = self._runtime.monitor(guest)
        present = {row["name"] for row in await qmp.execute("qom-list", {"path": "/machine/peripheral"})}
        found = []
        for key in machine.nics:
            nic = guest.config.net.get(int(key.removeprefix("net")))
            if key in present:
                mac = str(await qmp.qom_get(f"/machine/peripheral/{key}", "mac"))
                if nic is None or nic.macaddr is None or mac.lower() != nic.macaddr.lower():
                    found.append(key)
        return found

    async def _cards(self, guest: Guest, machine: Machine, *, linked: bool) -> None:
        """The clone's own cards are in, at the places of the source's; with `linked` so are their cables."""
        await self._unplugged(guest, machine)
        qmp = self._runtime.monitor(guest)
        present = {row["name"] for row in await qmp.execute("qom-list", {"path": "/machine/peripheral"})}
        missing = [f"net{index}" for index in guest.config.net if f"net{index}" not in present]
        await self._live.plug_cards(guest, missing, linked=linked)
        for index, nic in guest.config.net.items():
            if linked and f"net{index}" in present and not nic.link_down:
                await qmp.set_link(f"net{index}", True)

    async def _write_medium(self, guest: Guest, live: LiveState) -> None:
        if live.media:
            await self._cloudinit.regenerate(guest.vmid)

    async def _change_media(self, guest: Guest, live: LiveState) -> None:
        """Until now the drives held what the source's guest had read; from now on the clone's own documents."""
        for key in live.media:
            if guest.config.disk(key) is not None:
                await self._live.renew_medium(guest, key)


async def _told(work: Coroutine[Any, Any, None]) -> str:
    """Empty when it is done, else why not."""
    try:
        await work
    except TarmacError as problem:
        return f"{problem.message} ({problem.evidence})" if problem.evidence else problem.message
    return ""


def changed_macs(old: VmConfig, new: VmConfig) -> Mapping[str, str]:
    """Old MAC address -> new one of each card, in lower case."""
    return {
        nic.macaddr.lower(): (other.macaddr or "").lower()
        for index, nic in old.net.items()
        if nic.macaddr is not None and (other := new.net.get(index)) is not None and other.macaddr is not None
    }
