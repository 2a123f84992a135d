"""A guest's network cards: the texts of `net0` ... `net31`.

`forward` is our addition: ports of the host that user-mode networking hands to the guest,
`tcp:127.0.0.1:2222:22;udp::5353:53` (protocol, host address or nothing for loopback, host port, guest port).
Source of the other keys: PVE::QemuServer::Network of Proxmox VE 9.
"""

from __future__ import annotations

import enum
import ipaddress
import re
from dataclasses import dataclass

from tarmac.model.formats import register
from tarmac.model.settings import setting

_RANGES = r"\d{1,4}(?:-\d{1,4})?(?:;\d{1,4}(?:-\d{1,4})?)*"


class NicModel(enum.StrEnum):
    """What the guest sees: append-only words of Proxmox."""

    E1000 = "e1000"
    E1000_82540EM = "e1000-82540em"
    E1000_82544GC = "e1000-82544gc"
    E1000_82545EM = "e1000-82545em"
    E1000E = "e1000e"
    I82551 = "i82551"
    I82557B = "i82557b"
    I82559ER = "i82559er"
    NE2K_ISA = "ne2k_isa"
    NE2K_PCI = "ne2k_pci"
    PCNET = "pcnet"
    RTL8139 = "rtl8139"
    VIRTIO = "virtio"
    VMXNET3 = "vmxnet3"


@dataclass(frozen=True, slots=True)
class Forward:
    """One port of the host that leads into the guest."""

    protocol: str
    host: str
    host_port: int
    guest_port: int


_FORWARD = re.compile(r"(tcp|udp):([0-9.]*):(\d{1,5}):(\d{1,5})", re.ASCII)


def parse_forwards(text: str) -> tuple[Forward, ...]:
    """`tcp:127.0.0.1:2222:22;udp::5353:53` as values; no address means 127.0.0.1.

    Raises ValueError for anything else and for a host port that stands twice. IPv4 only: QEMU's user-mode network
    forwards no IPv6."""
    found: dict[tuple[str, str, int], Forward] = {}
    for part in text.split(";"):
        match = _FORWARD.fullmatch(part)
        if match is None:
            raise ValueError(f"'{part}' is not PROTOCOL:[ADDRESS]:HOSTPORT:GUESTPORT, such as tcp:127.0.0.1:2222:22")
        host = str(ipaddress.IPv4Address(match[2] or "127.0.0.1"))
        forward = Forward(match[1], host, int(match[3]), int(match[4]))
        if not (0 < forward.host_port < 65536 and 0 < forward.guest_port < 65536):
            raise ValueError(f"'{part}': a port is a number from 1 to 65535")
        key = (forward.protocol, forward.host, forward.host_port)
        if key in found:
            raise ValueError(f"host port {match[1]}/{forward.host_port} is forwarded twice")
        found[key] = forward
    return tuple(found.values())


@register("port-forwards")
def _check_forwards(text: str) -> None:
    parse_forwards(text)


@dataclass(frozen=True, kw_only=True)
class Nic:
    """A network card. Without `bridge` it hangs on QEMU's own user-mode network (NAT, outgoing, `forward`)."""

    model: NicModel = setting(
        default_key=True, key_alias="macaddr", help="The card the guest sees; virtio is the fastest."
    )
    macaddr: str | None = setting(
        None, format="mac-addr", default_text="generated", help="Its MAC address; `virtio=MAC` gives model and address."
    )
    bridge: str | None = setting(
        None, format="pve-bridge-id", default_text="user-mode networking", help="Bridge of the host it hangs on."
    )
    firewall: bool | None = setting(
        None, help="Filter its traffic once a firewall is switched on. There is none yet, so it has no effect."
    )
    link_down: bool | None = setting(None, help="The cable is unplugged.")
    mtu: int | None = setting(
        None, ge=1, le=65520, unit="bytes", help="MTU offered to the guest (virtio only); 1 takes the bridge's."
    )
    queues: int | None = setting(None, ge=0, le=64, help="Number of packet queues (virtio only).")
    rate: float | None = setting(None, ge=0, unit="MB/s", built=False, help="Limit of its traffic.")
    tag: int | None = setting(None, ge=1, le=4094, built=False, help="VLAN that its packets belong to.")
    trunks: str | None = setting(None, pattern=_RANGES, built=False, help="VLANs that it may carry, separated by `;`.")
    host_tunnel: bool | None = setting(
        None, name="host-tunnel", built=False, help="Let the host segment UDP tunnels for the guest."
    )
    forward: str | None = setting(
        None,
        format="port-forwards",
        help="Host ports that lead to the guest in user-mode networking (to a fixed `ip` of the card's ipconfig, too): "
        "tcp:127.0.0.1:2222:22;udp::5353:53",
    )

    @property
    def forwards(self) -> tuple[Forward, ...]:
        return parse_forwards(self.forward) if self.forward else ()
