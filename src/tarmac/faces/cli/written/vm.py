"""`tarmac vm exec|screenshot`, and how a command runs in a guest through its agent."""

from __future__ import annotations

import argparse
import base64
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tarmac.faces.cli.client import BASE
from tarmac.faces.cli.errors import CliError, usage
from tarmac.faces.cli.render import clean
from tarmac.faces.cli.session import Session

_PNG = b"\x89PNG\r\n\x1a\n"
_POLL_AT_MOST = 0.5
_INPUT_MAX = 65536


class Ran(NamedTuple):
    """A command that has ended in a guest: its exit code (128 and the signal's number for a killed one), its output."""

    code: int
    out: str
    err: str
    truncated: bool


def guest_path(session: Session, word: str) -> str:
    """The API's path of a guest."""
    node, vmid = session.guest(word)
    return f"/nodes/{node}/qemu/{vmid}"


def execute_options(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:
    parser.add_argument("guest", metavar="GUEST", help="number or name")
    parser.add_argument(
        "--timeout", type=float, default=0, metavar="S", help="wait at most so long (default: for ever)"
    )
    parser.add_argument("--stdin", action="store_true", help="hand on standard input (a text of up to 64 KiB)")
    parser.add_argument("--node", help="the guest's node")


def execute(session: Session) -> int:
    """Run a command in the guest; its output is ours and so is its exit code."""
    o = session.options
    if not o.command:
        raise usage("which command?", f"tarmac vm exec {o.guest} -- uname -a")
    given = sys.stdin.buffer.read(_INPUT_MAX + 1).decode(errors="replace") if o.stdin else ""
    if len(given) > _INPUT_MAX:
        raise usage(
            f"standard input is longer than {_INPUT_MAX} bytes", f"copy it first: tarmac vm cp FILE {o.guest}:/tmp/"
        )
    guest = guest_path(session, o.guest)
    try:
        ran = run_in_guest(session, guest, o.command, given, o.timeout)
    except KeyboardInterrupt:
        session.say("\nThe command goes on in the guest; its output is lost.")
        raise
    if session.output != "table":
        session.show({"exitcode": ran.code, "out-data": ran.out, "err-data": ran.err, "out-truncated": ran.truncated})
        return ran.code
    # A terminal gets no control characters from a guest; a pipe gets what the guest wrote.
    sys.stdout.write(clean(ran.out, lines=True) if sys.stdout.isatty() else ran.out)
    sys.stderr.write(clean(ran.err, lines=True) if sys.stderr.isatty() else ran.err)
    if ran.truncated:
        session.say("(the agent cut the output short)")
    return ran.code


def run_in_guest(session: Session, guest: str, command: Sequence[str], given: str = "", timeout: float = 0) -> Ran:
    """Run `command` in the guest at the API path `guest`, with `given` as its input. Raises CliError when the agent
    does not answer, or after `timeout` seconds (the command goes on in the guest then)."""
    started = time.monotonic()
    pid = session.client.post(f"{guest}/agent/exec", {"command": list(command), "input-data": given or None})["pid"]
    pause = 0.02
    while True:
        status: dict[str, Any] = session.client.get(f"{guest}/agent/exec-status", {"pid": pid})
        if status.get("exited"):
            break
        if timeout and time.monotonic() - started > timeout:
            raise CliError(
                "unavailable", f"the command has not ended after {timeout:g} s", evidence=f"pid {pid} in the guest"
            )
        time.sleep(pause)
        pause = min(_POLL_AT_MOST, pause * 1.5)
    code = status.get("exitcode")
    return Ran(
        128 + int(status.get("signal") or 0) if code is None else int(code),
        str(status.get("out-data") or ""),
        str(status.get("err-data") or ""),
        bool(status.get("out-truncated") or status.get("err-truncated")),
    )


def screenshot_options(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:
    parser.add_argument("guest", metavar="GUEST", help="number or name")
    parser.add_argument("file", metavar="FILE", nargs="?", help="where to (default: GUEST.png; -: standard output)")
    parser.add_argument("--node", help="the guest's node")


def screenshot(session: Session) -> int:
    """Save the screen as PNG."""
    o = session.options
    client = session.client
    headers = {**client.headers(), "Accept": "image/png"}
    reply = client.send("GET", f"{BASE}{guest_path(session, o.guest)}/screenshot", headers)
    image = reply.body
    if not (reply.status == 200 and image.startswith(_PNG)):
        data = client.understand(reply).get("data")
        image = base64.b64decode(data.get("png", "") if isinstance(data, dict) else str(data or ""))
    if not image.startswith(_PNG):
        raise CliError("error", "the daemon did not send a PNG", evidence=repr(image[:40]))
    if o.file == "-":
        sys.stdout.buffer.write(image)
        return 0
    target = Path(o.file or f"{o.guest}.png")
    target.write_bytes(image)
    session.say(f"saved {target}")
    if session.output != "table":
        session.show({"file": str(target), "size": len(image)})
    return 0
