"""Long lists of guests as JSON, kept guest by guest: a list costs what changed since the last one.

A guest at rest looks the same until its configuration changes, so its row is encoded once and kept with the guest
(`Guest.rows`, emptied with each change). Rows of guests that run, or that somebody works on, are made anew each time.
The loop is given up every few milliseconds, because the first list after a start reads every configuration.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec

from tarmac.services.guests.guests import Guest

SLICE_SECONDS = 0.001
"""Another request takes three turns of the loop from its arrival to its answer, and waits for a slice at each."""
WARM_SECONDS = 0.004
REST_SECONDS = 0.004
ROWS_IN_PIECE = 256
ROWS_BETWEEN_LOOKS = 8
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

    async def encode(self, guests: Iterable[Guest], others: Iterable[dict[str, Any]] = ()) -> list[bytes]:
        """A JSON list of the guests' rows and then of the `others`, in pieces that are sent one after another, because
        joining megabytes holds up everybody. Each row is as its guest is when it is made."""
        pieces: list[bytes] = []
        rows: list[bytes] = []
        until = time.perf_counter() + SLICE_SECONDS
        for guest in guests:
            rows.append(self.row(guest))
            if len(rows) >= ROWS_IN_PIECE or (len(rows) % ROWS_BETWEEN_LOOKS == 0 and time.perf_counter() > until):
                pieces.append(b",".join(rows))
                rows.clear()
                if time.perf_counter() > until:
                    await asyncio.sleep(0)
                    until = time.perf_counter() + SLICE_SECONDS
        rows += map(_encode, others)
        if rows:
            pieces.append(b",".join(rows))
        return [b"[", *(b"," + piece if n else piece for n, piece in enumerate(pieces)), b"]"]

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


async def warm(guests: Iterable[Guest], kinds: Sequence[EncodedRows]) -> None:
    """Make the rows of guests before anybody asks, so that the first list after a start is as quick as the others;
    for half of the time at most."""
    until = time.perf_counter() + WARM_SECONDS
    for guest in guests:
        parsed = guest.parsed
        _ = guest.file  # read once for all kinds
        for kind in kinds:
            kind.row(guest)
        if not parsed:
            guest.forget_parsed()
        if time.perf_counter() > until:
            await asyncio.sleep(REST_SECONDS)
            until = time.perf_counter() + WARM_SECONDS
