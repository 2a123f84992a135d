"""The guest agent: ask the system inside, run commands in it, read and write its files."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from tarmac.faces.api.declare import NULL, OBJECT, Allow, Call, get, post
from tarmac.faces.api.endpoints.common import Guest
from tarmac.faces.api.shapes.guests import AgentInterfaces
from tarmac.model.errors import InvalidInput
from tarmac.model.settings import setting

BASE = "/nodes/{node}/qemu/{vmid}/agent"
MAX_READ = 16 << 20
MAX_OFFSET = 64 << 20
UNRESTRICTED = "VM.GuestAgent.Unrestricted"
AUDIT = Allow("/vms/{vmid}", "VM.GuestAgent.Audit", UNRESTRICTED, any=True)
FREEZE = Allow("/vms/{vmid}", "VM.GuestAgent.FileSystemMgmt", UNRESTRICTED, any=True)
FREEZE_AUDIT = Allow("/vms/{vmid}", "VM.GuestAgent.Audit", "VM.GuestAgent.FileSystemMgmt", UNRESTRICTED, any=True)
POWER = Allow("/vms/{vmid}", "VM.PowerMgmt", UNRESTRICTED, any=True)
FULL = Allow("/vms/{vmid}", UNRESTRICTED)

ASK: dict[str, str] = {
    "get-fsinfo": "The guest's file systems.",
    "get-host-name": "The guest's host name.",
    "get-memory-block-info": "The size of the guest's memory blocks.",
    "get-memory-blocks": "The guest's memory blocks.",
    "get-osinfo": "The guest's operating system.",
    "get-time": "The guest's time.",
    "get-timezone": "The guest's time zone.",
    "get-users": "Who is logged in.",
    "get-vcpus": "The guest's processors.",
    "info": "The agent's version and commands.",
    "network-get-interfaces": "The guest's network interfaces and addresses.",
}
ACT: dict[str, tuple[str, Allow]] = {
    "ping": ("Ask whether the agent answers.", AUDIT),
    "fsfreeze-freeze": ("Freeze the guest's file systems.", FREEZE),
    "fsfreeze-status": ("Whether the guest's file systems are frozen.", FREEZE_AUDIT),
    "fsfreeze-thaw": ("Thaw the guest's file systems.", FREEZE),
    "fstrim": ("Give unused blocks of the guest's file systems back.", FREEZE),
    "shutdown": ("Shut the guest down through its agent.", POWER),
    "suspend-disk": ("Have the guest suspend to its disk.", POWER),
    "suspend-hybrid": ("Have the guest suspend to memory and disk.", POWER),
    "suspend-ram": ("Have the guest suspend to memory.", POWER),
}
ASKED_BY_POST = ("ping", "fsfreeze-status")  # clients that wait for a guest call these every few seconds


REPLIES = {"network-get-interfaces": AgentInterfaces}


@dataclass(frozen=True, kw_only=True)
class Command(Guest):
    command: str = setting(choices=tuple(sorted((*ASK, *ACT))), help="The agent's command.")


@dataclass(frozen=True, kw_only=True)
class Exec(Guest):
    command: tuple[str, ...] = setting(array=True, help="The program and its arguments.")
    input_data: str | None = setting(None, name="input-data", max_length=65536, help="What it reads as its input.")


@dataclass(frozen=True, kw_only=True)
class ExecStatus(Guest):
    pid: int = setting(help="The number that `exec` answered.")


@dataclass(frozen=True, kw_only=True)
class FileRead(Guest):
    file: str = setting(max_length=4096, help="The file's path in the guest.")
    count: int = setting(MAX_READ, ge=1, le=MAX_READ, unit="bytes", help="How much to read at most.")
    offset: int = setting(0, ge=0, le=MAX_OFFSET, unit="bytes", help="Where to begin.")
    decode: bool = setting(True, help="As text; else as base64.")


@dataclass(frozen=True, kw_only=True)
class FileWrite(Guest):
    file: str = setting(max_length=4096, help="The file's path in the guest.")
    content: str = setting(max_length=61440, help="What it shall hold.")
    encode: bool = setting(True, help="`content` is text; without this it is base64 already.")


@dataclass(frozen=True, kw_only=True)
class Password(Guest):
    username: str = setting(max_length=256, help="The user in the guest.")
    password: str = setting(
        max_length=1024, pattern=r"[\s\S]{5,}", secret=True, help="The new password, at least 5 characters."
    )
    crypted: bool = setting(False, help="`password` is a hash already.")


async def _may_run(call: Call, p: Any) -> None:
    """The rule of the command itself."""
    rule = ACT[p.command][1] if p.command in ACT else AUDIT
    call.services.access.check(call.identity, f"/vms/{p.vmid}", rule.privileges, any=True)


@post(
    BASE,
    params=Command,
    allow=Allow.by(_may_run, "what the command's own endpoint needs"),
    returns=OBJECT,
    help="Run one of the agent's plain commands.",
)
async def command(call: Call, p: Command) -> dict[str, Any]:
    return {"result": await call.services.agents.call(p.vmid, f"guest-{p.command}")}


def _plain(name: str) -> Callable[[Call, Guest], Awaitable[dict[str, Any]]]:
    async def run(call: Call, p: Guest) -> dict[str, Any]:
        return {"result": await call.services.agents.call(p.vmid, f"guest-{name}")}

    return run


PLAIN = (
    *(get(f"{BASE}/{name}", params=Guest, allow=AUDIT, returns=OBJECT, help=text, reply=REPLIES.get(name))(_plain(name))
      for name, text in ASK.items()),
    *(post(f"{BASE}/{name}", params=Guest, allow=rule, returns=OBJECT, asks=name in ASKED_BY_POST, help=text)(
        _plain(name)
      )
      for name, (text, rule) in ACT.items()),
)  # fmt: skip


@post(f"{BASE}/exec", params=Exec, allow=FULL, returns=OBJECT, help="Run a command in the guest.")
async def execute(call: Call, p: Exec) -> dict[str, Any]:
    agent = call.services.agents.of(p.vmid)
    return {"pid": await agent.exec(p.command, input=(p.input_data or "").encode())}


@get(
    f"{BASE}/exec-status",
    params=ExecStatus,
    allow=FULL,
    returns=OBJECT,
    help="Whether a command has ended, and what it wrote.",
)
async def execute_status(call: Call, p: ExecStatus) -> Any:
    status = await call.services.agents.of(p.vmid).exec_status(p.pid)
    shown: dict[str, Any] = {"exited": int(status.exited)}
    if status.exited:
        shown |= {"out-data": _text(status.output), "err-data": _text(status.error)}
        shown |= {"out-truncated": int(status.output_truncated), "err-truncated": int(status.error_truncated)}
    if status.exit_code is not None:
        shown["exitcode"] = status.exit_code
    if status.signal is not None:
        shown["signal"] = status.signal
    return shown


@get(
    f"{BASE}/file-read",
    params=FileRead,
    allow=Allow("/vms/{vmid}", "VM.GuestAgent.FileRead", UNRESTRICTED, any=True),
    returns=OBJECT,
    help="Read a file of the guest.",
)
async def file_read(call: Call, p: FileRead) -> Any:
    data, more = await call.services.agents.of(p.vmid).file_read(p.file, limit=p.offset + p.count)
    part = data[p.offset :]
    shown: dict[str, Any] = {"content": _text(part) if p.decode else base64.b64encode(part).decode()}
    shown["bytes-read"] = len(part)
    if more:
        shown["truncated"] = 1
    return shown


@post(
    f"{BASE}/file-write",
    params=FileWrite,
    allow=Allow("/vms/{vmid}", "VM.GuestAgent.FileWrite", UNRESTRICTED, any=True),
    returns=NULL,
    help="Write a file in the guest.",
)
async def file_write(call: Call, p: FileWrite) -> None:
    await call.services.agents.of(p.vmid).file_write(p.file, _bytes(p.content, "content", p.encode))


@post(
    f"{BASE}/set-user-password",
    params=Password,
    allow=FULL,
    returns=OBJECT,
    help="Set a user's password in the guest.",
)
async def set_password(call: Call, p: Password) -> dict[str, Any]:
    arguments = {
        "username": p.username,
        "password": base64.b64encode(p.password.encode()).decode(),
        "crypted": p.crypted,
    }
    return {"result": await call.services.agents.call(p.vmid, "guest-set-user-password", arguments)}


def _text(data: bytes) -> str:
    """Bytes of a guest as text; what is no UTF-8 becomes the replacement character."""
    return data.decode("utf-8", "replace")


def _bytes(text: str, name: str, plain: bool) -> bytes:
    if plain:
        return text.encode()
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as problem:
        raise InvalidInput.of(name, f"invalid format - value is not base64: {problem}") from None
