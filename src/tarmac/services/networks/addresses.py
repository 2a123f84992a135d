"""The plan of addresses: which guest's card has which address on which network, Proxmox's ipam `pve`.

    network-addresses/<vnet>/<address>    {"format": 1, "mac", "vmid" (none where somebody reserved it by hand), "name"}

An address belongs to a card (network and MAC) for as long as the guest's configuration has the card: both are written
in one transaction of the store (`beside`), so neither is there without the other. Templates have none: they never run.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from tarmac.drivers.store.base import Compare, Store
from tarmac.model.conf_file import GuestFile
from tarmac.model.errors import Conflict, Fix, InvalidInput, NotFound, Unavailable
from tarmac.model.network_rules import Network
from tarmac.model.nic import Nic
from tarmac.model.parse import parse_property_string
from tarmac.services.guests.beside import NOTHING_BESIDE, Beside

PREFIX = "network-addresses/"
Card = tuple[str, str]
"""The network and the MAC address, in capitals."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """One reservation. `name` is the guest's, for name service; `vmid` None: reserved by hand."""

    vnet: str
    ip: IPv4Address
    mac: str
    vmid: int | None = None
    name: str = ""

    @property
    def key(self) -> str:
        return f"{PREFIX}{self.vnet}/{self.ip}"

    @property
    def card(self) -> Card:
        return self.vnet, self.mac

    def record(self) -> bytes:
        return json.dumps({"format": 1, "mac": self.mac, "vmid": self.vmid, "name": self.name}).encode()


class Addresses:
    """All reservations. `networks` gives what is in force; `changed` are called with a network whose reservations are
    other ones now."""

    def __init__(self, *, store: Store, networks: Callable[[], Mapping[str, Network]]) -> None:
        self._store = store
        self._networks = networks
        self._known: dict[tuple[str, IPv4Address], Address] = {}
        self._by_card: dict[Card, Address] = {}
        self._cards_of: dict[int, set[Card]] = {}
        self.changed: list[Callable[[str], None]] = []

    async def load(self) -> None:
        for entry in await self._store.range(PREFIX):
            vnet, _, ip = entry.key.removeprefix(PREFIX).partition("/")
            record = json.loads(entry.value)
            self._take(
                Address(vnet=vnet, ip=IPv4Address(ip), mac=record["mac"], vmid=record["vmid"], name=record["name"])
            )

    def __iter__(self) -> Iterator[Address]:
        return iter(sorted(self._known.values(), key=lambda one: (one.vnet, one.ip)))

    def of_network(self, vnet: str) -> list[Address]:
        """In order of addresses."""
        return [one for one in self if one.vnet == vnet]

    def of_guest(self, vmid: int) -> list[Address]:
        return [one for one in self if one.vmid == vmid]

    def within(self, vnet: str, network: IPv4Network) -> set[IPv4Address]:
        """The addresses of a subnet that are reserved."""
        return {one.ip for one in self._known.values() if one.vnet == vnet and one.ip in network}

    # -- with a guest's configuration ---------------------------------------------------------------------------

    def beside(self, vmid: int, file: GuestFile | None) -> Beside:
        """What is written with a guest's configuration; `file` None: with its removal. The addresses are taken at once,
        and given back if the write fails.

        Raises Unavailable where no address is left, Conflict for a card that another guest has; nothing is taken
        then."""
        held = {card: self._by_card[card] for card in self._cards_of.get(vmid, ())}
        serving = {vnet for vnet, network in self._networks().items() if network.serves}
        if not held and not serving:
            return NOTHING_BESIDE
        wanted = {} if file is None else _cards(file)
        gone = [one for card, one in held.items() if card not in wanted]
        new: list[Address] = []
        free = _Taken(self._known, gone=gone)
        name = "" if file is None else file.merged().get("name", "")
        for card in wanted:
            if (old := held.get(card)) is not None:
                if old.name != name:
                    new.append(dataclasses.replace(old, name=name))
            elif card[0] in serving:
                new.append(self._reserved(card, vmid, name, free))
        if not new and not gone:
            return NOTHING_BESIDE
        return self._beside(new, gone)

    def _reserved(self, card: Card, vmid: int, name: str, taken: _Taken) -> Address:
        vnet, mac = card
        by_hand = self._by_card.get(card)
        if by_hand is not None and by_hand.vmid not in (None, vmid):
            raise _card_of_another(by_hand, vmid)
        if by_hand is not None:
            return dataclasses.replace(by_hand, vmid=vmid, name=name)
        network = self._networks()[vnet]
        for subnet in network.serves:
            for ip in subnet.addresses():
                if taken.free(vnet, ip):
                    taken.add(vnet, ip)
                    return Address(vnet=vnet, ip=ip, mac=mac, vmid=vmid, name=name)
        raise _none_left(network, self.of_network(vnet))

    def _beside(self, new: list[Address], gone: list[Address]) -> Beside:
        before = dict(self._known)
        fresh = [one for one in new if (one.vnet, one.ip) not in before]
        for one in gone:
            self._drop(one)
        for one in new:
            self._take(one)

        def failed() -> None:
            for one in new:
                self._drop(one)
            for one in (*gone, *(before[one.vnet, one.ip] for one in new if one not in fresh)):
                self._take(one)

        def done() -> None:
            for vnet in {one.vnet for one in (*new, *gone)}:
                self._tell(vnet)

        return Beside(
            compares=tuple(Compare.absent(one.key) for one in fresh if one.key not in {g.key for g in gone}),
            puts={one.key: one.record() for one in new},
            deletes=tuple(one.key for one in gone if one.key not in {n.key for n in new}),
            done=done,
            failed=failed,
        )

    # -- by hand ------------------------------------------------------------------------------------------------

    async def add(self, vnet: str, ip: str, mac: str, *, vmid: int | None = None, name: str = "") -> None:
        """Reserve an address for a card. Raises InvalidInput (not of the network), Conflict (taken)."""
        card = (vnet, mac.upper())
        if (old := self._by_card.get(card)) is not None:
            raise _taken(f"{mac} has the address {old.ip} on {vnet}", old)
        one = Address(vnet=vnet, ip=self._usable(vnet, ip), mac=mac.upper(), vmid=vmid, name=name)
        if (other := self._known.get((vnet, one.ip))) is not None:
            raise _taken(f"IP '{ip}' already exist", other)
        await self._write(self._beside([one], []))

    async def move(self, vnet: str, mac: str, ip: str, *, vmid: int | None, name: str = "") -> None:
        """Give a card another address; one that has none gets it. Raises as `add`; nothing is changed then."""
        old = self._by_card.get((vnet, mac.upper()))
        if old is None:
            await self.add(vnet, ip, mac, vmid=vmid, name=name)
            return
        new = dataclasses.replace(old, ip=self._usable(vnet, ip), vmid=old.vmid if vmid is None else vmid)
        if (other := self._known.get((vnet, new.ip))) not in (None, old):
            assert other is not None
            raise _taken(f"IP '{ip}' already exist", other)
        await self._write(self._beside([new], [old] if new.ip != old.ip else []))

    async def give_back(self, vnet: str, ip: str, mac: str | None) -> None:
        """Raises NotFound; InvalidInput where the card that is named has another address; Conflict for the address of
        a guest's card, which goes with the card."""
        one = self._known.get((vnet, IPv4Address(ip)))
        if one is None:
            raise NotFound(f"IP '{ip}' does not exist in IPAM DB", code="no-such-address", evidence=f"vnet {vnet}")
        if mac is not None and mac.upper() != one.mac:
            raise InvalidInput.of("mac", f"{ip} is reserved for {one.mac}")
        if one.vmid is not None:
            raise _of_a_guest(one)
        await self._write(self._beside([], [one]))

    def _usable(self, vnet: str, text: str) -> IPv4Address:
        network = self._networks().get(vnet)
        try:
            ip = IPv4Address(text)
        except ValueError:
            raise InvalidInput.of("ip", "addresses of IPv6 are not built yet", code="not-built") from None
        if network is None or not network.dhcp:
            raise InvalidInput.of("vnet", f"{vnet} gives no addresses: its zone has no dhcp, or it is not applied yet")
        for subnet in network.subnets:
            outside = (subnet.network.network_address, subnet.network.broadcast_address, subnet.gateway)
            if ip in subnet.network and ip not in outside:
                return ip
        raise InvalidInput.of("ip", f"can't find any subnet for ip {ip}")

    async def _write(self, beside: Beside) -> None:
        async with beside:
            await self._store.transact(beside.compares, puts=beside.puts, deletes=beside.deletes)

    async def forget(self, vnet: str) -> None:
        """A network is gone, and its reservations with it; repeatable."""
        for one in self.of_network(vnet):
            await self._write(self._beside([], [one]))

    def _take(self, one: Address) -> None:
        self._known[one.vnet, one.ip] = one
        if (old := self._by_card.get(one.card)) is not None and old.vmid is not None and old.vmid != one.vmid:
            self._cards_of[old.vmid].discard(one.card)
        self._by_card[one.card] = one
        if one.vmid is not None:
            self._cards_of.setdefault(one.vmid, set()).add(one.card)

    def _drop(self, one: Address) -> None:
        self._known.pop((one.vnet, one.ip), None)
        if (now := self._by_card.get(one.card)) is not None and now.ip == one.ip:
            del self._by_card[one.card]
            if now.vmid is not None:
                self._cards_of[now.vmid].discard(one.card)
                if not self._cards_of[now.vmid]:
                    del self._cards_of[now.vmid]

    def _tell(self, vnet: str) -> None:
        for listener in self.changed:
            listener(vnet)


class _Taken:
    """What is not free while addresses are chosen for one guest."""

    def __init__(self, known: Mapping[tuple[str, IPv4Address], Address], gone: Iterable[Address]) -> None:
        self._known = known
        self._gone = {(one.vnet, one.ip) for one in gone}
        self._new: set[tuple[str, IPv4Address]] = set()

    def free(self, vnet: str, ip: IPv4Address) -> bool:
        key = (vnet, ip)
        return key not in self._new and (key not in self._known or key in self._gone)

    def add(self, vnet: str, ip: IPv4Address) -> None:
        self._new.add((vnet, ip))


def _cards(file: GuestFile) -> dict[Card, None]:
    """The cards on bridges that a guest has or will have: in force or pending."""
    found: dict[Card, None] = {}
    if file.current.get("template") == "1" or file.current.get("lock") in ("create", "clone"):
        return found
    for texts in (file.current, file.pending):
        for key, text in texts.items():
            if key.startswith("net") and key[3:].isdigit():
                try:
                    nic = parse_property_string(Nic, text)
                except ValueError:
                    continue
                if nic.bridge and nic.macaddr:
                    found[nic.bridge, nic.macaddr.upper()] = None
    return found


def _none_left(network: Network, reserved: list[Address]) -> Unavailable:
    size = sum(subnet.size for subnet in network.serves)
    by_hand = sum(one.vmid is None for one in reserved)
    subnet = network.serves[0]
    place = f"/cluster/sdn/vnets/{network.vnet}"
    return Unavailable(
        f"no address is left on vnet '{network.vnet}'",
        code="no-free-address",
        cause=f"all {size} addresses of its DHCP ranges are reserved",
        evidence=f"{', '.join(f'{a}-{b}' for s in network.serves for a, b in s.ranges)}: {len(reserved)} reserved,"
        f" {by_hand} of them by hand",
        fixes=[
            Fix(text="make the range longer, and apply it", action=f"PUT {place}/subnets/{subnet.id}"),
            Fix(text="give back what was reserved by hand", action=f"DELETE {place}/ips"),
            Fix(text="remove guests or cards that nobody needs"),
        ],
    )


def _card_of_another(one: Address, vmid: int) -> Conflict:
    return Conflict(
        f"the MAC address {one.mac} is guest {one.vmid}'s on vnet '{one.vnet}'",
        code="address-of-another",
        cause="an address is given to a MAC address; two guests with one would get the same",
        evidence=f"{one.ip} is reserved for {one.mac} of guest {one.vmid}",
        fixes=[Fix(text=f"leave the address of guest {vmid}'s card out: one is made")],
    )


def _taken(words: str, one: Address) -> Conflict:
    owner = "by hand" if one.vmid is None else f"for guest {one.vmid}"
    return Conflict(words, code="address-taken", evidence=f"{one.ip} is reserved {owner}: {one.mac}")


def _of_a_guest(one: Address) -> Conflict:
    return Conflict(
        f"{one.ip} is the address of guest {one.vmid}",
        code="address-in-use",
        cause="it is given back when the guest's card goes",
        evidence=f"{one.mac} on {one.vnet}",
        fixes=[
            Fix(text="give the card another address", action=f"PUT /cluster/sdn/vnets/{one.vnet}/ips"),
            Fix(text="remove the card", action=f"PUT .../qemu/{one.vmid}/config"),
        ],
    )


def shown(one: Address, network: Network | None) -> dict[str, Any]:
    """A row of `GET /cluster/sdn/ipams/pve/status`."""
    row: dict[str, Any] = {"ip": str(one.ip), "mac": one.mac, "vnet": one.vnet}
    if one.vmid is not None:
        row["vmid"] = one.vmid
    if one.name:
        row["hostname"] = one.name
    if network is not None:
        row["zone"] = network.zone
        for subnet in network.subnets:
            if one.ip in subnet.network:
                row["subnet"] = str(subnet.network)
    return row
