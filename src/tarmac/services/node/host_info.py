"""What the host says of itself beside its load: interfaces, name service, clock, hosts file, certificate.

Read from the files that the host itself uses; nothing here changes them.
"""

from __future__ import annotations

import base64
import datetime
import hashlib
import socket
import struct
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from tarmac.model.errors import NotFound

_SYS = Path("/sys/class/net")
_GUESTS_OWN = ("tap", "fwbr", "fwln", "fwpr", "veth")
_GATEWAY = 0x2
MAX_FILE = 1 << 20


def networks() -> list[dict[str, Any]]:
    """`GET /nodes/{node}/network`: what the kernel has, without loopback and the cards of guests."""
    up, found = psutil.net_if_stats(), psutil.net_if_addrs()
    gateways = dict(_gateways())
    names = sorted(n for n in found if n != "lo" and not n.startswith(_GUESTS_OWN))
    return [
        _interface(name, found[name], name in up and up[name].isup, gateways.get(name), place)
        for place, name in enumerate(names, 1)
    ]


def network(name: str) -> dict[str, Any]:
    """One interface. Raises NotFound `interface does not exist`, which clients look for."""
    for row in networks():
        if row["iface"] == name:
            return row
    raise NotFound("interface does not exist", code="no-such-interface", evidence=name)


def _interface(name: str, addresses: list[Any], up: bool, gateway: str | None, place: int) -> dict[str, Any]:
    row: dict[str, Any] = {
        "iface": name,
        "type": _type(name),
        "active": int(up),
        "exists": 1,
        "autostart": int(up),
        "method": "manual",
        "method6": "manual",
        "families": ["inet"],
        "priority": place,
    }
    for entry in addresses:
        if entry.family == socket.AF_INET and "address" not in row:
            bits = bin(struct.unpack("!I", socket.inet_aton(entry.netmask))[0]).count("1") if entry.netmask else 32
            cidr = f"{entry.address}/{bits}"
            row |= {"address": entry.address, "netmask": entry.netmask, "cidr": cidr, "method": "static"}
    if gateway:
        row["gateway"] = gateway
    if row["type"] == "bridge":
        row["bridge_ports"] = " ".join(sorted(port.name for port in (_SYS / name / "brif").glob("*")))
    return row


def _type(name: str) -> str:
    for mark, word in (("bridge", "bridge"), ("bonding", "bond")):
        if (_SYS / name / mark).exists():
            return word
    return "vlan" if Path(f"/proc/net/vlan/{name}").exists() else "eth"


def _gateways() -> Iterator[tuple[str, str]]:
    """Interface and gateway of each IPv4 default route."""
    for line in Path("/proc/net/route").read_text("ascii", "replace").splitlines()[1:]:
        words = line.split()
        if len(words) > 7 and words[1] == words[7] == "00000000" and int(words[3], 16) & _GATEWAY:
            yield words[0], socket.inet_ntoa(struct.pack("=I", int(words[2], 16)))


def dns(path: Path = Path("/etc/resolv.conf")) -> dict[str, str]:
    """`search` and up to three servers, from resolv.conf."""
    found: dict[str, str] = {}
    servers = 0
    for line in text(path).splitlines():
        words = line.split()
        if len(words) > 1 and words[0] in ("search", "domain"):
            found["search"] = words[1]
        elif len(words) > 1 and words[0] == "nameserver" and servers < 3:
            servers += 1
            found[f"dns{servers}"] = words[1]
    return found


def clock() -> dict[str, Any]:
    """The time in seconds since 1970, the same as the host's clocks show it, and the name of its zone."""
    now = int(time.time())
    offset = datetime.datetime.now().astimezone().utcoffset() or datetime.timedelta()
    return {"time": now, "localtime": now + int(offset.total_seconds()), "timezone": _zone()}


def _zone() -> str:
    named = text(Path("/etc/timezone")).strip()
    if named:
        return named
    target = str(Path("/etc/localtime").resolve())
    return target.partition("/zoneinfo/")[2] or "UTC"


def hosts(path: Path = Path("/etc/hosts")) -> dict[str, str]:
    """The hosts file and its SHA-1."""
    data = text(path)
    return {"data": data, "digest": hashlib.sha1(data.encode(), usedforsecurity=False).hexdigest()}


def server_id(chain: Sequence[x509.Certificate]) -> str:
    """A name of this installation for a subscription: 32 hex digits made of its certificate's key."""
    if not chain:
        return "0" * 32
    key = chain[0].public_key()
    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return base64.b16encode(hashlib.sha256(der).digest()[:16]).decode()


def netstat(taps: Mapping[str, tuple[int, str]]) -> list[dict[str, str]]:
    """What each network card of a guest has sent (`out`) and received (`in`), in bytes. `taps`: (VMID, card) by the
    name of the interface on the host, which receives what the guest sends."""
    counters = psutil.net_io_counters(pernic=True)
    return [
        {"vmid": str(vmid), "dev": card, "in": str(counters[tap].bytes_sent), "out": str(counters[tap].bytes_recv)}
        for tap, (vmid, card) in sorted(taps.items(), key=lambda item: item[1])
        if tap in counters
    ]


def text(path: Path) -> str:
    """The first MiB of a text file; empty when it cannot be read."""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return file.read(MAX_FILE)
    except OSError:
        return ""
