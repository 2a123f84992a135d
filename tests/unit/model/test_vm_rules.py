"""Rules between keys, what is not built, and the privileges of a change."""

from __future__ import annotations

import pytest
from hypothesis import given, settings

from support.configs import guest_texts
from support.examples import examples
from tarmac.model.errors import InvalidInput
from tarmac.model.settings import settings_of
from tarmac.model.vm import VmConfig
from tarmac.model.vm_rules import check_change, check_startable, unbuilt

D0, D1 = "local:100/vm-100-disk-0.raw", "local:100/vm-100-disk-1.raw"


@pytest.mark.parametrize(
    ("texts", "key", "words"),
    [
        ({"vcpus": "5", "cores": "2", "sockets": "2"}, "vcpus", ("5", "2 x 2 = 4")),
        ({"sockets": "16", "cores": "16"}, "cores", ("16 x 16 = 256", "255")),
        ({"balloon": "1024", "memory": "512"}, "balloon", ("1024 MiB", "512 MiB")),
        ({"bios": "ovmf", "cpu": "kvm32"}, "cpu", ("kvm32", "ovmf")),
        ({"startdate": "2006-13-01"}, "startdate", ("2006-13-01",)),
        ({"startdate": "1969-01-01"}, "startdate", ("1970",)),
        ({"virtio0": "none,media=cdrom"}, "virtio0", ("cannot be empty",)),
        ({"scsi0": D0, "virtio0": D0}, "virtio0", (D0, "scsi0")),
        ({"scsi0": f"{D0},mbps=1,mbps_rd=1"}, "scsi0", ("together",)),
        ({"scsi0": f"{D0},mbps_max=1"}, "scsi0", ("needs mbps",)),
        ({"scsi0": f"{D0},mbps=3,mbps_max=2"}, "scsi0", ("less than",)),
        ({"scsi0": f"{D0},iops_wr=3,iops_wr_max_length=5"}, "scsi0", ("needs iops_wr_max",)),
        ({"scsi0": f"{D0},mbps=9999999999999"}, "scsi0", ("can count",)),
        ({"scsi0": f"{D0},iops=10,iops_max=1000000000000,iops_max_length=99999"}, "scsi0", ("too long",)),
        ({"scsi0": f"{D0},queues=2000"}, "scsi0", ("2000", "1021")),
        ({"boot": "order=scsi0"}, "boot", ("invalid bootorder: device 'scsi0' does not exist",)),
        ({"boot": "order=scsi0;scsi0", "scsi0": D0}, "boot", ("twice",)),
        ({"net0": "virtio,bridge=vmbr0,forward=tcp::1:2"}, "net0", ("vmbr0", "tcp::1:2")),
        ({"net0": "virtio,forward=tcp::1:2", "net1": "virtio,forward=tcp::1:3"}, "net1", ("net0",)),
        ({"ipconfig0": "gw=10.0.0.1"}, "ipconfig0", ("needs ip",)),
        ({"ipconfig0": "ip=dhcp,gw=10.0.0.1"}, "ipconfig0", ("dhcp",)),
        ({"ipconfig0": "ip6=auto,gw6=2001:db8::1"}, "ipconfig0", ("auto",)),
        ({"smbios1": "base64=1,serial=abcde"}, "smbios1", ("serial",)),
        ({"agent": "1,type=isa", **{f"serial{n}": "socket" for n in range(4)}}, "agent", ("four",)),
    ],
)
def test_rule(texts: dict[str, str], key: str, words: tuple[str, ...]) -> None:
    config = VmConfig.parse(texts)
    assert not config.problems
    with pytest.raises(InvalidInput) as caught:
        check_change(config, texts)
    for word in words:
        assert word in caught.value.parameters[key]


@pytest.mark.parametrize(
    "texts",
    [
        {"vcpus": "4", "cores": "2", "sockets": "2"},
        {"sockets": "15", "cores": "17"},
        {"balloon": "512", "memory": "512"},
        {"startdate": "1970-01-01"},
        {"scsi0": D0, "unused0": D0},
        {"scsi0": f"{D0},mbps=3,mbps_max=3"},
        {"scsi0": f"{D0},queues=1021"},
        {"boot": "order=scsi0", "scsi0": D0},
        {"net0": "virtio,forward=tcp::1:2", "net1": "virtio,forward=tcp::2:2"},
        {"ipconfig0": "ip=10.0.0.2/24,gw=10.0.0.1"},
        {"agent": "1,type=isa", **{f"serial{n}": "socket" for n in range(3)}},
    ],
)
def test_what_just_keeps_a_rule_is_taken(texts: dict[str, str]) -> None:
    config = VmConfig.parse(texts)
    assert not config.problems
    check_change(config, texts)


def test_a_change_is_refused_only_for_what_it_touches() -> None:
    config = VmConfig.parse({"vcpus": "5", "name": "a", "hostpci0": "00:02.0", "cores": "x"})
    check_change(config, ["name"])
    with pytest.raises(InvalidInput):
        check_startable(config)
    for key in ("sockets", "vcpus", "hostpci0", "cores"):
        with pytest.raises(InvalidInput):
            check_change(config, [key])


def test_a_device_that_is_gone_from_the_boot_order_does_not_stop_a_start() -> None:
    check_startable(VmConfig.parse({"boot": "order=scsi0"}))


UNBUILT = [s for s in settings_of(VmConfig) if not s.limits.built]
EXAMPLES = {
    "affinity": "0-1",
    "autostart": "1", "hookscript": "local:snippets/x", "args": "-x", "amd-sev": "std", "intel-tdx": "tdx",
    "smp": "2", "numa": "1", "hugepages": "2", "keephugepages": "1", "ivshmem": "size=1", "cdrom": "none",
    "tpmstate0": D0, "audio0": "device=AC97", "spice_enhancements": "foldersharing=1",
    "numa0": "cpus=0", "parallel0": "/dev/parport0", "usb0": "spice", "hostpci0": "00:02.0", "virtiofs0": "share",
}  # fmt: skip


@pytest.mark.parametrize("name", [s.name + ("0" if s.indexed else "") for s in UNBUILT])
def test_unbuilt_keys_are_kept_and_refused_by_name(name: str) -> None:
    config = VmConfig.parse({name: EXAMPLES[name]})
    assert not config.problems and config.texts[name] == EXAMPLES[name]
    for check in (lambda: check_change(config, [name]), lambda: check_startable(config)):
        with pytest.raises(InvalidInput) as caught:
            check()
        assert name in caught.value.parameters and "does not build" in caught.value.parameters[name]
        assert name in caught.value.evidence


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("net0", "virtio,bridge=vmbr0,tag=5"),
        ("scsi0", f"{D0},snapshot=1"),
        ("machine", "q35,viommu=intel"),
        ("machine", "virt"),
        ("vga", "virtio-gl"),
        ("vga", "qxl2"),
        ("vga", "std,clipboard=vnc"),
        ("serial0", "/dev/ttyS0"),
        ("arch", "aarch64"),
        ("citype", "opennebula"),
        ("ide0", "cdrom"),
        ("hotplug", "memory"),
    ],
)
def test_unbuilt_words_of_built_keys(key: str, text: str) -> None:
    assert "does not build" in unbuilt(VmConfig.parse({key: text}))[key] or key in ("serial0", "citype")
    with pytest.raises(InvalidInput):
        check_startable(VmConfig.parse({key: text}))


def test_unbuilt_keys_that_say_the_default_are_no_obstacle() -> None:
    texts = {
        "numa": "0",
        "autostart": "0",
        "keephugepages": "0",
        "net0": "virtio,link_down=0",
        "scsi0": f"{D0},snapshot=0",
    }
    assert unbuilt(VmConfig.parse(texts)) == {}


@settings(max_examples=examples(150))
@given(guest_texts())
def test_rules_never_fail_themselves(texts: dict[str, str]) -> None:
    for check in (check_startable, lambda config: check_change(config, texts)):
        try:
            check(VmConfig.parse(texts))
        except InvalidInput as refused:
            assert refused.parameters
