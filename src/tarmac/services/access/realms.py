"""Realms: which there are, and how each knows its users. `pam` and `pve` always are.

Definitions and secrets are separate records, so nothing that shows the one can show the other. At most one realm is the
default, changed in the same transaction. Texts are Proxmox's, because clients match on them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from tarmac.model.digest import check_digest
from tarmac.model.errors import Conflict, Fix, InvalidInput, NotFound
from tarmac.model.parse import parameter_error, parse_property_string, parse_record
from tarmac.model.realms import (
    AD,
    BUILTIN,
    FIXED,
    KEYS,
    LDAP,
    Realm,
    RealmOptions,
    RealmSecret,
    RealmTfa,
    problems_of,
    shown,
)
from tarmac.model.settings import settings_by_name
from tarmac.services.access.directory import Directory, Key

SECRET = frozenset(name for name, s in settings_by_name(RealmOptions).items() if s.limits.secret)
Probe = Callable[[str, RealmOptions], Awaitable[None]]
"""Tries to log in at a directory's server; raises what it meets."""


class Realms:
    """Verbs on realms. `by` is the name of who makes a change; `probe` tries a connection (`check-connection`)."""

    def __init__(self, directory: Directory, probe: Probe | None = None) -> None:
        self._directory = directory
        self._probe = probe

    # -- looking ------------------------------------------------------------------------------------------------

    def list(self) -> list[dict[str, Any]]:
        """Rows of `GET /access/domains`: what a login form needs, nothing more."""
        rows = []
        for name in (*BUILTIN, *sorted(set(self._directory.realms) - set(BUILTIN))):
            realm, options = self.find(name), self.options(name)
            row: dict[str, Any] = {"realm": name, "type": realm.type}
            if realm.texts.get("comment"):
                row["comment"] = realm.texts["comment"]
            if options.default:
                row["default"] = 1
            if options.tfa:
                row["tfa"] = parse_property_string(RealmTfa, options.tfa).type
            rows.append(row)
        return rows

    def get(self, name: str) -> dict[str, Any]:
        """`GET /access/domains/{realm}`: without secrets. Raises NotFound `domain 'x' does not exist`."""
        realm = self.find(name)
        texts = {k: v for k, v in realm.texts.items() if k not in SECRET}
        return {"type": realm.type, **shown(self.options(name), texts), "digest": self.digest}

    def find(self, name: str) -> Realm:
        """The record. Raises NotFound."""
        known = self._directory.realms.get(name)
        if known is not None:
            return known
        if name in BUILTIN:
            return Realm(realm=name, type=name, texts={"comment": BUILTIN[name]})
        raise NotFound(
            f"domain '{name}' does not exist",
            code="no-such-realm",
            cause="no realm has this name",
            evidence=f"the realms are {', '.join(sorted({*BUILTIN, *self._directory.realms}))}",
            fixes=[Fix(text="list the realms", action="GET /access/domains")],
        )

    def __contains__(self, name: str) -> bool:
        return name in BUILTIN or name in self._directory.realms

    def kind(self, name: str) -> str:
        """A realm's type; empty for one that is not there."""
        return self.find(name).type if name in self else ""

    def options(self, name: str) -> RealmOptions:
        """A realm's options, its secrets included. Raises NotFound."""
        secret = self._directory.realm_secrets.get(name, RealmSecret())
        return parse_record(RealmOptions, {**self.find(name).texts, **secret.texts})

    @property
    def digest(self) -> str:
        """Of all realms; it changes with every change."""
        told = [[name, self.find(name).type, self.find(name).texts, self._directory.revision(("realm-secret", name))]
                for name in sorted({*BUILTIN, *self._directory.realms})]  # fmt: skip
        return hashlib.sha1(json.dumps(told, sort_keys=True).encode(), usedforsecurity=False).hexdigest()

    # -- changing -----------------------------------------------------------------------------------------------

    async def create(self, name: str, kind: str, texts: Mapping[str, str], *, by: str) -> None:
        """A new realm. Raises Conflict for a name that is taken, InvalidInput naming every wrong option, and with
        `check-connection` what trying meets."""
        if name in BUILTIN:
            raise InvalidInput.of("realm", f"unable to use reserved name '{name}'")
        if kind in BUILTIN:
            raise InvalidInput.of("type", f"unable to create builtin type '{kind}'")
        if name in self._directory.realms:
            raise _exists(name)
        await self._check(name, kind, texts)
        async with self._directory.lock:
            if name in self._directory.realms:
                raise _exists(name)
            await self._write(name, kind, texts, by, f"create realm {name}")

    async def update(
        self, name: str, texts: Mapping[str, str], *, by: str, delete: Sequence[str] = (), digest: str | None = None
    ) -> None:
        """Change what is given, remove `delete`. Raises NotFound, Conflict for another digest, InvalidInput."""
        merged = self._merged(name, texts, delete, digest)
        await self._check(name, self.find(name).type, merged)
        async with self._directory.lock:
            # What was tried over the network may have been changed meanwhile: then it is merged, and checked, anew.
            again = self._merged(name, texts, delete, digest)
            _checked(self.find(name).type, again)
            await self._write(name, self.find(name).type, again, by, f"update realm {name}")

    async def delete(self, name: str, *, by: str) -> None:
        """Remove a realm; its users stay, and cannot log in. Raises NotFound, InvalidInput for pam and pve."""
        self.find(name)
        if name in BUILTIN:
            raise InvalidInput.of("realm", f"unable to delete builtin realm '{name}'")
        async with self._directory.lock:
            self.find(name)
            gone: dict[Key, Any] = {("realm", name): None}
            if name in self._directory.realm_secrets:
                gone[("realm-secret", name)] = None
            await self._directory.commit(gone, by=by, what=f"delete realm {name}")

    # -- parts --------------------------------------------------------------------------------------------------

    def _merged(self, name: str, texts: Mapping[str, str], delete: Sequence[str], digest: str | None) -> dict[str, str]:
        realm = self.find(name)
        check_digest(digest, self.digest)
        old = {**realm.texts, **self._directory.realm_secrets.get(name, RealmSecret()).texts}
        problems = {}
        for key in delete:
            if key in texts:
                problems[key] = "cannot be set and deleted at once"
            elif key not in KEYS[realm.type] or key in FIXED:
                problems[key] = f"unable to delete fixed or unknown option '{key}'"
        problems |= {
            key: f"can't change value of fixed parameter '{key}'"
            for key in FIXED & set(texts)
            if texts[key] != old.get(key)
        }
        if problems:
            raise parameter_error(problems)
        return {key: text for key, text in (old | dict(texts)).items() if key not in delete}

    async def _check(self, name: str, kind: str, texts: Mapping[str, str]) -> None:
        options = _checked(kind, texts)
        if options.check_connection and kind in (LDAP, AD) and self._probe is not None:
            await self._probe(kind, options)

    async def _write(self, name: str, kind: str, texts: Mapping[str, str], by: str, what: str) -> None:
        kept = {k: v for k, v in texts.items() if k not in SECRET and k != "check-connection"}
        secret = {k: v for k, v in texts.items() if k in SECRET}
        if kept.get("default") == "0":
            del kept["default"]
        records: dict[Key, Any] = {("realm", name): Realm(realm=name, type=kind, texts=kept)}
        known = self._directory.realm_secrets.get(name)
        if secret != (known.texts if known else {}):  # one that stays is no part of the change: it can be undone
            records[("realm-secret", name)] = RealmSecret(texts=secret) if secret else None
        if kept.get("default") == "1":
            for other, record in self._directory.realms.items():
                if other != name and "default" in record.texts:
                    left = {k: v for k, v in record.texts.items() if k != "default"}
                    records[("realm", other)] = Realm(realm=other, type=record.type, texts=left)
        await self._directory.commit(records, by=by, what=what)


def _checked(kind: str, texts: Mapping[str, str]) -> RealmOptions:
    options = parse_record(RealmOptions, texts)
    problems = problems_of(kind, options, texts)
    if problems:
        raise parameter_error(problems)
    return options


def _exists(name: str) -> Conflict:
    return Conflict(
        f"domain '{name}' already exists",
        code="realm-exists",
        cause="a name belongs to one realm",
        evidence=name,
        fixes=[Fix(text="change the existing realm", action=f"PUT /access/domains/{name}")],
    )
