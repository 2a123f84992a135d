"""Starts real QEMU, paused, with a built command line, asks it what it made of it, and ends it.

KVM's cases run emulated here, without `enforce` and without the Hyper-V words, which need KVM; those are looked up
among the CPU's properties instead. So every word of a line is known to QEMU; what KVM does with it is not tested.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import json
import os
import re
import shutil
import socket
import struct
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tarmac.drivers.qemu.argv import Launch, build
from tarmac.drivers.qemu.argv.show import volume_path
from tarmac.drivers.qemu.facts import LaunchFacts, NodeFacts, VolumeFacts
from tarmac.drivers.qemu.live.memory import create_memory
from tarmac.model.conf_file import parse_conf
from tarmac.model.devices import Bios
from tarmac.model.ids import VolumeId
from tarmac.model.units import MIB
from tarmac.model.vm import VmConfig

_TUNSETIFF = 0x400454CA
_TAP_FLAGS = 0x5002  # IFF_TAP | IFF_NO_PI | IFF_VNET_HDR
_MULTI_QUEUE = 0x0100
_EFI_BYTES = {"2m": 131072, "4m": 540672}
# QEMU says so for each feature of a named model that emulation lacks; the builder notes it. From 9.1 on it calls old
# machine types deprecated; Windows and pinned guests keep theirs all the same, as with Proxmox.
_EXPECTED = re.compile(
    r"warning: (TCG doesn't support requested feature|.*xAPIC|.*not backed by KVM|Machine type '[\w.-]+' is deprecated)"
)


_HYPERV = re.compile(r",(hv_[a-z_]+)(=\w+)?")


class NoTaps(Exception):
    """This user may not make tap devices."""


@dataclass
class Answer:
    """What QEMU said: its state, the ids of its devices, its block nodes, and unexpected words on stderr."""

    status: str
    devices: set[str]
    nodes: set[str]
    uuid: str
    complaints: list[str]


def ask_qemu(text: str, node: NodeFacts) -> tuple[Launch, Answer]:
    """Build the line for a configuration with real files and descriptors, start it, ask, quit."""
    config = VmConfig.parse(parse_conf(text).current)
    with contextlib.ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tma")))
        ours, theirs = socket.socketpair()
        stack.enter_context(ours)
        stack.enter_context(theirs)
        fds = {"qmp": theirs.fileno(), **stack.enter_context(_taps(config))}
        if config.instant:
            fds["ram"] = create_memory("test", config.memory_mib * MIB)
            stack.callback(os.close, fds["ram"])
        volumes = _volumes(config, node, directory)
        launch = LaunchFacts(vmid=100, runtime_dir=str(directory), volumes=volumes, fds=fds, paused=True)
        built = build(config, replace(node, vhost_net=False), launch)
        argv = [_emulated(word) for word in built.argv]
        return built, _ask(argv, tuple(fds.values()), ours, theirs, built, directory)


def _emulated(word: str) -> str:
    # Memory is not filled: a generated guest may have more of it than this host.
    word = word.replace("prealloc=on", "prealloc=off")
    return "tcg" if word == "kvm" else _HYPERV.sub("", word.replace(",enforce", ""))


def _ask(
    argv: list[str], fds: tuple[int, ...], ours: socket.socket, theirs: socket.socket, launch: Launch, directory: Path
) -> Answer:
    log = directory / "log"
    with log.open("wb") as sink:
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink, pass_fds=fds)
    theirs.close()  # so that our end sees the end when QEMU refuses the line
    try:
        ours.settimeout(30)
        with ours.makefile("rwb") as stream:
            if not stream.readline():
                process.wait(10)
                raise AssertionError(f"QEMU refused: {log.read_text()}\n{' '.join(argv)}")
            _execute(stream, "qmp_capabilities")
            for step in launch.setup:
                if step.command != "cont":
                    _execute(stream, step.command, **step.arguments)
            properties = _execute(stream, "device-list-properties", typename="qemu64-x86_64-cpu")
            unknown = {word.replace("_", "-") for word, _ in _HYPERV.findall(launch.cpu)} - {
                p["name"] for p in properties
            }
            answer = Answer(
                status=_execute(stream, "query-status")["status"],
                devices={d["name"] for d in _execute(stream, "qom-list", path="/machine/peripheral")},
                nodes={n["node-name"] for n in _execute(stream, "query-named-block-nodes", flat=True)},
                uuid=_execute(stream, "query-uuid")["UUID"],
                complaints=[f"{word} is no property of a CPU" for word in sorted(unknown)],
            )
            _execute(stream, "quit")
        process.wait(10)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    answer.complaints += [line for line in log.read_text().splitlines() if not _EXPECTED.search(line)]
    return answer


def _execute(stream: Any, command: str, **arguments: Any) -> Any:
    stream.write(json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n")
    stream.flush()
    while True:
        line = stream.readline()
        assert line, f"QEMU ended at {command}"
        reply = json.loads(line)
        if "error" in reply:
            raise AssertionError(f"{command}: {reply['error']}")
        if "return" in reply:
            return reply["return"]


@contextlib.contextmanager
def _taps(config: VmConfig) -> Iterator[dict[str, int]]:
    """A tap for each card on a bridge; it goes away with its descriptors."""
    with contextlib.ExitStack() as stack:
        fds = {}
        for index, nic in config.net.items():
            if nic.bridge is None:
                continue
            queues = nic.queues if nic.queues and nic.model == "virtio" else 1
            name = b"tmtest%d"
            for queue in range(queues):
                try:
                    tun = stack.enter_context(Path("/dev/net/tun").open("r+b", buffering=0))
                    flags = _TAP_FLAGS | (_MULTI_QUEUE if queues > 1 else 0)
                    request = fcntl.ioctl(tun, _TUNSETIFF, struct.pack("16sH22x", name, flags))
                except OSError as problem:
                    raise NoTaps(str(problem)) from problem
                name = request[:16].rstrip(b"\0")
                fds[f"net{index}" + (f"-{queue}" if queue else "")] = tun.fileno()
        yield fds


def _volumes(config: VmConfig, node: NodeFacts, directory: Path) -> dict[str, VolumeFacts]:
    made = {}
    # The directory may be on a file system without direct access; that is not what is tested here.
    direct = _direct_io(directory)
    for key, file in config.volumes.items():
        if key.startswith("unused"):
            continue
        volume = VolumeId.parse(file)
        path, format_ = volume_path(volume, str(directory / volume.storage))
        size = _EFI_BYTES[config.efidisk0.efitype] if key == "efidisk0" and config.efidisk0 else 1 << 20
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        if not Path(path).exists():
            _create(path, format_, size)
        made[file] = VolumeFacts(path=path, format=format_, direct=direct)
    return made


_made: dict[tuple[str, int], bytes] = {}


def _create(path: str, format_: str, size: int) -> None:
    """An empty image; qemu-img runs once for each kind."""
    key = (format_, size)
    if key not in _made:
        subprocess.run(["qemu-img", "create", "-q", "-f", format_, path, str(size)], check=True)
        if size < 1 << 20 or format_ != "raw":
            _made[key] = Path(path).read_bytes()
        return
    Path(path).write_bytes(_made[key])


def _direct_io(directory: Path) -> bool:
    probe = directory / "probe"
    probe.write_bytes(b"\0" * 4096)
    try:
        os.close(os.open(probe, os.O_RDONLY | os.O_DIRECT))
    except OSError:
        return False
    return True


def absent_part(config: VmConfig) -> str:
    """What this machine has not installed and the configuration needs, "" when nothing; a start says so, too."""
    if config.bios is Bios.OVMF and config.efidisk0 is not None and config.efidisk0.efitype == "2m":
        return "" if Path("/usr/share/OVMF/OVMF_CODE.fd").exists() else "firmware of 2 MiB (gone since Debian 13)"
    if config.vga.type == "qxl" and not _devices_include("qxl-vga"):
        return "the device qxl-vga (Debian 13: package qemu-system-modules-spice)"
    return ""


@functools.cache
def _devices_include(name: str) -> bool:
    asked = ["qemu-system-x86_64", "-machine", "none", "-device", "help"]
    return f'"{name}"' in subprocess.run(asked, capture_output=True, text=True, check=True).stdout


def installed_version() -> str | None:
    """The version of this machine's QEMU, None when there is none."""
    if shutil.which("qemu-system-x86_64") is None:
        return None
    text = subprocess.run(["qemu-system-x86_64", "--version"], capture_output=True, text=True, check=True).stdout
    match = re.search(r"version (\d+\.\d+\.\d+)", text)
    return match[1] if match else None
