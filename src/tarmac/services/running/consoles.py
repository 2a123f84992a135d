"""A guest's screen, keyboard and serial ports, as far as people and programs look at them.

VNC and serial ports are sockets in the guest's runtime directory, which belongs to the guest's own user: what comes
from there (a picture's file, too) is treated as the guest's. Sessions over the web are in
`services.running.console_sessions`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import secrets
import stat
from collections.abc import Callable
from pathlib import Path

from tarmac.drivers.qemu.console import SerialHub, open_stream
from tarmac.drivers.qemu.qmp import Qmp
from tarmac.model.errors import Fix, HostFailure, InvalidInput, Unavailable, WrongState
from tarmac.model.lifecycle import not_running
from tarmac.services.guests.guests import Guests

SCREEN_LIMIT = 64 << 20
QMP_SECONDS = 4.0
SERIAL_PORTS = 4
PASSWORD_LENGTH = 8
"""VNC looks at no more."""
_KEY = re.compile(r"[a-z0-9_]{1,20}(-[a-z0-9_]{1,20}){0,9}")
_ALPHABET = "abcdefghijkmnopqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"


class Consoles:
    """One object for all guests. `attach` and `detach` are the runtime's calls; `detached` hears of ends."""

    def __init__(self, *, guests: Guests) -> None:
        self._guests = guests
        self._directories: dict[int, Path] = {}
        self._hubs: dict[tuple[int, int], SerialHub] = {}
        self.detached: list[Callable[[int], None]] = []

    def attach(self, vmid: int, directory: Path) -> None:
        """A guest runs; its sockets are in `directory`. Its serial ports are read from now on, watched or not, so
        that nothing it says is lost and it never waits for a reader."""
        self._directories[vmid] = directory
        for index in range(SERIAL_PORTS):
            path = directory / f"serial{index}.sock"
            if path.exists():
                self._hubs[(vmid, index)] = SerialHub(path)

    def detach(self, vmid: int) -> None:
        """A guest has ended (or the daemon lets go of it): its consoles end."""
        self._directories.pop(vmid, None)
        for key in [key for key in self._hubs if key[0] == vmid]:
            self._hubs.pop(key).close()
        for listener in self.detached:
            listener(vmid)

    # -- keyboard and screen ------------------------------------------------------------------------------------

    async def send_key(self, vmid: int, keys: str) -> None:
        """Press keys together, by QEMU's names: `ctrl-alt-f1`. Raises InvalidInput for what is no key, WrongState."""
        if not _KEY.fullmatch(keys):
            raise InvalidInput.of("key", "value does not look like keys, such as ctrl-alt-f1")
        monitor = self._monitor(vmid)
        try:
            async with monitor.within(QMP_SECONDS):
                await monitor.send_key(keys.split("-"))
        except HostFailure as problem:
            raise InvalidInput.of("key", problem.evidence or problem.message, code="no-such-key") from problem

    async def screenshot(self, vmid: int) -> bytes:
        """What the screen shows, as PNG. Raises WrongState (not running, or no display), HostFailure."""
        monitor = self._monitor(vmid)
        path = self._directory(vmid) / f"screen-{secrets.token_hex(8)}.png"
        try:
            async with monitor.within(QMP_SECONDS):
                await monitor.screendump(path)
            return await asyncio.to_thread(_read_picture, path, self._guests.get(vmid).uid)
        except HostFailure as problem:
            if problem.error_code == "no-picture":
                raise
            raise WrongState(
                f"VM {vmid} has no screen to show",
                code="no-display",
                cause="QEMU cannot take a picture of it",
                evidence=problem.evidence or problem.message,
                fixes=[Fix(text="give the guest a graphics card", action="PUT .../config", parameters={"vga": "std"})],
            ) from problem
        finally:
            await asyncio.to_thread(_remove, path)

    # -- VNC ----------------------------------------------------------------------------------------------------

    async def vnc_password(self, vmid: int, seconds: int) -> str:
        """A new VNC password, good for the next `seconds`. Raises WrongState when the guest is stopped or has no
        display."""
        password = "".join(secrets.choice(_ALPHABET) for _ in range(PASSWORD_LENGTH))
        monitor = self._monitor(vmid)
        try:
            async with monitor.within(QMP_SECONDS):
                await monitor.set_password(password)
                await monitor.expire_password(f"+{seconds}")
        except HostFailure as problem:
            raise WrongState(
                f"VM {vmid} has no VNC display",
                code="no-display",
                cause="its configuration says so (vga: none, or a serial port as its terminal)",
                evidence=problem.evidence or problem.message,
                fixes=[Fix(text="use the serial console", action="POST .../termproxy")],
            ) from problem
        return password

    async def open_vnc(self, vmid: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection to the guest's VNC server. Raises WrongState, Unavailable."""
        path = self._directory(vmid) / "vnc.sock"
        try:
            async with asyncio.timeout(QMP_SECONDS):
                return await open_stream(path)
        except (OSError, TimeoutError) as problem:
            raise Unavailable(
                f"the VNC server of VM {vmid} does not answer", cause="QEMU is busy or ending", evidence=str(problem)
            ) from problem

    # -- serial ports -------------------------------------------------------------------------------------------

    def serial_port(self, vmid: int, wanted: str | None = None) -> int:
        """The serial port to talk to: the wanted one (`serial1`), the one that is the terminal, or the first.

        Raises WrongState when the guest is stopped or has none."""
        config = self._guests.get(vmid).config
        self._directory(vmid)
        ports = [index for index, text in config.serial.items() if text == "socket"]
        if wanted is None and str(config.vga.type).startswith("serial"):
            wanted = str(config.vga.type)
        index = int(wanted.removeprefix("serial")) if wanted else (ports[0] if ports else -1)
        if index not in ports:
            raise WrongState(
                "unable to find a serial interface",
                code="no-serial",
                cause=f"VM {vmid} has no {wanted or 'serial port'} that is a socket",
                evidence=f"serial ports: {', '.join(f'serial{i}' for i in config.serial) or 'none'}",
                fixes=[Fix(text="give it one", action="PUT .../config", parameters={"serial0": "socket"})],
            )
        return index

    def serial(self, vmid: int, index: int) -> SerialHub:
        """The serial port's hub, which many may watch. Raises WrongState when there is none now."""
        self._directory(vmid)
        hub = self._hubs.get((vmid, index))
        if hub is None:
            raise WrongState(
                "unable to find a serial interface",
                code="no-serial",
                cause=f"serial{index} was added after the guest was started",
                evidence=f"VM {vmid} runs without it",
                fixes=[Fix(text="restart the guest", action="POST .../status/reboot")],
            )
        return hub

    # -- guests -------------------------------------------------------------------------------------------------

    def _directory(self, vmid: int) -> Path:
        self._guests.get(vmid)
        directory = self._directories.get(vmid)
        if directory is None:
            raise not_running(vmid)
        return directory

    def _monitor(self, vmid: int) -> Qmp:
        guest = self._guests.get(vmid)
        if guest.process is None:
            raise not_running(vmid)
        return guest.process.monitor()


def _read_picture(path: Path, uid: int | None) -> bytes:
    """A file that QEMU wrote, as a file of a stranger: no links, no devices, no other owner, bounded."""
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        found = os.fstat(fd)
        owner = os.geteuid() if uid is None else uid
        if not stat.S_ISREG(found.st_mode) or found.st_uid != owner or found.st_nlink != 1:
            raise HostFailure("the picture is not what QEMU was asked for", code="no-picture", evidence=str(path))
        data = b""
        while chunk := os.read(fd, 1 << 20):
            data += chunk
            if len(data) > SCREEN_LIMIT:
                raise HostFailure(
                    "the picture is too large", code="no-picture", evidence=f"more than {SCREEN_LIMIT} bytes"
                )
        return data
    finally:
        os.close(fd)


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink()
