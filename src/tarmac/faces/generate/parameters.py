"""Declared settings as JSON Schema and as short facts: what all generators share."""

from __future__ import annotations

import enum
from typing import Any

from tarmac.faces.api.declare import Endpoint
from tarmac.faces.api.params import common_settings
from tarmac.model.parse import print_value
from tarmac.model.settings import Setting, settings_of

_JSON_TYPES = {"boolean": "boolean", "integer": "integer", "number": "number"}


def visible(endpoint: Endpoint) -> tuple[Setting, ...]:
    """All parameters of an endpoint that a caller may give, ours last."""
    own = tuple(s for s in endpoint.settings if not s.limits.internal)
    return (*own, *common_settings(endpoint))


def wire_name(setting: Setting) -> str:
    """The name on the wire; indexed keys stand as `net[n]`."""
    return f"{setting.name}[n]" if setting.indexed else setting.name


def default_of(setting: Setting) -> Any:
    """The default as a plain value, None where there is none to show."""
    if setting.limits.default_text is not None:
        return setting.limits.default_text
    value = setting.default
    if setting.indexed or setting.required or value is None or value == ():
        return None
    if isinstance(value, (bool, int, float, str)) and not isinstance(value, enum.Enum):
        return value
    return print_value(setting, value) or None


def schema_of(setting: Setting) -> dict[str, Any]:
    """A setting as JSON Schema."""
    limits = setting.limits
    schema: dict[str, Any] = {"type": _JSON_TYPES.get(setting.kind, "string")}
    if setting.kind == "list" and limits.array:
        schema = {"type": "array", "items": {"type": "string"}}
    if setting.kind == "list" and not limits.array:
        schema["x-list"] = "separated by commas"
        if setting.choices:
            schema["x-items"] = list(setting.choices)
    elif setting.choices:
        schema["enum"] = list(setting.choices)
    if setting.kind in ("integer", "number"):
        schema |= {k: v for k, v in (("minimum", limits.ge), ("maximum", limits.le)) if v is not None}
    if limits.pattern and setting.kind == "string":
        schema["pattern"] = f"^(?:{limits.pattern})$"
    if limits.max_length is not None:
        schema["maxLength"] = limits.max_length
    if limits.format:
        schema["x-format"] = limits.format
    if limits.unit:
        schema["x-unit"] = limits.unit
    if setting.kind == "property":
        schema["x-property-string"] = {s.name: schema_of(s) for s in settings_of(setting.python)}
    if setting.indexed:
        schema["x-count"] = limits.count
    default = default_of(setting)
    if default is not None and limits.default_text is None:
        schema["default"] = default
    if not limits.built:
        schema["x-built"] = False
    if limits.privilege:
        schema["x-privilege"] = limits.privilege
    return schema
