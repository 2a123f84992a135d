"""How a change of a definition is kept: in the same transaction as the change, what was there before and after.

    history/<area>/<time in ns, 20 digits>   {"when", "who", "what", "before": {"<kind>/<name>": {...}}, "after": {...}}

Secrets never go in. `access` (users, groups, roles, grants, pools) writes the same form by itself.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

from tarmac.drivers.store.base import Store

HISTORY = "history/"
KEPT = 5_000


def change_entry(
    area: str, *, by: str, what: str, before: Mapping[str, Any], after: Mapping[str, Any]
) -> dict[str, bytes]:
    """The key and value to put beside a change; records by `<kind>/<name>`, None where there is none."""
    told = {"when": time.time(), "who": by, "what": what, "before": dict(before), "after": dict(after)}
    return {f"{HISTORY}{area}/{time.time_ns():020d}": json.dumps(told).encode()}


async def prune(store: Store, area: str) -> None:
    """Give up the oldest entries beyond `KEPT`; called once at the start."""
    old = [entry.key for entry in await store.range(f"{HISTORY}{area}/")][:-KEPT]
    for start in range(0, len(old), 100):
        await store.transact([], deletes=old[start : start + 100])
