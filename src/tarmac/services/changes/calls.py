"""A call of the API as a value: what would undo a change. Whoever makes it needs the rights for it, like for any call.

{"method": "POST", "path": "/nodes/n1/qemu/100/history/41/restore", "parameters": {"keys": "memory"}}
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

Value = str | Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiCall:
    """`path` below `/api2/json`, encoded; `parameters` as a form would carry them, a list as a repeated key."""

    method: str
    path: str
    parameters: Mapping[str, Value] = field(default_factory=dict)

    def row(self) -> dict[str, Any]:
        return {"method": self.method, "path": self.path, "parameters": dict(self.parameters)}


def at(*parts: str | int) -> str:
    """A path from its parts, each encoded."""
    return "/" + "/".join(quote(str(part), safe="@!") for part in parts)
