"""DHCP on a network by dnsmasq: one process a network, so that each binds to its own bridge, and a renewal, which is
sent to one address, reaches the process that gave it.

It outlives the daemon. A daemon that comes finds it by its command line, which names a configuration file below the
data directory, so there is no moment in which nobody knows it, and never two of them.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import select
import signal
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path

from tarmac.lib.files import failure_of, read_bounded, write_atomic
from tarmac.lib.process import run
from tarmac.model.errors import HostFailure
from tarmac.model.network_rules import Network

PROGRAM = "dnsmasq"
START_SECONDS = 15.0
END_SECONDS = 5.0
LEASE = "24h"
LOG_BYTES = 256 * 1024
LEASES_BYTES = 8 * 1024 * 1024
REFUSED_NAMES = frozenset({"wpad", "isatap", "localhost", "gateway", "_gateway", "router", "proxy", "dns"})
"""Names that a guest must not have in name service: others trust who answers to them."""
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """A reservation; `name` as its guest is called, "" for none."""

    mac: str
    ip: IPv4Address
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """What dnsmasq has given out; `expires` in Unix seconds, 0: never."""

    expires: int
    mac: str
    ip: str


def configuration(network: Network, folder: Path) -> str:
    """The whole configuration for one network. Pure.

    Cards are known by their MAC only (`dhcp-ignore-clid`): instant clones come up with their template's client id. Who
    has no reservation gets no answer, and names come from reservations, never from guests (`dhcp-ignore-names`)."""
    lines = [
        "# Written by tarmac; what is changed here is lost.",
        f"interface={network.vnet}",
        "except-interface=lo",
        "bind-interfaces",
        "no-resolv",
        "no-hosts",
        "domain-needed",  # of names without a dot we know all there is to know
        "pid-file=",
        "quiet-dhcp",
        f"log-facility={folder / 'log'}",
        f"dhcp-leasefile={folder / 'leases'}",
        f"dhcp-hostsfile={folder / 'hosts'}",
        "dhcp-authoritative",
        "dhcp-ignore-clid",
        "dhcp-ignore=tag:!known",
        "dhcp-ignore-names",
        f"dhcp-option=26,{network.mtu or 1500}",
        # An empty address of a proxy configuration, so that nobody asks the network for one.
        'dhcp-option=252,"\\n"',
    ]
    for subnet in network.serves:
        tag, net = subnet.id, subnet.network
        lines.append(f"dhcp-range=set:{tag},{net.network_address},static,{net.netmask},{LEASE}")
        lines.append(f"dhcp-option=tag:{tag},option:router,{subnet.gateway}")
        if subnet.dns is not None:
            lines.append(f"dhcp-option=tag:{tag},option:dns-server,{subnet.dns}")
    return "\n".join(lines) + "\n"


def host_lines(hosts: Iterable[Host], refused: Iterable[str] = ()) -> str:
    """The file of reservations. A name stands once, for the first that has it; none that is no name of a host, nor one
    that guests must not have. Pure."""
    taken, lines = {*REFUSED_NAMES, *(name.lower() for name in refused)}, []
    for host in hosts:
        name = host.name.partition(".")[0].lower()
        words = [host.mac.lower(), str(host.ip)]
        if name not in taken and _NAME.fullmatch(name):
            taken.add(name)
            words.append(name)
        lines.append(",".join(words))
    return "".join(f"{line}\n" for line in lines)


class Dnsmasq:
    """The processes of one instance; `root` has a folder for each network. All raise HostFailure where the program is
    missing or refuses its configuration; then none runs for that network."""

    def __init__(self, root: Path, *, refused: Sequence[str] = ()) -> None:
        self._root = root
        self._refused = tuple(refused)
        self._running: dict[str, int] = {}

    async def ensure(self, network: Network, hosts: Sequence[Host]) -> bool:
        """Have it run with this configuration and these reservations; says whether it was started. One that runs and
        need not be told otherwise is only told to read the reservations."""
        try:
            await asyncio.to_thread(self._write, network, hosts)
            return await self._signal_or_start(network, hosts)
        except OSError as error:
            raise failure_of(error, f"cannot write what {PROGRAM} needs for vnet '{network.vnet}'") from error

    def _write(self, network: Network, hosts: Sequence[Host]) -> None:
        folder = self._folder(network.vnet)
        self._root.mkdir(exist_ok=True, mode=0o711)
        folder.mkdir(exist_ok=True, mode=0o755)
        write_atomic(folder / "hosts", host_lines(hosts, self._refused), mode=0o644)
        if _text(folder / "dnsmasq.conf") != (wanted := configuration(network, folder)):
            self._end(network.vnet)
            write_atomic(folder / "dnsmasq.conf", wanted, mode=0o644)

    async def _signal_or_start(self, network: Network, hosts: Sequence[Host]) -> bool:
        vnet = network.vnet
        stale = await asyncio.to_thread(self._stale, vnet, hosts)
        fd = await asyncio.to_thread(self._adopt, vnet)
        if fd is not None and not stale:
            signal.pidfd_send_signal(fd, signal.SIGHUP)
            return False
        await asyncio.to_thread(self._end, vnet)
        await asyncio.to_thread(self._keep_leases, vnet, hosts)
        argv = [PROGRAM, f"--conf-file={self._conf(vnet)}"]
        try:
            async with asyncio.timeout(START_SECONDS):
                await run(argv)  # it goes into the background when it is ready
        except TimeoutError:
            raise HostFailure(f"{PROGRAM} did not start within {START_SECONDS:g} s", code="dhcp-start") from None
        except HostFailure as problem:
            problem.message = f"{PROGRAM} does not serve vnet '{vnet}': {problem.message}"
            raise
        await asyncio.to_thread(self._adopt, vnet)
        return True

    def _stale(self, vnet: str, hosts: Sequence[Host]) -> bool:
        """Whether an address that is somebody else's by now, or nobody's, is still leased."""
        return any(not _fits(lease, hosts) for lease in self.leases(vnet))

    def _keep_leases(self, vnet: str, hosts: Sequence[Host]) -> None:
        """Take the leases away whose reservations are gone: dnsmasq would keep their addresses for who had them."""
        file = self._folder(vnet) / "leases"
        text = _text(file)
        by_ip = {str(host.ip): host.mac.lower() for host in hosts}
        kept = [line for line in text.splitlines() if len(w := line.split()) < 4 or by_ip.get(w[2]) == w[1].lower()]
        if kept != text.splitlines():
            write_atomic(file, "".join(f"{line}\n" for line in kept), mode=0o644)

    def alive(self, vnet: str) -> bool:
        """Whether the process that was started or adopted runs; never blocks."""
        fd = self._running.get(vnet)
        return fd is not None and not select.select([fd], [], [], 0)[0]

    def leases(self, vnet: str) -> list[Lease]:
        """What is given out on a network, as its process wrote it down."""
        found = []
        for line in _text(self._folder(vnet) / "leases").splitlines():
            words = line.split()
            if len(words) >= 4 and words[0].isdigit():
                found.append(Lease(expires=int(words[0]), mac=words[1].upper(), ip=words[2]))
        return found

    async def end(self, vnet: str) -> None:
        """End the process of a network and forget what it knew; that there is none is fine."""
        await asyncio.to_thread(self._end, vnet)
        await asyncio.to_thread(self._forget, vnet)

    def strays(self, known: Iterable[str]) -> list[str]:
        """The networks that have a folder here and are not among those that are known."""
        try:
            return sorted({path.name for path in self._root.iterdir()} - set(known))
        except FileNotFoundError:
            return []

    def tidy(self, vnet: str) -> None:
        """Keep the process' log small. It is opened for appending, so it can be cut off under its hands."""
        file = self._folder(vnet) / "log"
        with contextlib.suppress(OSError):
            if file.stat().st_size > LOG_BYTES:
                os.truncate(file, 0)

    def last_words(self, vnet: str) -> str:
        """The end of its log."""
        return _text(self._folder(vnet) / "log")[-500:].strip()

    def let_go(self) -> None:
        """Close what we hold of the processes; they go on."""
        for fd in self._running.values():
            os.close(fd)
        self._running.clear()

    def _folder(self, vnet: str) -> Path:
        return self._root / vnet

    def _conf(self, vnet: str) -> Path:
        return self._folder(vnet) / "dnsmasq.conf"

    def _adopt(self, vnet: str) -> int | None:
        """A descriptor of the process that serves a network, None where there is none."""
        if self.alive(vnet):
            return self._running[vnet]
        if (old := self._running.pop(vnet, None)) is not None:
            os.close(old)
        found = self._find(vnet)
        if len(found) == 1:
            self._running[vnet] = found[0]
            return found[0]
        for fd in found:
            os.close(fd)
        if found:  # a start that was cut off: the next one is alone
            self._end(vnet)
        return None

    def _find(self, vnet: str) -> list[int]:
        """Descriptors of all processes that were started for a network: known by their whole command line, which is
        looked at again when the process can no longer be another one."""
        wanted = f"{PROGRAM}\0--conf-file={self._conf(vnet)}\0".encode()
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and _cmdline(entry) == wanted:
                try:
                    fd = os.pidfd_open(int(entry.name))
                except OSError:
                    continue
                if _cmdline(entry) == wanted:
                    found.append(fd)
                else:
                    os.close(fd)
        return found

    def _end(self, vnet: str) -> None:
        if (old := self._running.pop(vnet, None)) is not None:
            os.close(old)
        for fd in self._find(vnet):
            try:
                for number, seconds in ((signal.SIGTERM, END_SECONDS), (signal.SIGKILL, END_SECONDS)):
                    with contextlib.suppress(ProcessLookupError):
                        signal.pidfd_send_signal(fd, number)
                    if select.select([fd], [], [], seconds)[0]:
                        break
            finally:
                os.close(fd)

    def _forget(self, vnet: str) -> None:
        folder = self._folder(vnet)
        with contextlib.suppress(FileNotFoundError):
            for file in folder.iterdir():
                file.unlink()
            folder.rmdir()


def _fits(lease: Lease, hosts: Sequence[Host]) -> bool:
    return any(str(host.ip) == lease.ip and host.mac.upper() == lease.mac for host in hosts)


def _cmdline(process: Path) -> bytes:
    try:
        return (process / "cmdline").read_bytes()
    except OSError:
        return b""


def _text(file: Path) -> str:
    try:
        return read_bounded(file, LEASES_BYTES).decode(errors="replace")
    except FileNotFoundError:
        return ""
