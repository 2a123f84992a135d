"""The guest agent: JSON over a serial port whose other end a guest holds, and may hold badly.

    agent = Agent(runtime_dir / "qga.sock", label="VM 100")
    addresses = await agent.network_interfaces()

What a guest sends is hostile until shown otherwise: replies are bounded, garbage and late answers are thrown away by
`guest-sync-delimited` with a random number ("QEMU guest agent protocol reference"), and a guest that never answers
costs its own caller the time that the caller allows, nothing else. QEMU serves one client on this socket, and the
agent one command at a time, so calls queue here. The typed commands are in `agent_commands.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import secrets
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, NoReturn

import msgspec

from tarmac.drivers.qemu.agent_commands import AgentCommands
from tarmac.drivers.qemu.sockets import connect_unix
from tarmac.model.errors import Busy, Fix, HostFailure, OutcomeUnknown, TarmacError, Unavailable

REPLY_LIMIT = 16 * 1024 * 1024
NOT_RUNNING = "QEMU guest agent is not running"
_SYNC_SECONDS = 3.0
_TRUSTED_SECONDS = 2.0
_INLINE_BYTES = 64 * 1024
_DELIMITER = b"\xff"
_ASKING = re.compile(r"guest-(ping|info|get-.*|network-get-.*|exec-status|fsfreeze-status|file-read|sync.*)")


class Agent(AgentCommands):
    """The agent of one guest. One object for each guest, used by all callers; connects when it is needed."""

    def __init__(self, path: Path, *, label: str = "the guest") -> None:
        self.label = label
        self._path = path
        self._lock = asyncio.Lock()
        self._reserved_by: asyncio.Task[Any] | None = None
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._heard = 0.0

    async def call(
        self,
        command: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        within: float = 10.0,
        answers: bool = True,
    ) -> Any:
        """Run one agent command and return its `return` value, within so many seconds in all.

        Raises Unavailable with the text `QEMU guest agent is not running` when it does not answer at all; Busy when
        the time was spent waiting for other callers' commands; Unavailable (it was only asked) or OutcomeUnknown (it
        may have acted) when it is there but the answer is late; HostFailure when the agent says no, or answers with
        more than 16 MiB or with what is not its protocol. After each of them the object can be used again.
        `answers` False is for commands that answer only when they fail (`guest-shutdown`): returns None.
        """
        stage = "queued"
        try:
            async with asyncio.timeout(within), self._turn(), self._unless_done():
                stage = "syncing"
                await self._be_in_step(within)
                stage = "sent"
                return await self._exchange(command, arguments, answers)
        except TimeoutError as error:
            raise self._not_running(error) if stage == "syncing" else self._late(command, within, stage) from error

    async def greet(self, *, within: float) -> None:
        """Only `guest-sync-delimited` with a fresh number: whether the agent is there and in step, in one answer.

        Raises Unavailable (`QEMU guest agent is not running`)."""
        try:
            async with asyncio.timeout(within), self._turn(), self._unless_done():
                self._heard = 0.0
                await self._be_in_step(within)
        except TimeoutError as error:
            raise self._not_running(error) from error

    @contextlib.asynccontextmanager
    async def reserved(self) -> AsyncIterator[None]:
        """Within the block only the task that entered it is served; everybody else's calls wait (and run into their
        own limits). What was in flight has been answered when the block begins."""
        async with self._lock:
            self._reserved_by = asyncio.current_task()
            try:
                yield
            finally:
                self._reserved_by = None

    def _turn(self) -> contextlib.AbstractAsyncContextManager[Any]:
        mine = self._reserved_by is not None and self._reserved_by is asyncio.current_task()
        return contextlib.nullcontext() if mine else self._lock

    @contextlib.asynccontextmanager
    async def lent(self) -> AsyncIterator[Path]:
        """The agent's socket for another process; our callers wait (and are told Busy) until it comes back."""
        async with self._lock:
            self._drop()
            yield self._path

    def close(self) -> None:
        """Let go of the connection; the next call makes a new one. A call under way fails. Never raises."""
        self._drop()

    # The connection

    @contextlib.asynccontextmanager
    async def _unless_done(self) -> Any:
        """Whatever breaks an exchange half-way leaves the line out of step: drop it."""
        try:
            yield
        except HostFailure as error:
            if error.error_code == "agent-protocol":
                self._drop()
            raise
        except BaseException:
            self._drop()
            raise

    async def _be_in_step(self, within: float) -> None:
        """A connection on which the next reply will be that of the next command."""
        if self._connected() and time.monotonic() - self._heard < _TRUSTED_SECONDS:
            return
        try:
            async with asyncio.timeout(min(_SYNC_SECONDS, within)):
                await self._connect()
                await self._sync()
        except (TimeoutError, OSError, EOFError) as error:
            raise self._not_running(error) from error

    def _connected(self) -> bool:
        if self._writer is None or self._reader is None:
            return False
        return not (self._writer.is_closing() or self._reader.at_eof())

    async def _connect(self) -> None:
        if self._connected():
            return
        self._drop()
        sock = await connect_unix(self._path)
        self._reader, self._writer = await asyncio.open_unix_connection(sock=sock, limit=REPLY_LIMIT)

    async def _sync(self) -> None:
        number = secrets.randbelow(2**31)
        # The byte 0xff makes the agent's parser forget a command that was cut off before us.
        await self._send(_DELIMITER, {"execute": "guest-sync-delimited", "arguments": {"id": number}})
        assert self._reader is not None
        while True:
            await self._skip_to_delimiter()
            line = await self._line()
            with contextlib.suppress(msgspec.DecodeError):
                reply = msgspec.json.decode(line)
                if isinstance(reply, dict) and reply.get("return") == number:
                    self._heard = time.monotonic()
                    return

    async def _skip_to_delimiter(self) -> None:
        assert self._reader is not None
        while True:
            try:
                await self._reader.readuntil(_DELIMITER)
                return
            except asyncio.LimitOverrunError as error:
                await self._reader.readexactly(error.consumed)

    async def _send(self, prefix: bytes, message: Mapping[str, Any]) -> None:
        assert self._writer is not None
        self._writer.write(prefix + msgspec.json.encode(message) + b"\n")
        await self._writer.drain()

    async def _line(self) -> bytes:
        assert self._reader is not None
        try:
            return await self._reader.readuntil(b"\n")
        except asyncio.LimitOverrunError as error:
            raise self._broken(f"an answer of more than {REPLY_LIMIT} bytes") from error

    async def _exchange(self, command: str, arguments: Mapping[str, Any] | None, answers: bool) -> Any:
        message: dict[str, Any] = {"execute": command}
        if arguments:
            message["arguments"] = dict(arguments)
        try:
            await self._send(b"", message)
            return await self._result(command) if answers else await self._silence(command)
        except (OSError, EOFError) as error:
            if not answers:
                self._drop()
                return None  # the guest took its end of the line with it, as it was told
            raise self._lost(command, error) from error

    async def _silence(self, command: str) -> None:
        """Success is told by nothing. An error comes at once, if it comes."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1):
                await self._result(command)
        self._drop()

    async def _result(self, command: str) -> Any:
        line = await self._line()
        try:
            # A large answer is taken apart in a thread: it could hold up the event loop.
            decode = msgspec.json.decode
            reply = decode(line) if len(line) < _INLINE_BYTES else await asyncio.to_thread(decode, line)
        except msgspec.DecodeError as error:
            raise self._broken(str(error)) from error
        self._heard = time.monotonic()
        if isinstance(reply, dict):
            if "return" in reply:
                return reply["return"]
            if isinstance(reply.get("error"), dict):
                self._refused(command, reply["error"])
        raise self._broken("an answer with neither `return` nor `error`")

    def _drop(self) -> None:
        if self._writer is not None:
            self._writer.transport.abort()
        self._reader = self._writer = None
        self._heard = 0.0

    # The errors

    def _not_running(self, error: BaseException) -> Unavailable:
        reached = not isinstance(error, OSError) or isinstance(error, TimeoutError)
        return Unavailable(
            NOT_RUNNING,
            code="agent-not-running",
            cause="the agent in the guest does not answer: not installed, not started yet, or the guest hangs"
            if reached
            else "the guest's agent port cannot be reached: the guest is off, or was started without `agent: 1`",
            evidence=f"{self.label}: no answer to guest-sync-delimited" if reached else f"{self.label}: {error}",
            fixes=[
                Fix(text="install and start qemu-guest-agent in the guest"),
                Fix(text="set `agent: 1` and start the guest anew"),
            ],
        )

    def _late(self, command: str, within: float, stage: str) -> TarmacError:
        if stage == "queued":
            return Busy(
                f"{self.label} qga command '{command}' failed - the agent is busy with another command",
                code="agent-busy",
                cause="the agent works on one command at a time, and another one was still running",
                evidence=f"waited {within:g} s",
            )
        kind = Unavailable if _ASKING.fullmatch(command) else OutcomeUnknown
        return kind(
            f"{self.label} qga command '{command}' failed - got timeout",
            code="agent-timeout",
            cause="the agent took the command and did not answer in time",
            evidence=f"no answer within {within:g} s",
        )

    def _lost(self, command: str, error: BaseException) -> TarmacError:
        kind = Unavailable if _ASKING.fullmatch(command) else OutcomeUnknown
        return kind(
            f"{self.label} qga command '{command}' failed - connection lost",
            code="agent-connection-lost",
            cause="the guest's agent port was closed before the answer came: QEMU ended",
            evidence=repr(error),
        )

    def _refused(self, command: str, error: Mapping[str, Any]) -> NoReturn:
        text = str(error.get("desc", ""))[:2000]
        kind = re.sub(r"(?<=[a-z])(?=[A-Z])", "-", str(error.get("class", "GenericError")))[:40].lower()
        raise HostFailure(
            f"Agent error: {text}",
            code=f"agent-{kind}",
            cause=f"the guest's agent refused {command}",
            evidence=f"{self.label}: {text}",
        )

    def _broken(self, evidence: str) -> HostFailure:
        return HostFailure(
            f"{self.label}: the guest agent's answer cannot be used",
            code="agent-protocol",
            cause="the guest sent something that is not the agent's protocol",
            evidence=evidence,
        )
