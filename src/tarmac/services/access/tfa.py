"""The second factor: codes of an authenticator program (TOTP), security keys (`services.access.webauthn`), and recovery
keys that are good once each.

A user with an enabled entry logs in in two steps, as in Proxmox: the password gets a ticket that is good for nothing
but the second step, where the code is given. Too many wrong codes lock the codes until somebody with User.Modify
unlocks them or a recovery key is used; too many wrong recovery keys lock both for an hour.
"""

from __future__ import annotations

import dataclasses
import hashlib
import hmac
import json
import secrets
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tarmac.lib.totp import Totp
from tarmac.model.errors import Conflict, Fix, InvalidInput, NotBuilt, NotFound
from tarmac.model.users import Tfa, TfaEntry
from tarmac.services.access import webauthn
from tarmac.services.access.access import Access, Identity
from tarmac.services.access.directory import Directory, Key
from tarmac.services.access.users import no_such_user

TOTP, RECOVERY, WEBAUTHN = "totp", "recovery", webauthn.WEBAUTHN
RECOVERY_KEYS = 10
MOST_ENTRIES = 20
WRONG_CODES, WRONG_KEYS = 8, 20
LOCK_SECONDS = 3600
REGISTER_SECONDS = 300
_ANSWERED = 16  # challenges remembered; a ticket of a first step lasts five minutes, and each answer needs another one
_SEE = ("User.Modify", "Sys.Audit")
Rows = list[dict[str, Any]]


class SecondFactors:
    """Verbs on second factors. `by` is the name of who makes a change; `clock` tells seconds since 1970; `party` whose
    security keys they are, as it is set then."""

    def __init__(
        self,
        directory: Directory,
        access: Access,
        clock: Callable[[], float] = time.time,
        party: Callable[[], webauthn.Party] = webauthn.Party,
    ) -> None:
        self._directory = directory
        self._access = access
        self._clock = clock
        self._party = party
        self._begun: dict[str, tuple[str, str, float]] = {}  # user -> challenge, name, until when

    # -- looking ------------------------------------------------------------------------------------------------

    def all(self, identity: Identity, may_see: Callable[[str], bool]) -> Rows:
        """Rows of `GET /access/tfa`: users with entries, the caller's own and those that `may_see` says."""
        return [
            {"userid": userid, "entries": [entry.info() for entry in tfa.entries], **self._locks(tfa)}
            for userid, tfa in sorted(self._directory.tfa.items())
            if tfa.entries and (userid == identity.user or may_see(userid))
        ]

    def list(self, userid: str) -> Rows:
        """A user's entries, without secrets. Raises NotFound for an unknown user."""
        return [entry.info() for entry in self._tfa(userid).entries]

    def get(self, userid: str, id: str) -> dict[str, Any]:
        """Raises NotFound."""
        return self._entry(self._tfa(userid), id).info()

    def kinds(self, userid: str) -> Sequence[str]:
        """The kinds of the user's enabled entries."""
        return sorted({entry.type for entry in self._tfa(userid).entries if entry.enable})

    def challenge(self, userid: str, host: str = "") -> dict[str, Any] | None:
        """What a login's second step may answer with; None: the password is enough. `host` is the name under which the
        caller speaks to us: security keys are bound to it."""
        entries = [e for e in self._directory.tfa.get(userid, Tfa(userid=userid)).entries if e.enable]
        if not entries:
            return None
        keys = [i for e in entries if e.type == RECOVERY for i, code in enumerate(e.codes) if code]
        asked = webauthn.ask(entries, host, self._party())
        found: dict[str, Any] = {"totp": any(e.type == TOTP for e in entries)}
        return {**found, **({"recovery": keys} if keys else {}), **({WEBAUTHN: asked} if asked else {})}

    # -- changing -----------------------------------------------------------------------------------------------

    async def add_totp(self, userid: str, uri: str, code: str, *, description: str, by: str) -> dict[str, Any]:
        """An authenticator program; `code` proves that it has the secret. Returns `{"id"}`.

        Raises InvalidInput for a bad address or a code that does not fit."""
        try:
            step = Totp.parse(uri).step_of(code, self._clock())
        except ValueError as problem:
            raise InvalidInput.of("totp", f"invalid otpauth address: {problem}") from None
        if step is None:
            raise InvalidInput.of("value", "the code does not fit the secret; look at the clocks of both")
        entry = self._new(uuid.uuid4().hex, TOTP, description, secret=uri)
        async with self._directory.lock:
            await self._put(dataclasses.replace(self._with(userid, entry), used=step), by, f"add {TOTP} of {userid}")
        return {"id": entry.id}

    async def add_recovery(self, userid: str, *, description: str, by: str) -> dict[str, Any]:
        """New recovery keys: `{"id", "recovery": [...]}`; they are told here and never again. Raises Conflict when
        the user has some."""
        keys = ["-".join(secrets.token_hex(2) for _ in range(4)) for _ in range(RECOVERY_KEYS)]
        codes = tuple(_hash(userid, key) for key in keys)
        async with self._directory.lock:
            if any(entry.type == RECOVERY for entry in self._tfa(userid).entries):
                raise Conflict(
                    "recovery keys already set",
                    code="recovery-keys-exist",
                    cause="a user has one set of recovery keys",
                    evidence=userid,
                    fixes=[Fix(text="remove them first", action=f"DELETE /access/tfa/{userid}/{RECOVERY}")],
                )
            entry = self._new(RECOVERY, RECOVERY, description, codes=codes)
            await self._put(self._with(userid, entry), by, f"add recovery keys of {userid}")
        return {"id": entry.id, "recovery": keys}

    def begin_webauthn(self, userid: str, host: str) -> dict[str, Any]:
        """First step of adding a security key: `{"challenge"}`, what the browser needs, as JSON. Raises InvalidInput
        where the page has no name, NotFound."""
        asked, challenge = webauthn.ask_for_new(userid, host, self._tfa(userid).entries, self._party())
        now = self._clock()
        self._begun = {user: begun for user, begun in self._begun.items() if now < begun[2]}
        self._begun[userid] = (challenge, str(asked["publicKey"]["rp"]["id"]), now + REGISTER_SECONDS)
        return {"id": None, "challenge": json.dumps(asked)}

    async def add_webauthn(
        self, userid: str, challenge: str, answer: str, *, description: str, by: str
    ) -> dict[str, Any]:
        """Second step: the browser's answer to the challenge. Returns `{"id"}`. Raises InvalidInput for one that is not
        good, or that nobody asked for in the last five minutes."""
        begun, name, until = self._begun.get(userid, ("", "", 0.0))
        if not begun or self._clock() >= until or not hmac.compare_digest(begun, challenge.rstrip("=")):
            raise InvalidInput.of("challenge", "it is not the challenge that was asked, or too old; begin again")
        credential, counter = webauthn.check_new(begun, name, answer, self._party())
        del self._begun[userid]
        entry = self._new(uuid.uuid4().hex, WEBAUTHN, description)
        entry = dataclasses.replace(entry, credential=credential, name=name, counter=counter)
        async with self._directory.lock:
            await self._put(self._with(userid, entry), by, f"add security key of {userid}")
        return {"id": entry.id}

    async def update(self, userid: str, id: str, *, description: str | None, enable: bool | None, by: str) -> None:
        """Raises NotFound."""
        given: dict[str, Any] = {k: v for k, v in (("description", description), ("enable", enable)) if v is not None}
        async with self._directory.lock:
            tfa = self._tfa(userid)
            changed = dataclasses.replace(self._entry(tfa, id), **given)
            entries = tuple(changed if entry.id == id else entry for entry in tfa.entries)
            await self._put(dataclasses.replace(tfa, entries=entries), by, f"change second factor {id} of {userid}")

    async def delete(self, userid: str, id: str, *, by: str) -> None:
        """Raises NotFound."""
        async with self._directory.lock:
            tfa = self._tfa(userid)
            gone = self._entry(tfa, id)
            entries = tuple(entry for entry in tfa.entries if entry is not gone)
            await self._put(dataclasses.replace(tfa, entries=entries), by, f"remove second factor {id} of {userid}")

    async def unlock(self, userid: str, *, by: str) -> bool:
        """Whether anything was locked."""
        async with self._directory.lock:
            tfa = self._tfa(userid)
            locked = bool(self._locks(tfa))
            if tfa.wrong_codes or tfa.wrong_keys:
                fresh = dataclasses.replace(tfa, wrong_codes=0, wrong_keys=0, locked_until=0)
                await self._put(fresh, by, f"unlock second factors of {userid}")
        return locked

    # -- deciding -----------------------------------------------------------------------------------------------

    async def check(self, userid: str, answer: str, asked: Mapping[str, Any] | None = None) -> str:
        """Why the answer (`totp:123456`, `recovery:KEY`, `webauthn:JSON`) to a challenge is not good; empty when it is.
        A good code or key is used up before this returns, a wrong one is counted. `asked` is the challenge."""
        kind, _, text = answer.partition(":")
        async with self._directory.lock:
            tfa = self._directory.tfa.get(userid)
            if tfa is None:
                return "the user has no second factor"
            if self._clock() < tfa.locked_until:
                return "too many wrong recovery keys"
            if kind == TOTP:
                changed, why = self._code(tfa, text)
            elif kind == RECOVERY:
                changed, why = self._key(tfa, text)
            elif kind == WEBAUTHN:
                changed, why = self._security_key(tfa, text, (asked or {}).get(WEBAUTHN))
                if why:
                    return why  # it cannot be guessed, so it need not be counted
            else:
                return f"'{kind[:20]}' is no second factor that is known"
            await self._put(changed, userid, f"second factor of {userid}: {why or 'used ' + kind}")
        return why

    def _code(self, tfa: Tfa, code: str) -> tuple[Tfa, str]:
        if tfa.wrong_codes >= WRONG_CODES:
            return tfa, "too many wrong codes"
        for entry in tfa.entries:
            if entry.type == TOTP and entry.enable:
                step = Totp.parse(entry.secret).step_of(code.strip(), self._clock(), after=tfa.used)
                if step is not None:
                    return dataclasses.replace(tfa, used=step, wrong_codes=0), ""
        return dataclasses.replace(tfa, wrong_codes=tfa.wrong_codes + 1), "a wrong code"

    def _security_key(self, tfa: Tfa, answer: str, asked: Mapping[str, Any] | None) -> tuple[Tfa, str]:
        if asked is None:
            return tfa, "no security key was asked for"
        challenge = _hash(tfa.userid, str(asked["publicKey"]["challenge"]))
        if challenge in tfa.answered:
            return tfa, "a security key's answer that was given before"
        try:
            id, counter = webauthn.check(tfa.entries, asked, answer, self._party())
        except ValueError as problem:
            return tfa, f"a security key's answer that is not good: {problem}"
        entries = tuple(dataclasses.replace(e, counter=counter) if e.id == id else e for e in tfa.entries)
        answered = (*tfa.answered[-_ANSWERED + 1 :], challenge)
        return dataclasses.replace(tfa, entries=entries, answered=answered, wrong_codes=0), ""

    def _key(self, tfa: Tfa, key: str) -> tuple[Tfa, str]:
        wanted = _hash(tfa.userid, key.strip())
        for entry in tfa.entries:
            if entry.type != RECOVERY or not entry.enable:
                continue
            left = tuple("" if code and hmac.compare_digest(code, wanted) else code for code in entry.codes)
            if left != entry.codes:
                entries = tuple(dataclasses.replace(entry, codes=left) if one is entry else one for one in tfa.entries)
                return dataclasses.replace(tfa, entries=entries, wrong_codes=0, wrong_keys=0), ""
        wrong = tfa.wrong_keys + 1
        if wrong < WRONG_KEYS:
            return dataclasses.replace(tfa, wrong_keys=wrong), "a wrong recovery key"
        until = int(self._clock()) + LOCK_SECONDS
        return dataclasses.replace(tfa, wrong_keys=0, locked_until=until), "too many wrong recovery keys"

    # -- parts --------------------------------------------------------------------------------------------------

    def _locks(self, tfa: Tfa) -> dict[str, int]:
        found = {"totp-locked": 1} if tfa.wrong_codes >= WRONG_CODES else {}
        return {**found, **({"tfa-locked-until": tfa.locked_until} if self._clock() < tfa.locked_until else {})}

    def _new(self, id: str, kind: str, description: str, *, secret: str = "", codes: tuple[str, ...] = ()) -> TfaEntry:
        created = int(self._clock())
        return TfaEntry(id=id, type=kind, description=description, created=created, secret=secret, codes=codes)

    def _with(self, userid: str, entry: TfaEntry) -> Tfa:
        tfa = self._tfa(userid)
        if len(tfa.entries) >= MOST_ENTRIES:
            raise InvalidInput(f"{userid} has {MOST_ENTRIES} second factors, and cannot have more", code="too-many")
        return dataclasses.replace(tfa, entries=(*tfa.entries, entry))

    def _tfa(self, userid: str) -> Tfa:
        if userid not in self._directory.users:
            raise no_such_user(userid)
        return self._directory.tfa.get(userid, Tfa(userid=userid))

    def _entry(self, tfa: Tfa, id: str) -> TfaEntry:
        for entry in tfa.entries:
            if entry.id == id:
                return entry
        raise NotFound(
            f"no such tfa entry '{id}' for user '{tfa.userid}'",
            code="no-such-second-factor",
            cause="the user has no second factor with this id",
            evidence=f"{tfa.userid} has {len(tfa.entries)}",
            fixes=[Fix(text="list them", action=f"GET /access/tfa/{tfa.userid}")],
        )

    async def _put(self, tfa: Tfa, by: str, what: str) -> None:
        records: dict[Key, Any] = {("tfa", tfa.userid): tfa}
        await self._directory.commit(records, by=by, what=what)


def not_built(kind: str) -> NotBuilt:
    """The refusal of kinds that need a browser or a service of others."""
    return NotBuilt(
        f"second factors of type '{kind}' are not built yet",
        code="not-built",
        cause="this version has totp, webauthn and recovery",
        evidence=f"type: {kind}",
    )


def _hash(userid: str, key: str) -> str:
    return hashlib.sha256(f"{userid}\0{key}".encode(errors="surrogatepass")).hexdigest()
