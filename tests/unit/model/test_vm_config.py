"""Typed values of a guest's configuration: every declared option parses what it prints, defaults, aliases, problems."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.configs import guest_texts, records_of, texts_of
from support.examples import examples
from tarmac.model.cpu import Cpu
from tarmac.model.disk import Disk, IdeDisk, ScsiDisk, VirtioDisk
from tarmac.model.errors import InvalidInput
from tarmac.model.nic import Forward, Nic, NicModel, parse_forwards
from tarmac.model.os_type import OsType
from tarmac.model.parse import parse_property_string, parse_value, print_property_string, print_value
from tarmac.model.settings import Setting, find_setting, settings_of
from tarmac.model.smbios import Smbios
from tarmac.model.units import GIB, MIB
from tarmac.model.vm import VmConfig

ALL = settings_of(VmConfig)


@pytest.mark.parametrize("setting", ALL, ids=lambda s: s.attribute)
@settings(max_examples=examples(12))
@given(data=st.data())
def test_every_option_parses_what_it_prints(setting: Setting, data: st.DataObject) -> None:
    text = data.draw(texts_of(setting))
    value = parse_value(setting, text, lenient=True)
    again = print_value(setting, value)
    if again or setting.kind != "property":  # a record of defaults prints as nothing
        assert parse_value(setting, again, lenient=True) == value


@pytest.mark.parametrize("declared", sorted({s.python for s in ALL if s.kind == "property"}, key=str))
@settings(max_examples=examples(20))
@given(data=st.data())
def test_property_strings_round_trip(declared: type, data: st.DataObject) -> None:
    record = parse_property_string(declared, data.draw(records_of(declared)))
    printed = print_property_string(record)
    assert not printed or parse_property_string(declared, printed) == record


@settings(max_examples=examples(60))
@given(guest_texts())
def test_texts_are_kept_and_nothing_is_a_problem(texts: dict[str, str]) -> None:
    config = VmConfig.parse(texts)
    assert dict(config.texts) == texts and not config.problems
    assert VmConfig.parse(dict(config.texts), lenient=False).texts == config.texts


@settings(max_examples=examples(200))
@given(
    st.dictionaries(
        st.sampled_from([s.name + ("0" if s.indexed else "") for s in ALL]) | st.text(), st.text(max_size=40)
    )
)
def test_no_text_is_a_traceback(texts: dict[str, str]) -> None:
    lenient = VmConfig.parse(texts)
    assert dict(lenient.texts) == texts
    try:
        VmConfig.parse(texts, lenient=False)
    except InvalidInput as refused:
        assert refused.parameters and set(refused.parameters) <= set(texts)


def test_every_option_says_what_it_is() -> None:
    for setting in ALL:
        assert setting.limits.privilege, setting.name
        assert setting.limits.help, setting.name
        members = settings_of(setting.python) if setting.kind == "property" else ()
        assert all(member.limits.help for member in members)


def test_defaults_are_proxmoxs() -> None:
    config = VmConfig.parse({})
    assert (config.memory_mib, config.sockets, config.cores, config.present_vcpus) == (512, 1, 1, 1)
    assert config.ostype is OsType.OTHER and config.scsihw == "lsi" and config.bios == "seabios"
    assert config.vga.type == "std" and not config.agent.enabled and config.kvm is None
    assert config.hotplug_classes == {"network", "disk", "usb"}
    assert config.boot_devices() == ()


def test_lenient_keeps_going_and_names_problems() -> None:
    config = VmConfig.parse({"cores": "two", "nonsense": "1", "memory": "1024", "acpi": "off"})
    assert config.memory_mib == 1024 and config.cores == 1 and config.acpi is False
    assert set(config.problems) == {"cores", "nonsense"}
    with pytest.raises(InvalidInput) as caught:
        VmConfig.parse({"cores": "two", "nonsense": "1", "acpi": "off"}, lenient=False)
    assert set(caught.value.parameters) == {"cores", "nonsense", "acpi"}


def test_a_part_of_a_gib_ends_with_a_whole_kib() -> None:
    assert VmConfig.parse({"scsi0": "local:0.01"}).disks["scsi0"].allocate == 10486 * 1024


def test_disk_texts() -> None:
    config = VmConfig.parse({
        "scsi0": "local:32,ssd=1,iothread=1",
        "virtio3": "volume=local:100/vm-100-disk-1.qcow2,size=32G,iops_rd_length=3",
        "ide2": "none,media=cdrom",
        "sata1": "local:iso/x.iso,media=cdrom",
        "ide0": "local:100/vm-100-cloudinit.qcow2",
        "ide1": "local:cloudinit",
    })  # fmt: skip
    assert not config.problems
    scsi, virtio = config.scsi[0], config.virtio[3]
    assert isinstance(scsi, ScsiDisk) and scsi.allocate == 32 * GIB and scsi.volume is None and scsi.storage == "local"
    assert isinstance(virtio, VirtioDisk) and str(virtio.volume) == "local:100/vm-100-disk-1.qcow2"
    assert virtio.size_bytes == 32 * GIB and virtio.iops_rd_max_length == 3
    assert config.ide[2].empty and config.ide[2].is_cdrom and config.sata[1].is_cdrom
    assert config.ide[0].is_cloudinit and config.ide[1].is_cloudinit
    assert list(config.disks) == ["ide0", "ide1", "ide2", "sata1", "scsi0", "virtio3"]
    assert set(config.volumes) == {"ide0", "ide1", "sata1", "scsi0", "virtio3"}


def test_what_a_bus_does_not_know_is_refused_there_and_neutral_elsewhere() -> None:
    with pytest.raises(ValueError, match="iothread"):
        parse_property_string(IdeDisk, "local:1,iothread=1")
    disk: Disk = parse_property_string(IdeDisk, "local:1")
    assert disk.iothread is None and disk.ro is None


def test_throttles_in_qemus_units() -> None:
    disk = parse_property_string(ScsiDisk, "local:1,mbps=1.5,iops_wr=10,iops_wr_max=20,bps_rd_max_length=3,mbps_rd=0")
    assert disk.throttle_limits() == {
        "bps-total": MIB * 3 // 2, "iops-write": 10, "iops-write-max": 20, "bps-read-max-length": 3,
    }  # fmt: skip


def test_nic_model_and_mac_in_one_word() -> None:
    nic = parse_property_string(Nic, "virtio=bc:24:11:00:00:01,bridge=vmbr0,firewall=1")
    assert (nic.model, nic.macaddr, nic.bridge) == (NicModel.VIRTIO, "bc:24:11:00:00:01", "vmbr0")
    assert print_property_string(nic) == "virtio=bc:24:11:00:00:01,bridge=vmbr0,firewall=1"
    assert parse_property_string(Nic, "model=virtio,macaddr=bc:24:11:00:00:01,bridge=vmbr0,firewall=1") == nic


def test_forwards() -> None:
    assert parse_forwards("tcp:127.0.0.1:2222:22;udp::53:5353") == (
        Forward("tcp", "127.0.0.1", 2222, 22),
        Forward("udp", "127.0.0.1", 53, 5353),
    )


@pytest.mark.parametrize(
    "text", ["", "tcp:1:2", "tcp::0:22", "tcp::1:65536", "icmp::1:2", "tcp:1.2.3:1:2", "tcp::1:2;tcp:127.0.0.1:1:3"]
)
def test_wrong_forwards(text: str) -> None:
    with pytest.raises(ValueError):
        parse_forwards(text)


@pytest.mark.parametrize("text", ["kvm65", "custom-mine", "host,flags=+vmx", "host,flags=aes", "host,level=-1"])
def test_wrong_cpus(text: str) -> None:
    with pytest.raises(ValueError):
        parse_property_string(Cpu, text)


def test_smbios_texts() -> None:
    plain = parse_property_string(Smbios, "uuid=3dd750ce-d910-44d0-9493-525c0be4e687,manufacturer=ACME")
    assert list(plain.texts()) == [("manufacturer", "ACME")]
    coded = parse_property_string(Smbios, "base64=1,product=QSxC")
    assert list(coded.texts()) == [("product", "A,B")]
    with pytest.raises(ValueError, match="product"):
        list(parse_property_string(Smbios, "base64=1,product=QSxCA").texts())


@pytest.mark.parametrize(
    ("texts", "order"),
    [
        ({"boot": "order=net0;scsi0"}, ("net0", "scsi0")),
        ({}, ("ide0", "ide2", "net0")),
        ({"boot": "dn"}, ("ide2", "net0")),
        ({"bootdisk": "scsi0"}, ("scsi0", "ide2", "net0")),
    ],
)
def test_boot_devices(texts: dict[str, str], order: tuple[str, ...]) -> None:
    rest = {"ide0": "local:1", "ide2": "none,media=cdrom", "scsi0": "local:1", "net0": "virtio"}
    assert VmConfig.parse({**rest, **texts}).boot_devices() == order


def test_indexes_have_ends() -> None:
    for key, known in (("net31", True), ("net32", False), ("scsi30", True), ("scsi31", False), ("net01", False)):
        assert (find_setting(VmConfig, key) is not None) is known
    assert find_setting(VmConfig, "numa") is not find_setting(VmConfig, "numa0")
