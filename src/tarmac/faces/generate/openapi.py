"""OpenAPI 3.1 from the table of endpoints."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

from tarmac.faces.api.declare import Endpoint, Returns
from tarmac.faces.generate.parameters import schema_of, visible, wire_name
from tarmac.faces.generate.shape import component, json_schema, shapes_in
from tarmac.model.settings import Setting, settings_of

_DATA: dict[Returns, dict[str, Any]] = {
    Returns.NULL: {"type": "null"},
    Returns.UPID: {"type": ["string", "null"], "description": "The task's id (UPID)."},
    Returns.LIST: {"type": "array"},
    Returns.OBJECT: {"type": "object"},
    Returns.TEXT: {"type": "string"},
    Returns.ANY: {},
}
_ERROR = {"$ref": "#/components/schemas/Error"}


def openapi(endpoints: Iterable[Endpoint], version: str) -> str:
    """The document as JSON text."""
    table = sorted(endpoints, key=lambda e: (e.schema_path, e.method))
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in table:
        paths.setdefault(endpoint.schema_path, {})[endpoint.method.lower()] = _operation(endpoint)
    schemas: dict[str, Any] = {"Error": _ERROR_SCHEMA, "Plan": _PLAN_SCHEMA}
    for config in {e.config for e in table if e.config is not None}:
        schemas[config.__name__] = _object([s for s in settings_of(config) if not s.limits.internal])
    for shape in {shape for e in table if e.reply is not None for shape in shapes_in(e.reply)}:
        schemas[shape.__name__] = component(shape)
    document = {
        "openapi": "3.1.0",
        "info": {
            "title": "Tarmac",
            "version": version,
            "description": "The Proxmox VE 9 API with additions. Parameters may stand in query or body.",
        },
        "servers": [{"url": "https://localhost:8006/api2/json"}],
        "security": [{"ticket": []}, {"token": []}],
        "paths": paths,
        "components": {"securitySchemes": _SECURITY, "schemas": dict(sorted(schemas.items()))},
    }
    return _print(document, 3) + "\n"


def _print(value: Any, depth: int) -> str:
    """JSON text, the outer levels one entry a line, so that a change of one endpoint is a change of one line."""
    if depth == 0 or not isinstance(value, dict) or not value:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    entries = ",\n".join(f"{json.dumps(key)}: {_print(item, depth - 1)}" for key, item in value.items())
    return f"{{\n{entries}\n}}"


def _operation(endpoint: Endpoint) -> dict[str, Any]:
    in_path = set(endpoint.places)
    settings = visible(endpoint)
    operation: dict[str, Any] = {
        "operationId": operation_id(endpoint),
        "summary": endpoint.help,
        "tags": [next((part for part in endpoint.path.split("/") if part and not part.startswith("{")), "index")],
        "description": f"Allowed for: {endpoint.allow.text}.",
        "parameters": [_parameter(s, "path") for s in settings if s.name in in_path],
        "responses": {"200": _success(endpoint), "default": {"description": "An error.", "content": _json(_ERROR)}},
    }
    rest = [s for s in settings if s.name not in in_path]
    if endpoint.method in ("POST", "PUT") and not endpoint.stream:
        if rest:
            operation["requestBody"] = _body(endpoint, rest)
    else:
        operation["parameters"] += [_parameter(s, "query") for s in rest]
    if endpoint.public:
        operation["security"] = []
    return operation


def operation_id(endpoint: Endpoint) -> str:
    """`post_nodes_qemu_status_start`: the method and the fixed words of the path; `one` for each place at its end."""
    parts = [p for p in endpoint.schema_path.split("/") if p]
    words = [re.sub(r"\W", "_", p) if not p.startswith("{") else "" for p in parts]
    for position in reversed(range(len(words))):
        if words[position]:
            break
        words[position] = "one"
    return "_".join([endpoint.method.lower(), *(w for w in words if w)]) if parts else "get_index"


def _parameter(setting: Setting, where: str) -> dict[str, Any]:
    return {
        "name": wire_name(setting),
        "in": where,
        "required": where == "path" or setting.required,
        "description": setting.limits.help,
        "schema": schema_of(setting),
    }


def _body(endpoint: Endpoint, settings: list[Setting]) -> dict[str, Any]:
    shared = {s.name for s in settings_of(endpoint.config)} if endpoint.config else set()
    own = {s.name for s in settings_of(endpoint.params)}
    schema = _object([s for s in settings if s.name in own or s.name not in shared])
    if endpoint.config is not None:
        schema["allOf"] = [{"$ref": f"#/components/schemas/{endpoint.config.__name__}"}]
    schema["unevaluatedProperties"] = False
    required = bool(schema.get("required"))
    return {"required": required, "content": {"application/x-www-form-urlencoded": {"schema": schema}, **_json(schema)}}


def _object(settings: list[Setting]) -> dict[str, Any]:
    plain = [s for s in settings if not s.indexed]
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {s.name: {**schema_of(s), "description": s.limits.help} for s in plain},
    }
    indexed = {f"^{s.name}\\d+$": {**schema_of(s), "description": s.limits.help} for s in settings if s.indexed}
    if indexed:
        schema["patternProperties"] = indexed
    required = [s.name for s in plain if s.required]
    return {**schema, "required": required} if required else schema


def _data(endpoint: Endpoint) -> dict[str, Any]:
    return json_schema(endpoint.reply) if endpoint.reply is not None else _DATA[endpoint.returns]


def _success(endpoint: Endpoint) -> dict[str, Any]:
    if endpoint.returns is Returns.RAW:
        return {"description": "Not JSON; see the summary."}
    data = _data(endpoint)
    if data and any(s.name == "dryrun" for s in visible(endpoint)):
        data = {"anyOf": [data, {"$ref": "#/components/schemas/Plan"}]}
    schema: dict[str, Any] = {"type": "object", "properties": {"data": data}, "required": ["data"]}
    if endpoint.returns is Returns.LIST:
        schema["properties"]["total"] = {"type": "integer"}
    if endpoint.returns is Returns.UPID:
        schema["properties"]["task"] = {"type": "object", "description": "With `wait`: how the task stands."}
    return {"description": "Done.", "content": _json(schema)}


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}


_SECURITY = {
    "ticket": {"type": "apiKey", "in": "cookie", "name": "PVEAuthCookie"},
    "token": {
        "type": "apiKey",
        "in": "header",
        "name": "Authorization",
        "description": "`PVEAPIToken=USER@REALM!NAME=SECRET`",
    },
}
_FIVE_PARTS = {
    "type": "object",
    "properties": {
        "code": {"type": "string"},
        "message": {"type": "string"},
        "cause": {"type": "string"},
        "evidence": {"type": "string"},
        "fixes": {"type": "array", "items": {"type": "object"}},
    },
}
_ERROR_SCHEMA = {
    "type": "object",
    "properties": {
        "data": {"type": "null"},
        "message": {"type": "string"},
        "errors": {"type": "object", "additionalProperties": {"type": "string"}},
        "error": _FIVE_PARTS,
    },
}
_WHEN = {"type": "string", "enum": ["now", "reboot", "stop"]}
_PLAN_SCHEMA = {
    "type": "object",
    "description": "With `dryrun`: what would be done. What a running guest refuses is planned as after a stop.",
    "required": ["when", "steps", "effects", "changes"],
    "properties": {
        "when": {**_WHEN, "description": "The latest of its changes'."},
        "steps": {"type": "array", "items": {"type": "object", "required": ["step", "title"]}},
        "effects": {"type": "array", "items": {"type": "string"}},
        "changes": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["key", "when"],
                "properties": {
                    "key": {"type": "string"},
                    "old": {"type": "string", "description": "Left out: the default, or nothing."},
                    "new": {"type": "string", "description": "Left out: the default, or nothing."},
                    "when": _WHEN,
                    "reason": {"type": "string", "description": "Why not at once."},
                },
            },
        },
        "refusal": {**_FIVE_PARTS, "description": "By what the request itself is refused while the guest runs."},
    },
}
