"""The commands that come from the API's declarations, as `commands.json` has them: words, parameters, method and path.

The file's form is described where it is generated, in `faces/generate/commands.py`.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("commands.json")
FORMAT = 1
ALIASES = {"vm show": "vm status", "vm destroy": "vm delete", "task show": "task status"}
Spec = dict[str, Any]


@cache
def table() -> dict[str, Spec]:
    """All of them, by their words."""
    try:
        document = json.loads(FILE.read_bytes())
    except FileNotFoundError:
        return {}
    found: dict[str, Spec] = document["commands"] if document.get("format") == FORMAT else {}
    return found | {alias: found[words] for alias, words in ALIASES.items() if words in found and alias not in found}
