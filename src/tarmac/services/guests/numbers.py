"""Numbers of guests: which are free, lent to who asked for one, or taken for work that is about to begin."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection

from tarmac.model.datacenter import FIRST_ID, LAST_ID
from tarmac.model.errors import Fix, InvalidInput, Unavailable

LEND_SECONDS = 60.0


class Numbers:
    """`taken` are the numbers of the guests that there are, as they are at each call; `id_range` (the first number to
    give, the one behind the last) is the datacenter's option. Nothing of it outlives the daemon."""

    def __init__(self, taken: Collection[int]) -> None:
        self._taken = taken
        self._claimed: set[int] = set()
        self._lent: dict[int, float] = {}
        self.id_range: Callable[[], tuple[int, int]] = lambda: (FIRST_ID, LAST_ID)

    def lend(self) -> int:
        """The lowest free number, lent to the asker for 60 s: the next asker gets another, an explicit create wins.
        Raises Unavailable when the datacenter's range has none left."""
        now = time.monotonic()
        self._lent = {vmid: until for vmid, until in self._lent.items() if until > now}
        vmid, end = self.id_range()
        low = vmid
        while vmid < end and (vmid in self._taken or vmid in self._claimed or vmid in self._lent):
            vmid += 1
        if vmid >= end:
            raise Unavailable(
                f"unable to get any free VMID in range [{low}, {end}]",
                code="no-free-number",
                cause="all numbers of the range are taken, or were lent to somebody less than a minute ago",
                evidence=f"{len(self._taken)} guests, {len(self._lent)} numbers lent",
                fixes=[Fix(text="widen the range", action="PUT /cluster/options", parameters={"next-id": "lower=100"})],
            )
        self._lent[vmid] = now + LEND_SECONDS
        return vmid

    def take_back(self, vmid: int) -> None:
        """End the loan of a number whose asker does not need it any more."""
        self._lent.pop(vmid, None)

    def check_free(self, vmid: int) -> None:
        """Raises InvalidInput `{"vmid": "VM 100 already exists"}`."""
        if vmid in self._taken or vmid in self._claimed:
            raise InvalidInput.of("vmid", f"VM {vmid} already exists", code="guest-exists")

    def claim(self, vmid: int) -> None:
        """Take a number for a create that is about to begin. Raises as `check_free`."""
        self.check_free(vmid)
        self._claimed.add(vmid)

    def claim_free(self, count: int) -> list[int]:
        """Take the `count` lowest free numbers, at once. Raises Unavailable; then none is taken."""
        found: list[int] = []
        try:
            while len(found) < count:
                found.append(self.lend())
                self._claimed.add(found[-1])
                self.take_back(found[-1])  # claimed is enough; what was only planned is free again at once
        except Unavailable:
            self.unclaim(*found)
            raise
        return found

    def unclaim(self, *vmids: int) -> None:
        """Give back what was taken: the guests are there now, or will not come."""
        self._claimed.difference_update(vmids)
