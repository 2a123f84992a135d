"""QEMU started by hand with the words that the platform starts it with: the peer of every start.

The words come from `showcmd`. What only the platform can give is replaced: the monitor's inherited descriptor by a
null device, the runtime directory by one of our own. Everything else is the same, the sandbox and the disk included.
"""

from __future__ import annotations

import contextlib
import re
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from common import TestDaemon

CONNECT_SECONDS = 30.0
SERIAL = "serial0.sock"
SYSTEM = b"tarmac tiny starts"
_INHERITED = re.compile(r"socket,(.*?)fd=\d+(.*)")


def words_of(daemon: TestDaemon, vmid: int, directory: Path) -> list[str]:
    """The command line of a guest of the daemon's for a process of ours, its sockets in `directory`."""
    argv: list[str] = daemon.get(f"{daemon.qemu}/{vmid}/showcmd")["argv"]
    own = next(m[1] for word in argv if (m := re.search(r"path=([^,]+)/qmp\.sock", word)))
    return [_own(word.replace(own, str(directory))) for word in argv]


def _own(word: str) -> str:
    found = _INHERITED.fullmatch(word)
    if not found:
        return word
    name = re.search(r"id=[^,]+", word)
    return f"null,{name[0]}" if name else "null"


@contextlib.contextmanager
def started(argv: Sequence[str], directory: Path) -> Iterator[subprocess.Popen[bytes]]:
    """QEMU as our child; ended afterwards."""
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def connect(path: Path, process: subprocess.Popen[bytes]) -> socket.socket:
    """The socket that QEMU makes, as soon as it is there. Raises AssertionError when it does not come."""
    end = time.monotonic() + CONNECT_SECONDS
    while True:
        sock = socket.socket(socket.AF_UNIX)
        with contextlib.suppress(FileNotFoundError, ConnectionRefusedError):
            sock.connect(str(path))
            return sock
        sock.close()
        assert time.monotonic() < end, f"QEMU makes no socket {path.name}"
        assert process.poll() is None, f"QEMU ended: {(path.parent / 'log').read_text()}"
        time.sleep(0.005)


@contextlib.contextmanager
def directory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="tarmac-bench-") as name:
        yield Path(name)


def first_words(receive: Callable[[], bytes], begun: float) -> tuple[float, float]:
    """Seconds since `begun` until the port's first byte (SeaBIOS says something where the machine has no screen), and
    until the system inside speaks: the tiny guest's kernel is quiet, so that is its first process."""
    got, first = b"", 0.0
    while SYSTEM not in got:
        part = receive()
        assert part, f"the guest ended after {got!r}"
        first = first or time.perf_counter() - begun
        got += part
    return first, time.perf_counter() - begun


def serial_words(daemon: TestDaemon, vmid: int) -> tuple[float, float]:
    """`first_words` of a guest that is started by hand."""
    with directory() as place:
        argv = words_of(daemon, vmid, place)
        begun = time.perf_counter()
        with started(argv, place) as process, connect(place / SERIAL, process) as serial:
            return first_words(lambda: serial.recv(4096), begun)


def agent_answers(daemon: TestDaemon, vmid: int) -> float:
    """Seconds from the start of QEMU by hand until its guest's agent answers a ping."""
    with directory() as place:
        argv = words_of(daemon, vmid, place)
        begun = time.perf_counter()
        with started(argv, place) as process, connect(place / "qga.sock", process) as agent:
            agent.settimeout(0.2)
            got = b""
            while b"return" not in got:
                # Questions wait in the socket until the agent is there; a full one holds enough of them.
                with contextlib.suppress(TimeoutError):
                    agent.sendall(b'{"execute":"guest-ping"}\n')
                    got = agent.recv(4096)
            return time.perf_counter() - begun


def runs(daemon: TestDaemon, vmids: Sequence[int]) -> float:
    """Seconds from the start of so many QEMUs, all at once, until each answers its monitor."""
    with contextlib.ExitStack() as stack:
        places = [stack.enter_context(directory()) for _ in vmids]
        lines = [words_of(daemon, vmid, place) for vmid, place in zip(vmids, places, strict=True)]
        begun = time.perf_counter()
        processes = [stack.enter_context(started(*pair)) for pair in zip(lines, places, strict=True)]
        for place, process in zip(places, processes, strict=True):
            with connect(place / "qmp.sock", process) as monitor:
                assert monitor.recv(1 << 16), "no greeting"
        return time.perf_counter() - begun
