"""The machine as a record, and a clone's command line from it: what the guest sees stays, what the host sees is new."""

from __future__ import annotations

import dataclasses
import json

import pytest

from tarmac.drivers.qemu.argv import build
from tarmac.drivers.qemu.argv.delta import identity, parts_of
from tarmac.drivers.qemu.facts import BridgeFacts, LaunchFacts, NodeFacts, VolumeFacts
from tarmac.drivers.qemu.live.machine import (
    RUNTIME,
    CloneFacts,
    Machine,
    check_freezable,
    check_restorable,
    clone_argv,
    record_machine,
)
from tarmac.model.errors import HostFailure, InvalidInput
from tarmac.model.vm import VmConfig

NODE = NodeFacts(qemu_version="7.2.22", bridges={"vmbr0": BridgeFacts()})
TEXTS = {
    "memory": "256",
    "instant": "1",
    "agent": "1",
    "scsihw": "virtio-scsi-single",
    "scsi0": "local:100/vm-100-disk-0.qcow2,iothread=1,mbps=10",
    "ide2": "local:100/vm-100-cloudinit.qcow2,media=cdrom",
    "net0": "virtio=BC:24:11:00:00:01,bridge=vmbr0",
    "net1": "e1000=BC:24:11:00:00:02",
    "rng0": "source=/dev/urandom",
    "serial0": "socket",
    "smbios1": "uuid=11111111-1111-1111-1111-111111111111",
    "vmgenid": "22222222-2222-2222-2222-222222222222",
}


def recorded(**changes: str) -> Machine:
    config = VmConfig.parse({**TEXTS, **changes})
    volumes = {file: VolumeFacts(path=f"/images/{key}.qcow2", format="qcow2") for key, file in config.volumes.items()}
    fds = {"qmp": 3, "ram": 4, "net0": 5}
    launch = build(config, NODE, LaunchFacts(vmid=100, runtime_dir=RUNTIME, volumes=volumes, fds=fds))
    return record_machine(launch, config, NODE.qemu_version)


CLONE = CloneFacts(
    vmid=201,
    name="one",
    runtime_dir="/run/x/201",
    uuid="33333333-3333-3333-3333-333333333333",
    generation="44444444-4444-4444-4444-444444444444",
    fds={"qmp": 10, "ram": 11, "net0": 12, "ide2": 13},
    volumes={
        "scsi0": VolumeFacts(path="/images/201.qcow2", format="qcow2"),
        "ide2": VolumeFacts(path="/proc/self/fd/13", format="raw", read_only=True, direct=False),
    },
)


def devices(argv: tuple[str, ...]) -> list[str]:
    return [value for option, value in parts_of(argv) if option == "-device"]


def test_the_record_survives_its_own_json() -> None:
    machine = recorded()
    assert Machine.of(json.loads(json.dumps(machine.as_record()))) == machine


def test_nothing_of_one_host_or_start_is_recorded() -> None:
    text = json.dumps(recorded().as_record())
    for word in ("fd=", "/images/", "throttle", "memory-backend", "-netdev", "-incoming", "-name", "qmp.sock"):
        assert word not in text.replace('"texts"', ""), word


def test_every_device_is_the_source_s_word_for_word() -> None:
    machine = recorded()
    argv = clone_argv(machine, CLONE, NODE)
    told = [value for option, value in machine.options if option == "-device"]
    own = devices(argv)
    changed = [(a, b) for a, b in zip(told, own, strict=True) if a != b]
    assert [identity("-device", a) for a, _ in changed] == ["vmgenid"]
    assert f"guid={CLONE.generation}" in changed[0][1]


def test_what_the_host_sees_is_the_clone_s() -> None:
    argv = clone_argv(recorded(), CLONE, NODE)
    text = "\n".join(argv)
    assert "/@runtime@" not in text and "/run/x/201/qga.sock" in text
    assert f"uuid={CLONE.uuid}" in text and "11111111-1111" not in text
    ram = next(word for word in argv if word.startswith("memory-backend-file,"))
    assert "mem-path=/proc/self/fd/11,share=off" in ram and "id=pc.ram" in ram and "readonly" not in ram
    machine = next(value for option, value in parts_of(argv) if option == "-machine")
    assert "memory-backend=pc.ram" in machine and "mem-merge=off" in machine
    assert "free-page-reporting" not in text
    nodes = [json.loads(value) for option, value in parts_of(argv) if option == "-blockdev"]
    assert {node["filename"] for node in nodes if "filename" in node} == {"/images/201.qcow2", "/proc/self/fd/13"}
    assert '"bps-total":10485760' in text, "limits go along"


def test_cards_have_back_ends_that_lead_nowhere() -> None:
    netdevs = [value for option, value in parts_of(clone_argv(recorded(), CLONE, NODE)) if option == "-netdev"]
    assert netdevs == ["type=tap,id=net0,fd=12", "type=user,id=net1,restrict=on"]


def test_newer_qemu_opens_the_sealed_file_for_reading_only() -> None:
    argv = clone_argv(recorded(), CLONE, dataclasses.replace(NODE, qemu_version="8.2.0"))
    assert any("share=off" in word and "readonly=on,rom=off" in word for word in argv)


@pytest.mark.parametrize(
    ("change", "word"),
    [({"qemu_version": "7.2.21"}, "QEMU"), ({"accelerator": "kvm"}, "the accelerator")],
)
def test_a_foreign_state_is_refused_by_name(change: dict[str, str], word: str) -> None:
    with pytest.raises(HostFailure) as caught:
        check_restorable(dataclasses.replace(recorded(), **change), NODE, what="template 100")
    assert word in caught.value.message and caught.value.cause and caught.value.fixes


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("hostpci0", "00:02.0"),
        ("usb0", "host=1234:5678"),
        ("virtiofs0", "share"),
        ("tpmstate0", "local:100/vm-100-disk-1.raw,version=v2.0"),
        ("ivshmem", "size=16"),
    ],
)
def test_what_cannot_be_frozen_is_named(key: str, text: str) -> None:
    config = VmConfig.parse({**TEXTS, key: text})
    with pytest.raises(InvalidInput) as caught:
        check_freezable(config, ())
    assert key in caught.value.message and caught.value.fixes


def test_devices_of_other_processes_are_refused() -> None:
    with pytest.raises(InvalidInput):
        check_freezable(VmConfig.parse(TEXTS), ("-device", "vhost-user-blk-pci,chardev=c"))
    check_freezable(VmConfig.parse(TEXTS), ())
