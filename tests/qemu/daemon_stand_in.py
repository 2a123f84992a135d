"""Starts guests as a daemon would, and is then killed by the test: `daemon_stand_in.py MODE DIR N`.

MODE `run` prints the pids and waits; `at-gate` kills itself before QEMU is let go; `at-release` right after."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

from tarmac.drivers.qemu.launch import Started, prepare_runtime_dir
from tarmac.drivers.qemu.process import qmp_pair, spawn


async def main(mode: str, place: Path, count: int) -> None:
    from conftest import GUEST_UID, ROOT, argv_for  # beside this file

    release = Started.release
    if mode == "at-gate":
        Started.release = lambda self: os.kill(os.getpid(), signal.SIGKILL)  # type: ignore[method-assign]
    if mode == "at-release":

        def release_and_die(self: Started) -> None:
            release(self)
            os.kill(os.getpid(), signal.SIGKILL)

        Started.release = release_and_die  # type: ignore[method-assign]
    guests = []
    for number in range(100, 100 + count):
        runtime = place / str(number)
        prepare_runtime_dir(runtime, uid=GUEST_UID, gid=GUEST_UID)
        ours, theirs = qmp_pair()
        uuid = f"00000000-0000-0000-0000-{number:012d}"
        identity = {"uid": GUEST_UID, "gid": GUEST_UID} if ROOT else {}
        argv = argv_for(runtime, theirs, uuid=uuid)
        guests.append(
            await spawn(argv, runtime_dir=runtime, qmp_socket=ours, pass_fds=(theirs,), **identity)  # type: ignore[arg-type]
        )
    print(*(guest.pid for guest in guests), flush=True)
    await asyncio.Event().wait()


signal.alarm(200)  # whoever reads what it says reads in a thread, which no time limit of a test ends
asyncio.run(main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])))
