"""A remedy as it is typed: errors name calls of the API (`PUT .../config memory=512`), people here type commands.

    command_of("PUT .../config", {"memory": "512"})  ->  "tarmac vm set GUEST --memory 512"

The commands come from the same table as everything else; a call that is no command stays as it is.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from typing import Any

from tarmac.faces.cli.declared import table

GUEST = "GUEST"
"""Stands for a guest that the remedy does not name: the one that the command was about."""
_METHODS = {"PUT": ("PUT", "POST")}  # a guest's configuration is changed by either; the command waits for the task
_CALL = re.compile(r"(GET|POST|PUT|DELETE) (\.\.\.)?(/\S+)")


def command_of(action: str, parameters: Mapping[str, Any]) -> str:
    """The command that makes a call, "" where there is none."""
    if (call := _CALL.fullmatch(action)) is None:
        return ""
    method, cut, path = call[1], bool(call[2]), call[3].strip("/").split("/")
    found = [
        (words, spec, values)
        for words, spec in table().items()
        if spec["method"] in _METHODS.get(method, (method,))
        and (values := _match(spec["path"].strip("/").split("/"), path, cut)) is not None
    ]
    # What is cut off before a path is nearly always a guest's.
    found.sort(key=lambda one: (cut and "{vmid}" not in one[1]["path"], len(one[1]["path"])))
    for words, spec, values in found:
        if (line := _line(words, spec, {**values, **parameters})) is not None:
            return line
    return ""


def _match(declared: list[str], path: list[str], cut: bool) -> dict[str, str] | None:
    """What the places of a declared path are in this one; None where it is another one."""
    if len(path) > len(declared) or (not cut and len(path) != len(declared)):
        return None
    values: dict[str, str] = {}
    for place, given in zip(reversed(declared), reversed(path), strict=False):
        if place.startswith("{"):
            values[place[1:-1]] = given[1:-1].upper() if given.startswith("{") else given
        elif place != given:
            return None
    return values


def _line(words: str, spec: Mapping[str, Any], values: dict[str, Any]) -> str | None:
    """The command line; None where the command does not take what the call has."""
    known = {str(p["name"]): p for p in spec["parameters"]}
    indexed = {name.removesuffix("[n]") for name, p in known.items() if "count" in p}
    line, options = ["tarmac", *words.split()], []
    for name, parameter in known.items():
        if parameter.get("positional"):
            value = str(values.pop(name, GUEST if name == "vmid" else name.upper()))
            line.append(shlex.quote(value))
    values.pop("node", None)
    for name, value in values.items():
        if name not in known and name.rstrip("0123456789") not in indexed:
            return None
        options += [f"--{name}", shlex.quote(str(value))]
    return " ".join([*line, *options])
