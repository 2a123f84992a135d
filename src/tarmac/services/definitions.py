"""Definitions that are kept: by name, as texts of a declared class, what is secret in a record of its own.

    metric-servers/<name>            {"format": 1, "texts": {<key>: <text>}}
    secrets/metric-servers/<name>    the same of the secret keys; never in a reply

Used by what is configured rather than made: metric servers, notification targets, matchers.
"""

from __future__ import annotations

import enum
import hashlib
import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, Generic, TypeVar

from tarmac.drivers.store.base import Compare, Store
from tarmac.model.digest import check_digest
from tarmac.model.errors import Conflict, Fix, InvalidInput, NotFound
from tarmac.model.parse import parse_record, parse_value
from tarmac.model.settings import find_setting, settings_by_name

T = TypeVar("T")
SECRETS = "secrets/"
Texts = dict[str, str]


class Definitions(Generic[T]):
    """Records of one kind. `check` looks at a whole one and raises InvalidInput; `fixed` are keys that are set once."""

    def __init__(
        self,
        *,
        store: Store,
        kind: str,
        noun: str,
        declared: type[T],
        fixed: Collection[str] = (),
        check: Callable[[T], None] = lambda record: None,
    ) -> None:
        self._store = store
        self._prefix = f"{kind}/"
        self._noun = noun
        self._declared: type[T] = declared
        self._fixed = frozenset(fixed)
        self._check = check
        self._secret = {name for name, s in settings_by_name(declared).items() if s.limits.secret}
        self._texts: dict[str, Texts] = {}
        self._revisions: dict[str, int] = {}

    async def load(self) -> None:
        """Read all; called once, before anything else."""
        for entry in await self._store.range(self._prefix):
            name = entry.key.removeprefix(self._prefix)
            self._texts[name], self._revisions[name] = json.loads(entry.value)["texts"], entry.revision
        for entry in await self._store.range(SECRETS + self._prefix):
            name = entry.key.removeprefix(SECRETS + self._prefix)
            self._texts.get(name, {}).update(json.loads(entry.value)["texts"])

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._texts))

    def __contains__(self, name: str) -> bool:
        return name in self._texts

    def get(self, name: str) -> T:
        """The record, its secrets included. Raises NotFound."""
        return parse_record(self._declared, self._known(name))

    def shown(self, name: str) -> dict[str, Any]:
        """What was set, as a reply shows it: without secrets. Raises NotFound."""
        texts = {key: text for key, text in self._known(name).items() if key not in self._secret}
        return {key: self._plain(key, text) for key, text in texts.items()}

    @property
    def digest(self) -> str:
        """Of all records; it changes with every change."""
        told = [[name, self._revisions[name], self._texts[name]] for name in self]
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()

    async def create(self, name: str, texts: Mapping[str, str]) -> None:
        """Raises InvalidInput naming every wrong key, Conflict for a name that is taken."""
        if name in self._texts:
            raise Conflict(f"{self._noun} '{name}' already exists", code="already-exists")
        await self._write(name, texts)

    async def update(
        self, name: str, texts: Mapping[str, str], *, delete: Sequence[str] = (), digest: str | None = None
    ) -> None:
        """Change what is given and remove `delete`. Raises NotFound, InvalidInput, Conflict (another digest)."""
        old = self._known(name)
        check_digest(digest, self.digest)
        problems = {}
        for key in delete:
            if key in texts:
                problems[key] = "cannot be set and deleted at once"
            elif key in self._fixed or find_setting(self._declared, key) is None:
                problems[key] = f"unable to delete fixed or unknown option '{key}'"
        problems |= {
            key: f"can't change value of fixed parameter '{key}'"
            for key in self._fixed
            if key in texts and texts[key] != old.get(key)
        }
        if problems:
            raise InvalidInput("Parameter verification failed.", evidence=str(problems), parameters=problems)
        await self._write(name, {key: text for key, text in (old | dict(texts)).items() if key not in delete})

    async def delete(self, name: str) -> None:
        """Raises NotFound."""
        self._known(name)
        key = self._prefix + name
        await self._store.transact(
            [Compare.unchanged(key, self._revisions[name])], deletes=[key, SECRETS + self._prefix + name]
        )
        del self._texts[name], self._revisions[name]

    async def _write(self, name: str, texts: Mapping[str, str]) -> None:
        self._check(parse_record(self._declared, texts))
        key = self._prefix + name
        open_texts = {k: v for k, v in texts.items() if k not in self._secret}
        secrets = {k: v for k, v in texts.items() if k in self._secret}
        puts = {key: _record(open_texts)}
        if secrets:
            puts[SECRETS + key] = _record(secrets)
        compares = [Compare(key, self._revisions.get(name, 0))]
        deletes = [] if secrets else [SECRETS + key]
        self._revisions[name] = await self._store.transact(compares, puts, deletes)
        self._texts[name] = dict(texts)

    def _known(self, name: str) -> Texts:
        try:
            return self._texts[name]
        except KeyError:
            raise NotFound(
                f"{self._noun} '{name}' does not exist",
                code="no-such-definition",
                evidence=f"there are: {', '.join(self) or 'none'}",
                fixes=[Fix(text="look at the list")],
            ) from None

    def _plain(self, key: str, text: str) -> Any:
        found = find_setting(self._declared, key)
        if found is None:
            return text
        value = parse_value(found[0], text)
        if isinstance(value, tuple):
            return list(value) if found[0].limits.array else ",".join(value)
        return str(value.value) if isinstance(value, enum.Enum) else value


def _record(texts: Mapping[str, str]) -> bytes:
    return json.dumps({"format": 1, "texts": dict(texts)}).encode()
