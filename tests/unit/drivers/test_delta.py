"""What a running QEMU must be given to become what a new configuration describes."""

from __future__ import annotations

from tarmac.drivers.qemu.argv import show
from tarmac.drivers.qemu.argv.delta import Delta, delta
from tarmac.drivers.qemu.facts import BridgeFacts, NodeFacts

BASE = "memory: 512\nscsihw: virtio-scsi-single\nscsi0: local:100/vm-100-disk-0.qcow2,size=1G\nide2: none,media=cdrom\n"
NODE = NodeFacts(storages={"local": "/srv"}, bridges={"vmbr0": BridgeFacts()})
NIC = "net0: virtio=BC:24:11:00:00:01,bridge=vmbr0"


def between(old: str, new: str) -> Delta:
    return delta(show(BASE + old, NODE), show(BASE + new, NODE))


def test_nothing_changed_is_nothing_to_do() -> None:
    same = between(NIC, NIC)
    assert same.live and not (same.added or same.removed or same.media or same.limits or same.commands)


def test_a_disk_comes_with_its_controller_and_goes_in_reverse() -> None:
    disk = "scsi1: local:100/vm-100-disk-1.qcow2,size=1G,iothread=1\n"
    came, went = between("", disk), between(disk, "")
    assert came.live and went.live
    assert came.devices(came.added) == ["virtioscsi1", "scsi1"]
    assert went.removed == list(reversed(came.added))
    assert [option for option, _ in came.added if option != "-device"] == ["-object", "-object", *["-blockdev"] * 3]


def test_limits_and_media_change_in_place() -> None:
    limited = delta(show(BASE, NODE), show(BASE.replace("size=1G", "size=1G,iops=100"), NODE))
    assert limited.limits == {"throttle-drive-scsi0": {"iops-total": 100}} and not limited.removed
    iso = delta(show(BASE, NODE), show(BASE.replace("ide2: none", "ide2: local:iso/a.iso"), NODE))
    assert iso.live and iso.media == {"ide2": "drive-ide2"}
    assert all(option in ("-blockdev", "-object") for option, _ in iso.added)


def test_a_link_is_set_and_nothing_else() -> None:
    down = between(NIC, NIC + ",link_down=1")
    assert down.live and not down.removed
    assert [c.arguments for c in down.commands] == [{"name": "net0", "up": False}]
    up = between(NIC + ",link_down=1", NIC)
    assert [c.arguments for c in up.commands] == [{"name": "net0", "up": True}]


def test_what_only_a_cold_boot_can_change_waits() -> None:
    for old, new in (("cores: 1\n", "cores: 2\n"), ("", "sata0: local:100/vm-100-disk-2.raw,size=1G\n")):
        assert not between(old, new).live


def test_another_disk_in_the_same_place_takes_the_device_along() -> None:
    """The device reads the same, but it holds the node that must go."""
    disk = "scsi1: local:100/vm-100-disk-{}.qcow2,size=1G\n"
    swapped = between(disk.format(1), disk.format(2))
    assert swapped.live
    assert swapped.devices(swapped.removed) == swapped.devices(swapped.added) == ["scsi1"]
    assert swapped.removed[0][0] == swapped.added[-1][0] == "-device"
