"""The table of argv cases, and what a launch refuses, notes and hands over."""

from __future__ import annotations

import json

import pytest

from support.argv_cases import Case, all_cases, rendered
from tarmac.drivers.qemu.argv import show
from tarmac.drivers.qemu.argv.blockdev import disk_chain, node_name
from tarmac.drivers.qemu.argv.build import build
from tarmac.drivers.qemu.argv.firmware import boot_indexes, firmware_files
from tarmac.drivers.qemu.argv.pci import Q35_BOARD, SLOTS
from tarmac.drivers.qemu.facts import BridgeFacts, KvmFacts, LaunchFacts, NodeFacts, VolumeFacts
from tarmac.model.conf_file import parse_conf
from tarmac.model.disk import Disk, EfiDisk, ScsiDisk, Volume
from tarmac.model.errors import HostFailure, InvalidInput, TarmacError
from tarmac.model.parse import parse_property_string, split_property_string
from tarmac.model.settings import Setting, settings_of
from tarmac.model.vm import VmConfig

NODE = NodeFacts(storages={"local": "/data"})
KVM = NodeFacts(kvm=KvmFacts(usable=True), storages={"local": "/data"})


@pytest.mark.parametrize("case", all_cases(), ids=lambda case: case.name)
def test_case(case: Case) -> None:
    assert rendered(show(case.text, case.node)) == case.expected


def _keys(setting: Setting) -> list[str]:
    return [f"{setting.name}{i}" for i in range(setting.limits.count or 0)] if setting.indexed else [setting.name]


def _texts_in_cases(setting: Setting) -> list[str]:
    return [case[key] for case in CONFIGURATIONS for key in _keys(setting) if key in case]


CONFIGURATIONS = [parse_conf(case.text).current for case in all_cases()]
BUILT = [s for s in settings_of(VmConfig) if s.limits.built]
# Spent when a volume is made; a stored configuration never has it.
NOT_STORED = {"import-from"}


@pytest.mark.parametrize("setting", BUILT, ids=lambda s: s.name)
def test_every_built_option_is_touched_by_a_case(setting: Setting) -> None:
    """Also within property strings; what all disks share is enough to see on one bus."""
    texts = _texts_in_cases(setting)
    assert texts, f"no case sets {setting.name}"
    if setting.kind != "property" or setting.limits.internal:
        return
    used = {name for text in texts for name in split_property_string(setting.python, text)}
    shared: set[str] = set()
    for other in BUILT:
        if issubclass(setting.python, Volume) and other.kind == "property" and issubclass(other.python, Volume):
            shared |= {n for t in _texts_in_cases(other) for n in split_property_string(other.python, t)}
    common = {s.name for s in settings_of(Disk)}
    for member in settings_of(setting.python):
        seen = member.name in used or (member.name in common and member.name in shared)
        assert seen or not member.limits.built or member.name in NOT_STORED, f"no case sets {member.name}"


@pytest.mark.parametrize(
    ("text", "node", "error", "words"),
    [
        ("kvm: 1\n", NODE, HostFailure, ("kvm: 1", "not probed")),
        ("cpu: host\n", NODE, InvalidInput, ("host", "not probed")),
        ("cpu: host\nkvm: 0\n", KVM, InvalidInput, ("host", "kvm is 0")),
        ("machine: pc-q35-9.2+pve1\n", NODE, InvalidInput, ("9.2", "7.2")),
        ("machine: pc-i440fx-2.9\n", NODE, InvalidInput, ("2.9", "4.0")),
        ("machine: virt\n", NODE, InvalidInput, ("virt",)),
        ("net0: virtio,bridge=nowhere\n", NODE, HostFailure, ("nowhere", "none")),
        ("scsi0: elsewhere:100/vm-100-disk-0.raw\n", NODE, HostFailure, ("elsewhere", "local")),
        ("scsi0: local:32\n", NODE, InvalidInput, ("local:32",)),
        ("hostpci0: 00:02.0\n", NODE, InvalidInput, ("hostpci0",)),
        ("vcpus: 3\n", NODE, InvalidInput, ("vcpus",)),
        ("bios: ovmf\n", NodeFacts(firmware=""), HostFailure, ("ovmf",)),
    ],
)
def test_refused_with_all_its_parts(
    text: str, node: NodeFacts, error: type[TarmacError], words: tuple[str, ...]
) -> None:
    with pytest.raises(error) as caught:
        show(text, node)
    record = caught.value.as_record()
    whole = json.dumps([record, dict(caught.value.parameters)])
    assert all(word in whole for word in words)
    assert record["message"] and record["code"] and record["evidence"]


@pytest.mark.parametrize("mtu", ["500", "1501"])
def test_mtu_outside_the_bridges(mtu: str) -> None:
    node = NodeFacts.parse('{"bridges": {"vmbr0": {"mtu": 1500}}}')
    with pytest.raises(InvalidInput) as caught:
        show(f"net0: virtio,bridge=vmbr0,mtu={mtu}\n", node)
    assert mtu in caught.value.parameters["net0"]


def test_a_known_list_of_machines_decides() -> None:
    node = NodeFacts(machines=("pc-i440fx-7.2", "pc-i440fx-7.1", "pc-q35-7.2"))
    assert show("machine: pc-i440fx-7.1\n", node).machine == "pc-i440fx-7.1"
    with pytest.raises(InvalidInput) as caught:
        show("machine: pc-i440fx-7.0\n", node)
    assert "pc-i440fx-7.2, pc-i440fx-7.1" in caught.value.cause


def test_backing_chain_is_explicit_and_read_only_below() -> None:
    bottom = VolumeFacts(path="/t/base.raw", format="raw")
    volume = VolumeFacts(
        path="/t/top.qcow2", format="qcow2", backing=VolumeFacts(path="/t/mid.qcow2", format="qcow2", backing=bottom)
    )
    chain = disk_chain("scsi0", ScsiDisk(file="local:100/vm-100-disk-0.qcow2"), volume, io_uring=False)
    names = [n["node-name"] for n in chain.nodes]
    assert names[1::2][:3] == [
        node_name("f", "scsi0", VolumeFacts(path=p, format="raw"))
        for p in ("/t/base.raw", "/t/mid.qcow2", "/t/top.qcow2")
    ]
    formats = [n for n in chain.nodes if n["driver"] in ("raw", "qcow2")]
    assert [n.get("backing") for n in formats] == [None, names[1], names[3]]
    assert "backing" not in formats[0]
    assert [n["read-only"] for n in chain.nodes] == [True] * 4 + [False] * 3
    assert chain.top == names[-1] == "drive-scsi0" and chain.nodes[-1]["file"] == names[-2]


def test_an_image_without_known_backing_gets_none() -> None:
    """Whatever the image's header says, QEMU opens no file that we did not name."""
    volume = VolumeFacts(path="/t/x.qcow2", format="qcow2")
    chain = disk_chain("scsi0", ScsiDisk(file="local:1/x.qcow2"), volume, io_uring=False)
    assert chain.nodes[1]["backing"] is None and "backing" in chain.nodes[1]


def test_node_names_fit_qemu() -> None:
    for key in ("virtio15", "efidisk0"):
        assert len(node_name("f", key, VolumeFacts(path="/x" * 500, format="raw"))) < 32


def test_a_renamed_image_keeps_its_node_name() -> None:
    before, after = (VolumeFacts(path=p, format="qcow2", identity="fe00:1") for p in ("/t/a", "/t/b"))
    assert node_name("f", "scsi0", before) == node_name("f", "scsi0", after)
    assert node_name("f", "scsi0", before) != node_name("f", "scsi0", VolumeFacts(path="/t/a", format="qcow2"))


def test_a_firewall_that_is_not_there_is_noted() -> None:
    launch = show("net0: virtio=BC:24:11:00:00:01,bridge=vmbr0,firewall=1", NodeFacts(bridges={"vmbr0": BridgeFacts()}))
    assert "net0: firewall=1 has no effect: there is no firewall yet, nothing is filtered" in launch.notes


def test_no_direct_access_is_noted() -> None:
    volume = VolumeFacts(path="/t/x.raw", format="raw", direct=False)
    chain = disk_chain("scsi0", ScsiDisk(file="local:1/x.raw"), volume, io_uring=False)
    assert chain.nodes[0]["cache"]["direct"] is False and chain.nodes[0]["aio"] == "threads"
    assert "no direct access" in chain.notes[0]


def test_commas_cannot_add_options() -> None:
    config = VmConfig.parse({"scsi0": "local:1/x.raw,serial=a%2Cbootindex%3D1"})
    launch = LaunchFacts(
        vmid=100, runtime_dir="/run/a,b", volumes={"local:1/x.raw": VolumeFacts(path="/t/x.raw", format="raw")}
    )
    argv = build(config, NODE, launch).argv
    device = next(w for w in argv if w.startswith("scsi-hd"))
    assert "serial=a,,bootindex=1" in device
    assert any("path=/run/a,,b/qmp.sock" in w for w in argv)


def test_sandbox_can_be_left_out_and_a_state_can_come_in() -> None:
    launch = LaunchFacts(vmid=100, runtime_dir="/run/x", sandbox=False, incoming="defer")
    argv = build(VmConfig.parse({}), NODE, launch).argv
    assert "-sandbox" not in argv and "-S" in argv and argv[argv.index("-incoming") + 1] == "defer"


def test_uuid_is_stable_and_differs() -> None:
    one, again, other = (show("", NODE, vmid=n).uuid for n in (100, 100, 101))
    assert one == again != other


def test_slots_are_used_once() -> None:
    places = [place for name, place in SLOTS.items() if name not in ("pci.3",)]
    assert len(places) == len(set(places))
    assert len(set(Q35_BOARD)) == len(Q35_BOARD) == 18


def test_boot_indexes() -> None:
    rest = {"scsi0": "local:1", "scsi1": "local:1", "ide2": "none,media=cdrom", "net0": "virtio", "net3": "virtio"}
    assert boot_indexes(VmConfig.parse(rest)) == {"ide2": 200, "net0": 300, "net3": 301}
    assert boot_indexes(VmConfig.parse({**rest, "bootdisk": "scsi1"}))["scsi1"] == 101
    assert boot_indexes(VmConfig.parse({**rest, "boot": "order=net3;scsi0"})) == {"net3": 100, "scsi0": 101}


def test_firmware_files() -> None:
    efi = parse_property_string(EfiDisk, "local:1,efitype=4m,pre-enrolled-keys=1")
    assert firmware_files(efi, q35=True, directory="/f") == ("/f/OVMF_CODE_4M.secboot.fd", "/f/OVMF_VARS_4M.ms.fd")
    assert firmware_files(EfiDisk(file="local:1"), q35=False, directory="/f")[0] == "/f/OVMF_CODE.fd"


def test_facts_of_a_file() -> None:
    assert NodeFacts.parse(json.dumps(KVM.as_record())) == KVM
    for wrong in (
        "[]",
        "{",
        '{"cpus": "four"}',
        '{"nonsense": 1}',
        '{"qemu_version": "new"}',
        '{"kvm": {"usable": 3}}',
    ):
        with pytest.raises(InvalidInput):
            NodeFacts.parse(wrong)
