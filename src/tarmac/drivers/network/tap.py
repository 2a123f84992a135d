"""Taps on Linux bridges: a card of a guest as a port of a bridge, its descriptor handed to an unprivileged QEMU.

With plain ioctls (tun(4), netdevice(7)): a tap takes six of them, some microseconds each, and no library to load. A tap
is not made persistent: the kernel removes it with the last descriptor, so a killed QEMU leaves nothing behind.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import os
import re
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

from tarmac.drivers.network.names import LONGEST, tap_prefix
from tarmac.lib.files import failure_of
from tarmac.lib.tasks import whole_in_thread
from tarmac.model.errors import Denied, Fix, HostFailure, TarmacError

TUN = Path("/dev/net/tun")
VHOST = Path("/dev/vhost-net")
CLASS_NET = Path("/sys/class/net")

# linux/if_tun.h
_TUNSETIFF = 0x400454CA
_IFF_TAP, _IFF_NO_PI, _IFF_VNET_HDR, _IFF_MULTI_QUEUE = 0x0002, 0x1000, 0x4000, 0x0100
# linux/sockios.h
_SIOCSIFFLAGS, _SIOCGIFFLAGS, _SIOCSIFMTU, _SIOCSIFHWADDR = 0x8914, 0x8913, 0x8922, 0x8924
_SIOCGIFINDEX, _SIOCBRADDIF, _SIOCGIFMTU = 0x8933, 0x89A2, 0x8921
_IFF_UP = 0x1
_ARPHRD_ETHER = 1


class Taps:
    """The taps of one instance ("" is the default one, with Proxmox's names). See `base.TapDriver`."""

    def __init__(self, instance: str = "") -> None:
        self._instance = instance

    async def open_alone(self, name: str, *, queues: int = 1) -> list[int]:
        def make() -> list[int]:
            try:
                return _attach_all(name, queues)
            except OSError as error:
                raise _failure(error, name, "") from error

        return await whole_in_thread(make, _close_all)

    async def open(
        self, name: str, *, bridge: str, mac: str = "", mtu: int | None = None, queues: int = 1
    ) -> list[int]:
        def make() -> list[int]:
            return open_tap(name, bridge=bridge, mac=mac, mtu=mtu, queues=queues)

        return await whole_in_thread(make, _close_all)

    async def open_vhost(self, queues: int = 1) -> list[int]:
        return await whole_in_thread(lambda: _open_vhost(queues), _close_all)

    async def remove_all(self, vmid: int) -> list[str]:
        prefix = tap_prefix(self._instance, vmid)
        return await asyncio.to_thread(_remove_matching, re.compile(re.escape(prefix) + r"\d+"))


def open_tap(name: str, *, bridge: str, mac: str = "", mtu: int | None = None, queues: int = 1) -> list[int]:
    """What `TapDriver.open` says, blocking for less than a millisecond."""
    assert 0 < len(name) <= LONGEST, name
    if not _exists(bridge):
        raise bridge_missing(bridge)
    fds: list[int] = []
    try:
        fds = _attach_all(name, queues)
        _configure(name, bridge, mac, mtu)
    except BaseException as error:
        _close_all(fds)
        if isinstance(error, OSError):
            raise _failure(error, name, bridge) from error
        raise
    return fds


def _attach_all(name: str, queues: int) -> list[int]:
    fds: list[int] = []
    try:
        for _ in range(queues):
            fds.append(_attach(name, multi=queues > 1))
    except BaseException:
        _close_all(fds)
        raise
    return fds


def has_vhost() -> bool:
    """Whether the kernel can move guests' packets for this process. Only opening tells: the file may be there without
    its module, and opening it loads that."""
    try:
        _close_all(_open_vhost(1))
    except TarmacError:
        return False
    return True


def _open_vhost(queues: int) -> list[int]:
    fds: list[int] = []
    try:
        for _ in range(queues):
            fds.append(os.open(VHOST, os.O_RDWR | os.O_CLOEXEC))
    except OSError as error:
        _close_all(fds)
        raise failure_of(error, f"cannot open {VHOST}") from error
    return fds


def bridges() -> list[str]:
    """The names of the bridges of this host, sorted."""
    return sorted(path.parent.name for path in CLASS_NET.glob("*/bridge"))


def bridge_missing(bridge: str) -> HostFailure:
    """The five parts of the error for a bridge that is not there, with those that are."""
    known = bridges()
    return HostFailure(
        f"bridge '{bridge}' does not exist",
        code="bridge-missing",
        cause=f"this host has {'the bridges ' + ', '.join(known) if known else 'no bridge'}",
        evidence=f"{CLASS_NET}/{bridge} is not there",
        fixes=[
            *(Fix(text=f"use bridge={name}", parameters={"bridge": name}) for name in known[:3]),
            Fix(text=f"make it: ip link add {bridge} type bridge", action=f"ip link add {bridge} type bridge"),
            Fix(text="leave `bridge` out for user-mode networking"),
        ],
    )


def _attach(name: str, *, multi: bool) -> int:
    fd = os.open(TUN, os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        flags = _IFF_TAP | _IFF_NO_PI | _IFF_VNET_HDR | (_IFF_MULTI_QUEUE if multi else 0)
        fcntl.ioctl(fd, _TUNSETIFF, struct.pack("16sH22x", name.encode(), flags))
    except BaseException:
        os.close(fd)
        raise
    return fd


def _configure(name: str, bridge: str, mac: str, mtu: int | None) -> None:
    # The host itself has no business on the guest's wire: no IPv6 address, no router solicitations from the tap.
    with contextlib.suppress(OSError):
        Path(f"/proc/sys/net/ipv6/conf/{name}/disable_ipv6").write_text("1")
    with _control() as sock:
        if mac:
            # A bridge without an address of its own takes the lowest of its ports'. `fe` keeps it from taking this one.
            address = bytes([0xFE]) + bytes.fromhex(mac.replace(":", ""))[1:]
            fcntl.ioctl(sock, _SIOCSIFHWADDR, struct.pack("16sH6s16x", name.encode(), _ARPHRD_ETHER, address))
        size = mtu or _number(sock, _SIOCGIFMTU, bridge)
        fcntl.ioctl(sock, _SIOCSIFMTU, struct.pack("16si20x", name.encode(), size))
        index = _number(sock, _SIOCGIFINDEX, name)
        fcntl.ioctl(sock, _SIOCBRADDIF, struct.pack("16si20x", bridge.encode(), index))
        flags = _number(sock, _SIOCGIFFLAGS, name, "H")
        fcntl.ioctl(sock, _SIOCSIFFLAGS, struct.pack("16sH22x", name.encode(), flags | _IFF_UP))


def _number(sock: socket.socket, request: int, name: str, kind: str = "i") -> int:
    reply = fcntl.ioctl(sock, request, struct.pack("16s24x", name.encode()))
    return int(struct.unpack_from(kind, reply, 16)[0])


@contextlib.contextmanager
def _control() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
        yield sock


def _exists(name: str) -> bool:
    try:
        socket.if_nametoindex(name)
    except OSError:
        return False
    return True


def _close_all(fds: list[int]) -> None:
    for fd in fds:
        os.close(fd)


def _tap_names() -> list[str]:
    return [name for _, name in socket.if_nameindex() if re.fullmatch(r"t\w+i\d+", name)]


def _remove_matching(pattern: re.Pattern[str]) -> list[str]:
    """A tap without a holder exists only if somebody made it persistent (an earlier tool); one with a holder goes
    away with it. Removing by netlink ends both."""
    names = [name for name in _tap_names() if pattern.fullmatch(name)]
    if not names:
        return []
    from pyroute2 import IPRoute  # heavy; only here

    with IPRoute() as netlink:
        for name in names:
            if index := netlink.link_lookup(ifname=name):
                netlink.link("del", index=index[0])
    return names


def _failure(error: OSError, name: str, bridge: str) -> TarmacError:
    if error.errno in (errno.EPERM, errno.EACCES):
        return Denied(
            f"cannot make the network interface {name}",
            code="tap-permission",
            cause="only root (CAP_NET_ADMIN) may make taps and put them on bridges",
            evidence=f"{error.strerror}, uid {os.geteuid()}",
            fixes=[
                Fix(text="run the daemon as root"),
                Fix(text="leave `bridge` out for user-mode networking, with `forward` for ports from outside"),
            ],
        )
    if error.errno == errno.EBUSY:
        return HostFailure(
            f"the network interface {name} is in use",
            code="tap-busy",
            cause="another process holds it: this guest still runs, or another daemon has the same guest number",
            evidence=str(error.strerror),
            fixes=[Fix(text="stop the other guest"), Fix(text="give this daemon another instance id")],
        )
    if error.errno == errno.EOPNOTSUPP:
        return HostFailure(
            f"{bridge} is not a bridge",
            code="not-a-bridge",
            cause=f"a guest's card can be put on a bridge only; this host has: {', '.join(bridges()) or 'none'}",
            evidence=str(error.strerror),
            fixes=[Fix(text="choose a bridge, or leave `bridge` out for user-mode networking")],
        )
    if error.errno in (errno.ENOENT, errno.ENODEV) and error.filename == str(TUN):
        return HostFailure(
            f"cannot make the network interface {name}",
            code="tun-missing",
            cause="the kernel has no tun device",
            evidence=f"{TUN}: {error.strerror}",
            fixes=[Fix(text="load the module tun", action="modprobe tun")],
        )
    return failure_of(error, f"cannot put the network interface {name} on {bridge}")
