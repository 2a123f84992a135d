"""One saved state out of a QEMU or into one, over a socket pair that we made and QEMU got as a descriptor.

`exec:` is forbidden by QEMU's sandbox, and a plain file as descriptor is on its way out of QEMU (deprecated in 9.1).
Capabilities are set for the one use and set back after it, also when it fails: `x-ignore-shared` left on would make a
later migration send no RAM. Source: qapi/migration.json, docs/devel/migration of QEMU.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable

from tarmac.drivers.qemu.process import GuestProcess
from tarmac.drivers.qemu.qmp import Qmp
from tarmac.model.errors import HostFailure, TarmacError

Sink = Callable[[bytes], object]
_CHUNK = 1024 * 1024
_FD_NAME = "live-state"
_UNLIMITED, _USUAL_BANDWIDTH = 1 << 40, 128 << 20  # bytes a second; the second is QEMU's own default


async def save(process: GuestProcess, sink: Sink, *, without_ram: bool) -> None:
    """Hand the state of a stopped guest to `sink`, piece by piece, from a thread. `without_ram`: leave out what lies in
    a shared memory file.

    Raises HostFailure when QEMU fails, and what the sink raises; the guest is as stopped as before and can go on.
    Cancelled: QEMU is told to give up."""
    qmp = process.monitor()
    ours, theirs = socket.socketpair()
    failure: list[Exception] = []

    def drain() -> None:
        try:
            while chunk := ours.recv(_CHUNK):
                sink(chunk)
        except Exception as error:  # noqa: BLE001 - carried over to the caller's task
            failure.append(error)
            with contextlib.suppress(OSError):
                ours.shutdown(socket.SHUT_RDWR)

    try:
        async with _capabilities(qmp, without_ram), asyncio.TaskGroup() as group:
            await qmp.getfd(_FD_NAME, theirs.fileno())
            theirs.close()
            reading = group.create_task(asyncio.to_thread(drain))
            try:
                problem = await _outcome(process, qmp, "migrate")
            except BaseException:
                with contextlib.suppress(TarmacError):
                    await qmp.execute("migrate_cancel")
                ours.shutdown(socket.SHUT_RDWR)
                raise
            if problem:
                ours.shutdown(socket.SHUT_RDWR)
            await reading
    finally:
        ours.close()
        theirs.close()
    if failure:
        raise failure[0]
    if problem:
        raise HostFailure(
            f"{process.record.label}: QEMU could not save its state", code="live-save-failed", cause=problem
        )


async def load(process: GuestProcess, state: bytes, *, without_ram: bool) -> None:
    """Feed a state to a QEMU that waits for it (`-incoming defer`); the guest is stopped when this returns. What was
    set for that is set back by `loaded`, which can wait until the guest runs.

    Raises HostFailure with QEMU's words when it does not take it; the process is of no use then."""
    qmp = process.monitor()
    ours, theirs = socket.socketpair()

    def send() -> None:
        with contextlib.suppress(OSError):  # QEMU's own refusal says more
            ours.sendall(state)
            ours.shutdown(socket.SHUT_WR)

    try:
        async with asyncio.TaskGroup() as group:
            await _set(qmp, _wanted(without_ram), True)
            await qmp.getfd(_FD_NAME, theirs.fileno())
            theirs.close()
            group.create_task(asyncio.to_thread(send))
            try:
                problem = await _outcome(process, qmp, "migrate-incoming")
            finally:
                with contextlib.suppress(OSError):
                    ours.shutdown(socket.SHUT_RDWR)
    finally:
        ours.close()
        theirs.close()
    if problem:
        words = await asyncio.to_thread(process.last_words)
        raise HostFailure(
            f"{process.record.label} could not be restored from its saved state",
            code="live-restore-failed",
            cause="QEMU did not take the device state" if process.exited.is_set() else problem,
            evidence=words.strip()[-1000:] or problem,
        )


async def loaded(process: GuestProcess, *, without_ram: bool) -> None:
    """After `load`, before anything else transfers this guest's state."""
    await _set(process.monitor(), _wanted(without_ram), False)


async def transfer(source: GuestProcess, target: GuestProcess) -> None:
    """Hand the whole state of a stopped guest, RAM too, to a QEMU that waits for it, without a detour through us.

    Afterwards the target is the guest, stopped, and has its disks; the source has let go of them and takes them back
    when it goes on. Raises HostFailure when either gives up: the source can go on, the target is of no use."""
    one, other = socket.socketpair()
    giving, taking = source.monitor(), target.monitor()
    try:
        async with _capabilities(giving, False), _capabilities(taking, False):
            await taking.getfd(_FD_NAME, one.fileno())
            await giving.getfd(_FD_NAME, other.fileno())
            one.close()
            other.close()
            await giving.execute("migrate-set-parameters", {"max-bandwidth": _UNLIMITED})
            try:
                async with asyncio.TaskGroup() as group:
                    taken = group.create_task(_outcome(target, taking, "migrate-incoming"))
                    given = group.create_task(_outcome(source, giving, "migrate"))
            except BaseException:
                with contextlib.suppress(TarmacError):
                    await giving.execute("migrate_cancel")
                raise
            finally:
                with contextlib.suppress(TarmacError):
                    await giving.execute("migrate-set-parameters", {"max-bandwidth": _USUAL_BANDWIDTH})
    finally:
        one.close()
        other.close()
    if problem := given.result() or taken.result():
        words = await asyncio.to_thread(target.last_words)
        raise HostFailure(
            f"{source.record.label}: its memory could not be copied",
            code="live-save-failed",
            cause=problem,
            evidence=words.strip()[-1000:],
        )


async def _outcome(process: GuestProcess, qmp: Qmp, command: str) -> str:
    """Start a migration and wait for its end; "" for success, else what went wrong."""
    with process.events("MIGRATION") as events:
        await qmp.execute(command, {"uri": f"fd:{_FD_NAME}"})
        async for event in events:
            status = event.data.get("status") or (await qmp.execute("query-migrate")).get("status")
            if status == "completed":
                return ""
            if status in ("failed", "cancelled"):
                about = await qmp.execute("query-migrate")
                return str(about.get("error-desc") or f"its state transfer {status}")
    return "QEMU ended meanwhile"


@contextlib.asynccontextmanager
async def _capabilities(qmp: Qmp, without_ram: bool) -> AsyncIterator[None]:
    wanted = _wanted(without_ram)
    await _set(qmp, wanted, True)
    try:
        yield
    finally:
        with contextlib.suppress(TarmacError):  # an ended QEMU has none
            await _set(qmp, wanted, False)


def _wanted(without_ram: bool) -> tuple[str, ...]:
    return ("events", "x-ignore-shared") if without_ram else ("events",)


async def _set(qmp: Qmp, names: tuple[str, ...], state: bool) -> None:
    listed = [{"capability": name, "state": state} for name in names]
    await qmp.execute("migrate-set-capabilities", {"capabilities": listed})
