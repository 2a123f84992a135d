"""`faces/cli/commands.json`: the commands of `tarmac` that are one call of the API.

    {"format": 1, "commands": {"vm start": {
        "method": "POST", "path": "/nodes/{node}/qemu/{vmid}/status/start", "returns": "upid", "help": "...",
        "parameters": [{"name": "vmid", "type": "integer", "positional": true, "required": true, "help": "..."}, ...]}}}

`type` is boolean, integer, number, string, list or array. `choices`, `default`, `unit`, `count` (indexed: `net[n]`)
and `secret` stand where they apply. What is not built yet is named under `unbuilt`, so that it can be refused by name.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

from tarmac.faces.api.declare import Endpoint
from tarmac.faces.generate.parameters import default_of, visible, wire_name
from tarmac.model.settings import Setting

FORMAT = 1
_PLACE = re.compile(r"\s*\{([a-z][a-z0-9_-]*)\}")
_TYPES = {"enum": "string", "property": "string"}


def commands(endpoints: Iterable[Endpoint]) -> str:
    """The file's text."""
    found = {}
    for endpoint in endpoints:
        if endpoint.cli:
            words = _PLACE.sub("", endpoint.cli)
            if words in found:
                raise ValueError(f"the command '{words}' is declared twice")
            found[words] = _command(endpoint)
    lines = ",\n".join(f"{json.dumps(words)}: {_compact(spec)}" for words, spec in sorted(found.items()))
    return f'{{"format": {FORMAT}, "commands": {{\n{lines}\n}}}}\n'


def _command(endpoint: Endpoint) -> dict[str, Any]:
    positional = _PLACE.findall(endpoint.cli)
    settings = {s.name: s for s in visible(endpoint) if s.limits.built and s.name not in ("wait", "dryrun")}
    order = [*positional, *(name for name in settings if name not in positional)]
    found: dict[str, Any] = {
        "method": endpoint.method,
        "path": endpoint.schema_path,
        "returns": endpoint.returns.value,
        "help": endpoint.help,
        "parameters": [_parameter(settings[name], name in positional, name in endpoint.places) for name in order],
    }
    if unbuilt := [wire_name(s) for s in visible(endpoint) if not s.limits.built]:
        found["unbuilt"] = unbuilt
    return found


def _parameter(setting: Setting, positional: bool, in_path: bool) -> dict[str, Any]:
    limits = setting.limits
    kind = "array" if setting.kind == "list" and limits.array else _TYPES.get(setting.kind, setting.kind)
    found: dict[str, Any] = {"name": wire_name(setting), "type": kind, "help": limits.help}
    if positional:
        found["positional"] = True
    if setting.required or in_path:
        found["required"] = True
    if setting.choices and setting.kind != "list":
        found["choices"] = list(setting.choices)
    default = default_of(setting)
    if default is not None and default is not False:
        found["default"] = default
    if limits.unit:
        found["unit"] = limits.unit
    if setting.indexed:
        found["count"] = limits.count
    if limits.secret:
        found["secret"] = True
    return found


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
