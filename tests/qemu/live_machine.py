"""A tiny guest, booted with its memory in a file, frozen and written to a live state volume; and clones of it."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import shutil
import signal
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tarmac.drivers.qemu.agent import Agent
from tarmac.drivers.qemu.argv import build
from tarmac.drivers.qemu.facts import LaunchFacts, NodeFacts, VolumeFacts
from tarmac.drivers.qemu.launch import prepare_runtime_dir
from tarmac.drivers.qemu.live import cpu, freeze, memory, state_file, stream
from tarmac.drivers.qemu.live.machine import RUNTIME, CloneFacts, Machine, clone_argv, record_machine
from tarmac.drivers.qemu.process import GuestProcess, qmp_pair, spawn
from tarmac.model.errors import TarmacError
from tarmac.model.units import MIB
from tarmac.model.vm import VmConfig

from .conftest import GUEST_UID, ROOT

DISK = "local:100/vm-100-disk-0.qcow2"
TEXTS = {
    "memory": "128",
    "instant": "1",
    "agent": "1",
    "scsihw": "virtio-scsi-single",
    "scsi0": DISK,
    "boot": "order=scsi0",
    "net0": "virtio=52:54:00:00:00:01",
    "serial0": "socket",
    "vga": "none",
    "vmgenid": "11111111-1111-1111-1111-111111111111",
}
MEMORY = 128 * MIB
NODE = NodeFacts(qemu_version="7.2.22")
IDENTITY: dict[str, Any] = {"uid": GUEST_UID, "gid": GUEST_UID} if ROOT else {}
OTHER_UID: dict[str, Any] = {"uid": GUEST_UID + 1, "gid": GUEST_UID + 1} if ROOT else {}


def overlay(path: Path, below: Path, uid: int = GUEST_UID) -> Path:
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", below, "-F", "qcow2", path], check=True)
    if ROOT:
        shutil.chown(path, uid)
    return path


def installed_node() -> NodeFacts:
    words = subprocess.run([NODE.qemu, "--version"], capture_output=True, text=True, check=True).stdout.split()
    return dataclasses.replace(NODE, qemu_version=words[3])


@dataclasses.dataclass(frozen=True)
class Frozen:
    """What a freeze leaves: the disk, the volume, the record, the device state; `pause` in seconds."""

    place: Path
    disk: Path
    base: Path
    volume: Path
    machine: Machine
    state: bytes
    pause: float
    notes: list[str]


async def boot(place: Path, name: str, disk: Path, base: Path, **changes: str) -> tuple[GuestProcess, Agent]:
    """The guest, started as the product starts it; its agent answers."""
    config = VmConfig.parse({**TEXTS, **changes})
    runtime = place / name
    prepare_runtime_dir(runtime, **IDENTITY)
    ours, theirs = qmp_pair()
    fds = {"qmp": theirs}
    if config.instant:
        fds["ram"] = memory.create_memory("test", MEMORY)
    volume = VolumeFacts(path=str(disk), format="qcow2", backing=VolumeFacts(path=str(base), format="qcow2"))
    facts = LaunchFacts(vmid=100, runtime_dir=str(runtime), volumes={DISK: volume}, fds=fds)
    argv = build(config, installed_node(), facts).argv
    guest = await spawn(argv, runtime_dir=runtime, qmp_socket=ours, pass_fds=tuple(fds.values()), **IDENTITY)
    agent = Agent(runtime / "qga.sock", label="VM 100")
    await answers(agent)
    return guest, agent


async def answers(agent: Agent, seconds: float = 90) -> None:
    async with asyncio.timeout(seconds):
        while True:
            try:
                await agent.ping(within=2)
                return
            except TarmacError:
                await asyncio.sleep(0.1)


def machine_of(base: Path, disk: Path, **changes: str) -> Machine:
    config = VmConfig.parse({**TEXTS, **changes})
    volume = VolumeFacts(path=str(disk), format="qcow2", backing=VolumeFacts(path=str(base), format="qcow2"))
    fds = {"qmp": 3, "ram": 4}
    node = installed_node()
    facts = LaunchFacts(vmid=100, runtime_dir=RUNTIME, volumes={DISK: volume}, fds=fds)
    return record_machine(build(config, node, facts), config, node.qemu_version)


async def make_frozen(place: Path, image: Path, **changes: str) -> Frozen:
    """Boot, leave traces in memory and on disk, freeze, write the volume, end the source."""
    disk = overlay(place / "vm-100-disk-0.qcow2", image)
    guest, agent = await boot(place, "100", disk, image, **changes)
    done = await agent.run(["/bin/sh", "-c", "echo in-memory >/run/mark; echo on-disk >/data/mark; hostname source"])
    assert done.exit_code == 0
    machine = await cpu.fixed(machine_of(image, disk, **changes), guest.monitor())
    state, notes = bytearray(), []
    async with freeze.held(guest, agent, notes.append) as hold:
        began = time.monotonic()
        await stream.save(guest, state.extend, without_ram=True)
        pause = time.monotonic() - began
        volume = place / "vm-100-state-live.raw"
        write_volume(volume, guest, machine, bytes(state))
        hold.ended = True
        await guest.monitor().quit()
        await guest.exited.wait()
    agent.close()
    await guest.close()
    disk.chmod(0o444)
    return Frozen(place, disk, image, volume, machine, bytes(state), pause, notes)


def write_volume(path: Path, guest: GuestProcess, machine: Machine, state: bytes) -> int:
    ram = memory.open_memory(guest.pid, guest.record.argv)
    assert ram is not None
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o640)
    try:
        return state_file.write(fd, {"machine": machine.as_record()}, {"state": state}, ram, MEMORY)
    finally:
        os.close(fd)
        os.close(ram)


@asynccontextmanager
async def clone(frozen: Frozen, ram: int, name: str, *, run: bool = True) -> AsyncIterator[tuple[GuestProcess, Agent]]:
    """A clone on a sealed memory file, as another user; ended afterwards."""
    runtime = frozen.place / name
    user = OTHER_UID.get("uid", GUEST_UID)
    prepare_runtime_dir(runtime, **OTHER_UID)
    top = overlay(frozen.place / f"{name}.qcow2", frozen.disk, user)
    ours, theirs = qmp_pair()
    fds = {"qmp": theirs, "ram": os.dup(ram)}
    bottom = VolumeFacts(path=str(frozen.base), format="qcow2")
    middle = VolumeFacts(path=str(frozen.disk), format="qcow2", backing=bottom)
    facts = CloneFacts(
        vmid=int(name),
        name=f"clone{name}",
        runtime_dir=str(runtime),
        uuid=f"22222222-2222-2222-2222-{int(name):012d}",
        generation=f"33333333-3333-3333-3333-{int(name):012d}",
        fds=fds,
        volumes={"scsi0": VolumeFacts(path=str(top), format="qcow2", backing=middle)},
    )
    argv = clone_argv(frozen.machine, facts, installed_node())
    guest = await spawn(argv, runtime_dir=runtime, qmp_socket=ours, pass_fds=tuple(fds.values()), **OTHER_UID)
    agent = Agent(runtime / "qga.sock", label=f"VM {name}")
    try:
        await stream.load(guest, frozen.state, without_ram=True)
        if run:
            await guest.monitor().cont()
        await stream.loaded(guest, without_ram=True)
        yield guest, agent
    finally:
        agent.close()
        guest.send_signal(signal.SIGCONT)
        await guest.kill()
        await guest.close()
        top.unlink()
        shutil.rmtree(runtime)
