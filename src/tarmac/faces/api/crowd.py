"""How many connections there may be, of everybody and of one source; and who must go when one more comes.

A crowd of connections may be an attack or a badly written client. It must cost bounded memory, and others must be
served meanwhile, also others behind the same address. So at a limit nobody new is turned away while some connection
waits idly: the one that has been there longest goes.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Crowd(Generic[T]):
    """Those who are in, by source, in order of coming. `evict(one)` ends one that is idle and says whether it did."""

    def __init__(self, *, most: int, most_of_one: int, evict: Callable[[T], bool]) -> None:
        self._most = most
        self._most_of_one = most_of_one
        self._evict = evict
        self._all: dict[T, str] = {}
        self._by_source: dict[str, dict[T, None]] = {}

    def __len__(self) -> int:
        return len(self._all)

    def enter(self, one: T, source: str) -> bool:
        """Let one in, an idle one out if need be. False: nobody idle; it must be turned away."""
        of_source = self._by_source.get(source, {})
        if len(of_source) >= self._most_of_one and not self._make_room(of_source):
            return False
        if len(self._all) >= self._most and not self._make_room(self._largest()):
            return False
        self._all[one] = source
        self._by_source.setdefault(source, {})[one] = None
        return True

    def leave(self, one: T) -> None:
        """One has gone; fine if it never was in."""
        source = self._all.pop(one, None)
        if source is None:
            return
        of_source = self._by_source[source]
        of_source.pop(one, None)
        if not of_source:
            del self._by_source[source]

    def _largest(self) -> dict[T, None]:
        return max(self._by_source.values(), key=len, default={})

    def _make_room(self, among: dict[T, None]) -> bool:
        for one in list(among):
            if self._evict(one):
                self.leave(one)
                return True
        return False


def source_of(address: str) -> str:
    """Whom a connection counts for: its IPv4 address, or the network of its IPv6 address, of which one host has as
    many as it likes."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv4Address):
        return address
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.IPv6Network((parsed, 64), strict=False))
