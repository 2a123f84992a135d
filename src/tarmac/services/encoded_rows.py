"""Long lists of guests as JSON, kept guest by guest: a list costs what changed since the last one.

A guest at rest looks the same until its configuration changes, so its row is encoded once and kept with the guest
(`Guest.rows`, emptied with each change). Rows of guests that run, or that somebody works on, are made anew each time.
The loop is given up every few milliseconds, because the first list after a start reads every configuration.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from tarmac.services.guests import Guest

SLICE_SECONDS = 0.004
_encode = msgspec.json.Encoder().encode


class EncodedRows:
    """One kind of row, by `name`. `build` gives a guest's row in plain texts and numbers (no booleans: Proxmox has
    none); `at_rest` says whether that row depends on the configuration alone."""

    def __init__(
        self, name: str, build: Callable[[Guest], dict[str, Any]], *, at_rest: Callable[[Guest], bool]
    ) -> None:
        self._name = name
        self._build = build
        self._at_rest = at_rest

    async def encode(self, guests: Iterable[Guest], others: Iterable[dict[str, Any]] = ()) -> bytes:
        """A JSON list of the guests' rows and then of the `others`. Each row is as its guest is when it is made."""
        name, at_rest = self._name, self._at_rest
        parts: list[bytes] = []
        until = time.perf_counter() + SLICE_SECONDS
        for guest in guests:
            kept = guest.rows.get(name)
            if kept is not None and at_rest(guest):
                parts.append(kept)
                continue
            parts.append(self._fresh(guest))
            if time.perf_counter() > until:
                await asyncio.sleep(0)
                until = time.perf_counter() + SLICE_SECONDS
        parts += map(_encode, others)
        return b"[%b]" % b",".join(parts)

    def row(self, guest: Guest) -> bytes:
        """One guest's row as JSON."""
        kept = guest.rows.get(self._name)
        return kept if kept is not None and self._at_rest(guest) else self._fresh(guest)

    def _fresh(self, guest: Guest) -> bytes:
        if not self._at_rest(guest):
            return _encode(self._build(guest))
        parsed = guest.parsed
        row = guest.rows[self._name] = _encode(self._build(guest))
        if not parsed:
            guest.forget_parsed()  # 11 KB each, which nobody else has asked for
        return row
