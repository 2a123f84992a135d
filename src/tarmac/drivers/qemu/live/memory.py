"""Memory files: RAM that has a descriptor and no name. Made, filled, sealed, and found again in a running clone.

A template's memory is sealed (`F_SEAL_WRITE`, and against growing, shrinking and unsealing): no process of whatever
user can change it any more, and a clone's private mapping is all that QEMU gets. Source: memfd_create(2), fcntl(2).
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tarmac.drivers.qemu.cgroup import Cgroup
from tarmac.drivers.qemu.live import fill, state_file
from tarmac.lib.files import failure_of
from tarmac.lib.tasks import whole_in_thread
from tarmac.model.errors import DataCorrupt, Fix, HostFailure, TarmacError
from tarmac.model.units import human_size

_ADD_SEALS, _GET_SEALS = 1033, 1034
_SEALS = 0x1 | 0x2 | 0x4 | 0x8  # seal, shrink, grow, write
_MEM_PATH = re.compile(r"(?:^|,)mem-path=/proc/self/fd/(\d+),share=(on|off)(?:,|$)")


def create_memory(name: str, size: int) -> int:
    """A new, empty memory file of `size` bytes that can be sealed; the caller's own. Raises HostFailure."""
    try:
        fd = os.memfd_create(f"tarmac {name}", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    except OSError as error:
        raise failure_of(error, f"cannot make the memory of {name}") from error
    try:
        os.ftruncate(fd, size)
    except OSError as error:
        os.close(fd)
        raise failure_of(error, f"cannot make the memory of {name}") from error
    return fd


def sealed_bytes(name: str, data: bytes, size: int) -> int:
    """A sealed file of `size` bytes that begins with `data`; the caller's own."""
    fd = create_memory(name, size)
    try:
        os.pwrite(fd, data, 0)
        seal(fd)
    except BaseException:
        os.close(fd)
        raise
    return fd


def seal(fd: int) -> None:
    """No change from now on, by anybody. Nobody may have it mapped for writing (OSError EBUSY)."""
    fcntl.fcntl(fd, _ADD_SEALS, _SEALS)


def sealed(fd: int) -> bool:
    """Whether it can never change any more; False for what is no memory file."""
    try:
        return fcntl.fcntl(fd, _GET_SEALS) & _SEALS == _SEALS
    except OSError:
        return False


def identity(fd: int) -> str:
    """What names a memory file as long as it exists."""
    about = os.fstat(fd)
    return f"{about.st_dev}:{about.st_ino}"


def memory_fd(argv: Sequence[str]) -> tuple[int, bool] | None:
    """The number under which a QEMU was handed its memory file, and whether it shares what it writes."""
    for word in argv:
        match = _MEM_PATH.search(word) if word.startswith("memory-backend-file,") else None
        if match is not None:
            return int(match[1]), match[2] == "on"
    return None


def open_memory(pid: int, argv: Sequence[str], *, writable: bool = False) -> int | None:
    """The memory file of a running QEMU, opened anew; None when it has none, or does not run."""
    found = memory_fd(argv)
    if found is None:
        return None
    flags = (os.O_RDWR if writable else os.O_RDONLY) | os.O_CLOEXEC
    with contextlib.suppress(OSError):
        return os.open(f"/proc/{pid}/fd/{found[0]}", flags)
    return None


def take_again(pid: int, argv: Sequence[str], *, expected: str, size: int) -> int | None:
    """A template's memory from a clone that runs on it: only if it is the file that we made (`identity`), of the right
    size, and sealed. A clone that has been taken over from inside cannot pass off another one."""
    fd = open_memory(pid, argv, writable=True)
    if fd is None:
        return None
    if identity(fd) == expected and sealed(fd) and os.fstat(fd).st_size == size:
        return fd
    os.close(fd)
    return None


async def filled_memory(volume: Path, name: str, size: int, cgroup: Cgroup | None) -> int:
    """A sealed memory file with the RAM of a live state volume; its pages are charged to `cgroup`.

    Raises DataCorrupt that names the volume when a byte of it is not what was written, HostFailure when there is not
    memory enough; nothing is left then."""
    return await whole_in_thread(lambda: _filled(volume, name, size, cgroup), os.close)


def _filled(volume: Path, name: str, size: int, cgroup: Cgroup | None) -> int:
    memory = create_memory(name, size)
    try:
        state = os.open(volume, os.O_RDONLY | os.O_CLOEXEC)
        try:
            code, words = _run_fill(state, memory, cgroup)
        finally:
            os.close(state)
        if code != 0:
            raise _failure(volume, name, size, code, words)
        seal(memory)
    except OSError as error:
        os.close(memory)
        raise failure_of(error, f"cannot read {volume}") from error
    except BaseException:
        os.close(memory)
        raise
    return memory


def _run_fill(state: int, memory: int, cgroup: Cgroup | None) -> tuple[int, str]:
    argv = [sys.executable, "-I", "-S", fill.__file__, str(state), str(memory)]
    child = subprocess.Popen(
        argv, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, pass_fds=(state, memory)
    )
    if cgroup is not None:
        cgroup.add(child.pid)
    _, words = child.communicate(b"\n")
    return child.returncode, words.decode(errors="replace").strip()[-500:]


def _failure(volume: Path, name: str, size: int, code: int, words: str) -> TarmacError:
    if code == fill.DAMAGED:
        return damaged(volume, words)
    return HostFailure(
        f"the memory of {name} could not be filled",
        code="memory-short",
        cause="the host has no room for it, or a limit of its control group is too low",
        evidence=words or f"the process that filled it ended with {code}; {human_size(size)} were wanted",
        fixes=[Fix(text="stop another guest")],
    )


def damaged(volume: Path, evidence: str) -> DataCorrupt:
    """The error for a live state that is not what was written."""
    return DataCorrupt(
        f"the saved state {volume} is damaged",
        code="live-state-damaged",
        cause="its bytes are not those that were written when the machine was frozen, so nothing is restored from it",
        evidence=evidence,
        fixes=[
            Fix(text="make the live template anew from a running guest"),
            Fix(text="clone without `instant`: that boots from the template's disks and needs no saved state"),
        ],
    )


async def read_live_state(volume: Path) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Manifest and pieces of a volume (all but the RAM). Raises DataCorrupt that names it, HostFailure."""

    def read() -> tuple[dict[str, Any], dict[str, bytes]]:
        try:
            fd = os.open(volume, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise failure_of(error, f"cannot read {volume}") from error
        try:
            manifest = state_file.read_manifest(fd)
            return manifest, state_file.read_pieces(fd, manifest)
        except state_file.Damaged as problem:
            raise damaged(volume, str(problem)) from problem
        except OSError as error:
            raise failure_of(error, f"cannot read {volume}") from error
        finally:
            os.close(fd)

    return await asyncio.to_thread(read)
