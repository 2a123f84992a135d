"""How often somebody may be wrong: counted before any hashing, for each user and for each source.

Three counts over a sliding window: the pair of user and source (somebody guesses), the source (somebody tries many
users), the user (many sources guess). The last one spares sources from which that user has logged in before, so that
strangers cannot lock a user out. Attempts under way count already. Memory is bounded.
"""

from __future__ import annotations

import ipaddress
import time
from collections import OrderedDict, deque
from collections.abc import Callable

WINDOW_SECONDS = 300.0
PER_PAIR, PER_SOURCE, PER_USER = 5, 30, 100
_MAX_KEYS = 20_000
_MAX_KNOWN = 10_000


class LoginLimits:
    """`begin` before checking a password, `succeeded` if it fitted."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._tries: OrderedDict[tuple[str, str], deque[float]] = OrderedDict()
        self._known: OrderedDict[tuple[str, str], None] = OrderedDict()

    def begin(self, user: str, source: str) -> bool:
        """Count an attempt; False when it is one too many (it is not counted then)."""
        place = network_of(source)
        limits = [((user, place), PER_PAIR), (("", place), PER_SOURCE)]
        if (user, place) not in self._known:
            limits.append(((user, ""), PER_USER))
        now = self._clock()
        found = [(self._recent(key, now), limit) for key, limit in limits]
        if any(len(tries) >= limit for tries, limit in found):
            return False
        for tries, _ in found:
            tries.append(now)
        return True

    def succeeded(self, user: str, source: str) -> None:
        """The password fitted: the pair starts anew, and the other counts lose this attempt."""
        place = network_of(source)
        self._tries.pop((user, place), None)
        for key in (("", place), (user, "")):
            if tries := self._tries.get(key):
                tries.pop()
        self._known[(user, place)] = None
        self._known.move_to_end((user, place))
        if len(self._known) > _MAX_KNOWN:
            self._known.popitem(last=False)

    def knows(self, user: str, source: str) -> bool:
        """Whether the user has logged in from there before (since the daemon's start)."""
        return (user, network_of(source)) in self._known

    def _recent(self, key: tuple[str, str], now: float) -> deque[float]:
        tries = self._tries.setdefault(key, deque())
        self._tries.move_to_end(key)
        while tries and tries[0] <= now - WINDOW_SECONDS:
            tries.popleft()
        if len(self._tries) > _MAX_KEYS:
            self._tries.popitem(last=False)
        return tries


def network_of(source: str) -> str:
    """What counts as one source: an IPv4 address, an IPv6 /64 (one customer has a whole one), or the text itself."""
    try:
        address = ipaddress.ip_address(source.partition("%")[0])
    except ValueError:
        return source
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((int(address) >> 64 << 64, 64)))
    return str(address)
