"""Networks of our own: `services.networks`."""

from __future__ import annotations

import contextlib

from tarmac.composition.ground import Ground
from tarmac.drivers.network.bridge import Bridges
from tarmac.drivers.network.dnsmasq import Dnsmasq
from tarmac.services.networks.addresses import Addresses
from tarmac.services.networks.apply import NetworkApply
from tarmac.services.networks.definitions import NetworkDefinitions
from tarmac.services.networks.host import NetworkHost
from tarmac.services.networks.views import NetworkViews
from tarmac.services.registry import Services


async def add_networks(ground: Ground, s: Services, stack: contextlib.AsyncExitStack) -> None:
    """Definitions, addresses, and what is made of them on this host; guests get their addresses from now on."""
    definitions = s.networks = NetworkDefinitions(ground.store, ground.node)
    await definitions.load()
    addresses = s.addresses = Addresses(store=ground.store, networks=lambda: definitions.networks)
    await addresses.load()
    definitions.reserved = addresses.within
    s.guests.beside = addresses.beside
    s.network_host = NetworkHost(
        definitions=definitions,
        addresses=addresses,
        bridges=Bridges(ground.instance.id),
        dhcp=Dnsmasq(ground.data / "networks", refused=(ground.node,)),
    )
    stack.callback(s.network_host.let_go)
    s.network_apply = NetworkApply(
        node=ground.node,
        definitions=definitions,
        addresses=addresses,
        host=s.network_host,
        guests=s.guests,
        jobs=ground.jobs,
        registry=ground.registry,
    )
    s.network_views = NetworkViews(
        node=ground.node,
        definitions=definitions,
        addresses=addresses,
        host=s.network_host,
        access=ground.access,
    )
