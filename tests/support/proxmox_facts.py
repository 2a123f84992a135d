"""Facts about Proxmox's parameters, for the endpoints that are built: `python tests/support/proxmox_facts.py SCHEMA`.

SCHEMA is a JSON list with one object for each method and path, as made from the schema of Proxmox's API viewer. What
is kept is compact: for each parameter its type, whether it is optional (`?`), and the words it may be. Run it again
when endpoints were added; the conformity test names those that are missing.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

FILE = Path(__file__).parents[1] / "data" / "proxmox_parameters.json"


def facts_of(schema: list[dict[str, Any]], built: set[str]) -> dict[str, Any]:
    """`GET /path` -> {"tokens": 1, "parameters": {name: [type, words]}}."""
    found = {}
    for entry in schema:
        key = f"{entry['method']} {entry['path']}"
        if key in built:
            found[key] = {
                "tokens": int(entry.get("allowtoken", 1)),
                "parameters": {name: _fact(spec) for name, spec in sorted(entry["parameters"].items())},
            }
    return dict(sorted(found.items()))


def _fact(spec: dict[str, Any]) -> list[Any]:
    word = str(spec.get("type", "string")) + ("?" if spec.get("optional") else "")
    return [word, sorted(spec["enum"])] if spec.get("enum") else [word]


def write(schema_path: Path) -> None:
    from tarmac.faces.api.endpoints.table import endpoints
    from tarmac.faces.api.index import index_endpoints

    table = endpoints()
    built = {f"{e.method} {e.schema_path}" for e in (*table, *index_endpoints(table))}
    facts = facts_of(json.loads(schema_path.read_text("utf-8")), built)
    lines = ",\n".join(f"{json.dumps(k)}: {json.dumps(v, separators=(',', ':'))}" for k, v in facts.items())
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text(f"{{\n{lines}\n}}\n", "utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
