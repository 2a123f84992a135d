"""Facts about every method and path of Proxmox VE 9.1's API: `python tests/support/proxmox_facts.py SCHEMA USAGE`.

SCHEMA is a JSON list with one object for each method and path, made from the schema of Proxmox's API viewer; USAGE
counts for each which of twelve widely used applications call it. What is kept is compact: one line an endpoint, with
its parameters and their limits, the kind and fields of its reply, and who may call it.
"""

from __future__ import annotations

import functools
import json
import sys
from pathlib import Path
from typing import Any

FILE = Path(__file__).parents[1] / "data" / "proxmox_api.json"
LIMITS = ("minimum", "maximum", "minLength", "maxLength", "pattern", "enum", "requires")


@functools.cache
def facts() -> dict[str, dict[str, Any]]:
    """`GET /path` -> facts:

    tokens      0 where an API token is refused (else absent)
    allow       `"world"`, `"all"`, or Proxmox's check as it stands in the schema; absent where it has neither
    returns     the reply's type;  fields: name -> type (`integer?`) of an object or of a list's items
    parameters  name -> {"type", "optional", limits, "format"}; a property string has the format `property`
    clients     how many of twelve applications call it (absent: none)
    """
    found: dict[str, dict[str, Any]] = json.loads(FILE.read_text("utf-8"))
    return found


def word(spec: dict[str, Any]) -> list[Any]:
    """A parameter as type (with `?` if optional) and its words, if it has some."""
    text = str(spec["type"]) + ("?" if spec.get("optional") else "")
    return [text, sorted(spec["enum"])] if spec.get("enum") else [text]


def _compact(entry: dict[str, Any], clients: int) -> dict[str, Any]:
    returns = entry.get("returns") or {}
    fact: dict[str, Any] = {} if entry.get("allowtoken", 1) else {"tokens": 0}
    rule = entry.get("permissions") or {}
    if "check" in rule:
        fact["allow"] = rule["check"]
    elif "user" in rule:
        fact["allow"] = rule["user"]
    if returns.get("type"):
        fact["returns"] = returns["type"]
    shape = returns.get("items", {}) if returns.get("type") == "array" else returns
    fields = shape.get("properties")
    if isinstance(fields, dict) and fields:
        fact["fields"] = {n: word(_typed(s))[0] for n, s in sorted(fields.items()) if isinstance(s, dict)}
    fact["parameters"] = {name: _parameter(spec) for name, spec in sorted(entry["parameters"].items())}
    return {**fact, **({"clients": clients} if clients else {})}


def _typed(spec: dict[str, Any]) -> dict[str, Any]:
    return {"type": spec.get("type", "any"), "optional": spec.get("optional")}


def _parameter(spec: dict[str, Any]) -> dict[str, Any]:
    fact: dict[str, Any] = {"type": spec.get("type", "string")}
    if spec.get("optional"):
        fact["optional"] = 1
    fact |= {key: spec[key] for key in LIMITS if key in spec}
    if "format" in spec:
        fact["format"] = spec["format"] if isinstance(spec["format"], str) else "property"
    return fact


def write(schema: Path, usage: Path) -> None:
    rows = json.loads(usage.read_text("utf-8"))["rows"]
    clients = {f"{row['method']} {row['path']}": row["n"] for row in rows}
    found = {}
    for entry in json.loads(schema.read_text("utf-8")):
        key = f"{entry['method']} {entry['path']}"
        found[key] = _compact(entry, clients.get(key, 0))
    lines = ",\n".join(f"{json.dumps(k)}:{json.dumps(v, separators=(',', ':'))}" for k, v in sorted(found.items()))
    FILE.write_text(f"{{\n{lines}\n}}\n", "utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]), Path(sys.argv[2]))
