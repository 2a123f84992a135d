"""Declared shapes of replies (`faces/api/shapes/`) as JSON Schema and as TypeScript."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

_PLAIN = {str: "string", int: "integer", float: "number", bool: "boolean", type(None): "null"}


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a shape."""

    name: str
    type: Any
    required: bool


def fields(shape: type) -> list[Field]:
    """The fields of a TypedDict in the order of declaration, those of its bases first."""
    marked = typing.get_type_hints(shape, include_extras=True)  # `__required_keys__` does not see through strings
    absent = {name for name, kind in marked.items() if typing.get_origin(kind) is typing.NotRequired}
    return [Field(name, kind, name not in absent) for name, kind in typing.get_type_hints(shape).items()]


def is_shape(kind: Any) -> bool:
    return typing.is_typeddict(kind)


def shapes_in(kind: Any) -> Iterable[type]:
    """The TypedDicts that a type is made of, each once, what others need first."""
    found: dict[type, None] = {}

    def look(one: Any) -> None:
        if is_shape(one):
            for field in fields(one):
                look(field.type)
            found.setdefault(one)
        for argument in typing.get_args(one):
            look(argument)

    look(kind)
    return found


def json_schema(kind: Any) -> dict[str, Any]:
    """A type as JSON Schema; shapes by reference to `components`."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if is_shape(kind):
        return {"$ref": f"#/components/schemas/{kind.__name__}"}
    if kind in _PLAIN:
        return {"type": _PLAIN[kind]}
    if origin is list:
        return {"type": "array", "items": json_schema(arguments[0])}
    if origin is dict:
        return {"type": "object", "additionalProperties": json_schema(arguments[1])}
    if origin is typing.Literal:
        return {"enum": list(arguments)}
    if origin in (types.UnionType, typing.Union):
        return {"anyOf": [json_schema(one) for one in arguments]}
    return {}


def component(shape: type) -> dict[str, Any]:
    """A shape as JSON Schema; more fields may come."""
    found = fields(shape)
    return {
        "type": "object",
        "properties": {field.name: json_schema(field.type) for field in found},
        "required": [field.name for field in found if field.required],
    }


def typescript(kind: Any) -> str:
    """A type as TypeScript; shapes by their names."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if is_shape(kind):
        return str(kind.__name__)
    if kind in _PLAIN:
        return "number" if kind in (int, float) else _PLAIN[kind]
    if origin is list:
        inner = typescript(arguments[0])
        return f"({inner})[]" if " | " in inner else f"{inner}[]"
    if origin is dict:
        return f"Record<string, {typescript(arguments[1])}>"
    if origin is typing.Literal:
        return " | ".join(f'"{one}"' for one in arguments)
    if origin in (types.UnionType, typing.Union):
        return " | ".join(dict.fromkeys(typescript(one) for one in arguments))
    return "unknown"
