"""A guest started by plain QEMU, without the platform: for tests of the images themselves.

TCG, the strict sandbox, an unprivileged user where the test runs as root. The serial line and the agent are sockets.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SANDBOX = "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"
_UID = 261_900
_SOCKETS = ("serial", "qga", "qmp")
_DISKS = {
    "virtio": ("-device", "virtio-blk-pci,drive=disk0,bootindex=1"),
    "scsi": ("-device", "virtio-scsi-pci,id=scsi0", "-device", "scsi-hd,bus=scsi0.0,drive=disk0,bootindex=1"),
    "ide": ("-device", "ide-hd,bus=ide.0,drive=disk0,bootindex=1"),
    "sata": ("-device", "ahci,id=sata0", "-device", "ide-hd,bus=sata0.0,drive=disk0,bootindex=1"),
}


@dataclass
class ConsoleGuest:
    """One running guest. `console` grows with what its serial line says."""

    process: asyncio.subprocess.Process
    directory: Path
    serial_reader: asyncio.StreamReader
    serial_writer: asyncio.StreamWriter
    agent_reader: asyncio.StreamReader
    agent_writer: asyncio.StreamWriter
    qmp_reader: asyncio.StreamReader
    qmp_writer: asyncio.StreamWriter
    console: str = ""

    async def wait_for(self, text: str) -> None:
        """Returns when the serial line has said `text`; the caller limits the time."""
        while text not in self.console:
            data = await self.serial_reader.read(4096)
            if not data:
                raise AssertionError(f"the guest ended without saying {text!r}:\n{self.console[-2000:]}")
            self.console += data.decode(errors="replace")

    def type(self, line: str) -> None:
        """Types a line on the serial console."""
        self.serial_writer.write(line.encode() + b"\n")

    async def qmp(self, command: str, **arguments: Any) -> Any:
        self.qmp_writer.write(json.dumps({"execute": command, "arguments": arguments}).encode())
        while True:
            reply = json.loads(await self.qmp_reader.readline())
            if "event" not in reply:
                return reply["return"]

    async def agent(self, command: str, **arguments: Any) -> Any:
        """One guest agent command's return value; fails on an error."""
        await self.agent_send(command, **arguments)
        reply = json.loads((await self.agent_reader.readline()).lstrip(b"\xff"))
        assert "error" not in reply, reply
        return reply["return"]

    async def agent_send(self, command: str, **arguments: Any) -> None:
        """Sends a command without waiting for an answer (guest-shutdown gives none)."""
        self.agent_writer.write(json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n")
        await self.agent_writer.drain()

    async def run(self, *argv: str) -> tuple[int, str]:
        """A program in the guest by the agent: exit code, and both outputs together."""
        started = await self.agent("guest-exec", path=argv[0], arg=list(argv[1:]), **{"capture-output": True})
        while True:
            status = await self.agent("guest-exec-status", pid=started["pid"])
            if status["exited"]:
                output = [base64.b64decode(status.get(key, "")).decode() for key in ("out-data", "err-data")]
                return status["exitcode"], "".join(output)
            await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def console_guest(
    image: Path,
    *more: str,
    disk: str = "virtio",
    machine: str = "pc",
    cpu: str = "qemu64",
    memory: int = 256,
    uefi: bool = False,
    seed: Mapping[str, str] | None = None,
    size: str = "",
) -> AsyncIterator[ConsoleGuest]:
    """Boots an overlay of `image` and returns at once, when QEMU runs; ended at the end of the block.

    `seed` are the files of a NoCloud drive, `size` makes the disk larger."""
    directory = Path(tempfile.mkdtemp(prefix="tm-boot-", dir="/tmp"))
    process = None
    try:
        directory.chmod(0o711)
        overlay = directory / "disk.qcow2"
        backing = ("-b", image, "-F", "qcow2")
        subprocess.run(
            ["qemu-img", "create", "-q", "-f", "qcow2", *backing, overlay, *([size] if size else [])], check=True
        )
        for socket in _SOCKETS:
            (directory / socket).mkdir(mode=0o700)
        extra = [*(_firmware(directory) if uefi else ()), *(_seed_drive(directory, seed) if seed else ())]
        _give(directory)
        process = await asyncio.create_subprocess_exec(
            *_argv(directory, overlay, disk, machine, cpu, memory),
            *extra,
            *more,
            stdin=asyncio.subprocess.DEVNULL,
            **_identity(),
        )
        streams: list[Any] = []
        for socket in _SOCKETS:  # in the order of the arguments: QEMU waits for each
            streams += await _connect(directory / socket / "s", process)
        guest = ConsoleGuest(process, directory, *streams)
        await guest.qmp_reader.readline()
        await guest.qmp("qmp_capabilities")
        yield guest
        for stream in (guest.agent_writer, guest.serial_writer, guest.qmp_writer):
            stream.close()
    finally:
        if process is not None and process.returncode is None:
            process.kill()
            await process.wait()
        shutil.rmtree(directory)


def _argv(directory: Path, overlay: Path, disk: str, machine: str, cpu: str, memory: int) -> list[str]:
    bus = _DISKS["sata"][2:] if disk == "sata" and machine == "q35" else _DISKS[disk]
    if disk == "sata" and machine == "q35":
        bus = ("-device", "ide-hd,bus=ide.0,drive=disk0,bootindex=1")
    return [
        *("qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none", "-sandbox", SANDBOX),
        *("-machine", machine, "-accel", "tcg", "-cpu", cpu, "-m", str(memory)),
        *("-drive", f"file={overlay},format=qcow2,if=none,id=disk0", *bus),
        *("-chardev", f"socket,id=serial,path={directory}/serial/s,server=on,wait=on", "-serial", "chardev:serial"),
        *("-chardev", f"socket,id=qga,path={directory}/qga/s,server=on,wait=on"),
        *("-device", "virtio-serial-pci", "-device", "virtserialport,chardev=qga,name=org.qemu.guest_agent.0"),
        *("-qmp", f"unix:{directory}/qmp/s,server=on,wait=on"),
    ]


def _firmware(directory: Path) -> list[str]:
    """OVMF with variables of its own."""
    code, variables = "/usr/share/OVMF/OVMF_CODE_4M.fd", directory / "vars.fd"
    shutil.copyfile("/usr/share/OVMF/OVMF_VARS_4M.fd", variables)
    return [
        *("-drive", f"if=pflash,unit=0,format=raw,readonly=on,file={code}"),
        *("-drive", f"if=pflash,unit=1,format=raw,file={variables}"),
    ]


def _seed_drive(directory: Path, files: Mapping[str, str]) -> list[str]:
    """A NoCloud CD on the second IDE channel (the third AHCI port of q35)."""
    tree, image = directory / "seed", directory / "seed.iso"
    tree.mkdir()
    for name, text in files.items():
        (tree / name).write_text(text)
    subprocess.run(["genisoimage", "-quiet", "-J", "-R", "-V", "cidata", "-o", image, tree], check=True)
    return [
        "-drive",
        f"if=none,id=seed,media=cdrom,readonly=on,format=raw,file={image}",
        "-device",
        "ide-cd,bus=ide.1,drive=seed",
    ]


def _identity() -> dict[str, Any]:
    return {"user": _UID, "group": _UID, "extra_groups": []} if os.geteuid() == 0 else {}


def _give(directory: Path) -> None:
    if os.geteuid() == 0:
        for path in directory.iterdir():
            os.chown(path, _UID, _UID)


async def _connect(path: Path, process: asyncio.subprocess.Process) -> tuple[Any, Any]:
    while True:
        try:
            return await asyncio.open_unix_connection(str(path))
        except (FileNotFoundError, ConnectionRefusedError):
            assert process.returncode is None, "QEMU ended at once"
            await asyncio.sleep(0.01)
