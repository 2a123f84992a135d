"""QEMU's user-mode network around a guest that has a fixed address: port forwards lead to the guest's address, and its
gateway is the one that it was told. Without a fixed address QEMU's own network stands: 10.0.2.0/24, the guest .15."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from tarmac.model.cloudinit import IpConfig

_PREFIXES = range(4, 30)  # QEMU takes no shorter ones; a longer one has no room for guest, gateway and name server


@dataclass(frozen=True, slots=True, kw_only=True)
class UserNetwork:
    """The network as `ADDRESS/PREFIX`, and who is who in it."""

    network: str
    gateway: str
    names: str
    guest: str


def user_network(ip: IpConfig | None) -> UserNetwork | None:
    """The network for a card's addresses, None for QEMU's own. Raises ValueError for a fixed address that QEMU cannot
    serve."""
    if ip is None or ip.ip is None or "/" not in ip.ip:
        return None
    guest = ipaddress.IPv4Interface(ip.ip)
    network = guest.network
    if network.prefixlen not in _PREFIXES:
        raise ValueError(
            f"the prefix of {ip.ip} must be from {_PREFIXES[0]} to {_PREFIXES[-1]} in user-mode networking"
        )
    if guest.ip in (network.network_address, network.broadcast_address):
        raise ValueError(f"{guest.ip} is no address for a guest in {network}")
    gateway = ipaddress.IPv4Address(ip.gw) if ip.gw else None
    if gateway is not None and (gateway not in network or gateway == guest.ip):
        raise ValueError(f"gw ({gateway}) must be another address in {network} in user-mode networking")
    # QEMU's own places, .2 and .3, unless they are taken.
    free = [a for a in (network.network_address + n for n in (2, 3, 4, 5)) if a not in (guest.ip, gateway)]
    gateway = gateway or free.pop(0)
    return UserNetwork(network=str(network), gateway=str(gateway), names=str(free[0]), guest=str(guest.ip))
