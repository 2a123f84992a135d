"""Which privileges a change of a key takes, by its value."""

from __future__ import annotations

import pytest

from tarmac.model.vm_privileges import bridges_of, is_drive, needed_privileges, reaches_host

D0 = "local:100/vm-100-disk-0.qcow2"


@pytest.mark.parametrize(
    ("key", "text", "needed"),
    [
        ("cores", "2", (("VM.Config.CPU",),)),
        ("memory", "512", (("VM.Config.Memory",),)),
        ("scsi0", D0, (("VM.Config.Disk",),)),
        ("scsi0", None, (("VM.Config.Disk",),)),
        ("ide2", "none,media=cdrom", (("VM.Config.CDROM",),)),
        ("ide2", "local:iso/x.iso,media=cdrom", (("VM.Config.CDROM",),)),
        ("ide2", "local:cloudinit", (("VM.Config.Cloudinit",), ("VM.Config.CDROM",))),
        ("ide2", "local:100/vm-100-cloudinit.qcow2,media=cdrom", (("VM.Config.Cloudinit",), ("VM.Config.CDROM",))),
        ("scsi1", "local:32", (("VM.Config.Disk",),)),
        ("scsi1", "no=sense,", (("VM.Config.Disk",),)),
        ("net0", "virtio", (("VM.Config.Network",),)),
        ("ciuser", "x", (("VM.Config.Cloudinit", "VM.Config.Network"),)),
        ("startup", "order=1", (("VM.Config.Options",), ("Sys.Modify",))),
        ("onboot", "1", (("VM.Config.Options",),)),
        ("serial0", "socket", (("VM.Config.HWType",),)),
        ("serial0", "/dev/ttyS0", (("VM.Config.HWType",), ("Sys.Modify",))),
        ("rng0", "source=/dev/urandom", (("VM.Config.HWType",),)),
        ("rng0", "/dev/hwrng,period=5", (("VM.Config.HWType",), ("Sys.Modify",))),
        ("affinity", "0", (("Sys.Modify",),)),
        ("nonsense", "0", ()),
    ],
)
def test_privileges(key: str, text: str | None, needed: tuple[tuple[str, ...], ...]) -> None:
    assert needed_privileges(key, text) == needed


def test_what_reaches_the_host() -> None:
    assert reaches_host("affinity", "0") and reaches_host("serial1", "/dev/ttyS1")
    assert not reaches_host("serial1", "socket") and not reaches_host("startup", "1") and not reaches_host("cores", "2")


def test_drives() -> None:
    drives = {"scsi0", "virtio1", "sata2", "ide3", "efidisk0", "tpmstate0", "unused0"}
    assert {key for key in (*drives, "boot", "scsihw", "net0", "vmstatestorage", "nonsense") if is_drive(key)} == drives


def test_bridges() -> None:
    assert bridges_of("net0", "virtio=02:00:00:00:00:01,bridge=vmbr7") == ["/sdn/zones/localnetwork/vmbr7"]
    assert bridges_of("net0", "virtio") == bridges_of("net0", "no,sense=") == bridges_of("name", "bridge=x") == []
