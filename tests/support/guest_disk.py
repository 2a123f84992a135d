"""A mark on a tiny guest's second disk, which is found by its size: written from inside, read from inside."""

from __future__ import annotations

from support.daemon import TestDaemon

DISK = 32 << 20
_FIND = f"""
for disk in /sys/block/sd*; do [ $(cat $disk/size) = {DISK // 512} ] && dev=/dev/${{disk##*/}}; done
"""


def write(daemon: TestDaemon, vmid: int, mark: str) -> None:
    daemon.run(vmid, "/bin/sh", "-c", _FIND + f"echo {mark} > $dev && sync")


def read(daemon: TestDaemon, vmid: int) -> str:
    return daemon.run(vmid, "/bin/sh", "-c", _FIND + "head -n 1 $dev").strip()
