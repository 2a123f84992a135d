"""What networks are on this host: bridges and DHCP, made so and kept so.

`put` and `take_away` are for the task that applies; `begin` is for a daemon that starts, as bridges do not survive the
host's restart; `look` for the watcher. What guests' addresses are is told to DHCP as it changes, many changes at once.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from ipaddress import IPv4Interface

from tarmac.drivers.network.bridge import Bridges, ports
from tarmac.drivers.network.dnsmasq import Dnsmasq, Host, Lease
from tarmac.model.errors import TarmacError
from tarmac.model.network_rules import Network
from tarmac.services.networks.addresses import Addresses
from tarmac.services.networks.definitions import NetworkDefinitions

LOOK_SECONDS = 2.0
AGAIN_SECONDS = 30.0
"""How long a network that could not be made so is left alone."""
log = logging.getLogger(__name__)


class NetworkHost:
    """`problems`: networks that are not as they should be, and why. `restarts`: how often DHCP ended by itself."""

    def __init__(
        self, *, definitions: NetworkDefinitions, addresses: Addresses, bridges: Bridges, dhcp: Dnsmasq
    ) -> None:
        self._definitions = definitions
        self._addresses = addresses
        self._bridges = bridges
        self._dhcp = dhcp
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._touched: set[str] = set()
        self._wake = asyncio.Event()
        self._again: dict[str, float] = {}
        self._began = False
        self.problems: dict[str, TarmacError] = {}
        self.restarts: dict[str, int] = {}
        self.changed: list[Callable[[], None]] = []
        addresses.changed.append(self._touch)

    # -- for the task that applies ------------------------------------------------------------------------------

    async def check(self, network: Network) -> None:
        """Raises Denied, WrongState where `put` would. Changes nothing."""
        await self._bridges.check(network.vnet)

    async def put(self, network: Network) -> None:
        """Bridge, gateway's address and DHCP as they should be; repeatable. Raises what the drivers raise."""
        async with self._locks[network.vnet]:
            try:
                await self._put(network)
            except TarmacError as problem:
                self._failed(network.vnet, problem)
                raise
            self._well(network.vnet)

    async def _put(self, network: Network) -> None:
        vnet = network.vnet
        gateways = [IPv4Interface(f"{s.gateway}/{s.network.prefixlen}") for s in network.subnets if s.gateway]
        await self._bridges.ensure(vnet, addresses=gateways, mtu=network.mtu)
        if not network.serves:
            await self._dhcp.end(vnet)
            return
        hosts = [Host(mac=one.mac, ip=one.ip, name=one.name) for one in self._addresses.of_network(vnet)]
        if await self._dhcp.ensure(network, hosts):
            log.info("dhcp started", extra={"vnet": vnet, "reservations": len(hosts)})

    async def take_away(self, vnet: str) -> None:
        """End DHCP and remove the bridge; repeatable."""
        async with self._locks[vnet]:
            await self._dhcp.end(vnet)
            await self._bridges.remove(vnet)
            self._well(vnet)
            self.restarts.pop(vnet, None)

    def guests_on(self, vnet: str) -> list[str]:
        """The taps of running guests on a network."""
        return ports(vnet)

    def leases(self, vnet: str) -> Sequence[Lease]:
        return self._dhcp.leases(vnet)

    # -- for the daemon -----------------------------------------------------------------------------------------

    async def begin(self) -> None:
        """What is in force is so on this host, too; what nobody knows any more goes. Nothing is raised: what fails is
        said and tried again."""
        for vnet in await asyncio.to_thread(self._strays):
            await self.take_away(vnet)
        for network in self._definitions.networks.values():
            await self._tried(network)
        self._began = True

    def _strays(self) -> list[str]:
        """What a crash left of networks that are not in force. On one that guests are on, nothing is touched."""
        known = self._definitions.networks
        found = {*self._dhcp.strays(known), *self._bridges.ours()} - known.keys()
        return sorted(vnet for vnet in found if not ports(vnet))

    async def look(self) -> None:
        """Put right what is no longer as it should be. The daemon calls it every two seconds."""
        now = time.monotonic()
        for vnet, network in list(self._definitions.networks.items()):
            if self._locks[vnet].locked() or self._again.get(vnet, 0) > now:
                continue
            there = await self._bridges.there(vnet)
            serving = not network.serves or self._dhcp.alive(vnet)
            if there and serving and vnet not in self.problems:
                self._dhcp.tidy(vnet)
                continue
            if there and not serving and vnet not in self.problems:
                self.restarts[vnet] = self.restarts.get(vnet, 0) + 1
                words = await asyncio.to_thread(self._dhcp.last_words, vnet)
                log.warning("dhcp ended by itself: started again", extra={"vnet": vnet, "last_words": words})
            await self._tried(network)

    async def follow(self) -> None:
        """Tell DHCP of addresses that came and went; runs as long as the daemon."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            touched, self._touched = self._touched, set()
            for vnet in touched:
                if (network := self._definitions.networks.get(vnet)) is not None:
                    await self._tried(network)

    def let_go(self) -> None:
        """The daemon ends; what runs goes on."""
        self._dhcp.let_go()

    async def _tried(self, network: Network) -> None:
        try:
            await self.put(network)
        except TarmacError as problem:
            log.error("a network is not as it should be", extra={"vnet": network.vnet, "problem": problem.as_record()})

    def _touch(self, vnet: str) -> None:
        if self._began:
            self._touched.add(vnet)
            self._wake.set()

    def _failed(self, vnet: str, problem: TarmacError) -> None:
        self._again[vnet] = time.monotonic() + AGAIN_SECONDS
        self.problems[vnet] = problem
        self._tell()

    def _well(self, vnet: str) -> None:
        self._again.pop(vnet, None)
        if self.problems.pop(vnet, None) is not None:
            self._tell()

    def _tell(self) -> None:
        for listener in self.changed:
            listener()
