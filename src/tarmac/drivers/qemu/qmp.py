"""QMP, QEMU's control connection: the library `qemu.qmp` with our errors, time limits, events and fd passing.

    qmp = await Qmp.connect(runtime_dir / "qmp.sock", label="VM 100", hub=hub)
    async with qmp.within(5):
        status = await qmp.query_status()

What can go wrong comes out as: HostFailure (QEMU said no), Unavailable (not connected, or no answer and nothing
changed), OutcomeUnknown (a command that changes something was sent and no answer came: look before trying again).
The typed commands are in `commands.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import struct
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

from qemu.qmp import ConnectError, ExecInterruptedError, ExecuteError, QMPClient, QMPError, Runstate, StateError
from qemu.qmp.events import EventListener
from qemu.qmp.message import Message

from tarmac.drivers.qemu.commands import Commands
from tarmac.drivers.qemu.events import RESYNC, EventHub, QmpEvent
from tarmac.drivers.qemu.sockets import connect_unix
from tarmac.lib.tasks import Supervisor
from tarmac.model.errors import Fix, HostFailure, OutcomeUnknown, TarmacError, Unavailable

_CLOSE_SECONDS = 2.0
_ASKING = re.compile(r"query-.*|qom-get|qom-list.*|device-list-properties|qmp_capabilities|human-monitor-command")


class _ToHub(EventListener):
    """Hands events on at once. The library's own listener would keep each event in a history without end."""

    def __init__(self, hub: EventHub) -> None:
        super().__init__()
        self._hub = hub

    async def put(self, event: Message) -> None:
        stamp: Any = event.get("timestamp") or {}
        seconds = stamp.get("seconds", 0) + stamp.get("microseconds", 0) / 1e6
        data: Any = event.get("data") or {}
        self._hub.publish(QmpEvent(name=str(event["event"]), data=data, seconds=seconds))


class Qmp(Commands):
    """One negotiated connection. `closed` is set when it has ended, for whatever reason; it does not come back:
    reconnecting makes a new object (`GuestProcess.reconnect`)."""

    def __init__(self, client: QMPClient, sock: socket.socket, *, label: str, hub: EventHub, peer: int) -> None:
        self.label = label
        self.closed = asyncio.Event()
        self.peer_pid = peer
        self._client = client
        self._socket = sock
        self._hub = hub
        self._tasks = Supervisor()
        self._waiting: dict[asyncio.Task[Any] | None, str] = {}
        self._fd_lock = asyncio.Lock()
        self._hanging_up = False
        self._watcher = self._tasks.start(self._watch(), name=f"qmp {label}")

    @classmethod
    async def over(cls, sock: socket.socket, *, label: str, hub: EventHub) -> Qmp:
        """Negotiate over a connected socket (our end of an inherited pair) and take it over, also on failure.

        Waits as long as QEMU takes; cancel it (a deadline of the caller) and everything is closed.
        Raises Unavailable when the other side hangs up or speaks something else."""
        sock.setblocking(False)
        client = QMPClient(label)
        # The default listener stores each event for ever; a filter that refuses all keeps it empty.
        client.events.event_filter = lambda event: False
        client.register_listener(_ToHub(hub))
        client.logger.setLevel("CRITICAL")  # what it would log, we raise
        try:
            await client.connect(sock)
        except ConnectError as error:
            raise Unavailable(
                f"{label} qmp connection failed",
                code="qmp-unavailable",
                cause="QEMU closed its control connection or did not speak QMP on it",
                evidence=f"{error.error_message}: {error.exc!r}",
            ) from error
        finally:
            if client.runstate is not Runstate.RUNNING:
                sock.close()
        return cls(client, sock, label=label, hub=hub, peer=_peer_pid(sock))

    @classmethod
    async def connect(cls, path: Path, *, label: str, hub: EventHub, patience: float = 5.0) -> Qmp:
        """Connect to a listening monitor; never while QEMU may still be starting (its start-up race can hang it).

        Raises Unavailable when nobody listens or no greeting came within `patience` seconds: QEMU hangs, is stopped,
        or another client holds this monitor, which serves one at a time."""
        try:
            async with asyncio.timeout(patience):
                try:
                    sock = await connect_unix(path)
                except OSError as error:
                    raise Unavailable(
                        f"{label} qmp connection failed",
                        code="qmp-unavailable",
                        cause="nobody listens on QEMU's control socket",
                        evidence=f"{path}: {error.strerror}",
                    ) from error
                qmp = await cls.over(sock, label=label, hub=hub)
        except TimeoutError as error:
            raise _no_answer(label, "greeting", patience) from error
        hub.publish(QmpEvent(name=RESYNC, data={"reason": "connected anew"}))
        return qmp

    @property
    def connected(self) -> bool:
        return self._client.runstate is Runstate.RUNNING

    async def execute(self, command: str, arguments: Mapping[str, Any] | None = None, *, oob: bool = False) -> Any:
        """Send one command and return its `return` value. Errors as in the module's docstring; after any of them the
        connection is as usable as before, except when it was lost (`connected` is False then)."""
        task = asyncio.current_task()
        self._waiting[task] = command
        try:
            reply = await self._client.execute(command, dict(arguments) if arguments else None, oob=oob)
        except ExecuteError as error:
            self._waiting.pop(task, None)
            raise self._refused(command, error) from error
        except ExecInterruptedError as error:
            self._waiting.pop(task, None)
            raise self._interrupted(command) from error
        except StateError as error:
            self._waiting.pop(task, None)
            raise Unavailable(
                f"{self.label} qmp command '{command}' failed - not connected",
                code="qmp-unavailable",
                cause="there is no control connection to QEMU at present",
                evidence=str(error),
            ) from error
        except QMPError as error:
            self._waiting.pop(task, None)
            raise HostFailure(
                f"{self.label} qmp command '{command}' failed",
                code="qmp-protocol",
                cause="QEMU's answer is not QMP",
                evidence=str(error)[:2000],
            ) from error
        self._waiting.pop(task, None)
        return reply

    @contextlib.asynccontextmanager
    async def within(self, seconds: float) -> AsyncIterator[None]:
        """A time limit for the commands in the block, in this task. When it passes: Unavailable if QEMU was only
        being asked, OutcomeUnknown if the command in flight changes something. Its late answer is dropped."""
        task = asyncio.current_task()
        try:
            async with asyncio.timeout(seconds):
                yield
        except TimeoutError as error:
            command = self._waiting.get(task, "")
            if not command:
                raise
            raise _no_answer(self.label, command, seconds) from error
        finally:
            self._waiting.pop(task, None)

    async def getfd(self, name: str, fd: int) -> None:
        """Hand QEMU a descriptor under `name`, for `netdev_add` and the like. The caller keeps and closes its own."""
        # One at a time: QEMU gives the descriptor that came last to the next getfd.
        async with self._fd_lock:
            if not self.connected:
                raise Unavailable(f"{self.label} qmp command 'getfd' failed - not connected", code="qmp-unavailable")
            self._client.send_fd_scm(fd)
            await self.execute("getfd", {"fdname": name})

    async def close(self) -> None:
        """Hang up; the guest does not notice. Never raises, ends within a few seconds even if QEMU hangs."""
        if self._hanging_up:
            # Cancelling the library's disconnect() half-way would leave its exceptions unread: let it finish.
            await asyncio.wait([self._watcher])
        else:
            await self._tasks.close()
            await self._hang_up()

    async def _watch(self) -> None:
        while self.connected:
            await self._client.runstate_changed()
        await self._hang_up()

    async def _hang_up(self) -> None:
        # disconnect() raises what ended the reader (EOFError, by race, even after an intended `quit`): not news here.
        if self.closed.is_set():
            return
        self._hanging_up = True
        try:
            async with asyncio.timeout(_CLOSE_SECONDS):
                with contextlib.suppress(EOFError, OSError, QMPError):
                    await self._client.disconnect()
        except TimeoutError:
            # A hung QEMU does not take what is still to be sent. Cut the line, then the library's tasks can end.
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
            with contextlib.suppress(EOFError, OSError, QMPError):
                await self._client.disconnect()
        self.closed.set()

    def _refused(self, command: str, error: ExecuteError) -> HostFailure:
        kind = re.sub(r"(?<=[a-z])(?=[A-Z])", "-", error.error_class).lower()
        return HostFailure(
            f"{self.label} qmp command '{command}' failed - {error}",
            code=f"qmp-{kind}",
            cause=f"QEMU refused the command with the error class {error.error_class}",
            evidence=str(error),
        )

    def _interrupted(self, command: str) -> TarmacError:
        kind = Unavailable if _ASKING.fullmatch(command) else OutcomeUnknown
        return kind(
            f"{self.label} qmp command '{command}' failed - connection lost",
            code="qmp-connection-lost",
            cause="QEMU's control connection ended before the answer came: it exited, or was killed",
            evidence=command,
        )


def _no_answer(label: str, command: str, seconds: float) -> TarmacError:
    kind = Unavailable if command == "greeting" or _ASKING.fullmatch(command) else OutcomeUnknown
    return kind(
        f"{label} qmp command '{command}' failed - got timeout",
        code="qmp-timeout",
        cause="QEMU did not answer: it hangs (often on its storage), is stopped, or its monitor is in use",
        evidence=f"no answer within {seconds:g} s",
        fixes=[Fix(text="look at the storage of its disks, and try again"), Fix(text="stop the guest by force")],
    )


def _peer_pid(sock: socket.socket) -> int:
    """The process that made the other end listen; for a pair that we made it is our own."""
    raw = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return int(struct.unpack("3i", raw)[0])
