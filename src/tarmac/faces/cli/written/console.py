"""`tarmac vm console`: a guest's serial console in this terminal.

The terminal is made raw, so that every key reaches the guest, Ctrl-C too; Ctrl-] leaves. The protocol is that of
Proxmox's termproxy: `user:ticket\\n`, then `OK`; then `0:<bytes>:<data>` for keys, `1:<columns>:<rows>:` when the
window changes, `2` to stay alive; what comes back is the console's raw output.
"""

from __future__ import annotations

import argparse
import os
import select
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlencode

from tarmac.faces.cli.client import BASE
from tarmac.faces.cli.errors import CliError
from tarmac.faces.cli.session import Session
from tarmac.faces.cli.websocket import WebSocket, upgrade
from tarmac.faces.cli.written.vm import guest_path

LEAVE = b"\x1d"
_PING_SECONDS = 30.0
_ANSWER_SECONDS = 10.0


def console_options(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:
    parser.add_argument("guest", metavar="GUEST", help="number or name")
    parser.add_argument(
        "--serial", choices=("serial0", "serial1", "serial2", "serial3"), help="which port (default: serial0)"
    )
    parser.add_argument("--node", help="the guest's node")


def console(session: Session) -> int:
    """Connect the terminal to the guest until Ctrl-], the end of the input or the end of the console."""
    socket = connect(session, guest_path(session, session.options.guest), session.options.serial)
    try:
        with raw_terminal(sys.stdin.fileno()) as terminal:
            if terminal:
                session.say(f"Connected to guest {session.options.guest}. Ctrl-] leaves; Enter wakes a silent login.\r")
            talk(socket, sys.stdin.fileno(), sys.stdout.fileno(), resize=terminal)
    except OSError as error:
        raise CliError("unavailable", "the console's connection broke", evidence=str(error)) from error
    finally:
        socket.close()
    session.say("\nleft the console; the guest goes on")
    return 0


def connect(session: Session, guest: str, serial: str | None) -> WebSocket:
    """Ask for a console and open it, up to the server's `OK`. Raises CliError."""
    client = session.client
    got: dict[str, Any] = client.post(f"{guest}/termproxy", {"serial": serial})
    query = urlencode({"port": got["port"], "vncticket": got["ticket"]})
    socket = upgrade(client, f"{BASE}{guest}/vncwebsocket?{query}", client.headers())
    socket.socket.settimeout(_ANSWER_SECONDS)
    try:
        socket.send(f"{got['user']}:{got['ticket']}\n".encode())
        first = b""
        messages = socket.drain()
        while not first.startswith(b"OK"):
            if socket.closed or len(first) > 64:
                raise CliError("error", "the console refused the ticket", evidence=repr(first[:64]))
            messages = messages or socket.receive()
            first += b"".join(messages)
            messages = []
    except OSError as error:
        socket.close()
        raise CliError("unavailable", "the console does not answer", evidence=str(error)) from error
    socket.early = first[2:]
    socket.socket.settimeout(None)
    return socket


def talk(socket: WebSocket, keys: int, screen: int, *, resize: bool) -> None:
    """Carry keys and output until one side ends. Raises OSError when the connection breaks."""
    _write(screen, b"".join([socket.early, *socket.drain()]))
    with window_changes(resize) as changes:
        if resize:
            socket.send(_size(screen))
        watched = [socket.fileno(), keys, changes]
        last_sent = time.monotonic()
        while not socket.closed:
            ready = [socket.fileno()] if socket.pending() else select.select(watched, [], [], _PING_SECONDS)[0]
            if changes in ready:
                os.read(changes, 4096)
                socket.send(_size(screen))
            if keys in ready:
                typed = os.read(keys, 4096)
                before, left, _ = typed.partition(LEAVE)
                if before:
                    socket.send(b"0:%d:%s" % (len(before), before))
                if left:
                    return
                if not typed:
                    watched.remove(keys)  # the input's end: what the guest still says is shown until it falls silent
                    _finish(socket, screen)
                    return
            if time.monotonic() - last_sent > _PING_SECONDS:
                last_sent = time.monotonic()
                socket.send(b"2")
            if socket.fileno() in ready:
                for message in socket.receive():
                    _write(screen, message)


def _finish(socket: WebSocket, screen: int, silence: float = 1.0) -> None:
    while not socket.closed and (socket.pending() or select.select([socket.fileno()], [], [], silence)[0]):
        for message in socket.receive():
            _write(screen, message)


def _write(screen: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(screen, view) :]


def _size(screen: int) -> bytes:
    try:
        columns, rows = os.get_terminal_size(screen)
    except OSError:
        columns, rows = 80, 24
    return f"1:{columns}:{rows}:".encode()


@contextmanager
def raw_terminal(keys: int) -> Iterator[bool]:
    """Make the terminal raw and give it back as it was. Yields whether there is one."""
    if not os.isatty(keys):
        yield False
        return
    import termios
    import tty

    before = termios.tcgetattr(keys)
    try:
        tty.setraw(keys)
        yield True
    finally:
        termios.tcsetattr(keys, termios.TCSADRAIN, before)


@contextmanager
def window_changes(wanted: bool) -> Iterator[int]:
    """A descriptor that becomes readable when the window changes its size. A pipe, because `select` goes on after a
    signal as if nothing had been."""
    reading, writing = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    before: Any = None
    try:
        if wanted:
            before = signal.signal(signal.SIGWINCH, lambda *_: os.write(writing, b"w"))
        yield reading
    finally:
        if wanted:
            signal.signal(signal.SIGWINCH, before)
        os.close(reading)
        os.close(writing)
