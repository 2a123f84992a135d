"""How a long command shows that it is alive: one moving line on a terminal, plain lines elsewhere, nothing if quiet.

Everything goes to standard error, so that standard output holds only the result.
"""

from __future__ import annotations

import os
import sys
import time
from typing import TextIO

from tarmac.faces.cli.render import clean, duration, size

_BAR = 24
_PLAIN_EVERY = 10.0


class Progress:
    """Shown for what takes longer than `patience` seconds. `update` and `line` may be called as often as one likes;
    `end` leaves the terminal clean."""

    def __init__(self, title: str, *, quiet: bool = False, patience: float = 1.0, stream: TextIO | None = None) -> None:
        self.title = title
        self._stream = stream or sys.stderr
        self._quiet = quiet
        self._terminal = self._stream.isatty() and os.environ.get("TERM") != "dumb"
        self._patience = patience
        self._started = self._shown = time.monotonic()
        self._announced = False
        self._drawn = False

    def update(self, done: float | None = None, total: float | None = None, unit: str = "", note: str = "") -> None:
        """So much of so much, in `unit` (`bytes` are shown as sizes), and the newest thing to say."""
        now = time.monotonic()
        elapsed = now - self._started
        if self._quiet or elapsed < self._patience:
            return
        if self._terminal:
            self._draw(self._text(done, total, unit, note, elapsed))
        elif not self._announced or now - self._shown >= _PLAIN_EVERY:
            self._announced, self._shown = True, now
            self._write(self._text(done, total, unit, note, elapsed) + "\n")

    def line(self, text: str) -> None:
        """A line that stays, above the moving one."""
        if not self._quiet:
            self._clear()
            self._write(clean(text) + "\n")

    def end(self) -> None:
        self._clear()

    def _text(self, done: float | None, total: float | None, unit: str, note: str, elapsed: float) -> str:
        parts = [self.title]
        if done is not None and total:
            share = min(1.0, done / total)
            if self._terminal:
                parts.append(f"[{'#' * int(share * _BAR):.<{_BAR}}]")
            parts.append(f"{share * 100:.0f}%")
            if unit == "bytes":
                parts.append(f"{size(done)} of {size(total)}")
        elif done is not None and unit == "bytes":
            parts.append(size(done))
        parts.append(duration(elapsed))
        if note:
            parts.append(clean(note))
        return "  ".join(parts)

    def _draw(self, text: str) -> None:
        width = _columns()
        self._drawn = True
        self._write(f"\r\x1b[K{text[: width - 1]}")

    def _clear(self) -> None:
        if self._drawn:
            self._drawn = False
            self._write("\r\x1b[K")

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()


def _columns() -> int:
    try:
        return max(20, os.get_terminal_size(sys.stderr.fileno()).columns)
    except (OSError, ValueError):
        return 80
