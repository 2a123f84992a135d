"""Which objects changed, in order: each object once, at the number of its last change.

What follows others needs no queue of messages then: whoever has seen everything up to a number asks for what changed
since, and gets each object once, as it is now, however far behind it is. What is gone is remembered for a while;
`floor` is the number from which on nothing is missing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

GONE_KEPT = 2_000


class ChangeLog:
    """Keys with the number of their last change, the newest last. Pure and small: as many entries as objects."""

    def __init__(self, gone_kept: int = GONE_KEPT) -> None:
        self._at: dict[str, int] = {}
        self._gone: deque[tuple[str, int]] = deque()
        self._gone_kept = gone_kept
        self.seq = 0
        self.floor = 0

    def mark(self, keys: Iterable[str]) -> int:
        """These changed now, under one new number, which is returned."""
        self.seq += 1
        for key in keys:
            self._at.pop(key, None)  # so that it moves to the end
            self._at[key] = self.seq
        return self.seq

    def forget_later(self, key: str) -> None:
        """Of what is gone only the newest are remembered."""
        self._gone.append((key, self._at.get(key, 0)))
        while len(self._gone) > self._gone_kept:
            key, seq = self._gone.popleft()
            if seq and self._at.get(key) == seq:  # it may have come again
                del self._at[key]
                self.floor = max(self.floor, seq)

    def since(self, seq: int) -> list[str]:
        """What changed after `seq`, oldest first."""
        found = []
        for key in reversed(self._at):
            if self._at[key] <= seq:
                break
            found.append(key)
        found.reverse()
        return found

    def __len__(self) -> int:
        return len(self._at)
