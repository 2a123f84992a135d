"""The guest agent's commands we use, each as a typed method ("QEMU guest agent protocol reference").

Texts and numbers that come back are the guest's: bounded by `Agent.call`, but never to be trusted or shown unescaped.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tarmac.model.errors import HostFailure

FILE_LIMIT = 16 * 1024 * 1024
_CHUNK = 256 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecStatus:
    """A program in the guest. Output is there once it has exited, up to the agent's own limit (16 MiB a stream)."""

    exited: bool
    exit_code: int | None = None
    signal: int | None = None
    output: bytes = b""
    error: bytes = b""
    output_truncated: bool = False
    error_truncated: bool = False


class AgentCommands:
    """Mixed into `Agent`, which brings `call`. Errors and `within` (seconds in all): see `Agent.call`."""

    async def call(
        self,
        command: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        within: float = 10.0,
        answers: bool = True,
    ) -> Any:
        raise NotImplementedError  # pragma: no cover - Agent has it

    async def ping(self, *, within: float = 3.0) -> None:
        await self.call("guest-ping", within=within)

    async def network_interfaces(self, *, within: float = 10.0) -> list[dict[str, Any]]:
        """Each with `name`, `hardware-address` and `ip-addresses`."""
        reply = await self.call("guest-network-get-interfaces", within=within)
        return [entry for entry in reply if isinstance(entry, dict)] if isinstance(reply, list) else []

    async def exec(
        self,
        argv: Sequence[str],
        *,
        input: bytes = b"",
        environment: Sequence[str] = (),
        capture: bool = True,
        within: float = 10.0,
    ) -> int:
        """Start a program in the guest (no shell) and return its pid there. `environment`: `NAME=value`, all of it."""
        arguments: dict[str, Any] = {"path": argv[0], "arg": list(argv[1:]), "capture-output": capture}
        if input:
            arguments["input-data"] = base64.b64encode(input).decode()
        if environment:
            arguments["env"] = list(environment)
        reply = _mapping(await self.call("guest-exec", arguments, within=within))
        return int(reply["pid"])

    async def exec_status(self, pid: int, *, within: float = 10.0) -> ExecStatus:
        """How far a program is. The agent forgets it once it has told its end."""
        reply = _mapping(await self.call("guest-exec-status", {"pid": pid}, within=within))
        output, error = await asyncio.to_thread(lambda: (_decode(reply, "out-data"), _decode(reply, "err-data")))
        return ExecStatus(
            exited=bool(reply.get("exited")),
            exit_code=reply.get("exitcode"),
            signal=reply.get("signal"),
            output=output,
            error=error,
            output_truncated=bool(reply.get("out-truncated")),
            error_truncated=bool(reply.get("err-truncated")),
        )

    async def run(
        self, argv: Sequence[str], *, input: bytes = b"", poll: float = 0.02, within: float = 10.0
    ) -> ExecStatus:
        """Run a program to its end; `within` counts for each answer of the agent. There is no other limit but the
        caller's (`asyncio.timeout`); when that passes, the program goes on in the guest: the agent has no command to
        end it."""
        pid = await self.exec(argv, input=input, within=within)
        while not (status := await self.exec_status(pid, within=within)).exited:
            await asyncio.sleep(poll)
            poll = min(poll * 1.5, 1.0)
        return status

    async def file_read(self, path: str, *, limit: int = FILE_LIMIT, within: float = 10.0) -> tuple[bytes, bool]:
        """Up to `limit` bytes of a file in the guest, and whether there is more. `within` counts for each chunk."""
        handle = await self.call("guest-file-open", {"path": path, "mode": "r"}, within=within)
        data = bytearray()
        try:
            while len(data) <= limit:
                reply = _mapping(await self.call("guest-file-read", {"handle": handle, "count": _CHUNK}, within=within))
                data += _decode(reply, "buf-b64")
                if reply.get("eof") or not reply.get("count"):
                    break
        finally:
            await self.call("guest-file-close", {"handle": handle}, within=within)
        return bytes(data[:limit]), len(data) > limit

    async def file_write(self, path: str, data: bytes, *, within: float = 10.0) -> None:
        """Replace a file in the guest. After a failure it may hold a part. `within` counts for each chunk."""
        handle = await self.call("guest-file-open", {"path": path, "mode": "w"}, within=within)
        try:
            sent = 0
            while sent < len(data):
                text = base64.b64encode(data[sent : sent + _CHUNK]).decode()
                arguments = {"handle": handle, "buf-b64": text}
                count = int(_mapping(await self.call("guest-file-write", arguments, within=within)).get("count", 0))
                if not 0 < count <= _CHUNK:
                    raise HostFailure(f"cannot write {path} in the guest", cause=f"the agent wrote {count} bytes")
                sent += count
        finally:
            await self.call("guest-file-close", {"handle": handle}, within=within)

    async def fsfreeze_freeze(self, *, within: float = 60.0) -> int:
        """Flush and hold all file systems; how many. Always thaw, also after an error."""
        return int(await self.call("guest-fsfreeze-freeze", within=within))

    async def fsfreeze_thaw(self, *, within: float = 60.0) -> int:
        return int(await self.call("guest-fsfreeze-thaw", within=within))

    async def shutdown(self, mode: str = "powerdown", *, within: float = 10.0) -> None:
        """Tell the guest to power off (`powerdown`), `halt` or `reboot`. Success: the agent took it."""
        await self.call("guest-shutdown", {"mode": mode}, within=within, answers=False)


def _mapping(reply: object) -> dict[str, Any]:
    if isinstance(reply, dict):
        return reply
    raise HostFailure(
        "the guest agent's answer cannot be used",
        code="agent-protocol",
        cause="the guest sent something that is not the agent's protocol",
        evidence=repr(reply)[:200],
    )


def _decode(reply: Mapping[str, Any], key: str) -> bytes:
    try:
        return base64.b64decode(reply.get(key) or "", validate=True)
    except (binascii.Error, TypeError, ValueError) as error:
        raise HostFailure(
            "the guest agent's answer cannot be used",
            code="agent-protocol",
            cause=f"{key} is not base64",
            evidence=str(error),
        ) from error
