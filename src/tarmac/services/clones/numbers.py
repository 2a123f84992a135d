"""The numbers of clones: claimed in memory, then taken on disk, all or none, before anything is made under them.

A number that is taken and nothing else is a guest whose configuration is RESERVED. It is given back unless a complete
guest has it by then.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from tarmac.model.conf_file import GuestFile, print_conf
from tarmac.model.errors import InvalidInput
from tarmac.model.job import PlannedStep
from tarmac.services.guests.guests import Guest, Guests
from tarmac.services.guests.uids import Uids
from tarmac.services.jobs.steps import Registry, StepContext

RESERVED = {"lock": "clone"}
MOST = 100  # what one transaction of the store holds, with room
TOGETHER = 50  # the same, if their uids are in it


class CloneNumbers:
    """`claim`, then the step that `step` plans, or `reserve` within a step of one's own."""

    def __init__(self, *, guests: Guests, uids: Uids, registry: Registry) -> None:
        self._guests = guests
        self._uids = uids
        registry.step("clones-reserve", self._do_reserve, self._undo_reserve)

    def claim(self, newid: int | None, count: int) -> list[int]:
        """Take the numbers of `count` clones in memory; the caller gives them back (`Numbers.unclaim`). Raises
        InvalidInput in Proxmox's words when one is taken."""
        if newid is None:
            return self._guests.numbers.claim_free(count)
        numbers = list(range(newid, newid + count))
        for number in numbers:
            if number in self._guests:
                raise InvalidInput.of(
                    "newid", f"unable to create VM {number}: config file already exists", code="guest-exists"
                )
        for number in numbers:
            self._guests.numbers.check_free(number)
        for number in numbers:
            self._guests.numbers.claim(number)
        return numbers

    def step(self, source: Guest, vmids: Sequence[int], snapshot: str | None = None) -> PlannedStep:
        """The numbers are taken on disk: guests that have nothing but `lock: clone`, and where they come from."""
        origin = {
            "vmid": source.vmid,
            "name": source.name,
            "digest": source.digest,
            "snapshot": snapshot,
            "time": int(time.time()),
        }
        title = f"take the number{'s' if len(vmids) > 1 else ''} {', '.join(map(str, vmids))}"
        return PlannedStep(step="clones-reserve", title=title, args={"vmids": list(vmids), "origin": origin})

    async def _do_reserve(self, ctx: StepContext, vmids: Sequence[int], origin: Mapping[str, Any]) -> None:
        await self.reserve(vmids, origin, ctx.user)

    async def reserve(self, vmids: Sequence[int], origin: Mapping[str, Any], user: str) -> None:
        """Take numbers on disk, all or none: guests that have nothing but `lock: clone`. Repeatable."""
        text = print_conf(GuestFile(current=RESERVED))
        if len(vmids) > TOGETHER:
            uids = {vmid: await self._uids.allocate(vmid) for vmid in vmids}
            await self._guests.create_many(uids, text, origin=origin, user=user)
            return
        async with self._uids.together(vmids) as new:
            await self._guests.create_many(
                new.uids, text, origin=origin, user=user, compares=new.compares, also=new.puts
            )

    async def _undo_reserve(self, ctx: StepContext, vmids: Sequence[int], origin: Mapping[str, Any]) -> None:
        for vmid in vmids:
            await self.give_back(vmid)

    async def give_back(self, vmid: int) -> None:
        """Free a number unless a complete guest has it by now."""
        guest = self._guests.find(vmid)
        if guest is not None and guest.file.current != RESERVED:
            return
        if guest is not None:
            await self._guests.remove(vmid)
        await self._uids.release(vmid)
