"""The list of network back ends, which QEMU gives as text only."""

from __future__ import annotations

from tarmac.drivers.qemu.parts import netdev_names

# What QEMU 7.2 prints with one card on a back end, one without, and a back end that has no card.
TEXT = (
    "net0: index=0,type=nic,model=virtio-net-pci,macaddr=bc:24:11:00:00:01\r\n"
    " \\ net0: index=0,type=user,net=10.0.2.0,restrict=off\r\n"
    "card: index=0,type=nic,model=e1000,macaddr=bc:24:11:00:00:02\r\n"
    "net7: index=0,type=tap,fd=9\r\n"
)


def test_back_ends_with_and_without_a_card() -> None:
    assert netdev_names(TEXT) == ["net0", "net7"]
    assert netdev_names("") == []
