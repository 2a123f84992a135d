"""The one way to declare an option: a field of a frozen dataclass, with type, limits, unit, default and help.

    @dataclass(frozen=True, kw_only=True)
    class Resize:
        disk: str = setting(format="pve-disk-key", help="The disk to resize.")
        size: str = setting(pattern=r"\\+?\\d+(\\.\\d+)?[KMGT]?", help="The new size, or how much to add with `+`.")

From the declaration come parsing and validation (`model.parse`), the API's parameters, OpenAPI, the command line's
flags, the web forms and the reference. The annotation gives the kind: `bool`, `int`, `float`, `str`, an enum,
`tuple[str, ...]` (a `-list` of Proxmox), another declared class (a property string: `virtio,bridge=vmbr0`), or
`Mapping[int, X]` for indexed keys (`net0`, `net1`, ...). `X | None` with default None means "not set".
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import re
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

Kind = typing.Literal["boolean", "integer", "number", "string", "enum", "list", "property"]
R = TypeVar("R")
_META = "tarmac.setting"


class _Required:
    def __repr__(self) -> str:
        return "REQUIRED"


REQUIRED: Any = _Required()


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What `setting()` was told; see there."""

    help: str
    name: str | None = None
    ge: float | None = None
    le: float | None = None
    unit: str | None = None
    pattern: str | None = None
    max_length: int | None = None
    format: str | None = None
    choices: tuple[str, ...] = ()
    default_key: bool = False
    aliases: tuple[str, ...] = ()
    key_alias: str | None = None
    count: int | None = None
    hotplug: str | None = None
    privilege: str | None = None
    built: bool = True
    default_text: str | None = None
    secret: bool = False
    told: Callable[[str], str] | None = None
    array: bool = False
    internal: bool = False


def setting(default: Any = REQUIRED, *, help: str, **limits: Any) -> Any:
    """Declare one option as a dataclass field.

    default       the value when nothing is given; left out: the option is required
    name          its name on the wire where that is no Python name (`import-from`); else the field's name
    ge, le, unit  limits and unit of a number;  pattern, max_length, format: of a text (format: see `model.formats`)
    choices       the allowed words of a text (an enum says so by itself)
    default_key   in a property string: the key that may stand without its name
    aliases       other names for the same key in a property string (`volume` for `file`)
    key_alias     in a property string: the words of this setting's `choices` may be keys that give that other
                  setting's value (`virtio=MAC` is `model=virtio,macaddr=MAC`)
    count         for indexed keys: how many there are (`net[n]`: 32)
    hotplug       None: a change waits for a cold boot; else the hotplug class that makes it live
                  (`any`, `disk`, `network`, `cpu`, `memory`, `usb`, `cloudinit`)
    privilege     the privilege that a change of it needs (`VM.Config.CPU`)
    built         False: known and kept on import, refused when somebody sets it
    default_text  what the reference says where the default is computed
    secret        masked in logs, tasks and replies
    told          of a text that may hold a secret among other words: what of it logs and the audit trail are told
    array         a list whose items may hold anything (a command's words): on the wire a JSON array or a repeated
                  key, as one text its items joined by NUL; never split at commas or white space
    internal      written by the platform only: stored and shown, never taken from a caller
    """
    told = Limits(help=help, **limits)
    field: dict[str, Any] = {"metadata": {_META: told}}
    if default is REQUIRED:
        pass
    elif isinstance(default, (dict, list)):
        field["default_factory"] = lambda: type(default)(default)
    else:
        field["default"] = default
    return dataclasses.field(**field)


def indexed(count: int, *, help: str, **limits: Any) -> Any:
    """Declare indexed keys (`scsi0` ... `scsi30`) as one `Mapping[int, X]` field."""
    return setting({}, help=help, count=count, **limits)


@dataclass(frozen=True, kw_only=True, eq=False)
class Setting:
    """One declared option, resolved: what parsers and generators read. Each exists once, so identity is equality."""

    attribute: str
    name: str
    kind: Kind
    python: Any
    default: Any
    required: bool
    limits: Limits

    @property
    def indexed(self) -> bool:
        return self.limits.count is not None

    @property
    def choices(self) -> tuple[str, ...]:
        if self.kind == "enum":
            return _values_of(self.python)
        return self.limits.choices


def per_class(compute: Callable[[Any], R]) -> Callable[[Any], R]:
    """Computed once for each declared class. `functools.cache` with a type of its own, because mypy does not take a
    `type[T]` for hashable."""
    return functools.cache(compute)


@per_class
def _values_of(choices: Any) -> tuple[str, ...]:
    return tuple(str(member.value) for member in choices)


@per_class
def settings_of(declared: Any) -> tuple[Setting, ...]:
    """All options of a declared class, in order of declaration."""
    hints = typing.get_type_hints(declared)
    found = []
    for field in dataclasses.fields(declared):
        told = field.metadata.get(_META)
        if told is not None:
            found.append(_resolve(field, told, hints[field.name]))
    return tuple(found)


@per_class
def settings_by_name(declared: Any) -> Mapping[str, Setting]:
    """The options of a declared class by their names on the wire; indexed ones stand as `net[n]`."""
    return {f"{s.name}[n]" if s.indexed else s.name: s for s in settings_of(declared)}


_INDEXED = re.compile(r"([a-z]+)(0|[1-9]\d{0,2})", re.ASCII)


def find_setting(declared: Any, key: str) -> tuple[Setting, int | None] | None:
    """The option behind a wire key and its index: `net3` gives (net, 3), `cores` gives (cores, None)."""
    return _find_setting(declared, key)


@functools.lru_cache(maxsize=4096)
def _find_setting(declared: Any, key: str) -> tuple[Setting, int | None] | None:
    by_name = settings_by_name(declared)
    if (plain := by_name.get(key)) is not None and not plain.indexed:
        return plain, None
    match = _INDEXED.fullmatch(key)
    if match is None or (group := by_name.get(f"{match[1]}[n]")) is None:
        return None
    index = int(match[2])
    assert group.limits.count is not None
    return (group, index) if index < group.limits.count else None


def _resolve(field: dataclasses.Field[Any], told: Limits, hint: Any) -> Setting:
    required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    if told.count is not None:
        hint = typing.get_args(hint)[1]
        required = False
    kind, python = _kind(_without_none(hint))
    default = None if field.default is dataclasses.MISSING else field.default
    return Setting(
        attribute=field.name,
        name=told.name or field.name,
        kind=kind,
        python=python,
        default=default,
        required=required,
        limits=told,
    )


def _without_none(hint: Any) -> Any:
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return next(a for a in typing.get_args(hint) if a is not type(None))
    return hint


def _kind(hint: Any) -> tuple[Kind, Any]:
    base = getattr(hint, "__supertype__", hint)
    if base is bool:
        return "boolean", bool
    if base is int:
        return "integer", int
    if base is float:
        return "number", float
    if base is str:
        return "string", str
    if typing.get_origin(base) is tuple:
        return "list", str
    if isinstance(base, type) and issubclass(base, enum.Enum):
        return "enum", base
    if dataclasses.is_dataclass(base):
        return "property", base
    raise TypeError(f"cannot declare a setting of type {hint!r}")
