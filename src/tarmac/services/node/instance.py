"""One daemon's home: its data directory, its id, its runtime directory, and the lock that keeps a second daemon out."""

from __future__ import annotations

import fcntl
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from tarmac.lib import places
from tarmac.lib.files import failure_of, write_atomic
from tarmac.model.errors import Busy, Fix

LOCK = "lock"
DEFAULT = "default"
_DIRECTORIES = ("tasks", "guests", "pki", "storage", "cache")


@dataclass(frozen=True, slots=True)
class Instance:
    """`id` goes into the names of everything this daemon makes on the host; `default` is the one that may use
    Proxmox's own names (`tap100i0`)."""

    id: str
    data: Path
    runtime: Path
    lock_fd: int

    @property
    def default(self) -> bool:
        return self.id == DEFAULT

    def close(self) -> None:
        """Give the directory free; the kernel does the same when the daemon dies."""
        os.close(self.lock_fd)


def open_instance(data: Path) -> Instance:
    """Take possession of a data directory, making it if need be. Blocks briefly.

    Raises Busy when another daemon owns it, naming its pid; Denied or HostFailure when it cannot be made."""
    data = data.absolute()
    try:
        data.mkdir(parents=True, exist_ok=True)
        # Guests' users pass through on the way to their disks, but see nothing of what lies here.
        data.chmod(0o711)
        lock_fd = _lock(data)
    except OSError as error:
        problem = failure_of(error, f"cannot use the data directory {data}")
        problem.fixes = (Fix(text="name another one", action="tarmac serve --data-dir DIR"), *problem.fixes)
        raise problem from error
    try:
        identity = places.read_instance(data) or _new_identity(data)
        runtime = places.runtime_dir(identity)
        for name in _DIRECTORIES:
            (data / name).mkdir(exist_ok=True, mode=0o711 if name == "storage" else 0o700)
        runtime.mkdir(parents=True, exist_ok=True, mode=0o711)
        runtime.chmod(0o711)
        places.record_runtime(data, runtime)
    except OSError as error:
        os.close(lock_fd)
        raise failure_of(error, f"cannot prepare the data directory {data}") from error
    return Instance(identity, data, runtime, lock_fd)


def _lock(data: Path) -> int:
    fd = os.open(data / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(fd, 32, 0).decode("ascii", "replace").strip()
        os.close(fd)
        raise Busy(
            f"another daemon owns the data directory {data}",
            code="data-dir-in-use",
            cause="one data directory belongs to one daemon at a time",
            evidence=f"{data / LOCK} is held by process {holder or 'unknown'}",
            fixes=[
                Fix(text=f"end it first: kill {holder}" if holder else "end it first"),
                Fix(text="give this daemon a directory of its own", action="tarmac serve --data-dir DIR"),
            ],
        ) from None
    os.ftruncate(fd, 0)
    os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
    return fd


def _new_identity(data: Path) -> str:
    is_default = os.geteuid() == 0 and data == Path("/var/lib/tarmac")
    identity = DEFAULT if is_default else secrets.token_hex(4)
    write_atomic(data / places.INSTANCE_FILE, identity + "\n", mode=0o644)
    return identity
