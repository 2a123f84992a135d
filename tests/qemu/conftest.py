"""Fixtures for tests with real QEMU processes: a place that a guest's own user can reach, and minimal guests."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tarmac.drivers.qemu.launch import prepare_runtime_dir
from tarmac.drivers.qemu.process import GuestProcess, qmp_pair, spawn
from tarmac.drivers.qemu.record import RECORD_NAME, read_record, start_time_of
from tarmac.model.errors import DataCorrupt

ROOT = os.geteuid() == 0
GUEST_UID = 261_000 if ROOT else os.geteuid()
UUID = "11111111-2222-3333-4444-555555555555"
SANDBOX = "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory that unprivileged users can pass through (pytest's own is 0700). Guests that a test leaves behind
    by their records are ended with it."""
    directory = Path(tempfile.mkdtemp(prefix="tm-", dir="/tmp"))
    directory.chmod(0o711)
    yield directory
    for path in directory.rglob(RECORD_NAME):
        with contextlib.suppress(DataCorrupt, ProcessLookupError):
            record = read_record(path.parent)
            if record is not None and start_time_of(record.pid) == record.start_time:
                os.kill(record.pid, signal.SIGKILL)
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(record.pid, 0)
    shutil.rmtree(directory)


def argv_for(runtime: Path, fd: int, *more: str, machine: str = "none", uuid: str = UUID) -> tuple[str, ...]:
    """A QEMU with both monitors and nothing else, 40 ms to start."""
    return (
        *("qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none", "-S", "-machine", machine),
        *("-uuid", uuid, "-sandbox", SANDBOX),
        *("-chardev", f"socket,id=qmp0,fd={fd}", "-mon", "chardev=qmp0,mode=control"),
        *(
            "-chardev",
            f"socket,id=qmp1,path={runtime}/qmp.sock,server=on,wait=off",
            "-mon",
            "chardev=qmp1,mode=control",
        ),
        *more,
    )


Start = Callable[..., Awaitable[GuestProcess]]


@pytest.fixture
async def start(place: Path) -> AsyncIterator[Start]:
    """Starts minimal guests: `guest = await start("100", "-device", ...)`; ends them afterwards."""
    guests: list[GuestProcess] = []

    async def begin(
        name: str = "100", *more: str, machine: str = "none", more_fds: tuple[int, ...] = (), **options: Any
    ) -> GuestProcess:
        runtime = place / name
        prepare_runtime_dir(runtime, uid=GUEST_UID, gid=GUEST_UID)
        ours, theirs = qmp_pair()
        argv = argv_for(runtime, theirs, *more, machine=machine)
        identity: dict[str, Any] = {"uid": GUEST_UID, "gid": GUEST_UID} if ROOT else {}
        guest = await spawn(
            argv, runtime_dir=runtime, qmp_socket=ours, pass_fds=(theirs, *more_fds), **{**identity, **options}
        )  # fmt: skip
        guests.append(guest)
        return guest

    yield begin
    for guest in guests:
        guest.send_signal(signal.SIGCONT)
        if guest._pidfd >= 0:
            await guest.kill()
        await guest.close()
