"""`ui/src/features/guests/config/options.ts`: every option of a guest that a caller may set, for the page's forms."""

from __future__ import annotations

import json
from typing import Any

from tarmac.faces.generate.parameters import default_of
from tarmac.model.settings import Setting, settings_of
from tarmac.model.vm import VmConfig

_HEAD = """/* Generated from the declarations by `./dev gen`; do not edit. */

import type { Option } from "./option";

export const OPTIONS: readonly Option[] = [
"""


def page_options() -> str:
    """The file's text: one line an option, in the order of declaration. What is not built is left out."""
    lines = (f"  {json.dumps(_option(setting), ensure_ascii=False)},\n" for setting in _offered(VmConfig))
    return f"{_HEAD}{''.join(lines)}];\n"


def _offered(declared: Any) -> list[Setting]:
    return [s for s in settings_of(declared) if s.limits.built and not s.limits.internal]


def _option(setting: Setting) -> dict[str, Any]:
    found = _field(setting)
    limits = setting.limits
    told = {"count": limits.count, "hotplug": limits.hotplug, "privilege": limits.privilege}
    found.update({key: value for key, value in told.items() if value is not None})
    if setting.kind == "property":
        found["fields"] = [_field(field) for field in _offered(setting.python)]
    return found


def _field(setting: Setting) -> dict[str, Any]:
    limits = setting.limits
    facts = {
        "choices": list(setting.choices) or None, "min": limits.ge, "max": limits.le, "unit": limits.unit,
        "format": limits.format, "pattern": limits.pattern, "maxLength": limits.max_length,
        "default": default_of(setting), "required": setting.required or None, "secret": limits.secret or None,
        "bare": limits.default_key or None, "aliases": list(limits.aliases) or None, "keyAlias": limits.key_alias,
    }  # fmt: skip
    kind = "enum" if setting.choices and setting.kind == "string" else setting.kind
    known = {key: value for key, value in facts.items() if value is not None}
    return {"name": setting.name, "kind": kind, "help": limits.help, **known}
