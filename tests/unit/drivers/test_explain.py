"""QEMU's complaints and what we make of them. The texts are QEMU's own, seen with 7.2 and 10.0."""

from __future__ import annotations

import signal

import pytest

from tarmac.drivers.qemu import explain as explain_module
from tarmac.drivers.qemu.explain import explain
from tarmac.model.errors import NoSpace

Q = "qemu-system-x86_64: "
SEEN = [
    ("qemu-disk-locked", 'Failed to get "write" lock\nIs another process using the image [/a/b]?', "/a/b"),
    ("qemu-disk-locked", 'Failed to get shared "write" lock\nIs another process using the image [/a/b]?', "/a/b"),
    ("qemu-disk-locked", 'Failed to get "consistent read" lock', ""),
    ("qemu-port-in-use", "Could not set up host forwarding rule 'tcp:127.0.0.1:22-:22'", "127.0.0.1:22"),
    ("qemu-port-in-use", "-vnc :1: Failed to find an available port: Address already in use", ""),
    ("qemu-kvm-missing", "Could not access KVM kernel module: No such file or directory", "No such file"),
    ("qemu-kvm-missing", "Could not access KVM kernel module: Permission denied", "Permission denied"),
    ("qemu-kvm-cpu", "error: failed to set MSR 0x10a to 0x0", "0x10a"),
    ("qemu-no-memory", "cannot set up guest memory 'pc.ram': Cannot allocate memory", ""),
    ("qemu-machine-unknown", "unsupported machine type\nUse -machine help to list supported machines", ""),
    ("qemu-cpu-unknown", "unable to find CPU model 'x86-64-v9'", "x86-64-v9"),
    ("qemu-disk-missing", "-blockdev d: Could not open '/a/b': No such file or directory", "/a/b"),
    (
        "qemu-firmware-2m",
        "-blockdev d: Could not open '/usr/share/OVMF/OVMF_CODE.fd': No such file or directory",
        "/usr/share/OVMF/OVMF_CODE.fd",
    ),
    ("qemu-disk-permission", "-blockdev d: Could not open '/a/b': Permission denied", "/a/b"),
    ("qemu-disk-format", "-blockdev d: Image is not in qcow2 format", "qcow2"),
    ("qemu-device-unknown", "-device foo: 'foo' is not a valid device model name", "foo"),
    ("qemu-device-unknown", "-device qxl-vga,id=vga: 'qxl-vga' is not a valid device model name", "qxl-vga"),
    ("qemu-option-unknown", "-foo: invalid option", "foo"),
    ("qemu-option-unknown", "Property 'virtio-net-pci.foo' not found", "virtio-net-pci.foo"),
    ("qemu-hugepages", "unable to map backing store for guest RAM: Cannot allocate memory", ""),
    ("qemu-library-missing", "error while loading shared libraries: libfoo.so.1: cannot open", "libfoo.so.1"),
]  # fmt: skip


@pytest.mark.parametrize(("code", "words", "named"), SEEN)
def test_known_complaints(code: str, words: str, named: str) -> None:
    error = explain("VM 100", Q + words, 1)
    assert error.error_code == code
    assert error.message == "VM 100 did not start"
    assert named in error.cause
    assert "{" not in error.cause
    assert error.evidence == (Q + words).strip()
    assert error.fixes


def test_a_device_in_a_package_of_its_own_names_the_package() -> None:
    error = explain("VM 100", Q + "-device qxl: 'qxl' is not a valid device model name", 1)
    assert "qemu-system-modules-spice" in error.fixes[0].text


def test_shells_words_for_a_missing_qemu() -> None:
    error = explain("VM 100", "tarmac-gate: 1: exec: qemu-system-x86_64: not found", 127)
    assert (error.error_code, error.cause) == ("qemu-missing", "the program qemu-system-x86_64 is not installed")


def test_full_disk_is_no_space() -> None:
    assert isinstance(explain("VM 100", Q + "Could not write: No space left on device", 1), NoSpace)


def test_every_code_of_the_table_was_seen() -> None:
    table = {entry.code for entry in explain_module._TABLE}
    assert table - {code for code, _, _ in SEEN} == {"qemu-missing", "qemu-bridge-missing"}


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (1, "exit code 1"),
        (-signal.SIGSEGV, "SIGSEGV"),
        (-signal.SIGKILL, "want of memory"),
        (-signal.SIGSYS, "sandbox"),
    ],
)
def test_unknown_complaints_keep_the_words(code: int, text: str) -> None:
    error = explain("VM 100", "something nobody has seen", code)
    assert error.evidence == "something nobody has seen"
    assert text in error.cause
    silent = explain("VM 100", "", code)
    assert silent.evidence.startswith("it wrote nothing")


def test_evidence_is_bounded_and_is_the_end() -> None:
    error = explain("VM 100", "x" * 10_000 + "END", None)
    assert len(error.evidence) == 2000
    assert error.evidence.endswith("END")
