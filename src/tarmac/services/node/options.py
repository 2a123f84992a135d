"""Options that are one record: those of the datacenter, and a node's own. Kept as texts, changed key by key.

    options/datacenter, options/node/<node>     {"format": 1, "texts": {<key>: <text>}}

Each change is kept with who made it (`services.changes`); those who look at an option read it here at each use.
"""

from __future__ import annotations

import enum
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, TypeVar

from tarmac.drivers.store.base import Compare, Store
from tarmac.model.datacenter import NO_EFFECT
from tarmac.model.digest import check_digest
from tarmac.model.errors import InvalidInput
from tarmac.model.job import Plan, PlannedStep
from tarmac.model.parse import collect_record, parse_record, parse_value, split_property_string
from tarmac.model.settings import Setting, find_setting
from tarmac.services.change_record import change_entry

T = TypeVar("T")
PREFIX = "options/"
Texts = dict[str, str]


class Options(Generic[T]):
    """One record of options. `record` is its name in the store and the history (`datacenter`, `node/n1`); `check` says
    what is wrong with a whole one, by key; `settled` turns old spellings into new ones."""

    def __init__(
        self,
        *,
        store: Store,
        record: str,
        declared: type[T],
        check: Callable[[T], Mapping[str, str]] = lambda options: {},
        settled: Callable[[Texts], Texts] = lambda texts: texts,
    ) -> None:
        self._store = store
        self._key = f"{PREFIX}{record}"
        self._history = record if "/" in record else f"options/{record}"
        self._declared: type[T] = declared
        self._check = check
        self._settled = settled
        self._texts: Texts = {}
        self._revision = 0
        self._value: T = declared()

    async def load(self) -> None:
        """Read them; called once, before anything else. What cannot be understood is kept, and counts as not set."""
        entry = await self._store.get(self._key)
        if entry is not None:
            self._texts, self._revision = json.loads(entry.value)["texts"], entry.revision
            self._value, _ = collect_record(self._declared, self._texts)

    @property
    def value(self) -> T:
        """The options, typed."""
        return self._value

    @property
    def digest(self) -> str:
        """SHA-1 over what is set."""
        text = json.dumps(self._texts, sort_keys=True)
        return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()

    @property
    def texts(self) -> Mapping[str, str]:
        """What is set, as it was set."""
        return self._texts

    def shown(self, *, objects: bool) -> dict[str, Any]:
        """What is set, typed; `objects`: property strings as objects, as Proxmox shows those of the datacenter."""
        return {key: _plain(self._declared, key, text, objects) for key, text in sorted(self._texts.items())}

    async def update(
        self,
        texts: Mapping[str, str],
        *,
        delete: Sequence[str] = (),
        digest: str | None = None,
        by: str,
        dryrun: bool = False,
    ) -> Plan | None:
        """Set and remove keys, or with `dryrun` say what that would do.

        Raises InvalidInput naming every wrong key, Conflict for another `digest`; then nothing changed."""
        check_digest(digest, self.digest)
        new = self._changed(texts, delete)
        if dryrun:
            return self._plan(new)
        if new != self._texts:
            await self._write(new, by)
        return None

    def _changed(self, texts: Mapping[str, str], delete: Sequence[str]) -> Texts:
        problems = {key: "cannot be set and deleted at once" for key in delete if key in texts}
        if unknown := [key for key in delete if find_setting(self._declared, key) is None]:
            problems["delete"] = f"unknown option '{unknown[0]}'"
        new = self._settled({k: v for k, v in {**self._texts, **texts}.items() if k not in delete})
        if not problems:
            problems = dict(self._check(parse_record(self._declared, new)))
        if problems:
            raise InvalidInput("Parameter verification failed.", evidence=str(problems), parameters=problems)
        return new

    def _plan(self, new: Texts) -> Plan:
        keys = [key for key in sorted({*self._texts, *new}) if self._texts.get(key) != new.get(key)]
        effects = [f"{key}: {self._texts.get(key, '(default)')} -> {new.get(key, '(default)')}" for key in keys]
        effects += [f"{key} is kept and has no effect: {why}" for key in keys if (why := no_effect(key)) and key in new]
        step = PlannedStep(step="options", title="write the options", args={key: new.get(key) for key in keys})
        return Plan(steps=(step,) if keys else (), effects=tuple(effects))

    async def _write(self, new: Texts, by: str) -> None:
        changed = [key for key in sorted({*self._texts, *new}) if self._texts.get(key) != new.get(key)]
        told = change_entry(
            "options",
            by=by,
            what=f"change options {', '.join(changed)}",
            before={self._history: self._texts or None},
            after={self._history: new or None},
        )
        record = json.dumps({"format": 1, "texts": new}).encode()
        value = parse_record(self._declared, new)
        self._revision = await self._store.transact([Compare(self._key, self._revision)], {self._key: record, **told})
        self._texts, self._value = new, value


def no_effect(key: str) -> str | None:
    """Why a key does nothing, None for one that does."""
    return NO_EFFECT.get(key.rstrip("0123456789")) or NO_EFFECT.get(key)


def _plain(declared: type, key: str, text: str, objects: bool) -> Any:
    found = find_setting(declared, key)
    if found is None:
        return text
    setting = found[0]
    try:
        if setting.kind == "property":
            return _object(setting, text) if objects else text
        value = parse_value(setting, text, lenient=True)
    except ValueError:
        return text
    return int(value) if isinstance(value, bool) else (value.value if isinstance(value, enum.Enum) else value)


def _object(setting: Setting, text: str) -> dict[str, Any]:
    parts = split_property_string(setting.python, text)
    return {name: _plain(setting.python, name, value, False) for name, value in parts.items()}
