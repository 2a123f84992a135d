"""First on the PYTHONPATH of a test's daemon: its guests seem to run and to change, so many times a second.

Only what the event stream tells is made up (states, names, figures); the daemon, its store, its API and the stream
itself are the real ones. Without TARMAC_TEST_CHANGES in the environment nothing happens.
"""

from __future__ import annotations

import asyncio
import collections
import json
import os

if _rate := float(os.environ.get("TARMAC_TEST_CHANGES", "0")):
    from tarmac.services.events.events import Events
    from tarmac.services.figures.figures import Figures

    _turns: collections.Counter[str] = collections.Counter()
    _made, _begin = Events._make_row, Events.begin

    def _row(self: Events, key: str) -> bytes | None:
        found = _made(self, key)
        if found is None or not key.startswith("qemu/"):
            return found
        row = json.loads(found)
        turn = _turns[key]
        row["name"] = f"{row['name']}-{turn}"
        row["status"] = "stopped" if (row["vmid"] + turn) % 5 == 0 else "running"
        return json.dumps(row).encode()

    def _figures(self: Figures, id: str) -> list[float | None] | None:
        kind, _, name = id.partition("/")
        if kind != "qemu":
            return [0.25, 8 << 30, 20 << 30, 1, 1, None, None, 86400]
        vmid, turn = int(name), sum(_turns.values())
        return [(vmid * 7 + turn) % 100 / 100, (vmid + turn) % 64 << 25, 0, 1, 1, 1, 1, vmid * 60 + turn]

    async def _change(events: Events) -> None:
        keys = [key for key in events.everything() if key.startswith("qemu/")]
        number = 0
        while keys:
            for _ in range(max(1, int(_rate / 20))):
                key = keys[number * 7919 % len(keys)]
                number += 1
                _turns[key] += 1
                events.touch(key)
            await asyncio.sleep(0.05)

    async def _sample(events: Events) -> None:
        """As guests that run are sampled: a tenth of them every second, and those that somebody looks at."""
        keys = [key for key in events.everything() if key.startswith("qemu/")]
        number = 0
        while True:
            await asyncio.sleep(1)
            number += 1
            events.sampled({*keys[number % 10 :: 10], *events.wanted()})

    async def _begun(self: Events) -> None:
        await _begin(self)
        self._changing = [asyncio.create_task(made(self)) for made in (_change, _sample)]  # type: ignore[attr-defined] # noqa: TID251

    Events._make_row, Events.begin, Figures.of = _row, _begun, _figures  # type: ignore[method-assign]
