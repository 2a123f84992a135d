"""From the request to start a guest to its first word on the serial port, beside QEMU by hand and `virsh start`.

    .venv/bin/python benchmarks/start_to_serial.py [--runs 5] [--no-virsh]

The tiny guest (built once), the same disk for all. Ours is seen as a user sees it: POST status/start over the unix
socket, then the console over the API. Ours and its peer take turns, so that the machine's mood hits both alike; libvirt
has a series of its own with pauses, because it goes on working for a while after a domain has ended.
"""

from __future__ import annotations

import argparse
import contextlib
import socket
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import by_hand
import libvirt_peer
from common import Row, TestDaemon, daemon_with, report

from support.images import built_image
from tarmac.faces.cli.session import Session
from tarmac.faces.cli.websocket import WebSocket
from tarmac.faces.cli.written.console import connect as connect_console

VMID = 9000
NAME = f"{libvirt_peer.NAME}serial"
SETTLE_SECONDS = 2.0
# What `virt-install` writes for such a guest (USB controller, tablet, random numbers, agent's channel), emulated, with
# the serial port as a socket.
DOMAIN = """<domain type='qemu'><name>{name}</name><memory unit='MiB'>128</memory><vcpu>1</vcpu>
<os><type arch='x86_64' machine='pc'>hvm</type><boot dev='hd'/></os><features><acpi/><apic/></features>
<cpu mode='custom'><model>qemu64</model></cpu><devices><emulator>/usr/bin/qemu-system-x86_64</emulator>
<controller type='scsi' model='virtio-scsi'/><controller type='usb' model='piix3-uhci'/><memballoon model='virtio'/>
<input type='tablet' bus='usb'/><rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>
<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>
<disk type='file' device='disk'><driver name='qemu' type='qcow2' cache='none' io='native'/><source file='{disk}'/>
<target dev='sda' bus='scsi'/></disk><video><model type='none'/></video>
<serial type='unix'><source mode='bind' path='{serial}'/><target port='0'/></serial></devices></domain>"""


def ours(daemon: TestDaemon) -> tuple[float, float, float]:
    """Seconds to the first byte, to the system's first word, and until the start's task had ended."""
    guest, begun = f"{daemon.qemu}/{VMID}", time.perf_counter()
    daemon.post(f"{guest}/status/start", wait=60)
    started = time.perf_counter() - begun
    console = connect_console(_session(daemon), guest, None)
    early = [console.early] if console.early else []
    words = by_hand.first_words(lambda: early.pop() if early else _received(console), begun)
    console.close()
    daemon.task("POST", f"{guest}/status/stop")
    return *words, started


def _received(console: WebSocket) -> bytes:
    got = b""
    while not got and not console.closed:
        got = b"".join(console.receive())
    return got


def _session(daemon: TestDaemon) -> Session:
    words = {"output": "table", "quiet": True, "data_dir": daemon.data}
    return Session(argparse.Namespace(**words, url=None, token=None, fingerprint=None, insecure=False))


def virsh_start(virsh: libvirt_peer.Virsh, disk: Path) -> float:
    with tempfile.TemporaryDirectory(prefix="tarmac-bench-") as name:
        place = Path(name)
        libvirt_peer.define(virsh, NAME, DOMAIN.format(name=NAME, disk=disk, serial=place / by_hand.SERIAL), place)
        begun = time.perf_counter()
        virsh.timed(f"start {NAME}")
        try:
            with socket.socket(socket.AF_UNIX) as serial:
                serial.connect(str(place / by_hand.SERIAL))
                return by_hand.first_words(lambda: serial.recv(4096), begun)[1]
        finally:
            libvirt_peer.forget(virsh, NAME)


def _keep(took: dict[str, list[float]], figures: dict[str, float]) -> None:
    for what, seconds in figures.items():
        took[what].append(seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--no-virsh", action="store_true")
    options = parser.parse_args()
    image = built_image("tiny")
    took: dict[str, list[float]] = defaultdict(list)
    with contextlib.ExitStack() as stack:
        daemon = stack.enter_context(daemon_with(0))
        daemon.create(VMID, daemon.add_image(image))
        disk = next(daemon.data.glob(f"storage/images/{VMID}/*.qcow2"))
        for turn in range(options.runs + 1):
            first, system, task = ours(daemon)
            hand_first, hand_system = by_hand.serial_words(daemon, VMID)
            figures = {"first": first, "system": system, "task": task}
            figures |= {"hand-first": hand_first, "hand-system": hand_system}
            _keep(took, figures if turn else {})  # the first turn fills the page cache
        if libvirt_peer.installed() and not options.no_virsh:
            virsh = stack.enter_context(libvirt_peer.libvirt())
            for _ in range(options.runs):
                time.sleep(SETTLE_SECONDS)
                _keep(took, {"virsh": virsh_start(virsh, disk)})
                time.sleep(SETTLE_SECONDS)
                _keep(took, {"beside-virsh": ours(daemon)[1]})
    by_hand_name, system = "QEMU by hand, same argv", "start request to the system's first word"
    rows = [
        Row("start request to the end of its task", "s", took["task"]),
        Row("start request to the firmware's first byte", "s", took["first"], by_hand_name, took["hand-first"]),
        Row(system, "s", took["system"], by_hand_name, took["hand-system"]),
    ]
    if took["virsh"]:
        rows.append(Row(system, "s", took["beside-virsh"], "virsh start", took["virsh"]))
    report("start_to_serial", rows)


if __name__ == "__main__":
    main()
