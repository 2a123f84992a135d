"""Bridges of our own, made and removed by netlink (pyroute2).

A bridge is known as ours by its MAC address, which is made of the instance and its name: it is given in the message
that makes the bridge, so a crash leaves none that nobody knows. It also keeps the host's address on the network the
same, whichever guests come and go.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import hashlib
import os
import socket
from collections.abc import Callable, Iterator, Sequence
from ipaddress import IPv4Interface
from pathlib import Path
from typing import Any, TypeVar

from tarmac.drivers.network.names import LONGEST
from tarmac.drivers.network.tap import CLASS_NET
from tarmac.model.errors import Denied, Fix, HostFailure, TarmacError, WrongState

T = TypeVar("T")
DEFAULT_MTU = 1500


def own_mac(instance: str, name: str) -> str:
    """The address by which a bridge of an instance is known: a local unicast one."""
    digest = hashlib.sha256(f"{instance}/{name}".encode()).digest()
    return ":".join(f"{byte:02x}" for byte in (0x02, *digest[:5]))


class Bridges:
    """The bridges of one instance. All raise Denied without root, HostFailure for what the kernel refuses, WrongState
    for an interface of that name that is not ours; that one is never touched."""

    def __init__(self, instance: str) -> None:
        self._instance = instance

    async def check(self, name: str) -> None:
        """Whether `ensure` could make it: this host lets us, and nothing else has its name. Changes nothing."""
        if os.geteuid() != 0:
            raise _denied(name, f"uid {os.geteuid()}")
        await asyncio.to_thread(_with_netlink, name, lambda netlink: self._find(netlink, name))

    async def ensure(self, name: str, *, addresses: Sequence[IPv4Interface], mtu: int | None = None) -> bool:
        """Have the bridge, up, with exactly these IPv4 addresses; says whether it was made. Repeatable."""
        assert 0 < len(name) <= LONGEST, name
        return await asyncio.to_thread(
            _with_netlink, name, lambda netlink: self._ensure(netlink, name, addresses, mtu or DEFAULT_MTU)
        )

    async def remove(self, name: str) -> None:
        """That there is none, or one that is not ours, is fine."""

        def remove(netlink: Any) -> None:
            with contextlib.suppress(WrongState):
                if (index := self._find(netlink, name)) is not None:
                    netlink.link("del", index=index)

        await asyncio.to_thread(_with_netlink, name, remove)

    async def there(self, name: str) -> bool:
        """Whether the bridge is there, and is ours."""
        return await asyncio.to_thread(self._there, name)

    def ours(self) -> list[str]:
        """The names of all bridges of this instance that are there, sorted."""
        return sorted(path.parent.name for path in CLASS_NET.glob("*/bridge") if self._there(path.parent.name))

    def _there(self, name: str) -> bool:
        try:
            address = (CLASS_NET / name / "address").read_text().strip()
        except OSError:
            return False
        return address == own_mac(self._instance, name) and (CLASS_NET / name / "bridge").exists()

    def _find(self, netlink: Any, name: str) -> int | None:
        """The index of our bridge, None where there is no interface of that name."""
        index = _index(name)
        if index is None:
            return None
        link = next(iter(netlink.get_links(index)))
        info = link.get_attr("IFLA_LINKINFO")
        kind = info.get_attr("IFLA_INFO_KIND") if info is not None else None
        if kind != "bridge" or link.get_attr("IFLA_ADDRESS") != own_mac(self._instance, name):
            raise _not_ours(name, kind or "network interface", link.get_attr("IFLA_ADDRESS"))
        return index

    def _ensure(self, netlink: Any, name: str, addresses: Sequence[IPv4Interface], mtu: int) -> bool:
        index = self._find(netlink, name)
        made = index is None
        if index is None:
            netlink.link("add", ifname=name, kind="bridge", address=own_mac(self._instance, name))
            index = self._find(netlink, name)
        netlink.link("set", index=index, mtu=mtu)
        present = {
            IPv4Interface(f"{message.get_attr('IFA_LOCAL')}/{message['prefixlen']}")
            for message in netlink.get_addr(index=index, family=socket.AF_INET)
        }
        for one in present - set(addresses):
            netlink.addr("del", index=index, address=str(one.ip), prefixlen=one.network.prefixlen)
        for one in sorted(set(addresses) - present):
            netlink.addr("add", index=index, address=str(one.ip), prefixlen=one.network.prefixlen)
        netlink.link("set", index=index, state="up")
        return made


def ports(name: str) -> list[str]:
    """The interfaces on a bridge, sorted."""
    return sorted(path.name for path in (CLASS_NET / name / "brif").glob("*"))


def _with_netlink(name: str, work: Callable[[Any], T]) -> T:
    from pyroute2 import IPRoute, NetlinkError  # heavy; only here

    with _explained(name, NetlinkError), IPRoute() as netlink:
        return work(netlink)


@contextlib.contextmanager
def _explained(name: str, refused: type[Exception]) -> Iterator[None]:
    try:
        yield
    except refused as error:
        code = getattr(error, "code", 0)
        if code in (errno.EPERM, errno.EACCES):
            raise _denied(name, str(error)) from error
        raise _refused(name, str(error)) from error
    except OSError as error:
        raise _refused(name, str(error)) from error


def _index(name: str) -> int | None:
    try:
        return socket.if_nametoindex(name)
    except OSError:
        return None


def _denied(name: str, evidence: str) -> Denied:
    return Denied(
        f"cannot make the bridge {name}",
        code="bridge-permission",
        cause="only root (CAP_NET_ADMIN) may make bridges",
        evidence=evidence,
        fixes=[
            Fix(text="run the daemon as root"),
            Fix(text="leave `bridge` out of the guests' cards for user-mode networking"),
        ],
    )


def _refused(name: str, evidence: str) -> TarmacError:
    return HostFailure(
        f"the kernel refuses what was asked of the bridge {name}",
        code="bridge-refused",
        cause="it does not say more",
        evidence=evidence,
        fixes=[Fix(text="see what the host has", action="ip -details address")],
    )


def _not_ours(name: str, kind: str, address: str) -> WrongState:
    return WrongState(
        f"this host has a {kind} '{name}' that is not of this platform",
        code="bridge-not-ours",
        cause="a virtual network is a bridge of its name, and somebody else has made an interface of that name",
        evidence=f"{Path(CLASS_NET, name)}: {kind}, {address}",
        fixes=[
            Fix(text="give the virtual network another name"),
            Fix(text="remove the other one, if nobody needs it", action=f"ip link del {name}"),
            Fix(text=f"use it as it is: guests' cards may have bridge={name} without a virtual network"),
        ],
    )
