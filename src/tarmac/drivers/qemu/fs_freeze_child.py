"""A process that freezes a guest's file systems and thaws them again, whatever becomes of the daemon that started it.

    python -I -S fs_freeze_child.py SOCKET FREEZE_SECONDS HOLD_SECONDS

Says on stdout `frozen N`, or `refused TEXT`; thaws on a line on stdin, on its end (the daemon is gone) or after
HOLD_SECONDS, whichever comes first; then says `thawed` or `thawed late`. QEMU serves one client on the agent's socket:
as long as this holds it, nobody else can be in the way. Only the standard library: it must start at once.
"""

from __future__ import annotations

import json
import os
import select
import socket
import sys
import time
from pathlib import Path
from typing import Any

SYNC_SECONDS = 3.0
THAW_SECONDS = 600.0
_LIMIT = 1 << 20


class Line:
    """The agent's line: one command at a time, garbage thrown away."""

    def __init__(self, path: str) -> None:
        self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._sock.settimeout(SYNC_SECONDS)
        self._sock.connect(path)
        self._buffer = b""

    def send(self, command: str, prefix: bytes = b"", **arguments: Any) -> None:
        message: dict[str, Any] = {"execute": command, **({"arguments": arguments} if arguments else {})}
        self._sock.sendall(prefix + json.dumps(message).encode() + b"\n")

    def sync(self, seconds: float) -> None:
        """Raises TimeoutError when the agent does not answer."""
        number = int.from_bytes(os.urandom(4), "big") >> 1
        self.send("guest-sync-delimited", b"\xff", id=number)
        deadline = time.monotonic() + seconds
        while self.reply(deadline).get("return") != number:
            pass

    def reply(self, deadline: float) -> dict[str, Any]:
        """The next answer that is one. Raises TimeoutError, EOFError."""
        while True:
            while b"\n" in self._buffer:
                line, _, self._buffer = self._buffer.partition(b"\n")
                try:
                    found = json.loads(line.rpartition(b"\xff")[2])
                except ValueError:
                    continue
                if isinstance(found, dict):
                    return found
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            self._sock.settimeout(left)
            chunk = self._sock.recv(65536)
            if not chunk:
                raise EOFError
            self._buffer = (self._buffer + chunk)[-_LIMIT:]


def say(text: str) -> None:
    try:
        os.write(1, text.encode("utf-8", "replace") + b"\n")
    except OSError:
        pass  # the daemon is gone; the guest is what matters


def freeze(line: Line, seconds: float) -> str:
    """What to say; raises TimeoutError when the freeze was sent and nothing came back."""
    line.sync(min(seconds, SYNC_SECONDS))
    line.send("guest-fsfreeze-freeze")
    answer = line.reply(time.monotonic() + seconds)
    if "error" in answer:
        return "refused " + str(answer["error"].get("desc", ""))[:300].replace("\n", " ")
    return f"frozen {answer.get('return')}"


def thaw(path: str, line: Line | None) -> None:
    """Ask until the agent has said that it did, or the guest is gone. An error (nothing frozen) is an answer, too."""
    deadline = time.monotonic() + THAW_SECONDS
    while time.monotonic() < deadline:
        try:
            if line is None:
                line = Line(path)
            line.sync(SYNC_SECONDS)
            line.send("guest-fsfreeze-thaw")
            line.reply(time.monotonic() + 10)
            return
        except TimeoutError:
            continue
        except (OSError, EOFError):
            if not Path(path).exists():
                return
            line = None
            time.sleep(0.2)


def main(path: str, freeze_seconds: float, hold_seconds: float) -> None:
    line: Line | None = None
    try:
        line = Line(path)
        answer = freeze(line, freeze_seconds)
    except (TimeoutError, EOFError, OSError) as problem:
        say(f"refused the guest agent does not answer ({problem or 'no answer in time'})")
        thaw(path, line)  # it may have taken the command all the same
        return
    say(answer)
    if not answer.startswith("frozen"):
        return
    told = bool(select.select([0], [], [], hold_seconds)[0])
    thaw(path, line)
    say("thawed" if told else "thawed late")


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]), float(sys.argv[3]))
