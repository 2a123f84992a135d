"""The command line as somebody types it: its words, and a pseudo-terminal to type on."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import sys
import termios
import time

from support.daemon import TestDaemon

SECONDS = 60.0


def words_for(daemon: TestDaemon, *words: str) -> list[str]:
    """`tarmac WORDS` as a command of this daemon's."""
    return [sys.executable, "-m", "tarmac", "--data-dir", str(daemon.data), *words]


class Terminal:
    """A command on a pseudo-terminal."""

    def __init__(self, words: list[str]) -> None:
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execv(words[0], words)
        self.seen = b""

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, keys: bytes) -> None:
        os.write(self.fd, keys)

    def until(self, text: bytes) -> None:
        deadline = time.monotonic() + SECONDS
        while text not in self.seen:
            left = deadline - time.monotonic()
            assert left > 0 and select.select([self.fd], [], [], left)[0], self.seen
            self.seen += os.read(self.fd, 4096)
        self.seen = self.seen.partition(text)[2]

    def end(self) -> int:
        """Read what is left; the exit code."""
        while True:
            try:
                if not (data := os.read(self.fd, 4096)):
                    break
                self.seen += data
            except OSError:
                break  # a terminal whose program has ended
        os.close(self.fd)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
