"""Clones of a 32 GiB template: linked beside `qemu-img create -b`, full beside `qemu-img convert` and `cp --reflink`.

What is timed of ours is the whole call: from the request until its task has ended and the clone is in the store, with
its identity, all of it on disk. The peers make a file and nothing else; copies are synced, `qemu-img create` is not.
`virt-clone` (Debian: `virtinst`, beside what `libvirt_peer.py` needs) makes a whole guest, and full copies only; it is
left out where it or libvirt is missing. The template holds `--data` MiB of random bytes.

    .venv/bin/python benchmarks/clones.py --times 20 --data 256
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from common import Row, TestDaemon, report
from libvirt_peer import NAME, define, forget, installed, libvirt

TEMPLATE = 9000
ORIGINAL, COPY = f"{NAME}original", f"{NAME}copy"
DOMAIN = f"""<domain type='qemu'><name>{ORIGINAL}</name><memory unit='MiB'>64</memory><vcpu>1</vcpu>
<os><type arch='x86_64' machine='q35'>hvm</type></os><devices><disk type='file' device='disk'>
<driver name='qemu' type='qcow2'/><source file='{{disk}}'/><target dev='vda' bus='virtio'/></disk></devices></domain>"""


def timed(work: Callable[[], Any]) -> float:
    """Milliseconds."""
    begun = time.perf_counter()
    work()
    return (time.perf_counter() - begun) * 1000


def template(daemon: TestDaemon, mib: int) -> Path:
    """A template with one disk of 32 GiB; the path of its base image."""
    images = daemon.data / "storage/images"
    daemon.task("POST", daemon.qemu, vmid=TEMPLATE, memory=64, net0="virtio", scsi0="local:32", name="base")
    disk = next((images / str(TEMPLATE)).iterdir())
    with tempfile.NamedTemporaryFile(dir=daemon.data) as raw:
        for _ in range(mib):
            raw.write(os.urandom(1 << 20))
        raw.truncate(32 << 30)
        raw.flush()
        subprocess.run(["qemu-img", "convert", "-n", "-f", "raw", "-O", "qcow2", raw.name, disk], check=True)
    daemon.task("POST", f"{daemon.qemu}/{TEMPLATE}/template")
    return next((images / str(TEMPLATE)).iterdir())


def ours(daemon: TestDaemon, **params: Any) -> float:
    """One clone, removed afterwards."""
    took = timed(lambda: _ended(daemon, daemon.reply("POST", f"{daemon.qemu}/{TEMPLATE}/clone", wait=600, **params)))
    daemon.task("DELETE", f"{daemon.qemu}/{params['newid']}")
    return took


def _ended(daemon: TestDaemon, reply: dict[str, Any]) -> None:
    status = daemon.wait_task(reply["data"])
    assert status["exitstatus"] == "OK", status


def by_hand(target: Path, *words: str | Path) -> float:
    """One file, made by a tool, removed afterwards."""
    target.parent.mkdir(exist_ok=True)
    took = timed(lambda: subprocess.run([*words], check=True, stdout=subprocess.DEVNULL))
    target.unlink()
    return took


def virt_clones(base: Path, times: int) -> list[float]:
    """Milliseconds of each `virt-clone` of a guest of libvirt's with that disk."""
    place = base.parent.parent / "by-hand"
    took = list[float]()
    with libvirt() as virsh:
        define(virsh, ORIGINAL, DOMAIN.format(disk=base), place)
        words = (
            "virt-clone",
            "--connect",
            "qemu:///system",
            "--quiet",
            "--original",
            ORIGINAL,
            "--name",
            COPY,
            "--file",
        )
        try:
            for _ in range(times):
                took.append(by_hand(place / "copy.qcow2", *words, place / "copy.qcow2"))
                forget(virsh, COPY)
        finally:
            forget(virsh, ORIGINAL)
    return took


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=20, help="linked clones; a fifth as many full ones")
    parser.add_argument("--data", type=int, default=256, help="MiB in the template")
    options = parser.parse_args()
    data = Path(tempfile.mkdtemp(prefix="tarmac-bench-"))
    data.chmod(0o711)
    daemon = TestDaemon(data)
    try:
        base = template(daemon.start(), options.data)
        hand = base.parent.parent / "by-hand" / "disk.qcow2"
        linked = Row("linked clone of 32 GiB", "ms", [], "qemu-img create -b")
        many = Row("linked clone, each of 10 in one call", "ms", [], "qemu-img create -b")
        full = Row(f"full clone, {options.data} MiB of data", "ms", [], "qemu-img convert, synced")
        copied = Row("the same", "ms", full.values, "cp --reflink=auto, synced")
        for _ in range(options.times):  # taken in turn, so that both see the same machine
            linked.values.append(ours(daemon, newid=101))
            create = ("qemu-img", "create", "-q", "-f", "qcow2", "-b", str(base), "-F", "qcow2", str(hand))
            linked.peer_values.append(by_hand(hand, *create))
        many.peer_values = linked.peer_values
        for _ in range(max(1, options.times // 5)):
            many.values.append(_ten(daemon))
            full.values.append(ours(daemon, newid=101, full=1))
            for row, copy in (
                (full, f"qemu-img convert -f qcow2 -O qcow2 {base} {hand}"),
                (copied, f"cp --reflink=auto {base} {hand}"),
            ):
                row.peer_values.append(by_hand(hand, "sh", "-c", f"{copy} && sync {hand}"))
        rows = [linked, many, full, copied]
        if shutil.which("virt-clone") and installed():
            rows.append(Row("the same", "ms", full.values, "virt-clone", virt_clones(base, len(full.values))))
        report("clones", rows)
    finally:
        daemon.remove()
        shutil.rmtree(data, ignore_errors=True)


def _ten(daemon: TestDaemon) -> float:
    took = timed(
        lambda: _ended(daemon, daemon.reply("POST", f"{daemon.qemu}/{TEMPLATE}/clone", wait=600, newid=101, count=10))
    )
    for vmid in range(101, 111):
        daemon.task("DELETE", f"{daemon.qemu}/{vmid}")
    return took / 10


if __name__ == "__main__":
    main()
