"""Whose address is whose: one card, one address, written with the configuration that has the card."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Mapping
from pathlib import Path

import pytest

from tarmac.drivers.store.memory import MemoryStore
from tarmac.model.conf_file import GuestFile
from tarmac.model.errors import Conflict, InvalidInput, NotFound, Unavailable
from tarmac.model.network_rules import Definitions, Network, networks_of
from tarmac.services.guests.guests import Guests
from tarmac.services.networks.addresses import Addresses


def networks(last: int = 12, dhcp: bool = True) -> Mapping[str, Network]:
    zone = {"type": "simple", **({"dhcp": "dnsmasq"} if dhcp else {})}
    range = f"start-address=10.0.0.10,end-address=10.0.0.{last}"
    subnet = {"vnet": "v1", "gateway": "10.0.0.1", "dhcp-range": range}
    return networks_of(Definitions({"z1": zone}, {"v1": {"zone": "z1"}}, {"z1-10.0.0.0-24": subnet}), "n1")


class Site:
    def __init__(self, tmp: Path, **of: int | bool) -> None:
        self.store = MemoryStore()
        self.networks = networks(**of)  # type: ignore[arg-type]
        self.addresses = Addresses(store=self.store, networks=lambda: self.networks)
        self.guests = Guests(store=self.store, node="n1", mirror=tmp)
        self.guests.beside = self.addresses.beside
        self.told: list[str] = []
        self.addresses.changed.append(self.told.append)

    async def guest(self, vmid: int, *macs: str, name: str = "", **more: str) -> None:
        """Made as a task makes one: its number, then its configuration."""
        guest = await self.guests.create(vmid, "lock: create\n", uid=None, user="root@pam")
        await self.write(vmid, *macs, name=name, **more)
        assert guest.vmid == vmid

    async def write(self, vmid: int, *macs: str, name: str = "", **more: str) -> None:
        texts = {f"net{n}": f"virtio={mac},bridge=v1" for n, mac in enumerate(macs)}
        file = GuestFile(current={**({"name": name} if name else {}), **texts, **more})
        await self.guests.write(self.guests.get(vmid), file, user="root@pam")

    def shown(self) -> dict[str, tuple[int | None, str]]:
        return {str(one.ip): (one.vmid, one.mac) for one in self.addresses}


@pytest.fixture
async def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def mac(number: int) -> str:
    return f"BC:24:11:00:00:{number:02X}"


async def test_a_card_has_an_address_for_as_long_as_it_is_there(site: Site) -> None:
    await site.guest(100, mac(1), mac(2), name="web")
    assert site.shown() == {"10.0.0.10": (100, mac(1)), "10.0.0.11": (100, mac(2))}
    await site.write(100, mac(2), name="web")
    assert site.shown() == {"10.0.0.11": (100, mac(2))}
    await site.guest(101, mac(3))
    assert site.shown() == {"10.0.0.10": (101, mac(3)), "10.0.0.11": (100, mac(2))}
    await site.write(100, mac(2), name="www")
    assert [one.name for one in site.addresses.of_guest(100)] == ["www"]
    await site.guests.remove(100)
    assert site.shown() == {"10.0.0.10": (101, mac(3))}
    assert set(site.told) == {"v1"}
    again = Addresses(store=site.store, networks=lambda: site.networks)
    await again.load()
    assert list(again) == list(site.addresses)


async def test_a_pending_card_has_its_address_already_and_a_template_has_none(site: Site) -> None:
    await site.guest(100, mac(1))
    guest = site.guests.get(100)
    pending = dataclasses.replace(guest.file, pending={"net0": f"virtio={mac(2)},bridge=v1"})
    await site.guests.write(guest, pending, user="root@pam")
    assert set(site.shown().values()) == {(100, mac(1)), (100, mac(2))}
    await site.write(100, mac(1), template="1")
    assert site.shown() == {}


async def test_an_exhausted_range_refuses_with_five_parts_and_changes_nothing(site: Site) -> None:
    await site.guest(100, mac(1), mac(2))
    with pytest.raises(Unavailable) as refused:
        await site.guest(101, mac(3), mac(4))
    error = refused.value
    assert error.error_code == "no-free-address" and error.cause and "10.0.0.10-10.0.0.12" in error.evidence
    assert any("PUT /cluster/sdn/vnets/v1/subnets/" in fix.action for fix in error.fixes)
    assert len(site.shown()) == 2 and site.guests.get(101).file.current == {"lock": "create"}
    await site.guest(102, mac(5))
    assert site.shown()["10.0.0.12"] == (102, mac(5))


async def test_fifty_at_once_get_fifty_addresses(tmp_path: Path) -> None:
    site = Site(tmp_path, last=59)
    async with asyncio.TaskGroup() as group:
        for n in range(50):
            group.create_task(site.guest(200 + n, mac(n)))
    assert len(site.shown()) == 50 and {vmid for vmid, _ in site.shown().values()} == set(range(200, 250))
    kept = Addresses(store=site.store, networks=lambda: site.networks)
    await kept.load()
    assert list(kept) == list(site.addresses)
    with pytest.raises(Unavailable):
        await site.guest(300, mac(99))


async def test_a_write_that_fails_gives_the_address_back(site: Site) -> None:
    await site.guest(100, mac(1))
    guest = site.guests.get(100)
    stale = dataclasses.replace(guest, revision=guest.revision - 1)
    file = GuestFile(current={"net0": f"virtio={mac(2)},bridge=v1", "net1": f"virtio={mac(3)},bridge=v1"})
    with pytest.raises(Conflict):
        await site.guests.write(stale, file, user="root@pam")
    assert site.shown() == {"10.0.0.10": (100, mac(1))}
    await site.guest(101, mac(4))
    assert site.shown()["10.0.0.11"] == (101, mac(4))


async def test_two_guests_never_have_one_card(site: Site) -> None:
    await site.guest(100, mac(1))
    with pytest.raises(Conflict) as refused:
        await site.guest(101, mac(1))
    assert refused.value.error_code == "address-of-another" and "10.0.0.10" in refused.value.evidence


async def test_addresses_by_hand(site: Site) -> None:
    await site.addresses.add("v1", "10.0.0.200", mac(1).lower())
    for wrong, card in (("10.0.0.200", mac(9)), ("10.0.0.201", mac(1))):
        with pytest.raises(Conflict):
            await site.addresses.add("v1", wrong, card)
    for outside in ("10.0.0.1", "10.0.0.0", "10.0.0.255", "10.0.1.7", "::1"):
        with pytest.raises(InvalidInput):
            await site.addresses.add("v1", outside, mac(9))
    await site.guest(100, mac(1), name="by-hand")
    assert site.shown() == {"10.0.0.200": (100, mac(1))}
    with pytest.raises(Conflict, match="guest 100"):
        await site.addresses.give_back("v1", "10.0.0.200", mac(1))
    await site.addresses.move("v1", mac(1), "10.0.0.11", vmid=None)
    assert site.shown() == {"10.0.0.11": (100, mac(1))}
    await site.addresses.add("v1", "10.0.0.77", mac(2))
    with pytest.raises(Conflict):
        await site.addresses.move("v1", mac(1), "10.0.0.77", vmid=None)
    with pytest.raises(InvalidInput):
        await site.addresses.give_back("v1", "10.0.0.77", mac(3))
    await site.addresses.give_back("v1", "10.0.0.77", None)
    with pytest.raises(NotFound):
        await site.addresses.give_back("v1", "10.0.0.77", None)
    assert site.shown() == {"10.0.0.11": (100, mac(1))}


async def test_where_there_is_no_dhcp_nobody_gets_an_address(tmp_path: Path) -> None:
    site = Site(tmp_path, dhcp=False)
    await site.guest(100, mac(1))
    assert site.shown() == {}
    site.networks = networks()
    await site.guests.write_beside(site.guests.get(100))
    assert site.shown() == {"10.0.0.10": (100, mac(1))}
    await site.addresses.forget("v1")
    assert site.shown() == {} and await site.store.range("network-addresses/") == []
