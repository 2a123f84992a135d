"""How long work tells its progress, without knowing what a job is.

Drivers and the vault take a `Progress`; a job's context is one, and `SILENT` is for callers that do not care.
"""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Both methods return at once and never raise; they may be called from the event loop only."""

    def log(self, line: str) -> None:
        """One line for people, without a line end."""

    def progress(self, done: int, total: int | None, unit: str) -> None:
        """So much of so much: `done` of `total` in `unit` (`bytes`, `steps`); `total` None: not known."""


class _Silent:
    def log(self, line: str) -> None:
        pass

    def progress(self, done: int, total: int | None, unit: str) -> None:
        pass


SILENT: Progress = _Silent()
