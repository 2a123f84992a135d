"""Texts to typed values and back, by the declarations of `model.settings`.

Everything comes in as text (a form field, a line of a `.conf` file) or as plain JSON; one function each turns it into
the declared type or says, in Proxmox's words, what is wrong. Source of the words: PVE::JSONSchema of Proxmox VE 9.
"""

from __future__ import annotations

import functools
import re
import types
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from tarmac.model.errors import InvalidInput
from tarmac.model.formats import check_format
from tarmac.model.settings import Setting, find_setting, per_class, settings_of

T = TypeVar("T")

MISSING = "property is missing and it is not optional"
UNKNOWN = "property is not defined in schema and the schema does not allow additional properties"
_TRUE, _FALSE = frozenset({"1", "on", "yes", "true"}), frozenset({"0", "off", "no", "false"})
_LIST_SPLIT = re.compile(r"[,;\s\0]+")


def wire_text(value: object) -> str:
    """A JSON or form value as the text Proxmox would see: booleans 1/0, lists joined by commas.

    Raises ValueError for what has no such text (objects, null)."""
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, str):
        return value
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    if isinstance(value, (list, tuple)):
        return ",".join(wire_text(v) for v in value)
    raise ValueError(f"type check ('string') failed - got {type(value).__name__}")


def parse_value(setting: Setting, text: str, *, lenient: bool = False) -> Any:
    """One text as the setting's type; `lenient` accepts on/yes/true for booleans (files and property strings).

    Raises ValueError with Proxmox's wording."""
    if setting.kind == "property":
        return parse_property_string(setting.python, text)
    if setting.kind == "boolean":
        return _boolean(text, lenient)
    if setting.kind == "integer":
        return int(_bounded(setting, _integer(text)))
    if setting.kind == "number":
        return _bounded(setting, _number(text))
    if setting.kind == "enum":
        return setting.python(_choice(setting, text))
    if setting.kind == "list" and setting.limits.array:
        return tuple(_text(setting, item) for item in text.split("\0"))
    if setting.kind == "list":
        items = tuple(t for t in _LIST_SPLIT.split(text) if t)
        for item in items:
            _text(setting, item)
        return items
    return _text(setting, text)


@functools.lru_cache(maxsize=4096)
def stored_value(setting: Setting, text: str) -> Any:
    """`parse_value` of a text that is kept, leniently. Thousands of guests share most of their lines, and each line is
    looked at twice: as part of its file and as part of the configuration. Values are immutable, so one is enough."""
    return parse_value(setting, text, lenient=True)


def _boolean(text: str, lenient: bool) -> bool:
    word = text.lower() if lenient else text
    if word in (_TRUE if lenient else ("1",)):
        return True
    if word in (_FALSE if lenient else ("0",)):
        return False
    raise ValueError(f"type check ('boolean') failed - got '{text}'")


def _integer(text: str) -> int:
    if not re.fullmatch(r"[+-]?[0-9]{1,18}", text):
        raise ValueError(f"type check ('integer') failed - got '{text}'")
    return int(text)


def _number(text: str) -> float:
    if not re.fullmatch(r"[+-]?([0-9]{1,18}(\.[0-9]{0,18})?|\.[0-9]{1,18})([eE][+-]?[0-9]{1,2})?", text):
        raise ValueError(f"type check ('number') failed - got '{text}'")
    return float(text)


def _bounded(setting: Setting, value: float) -> float:
    low, high = setting.limits.ge, setting.limits.le
    if low is not None and value < low:
        raise ValueError(f"value must have a minimum value of {low:g}")
    if high is not None and value > high:
        raise ValueError(f"value must have a maximum value of {high:g}")
    return value


def _choice(setting: Setting, text: str) -> str:
    if text not in setting.choices:
        raise ValueError(f"value '{text}' does not have a value in the enumeration '{', '.join(setting.choices)}'")
    return text


def _text(setting: Setting, text: str) -> str:
    limits = setting.limits
    if "\0" in text:
        raise ValueError("value must not contain a NUL character")
    if limits.max_length is not None and len(text) > limits.max_length:
        raise ValueError(f"value may only be {limits.max_length} characters long")
    if limits.pattern is not None and not _compiled(limits.pattern).fullmatch(text):
        raise ValueError("value does not match the regex pattern")
    if limits.choices:
        _choice(setting, text)
    if limits.format is not None:
        check_format(limits.format, text)
    return text


@functools.cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.ASCII)  # \d means 0 to 9, or QEMU would meet digits it does not know


def split_property_string(declared: type, text: str) -> dict[str, str]:
    """`virtio=BC:24:11:00:00:01,bridge=vmbr0` as canonical key -> text; aliases resolved.

    Raises ValueError for an unknown or doubled key or a value without its key."""
    aliases = _aliases(declared)
    alias_words = _key_alias_words(declared)
    default = next((s.name for s in settings_of(declared) if s.limits.default_key), None)
    found: dict[str, str] = {}

    def put(key: str, value: str) -> None:
        if key in found:
            problem = f"duplicate key in comma-separated list property: {key}"
            raise ValueError(f"invalid format - format error\n{key}: {problem}")
        found[key] = value

    for part in text.split(","):
        if part.strip() == "":
            continue
        key, equals, value = part.partition("=")
        key = key.strip()
        if equals and key in aliases:
            put(aliases[key], value.strip())
        elif equals and key in alias_words:
            target, source = alias_words[key]
            put(source, key)
            put(target, value.strip())
        elif not equals and default is not None:
            put(default, part.strip())
        elif not equals:
            raise ValueError(f"invalid format - value without key, but schema does not define a default key: '{part}'")
        elif default is not None and "=" in part and key not in aliases and default not in found and "/" in key:
            put(default, part.strip())
        else:
            raise ValueError(f"invalid format - format error\n{key}: {UNKNOWN}")
    return found


@per_class
def _aliases(declared: Any) -> Mapping[str, str]:
    return {a: s.name for s in settings_of(declared) for a in (s.name, *s.limits.aliases)}


@per_class
def _key_alias_words(declared: Any) -> Mapping[str, tuple[str, str]]:
    return {w: (s.limits.key_alias, s.name) for s in settings_of(declared) if s.limits.key_alias for w in s.choices}


def parse_property_string(declared: type[T], text: str) -> T:
    """A property string as its declared class. Raises ValueError in Proxmox's words."""
    texts = split_property_string(declared, text)
    values: dict[str, Any] = {}
    for setting in settings_of(declared):
        if setting.name in texts:
            try:
                values[setting.attribute] = parse_value(setting, texts[setting.name], lenient=True)
            except ValueError as problem:
                raise ValueError(f"invalid format - format error\n{setting.name}: {problem}") from None
        elif setting.required:
            raise ValueError(f"invalid format - format error\n{setting.name}: {MISSING}")
    return declared(**values)


def print_value(setting: Setting, value: Any) -> str:
    """A typed value as its canonical text."""
    if setting.kind == "property":
        return print_property_string(value)
    if setting.kind == "enum":
        return str(value.value)
    if setting.kind == "list":
        return ";".join(value)  # the one separator that may stand inside a property string
    return wire_text(value)


def print_property_string(record: Any) -> str:
    """A declared record as a property string: default key first and bare, then the rest by name; defaults left out."""
    parts: list[tuple[int, str, str]] = []
    absorbed = {s.limits.key_alias for s in settings_of(type(record)) if s.limits.key_alias}
    for setting in settings_of(type(record)):
        value = getattr(record, setting.attribute)
        if value is None or (value == setting.default and not setting.required):
            continue
        text = print_value(setting, value)
        if setting.limits.key_alias:
            other = next(s for s in settings_of(type(record)) if s.name == setting.limits.key_alias)
            partner = getattr(record, other.attribute)
            parts.append((0, "", f"{text}={partner}" if partner is not None else text))
        elif setting.limits.default_key:
            parts.append((0, "", text))
        elif setting.name not in absorbed:
            parts.append((1, setting.name, f"{setting.name}={text}"))
    return ",".join(text for _, _, text in sorted(parts))


def parse_record(declared: type[T], texts: Mapping[str, str], *, lenient: bool = False) -> T:
    """Texts by wire key as a declared class.

    Raises InvalidInput that names every wrong, unknown and missing key at once; nothing is half parsed."""
    values, problems = _collect(declared, texts, lenient)
    for setting in settings_of(declared):
        if setting.required and setting.attribute not in values and setting.name not in problems:
            problems[setting.name] = MISSING
    if problems:
        raise parameter_error(problems)
    return declared(**values)


def collect_record(declared: type[T], texts: Mapping[str, str]) -> tuple[T, dict[str, str]]:
    """What can be understood of stored texts, and the problem of each key that cannot: its default stands in.

    For declared classes without required options."""
    values, problems = _collect(declared, texts, lenient=True)
    return declared(**values), problems


def _collect(declared: type, texts: Mapping[str, str], lenient: bool) -> tuple[dict[str, Any], dict[str, str]]:
    values: dict[str, Any] = {}
    groups: dict[str, dict[int, Any]] = {}
    problems: dict[str, str] = {}
    for key, text in texts.items():
        found = find_setting(declared, key)
        if found is None:
            problems[key] = UNKNOWN
            continue
        setting, index = found
        try:
            value = stored_value(setting, text) if lenient else parse_value(setting, text)
        except ValueError as problem:
            problems[key] = str(problem)
            continue
        if index is None:
            values[setting.attribute] = value
        else:
            groups.setdefault(setting.attribute, {})[index] = value
    for attribute, members in groups.items():
        values[attribute] = types.MappingProxyType(dict(sorted(members.items())))
    return values, problems


def parameter_error(problems: Mapping[str, str]) -> InvalidInput:
    """Proxmox's reply to bad parameters, with every place in it."""
    evidence = "; ".join(f"{key}: {text.replace(chr(10), ' ')}" for key, text in problems.items())
    return InvalidInput("Parameter verification failed.", evidence=evidence, parameters=problems)


def list_items(text: str) -> list[str]:
    """The items of a Proxmox `-list` text (split at comma, semicolon, white space, NUL)."""
    return [t for t in _LIST_SPLIT.split(text) if t]


def check_keys(declared: type, keys: Iterable[str]) -> dict[str, str]:
    """The keys that `declared` does not know, with Proxmox's text."""
    return {key: UNKNOWN for key in keys if find_setting(declared, key) is None}
