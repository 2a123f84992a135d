"""QEMU's user-mode network around a fixed address."""

from __future__ import annotations

import pytest

from tarmac.model.cloudinit import IpConfig
from tarmac.model.errors import InvalidInput
from tarmac.model.user_network import UserNetwork, user_network
from tarmac.model.vm import VmConfig
from tarmac.model.vm_rules import check_change


@pytest.mark.parametrize(
    ("ip", "gw", "gateway", "names"),
    [
        ("192.168.7.9/24", "192.168.7.1", "192.168.7.1", "192.168.7.2"),
        ("192.168.7.9/24", None, "192.168.7.2", "192.168.7.3"),
        ("192.168.7.2/24", None, "192.168.7.3", "192.168.7.4"),
        ("192.168.7.3/24", "192.168.7.2", "192.168.7.2", "192.168.7.4"),
        ("10.1.1.6/29", "10.1.1.1", "10.1.1.1", "10.1.1.2"),
        ("10.0.2.20/24", "10.0.2.2", "10.0.2.2", "10.0.2.3"),
    ],
)
def test_everybody_has_an_address_of_his_own(ip: str, gw: str | None, gateway: str, names: str) -> None:
    found = user_network(IpConfig(ip=ip, gw=gw))
    assert isinstance(found, UserNetwork)
    assert (found.gateway, found.names, found.guest) == (gateway, names, ip.partition("/")[0])
    assert len({found.gateway, found.names, found.guest}) == 3


@pytest.mark.parametrize("ip", [None, IpConfig(), IpConfig(ip="dhcp"), IpConfig(ip6="fd00::5/64")])
def test_without_a_fixed_address_it_is_qemu_s_own(ip: IpConfig | None) -> None:
    assert user_network(ip) is None


@pytest.mark.parametrize(
    ("ipconfig", "told"),
    [
        ("ip=10.1.1.1/30", "prefix"),
        ("ip=10.1.1.1/32", "prefix"),
        ("ip=10.1.1.0/24", "no address for a guest"),
        ("ip=10.1.1.5/24,gw=10.1.2.1", "gw"),
        ("ip=10.1.1.5/24,gw=10.1.1.5", "gw"),
    ],
)
def test_what_cannot_be_forwarded_to_is_refused_by_name(ipconfig: str, told: str) -> None:
    texts = {"ipconfig0": ipconfig, "net0": "virtio"}
    check_change(VmConfig.parse(texts), texts)
    with pytest.raises(InvalidInput) as caught:
        check_change(VmConfig.parse(texts | {"net0": "virtio,forward=tcp::2222:22"}), ["ipconfig0"])
    assert told in caught.value.parameters["ipconfig0"]
    assert "net0" in caught.value.parameters["ipconfig0"]
