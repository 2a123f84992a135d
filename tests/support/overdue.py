"""What hangs is named while it hangs: a run that is cut off from outside would otherwise not say where it stood."""

from __future__ import annotations

import threading
import time

import pytest

FIRST = 150.0
"""Seconds after which a test is named; then again each time as many have passed."""


class Overdue:
    """A plugin of pytest, of the process that reports (with several workers: the one that hears from all)."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._since: dict[str, float] = {}
        self._named: dict[str, int] = {}
        self._over = threading.Event()

    def pytest_sessionstart(self) -> None:
        threading.Thread(target=self._watch, name="overdue", daemon=True).start()

    def pytest_sessionfinish(self) -> None:
        self._over.set()

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self._since[nodeid] = time.monotonic()

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        self._since.pop(nodeid, None)
        self._named.pop(nodeid, None)

    def _watch(self) -> None:
        while not self._over.wait(10):
            for nodeid, seconds in self.overdue():
                self._config.get_terminal_writer().line(f"\n[{nodeid} has been running for {seconds:.0f} s]")

    def overdue(self) -> list[tuple[str, float]]:
        """The tests to name now, with the seconds that they have run; each is returned once for every `FIRST`."""
        now = time.monotonic()
        found = []
        for nodeid, start in list(self._since.items()):
            times = int((now - start) // FIRST)
            if times > self._named.get(nodeid, 0):
                self._named[nodeid] = times
                found.append((nodeid, now - start))
        return found
