"""One guest as one QEMU process: start it, know it again after a restart of the daemon, notice its end.

A guest outlives the daemon. So QEMU runs in a session of its own, with its own user, writing to a bounded file and
never to a pipe; the daemon holds a pidfd (which cannot mean another process later) and a QMP connection, and both can
be had anew by the next daemon from the record in the runtime directory.

    ours, theirs = qmp_pair()
    argv = build(config, node, facts_with(fds={"qmp": theirs}))
    guest = await spawn(argv, runtime_dir=..., uid=..., gid=..., groups=(), pass_fds=(theirs,), qmp_socket=ours)
    ...
    guest = await adopt(read_record(runtime_dir))        # the next daemon
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from tarmac.drivers.qemu.cgroup import Cgroup
from tarmac.drivers.qemu.events import EventHub, Subscription
from tarmac.drivers.qemu.explain import explain
from tarmac.drivers.qemu.launch import LOG_NAME, Started, end_started, start_gated
from tarmac.drivers.qemu.qmp import Qmp
from tarmac.drivers.qemu.record import RECORD_NAME, ProcessRecord, boot_id, start_time_of, write_record
from tarmac.lib.files import read_tail, trim_log
from tarmac.lib.tasks import Supervisor, whole_in_thread
from tarmac.model.errors import HostFailure, TarmacError, Unavailable

QMP_NAME = "qmp.sock"
LOG_LIMIT = 1024 * 1024
_LOG_KEEP = 256 * 1024
_WORDS_BYTES = 8192
_STARTING_SECONDS = 3.0


def qmp_pair() -> tuple[socket.socket, int]:
    """The first QMP connection: our end, and the descriptor for QEMU's `-chardev socket,fd=N` (give it to `spawn` in
    `pass_fds`). A listening monitor must not be contacted while QEMU starts: that can hang it."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    return ours, theirs.detach()


async def spawn(
    argv: Sequence[str],
    *,
    runtime_dir: Path,
    qmp_socket: socket.socket,
    pass_fds: Sequence[int],
    uid: int | None = None,
    gid: int | None = None,
    groups: Sequence[int] = (),
    cgroup: Cgroup | None = None,
    label: str = "",
) -> GuestProcess:
    """Start QEMU and return it once it has answered on QMP over `qmp_socket`.

    `runtime_dir` must be prepared (`launch.prepare_runtime_dir`). `uid` None: as the daemon's own user (the only
    possibility without root). `qmp_socket` and `pass_fds` are taken over and closed here in every case; QEMU sees the
    same numbers. The record is durable before QEMU's first instruction.
    Raises HostFailure with QEMU's own words when it ends before it answers. After any failure or cancellation (a
    deadline of the caller) no process, record or placement is left; the log stays for diagnosis.
    """
    label = label or f"VM {runtime_dir.name}"

    def start() -> Started:
        return start_gated(
            tuple(argv), runtime_dir=runtime_dir, pass_fds=pass_fds, uid=uid, gid=gid, groups=groups, cgroup=cgroup,
            label=label,
        )  # fmt: skip

    try:
        started = await whole_in_thread(start, end_started)
    except BaseException:
        qmp_socket.close()
        raise
    guest = GuestProcess(started.record, started.pidfd, child=started.child, cgroup=cgroup)
    try:
        started.release()
        await guest._first_contact(qmp_socket)
    except BaseException:
        await guest._abandon()
        raise
    return guest


async def adopt(record: ProcessRecord, *, cgroup: Cgroup | None = None, patience: float = 5.0) -> GuestProcess | None:
    """The running process of a record, or None when it does not run any more (or the pid is another's by now).

    When it runs but QMP does not answer within `patience` seconds, the guest is returned with `qmp` None (its state
    is unknown) and `qmp_problem` says why; `reconnect()` can be tried again. The process itself is never touched.
    """
    if record.boot_id != boot_id():
        return None
    try:
        pidfd = os.pidfd_open(record.pid)
    except ProcessLookupError:
        return None
    # The descriptor first, the comparison after: what is compared now cannot be swapped later.
    if start_time_of(record.pid) != record.start_time:
        os.close(pidfd)
        return None
    guest = GuestProcess(record, pidfd, child=None, cgroup=cgroup)
    try:
        await guest.reconnect(patience=patience)
    except Unavailable:
        if not guest.exited.is_set():
            return guest
        await guest.close()
        return None
    except HostFailure as error:
        await guest.close()
        if error.error_code == "qmp-wrong-guest":
            return None
        raise
    except BaseException:
        await guest.close()
        raise
    return guest


class GuestProcess:
    """A running QEMU. `exited` is set when it has ended, from whatever cause; `exit_code` is known (negative: signal)
    only where this daemon is its parent. All methods may be called in every state."""

    def __init__(
        self,
        record: ProcessRecord,
        pidfd: int,
        *,
        child: subprocess.Popen[bytes] | None,
        cgroup: Cgroup | None,
    ) -> None:
        self.record = record
        self.cgroup = cgroup
        self.qmp: Qmp | None = None
        self.qmp_problem: TarmacError | None = None
        self.exited = asyncio.Event()
        self.exit_code: int | None = None
        self._hub = EventHub()
        self._child = child
        self._pidfd = pidfd
        self._tasks = Supervisor()
        self._connecting = asyncio.Lock()
        asyncio.get_running_loop().add_reader(pidfd, self._ended)

    @property
    def pid(self) -> int:
        return self.record.pid

    @property
    def directory(self) -> Path:
        return self.record.directory

    def events(self, *names: str) -> Subscription:
        """Listen to QMP events from now on; lives through reconnects, ends when the guest ends."""
        return self._hub.subscribe(*names)

    def monitor(self) -> Qmp:
        """The connection, or the reason why there is none (Unavailable). Does not wait."""
        if self.qmp is not None and self.qmp.connected:
            return self.qmp
        raise Unavailable(
            f"{self.record.label} qmp connection failed" if not self.exited.is_set() else f"{self.record.label} ended",
            code="qmp-unavailable",
            cause="QEMU has ended" if self.exited.is_set() else "there is no control connection to QEMU at present",
            evidence=self.qmp_problem.evidence if self.qmp_problem is not None else f"pid {self.pid}",
        )

    async def reconnect(self, *, patience: float = 5.0) -> Qmp:
        """Connect to the listening monitor unless connected, check that it is this guest's, and return it.

        Raises Unavailable when QEMU does not answer in time (try again later), HostFailure `qmp-wrong-guest` when
        another process answers. Either leaves `qmp` None and the reason in `qmp_problem`."""
        async with self._connecting:
            if self.qmp is not None and self.qmp.connected:
                return self.qmp
            self.qmp = None
            try:
                qmp = await self._connect(patience)
            except TarmacError as error:
                self.qmp_problem = error
                raise
            self.qmp, self.qmp_problem = qmp, None
            return qmp

    async def _connect(self, patience: float) -> Qmp:
        if not self.record.answered:
            # A start that a daemon's end interrupted: QEMU may be in the phase in which a contact can hang it.
            await asyncio.sleep(max(0.0, _STARTING_SECONDS - (time.time() - self.record.started)))
        qmp = await Qmp.connect(self.directory / QMP_NAME, label=self.record.label, hub=self._hub, patience=patience)
        try:
            async with qmp.within(patience):
                uuid, version = await qmp.query_uuid(), await qmp.query_version()
            if qmp.peer_pid != self.pid or (self.record.answered and uuid != self.record.uuid):
                raise _wrong_guest(self.record, qmp.peer_pid, uuid)
        except BaseException:
            await qmp.close()
            raise
        if (noting := self._answered(uuid, version)) is not None:
            await noting
        return qmp

    async def _first_contact(self, sock: socket.socket) -> None:
        """Wait for QMP or for the end, whichever comes first."""
        async with asyncio.TaskGroup() as group:
            contact = group.create_task(self._greet(sock))
            exit_watch = group.create_task(self.exited.wait())
            await asyncio.wait({contact, exit_watch}, return_when=asyncio.FIRST_COMPLETED)
            exit_watch.cancel()
            if not contact.done():
                contact.cancel()
        if self.qmp is None:
            # The end of the connection is seen before the end of the process; wait for it to know the exit code.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(2):
                    await self.exited.wait()
            words = await asyncio.to_thread(self.last_words)
            raise explain(self.record.label, words, self.exit_code)

    async def _greet(self, sock: socket.socket) -> None:
        qmp = None
        try:
            qmp = await Qmp.over(sock, label=self.record.label, hub=self._hub)
            uuid, version = await qmp.query_uuid(), await qmp.query_version()
            self._answered(uuid, version)
            self.qmp = qmp
        except (Unavailable, HostFailure) as error:
            self.qmp_problem = error
        finally:
            if self.qmp is None and qmp is not None:
                await qmp.close()

    def _answered(self, uuid: str, version: str) -> asyncio.Task[None] | None:
        """Note that on disk, in the background (None: it was known): should the note be lost, the next daemon is only
        more careful with its first words. Whole, and awaited by `close`: who removes the record must not find it
        written again afterwards."""
        if self.record.answered:
            return None
        self.record = record = dataclasses.replace(self.record, uuid=uuid, qemu_version=version, answered=True)
        writing = whole_in_thread(lambda: write_record(record), lambda _: None)
        return self._tasks.start(writing, name=f"record of {record.label}")

    def last_words(self, limit: int = _WORDS_BYTES) -> str:
        """The end of what QEMU wrote to stdout and stderr, up to `limit` bytes. Reads a file (blocks briefly)."""
        return read_tail(self.directory / LOG_NAME, limit).decode(errors="replace")

    def trim_log(self) -> bool:
        """Bound QEMU's log; call it now and then, in a thread. True if it was cut."""
        return trim_log(self.directory / LOG_NAME, above=LOG_LIMIT, keep=_LOG_KEEP)

    def send_signal(self, number: signal.Signals) -> None:
        """Through the pidfd, so never to another process. SIGTERM makes QEMU flush its disks and quit."""
        if not self.exited.is_set() and self._pidfd >= 0:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, number)

    async def kill(self) -> None:
        """SIGKILL, and wait until the process is gone (its caller's deadline limits that: a process in an
        uninterruptible wait for its storage goes only when that returns)."""
        self.send_signal(signal.SIGKILL)
        await self.exited.wait()

    async def close(self) -> None:
        """Let go of the guest without touching it. The object is of no use afterwards; `adopt` makes a new one."""
        self._unwatch()
        await self._tasks.close()
        if self.qmp is not None:
            await self.qmp.close()
        self._hub.close()

    def _unwatch(self) -> None:
        if self._pidfd < 0:
            return
        asyncio.get_running_loop().remove_reader(self._pidfd)
        os.close(self._pidfd)
        self._pidfd = -1
        if self._child is not None and self._child.returncode is None:
            # Not waited for, on purpose: the guest goes on. Without a code Popen would warn, and poll it for ever.
            self._child.returncode = 0

    def _ended(self) -> None:
        """The pidfd is readable: the process is gone. We reap it if it is our child; an adopted one is init's."""
        with contextlib.suppress(ChildProcessError):
            result = os.waitid(os.P_PIDFD, self._pidfd, os.WEXITED | os.WNOHANG)
            if result is not None:
                self.exit_code = result.si_status if result.si_code == os.CLD_EXITED else -result.si_status
                if self._child is not None:
                    self._child.returncode = self.exit_code
        self._unwatch()
        self.exited.set()
        self._tasks.start(self._last_events(), name=f"end of {self.record.label}")

    async def _last_events(self) -> None:
        """What QEMU said at its end (SHUTDOWN, GUEST_PANICKED) is still in the socket: let it through, then close."""
        if self.qmp is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1):
                    await self.qmp.closed.wait()
        self._hub.close()

    async def _abandon(self) -> None:
        """Undo a start that failed: whatever happens to the caller, the process is gone afterwards."""
        self.send_signal(signal.SIGKILL)
        try:
            async with asyncio.timeout(5):
                await self.exited.wait()
        finally:
            await self.close()
            (self.directory / RECORD_NAME).unlink(missing_ok=True)
            if self.cgroup is not None:
                self.cgroup.remove()


def _wrong_guest(record: ProcessRecord, pid: int, uuid: str) -> HostFailure:
    return HostFailure(
        f"{record.label} is not what answers on its control socket",
        code="qmp-wrong-guest",
        cause="another process listens on this guest's control socket",
        evidence=f"expected pid {record.pid} and UUID {record.uuid}, got pid {pid} and UUID {uuid}",
    )
