"""Declared classes for the parameters of a path, where an endpoint is made from a table and not by hand."""

from __future__ import annotations

import functools
import re
from dataclasses import fields, make_dataclass
from typing import Any

from tarmac.faces.api.declare import NoParams
from tarmac.model.settings import setting

PLACE = re.compile(r"\{([a-z][a-z0-9_-]*)(?:\.\.\.)?\}")


def path_params(path: str, base: type = NoParams) -> type:
    """`base` with the parameters of `path` that it does not declare itself. Paths of the same ones share a class."""
    own = {f.name for f in fields(base)}
    return _made(tuple(name for name in PLACE.findall(path) if name not in own), base)


@functools.cache  # to make a class takes as long as to answer many requests
def _made(names: tuple[str, ...], base: type) -> type:
    added = [_field(name) for name in names]
    return make_dataclass("PathParams", added, bases=(base,), frozen=True, kw_only=True)


def _field(name: str) -> tuple[str, Any, Any]:
    attribute = name.replace("-", "_")
    if name == "node":
        return attribute, str, setting(format="pve-node", help="The node.")
    if name == "vmid":
        return attribute, int, setting(ge=100, le=999_999_999, help="The guest's number.")
    if name in ("pos", "osdid"):
        return attribute, int, setting(ge=0, help="The place in the list, or the number.")
    return attribute, str, setting(name=name, max_length=255, help="Which one.")
