"""A machine as it ran, and the command line with which its state is loaded."""

from __future__ import annotations

from pathlib import Path

import pytest

from tarmac.drivers.qemu import machine_state
from tarmac.drivers.qemu.argv.as_ran import as_ran, option_of, resumed
from tarmac.drivers.qemu.machine_state import MachineRecord
from tarmac.model.errors import DataCorrupt

STARTED = (
    "/usr/bin/qemu", "-name", "guest=a", "-nodefaults", "-chardev", "socket,id=qmp0,fd=4", "-S", "-cpu", "max",
    "-m", "128", "-machine", "type=pc-q35-7.2", "-accel", "tcg,thread=multi",
    "-blockdev", '{"node-name":"old"}', "-device", "vmgenid,guid=1,id=vmgenid",
    "-device", "virtio-blk-pci,drive=drive-virtio0,id=virtio0,bus=pci.0,addr=0xa",
    "-device", "virtio-net-pci,netdev=net0,id=net0,bus=pci.0,addr=0x12",
    "-device", "virtio-serial,id=qga0",
)  # fmt: skip
NOW = (
    "/usr/bin/qemu", "-name", "guest=b", "-nodefaults", "-chardev", "socket,id=qmp0,fd=7", "-S", "-incoming", "defer",
    "-cpu", "max,new=on", "-m", "256", "-machine", "type=pc-q35-9.0", "-accel", "tcg,thread=multi",
    "-blockdev", '{"node-name":"new"}', "-device", "vmgenid,guid=2,id=vmgenid",
    "-device", "virtio-blk-pci,drive=drive-virtio0,id=virtio0,bus=pci.0,addr=0xa",
    "-device", "virtio-blk-pci,drive=drive-virtio1,id=virtio1,bus=pci.0,addr=0xb",
    "-device", "virtio-serial,id=qga0,changed=on",
)  # fmt: skip


def devices(argv: tuple[str, ...]) -> list[str]:
    return [argv[i + 1] for i, word in enumerate(argv) if word == "-device"]


def test_what_was_plugged_and_unplugged_counts_and_nothing_else() -> None:
    ran = as_ran(STARTED, NOW)
    assert option_of(ran, "-machine") == "type=pc-q35-7.2" and option_of(ran, "-m") == "128"
    ids = [text.split(",id=")[1].split(",")[0] for text in devices(ran)]
    assert ids == ["vmgenid", "virtio0", "qga0", "virtio1"]
    assert "virtio-serial,id=qga0" in devices(ran)


def test_the_guest_sees_what_it_saw_and_the_host_what_is_now() -> None:
    argv = resumed(as_ran(STARTED, NOW), NOW)
    assert option_of(argv, "-machine") == "type=pc-q35-7.2" and option_of(argv, "-cpu") == "max"
    assert option_of(argv, "-chardev") == "socket,id=qmp0,fd=7" and option_of(argv, "-incoming") == "defer"
    assert option_of(argv, "-blockdev") == '{"node-name":"new"}' and "-S" in argv
    assert [d for d in devices(argv) if d.startswith("vmgenid")] == ["vmgenid,guid=2,id=vmgenid"]
    assert argv.count("-machine") == argv.count("-cpu") == argv.count("-nodefaults") == 1


RECORD = MachineRecord(qemu="7.2.22", accelerator="tcg", machine="pc-q35-7.2", cpu="max", argv=STARTED)


def test_a_record_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "state.raw"
    path.touch()
    fd = machine_state._open_for_writing(path, RECORD)
    with open(fd, "wb") as file:
        file.write(b"stream")
    assert machine_state.read_record(path) == RECORD
    fd = machine_state._open_for_reading(path)
    with open(fd, "rb") as file:
        assert file.tell() % 4096 == 0 and file.read() == b"stream"


@pytest.mark.parametrize(
    "damage", [b"", b"TARM", b"\0" * 64, b"TARMSTAT\0\0\0\2\0\0\0\2{}", b"TARMSTAT\0\0\0\1\0\0\0\2{]"]
)
def test_what_is_no_state_is_refused(tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / "state.raw"
    path.write_bytes(damage)
    with pytest.raises(DataCorrupt):
        machine_state.read_record(path)
