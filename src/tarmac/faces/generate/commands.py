"""The command line's table, `faces/cli/commands.json`, from the API's declared endpoints.

The command line reads this file instead of importing the API: it starts in a fraction of the time, and it knows its
commands also where it talks to a daemon on another machine. One object:

    {"format": 1, "commands": {"vm start": {
        "method": "POST", "path": "/nodes/{node}/qemu/{vmid}/status/start", "help": "Start a virtual machine.",
        "returns": "upid",
        "parameters": [{"name": "vmid", "type": "integer", "required": true, "positional": true, "help": "..."},
                       {"name": "net[n]", "type": "property", "count": 32, "help": "..."}]}}}

`returns` is a value of `declare.Returns`. A parameter's `type` is the kind of its setting (`model.settings.Kind`);
`choices`, `default`, `unit`, `count` (indexed keys: how many) and `secret` are there where they say something, and so
are the flags `required` and `positional` (in the order of the words). What is false or nothing is left out.
"""

from __future__ import annotations

import importlib
import json
import pkgutil
import re
from collections.abc import Iterable
from typing import Any

from tarmac.faces.api.declare import Endpoint, collect
from tarmac.model.settings import Setting

FORMAT = 1
_PLACE = re.compile(r"\{([a-z][a-z0-9_-]*)\}")


def endpoints() -> tuple[Endpoint, ...]:
    """Every endpoint that a module of `faces/api/endpoints` declares, in the modules' alphabetical order."""
    package = importlib.import_module("tarmac.faces.api.endpoints")
    names = sorted(module.name for module in pkgutil.iter_modules(package.__path__))
    return collect(*(importlib.import_module(f"{package.__name__}.{name}") for name in names))


def table(declared: Iterable[Endpoint]) -> dict[str, Any]:
    """The whole table. Raises ValueError when two endpoints claim the same words."""
    commands: dict[str, Any] = {}
    for endpoint in declared:
        if not endpoint.cli:
            continue
        words = " ".join(_PLACE.sub("", endpoint.cli).split())
        if words in commands:
            raise ValueError(f"two endpoints claim the command `{words}`: {endpoint.path}, {commands[words]['path']}")
        commands[words] = _command(endpoint)
    return {"format": FORMAT, "commands": dict(sorted(commands.items()))}


def text(declared: Iterable[Endpoint]) -> str:
    """The file's text: one command a line, so that a change is seen in its line."""
    commands = table(declared)["commands"]
    lines = (f"{json.dumps(words)}:{json.dumps(one, separators=(',', ':'))}" for words, one in commands.items())
    return f'{{"format":{FORMAT},"commands":{{\n' + ",\n".join(lines) + "\n}}\n"


def _command(endpoint: Endpoint) -> dict[str, Any]:
    positional = _PLACE.findall(endpoint.cli)
    settings = sorted(endpoint.settings, key=lambda s: positional.index(s.name) if s.name in positional else 99)
    return {
        "method": endpoint.method,
        "path": endpoint.schema_path,
        "help": endpoint.help,
        "returns": endpoint.returns.value,
        "parameters": [_parameter(s, s.name in positional) for s in settings],
    }


def _parameter(setting: Setting, positional: bool) -> dict[str, Any]:
    limits = setting.limits
    told: dict[str, Any] = {
        "name": f"{setting.name}[n]" if setting.indexed else setting.name,
        "type": setting.kind,
        "help": limits.help,
        "required": setting.required,
        "positional": positional,
        "default": limits.default_text or _plain(setting.default),
        "choices": list(setting.choices),
        "unit": limits.unit,
        "count": limits.count,
        "secret": limits.secret,
    }
    return {key: value for key, value in told.items() if value or (key == "default" and value == 0)}


def _plain(default: Any) -> Any:
    """A default as it is written on the command line; structured ones are said by the help text."""
    value = getattr(default, "value", default)
    if isinstance(value, bool):
        return int(value)
    return value if isinstance(value, (int, float, str)) else None
