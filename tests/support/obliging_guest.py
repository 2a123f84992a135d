"""A guest of one boot sector that does what a guest is asked: it switches itself off at the power button and lets go of
PCI devices. It is up in under a second and costs next to nothing. For i440fx machines with SeaBIOS.

Once it listens it writes its own sector to the second one of its disk, which is raw so that this can be seen.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

from support.daemon import TestDaemon
from support.faults import eventually

SIZE = 1 << 20
OBLIGING = {
    "memory": 64,
    "vga": "none",
    "boot": "order=scsi0",
    "balloon": 0,
    "scsi0": "local:0,import-from=local:import/obliging.qcow2,format=raw",
}
"""Settings of such a guest; its image is in the storage as `obliging.qcow2`."""

_CODE = (
    "31 c0 8e d8 8e c0 8e d0 bc 00 7c 52 "  # xor ax,ax; ds, es, ss = 0; sp = 7c00h; push dx (the disk's number)
    "ba 02 06 b8 00 01 ef "  # PM1_EN: let the power button be told (SeaBIOS puts the ACPI ports at 600h)
    "5a b6 00 b9 02 00 bb 00 7c b8 01 03 cd 13 fb "  # pop dx; write this sector to sector 2; sti
    "f4 ba 00 06 ed f6 c4 01 74 07 ba 04 06 b8 00 20 ef "  # loop: hlt (18 ticks a second); PM1_STS: button? S5
    "31 c9 "  # for every bus (cx):
    "ba 10 ae 66 31 c0 89 c8 66 ef ba 04 ae 66 ed 66 85 c0 74 05 "  # select it; devices to let go of?
    "ba 08 ae 66 ef "  # eject the first of them
    "41 83 f9 10 72 e1 eb cc"  # 16 buses; again
)


def make_image(path: Path) -> Path:
    """The guest's disk as qcow2 at `path`."""
    code = bytes.fromhex(_CODE)
    raw = path.with_suffix(".raw")
    raw.write_bytes((code.ljust(510, b"\0") + b"\x55\xaa").ljust(SIZE, b"\0"))
    subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", raw, path], check=True)
    raw.unlink()
    return path


def wait_up(daemon: TestDaemon, vmid: int) -> None:
    """Until the guest listens."""
    disk = next((daemon.data / "storage/images" / str(vmid)).glob("*.raw"))
    eventually(lambda: disk.read_bytes()[512:1024].startswith(bytes.fromhex(_CODE)), "the guest listens", 60)
