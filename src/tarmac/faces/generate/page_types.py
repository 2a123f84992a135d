"""`ui/src/api/types.ts`: parameters and replies of every endpoint, for the web page."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

from tarmac.faces.api.declare import Endpoint, Returns
from tarmac.faces.generate.parameters import visible
from tarmac.faces.generate.shape import fields, shapes_in, typescript
from tarmac.model.settings import Setting, settings_of

_HEAD = """/* Generated from the declarations by `./dev gen`; do not edit. */

/** A switch of the API; `true` is sent as 1. */
export type Flag = boolean | 0 | 1;
"""
_REPLIES = {
    Returns.NULL: "null",
    Returns.UPID: "string",
    Returns.LIST: "unknown[]",
    Returns.OBJECT: "Record<string, unknown>",
    Returns.TEXT: "string",
    Returns.ANY: "unknown",
    Returns.RAW: "never",
}
_KINDS = {"boolean": "Flag", "integer": "number", "number": "number"}


def page_types(endpoints: Iterable[Endpoint]) -> str:
    """The file's text."""
    table = sorted(endpoints, key=lambda e: (e.schema_path, e.method))
    shapes = dict.fromkeys(shape for e in table if e.reply is not None for shape in shapes_in(e.reply))
    configs = dict.fromkeys(e.config for e in table if e.config is not None)
    parts = [_HEAD]
    parts += [_interface(shape.__name__, [_field(f.name, typescript(f.type), f.required) for f in fields(shape)])
              for shape in sorted(shapes, key=lambda shape: shape.__name__)]  # fmt: skip
    parts += [_interface(f"{config.__name__}Keys", [_parameter(s, required=False) for s in _shown(settings_of(config))])
              for config in sorted(configs, key=lambda config: config.__name__)]  # fmt: skip
    parts.append(_interface("Api", [_entry(endpoint) for endpoint in table]))
    return "\n".join(parts)


def _interface(name: str, lines: list[str]) -> str:
    return "\n".join([f"export interface {name} {{", *(f"  {line}" for line in lines), "}", ""])


def _entry(endpoint: Endpoint) -> str:
    shared = {s.name for s in settings_of(endpoint.config)} if endpoint.config else set()
    own = {s.name for s in settings_of(endpoint.params)}
    listed = [s for s in visible(endpoint) if s.name in own or s.name not in shared]
    params = " ".join(_parameter(s, required=s.required or s.name in endpoint.places) for s in listed)
    given = f"{{ {params} }}" if params else "object"
    if endpoint.config is not None:
        given += f" & {endpoint.config.__name__}Keys"
    reply = typescript(endpoint.reply) if endpoint.reply is not None else _REPLIES[endpoint.returns]
    return f'"{endpoint.method} {endpoint.schema_path}": {{ params: {given}; reply: {reply} }};'


def _parameter(setting: Setting, *, required: bool) -> str:
    if setting.indexed:
        return f"[name: `{setting.name}${{number}}`]: string | undefined;"
    return _field(setting.name, _kind(setting), required, absent=" | undefined")


def _kind(setting: Setting) -> str:
    if setting.kind == "list":
        return "readonly string[]" if setting.limits.array else "string"
    if setting.choices:
        return " | ".join(json.dumps(choice) for choice in setting.choices)
    return _KINDS.get(setting.kind, "string")


def _field(name: str, kind: str, required: bool, absent: str = "") -> str:
    word = name if re.fullmatch(r"[A-Za-z_]\w*", name) else json.dumps(name)
    return f"{word}: {kind};" if required else f"{word}?: {kind}{absent};"


def _shown(settings: Iterable[Setting]) -> list[Setting]:
    return [setting for setting in settings if not setting.limits.internal]
