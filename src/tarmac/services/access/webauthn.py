"""Security keys and passkeys as a second factor (WebAuthn): what is asked of a browser, and whether its answer is good.

A key belongs to the name under which the page was open when it was registered, or to a domain above it that the
datacenter's option `webauthn` names: browsers answer under no other, so a page that only looks like ours gets nothing
that is good here. The name is that of the request; for an address without a name there are no keys.
The cryptography is Yubico's `fido2`. Source: W3C Web Authentication, level 2.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from fido2.server import Fido2Server
from fido2.webauthn import (
    AttestedCredentialData,
    AuthenticatorData,
    PublicKeyCredentialRpEntity,
    PublicKeyCredentialUserEntity,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from tarmac.model.datacenter import WebAuthn
from tarmac.model.errors import Fix, InvalidInput
from tarmac.model.users import TfaEntry

WEBAUTHN = "webauthn"
MOST_BYTES = 16 * 1024
_ALGORITHMS = (-7, -8, -35, -36, -257)  # ES256, EdDSA, ES384, ES512, RS256
_NAME = re.compile(r"[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63}){0,30}", re.ASCII)
_PARTS = ("clientDataJSON", "authenticatorData", "signature", "userHandle", "attestationObject")
_ASKED = UserVerificationRequirement.DISCOURAGED  # the password is the other factor
# What the library raises for bytes that make no sense: cut off, nested without end, of other types.
_NONSENSE = (ValueError, LookupError, TypeError, AttributeError, RecursionError, struct.error)


def name_of(host: str) -> str:
    """The name that keys are bound to, of a request's `Host`; empty where there can be none (an address)."""
    try:
        name = (urlsplit(f"//{host}").hostname or "").rstrip(".")
    except ValueError:
        return ""
    # The last part of a name is no number (URL Standard), so what looks like an address is none.
    return name if _NAME.fullmatch(name) and not name.rpartition(".")[2].isdecimal() else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Party:
    """Whose keys they are. `id`: the domain that new keys belong to, on pages at or below it; empty: each page's own
    name. `origin`: the page's address, empty: the domain itself; `subdomains`: pages below it, too."""

    id: str = ""
    shown: str = "Tarmac"
    origin: str = ""
    subdomains: bool = True

    @classmethod
    def of(cls, option: WebAuthn | None) -> Party:
        option = option or WebAuthn()
        below = option.allow_subdomains is not False
        return cls(id=option.id or "", shown=option.rp or "Tarmac", origin=option.origin or "", subdomains=below)

    def names(self, host: str) -> list[str]:
        """What keys may belong to on a page of this `Host`, first what new ones do; none for an address."""
        own = name_of(host)
        if self.id and (own == self.id or own.endswith(f".{self.id}")):
            return list(dict.fromkeys((self.id, own)))
        return [own] if own else []

    def is_ours(self, name: str, origin: str) -> bool:
        """Whether a key of this name may be used on a page of this origin."""
        page, ours = urlsplit(origin), urlsplit(self.origin or f"https://{self.id}")
        host = page.hostname or ""
        if page.scheme != "https" and host != "localhost":
            return False
        if name != self.id:
            return host == name
        same = origin == self.origin if self.origin else host == ours.hostname
        return same or (self.subdomains and host.endswith(f".{ours.hostname}"))


def ask_for_new(userid: str, host: str, entries: Sequence[TfaEntry], party: Party) -> tuple[dict[str, Any], str]:
    """What a browser needs to make a key, and the challenge in it. Raises InvalidInput where there can be no keys."""
    name = next(iter(party.names(host)), "")
    if not name:
        raise InvalidInput(
            "security keys need a name, not an address",
            code="webauthn-no-name",
            cause="browsers bind a key to the name of the page, and give none to an address",
            evidence=f"the page is open as {host or 'nothing'}",
            fixes=[Fix(text="open the page by its name (https://NAME:8006/), which its certificate should have")],
        )
    user = PublicKeyCredentialUserEntity(id=hashlib.sha256(userid.encode()).digest(), name=userid, display_name=userid)
    options, state = _server(name, party).register_begin(
        user,
        credentials=_credentials(entries, name),
        resident_key_requirement=ResidentKeyRequirement.DISCOURAGED,
        user_verification=_ASKED,
    )
    return dict(options), str(state["challenge"])


def check_new(challenge: str, name: str, answer: str, party: Party) -> tuple[str, int]:
    """The credential of a new key as text, and its counter. Raises InvalidInput."""
    try:
        data = _server(name, party).register_complete(_state(challenge), _response(answer))
    except _NONSENSE as problem:
        raise InvalidInput.of("value", f"the key's answer is not good: {_words(problem)}") from None
    assert data.credential_data is not None
    return base64.b64encode(data.credential_data).decode(), data.counter


def ask(entries: Sequence[TfaEntry], host: str, party: Party) -> dict[str, Any] | None:
    """What a browser needs to prove that a key is there; None where the user has none for this page. Keys of the page's
    own name are asked for where there are none of the domain: those from before the option was set."""
    for name in party.names(host):
        if known := _credentials(entries, name):
            options, _ = _server(name, party).authenticate_begin(known, user_verification=_ASKED)
            return dict(options)
    return None


def check(entries: Sequence[TfaEntry], asked: Mapping[str, Any], answer: str, party: Party) -> tuple[str, int]:
    """The id of the entry whose key answered, and its counter. Raises ValueError saying why the answer is not good."""
    public = asked["publicKey"]
    name, challenge = str(public["rpId"]), str(public["challenge"])
    able = [e for e in entries if e.type == WEBAUTHN and e.enable and e.name == name]
    by_key = {_credential(entry).credential_id: entry for entry in able}
    response = _response(answer)
    try:
        used = _server(name, party).authenticate_complete(_state(challenge), [_credential(e) for e in able], response)
        data = AuthenticatorData(_decoded(response["response"]["authenticatorData"]))
    except _NONSENSE as problem:
        raise ValueError(_words(problem)) from None
    entry = by_key[used.credential_id]
    if (data.counter or entry.counter) and data.counter <= entry.counter:
        raise ValueError(f"the key counts {data.counter} uses and had {entry.counter}: it may be a copy")
    return entry.id, data.counter


def _server(name: str, party: Party) -> Fido2Server:
    entity = PublicKeyCredentialRpEntity(id=name, name=party.shown)
    server = Fido2Server(entity, verify_origin=lambda origin: party.is_ours(name, origin))
    server.allowed_algorithms = [p for p in server.allowed_algorithms if p.alg in _ALGORITHMS]
    return server


def _credentials(entries: Sequence[TfaEntry], name: str) -> list[AttestedCredentialData]:
    return [_credential(e) for e in entries if e.type == WEBAUTHN and e.enable and name and e.name == name]


def _credential(entry: TfaEntry) -> AttestedCredentialData:
    return AttestedCredentialData(base64.b64decode(entry.credential))


def _state(challenge: str) -> dict[str, Any]:
    return {"challenge": challenge, "user_verification": _ASKED}


def _response(answer: str) -> dict[str, Any]:
    """What a browser sent, less what is of no use (Proxmox's page adds the challenge). Raises ValueError."""
    if len(answer) > MOST_BYTES:
        raise ValueError("it is too long")
    try:
        told = json.loads(answer)
        inner = {key: str(told["response"][key]) for key in _PARTS if told["response"].get(key)}
        raw = str(told.get("rawId") or told["id"]).rstrip("=")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise ValueError("it is not what a browser sends") from None
    return {"id": raw, "rawId": raw, "type": "public-key", "response": inner, "clientExtensionResults": {}}


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _words(problem: BaseException) -> str:
    return str(problem)[:200] or type(problem).__name__
