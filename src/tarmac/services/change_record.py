"""How a change of a definition is kept: in the same transaction as the change, what was there before and after.

    history/<area>/<time in ns, 20 digits>   {"when", "who", "what", "before": {"<kind>/<name>": {...}}, "after": {...}}

Secrets never go in. `access` (users, groups, roles, grants, pools) writes the same form by itself.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

HISTORY = "history/"


def change_entry(
    area: str, *, by: str, what: str, before: Mapping[str, Any], after: Mapping[str, Any]
) -> dict[str, bytes]:
    """The key and value to put beside a change; records by `<kind>/<name>`, None where there is none."""
    told = {"when": time.time(), "who": by, "what": what, "before": dict(before), "after": dict(after)}
    return {f"{HISTORY}{area}/{time.time_ns():020d}": json.dumps(told).encode()}
