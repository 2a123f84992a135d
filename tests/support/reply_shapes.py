"""Whether a value is of a declared shape (`faces/api/shapes/`)."""

from __future__ import annotations

import types
import typing
from typing import Any

from tarmac.faces.generate.shape import fields, is_shape


def mismatches(kind: Any, value: Any, where: str = "data") -> list[str]:
    """Where a value differs from a type; fields that the shape does not name are fine."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if is_shape(kind):
        if not isinstance(value, dict):
            return [f"{where} is no object: {value!r}"]
        found = [
            f"{where}.{field.name} is missing" for field in fields(kind) if field.required and field.name not in value
        ]
        for field in fields(kind):
            if field.name in value:
                found += mismatches(field.type, value[field.name], f"{where}.{field.name}")
        return found
    if origin is list:
        if not isinstance(value, list):
            return [f"{where} is no list: {value!r}"]
        return [text for item in value for text in mismatches(arguments[0], item, f"{where}[]")]
    if origin is dict:
        if not isinstance(value, dict):
            return [f"{where} is no object: {value!r}"]
        return [text for item in value.values() for text in mismatches(arguments[1], item, f"{where}.*")]
    if origin is typing.Literal:
        return [] if value in arguments else [f"{where} is {value!r}, none of {arguments}"]
    if origin in (types.UnionType, typing.Union):
        return [] if any(not mismatches(one, value, where) for one in arguments) else [f"{where} is {value!r}"]
    if kind is Any:
        return []
    accepted = (int, float) if kind is float else kind
    wrong = not isinstance(value, accepted) or (isinstance(value, bool) and kind is not bool)
    return [f"{where} is {value!r}, no {kind.__name__}"] if wrong else []
